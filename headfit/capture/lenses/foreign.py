"""Lens models of other software, by the name of the software and its own name for the model.

Each function of `FOREIGN` takes the model's parameters by the names that its software gives them. It returns one of
our lenses where the model is a special case of it, else a map of the plane at depth one to be fitted (`convert`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from headfit.capture.lenses.base import Array, Lens, PlaneMap
from headfit.capture.lenses.fisheye import FisheyeLens
from headfit.capture.lenses.opencv import OpenCVLens

#: Added to squared radii, so that none is zero. Invisible in double precision at any radius of a picture.
TINY = 1e-40


@dataclass(frozen=True)
class Distorts:
    """From where the ideal lens shows a direction to where this one does."""

    map: PlaneMap


@dataclass(frozen=True)
class Undistorts:
    """From where this lens shows a direction to where the ideal one does.

    Attributes:
        map: with slope one on the axis, which all lenses of headfit have.
        zoom: the factor of the focal length that goes with it.
    """

    map: PlaneMap
    zoom: float = 1.0


ForeignLens = Lens | Distorts | Undistorts


def _brown(k1: float = 0, k2: float = 0, k3: float = 0, k4: float = 0, *, p1: float = 0, p2: float = 0) -> ForeignLens:
    """Brown's model with p1, p2 as OpenCV names them, and a fourth radial term, which OpenCV lacks."""
    if k4 == 0:
        return OpenCVLens.of([k1, k2, p1, p2, k3])
    return Distorts(lambda x, y: _radial_and_tangential(x, y, (k1, k2, k3, k4), p1, p2))


def _radial_and_tangential(x: Array, y: Array, k: tuple[float, ...], p1: Array, p2: Array) -> tuple[Array, Array]:
    r2 = x * x + y * y
    radial = np.polyval([*k[::-1], 1.0], r2)
    u = x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x)
    v = y * radial + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y
    return u, v


def _scaled(factor: Callable[[Array], Array]) -> PlaneMap:
    """The map that scales a point by a factor that depends on its squared radius."""

    def scale(x: Array, y: Array) -> tuple[Array, Array]:
        by = factor(x * x + y * y + TINY)
        return x * by, y * by

    return scale


def division(k1: float = 0) -> ForeignLens:
    """A. W. Fitzgibbon, Simultaneous linear estimation of multiple view geometry and lens distortion, CVPR 2001."""
    return Undistorts(_scaled(lambda r2: 1 / (1 + k1 * r2)))


def fov(omega: float = 0) -> ForeignLens:
    """F. Devernay, O. Faugeras, Straight lines have to be straight, 2001: distorted radius atan(2 r tan(w/2)) / w."""
    if omega == 0:
        return OpenCVLens.of([])

    zoom = 2 * np.tan(omega / 2) / omega

    def factor(r2: Array) -> Array:
        angle = omega * zoom * np.sqrt(r2)
        return np.tan(angle) / angle

    return Undistorts(_scaled(factor), zoom)


def eucm(alpha: float = 0, beta: float = 1) -> ForeignLens:
    """B. Khomutenko, G. Garcia, P. Martinet, An enhanced unified camera model, 2016."""
    return Distorts(_scaled(lambda r2: 1 / (alpha * np.sqrt(beta * r2 + 1) + 1 - alpha)))


def tsai(k1: float = 0, k2: float = 0, focal: float = 1) -> ForeignLens:
    """R. Tsai's model: factors of the distorted radius that give the ideal one.

    Args:
        k1, k2: of the squared and the fourth power of the radius on the sensor, in mm^-2 and mm^-4.
        focal: focal length in mm; 1 when the coefficients are for radii at depth one.
    """
    a, b = k1 * focal**2, k2 * focal**4
    return Undistorts(_scaled(lambda r2: 1 + r2 * (a + r2 * b)))


def metashape(
    k1: float = 0,
    k2: float = 0,
    k3: float = 0,
    k4: float = 0,
    p1: float = 0,
    p2: float = 0,
    p3: float = 0,
    p4: float = 0,
) -> ForeignLens:
    """Agisoft Metashape's frame camera. (Metashape Professional manual, appendix Camera models.)

    Its p1 is OpenCV's p2 and the reverse. Older versions multiply the tangential part by 1 + p3 r^2 + p4 r^4.
    """
    if p3 == p4 == 0:
        return _brown(k1, k2, k3, k4, p1=p2, p2=p1)

    def distort(x: Array, y: Array) -> tuple[Array, Array]:
        r2 = x * x + y * y
        growth = 1 + r2 * (p3 + r2 * p4)
        return _radial_and_tangential(x, y, (k1, k2, k3, k4), p2 * growth, p1 * growth)

    return Distorts(distort)


def realitycapture(
    k1: float = 0, k2: float = 0, k3: float = 0, k4: float = 0, t1: float = 0, t2: float = 0
) -> ForeignLens:
    """RealityCapture's Brown models. Its t1 is OpenCV's p2 and the reverse: it writes t2 before t1 in its own export
    "in OpenCV ordering", and AliceVision's reader of its XMP files swaps them."""
    return _brown(k1, k2, k3, k4, p1=t2, p2=t1)


def fisheye(
    k1: float = 0,
    k2: float = 0,
    k3: float = 0,
    k4: float = 0,
    p1: float = 0,
    p2: float = 0,
    sx1: float = 0,
    sy1: float = 0,
) -> ForeignLens:
    """COLMAP's THIN_PRISM_FISHEYE, all others of its fisheyes within: distortion of the equidistant projection."""
    if p1 == p2 == sx1 == sy1 == 0:
        return FisheyeLens.of([k1, k2, k3, k4])

    def distort(x: Array, y: Array) -> tuple[Array, Array]:
        radius = np.sqrt(x * x + y * y + TINY)
        scale = np.arctan(radius) / radius
        x, y = x * scale, y * scale
        u, v = _radial_and_tangential(x, y, (k1, k2, k3, k4), p1, p2)
        r2 = x * x + y * y
        return u + sx1 * r2, v + sy1 * r2

    return Distorts(distort)


def project_aria(k: tuple[float, ...], p0: float, p1: float, s: tuple[float, float, float, float]) -> ForeignLens:
    """COLMAP's RAD_TAN_THIN_PRISM_FISHEYE, the Fisheye624 of Project Aria: six radial coefficients of the angle, and
    tangential and prism terms of the radially distorted point."""
    if p0 == p1 == 0 and not any((*k[4:], *s)):
        return FisheyeLens.of(k[:4])

    def distort(x: Array, y: Array) -> tuple[Array, Array]:
        radius = np.sqrt(x * x + y * y + TINY)
        angle = np.arctan(radius)
        scale = angle * np.polyval([*k[::-1], 1.0], angle * angle) / radius
        x, y = x * scale, y * scale
        r2 = x * x + y * y
        u = x + p0 * (r2 + 2 * x * x) + 2 * p1 * x * y + r2 * (s[0] + r2 * s[1])
        v = y + p1 * (r2 + 2 * y * y) + 2 * p0 * x * y + r2 * (s[2] + r2 * s[3])
        return u, v

    return Distorts(distort)


#: Functions of the parameters of a model, by software and model.
FOREIGN: dict[str, Callable[..., ForeignLens]] = {
    "opencv": lambda *coefficients: OpenCVLens.of(coefficients),
    "opencv/fisheye": lambda *coefficients: FisheyeLens.of(coefficients),
    "colmap/SIMPLE_PINHOLE": lambda: OpenCVLens.of([]),
    "colmap/PINHOLE": lambda: OpenCVLens.of([]),
    "colmap/SIMPLE_RADIAL": lambda k: _brown(k),
    "colmap/RADIAL": lambda k1, k2: _brown(k1, k2),
    "colmap/OPENCV": lambda k1, k2, p1, p2: _brown(k1, k2, p1=p1, p2=p2),
    "colmap/FULL_OPENCV": lambda k1, k2, p1, p2, k3, k4, k5, k6: OpenCVLens.of([k1, k2, p1, p2, k3, k4, k5, k6]),
    "colmap/OPENCV_FISHEYE": lambda k1, k2, k3, k4: fisheye(k1, k2, k3, k4),
    "colmap/SIMPLE_RADIAL_FISHEYE": lambda k: fisheye(k),
    "colmap/RADIAL_FISHEYE": lambda k1, k2: fisheye(k1, k2),
    "colmap/THIN_PRISM_FISHEYE": lambda k1, k2, p1, p2, k3, k4, sx1, sy1: fisheye(k1, k2, k3, k4, p1, p2, sx1, sy1),
    "colmap/RAD_TAN_THIN_PRISM_FISHEYE": lambda k0, k1, k2, k3, k4, k5, p0, p1, s0, s1, s2, s3: project_aria(
        (k0, k1, k2, k3, k4, k5), p0, p1, (s0, s1, s2, s3)
    ),
    "colmap/SIMPLE_FISHEYE": lambda: fisheye(),
    "colmap/FISHEYE": lambda: fisheye(),
    "colmap/FOV": fov,
    "colmap/EUCM": eucm,
    "colmap/SIMPLE_DIVISION": division,
    "colmap/DIVISION": division,
    "nerfstudio/OPENCV": lambda k1=0, k2=0, k3=0, k4=0, p1=0, p2=0: _brown(k1, k2, k3, k4, p1=p1, p2=p2),
    "nerfstudio/OPENCV_FISHEYE": lambda k1=0, k2=0, k3=0, k4=0: fisheye(k1, k2, k3, k4),
    "metashape/frame": metashape,
    "metashape/fisheye": lambda k1=0, k2=0, k3=0, k4=0, p1=0, p2=0: fisheye(k1, k2, k3, k4, p2, p1),
    "realitycapture/perspective": lambda *_, **__: OpenCVLens.of([]),
    "realitycapture/division": lambda k1=0, *_, **__: division(k1),
    **dict.fromkeys(
        (f"realitycapture/{name}" for name in ("brown3", "brown4", "brown3t2", "brown4t2")), realitycapture
    ),
    "meshroom/none": lambda: OpenCVLens.of([]),
    "meshroom/radial1": lambda k1: _brown(k1),
    "meshroom/radial3": lambda k1, k2, k3: _brown(k1, k2, k3),
    "meshroom/brown": lambda k1, k2, k3, t1, t2: _brown(k1, k2, k3, p1=t1, p2=t2),
    "meshroom/fisheye1": fov,
    "meshroom/fisheye4": lambda k1, k2, k3, k4: fisheye(k1, k2, k3, k4),
    "tsai": tsai,
}

"""Lens models of other software as one of ours: exactly where they are the same, else fitted over the whole picture."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from headfit.capture.lenses.base import COMPLEX_STEP, Lens, inverse
from headfit.capture.lenses.fisheye import FisheyeLens
from headfit.capture.lenses.foreign import FOREIGN, TINY, Distorts, Undistorts
from headfit.capture.lenses.opencv import OpenCVLens
from headfit.errors import HeadfitError
from headfit.types import Float

#: Error (pixels) below which a fit with more coefficients is not tried, and above which the best one is refused.
SUFFICIENT, MAX_PIXELS = 0.01, 0.1
#: Models that are fitted, simplest first, with the number of coefficients.
TARGETS: tuple[tuple[type[Lens], int], ...] = (
    (OpenCVLens, 4),
    (OpenCVLens, 5),
    (OpenCVLens, 8),
    (FisheyeLens, 4),
    (OpenCVLens, 12),
    (OpenCVLens, 14),
)
#: Points a side of the grid over the picture on which a lens is fitted, and of the one on which its error is measured.
FIT_GRID, ERROR_GRID = 12, 25
#: Gauss-Newton converges in one step for polynomial models and in about five for rational ones.
MAX_STEPS = 15
#: Share of the largest singular value below which a direction counts as undetermined.
RCOND = 1e-6
#: COLMAP's models with one focal length; the others have two.
ONE_FOCAL = ("RADIAL", "RADIAL_FISHEYE")  # and those called SIMPLE


def convert_lens(
    model: str,
    params: Mapping[str, float] | Sequence[float],
    K: Float,
    size: tuple[int, int],
    camera: str = "",
) -> tuple[dict[str, Any], Float, float]:
    """A lens of other software as the `lens` of a camera in capture.json.

    Args:
        model: a name in `FOREIGN`, such as "colmap/FOV" or "metashape/frame".
        params: its coefficients, without focal length and principal point: by their names in that software, or in its
            order. Metashape's affinity b1 and skew b2 (pixels) may be among them.
        K: `[3,3]` intrinsics (pixels from the picture's corner) that apply after the distortion.
        size: width and height of the picture, pixels.
        camera: the camera's name, for messages.

    Returns:
        The entry {"model", "coefficients"}, with "error_px" if the lens was fitted; K, changed by b1 and b2, and for a
        model that magnifies on its axis; the error: the largest distance in pixels, anywhere in the picture, between
        where the two lenses show the same direction, 0 for a lens that is exactly one of ours.

    Raises:
        HeadfitError: an unknown model, wrong parameters, or no model of ours comes within `MAX_PIXELS`.
    """
    named = f"camera {camera}: " if camera else ""
    if model not in FOREIGN:
        raise HeadfitError(f"{named}lens model {model!r} cannot be converted; known: {', '.join(FOREIGN)}")
    by_name = dict(params) if isinstance(params, Mapping) else {}
    K = np.array(K, dtype=np.float64)
    K[0, :2] += by_name.pop("b1", 0.0), by_name.pop("b2", 0.0)
    values = [float(value) for value in (by_name.values() if isinstance(params, Mapping) else params)]
    if not np.isfinite(values).all():
        raise HeadfitError(f"{named}lens model {model!r} has parameters that are not finite: {params}")
    try:
        foreign = FOREIGN[model](**by_name) if isinstance(params, Mapping) else FOREIGN[model](*values)
    except (TypeError, ValueError) as error:
        expected = ", ".join(inspect.signature(FOREIGN[model]).parameters)
        raise HeadfitError(f"{named}lens model {model!r} has the parameters {expected}; found {params}") from error
    if isinstance(foreign, Lens):
        return _entry(foreign), K, 0.0
    if isinstance(foreign, Undistorts):
        K[:2, :2] *= foreign.zoom
    lens, error_px = _fitted(foreign, K, size)
    if not error_px <= MAX_PIXELS:
        raise HeadfitError(
            f"{named}no lens of headfit comes nearer than {error_px:.2g} pixels to {model!r} with {params}; "
            f"allowed are {MAX_PIXELS}. Are the parameters right for {size[0]}x{size[1]} pixels and fx {K[0, 0]:.6g}? "
            "Else undistort the pictures."
        )
    return _entry(lens) | {"error_px": error_px}, K, error_px


def colmap_camera(model: str, values: Sequence[float]) -> tuple[Float, Sequence[float]]:
    """K `[3,3]` and the remaining parameters of a camera in COLMAP's order.

    Args:
        model: its name in COLMAP, such as "SIMPLE_RADIAL".
        values: all its parameters.
    """
    focals = 1 if model in ONE_FOCAL or model.startswith("SIMPLE") else 2
    fx, fy, cx, cy = values[0], values[focals - 1], values[focals], values[focals + 1]
    return np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1.0]]), values[focals + 2 :]


def _entry(lens: Lens) -> dict[str, Any]:
    return {"model": lens.name, "coefficients": lens.coefficients.tolist()}


def _fitted(foreign: Distorts | Undistorts, K: Float, size: tuple[int, int]) -> tuple[Lens, float]:
    """The simplest lens that suffices, or the best one, and its largest error in pixels (inf where it is undefined)."""
    ideal, seen = _pairs(foreign, K, size, FIT_GRID)
    check_ideal, check_seen = _pairs(foreign, K, size, ERROR_GRID)
    best: Lens = OpenCVLens.of([])
    least = np.inf
    if not (np.isfinite(ideal).all() and np.isfinite(check_ideal).all()):
        return best, least
    for kind, count in TARGETS:
        lens = _fit(kind, count, ideal, seen, K)
        found = np.stack(lens.project(check_ideal[0], check_ideal[1], np.ones_like(check_ideal[0])))
        error = float(np.linalg.norm(K[:2, :2] @ (found - check_seen), axis=0).max())
        if error < least:
            best, least = lens, error
        if least <= SUFFICIENT:
            break
    return best, least


def _pairs(foreign: Distorts | Undistorts, K: Float, size: tuple[int, int], count: int) -> tuple[Float, Float]:
    """Points of a grid over the picture, borders included: where the ideal lens shows them, and where this one does.

    Both `[2,N]`, in the plane at depth one.
    """
    pixels = np.stack(np.meshgrid(*(np.linspace(0, side, count) for side in size))).reshape(2, -1)
    seen = np.asarray(np.linalg.solve(K[:2, :2], pixels - K[:2, 2:]), dtype=np.float64)
    if isinstance(foreign, Undistorts):
        ideal = np.stack(foreign.map(*seen))
        return np.where((ideal * seen).sum(axis=0) >= 0, ideal, np.nan), seen  # beyond 90 degrees a point is mirrored
    return np.stack(inverse(foreign.map, *seen)), seen


def _fit(kind: type[Lens], count: int, ideal: Float, seen: Float, K: Float) -> Lens:
    """The lens of a model that takes `ideal` nearest to `seen` in pixels, by Gauss-Newton from no distortion.

    Of solutions that are alike within rounding each step takes the one with the least effects in pixels: a rational
    model can imitate a polynomial with numerators and denominators that are huge.
    """
    coefficients = np.zeros(count)
    depth = np.ones_like(ideal[0])
    steps = 1j * COMPLEX_STEP * np.eye(count)

    def pixels(values: Any) -> Any:
        """`[...,2N]` by coefficients `[...,P]`, of the model without its guard beyond the fold, so that a first step
        across it does no harm."""
        padding = np.zeros((*values.shape[:-1], max(kind.least_count or 0, count) - count))
        lens = kind(np.concatenate([values, padding], axis=-1)[..., None, :], np.inf)
        u, v = lens.project(ideal[0], ideal[1], depth)
        return np.concatenate([K[0, 0] * u + K[0, 1] * v, K[1, 1] * v], axis=-1)

    target = (K[:2, :2] @ seen).ravel()
    with np.errstate(all="ignore"):
        for _ in range(MAX_STEPS):
            slopes = pixels(coefficients + steps).imag.T / COMPLEX_STEP
            if not np.isfinite(slopes).all():
                break
            scale = np.linalg.norm(slopes, axis=0) + TINY
            wanted = target - pixels(coefficients) + slopes @ coefficients
            fresh = np.linalg.lstsq(slopes / scale, wanted, rcond=RCOND)[0] / scale
            change = np.abs(slopes @ (fresh - coefficients)).max()
            coefficients = fresh
            if change < 0.01 * SUFFICIENT:
                break
    return kind.of(np.nan_to_num(coefficients))

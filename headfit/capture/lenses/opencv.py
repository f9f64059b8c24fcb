"""OpenCV's pinhole lens: radial (polynomial or rational), tangential and thin prism distortion, and a tilted sensor."""

from __future__ import annotations

import numpy as np

from headfit.capture.lenses.base import Array, PerspectiveLens, namespace
from headfit.types import Float

#: Where the denominator of the rational factor vanishes the factor has no limit, so it is held from a little before:
#: this share of the squared radius.
BEFORE_POLE = 0.98
#: Least share of its value on the axis to which the depth of a point over the tilted sensor may fall.
MIN_TILTED_DEPTH = 0.05


class OpenCVLens(PerspectiveLens):
    """OpenCV's default model (its manual, "Camera Calibration and 3D Reconstruction").

        r2 = x^2 + y^2
        radial = (1 + k1 r2 + k2 r2^2 + k3 r2^3) / (1 + k4 r2 + k5 r2^2 + k6 r2^3)
        u = x radial + 2 p1 x y + p2 (r2 + 2 x^2) + s1 r2 + s2 r2^2
        v = y radial + p1 (r2 + 2 y^2) + 2 p2 x y + s3 r2 + s4 r2^2

    and then (u, v) as they appear on a sensor that is tilted by tx and ty (radians). As many terms are computed as
    there are coefficients: 5, 8, 12 or 14.

    The radial part may fold back at some radius: beyond it, points far outside the picture would reappear inside. So
    from there on the radial factor stays as it is at the fold, and the tangential and prism terms are left out.
    """

    name = "opencv"
    coefficient_names = ("k1", "k2", "p1", "p2", "k3", "k4", "k5", "k6", "s1", "s2", "s3", "s4", "tx", "ty")
    coefficient_counts = (0, 4, 5, 8, 12, 14)
    least_count = 5

    @staticmethod
    def _fold(coefficients: Float) -> float:
        """The first positive root s = r2 of the distorted radius' derivative, or the place just before a pole.

        With N and D for the polynomials of the radial factor, the derivative of r N / D by r has the numerator
        (r N)' D - N r D', a polynomial in s whose coefficients follow from d(r s^i)/dr = (2 i + 1) s^i.
        """
        k1, k2, _, _, k3, *rest = coefficients
        numerator = np.array([k3, k2, k1, 1.0])
        denominator = np.array([*rest[2::-1], 1.0])
        order = np.arange(len(denominator))[::-1]
        slope = np.polysub(
            np.polymul(numerator * [7, 5, 3, 1], denominator), np.polymul(numerator, 2 * order * denominator)
        )
        return min(_first_positive_root(slope), BEFORE_POLE * _first_positive_root(denominator))

    def distort(self, x: Array, y: Array) -> tuple[Array, Array]:
        count = self.coefficients.shape[-1]
        k1, k2, p1, p2, k3, *more = (self.coefficients[..., i] for i in range(count))
        square = x * x + y * y
        r2 = namespace(square).minimum(square, self.fold)
        radial = 1 + r2 * (k1 + r2 * (k2 + r2 * k3))
        if count >= 8:
            k4, k5, k6 = more[:3]
            radial = radial / (1 + r2 * (k4 + r2 * (k5 + r2 * k6)))
        inside = square <= self.fold
        du = 2 * p1 * x * y + p2 * (r2 + 2 * x * x)
        dv = p1 * (r2 + 2 * y * y) + 2 * p2 * x * y
        if count >= 12:
            s1, s2, s3, s4 = more[3:7]
            du = du + r2 * (s1 + r2 * s2)
            dv = dv + r2 * (s3 + r2 * s4)
        u, v = x * radial + inside * du, y * radial + inside * dv
        return _tilted(u, v, *more[7:]) if count >= 14 else (u, v)


def _first_positive_root(polynomial: Float) -> float:
    real = [float(root.real) for root in np.roots(polynomial) if abs(root.imag) < 1e-9 and root.real > 0]
    return min(real, default=np.inf)


def _tilted(u: Array, v: Array, tx: Array, ty: Array) -> tuple[Array, Array]:
    """(u, v) on a sensor that is tilted about the x axis by tx and about the y axis by ty (radians).

    With R(tx, ty) = Ry Rx as in OpenCV's manual: the homogeneous [R22 0 -R02; 0 R22 -R12; 0 0 1] R (u, v, 1). A point
    that the tilted sensor's plane does not meet in front would appear mirrored: its depth is held instead.
    """
    xp = namespace(tx)
    sin_x, cos_x, sin_y, cos_y = xp.sin(tx), xp.cos(tx), xp.sin(ty), xp.cos(ty)
    axis = cos_y * cos_x
    depth = sin_y * u - cos_y * sin_x * v + axis
    held = xp.maximum(depth, MIN_TILTED_DEPTH * axis)
    across = cos_y * u + sin_y * sin_x * v - sin_y * cos_x
    down = cos_x * v + sin_x
    return (axis * across + sin_y * cos_x * depth) / held, (axis * down - sin_x * depth) / held

"""OpenCV's lens with five coefficients: radial and tangential distortion."""

from __future__ import annotations

import numpy as np

from headfit.capture.lenses.base import Array, PerspectiveLens, namespace
from headfit.types import Float


class OpenCVLens(PerspectiveLens):
    """OpenCV's default model (its manual, "Camera Calibration and 3D Reconstruction", without the rational terms).

        r2 = x^2 + y^2
        u = x (1 + k1 r2 + k2 r2^2 + k3 r2^3) + 2 p1 x y + p2 (r2 + 2 x^2)
        v = y (1 + k1 r2 + k2 r2^2 + k3 r2^3) + p1 (r2 + 2 y^2) + 2 p2 x y

    The radial polynomial may fold back at some radius: beyond it, points far outside the picture would reappear inside.
    So from there on the radial factor stays as it is at the fold, and the tangential terms are left out.
    """

    name = "opencv"
    coefficient_names = ("k1", "k2", "p1", "p2", "k3")
    coefficient_counts = (0, 4, 5)

    @staticmethod
    def _fold(coefficients: Float) -> float:
        """The first positive root s = r2 of the distorted radius' derivative 1 + 3 k1 s + 5 k2 s^2 + 7 k3 s^3."""
        k1, k2, _, _, k3 = coefficients
        roots = np.roots([7 * k3, 5 * k2, 3 * k1, 1.0])
        real = [float(root.real) for root in roots if abs(root.imag) < 1e-9 and root.real > 0]
        return min(real) if real else np.inf

    def distort(self, x: Array, y: Array) -> tuple[Array, Array]:
        k1, k2, p1, p2, k3 = (self.coefficients[..., i] for i in range(5))
        square = x * x + y * y
        r2 = namespace(square).minimum(square, self.fold)
        radial = 1 + r2 * (k1 + r2 * (k2 + r2 * k3))
        inside = square <= self.fold
        du = inside * (2 * p1 * x * y + p2 * (r2 + 2 * x * x))
        dv = inside * (p1 * (r2 + 2 * y * y) + 2 * p2 * x * y)
        return x * radial + du, y * radial + dv

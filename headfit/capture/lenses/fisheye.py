"""OpenCV's fisheye lens: a polynomial of the angle to the optical axis."""

from __future__ import annotations

import numpy as np

from headfit.capture.lenses.base import MAX_ERROR, MAX_ITERATIONS, Array, Lens, namespace
from headfit.types import Float

#: Squared distance from the axis (in the unit of the points) up to which a point counts as on it.
ON_AXIS = 1e-30


class FisheyeLens(Lens):
    """OpenCV's fisheye model (its manual, "Fisheye camera model"), with all zeros the equidistant projection.

        angle = atan2(sqrt(x^2 + y^2), z)
        distorted = angle (1 + k1 angle^2 + k2 angle^4 + k3 angle^6 + k4 angle^8)
        (u, v) = distorted (x, y) / sqrt(x^2 + y^2)

    J. Kannala, S. Brandt, A generic camera model and calibration method for conventional, wide-angle and fish-eye
    lenses, PAMI 2006. It sees beyond 90 degrees. `fold` is the angle from which on the model is not one-to-one; beyond
    it the factor of the angle stays as it is at the fold.
    """

    name = "fisheye"
    coefficient_names = ("k1", "k2", "k3", "k4")
    coefficient_counts = (0, 4)

    @property
    def valid_angle(self) -> float:
        return float(self.fold)

    @staticmethod
    def _fold(coefficients: Float) -> float:
        """The first positive root of 1 + 3 k1 s + 5 k2 s^2 + 7 k3 s^3 + 9 k4 s^4, s = angle^2; at most pi."""
        roots = np.roots([*(coefficients * [3, 5, 7, 9])[::-1], 1.0])
        real = [float(np.sqrt(root.real)) for root in roots if abs(root.imag) < 1e-9 and root.real > 0]
        return min([np.pi, *real])

    def project(self, x: Array, y: Array, z: Array) -> tuple[Array, Array]:
        xp = namespace(x)
        across = xp.sqrt(xp.clip(x * x + y * y, ON_AXIS, None))
        angle = xp.arctan2(across, z)
        scale = angle * self._factor(angle) / across
        return x * scale, y * scale

    def rays(self, u: Float, v: Float) -> Float:
        distorted = np.hypot(u, v)
        angle = self._angle(distorted)
        scale = np.sin(angle) / np.where(distorted > 0, distorted, 1)
        return np.stack([u * scale, v * scale, np.cos(angle)], axis=-1)

    def _factor(self, angle: Array) -> Array:
        """What the angle is multiplied by."""
        k1, k2, k3, k4 = (self.coefficients[..., i] for i in range(4))
        held = namespace(angle).minimum(angle, self.fold)
        s = held * held
        return 1 + s * (k1 + s * (k2 + s * (k3 + s * k4)))

    def _angle(self, distorted: Float) -> Float:
        """The inverse of angle times factor between 0 and pi, where it only rises; nan where none leads there.

        By Newton's method, and by halving the interval where its step leaves that.
        """
        low, high = np.zeros_like(distorted), np.full_like(distorted, np.pi)
        angle = np.minimum(distorted, np.pi)
        derivative = np.append(self.coefficients[::-1] * [9, 7, 5, 3], 1.0)  # up to the fold, by the squared angle
        for _ in range(3 * MAX_ITERATIONS):
            error = angle * self._factor(angle) - distorted
            low, high = np.where(error <= 0, angle, low), np.where(error >= 0, angle, high)
            held = angle > self.fold
            slope = np.where(held, self._factor(angle), np.polyval(derivative, angle * angle))
            with np.errstate(all="ignore"):
                step = angle - error / slope
            angle = np.where((step > low) & (step < high), step, (low + high) / 2)
        found = np.abs(angle * self._factor(angle) - distorted) <= MAX_ERROR
        return np.where(found, angle, np.nan)

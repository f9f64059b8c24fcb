"""A minimal second lens model, to test that a new lens needs no change elsewhere."""

import numpy as np

from headfit.capture.lenses.base import Lens, namespace


class EquidistantFisheye(Lens):
    """(u, v) = angle to the axis times the unit direction across it; defined at 90 degrees and beyond."""

    name = "equidistant"
    coefficient_names = ()
    coefficient_counts = (0,)

    valid_angle = np.pi

    @staticmethod
    def _fold(coefficients):
        return np.pi

    def project(self, x, y, z):
        xp = namespace(x)
        across = xp.sqrt(x * x + y * y)
        scale = xp.arctan2(across, z) / across
        return x * scale, y * scale

    def rays(self, u, v):
        angle = np.hypot(u, v)
        scale = np.sinc(angle / np.pi)  # sin(angle) / angle
        return np.stack([u * scale, v * scale, np.cos(angle)], axis=-1)

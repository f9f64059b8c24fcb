"""Laying a head model over foreign meshes, by its parameters and then by free offsets."""

from headfit.registration.matching import Target
from headfit.registration.offsets import fit_offsets
from headfit.registration.parameters import fit_parameters
from headfit.registration.state import Registration, start

__all__ = ["Registration", "Target", "fit_offsets", "fit_parameters", "start"]

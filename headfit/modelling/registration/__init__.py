"""Registration of a head model to other meshes, first by its parameters and then by free offsets."""

from headfit.modelling.registration.bending import fit_offsets
from headfit.modelling.registration.gauss_newton import fit_parameters
from headfit.modelling.registration.matching import Target
from headfit.modelling.registration.placed_head import Registration, start

__all__ = ["Registration", "Target", "fit_offsets", "fit_parameters", "start"]

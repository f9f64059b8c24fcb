"""The deformable head: identity, expression, joints and free offsets in, vertices out."""

from headfit.head.library import load, resolve
from headfit.head.model import HeadModel

__all__ = ["HeadModel", "load", "resolve"]

"""What a lens model is: directions in front of a camera to its image plane, and back.

Image plane coordinates (u, v) are pixels with the camera's K taken away. Camera axes are OpenCV's: x right, y down,
z forward. `project` and `distort` are written once, on operators that numpy arrays and torch tensors share.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from functools import lru_cache
from types import ModuleType
from typing import Any, ClassVar, TypeVar

import numpy as np

from headfit.types import Float

#: A numpy array or a torch tensor.
Array = Any
#: From points of a plane to points of a plane.
PlaneMap = Callable[[Array, Array], tuple[Array, Array]]
L = TypeVar("L", bound="Lens")

#: Newton's method needs four or five steps on real lenses.
MAX_ITERATIONS = 20
#: Errors in image plane coordinates at which Newton's method stops, and up to which its result counts as found.
STOP_AT, MAX_ERROR = 1e-15, 1e-9
#: Step of the complex-step derivative: it has no rounding error to trade for, so it can be this small.
COMPLEX_STEP = 1e-100


def namespace(values: Array) -> ModuleType:
    """numpy or torch, whichever `values` belongs to."""
    if isinstance(values, np.ndarray | np.generic):
        return np
    import torch  # not at the top: reading a capture needs no torch

    return torch


@dataclass(frozen=True, eq=False)
class Lens(ABC):
    """A lens model with its coefficients: one lens (numpy), or a stack of lenses of one model (torch).

    A subclass sets `name` (what capture.json calls it) and `coefficient_names`, and is listed in `LENSES`.

    Attributes:
        coefficients: `[...,P]`, the first P of `coefficient_names`. Leading dimensions broadcast against coordinates.
        fold: `[...]`, where the model folds back, measured as the model needs it.
    """

    name: ClassVar[str]
    coefficient_names: ClassVar[tuple[str, ...]]
    #: Numbers of coefficients that may be given; those left out are 0.
    coefficient_counts: ClassVar[tuple[int, ...]]
    #: To as many they are filled up; None for all.
    least_count: ClassVar[int | None] = None

    coefficients: Array
    fold: Array

    @classmethod
    def of(cls: type[L], coefficients: Sequence[float] | Float) -> L:
        """The lens with these coefficients. Raises ValueError for a number of them that the model does not have."""
        if len(coefficients) not in cls.coefficient_counts:
            raise ValueError(f"lens {cls.name!r} has {cls.coefficient_counts} coefficients, got {len(coefficients)}")
        least = cls.least_count or len(cls.coefficient_names)
        padded = _padded(np.asarray(coefficients, dtype=np.float64), max(least, len(coefficients)))
        return cls(padded, np.float64(_fold_of(cls, tuple(padded.tolist()))))

    @classmethod
    def stack(cls: type[L], lenses: Sequence[Lens], to_tensor: Callable[[Float], Array]) -> L:
        """Lenses of this model as one lens with tensors `[B,1,...]`, for coordinates `[B,V]`.

        Args:
            lenses: B single lenses. Their coefficients are filled up with zeros to the most that one of them has.
            to_tensor: from numpy to torch, with device and dtype.
        """
        count = max(len(lens.coefficients) for lens in lenses)
        coefficients = np.stack([_padded(lens.coefficients, count) for lens in lenses])
        return cls(to_tensor(coefficients[:, None]), to_tensor(np.stack([lens.fold for lens in lenses])[:, None]))

    def __getitem__(self: L, index: Array) -> L:
        """Some lenses of a stack."""
        return type(self)(*(getattr(self, f.name)[index] for f in fields(self)))

    @property
    @abstractmethod
    def valid_angle(self) -> float:
        """The angle to the optical axis (radians) up to which the model is one-to-one. Of a single lens."""

    @property
    def is_pinhole(self) -> bool:
        """Whether the lens does nothing: (u, v) = (x / z, y / z)."""
        return False

    @staticmethod
    @abstractmethod
    def _fold(coefficients: Float) -> float:
        """`fold` of a lens with these coefficients `[P]`."""

    @abstractmethod
    def project(self, x: Array, y: Array, z: Array) -> tuple[Array, Array]:
        """Points in camera coordinates (any length unit) to the image plane, differentiable, defined everywhere."""

    @abstractmethod
    def rays(self, u: Float, v: Float) -> Float:
        """Unit directions `[...,3]` in camera coordinates that are seen at (u, v); nan where there is none."""


def _padded(coefficients: Float, count: int) -> Float:
    """Coefficients followed by as many zeros as make `count`."""
    return np.concatenate([coefficients, np.zeros(count - len(coefficients))])


def inverse(distort: PlaneMap, u: Float, v: Float) -> tuple[Float, Float]:
    """The (x, y) that `distort` takes to (u, v), by Newton's method from (u, v); nan where it does not converge.

    Args:
        distort: a map of the plane, analytic almost everywhere.
        u, v: float64 of one shape.
    """
    x, y = u, v
    with np.errstate(all="ignore"):  # an iteration that leaves the plane ends as nan
        for _ in range(MAX_ITERATIONS):
            at_x, at_y = distort(x, y)
            du, dv = at_x - u, at_y - v
            error = np.hypot(du, dv)
            if not (error > STOP_AT).any():
                break
            ux, uy, vx, vy = jacobian(distort, x, y)
            determinant = ux * vy - uy * vx
            x = x - (vy * du - uy * dv) / determinant
            y = y - (ux * dv - vx * du) / determinant
        at_x, at_y = distort(x, y)
        found = np.hypot(at_x - u, at_y - v) <= MAX_ERROR
    return np.where(found, x, np.nan), np.where(found, y, np.nan)


def jacobian(distort: PlaneMap, x: Float, y: Float) -> tuple[Float, Float, Float, Float]:
    """Derivatives (du/dx, du/dy, dv/dx, dv/dy) of a map of the plane, exact to rounding.

    By the complex step: f(x + ih) = f(x) + ih f'(x) + O(h^2) for an analytic f (Squire and Trapp, Using complex
    variables to estimate derivatives of real functions, 1998). So there is no second formula to keep in step.
    """
    ux, vx = distort(x + 1j * COMPLEX_STEP, y + 0j)
    uy, vy = distort(x + 0j, y + 1j * COMPLEX_STEP)
    ux, uy, vx, vy = (np.imag(d) / COMPLEX_STEP for d in (ux, uy, vx, vy))
    return ux, uy, vx, vy


@lru_cache(maxsize=256)
def _fold_of(kind: type[Lens], coefficients: tuple[float, ...]) -> float:
    """`fold` of a lens; kept, because the cameras of a file often share their lens, and roots take their time."""
    return kind._fold(np.array(coefficients))


class PerspectiveLens(Lens):
    """A lens model that moves the points (x / z, y / z) of the plane at depth one. It sees less than 90 degrees off its
    axis. `fold` is the squared radius in that plane from which on the model is not one-to-one, or infinity."""

    @property
    def valid_angle(self) -> float:
        return float(np.arctan(np.sqrt(self.fold)))

    @property
    def is_pinhole(self) -> bool:
        return not np.any(self.coefficients)

    @abstractmethod
    def distort(self, x: Array, y: Array) -> tuple[Array, Array]:
        """Coordinates at depth one to the image plane."""

    def undistort(self, u: Float, v: Float) -> tuple[Float, Float]:
        """The inverse of `distort`, by Newton's method from (u, v); nan where it does not converge.

        That is where the model is not one-to-one, or where no direction is seen at all: no valid calibration has such
        places in its image.
        """
        u, v = np.asarray(u, dtype=np.float64), np.asarray(v, dtype=np.float64)
        return (u.copy(), v.copy()) if self.is_pinhole else inverse(self.distort, u, v)

    def jacobian(self, x: Float, y: Float) -> tuple[Float, Float, Float, Float]:
        """Derivatives (du/dx, du/dy, dv/dx, dv/dy) of `distort`, exact to rounding."""
        return jacobian(self.distort, x, y)

    def project(self, x: Array, y: Array, z: Array) -> tuple[Array, Array]:
        return self.distort(x / z, y / z)

    def rays(self, u: Float, v: Float) -> Float:
        x, y = self.undistort(u, v)
        rays = np.stack([x, y, np.ones_like(x)], axis=-1)
        unit: Float = rays / np.linalg.norm(rays, axis=-1, keepdims=True)
        return unit

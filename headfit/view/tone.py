"""Colours that the browser shows as given.

The page's renderer (three.js) takes linear colours and applies ACES' filmic curve before it encodes them for the
display: without the inverse of both, a texture would have another contrast than the pictures beside it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

#: Linear sRGB to the space of the curve, and back (S. Hill's fit, as in three.js, tonemapping_pars_fragment).
_INTO = np.array([[0.59719, 0.35458, 0.04823], [0.07600, 0.90834, 0.01566], [0.02840, 0.13383, 0.83777]])
_OUT = np.array([[1.60475, -0.53108, -0.07367], [-0.10208, 1.10813, -0.00605], [-0.00327, -0.07276, 1.07602]])
_EXPOSURE = 1 / 0.6
#: The curve: (v (v + A) - B) / (v (C v + D) + E).
_A, _B, _C, _D, _E = 0.0245786, 0.000090537, 0.983729, 0.4329510, 0.238081
#: Brightest value of the curve that is inverted: towards its asymptote, 1 / C, the inverse goes to infinity.
_BRIGHTEST = 0.97


def decoded(display: NDArray[np.floating]) -> NDArray[np.float32]:
    """Linear values of sRGB values, both in [0, 1] (IEC 61966-2-1)."""
    return np.where(display <= 0.04045, display / 12.92, ((display + 0.055) / 1.055) ** 2.4).astype(np.float32)


def encoded(linear: NDArray[np.floating]) -> NDArray[np.float32]:
    """The inverse of `decoded`."""
    high = 1.055 * np.maximum(linear, 0.0031308) ** (1 / 2.4) - 0.055
    return np.where(linear <= 0.0031308, linear * 12.92, high).astype(np.float32)


def to_renderer(display: NDArray[np.floating]) -> NDArray[np.float32]:
    """Linear colours `[...,3]`, at least 0, that the page shows as the display-coded colours `[...,3]` in [0, 1].

    The most saturated and the brightest colours are outside of what the curve reaches; they come out a little less so.
    """
    y = _transformed(np.linalg.inv(_OUT), decoded(display)).clip(0, _BRIGHTEST)
    # y (C v^2 + D v + E) = v^2 + A v - B, solved for v > 0.
    a, b, c = 1 - _C * y, _A - _D * y, -_B - _E * y
    v = (-b + np.sqrt(b * b - 4 * a * c)) / (2 * a)
    return (_transformed(np.linalg.inv(_INTO), v) / _EXPOSURE).clip(0).astype(np.float32)


def shown(linear: NDArray[np.floating]) -> NDArray[np.float32]:
    """The display-coded colours `[...,3]` that the page makes of linear colours `[...,3]`: inverse of `to_renderer`."""
    v = _transformed(_INTO, linear * _EXPOSURE)
    curve = (v * (v + _A) - _B) / (v * (_C * v + _D) + _E)
    return encoded(_transformed(_OUT, curve).clip(0, 1).astype(np.float32))


def _transformed(matrix: NDArray[np.floating], colours: NDArray[np.floating]) -> NDArray[np.floating]:
    """The products of a matrix `[3,3]` with colours `[...,3]`, in their precision. Not by `@`: threads of NumPy's BLAS
    wait for work in a loop, and take the time of a core from the browser."""
    return np.einsum("ij,...j->...i", matrix.astype(colours.dtype), colours)

"""Color steps of capture.json: what makes the stored colors of a camera those of its pictures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from headfit.capture.json_value import JsonValue
from headfit.types import Float

#: Terms of the polynomial of a color correction matrix by number of columns (Cheung, Westland, Connah, Ripamonti: A
#: comparative study of the characterisation of colour cameras by means of neural networks and polynomial transforms,
#: Coloration Technology 120, 2004). "rg" is the product of red and green.
_CHEUNG_TERMS = {
    3: "r g b",
    4: "r g b 1",
    5: "r g b rgb 1",
    7: "r g b rg rb gb 1",
    8: "r g b rg rb gb rgb 1",
    10: "r g b rg rb gb rr gg bb 1",
    11: "r g b rg rb gb rr gg bb rgb 1",
    14: "r g b rg rb gb rr gg bb rgb rrr ggg bbb 1",
    16: "r g b rg rb gb rr gg bb rgb rrg ggb bbr rrr ggg bbb",
    17: "r g b rg rb gb rr gg bb rgb rrg ggb bbr rrr ggg bbb 1",
    19: "r g b rg rb gb rr gg bb rgb rrg ggb bbr rrb ggr bbg rrr ggg bbb",
    20: "r g b rg rb gb rr gg bb rgb rrg ggb bbr rrb ggr bbg rrr ggg bbb 1",
    22: "r g b rg rb gb rr gg bb rgb rrg ggb bbr rrb ggr bbg rrr ggg bbb rrgb rggb rgbb",
}
#: Pixels that are converted at a time, to bound the memory for floating-point values.
_STRIP = 1 << 20

Step = Callable[[Float], Float]


@dataclass(frozen=True)
class ColorSteps:
    """Functions on RGB `[N,3]` float32 with white at 1, applied one after another."""

    steps: tuple[Step, ...] = ()

    def __call__(self, rgb: Float) -> Float:
        for step in self.steps:
            rgb = step(rgb)
        return rgb


def read_color(node: JsonValue | None) -> ColorSteps:
    """The color steps of a list in capture.json. Raises HeadfitError with the place."""
    return ColorSteps(tuple(_step(entry) for entry in node.entries("color steps"))) if node else ColorSteps()


def _step(node: JsonValue) -> Step:
    node.only(_STEPS)
    members = node.items()
    if len(members) != 1:
        raise node.error(f"expected one step, one of {', '.join(_STEPS)}")
    name, value = members[0]
    return _STEPS[name](value)


def _affine(node: JsonValue) -> Step:
    matrix = node.array((3, 4)).astype(np.float32)
    return lambda rgb: rgb @ matrix[:, :3].T + matrix[:, 3]


def _gain(node: JsonValue) -> Step:
    gain = node.array((3,)).astype(np.float32)
    return lambda rgb: rgb * gain


def _black(node: JsonValue) -> Step:
    black = node.array((3,)).astype(np.float32)
    return lambda rgb: rgb - black


def _gamma(node: JsonValue) -> Step:
    exponent = np.float32(1 / node.positive("a positive number"))
    return lambda rgb: np.maximum(rgb, 0) ** exponent


def _ccm(node: JsonValue) -> Step:
    matrix = node.array(*((3, count) for count in _CHEUNG_TERMS)).astype(np.float32)
    terms = _CHEUNG_TERMS[matrix.shape[1]].split()
    return lambda rgb: srgb_encoded(_polynomial(srgb_decoded(rgb), terms) @ matrix.T)


def _polynomial(rgb: Float, terms: Sequence[str]) -> Float:
    """The terms `[N,T]` of the colors `[N,3]`."""
    channels = {"r": rgb[:, 0], "g": rgb[:, 1], "b": rgb[:, 2], "1": np.ones_like(rgb[:, 0])}
    return np.stack([np.prod([channels[letter] for letter in term], axis=0) for term in terms], axis=1)


_STEPS: dict[str, Callable[[JsonValue], Step]] = {
    "affine": _affine,
    "gain": _gain,
    "black": _black,
    "gamma": _gamma,
    "ccm": _ccm,
}


def srgb_encoded(linear: Float) -> Float:
    """Linear light as sRGB values (IEC 61966-2-1), clipped to [0, 1]; what is no number is black."""
    linear = np.clip(np.nan_to_num(linear), 0, 1)
    encoded: Float = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return encoded


def srgb_decoded(encoded: Float) -> Float:
    """sRGB values in [0, 1] as linear light: the inverse of `srgb_encoded`."""
    encoded = np.clip(encoded, 0, 1)
    linear: Float = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    return linear


def in_strips(pixels: np.ndarray, convert: Callable[[np.ndarray], Float]) -> np.ndarray:
    """`pixels [H,W,3]` converted to uint8 RGB, some rows at a time.

    Args:
        pixels: of any type.
        convert: colors `[N,3]` to RGB `[N,3]` with white at 1; the result is clipped and rounded to 0..255.
    """
    out = np.empty(pixels.shape, np.uint8)
    rows = max(1, _STRIP // max(1, pixels.shape[1]))
    for start in range(0, len(pixels), rows):
        part = pixels[start : start + rows]
        rgb = convert(part.reshape(-1, 3)).reshape(part.shape)
        out[start : start + rows] = np.rint(255 * np.clip(rgb, 0, 1))
    return out

"""Image files that no library of the tests writes by itself."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray


def exr_bytes(rgb: NDArray[Any], form: str = "float") -> bytes:
    """An EXR with the values `[H,W,3]`; `form` is "float" or "half"."""
    encoder: Any = av.CodecContext.create("exr", "w")
    encoder.width, encoder.height, encoder.pix_fmt = rgb.shape[1], rgb.shape[0], "gbrpf32le"
    encoder.time_base, encoder.options = Fraction(1, 25), {"format": form}
    frame = av.VideoFrame.from_ndarray(rgb.astype(np.float32), format="gbrpf32le")
    return b"".join(bytes(packet) for packet in [*encoder.encode(frame), *encoder.encode(None)])

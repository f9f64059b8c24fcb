"""Running a `.tflite` network."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headfit.errors import HeadfitError

#: From an image `[H,W,3]` of floats to the network's outputs, flat, in its own order.
Network = Callable[[NDArray[Any]], list[NDArray[np.float32]]]


def load_network(path: Path) -> Network:
    """The network in a file. Raises HeadfitError when ai-edge-litert is not installed, or cannot read the file."""
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError as error:
        raise HeadfitError(
            "the landmark and mask networks need ai-edge-litert: pip install 'headfit[prepare]'"
        ) from error
    try:
        interpreter = Interpreter(str(path), num_threads=1)
        interpreter.allocate_tensors()
    except (ValueError, RuntimeError) as error:
        raise HeadfitError(
            f"{path}: not a network that ai-edge-litert runs ({error}); delete it to fetch it"
        ) from error
    entry = interpreter.get_input_details()[0]["index"]
    exits = [output["index"] for output in interpreter.get_output_details()]

    def run(image: NDArray[Any]) -> list[NDArray[np.float32]]:
        interpreter.set_tensor(entry, image[None].astype(np.float32))
        interpreter.invoke()
        return [interpreter.get_tensor(index).reshape(-1) for index in exits]

    return run

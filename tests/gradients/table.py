"""Prints the errors of the rasterizer's gradient in all scenes, with their bounds. Run: make bench-gradients

Some scenes only: make bench-gradients SCENES="a1 d3".
"""

import math
import sys
import time

import torch

from tests.gradients.harness import ESTIMATES, SUPERSAMPLED, errors
from tests.gradients.scenes import SCENES, Config

COLUMNS = (*ESTIMATES, SUPERSAMPLED)
CROSS_ENTROPY = 0.15  # colours make poor logits: their softmax varies little, so relative errors are large


def bound(config: Config, column: str) -> float:
    """The bound of an error; inf if there is none."""
    if column == SUPERSAMPLED:
        return config.supersampled
    if column == "cross_entropy":
        return CROSS_ENTROPY
    if column.startswith("squared"):
        return config.squared
    # The gradient of a robust loss alone is not enough: these columns show why pixel_loss exists.
    return math.inf if column.endswith("edge_grad") else config.robust


def main(chosen: list[str]) -> None:
    torch.set_num_threads(1)  # tensors are small
    print(f"| scene | {' | '.join(COLUMNS)} | bound |")
    print(f"|---|{'---|' * (len(COLUMNS) + 1)}")
    missed, start = [], time.monotonic()
    for name, config in SCENES.items():
        if chosen and not any(name.startswith(prefix) for prefix in chosen):
            continue
        error = errors(config.make(), tuple(ESTIMATES), config.samples, config.phases, config.per_pixel)
        cells = [f"{error[column]:.3f}".lstrip("0") for column in COLUMNS]
        print(f"| {name} | {' | '.join(cells)} | {_bound_text(config)} |", flush=True)
        missed += [
            f"{name}: {column} {error[column]:.3f}" for column in COLUMNS if error[column] > bound(config, column)
        ]
    print(f"\n{time.monotonic() - start:.0f} s. Above their bounds: {'; '.join(missed) or 'none'}", file=sys.stderr)
    sys.exit(bool(missed))


def _bound_text(config: Config) -> str:
    return "-" if math.isinf(config.squared) else f"{config.squared:.2f}".lstrip("0")


if __name__ == "__main__":
    main(sys.argv[1:])

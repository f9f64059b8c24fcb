"""Labels against masks: `label_loss`, and the same as `pixel_loss` of one-hot images.

    python tests/benchmarks/bench_labels.py [--sizes 256 512] [--views 8] [--classes 9]

One thread; least processor time of alternating runs, forward and backward.
"""

import argparse
import time
from collections.abc import Callable

import torch
from bench_step import make_step
from torch import Tensor

from headfit.raster import label_loss, pixel_loss, rasterize


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[256, 512])
    parser.add_argument("--views", type=int, default=8)
    parser.add_argument("--classes", type=int, default=9)
    parser.add_argument("--rounds", type=int, default=12)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    print(f"{'size':>6}  {'what':20}{'forward, ms':>14}{'backward, ms':>14}")
    for size in arguments.sizes:
        ways, v = compared(size, arguments.views, arguments.classes)
        rounds = [[milliseconds(loss, v) for loss in ways.values()] for _ in range(arguments.rounds)]
        for name, times in zip(ways, zip(*rounds, strict=True), strict=True):
            forward, backward = (min(each) for each in zip(*times, strict=True))
            print(f"{size:6}  {name:20}{forward:14.1f}{backward:14.1f}", flush=True)


def compared(size: int, views: int, classes: int) -> tuple[dict[str, Callable[[], Tensor]], Tensor]:
    """The two ways to compute a loss of the default head's labels, and the vertices whose gradient is wanted."""
    step = make_step(size)
    v = step.v_pix.detach().repeat(views, 1, 1).requires_grad_()
    index_img, _, _ = rasterize(v, step.faces, (size, size))
    of_face = (torch.arange(len(step.faces)) // 5000 % classes).int()
    weight = torch.linspace(1, 9, classes)
    shown = torch.cat([of_face, of_face.new_zeros(1)])[index_img.long()].roll(2, dims=2).long()
    shares = 255 * torch.nn.functional.one_hot(shown, classes).byte()

    def by_images() -> Tensor:
        root = weight.sqrt()
        row = torch.cat([of_face, of_face.new_zeros(1)]).take(index_img.long())
        image = torch.nn.functional.embedding(row, root.diag())
        target = shares.float() / 255 * root
        mesh = v, step.faces, index_img
        return pixel_loss(image, target, *mesh, kind="squared", group=of_face, topology=step.topology)

    def by_labels() -> Tensor:
        return label_loss(shares, weight, of_face, v, step.faces, index_img, topology=step.topology)

    return {"pixel_loss": by_images, "label_loss": by_labels}, v


def milliseconds(loss: Callable[[], Tensor], v: Tensor) -> tuple[float, float]:
    """Processor time of the forward and the backward pass."""
    start = time.process_time()
    value = loss()
    middle = time.process_time()
    torch.autograd.grad(value.sum(), v)
    return 1e3 * (middle - start), 1e3 * (time.process_time() - middle)


if __name__ == "__main__":
    main()

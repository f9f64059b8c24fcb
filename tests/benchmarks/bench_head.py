"""Throughput of the head model in heads per second, forward and backward.

    python tests/benchmarks/bench_head.py [--head default] [--batch 16] [--threads 2]

All parameters require gradients: identity, expression, joints, offsets and placement. Prints the median and the fastest
of the repetitions, also for the forward pass alone.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import torch

from headfit.head import HeadModel, load


def random_parameters(head: HeadModel, batch: int) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)

    def random(*shape: int, scale: float) -> torch.Tensor:
        return (scale * torch.randn(*shape, generator=generator)).requires_grad_()

    return {
        "identity": random(len(head.identity_basis), scale=0.5),
        "expression": random(batch, len(head.expression_names), scale=0.2),
        "joints": random(batch, len(head.joint_names), 6, scale=0.05),
        "offsets": random(head.cage_count, 3, scale=0.0005),
        "placement": random(len(head.rigid_part_names), 9, scale=0.01),
    }


def seconds(work: Callable[[], object], repeat: int) -> list[float]:
    """Wall-clock time of each repetition, after two warm-up runs."""
    times = []
    for i in range(repeat + 2):
        start = time.perf_counter()
        work()
        if i >= 2:
            times.append(time.perf_counter() - start)
    return times


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--head", default="default")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeat", type=int, default=30)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    head = load(arguments.head)
    parameters = random_parameters(head, arguments.batch)
    weight = torch.randn(arguments.batch, head.vertex_count, 3)

    def forward() -> torch.Tensor:
        with torch.no_grad():
            return head(**parameters)

    def both() -> None:
        torch.autograd.grad((head(**parameters) * weight).sum(), list(parameters.values()))

    for name, work in (("forward", forward), ("forward + backward", both)):
        times = seconds(work, arguments.repeat)
        median, fastest = statistics.median(times), min(times)
        print(
            f"{name:20s} batch {arguments.batch}, {arguments.threads} threads: "
            f"{arguments.batch / median:7.0f} heads/s (median), {arguments.batch / fastest:7.0f} (fastest), "
            f"{median * 1e3:.1f} ms"
        )


if __name__ == "__main__":
    main()

"""Results that do not depend on the number of threads."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor


@contextmanager
def threads(count: int) -> Iterator[None]:
    """torch computes on so many threads inside; the workers of a parallel test run have one each."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def assert_same_bits(run: Callable[[], tuple[Tensor, ...]], count: int) -> None:
    """Fails unless `run` gives the same bits on one thread and on `count`."""
    with threads(1):
        one = run()
    with threads(count):
        assert all(torch.equal(a, b) for a, b in zip(one, run(), strict=True))

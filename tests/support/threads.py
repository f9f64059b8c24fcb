"""Results that do not depend on the number of threads."""

from collections.abc import Callable

import torch
from torch import Tensor


def assert_same_bits(run: Callable[[], tuple[Tensor, ...]], threads: int) -> None:
    """Fails unless `run` gives the same bits on one thread and on `threads`."""
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        one = run()
        torch.set_num_threads(threads)
        assert all(torch.equal(a, b) for a, b in zip(one, run(), strict=True))
    finally:
        torch.set_num_threads(before)

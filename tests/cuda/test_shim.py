"""The shim reports kernels that are wrong on purpose."""

from types import ModuleType

import pytest
import torch

pytestmark = [pytest.mark.slow, pytest.mark.parametrize("executor", ["source"], indirect=True)]

THREADS = 200


def run(shim: ModuleType, kind: str) -> tuple[int, list[str]]:
    out = torch.zeros(1, dtype=torch.int32)
    shim.run_broken(kind, THREADS, out)
    return int(out), shim.take_faults()


@pytest.mark.parametrize("seed", range(3))
def test_lost_updates(shim: ModuleType, seed: int) -> None:
    shim.seed(seed)
    total, faults = run(shim, "racy")
    assert total < THREADS and any("data race at byte 0" in fault for fault in faults)


def test_atomics_lose_nothing(shim: ModuleType) -> None:
    assert run(shim, "atomic") == (THREADS, [])


def test_atomics_mixed_with_plain_writes(shim: ModuleType) -> None:
    assert any("data race" in fault for fault in run(shim, "beside_atomic")[1])


def test_writes_beyond_an_array(shim: ModuleType) -> None:
    memory = torch.zeros(256, dtype=torch.int32)
    shim.run_broken("beyond", THREADS, memory[:100])
    assert any("outside of all arrays" in fault for fault in shim.take_faults())


def test_orders_differ(shim: ModuleType) -> None:
    """Seeds change the interleaving of threads, so that a race loses a different number of updates."""
    totals = set()
    for seed in range(5):
        shim.seed(seed)
        totals.add(run(shim, "racy")[0])
    assert len(totals) > 1

"""What every test shares: where captures are kept, and that a test leaves no global setting of torch behind."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

if "PYTEST_XDIST_WORKER" in os.environ:  # each worker is a process of one thread, and so are those that it starts
    os.environ["OMP_NUM_THREADS"] = "1"
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def no_deterministic_mode() -> Iterator[None]:
    """Ends the deterministic mode, which Lightning's Trainer sets for the whole process, before and after a test."""
    torch.use_deterministic_algorithms(False)
    yield
    torch.use_deterministic_algorithms(False)


@pytest.fixture(scope="session")
def small_head(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A head file for fits whose time matters and whose numbers do not: it halves that of a tiny fit."""
    from tests.support.small_head import write_small_head

    return write_small_head(tmp_path_factory.mktemp("head") / "small.npz")


@pytest.fixture(scope="session")
def real_capture() -> Path:
    """The capture `ict_talk_a` of $HEADFIT_CAPTURES, or of ../shared/captures; skips where it is not."""
    beside = Path(__file__).parents[2] / "shared" / "captures"
    capture = Path(os.environ.get("HEADFIT_CAPTURES", beside)) / "ict_talk_a"
    if not capture.is_dir():
        pytest.skip(f"the real capture is not at {capture}; HEADFIT_CAPTURES may name its folder")
    return capture

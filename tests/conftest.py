"""Captures, which are kept next to the repository and never inside it."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def real_capture() -> Path:
    """The capture `ict_talk_a` of $HEADFIT_CAPTURES, or of ../shared/captures; skips where it is not."""
    beside = Path(__file__).parents[2] / "shared" / "captures"
    capture = Path(os.environ.get("HEADFIT_CAPTURES", beside)) / "ict_talk_a"
    if not capture.is_dir():
        pytest.skip(f"the real capture is not at {capture}; HEADFIT_CAPTURES may name its folder")
    return capture

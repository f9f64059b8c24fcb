"""Modules that importing a room loads."""

import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("room", ["export", "evaluate", "evaluate.health", "fitting.run_folder"])
def test_results_are_read_without_lightning(room):
    script = f"import sys, headfit.{room}; assert 'pytorch_lightning' not in sys.modules"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr

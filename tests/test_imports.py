"""Modules that importing a room loads."""

import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow

ROOMS = ("export", "evaluate", "evaluate.health", "fitting.run_folder")


def test_results_are_read_without_lightning():
    """One process for all rooms, since torch takes it seconds; it names the first that imports Lightning."""
    script = (
        "import sys, importlib\n"
        f"for room in {ROOMS}:\n"
        "    importlib.import_module(f'headfit.{room}')\n"
        "    assert 'pytorch_lightning' not in sys.modules, room"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr

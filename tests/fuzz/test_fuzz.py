"""Hostile files: no crash, no hang, bounded memory, nothing written, and always one line that names the file.

The tests read a fixed share; `make fuzz` reads many more, from a new seed.
"""

import json
import os
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from tests.fuzz.parsers import PARSERS

ROOT = Path(__file__).parents[2]
EXAMPLES, SEED = 10, 0


@pytest.fixture(scope="module")
def answers() -> dict[str, list[dict[str, Any]]]:
    """What the worker printed, by parser: one process reads the files of all, since its start costs more than they."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENCV_LOG_LEVEL": "SILENT", "OPENCV_FFMPEG_LOGLEVEL": "-8"}
    command = [sys.executable, "-m", "tests.fuzz.worker", "all", str(EXAMPLES), str(SEED)]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=1200)
    told = defaultdict(list)
    for line in done.stdout.splitlines():
        answer = json.loads(line)
        told[answer["parser"]].append(answer)
    if done.returncode:
        told["died"].append({"status": done.returncode, "stderr": done.stderr[-2000:]})
    return told


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the bound on memory is Linux's")
@pytest.mark.parametrize("name", PARSERS)
def test_hostile_files_get_one_line_that_names_them(name: str, answers: dict[str, list[dict[str, Any]]]) -> None:
    faults = [answer for answer in answers[name] if "fault" in answer]
    told = "\n\n".join(f"example {f['example']}: {f['fault']}\n{f['data']}" for f in faults[:5])
    assert not faults, f"{len(faults)} of {EXAMPLES} hostile files:\n{told}"
    assert {"parser": name, "done": EXAMPLES} in answers[name], f"the process died: {answers['died']}"

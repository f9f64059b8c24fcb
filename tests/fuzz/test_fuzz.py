"""Hostile files: no crash, no hang, bounded memory, nothing written, and always one line that names the file.

CI reads a fixed share; `make fuzz` reads many more, from a new seed.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fuzz.parsers import PARSERS

ROOT = Path(__file__).parents[2]
EXAMPLES, SEED = int(os.environ.get("HEADFIT_FUZZ_EXAMPLES", "40")), int(os.environ.get("HEADFIT_FUZZ_SEED", "0"))


@pytest.fixture(scope="session")
def small_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder with a small checkpoint."""
    from headfit.fitting.config import RunArgs
    from headfit.fitting.run import fit
    from headfit.fitting.settings import load_config
    from headfit.synth import synthesize

    folder = tmp_path_factory.mktemp("fuzz")
    synthesize(folder / "capture", cameras=2, frames=1, width=48, height=64, seed=0)
    (folder / "c.yaml").write_text(
        "texture_size: 64\nstages: {rigid: {steps: 1, rates: {scale: 0.1}, weights: {mask: 1}}}"
    )
    fit(load_config(folder / "c.yaml"), RunArgs(capture=str(folder / "capture"), out=str(folder / "run")))
    return folder / "run"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the bound on memory is Linux's")
@pytest.mark.parametrize("name", PARSERS)
def test_hostile_files_get_one_line_that_names_them(name: str, request: pytest.FixtureRequest) -> None:
    environment = {**os.environ, "OPENCV_LOG_LEVEL": "SILENT", "OPENCV_FFMPEG_LOGLEVEL": "-8"}
    if name == "checkpoint":
        environment["HEADFIT_FUZZ_RUN"] = str(request.getfixturevalue("small_run"))
    command = [sys.executable, "-m", "tests.fuzz.worker", name, str(EXAMPLES), str(SEED)]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=3600)
    faults = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    told = "\n\n".join(f"example {f['example']}: {f['fault']}\n{f['data']}" for f in faults[:5])
    assert not faults, f"{len(faults)} of {EXAMPLES} hostile files:\n{told}"
    assert done.returncode == 0, f"the process died: {done.returncode}\n{done.stderr[-2000:]}"

"""A tiny synthetic capture of a small head, and settings that run through every kind of stage in seconds."""

from pathlib import Path

import pytest

from headfit.fitting.config import FitConfig, RunArgs
from headfit.fitting.settings import load_config
from headfit.head import load
from headfit.synth import synthesize

SETTINGS = """
texture_size: 128
steps_per_checkpoint: 2
steps_per_picture: 100
stages:
  rigid:
    steps: 4
    resolution: 64
    views_per_frame: 2
    blur: 2.0
    rates: {rotation: 0.01, translation: 0.002}
    weights: {mask: 1, landmark: 1000}
  photo:
    steps: 6
    resolution: 80
    views_per_frame: 2
    rates: {translation: 0.0002, identity: 0.03, expression: 0.01, joints: 0.01, placement: 0.005, offsets: 0.0002,
            texture: 0.01, light: 0.005, gloss: 0.005, gain: 0.002}
    weights: {mask: 1, photometric: 0.5, identity: 2.0e-3, expression: 1.0e-3, offsets: 1.0e+3}
"""


@pytest.fixture(scope="session")
def capture_path(small_head: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("synth") / "capture"
    synthesize(out, cameras=3, frames=2, width=60, height=80, seed=1, head=load(small_head))
    return out


@pytest.fixture(scope="session")
def settings(small_head: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("config") / "tiny.yaml"
    path.write_text(f"head: {small_head}\n{SETTINGS}")
    return path


@pytest.fixture
def config(settings: Path) -> FitConfig:
    return load_config(settings)


@pytest.fixture
def args(capture_path: Path, tmp_path: Path) -> RunArgs:
    return RunArgs(capture=str(capture_path), out=str(tmp_path / "run"))


@pytest.fixture(scope="session")
def finished(capture_path: Path, settings: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a whole run with cam01 held out."""
    from headfit.fitting.run import fit

    config = load_config(settings, ["hold_out=[cam01]"])
    out = tmp_path_factory.mktemp("finished") / "run"
    fit(config, RunArgs(capture=str(capture_path), out=str(out)))
    return out

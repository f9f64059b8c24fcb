from pathlib import Path

import pytest

from headfit.fitting.model import FittedHead
from tests.support.made_run import made_model, write_run


@pytest.fixture(scope="session")
def shared_model() -> FittedHead:
    """The default head in three frames; the mouth opens in the second one. Not to be changed."""
    model = made_model(frames=3)
    jaw = model.head.joint_names.index("jaw")
    model.geometry.joints_scaled.data[1, jaw, 0] = 0.3
    return model


@pytest.fixture
def run_folder(shared_model: FittedHead, tmp_path: Path) -> Path:
    """A run folder of `shared_model`, whose capture is not there."""
    return write_run(tmp_path / "run", shared_model)

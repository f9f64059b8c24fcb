import os
from pathlib import Path

import numpy as np
import pytest

from headfit.capture import open_capture
from headfit.errors import HeadfitError
from headfit.view.viewed_run import ViewedRun
from tests.support.made_run import write_run


@pytest.mark.slow
def test_a_newer_checkpoint_is_followed(run_folder: Path) -> None:
    run = ViewedRun(run_folder, None)
    assert run.image(0, 0) is None and run.mask(0, 0) is None  # there is no capture
    before = run.painter.pose(0).vertices
    assert not run.refresh()
    old = {name: value.clone() for name, value in run.model.state_dict().items()}
    run.model.geometry.translation.data[0, 0] += 0.05
    run.model.visited[2] = False
    write_run(run_folder, run.model)
    run.model.load_state_dict(old)
    assert run.refresh() and not run.refresh()
    np.testing.assert_allclose(run.painter.pose(0).vertices - before, [[0.05, 0, 0]] * len(before), atol=1e-6)
    assert run.is_fitted(1) and not run.is_fitted(2)


@pytest.mark.slow
def test_a_checkpoint_that_cannot_be_read_changes_nothing(run_folder: Path) -> None:
    run = ViewedRun(run_folder, None)
    last = run_folder / "checkpoints" / "last.ckpt"
    whole = last.read_bytes()
    last.write_bytes(whole[:1000])
    assert not run.refresh()
    last.write_bytes(whole)
    os.utime(last, ns=(1, 1))
    assert run.refresh()


def test_a_folder_without_a_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(HeadfitError, match=str(tmp_path)):
        ViewedRun(tmp_path, None)


@pytest.mark.slow
def test_pictures_are_found_by_name(run_folder: Path, tmp_path: Path) -> None:
    """The capture lacks the run's first camera and has its frames in other places."""
    from headfit.synth import synthesize

    synthesize(tmp_path / "capture", cameras=2, frames=2, width=60, height=80, seed=1)
    text = (tmp_path / "capture" / "capture.json").read_text()
    (tmp_path / "capture" / "capture.json").write_text(text.replace('"cam01"', '"cam1"'))
    for kind in ("images", "masks"):
        (tmp_path / "capture" / kind / "cam01").rename(tmp_path / "capture" / kind / "cam1")
    capture = open_capture(tmp_path / "capture")
    run = ViewedRun(run_folder, capture)
    assert run.image(0, 0) is None and run.image(1, 2) is None
    image, mask = run.image(1, 1), run.mask(1, 1)
    assert image is not None and mask is not None
    np.testing.assert_array_equal(image, capture.image(1, 1))
    np.testing.assert_array_equal(mask, capture.mask(1, 1))

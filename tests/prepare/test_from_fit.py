"""`headfit prepare CAPTURE --from-fit RUN`."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from headfit.capture import open_capture
from headfit.capture.manifest import camera_entry
from headfit.capture.source import has_masks, shows_outline
from headfit.cli import main
from headfit.errors import HeadfitError
from headfit.fitting.config import RunArgs
from headfit.fitting.run_folder import Run
from headfit.prepare.from_fit import masks_from_fit
from tests.support.made_run import made_model

FRAMES = 3


@pytest.fixture(scope="module")
def run() -> Run:
    """A head at rest, of which the last frame was never fitted."""
    model = made_model(FRAMES)
    model.visited[FRAMES - 1] = False
    return Run(Path("run"), model, RunArgs())


@pytest.fixture
def folder(run: Run, tmp_path: Path) -> Path:
    """Its pictures, with every part in a colour of its own; cam1 is late by a frame. Masks know the background."""
    capture = run.model.capture
    rng = np.random.default_rng(0)
    colours = rng.integers(60, 255, (len(run.model.head.label_names) + 1, 3))
    colours[-1] = 0
    for camera in capture.cameras:
        label = run.model.render(camera, 0)["label"]
        for what, values in (("images", colours[label]), ("masks", np.where(label < 0, 0, 1))):
            (tmp_path / what / camera.id).mkdir(parents=True)
            for name in capture.frames:
                Image.fromarray(values.astype(np.uint8)).save(tmp_path / what / camera.id / f"{name}.png")
    cameras = [camera_entry(camera) for camera in capture.cameras]
    cameras[1]["offset"] = 1
    content = {"name": "made", "fps": 12, "units": "m", "frames": capture.frames, "cameras": cameras}
    (tmp_path / "capture.json").write_text(json.dumps(content | {"classes": {"0": "background", "1": "skin"}}))
    return tmp_path


@pytest.mark.slow
def test_masks_are_those_of_the_moment_that_a_picture_shows(folder: Path, run: Run) -> None:
    lines: list[str] = []
    masks_from_fit(folder, run, lines.append)
    capture = open_capture(folder)
    assert "capture.before-prepare-1.json" in lines[0]
    content = json.loads((folder / "capture.json").read_text())
    assert content["cameras"][1]["offset"] == 1 and "masks" in content["prepared"]
    names = run.model.head.label_names
    shown = run.model.render(run.model.capture.cameras[0], 0)["label"]
    for camera, name, has_parts in (
        ("cam0", "000000", True),
        ("cam0", "000002", False),  # never fitted
        ("cam1", "000001", True),  # the first moment
        ("cam1", "000002", True),
    ):
        mask = np.array(Image.open(folder / "fit_masks" / camera / f"{name}.png"))
        found = {content["masks"]["labels"][str(value)] for value in np.unique(mask)}
        assert ("skin" in found) is has_parts, (camera, name)
        assert "background" in found
    assert not (folder / "fit_masks/cam1/000000.png").exists(), "no moment is in it"
    mask = capture.mask(0, 0)
    assert mask is not None
    lips = np.isin(shown, [names.index("upper_lip"), names.index("lower_lip")])
    by_mask = np.array([capture.label_names.get(value) == "lips" for value in range(256)])[mask]
    assert (lips & by_mask).sum() > 0.7 * (lips | by_mask).sum() > 0


@pytest.mark.slow
def test_without_given_masks_the_new_ones_tell_of_the_face_only(folder: Path, run: Run) -> None:
    assert shows_outline(open_capture(folder))
    shutil.rmtree(folder / "masks")
    masks_from_fit(folder, run, lambda line: None)
    capture = open_capture(folder)
    assert set(capture.label_names.values()) == {"skin", "lips", "left_eye", "right_eye", "unknown"}
    assert has_masks(capture) and not shows_outline(capture), "the next fit must not look for an outline either"


@pytest.mark.slow
def test_turned_cameras_and_numbered_pictures_are_read_as_they_are_written(folder: Path, run: Run) -> None:
    """Pictures that are stored upside down, one late by three of a sparse numbering."""
    content = json.loads((folder / "capture.json").read_text())
    content["cameras"][0]["rotate"] = 180
    content["cameras"][1]["offset"] = 3
    content["frames"] = ["000000", "000001"]
    (folder / "capture.json").write_text(json.dumps(content))
    for what in ("images", "masks"):
        for file in (folder / what / "cam0").glob("*.png"):
            Image.fromarray(np.array(Image.open(file))[::-1, ::-1].copy()).save(file)
        for old, new in (("000002", "000004"), ("000001", "000003")):
            (folder / what / "cam1" / f"{old}.png").rename(folder / what / "cam1" / f"{new}.png")
    before = open_capture(folder)
    known = [before.mask(view, 0) for view in range(2)]
    masks_from_fit(folder, run)
    after = open_capture(folder)
    for view, old in enumerate(known):
        new = after.mask(view, 0)
        assert new is not None and old is not None
        background = [[c.label_names.get(int(v)) == "background" for v in range(256)] for c in (before, after)]
        agree = np.array(background[0])[old] == np.array(background[1])[new]
        assert agree.mean() > 0.97


@pytest.mark.slow
def test_the_masks_of_an_earlier_fit_stay(folder: Path, run: Run) -> None:
    masks_from_fit(folder, run)
    first = (folder / "fit_masks/cam0/000000.png").read_bytes()
    masks_from_fit(folder, run)
    assert (folder / "fit_masks/cam0/000000.png").read_bytes() == first
    content = json.loads((folder / "capture.json").read_text())
    assert content["masks"]["path"].startswith("fit_masks_2/")
    assert json.loads((folder / "capture.before-prepare-2.json").read_text())["masks"]["path"].startswith("fit_masks/")


def test_a_run_of_another_capture_is_refused(folder: Path, run: Run) -> None:
    content = json.loads((folder / "capture.json").read_text())
    for index, entry in enumerate(content["cameras"]):
        entry["id"] = f"other{index}"
        (folder / "images" / f"cam{index}").rename(folder / "images" / entry["id"])
    (folder / "capture.json").write_text(json.dumps(content))
    with pytest.raises(HeadfitError, match="none of the cameras of made"):
        masks_from_fit(folder, run)


def test_a_run_of_pictures_of_another_size_is_refused(folder: Path, run: Run) -> None:
    content = json.loads((folder / "capture.json").read_text())
    content["cameras"][2]["width"] = 61
    (folder / "capture.json").write_text(json.dumps(content))
    with pytest.raises(HeadfitError, match=r"60x80 of camera cam2, which now has 61x80"):
        masks_from_fit(folder, run)


def test_a_capture_without_calibration_is_refused(folder: Path, run: Run) -> None:
    content = json.loads((folder / "capture.json").read_text())
    del content["cameras"][0]["K"]
    (folder / "capture.json").write_text(json.dumps(content))
    with pytest.raises(HeadfitError, match="without --from-fit first"):
        masks_from_fit(folder, run)


def test_the_command_says_what_is_no_run(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["prepare", str(folder), "--from-fit", str(folder / "nowhere")]) != 0
    assert str(folder / "nowhere") in capsys.readouterr().err

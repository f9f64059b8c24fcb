"""The whole of `headfit prepare`, with a pretended detector, segmentation and calibration."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from headfit.capture import open_capture
from headfit.capture.landmark_files import write_landmarks
from headfit.errors import HeadfitError
from headfit.prepare import run
from headfit.prepare.calibrate import Calibration
from headfit.prepare.draft import Draft
from headfit.prepare.face_mesh import DenseLandmarks
from headfit.prepare.network import load_network
from headfit.prepare.run import Options, prepare
from headfit.segmentation.labels import SKIN
from tests.support.rigs import face_landmarks, rig_around

VIEWS, FRAMES, WIDTH, HEIGHT = 3, 10, 400, 500


class Pretended:
    """A detector that knows the face of each picture by the picture's colour; view 1 is late by a frame."""

    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        self.rig = rig_around(VIEWS)
        self.landmarks = face_landmarks(self.rig, FRAMES + 1, bias=0.0, rng=rng)
        opening = rng.uniform(0, 0.3, FRAMES + 1) * np.ptp(self.landmarks[0, 0, :, 1])
        for frame in range(FRAMES + 1):
            self.landmarks[:, frame, 14, :2] = self.landmarks[:, frame, 13, :2] + [0, opening[frame]]
        self.calls = 0

    def __call__(self, image: np.ndarray) -> DenseLandmarks | None:
        self.calls += 1
        view, frame, _ = (int(value) for value in image[0, 0] // 10)
        if (view, frame) == (2, 5):
            return None
        found = self.landmarks[view, frame + (view != 1)]  # a picture of view 1 shows the time before
        return DenseLandmarks(found[:, :3], found[:, 3], 1.0)


def segmentation(image: np.ndarray) -> np.ndarray:
    person = np.zeros(image.shape[:2])
    person[100:400, 100:300] = 1.0
    return person


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Pictures only: no capture.json."""
    for view in range(VIEWS):
        (tmp_path / f"images/cam{view}").mkdir(parents=True)
        for frame in range(FRAMES):
            picture = np.full((HEIGHT, WIDTH, 3), [10 * view, 10 * frame, 0], np.uint8)
            Image.fromarray(picture).save(tmp_path / f"images/cam{view}/{frame:03d}.png")
    return tmp_path


@pytest.fixture
def calibrated(monkeypatch: pytest.MonkeyPatch) -> Pretended:
    pretended = Pretended()
    found = Calibration(pretended.rig, np.full(VIEWS, 0.3), np.full(VIEWS, 100), 200, [])
    monkeypatch.setattr(run, "calibrate", lambda *args: found)
    return pretended


def test_frames_of_folders_are_pictures_in_their_natural_order(tmp_path: Path) -> None:
    (tmp_path / "images/cam00").mkdir(parents=True)
    for name in ("1.png", "2.png", "10.png", "9.JPG", "Thumbs.db", ".DS_Store", "._1.png"):
        (tmp_path / "images/cam00" / name).touch()
    Image.new("RGB", (4, 3)).save(tmp_path / "images/cam00/1.png")
    assert Draft(tmp_path).content["frames"] == ["1", "2", "9", "10"]


def test_pictures_alone_become_a_capture(folder: Path, calibrated: Pretended) -> None:
    lines: list[str] = []
    prepare(folder, Options(), lines.append, calibrated, segmentation)
    capture = open_capture(folder)
    assert [camera.id for camera in capture.cameras] == ["cam0", "cam1", "cam2"] and len(capture.frames) == FRAMES
    scale = np.linalg.norm(capture.cameras[1].t) / np.linalg.norm(calibrated.rig.t[1])
    assert scale == pytest.approx(1.0, rel=0.06)
    np.testing.assert_allclose(capture.cameras[1].R, calibrated.rig.R[1], atol=1e-9)
    content = json.loads((folder / "capture.json").read_text())
    assert [entry.get("offset", 0) for entry in content["cameras"]] == [0, pytest.approx(1, abs=0.4), 0]
    assert content["masks"]["rough"], "a fit shall make them again"
    assert set(content["prepared"]) == {"landmarks", "offsets", "masks", "calibration"}
    found = capture.landmarks(0, 3)
    assert found is not None and found.shape == (68, 3)
    np.testing.assert_allclose(found[36, :2], calibrated.landmarks[0, 4, 33, :2], atol=1e-3)
    assert capture.landmarks(2, 5) is None
    mask = capture.mask(0, 3)
    assert mask is not None and capture.label_names[int(mask[5, 5])] == "background"
    masks = [np.array(Image.open(folder / f"prepared_masks/cam1/{frame:03d}.png")) for frame in range(FRAMES)]
    has_face = [bool((mask == SKIN).any()) for mask in masks]
    assert has_face == [False] + [True] * (FRAMES - 1), "its first picture was taken before the others' first"
    assert any("no face found in 1" in line for line in lines) and any("cam1: late by" in line for line in lines)


@pytest.mark.slow
def test_what_is_there_already_is_kept(folder: Path, calibrated: Pretended) -> None:
    prepare(folder, Options(), print, calibrated, segmentation)
    before = json.loads((folder / "capture.json").read_text())
    mask = (folder / "prepared_masks/cam0/000.png").stat().st_mtime_ns
    write_landmarks(folder / "landmarks/cam0/000.json", np.ones((68, 3)))
    calls = calibrated.calls
    prepare(folder, Options(), print, calibrated, segmentation)
    after = json.loads((folder / "capture.json").read_text())
    assert after == before and calibrated.calls == calls + 1  # the view without a face is tried again
    assert (folder / "prepared_masks/cam0/000.png").stat().st_mtime_ns == mask
    assert json.loads((folder / "capture.before-prepare-1.json").read_text()) == before


@pytest.mark.slow
def test_a_calibration_that_is_there_is_not_replaced(folder: Path, calibrated: Pretended) -> None:
    prepare(folder, Options(), print, calibrated, segmentation)
    content = json.loads((folder / "capture.json").read_text())
    content["cameras"][0]["t"] = [0.0, 0.0, 9.0]
    (folder / "capture.json").write_text(json.dumps(content))
    prepare(folder, Options(), print, calibrated, segmentation)
    assert open_capture(folder).cameras[0].t[2] == 9
    prepare(folder, Options(overwrite=True), print, calibrated, segmentation)
    assert open_capture(folder).cameras[0].t[2] != 9


@pytest.mark.slow
def test_a_camera_without_a_pose_is_left_out(
    folder: Path, calibrated: Pretended, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = Calibration(calibrated.rig, np.full(VIEWS, 0.3), np.full(VIEWS, 100), 200, [2])
    monkeypatch.setattr(run, "calibrate", lambda *args: found)
    lines: list[str] = []
    prepare(folder, Options(), lines.append, calibrated, segmentation)
    assert [camera.id for camera in open_capture(folder).cameras] == ["cam0", "cam1"]
    assert any("cam2: without a pose, left out" in line for line in lines)


def test_an_empty_folder_is_no_capture(tmp_path: Path) -> None:
    with pytest.raises(HeadfitError, match=r"neither a capture\.json nor pictures"):
        prepare(tmp_path, Options(), print, lambda image: None, segmentation)


def test_a_camera_without_a_name_is_said(folder: Path) -> None:
    (folder / "capture.json").write_text(json.dumps({"frames": ["000"], "cameras": [{"width": 4}]}))
    with pytest.raises(HeadfitError, match="each must be an object with an 'id'"):
        prepare(folder, Options(), print, lambda image: None, segmentation)


def test_without_the_extra_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ai_edge_litert", None)
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
    with pytest.raises(HeadfitError, match=r"pip install 'headfit\[prepare\]'"):
        load_network(tmp_path / "any.tflite")

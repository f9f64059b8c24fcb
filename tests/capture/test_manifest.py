"""Every fault of capture.json is named with the file, the camera and the field."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from headfit.capture import open_capture
from headfit.capture.lenses import LENSES
from headfit.capture.manifest import camera_entry, read_camera
from headfit.errors import HeadfitError
from tests.support.lenses import EquidistantFisheye

Change = Callable[[dict[str, Any]], None]
MIRROR = np.diag([1.0, 1.0, -1.0]).tolist()


def camera(field: str, value: Any = None) -> Change:
    """Change a field of the second camera, or remove it."""

    def change(content: dict[str, Any]) -> None:
        if value is None:
            content["cameras"][1].pop(field)
        else:
            content["cameras"][1][field] = value

    return change


def top(field: str, value: Any = None) -> Change:
    def change(content: dict[str, Any]) -> None:
        if value is None:
            content.pop(field)
        else:
            content[field] = value

    return change


FAULTS: dict[str, tuple[Change, str]] = {
    "no width": (camera("width"), r"cameras[1].width: missing, expected the image size in pixels (camera cam1)"),
    "no height": (camera("height"), "cameras[1].height: missing"),
    "width is text": (camera("width", "640"), "cameras[1].width: expected the image size"),
    "width is a fraction": (camera("width", 24.5), "cameras[1].width: expected the image size, a whole number"),
    "height is negative": (camera("height", -3), "cameras[1].height: expected the image size, a positive number"),
    "no K": (camera("K"), "cameras[1].K: missing, expected 3x3 numbers"),
    "K is 3x4": (camera("K", np.zeros((3, 4)).tolist()), "cameras[1].K: expected 3x3 numbers, found 3x4"),
    "K without focal length": (camera("K", np.diag([0, 0, 1]).tolist()), "cameras[1].K: expected [[fx,s,cx]"),
    "K is ragged": (camera("K", [[1, 0], [0], [1]]), "cameras[1].K: expected numbers only"),
    "R is not a rotation": (camera("R", (2 * np.eye(3)).tolist()), "cameras[1].R: expected a rotation"),
    "R mirrors": (
        camera("R", MIRROR),
        "cameras[1].R: expected a rotation, world to camera with OpenCV axes, but it mi",
    ),
    "t is 4 long": (camera("t", [0, 0, 0, 1]), "cameras[1].t: expected 3 numbers, found 4"),
    "t is not finite": (camera("t", [0, 0, float("nan")]), "cameras[1].t: expected finite numbers"),
    "dist of 3": (camera("dist", [0] * 3), "cameras[1].dist: lens 'opencv' has the coefficients"),
    "unknown lens": (camera("lens", "fisheye9"), "cameras[1].lens: expected one of opencv"),
    "lens is a number": (camera("lens", 5), "cameras[1].lens: expected one of opencv"),
    "lens without a model": (camera("lens", {}), "cameras[1].lens.model: missing, expected one of opencv"),
    "lens with a misspelt field": (camera("lens", {"model": "opencv", "k": []}), "cameras[1].lens.k: unknown"),
    "coefficients of 3": (
        camera("lens", {"model": "opencv", "coefficients": [0] * 3}),
        "cameras[1].lens.coefficients: lens 'opencv' has the coefficients",
    ),
    "dist of rows": (camera("dist", [[0] * 4]), "cameras[1].dist: expected a list of numbers"),
    "rotated a bit": (
        camera("rotate", 45),
        "cameras[1].rotate: expected one of 0, 90, 180, 270, found 45 (camera cam1)",
    ),
    "late by words": (camera("offset", "two"), "cameras[1].offset: expected a number of frames, found 'two'"),
    "no id": (camera("id"), "cameras[1].id: missing"),
    "same id twice": (camera("id", "cam0"), "cameras: given more than once: cam0"),
    "no cameras": (top("cameras"), "cameras: missing"),
    "cameras are names": (top("cameras", ["cam0"]), "cameras[0]: expected an object, found 'cam0'"),
    "no units": (top("units"), "units: missing"),
    "unknown units": (top("units", "inch"), "units: expected one of m, cm, mm, found 'inch'"),
    "no fps": (top("fps"), "fps: missing"),
    "fps is zero": (top("fps", 0), "fps: expected a positive number, found 0"),
    "no frames": (top("frames"), "frames: missing"),
    "an empty list of frames": (top("frames", []), "frames: expected a list of frame names, not empty, found []"),
    "frames are numbers": (top("frames", [1, 2]), "frames[0]: expected a string"),
    "a frame twice": (top("frames", ["0000", "0001", "0000"]), "frames: given more than once: 0000"),
    "a range without an end": (top("frames", {"start": 1}), "frames.stop: missing"),
    "an empty range": (top("frames", {"start": 5, "stop": 5}), "frames: expected 0 <= start < stop"),
    "an endless range": (top("frames", {"stop": 10**15}), "frames: expected 0 <= start < stop"),
    "unknown class": (top("classes", {"0": "background", "3": "lipz"}), "classes.3: unknown label name 'lipz'"),
    "a label map as classes": (
        top("classes", "matte"),
        "classes: expected an object; the name of a label map belongs to the masks, as "
        '{"path": ..., "labels": "matte"}',
    ),
    "class value too large": (top("classes", {"300": "skin"}), "classes.300: the key must be a mask value"),
    "unknown placeholder": (
        top("images", "{cam}/{frame}.png"),
        "images: unknown placeholder {cam}, expected {camera}, ",
    ),
    "number format of a camera": (camera("images", "{camera:03d}"), "cameras[1].images: {camera} is a name"),
    "an open brace": (top("images", "{camera/{frame}"), "images: not a pattern ("),
    "a video in a zip": (top("images", "a.zip/{camera}.mp4"), "images: a video inside a zip file cannot be read"),
    "masks as a video": (top("masks", "{camera}.mp4"), "masks: compression changes the class values of a video"),
    "a misspelt offset": (
        top("images", {"path": "x", "ofset": 2}),
        "images.ofset: unknown, expected one of path, offset",
    ),
    "a step of zero": (
        top("images", {"path": "x", "step": 0}),
        "images.step: expected a whole number above 0, found 0",
    ),
    "unknown scheme": (top("landmarks", {"path": "x", "scheme": "wflw"}), "landmarks.scheme: expected one of ibug68"),
    "a label map of nobody": (top("masks", {"path": "x", "labels": "foo"}), "masks.labels: expected one of "),
    "unknown label": (top("masks", [{"path": "x", "labels": {"1": "lipz"}}]), "masks[0].labels.1: unknown label name"),
    "values and colors": (
        top("masks", {"path": "x", "labels": {"1": "skin", "0,1,2": "hair"}}),
        "masks.labels: expected mask values or colors, and not both",
    ),
    "roughness": (top("masks", {"path": "x", "rough": "yes"}), "masks.rough: expected one of False, True, found 'yes'"),
    "unknown color step": (camera("color", [{"tint": 1}]), "cameras[1].color[0].tint: unknown, expected one of affine"),
    "two steps in one": (camera("color", [{"gamma": 2, "gain": [1, 1, 1]}]), "cameras[1].color[0]: expected one step"),
    "ccm of 6 columns": (
        top("images", {"path": "x", "color": [{"ccm": np.ones((3, 6)).tolist()}]}),
        "images.color[0].ccm: expected 3x3 or 3x4 or",
    ),
}


def edit(root: Path, change: Change) -> None:
    content = json.loads((root / "capture.json").read_text())
    change(content)
    (root / "capture.json").write_text(json.dumps(content))


@pytest.mark.parametrize(("change", "message"), FAULTS.values(), ids=FAULTS.keys())
def test_fault(change: Change, message: str, write_capture: Callable[..., Path]) -> None:
    root = write_capture(frames=1)
    edit(root, change)
    with pytest.raises(HeadfitError, match=re.escape(f"capture.json: {message}")):
        open_capture(root)


def test_missing_folder_file_and_broken_json(tmp_path: Path) -> None:
    with pytest.raises(HeadfitError, match="nowhere: no such capture folder"):
        open_capture(tmp_path / "nowhere")
    with pytest.raises(HeadfitError, match=r"capture\.json: missing"):
        open_capture(tmp_path)
    (tmp_path / "capture.json").write_text('{"name": ')
    with pytest.raises(HeadfitError, match=r"capture\.json: cannot be read as JSON"):
        open_capture(tmp_path)
    (tmp_path / "capture.json").write_text("[]")
    with pytest.raises(HeadfitError, match="expected an object"):
        open_capture(tmp_path)


def test_a_valid_file(write_capture: Callable[..., Path]) -> None:
    capture = open_capture(write_capture())
    assert [camera.id for camera in capture.cameras] == ["cam0", "cam1", "cam2"]
    assert capture.frames == ["0000", "0001", "0002", "0003"]
    assert (capture.fps, capture.metres_per_unit, capture.label_names[2]) == (25, 1.0, "lips")
    assert capture.camera_index("cam2") == 2
    with pytest.raises(HeadfitError, match=r"no camera 'cam9'.*cam0, cam1, cam2"):
        capture.camera_index("cam9")


def test_millimetres_become_metres_and_four_distortion_terms_five(write_capture: Callable[..., Path]) -> None:
    root = write_capture(frames=1)
    metres = open_capture(root).cameras[1]

    def change(content: dict[str, Any]) -> None:
        content["units"] = "mm"
        content["cameras"][1]["t"] = [1000 * value for value in content["cameras"][1]["t"]]
        content["cameras"][1]["dist"] = [0.1, 0.2, 0.3, 0.4]

    edit(root, change)
    capture = open_capture(root)
    np.testing.assert_allclose(capture.cameras[1].t, metres.t)
    np.testing.assert_allclose(capture.cameras[1].lens.coefficients, [0.1, 0.2, 0.3, 0.4, 0])
    np.testing.assert_allclose(capture.cameras[0].lens.coefficients, np.zeros(5))
    assert capture.metres_per_unit == 0.001


def test_a_lens_model_is_known_by_its_entry_in_the_table(
    write_capture: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(LENSES, "equidistant", EquidistantFisheye)
    root = write_capture(frames=1)
    edit(root, camera("lens", "equidistant"))
    read = open_capture(root).cameras[1]
    assert isinstance(read.lens, EquidistantFisheye)
    assert camera_entry(read)["lens"]["model"] == "equidistant"
    again = read_camera(camera_entry(read))
    assert isinstance(again.lens, EquidistantFisheye) and (again.K == read.K).all() and (again.t == read.t).all()
    assert "lens" not in camera_entry(open_capture(root).cameras[0])

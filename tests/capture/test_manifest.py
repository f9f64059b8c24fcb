"""Every fault of capture.json is named with the file, the camera and the field."""

import json
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
    "no width": (camera("width"), "camera cam1: 'width' is missing"),
    "no height": (camera("height"), "camera cam1: 'height' is missing"),
    "width is text": (camera("width", "640"), "camera cam1: 'width' is '640'"),
    "width is a fraction": (camera("width", 24.5), "camera cam1: 'width' and 'height' must be whole"),
    "no K": (camera("K"), "camera cam1: 'K' is missing"),
    "K is 3x4": (camera("K", np.zeros((3, 4)).tolist()), r"camera cam1: 'K' has shape \(3, 4\)"),
    "K without focal length": (camera("K", np.diag([0, 0, 1]).tolist()), "camera cam1: 'K' must be"),
    "K is ragged": (camera("K", [[1, 0], [0], [1]]), "camera cam1: 'K' must hold numbers"),
    "R is not a rotation": (camera("R", (2 * np.eye(3)).tolist()), "camera cam1: 'R' is not a rotation"),
    "R mirrors": (camera("R", MIRROR), "camera cam1: 'R' is not a rotation: mirrors"),
    "t is 4 long": (camera("t", [0, 0, 0, 1]), "camera cam1: 't' has shape"),
    "t is not finite": (
        camera("t", [0, 0, float("nan")]),
        "camera cam1: 't' holds values that are not finite",
    ),
    "dist of 7": (camera("dist", [0] * 7), "camera cam1: 'dist' must be"),
    "unknown lens": (
        camera("lens", "fisheye9"),
        "camera cam1: 'lens' 'fisheye9' is unknown. Known lens models: opencv",
    ),
    "lens is a number": (camera("lens", 5), "camera cam1: 'lens' 5 is unknown"),
    "dist of rows": (camera("dist", [[0] * 4]), r"camera cam1: 'dist' must be \[k1,k2,p1,p2\] or \[k1,k2,p1,p2,k3\]"),
    "no id": (camera("id"), "camera number 1 has no 'id'"),
    "same id twice": (camera("id", "cam0"), "camera id given more than once: cam0"),
    "no cameras": (top("cameras"), "'cameras' is missing"),
    "no units": (top("units"), "'units' missing"),
    "unknown units": (top("units", "inch"), "'units' 'inch' is unknown"),
    "no fps": (top("fps"), "'fps' is missing"),
    "fps is zero": (top("fps", 0), "'fps' is 0"),
    "no frames": (top("frames"), "'frames' is missing or empty"),
    "frames are numbers": (top("frames", [1, 2]), "'frames' must be a list of strings"),
    "a frame twice": (top("frames", ["0000", "0001", "0000"]), "frame given more than once: 0000"),
    "unknown class": (
        top("classes", {"0": "background", "3": "lipz"}),
        "'classes' 3: unknown label name 'lipz'",
    ),
    "class value too large": (top("classes", {"300": "skin"}), "'classes' has the key '300'"),
}


def edit(root: Path, change: Change) -> None:
    content = json.loads((root / "capture.json").read_text())
    change(content)
    (root / "capture.json").write_text(json.dumps(content))


@pytest.mark.parametrize(("change", "message"), FAULTS.values(), ids=FAULTS.keys())
def test_fault(change: Change, message: str, write_capture: Callable[..., Path]) -> None:
    root = write_capture(frames=1)
    edit(root, change)
    with pytest.raises(HeadfitError, match=f"capture.json: {message}"):
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
    assert camera_entry(read)["lens"] == "equidistant"
    again = read_camera(camera_entry(read))
    assert isinstance(again.lens, EquidistantFisheye) and (again.K == read.K).all() and (again.t == read.t).all()
    assert "lens" not in camera_entry(open_capture(root).cameras[0])

"""`check` finds what is wrong, names it, and reports nothing else."""

import json
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from headfit.capture.check import check, format_report
from headfit.cli import main
from headfit.errors import HeadfitError

WriteCapture = Callable[..., Path]


@pytest.fixture
def write_capture(write_capture: WriteCapture) -> WriteCapture:
    """Captures with a face, about which there is nothing to complain."""
    return partial(write_capture, face=True)


def test_a_sound_capture(write_capture: WriteCapture) -> None:
    report = check(write_capture())
    assert (report.errors, report.warnings, report.exit_status) == ([], [], 0)
    text = format_report(report)
    assert "nothing to complain about" in text
    assert "cam1    24x32  4       4      4" in text
    assert "background  skin   lips" in text and "50.00       50.00  0.00" in text
    np.testing.assert_allclose(report.rig.look_at, 0, atol=1e-9)
    np.testing.assert_allclose(report.rig.distance, np.hypot(1, 0.1))
    assert report.rig.widest_angle == pytest.approx(79, abs=1)


def test_the_real_capture_is_sound(real_capture: Path) -> None:
    report = check(real_capture)
    assert (report.errors, report.warnings, report.exit_status) == ([], [], 0)
    assert all(camera.images.good == camera.masks.good == camera.landmarks.good == 12 for camera in report.cameras)


def test_every_damaged_and_missing_file_is_named(write_capture: WriteCapture) -> None:
    root = write_capture(suffix=".jpg")
    truncated = root / "images" / "cam0" / "0001.jpg"
    truncated.write_bytes(truncated.read_bytes()[:-5])
    (root / "images" / "cam0" / "0002.jpg").unlink()
    for image in (root / "images" / "cam1").iterdir():
        image.unlink()
    cv2.imwrite(str(root / "masks" / "cam2" / "0000.png"), np.full((32, 24), 99, np.uint8))
    (root / "masks" / "cam2" / "0003.png").unlink()
    (root / "landmarks" / "cam2" / "0000.json").write_text("{}")
    report = check(root)
    expected = [
        "images/cam0/0001.jpg: truncated JPEG",
        "camera cam0: images missing in frames 0002",
        "camera cam1: no images. Expected images/cam1/<frame>.jpg",
        "masks/cam2/0000.png: holds class values that capture.json does not name: [99]",
        "landmarks/cam2/0000.json: not a landmark file",
    ]
    assert len(report.errors) == len(expected)
    for message in expected:
        assert any(message in error for error in report.errors), message
    assert report.warnings == ["camera cam2: masks missing in frames 0003"]
    assert report.exit_status == 1
    text = format_report(report)
    assert "2 (1 missing, 1 damaged)" in text and "errors (5):" in text and "warnings (1):" in text
    assert "cam1    24x32  none" in text


def test_masks_and_landmarks_may_be_absent(write_capture: WriteCapture) -> None:
    root = write_capture()
    (root / "masks").rename(root / "old_masks")
    (root / "landmarks").rename(root / "old_landmarks")
    report = check(root)
    assert (report.errors, report.exit_status) == ([], 0)
    assert ["no masks, although 'classes' names labels" in warning for warning in report.warnings] == [True]
    assert "nothing to complain about" not in format_report(report)
    edited(root, lambda content: content.pop("classes"))
    report = check(root)
    assert (report.errors, report.warnings) == ([], [])
    assert "no masks: " in format_report(report) and "nothing to complain about" not in format_report(report)
    assert "share of the masks" not in format_report(report)


def test_a_video_that_cannot_be_opened_is_one_error(write_capture: WriteCapture) -> None:
    root = write_capture()
    (root / "images" / "cam1").rename(root / "gone")
    (root / "videos").mkdir()
    (root / "videos" / "cam1.mp4").write_bytes(b"nothing")
    (error,) = check(root).errors
    assert error.endswith("cam1.mp4: the video cannot be opened (Invalid data found when processing input)")


def test_folders_and_frames_that_capture_json_does_not_list(write_capture: WriteCapture) -> None:
    root = write_capture()
    (root / "images" / "camO0").mkdir()
    (root / "masks" / "cam0" / "0099.png").write_bytes(b"")
    warnings = check(root).warnings
    assert len(warnings) == 2
    assert "no camera in capture.json is called camO0" in warnings[0]
    assert "frames that capture.json does not list: 0099" in warnings[1]


def test_folders_of_another_layout_are_no_strangers(write_capture: WriteCapture) -> None:
    root = write_capture(frames=1)
    (root / "images").rename(root / "by_camera")
    for camera in ("cam0", "cam1", "cam2"):
        (root / "images" / "0000").mkdir(parents=True, exist_ok=True)
        (root / "by_camera" / camera / "0000.png").rename(root / "images" / "0000" / f"{camera}.png")
    edited(root, lambda content: content.update(images="images/{frame}/{camera}"))
    assert check(root).warnings == []


def edited(root: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    content = json.loads((root / "capture.json").read_text())
    change(content)
    (root / "capture.json").write_text(json.dumps(content))
    return root


def test_millimetres_called_metres(write_capture: WriteCapture) -> None:
    def change(content: dict[str, Any]) -> None:
        for camera in content["cameras"]:
            camera["t"] = [1000 * value for value in camera["t"]]

    (warning,) = check(edited(write_capture(), change)).warnings
    assert "the head would be" in warning and "'units'" in warning


def test_metres_called_millimetres(write_capture: WriteCapture) -> None:
    (warning,) = check(edited(write_capture(), lambda content: content.update(units="mm"))).warnings
    assert "the head would be" in warning


def test_camera_to_world_given_as_world_to_camera(write_capture: WriteCapture) -> None:
    def change(content: dict[str, Any]) -> None:
        for camera in content["cameras"]:
            R, t = np.array(camera["R"]), np.array(camera["t"])
            camera["R"], camera["t"] = R.T.tolist(), (-R.T @ t).tolist()

    root = edited(write_capture(yaws=(-60, 0, 60)), change)
    (error,) = check(root).errors
    assert "read as camera-to-world they agree to 0.0" in error
    shutil.rmtree(root / "landmarks")
    shutil.rmtree(root / "masks")
    warnings = check(root).warnings  # nothing but the optical axes is left to judge by
    assert any("is behind" in warning or "passes far" in warning for warning in warnings)


def test_opengl_axes(write_capture: WriteCapture) -> None:
    def change(content: dict[str, Any]) -> None:
        flip = np.diag([1.0, -1.0, -1.0])
        for camera in content["cameras"]:
            camera["R"] = (flip @ camera["R"]).tolist()
            camera["t"] = (flip @ camera["t"]).tolist()

    root = edited(write_capture(), change)
    assert "OpenGL axes" in check(root).errors[0]
    shutil.rmtree(root / "landmarks")
    shutil.rmtree(root / "masks")
    assert any("is behind" in warning for warning in check(root).warnings)


def test_fix_writes_a_manifest_under_which_nothing_is_wrong(write_capture: WriteCapture, capsys) -> None:
    def change(content: dict[str, Any]) -> None:
        content["note"] = "kept"
        for camera in content["cameras"]:
            R, t = np.array(camera["R"]), np.array(camera["t"])
            camera["R"], camera["t"] = R.T.tolist(), (-1000 * R.T @ t).tolist()

    root = write_capture(yaws=(-50, 0, 50))
    true = json.loads((root / "capture.json").read_text())
    given = (edited(root, change) / "capture.json").read_bytes()
    assert main(["check", str(root), "--fix"]) == 1
    assert "capture.fixed.json" in capsys.readouterr().out
    fixed = root / "capture.fixed.json"
    before = fixed.read_bytes()
    assert main(["check", str(root), "--fix"]) == 1
    assert (root / "capture.fixed-2.json").read_bytes() == before == fixed.read_bytes()
    assert (root / "capture.json").read_bytes() == given
    content = json.loads(before)
    assert (content["units"], content["note"]) == ("mm", "kept")
    for camera, expected in zip(content["cameras"], true["cameras"], strict=True):
        np.testing.assert_allclose(camera["R"], expected["R"], atol=1e-9)
        np.testing.assert_allclose(camera["t"], 1000 * np.array(expected["t"]), atol=1e-9)
    (root / "capture.json").write_bytes(before)
    assert main(["check", str(root), "--fix"]) == 0
    assert "nothing that --fix can mend" in capsys.readouterr().out


def test_a_single_camera_and_parallel_cameras(write_capture: WriteCapture) -> None:
    def parallel(content: dict[str, Any]) -> None:
        content["cameras"][1]["R"] = content["cameras"][0]["R"]

    assert check(write_capture(yaws=(0.0,))).warnings == []
    (warning,) = check(edited(write_capture(yaws=(0.0, 10.0)), parallel)).warnings
    assert "same direction" in warning


def test_intrinsics_of_another_image_size(write_capture: WriteCapture) -> None:
    def change(content: dict[str, Any]) -> None:
        content["cameras"][2]["K"][0][2] *= 2

    (warning,) = check(edited(write_capture(), change)).warnings
    assert "camera cam2: the principal point [24.0, 16.0]" in warning


def test_the_viewers_left_called_left(real_capture: Path, tmp_path: Path) -> None:
    """The real capture with the names of the eyes swapped."""
    for entry in real_capture.iterdir():
        if entry.name != "capture.json":
            (tmp_path / entry.name).symlink_to(entry)
    content = json.loads((real_capture / "capture.json").read_text())
    content["classes"] |= {"8": "right_eye", "9": "left_eye"}
    (tmp_path / "capture.json").write_text(json.dumps(content))
    (warning,) = check(tmp_path).warnings
    assert "seem to be swapped" in warning


def test_an_unusable_capture_json_is_raised(write_capture: WriteCapture) -> None:
    root = edited(write_capture(), lambda content: content["cameras"][0].pop("width"))
    with pytest.raises(HeadfitError, match=r"cameras\[0\].width: missing.*camera cam0"):
        check(root)


def test_a_lens_that_folds_back_inside_the_image(write_capture: WriteCapture) -> None:
    def fold(content: dict[str, Any]) -> None:
        content["cameras"][1]["dist"] = [-5.0, 0, 0, 0]  # largest distorted radius: 0.172; the corners are at 0.208
        content["cameras"][2]["dist"] = [-2.0, 0, 0, 0]  # 0.272

    found = [line for line in check(write_capture(change=fold)).warnings if "folds back" in line]
    assert len(found) == 1 and found[0].startswith("camera cam1: ")


def test_keys_much_like_ours_are_named(write_capture: WriteCapture) -> None:
    root = write_capture()
    content = json.loads((root / "capture.json").read_text())
    content |= {"mask": "masks/{camera}/{frame}.png", "image_size": [24, 32], "frames_per_second": 12}
    for camera in content["cameras"]:
        camera |= {"distortion": [-0.3, 0.1], "yaw_deg": 3}
    (root / "capture.json").write_text(json.dumps(content))
    assert check(root).warnings[:2] == [
        "capture.json: mask is not read; did you mean masks?",
        "capture.json: distortion of a camera is not read; did you mean dist?",
    ]
    assert not any(word in str(check(root).warnings) for word in ("image_size", "second", "yaw"))

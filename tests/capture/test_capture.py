"""Reading images, masks, landmarks and videos; damage is found and named."""

import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from headfit.capture import CaptureSource, DamagedFile, open_capture
from headfit.capture.image_bytes import find_damage

WriteCapture = Callable[..., Path]


@pytest.fixture
def photo(tmp_path: Path) -> np.ndarray:
    """A picture with enough detail to fill a JPEG with entropy-coded data."""
    noise = np.random.default_rng(0).integers(0, 255, (64, 48, 3), dtype=np.uint8)
    return cv2.GaussianBlur(noise, (5, 5), 1.5)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".jpeg", ".JPG"])
def test_images_are_rgb_and_belong_to_their_camera_and_frame(write_capture: WriteCapture, suffix: str) -> None:
    capture = open_capture(write_capture(suffix=suffix))
    for camera in range(3):
        for frame in range(4):
            image = capture.image(camera, frame)
            assert image is not None and image.shape == (32, 24, 3) and image.dtype == np.uint8
            assert np.abs(image.mean((0, 1)) - [7 * frame, 20 * camera, 0]).max() < 2


def test_absent_files_are_none(write_capture: WriteCapture) -> None:
    root = write_capture()
    for file in ("images/cam1/0002.png", "masks/cam1/0002.png", "landmarks/cam1/0002.json"):
        (root / file).unlink()
    capture = open_capture(root)
    assert capture.image(1, 2) is None
    assert capture.mask(1, 2) is None
    assert capture.landmarks(1, 2) is None


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
@pytest.mark.parametrize("kept", [0.0, 0.01, 0.5, 0.98])
def test_a_truncated_image_is_found(photo: np.ndarray, suffix: str, kept: float) -> None:
    data = cv2.imencode(suffix, photo)[1].tobytes()
    assert find_damage(data) is None
    assert find_damage(data[: int(kept * len(data))]) is not None
    assert find_damage(data[:-1]) is not None
    zero_filled = data[: len(data) // 2] + bytes(len(data) - len(data) // 2)
    assert find_damage(zero_filled) is not None


def test_a_progressive_jpeg_is_read_to_its_last_scan(photo: np.ndarray) -> None:
    options = [cv2.IMWRITE_JPEG_PROGRESSIVE, 1, cv2.IMWRITE_JPEG_RST_INTERVAL, 2]
    data = cv2.imencode(".jpg", photo, options)[1].tobytes()
    assert data.count(b"\xff\xda") > 1
    assert find_damage(data) is None
    assert find_damage(data[:-2]) is not None


def test_a_jpegs_thumbnail_does_not_stand_for_its_end(photo: np.ndarray) -> None:
    thumbnail = cv2.imencode(".jpg", cv2.resize(photo, (8, 8)))[1].tobytes()
    data = cv2.imencode(".jpg", photo)[1].tobytes()
    segment = b"\xff\xe1" + (len(thumbnail) + 2).to_bytes(2, "big") + thumbnail
    with_thumbnail = data[:2] + segment + data[2:]
    assert find_damage(with_thumbnail) is None
    assert find_damage(with_thumbnail + b"appended by the camera") is None
    assert find_damage(with_thumbnail[: len(segment) + 40]) is not None


def test_a_flipped_bit_in_a_png_is_found(photo: np.ndarray) -> None:
    data = bytearray(cv2.imencode(".png", photo)[1].tobytes())
    data[len(data) // 2] ^= 4
    assert "checksum" in (find_damage(bytes(data)) or "")


def test_a_damaged_image_is_named(write_capture: WriteCapture) -> None:
    root = write_capture(suffix=".jpg")
    file = root / "images" / "cam1" / "0002.jpg"
    file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(DamagedFile, match=r"images/cam1/0002\.jpg: truncated JPEG"):
        open_capture(root).image(1, 2)
    file.write_text("<html>not found</html>")
    with pytest.raises(DamagedFile, match=r"0002\.jpg: neither a JPEG nor a PNG"):
        open_capture(root).image(1, 2)


def test_an_image_or_mask_of_another_size_is_named_with_both_sizes(write_capture: WriteCapture) -> None:
    root = write_capture()
    cv2.imwrite(str(root / "images" / "cam0" / "0001.png"), np.zeros((30, 24, 3), np.uint8))
    cv2.imwrite(str(root / "masks" / "cam2" / "0003.png"), np.zeros((16, 12), np.uint8))
    capture = open_capture(root)
    with pytest.raises(DamagedFile, match=r"images/cam0/0001\.png: is 24x30, .* says 24x32 for camera cam0"):
        capture.image(0, 1)
    with pytest.raises(DamagedFile, match=r"masks/cam2/0003\.png: is 12x16, .* says 24x32 for camera cam2"):
        capture.mask(2, 3)


def test_a_mask_with_an_unnamed_value_colours_or_depth_is_named(write_capture: WriteCapture) -> None:
    root = write_capture()
    file = root / "masks" / "cam0" / "0000.png"
    capture = open_capture(root)
    values = np.zeros((32, 24), np.uint8)
    values[3, 4], values[5, 6] = 14, 77
    cv2.imwrite(str(file), values)
    with pytest.raises(DamagedFile, match=r"cam0/0000\.png: holds class values .*: \[14, 77\]"):
        capture.mask(0, 0)
    cv2.imwrite(str(file), np.full((32, 24, 3), (0, 9, 0), np.uint8))
    with pytest.raises(DamagedFile, match="one 8-bit channel of class values, this has 3"):
        capture.mask(0, 0)
    cv2.imwrite(str(file), np.zeros((32, 24), np.uint16))
    with pytest.raises(DamagedFile, match="uint16"):
        capture.mask(0, 0)


def test_both_forms_of_a_landmark_file(write_capture: WriteCapture) -> None:
    root = write_capture()
    file = root / "landmarks" / "cam0" / "0000.json"
    points = [[float(i), 2.0 * i] for i in range(68)]
    visible = [i % 3 != 0 for i in range(68)]
    expected = np.array([[x, y, v] for (x, y), v in zip(points, visible, strict=True)])
    capture = open_capture(root)
    file.write_text(json.dumps({"scheme": "ibug68", "points": points, "visible": visible}))
    np.testing.assert_array_equal(capture.landmarks(0, 0), expected)
    file.write_text(json.dumps([[x, y, v] for (x, y), v in zip(points, visible, strict=True)]))
    np.testing.assert_array_equal(capture.landmarks(0, 0), expected)
    file.write_text(json.dumps({"points": points}))
    np.testing.assert_array_equal(capture.landmarks(0, 0)[:, 2], 1)


def test_missing_points_and_odd_confidences(write_capture: WriteCapture) -> None:
    root = write_capture()
    points: list[list[float | None]] = [[1.0, 2.0, 0.25]] * 68
    points[3] = [None, None, 1]
    points[4] = [float("nan"), 3.0, 1]
    points[5] = [1.0, 2.0, 1.7]
    (root / "landmarks" / "cam0" / "0000.json").write_text(json.dumps(points))
    landmarks = open_capture(root).landmarks(0, 0)
    assert landmarks is not None and np.isfinite(landmarks).all()
    assert landmarks[[0, 3, 4, 5], 2].tolist() == [0.25, 0, 0, 1]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("[[1, 2, 1]]", r"expected 68 points with x, y, visible; found \(1, 3\)"),
        ("{", "not a landmark file"),
        ('{"visible": []}', "not a landmark file"),
        ('{"scheme": "wflw98", "points": []}', "scheme 'wflw98'"),
    ],
)
def test_a_damaged_landmark_file_is_named(write_capture: WriteCapture, content: str, reason: str) -> None:
    root = write_capture()
    (root / "landmarks" / "cam2" / "0001.json").write_text(content)
    with pytest.raises(DamagedFile, match=rf"landmarks/cam2/0001\.json: .*{reason}"):
        open_capture(root).landmarks(2, 1)


def test_landmark_files_may_begin_with_a_byte_order_mark_and_must_be_utf8(write_capture: WriteCapture) -> None:
    root = write_capture(frames=1)
    path = root / "landmarks" / "cam0" / "0000.json"
    text = path.read_text()
    expected = open_capture(root).landmarks(0, 0)
    path.write_text(text, encoding="utf-8-sig")
    np.testing.assert_array_equal(open_capture(root).landmarks(0, 0), expected)
    path.write_text(text, encoding="utf-16")
    with pytest.raises(DamagedFile, match=r"cam0/0000\.json: not a landmark file .*not UTF-8"):
        open_capture(root).landmarks(0, 0)


@pytest.fixture
def video_capture(write_capture: WriteCapture) -> CaptureSource:
    """A capture whose second camera is a video of 30 frames, where the capture lists 32."""
    root = write_capture(frames=32)
    for image in (root / "images" / "cam1").iterdir():
        image.unlink()
    (root / "images" / "cam1").rmdir()
    (root / "videos").mkdir()
    codec = cv2.VideoWriter.fourcc(*"mp4v")
    writer = cv2.VideoWriter(str(root / "videos" / "cam1.mp4"), codec, 25, (24, 32))
    for frame in range(30):
        writer.write(np.full((32, 24, 3), (0, 0, 8 * frame), np.uint8))  # red in BGR
    writer.release()
    return open_capture(root)


def test_a_videos_frames_come_in_any_order(video_capture: CaptureSource) -> None:
    order = [*range(4), 2, 25, 24, 12, 29, 0, 17, 18, 3]
    for frame in order:
        image = video_capture.image(1, frame)
        assert image is not None
        assert abs(image[..., 0].mean() - 8 * frame) < 4, f"asked for frame {frame}"
        assert image[..., 2].mean() < 8  # it is red, not blue


def test_a_video_that_ends_early_is_named_and_still_serves(video_capture: CaptureSource) -> None:
    with pytest.raises(DamagedFile, match=r"cam1\.mp4: no picture 31"):
        video_capture.image(1, 31)
    image = video_capture.image(1, 5)
    assert image is not None and abs(image[..., 0].mean() - 40) < 4


def test_a_file_that_is_no_video_is_named(video_capture: CaptureSource) -> None:
    (Path(video_capture.location) / "videos" / "cam1.mp4").write_bytes(b"nothing")
    with pytest.raises(DamagedFile, match=r"cam1\.mp4: the video cannot be opened"):
        video_capture.image(1, 0)

"""A capture.json that points to files elsewhere reads each camera and frame from its own file."""

import zipfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from headfit.capture import CaptureSource, DamagedFile
from headfit.capture.color import _CHEUNG_TERMS, srgb_decoded, srgb_encoded
from headfit.capture.landmark_files import write_dense_landmarks
from headfit.errors import HeadfitError

#: width, height of the test cameras
SIZE = (24, 32)


def put(path: Path, number: int, size: tuple[int, int] = SIZE) -> None:
    """An image whose red is `number`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.full((size[1], size[0], 3), (0, 0, number), np.uint8))


def number(capture: CaptureSource, camera: int, frame: int) -> int | None:
    image = capture.image(camera, frame)
    assert (image is not None) == capture.has_image(camera, frame)
    return None if image is None else int(image[0, 0, 0])


@pytest.mark.parametrize(
    "pattern",
    ["../data/cam_{camera}_{frame:06d}.png", "../data/cam_{camera}_{frame}", "{tmp}/data/cam_{camera}_{frame:06d}.png"],
)
def test_a_pattern_names_the_file_of_each_camera_and_frame(point: Any, tmp_path: Path, pattern: str) -> None:
    for frame in (1, 4, 7):
        for camera in (0, 1):
            put(tmp_path / "data" / f"cam_cam{camera}_{frame:06d}.png", 10 * camera + frame)
    text = pattern.replace("{tmp}", str(tmp_path))
    capture = point(images=text, frames={"start": 1, "stop": 11, "step": 3, "width": 6})
    assert capture.frames == ["000001", "000004", "000007", "000010"]
    assert [number(capture, 0, frame) for frame in range(4)] == [1, 4, 7, None]
    assert [number(capture, 1, frame) for frame in range(4)] == [11, 14, 17, None]


def test_index_offset_and_step_count_pictures(point: Any, tmp_path: Path) -> None:
    for picture in range(12):
        put(tmp_path / "data" / f"{picture:03d}.png", 20 + picture)
    words = {"path": "../data/{index:03d}.png", "offset": 2, "step": 3}
    capture = point(images=words, frames=["hello", "world", "again"])
    assert [number(capture, 0, frame) for frame in range(3)] == [22, 25, 28]
    numbers = {"path": "../data/{frame}.png", "offset": -1, "step": 2}
    capture = point(images=numbers, frames=["000", "001", "004"])
    assert [number(capture, 0, frame) for frame in range(3)] == [None, 21, 27]


def test_a_late_camera_shows_the_moment_in_a_later_picture(point: Any, tmp_path: Path) -> None:
    for picture in range(6):
        for camera in ("cam0", "cam1"):
            put(tmp_path / "data" / camera / f"{picture:02d}.png", picture)
    for late, expected in ((2, [2, 3, 5]), (-1, [None, 0, 2]), (1.6, [2, 3, 5])):
        capture = point({"offset": late}, images="../data/{camera}/{frame}.png", frames=["00", "01", "03"])
        assert [number(capture, 0, frame) for frame in range(3)] == [0, 1, 3]
        assert [number(capture, 1, frame) for frame in range(3)] == expected


@pytest.mark.parametrize(
    ("frames", "digits"),
    [({"start": 98, "stop": 102}, 1), (["098", "099", "100", "101"], 3), (["08", "09", "10", "101"], 2)],
)
def test_numbers_before_the_first_frame_have_the_digits_of_the_files(
    point: Any, tmp_path: Path, frames, digits
) -> None:
    for picture in range(110):
        put(tmp_path / "data" / f"{picture:0{digits}d}.png", picture)
    capture = point({"offset": -5}, images="../data/{frame}.png", frames=frames)
    expected = [int(name) - 5 for name in capture.frames]
    assert [number(capture, 1, frame) for frame in range(4)] == expected


def test_names_that_are_no_numbers_are_counted_by_position(point: Any, tmp_path: Path) -> None:
    for position, name in enumerate("abcd"):
        put(tmp_path / "data" / f"{name}.png", position)
    capture = point({"offset": 1}, images="../data/{frame}.png", frames=list("abcd"))
    assert [number(capture, 1, frame) for frame in range(4)] == [1, 2, 3, None]
    with pytest.raises(HeadfitError, match=r"images: the frames have no numbers for \{frame:...\}"):
        point(images="../data/{frame:03d}.png", frames=list("abcd"))


def test_a_camera_may_have_its_own_pattern_and_braces_are_doubled(point: Any, tmp_path: Path) -> None:
    put(tmp_path / "all" / "cam0_0000.png", 1)
    put(tmp_path / "{own}" / "0000.png", 2)
    capture = point({"images": "../{{own}}/{frame}.png"}, images="../all/{camera}_{frame}.png")
    assert [number(capture, camera, 0) for camera in (0, 1)] == [1, 2]


def test_members_of_a_zip_are_read(point: Any, tmp_path: Path) -> None:
    put(tmp_path / "picture.png", 77)
    for name, member in (("cam0.zip", "cam0/0000.png"), ("cam1.zip", "cam1/0001.png")):
        with zipfile.ZipFile(tmp_path / name, "w") as archive:
            archive.write(tmp_path / "picture.png", member)
    capture = point(images="../{camera}.zip/{camera}/{frame}", frames=["0000", "0001"])
    assert [[number(capture, camera, frame) for frame in (0, 1)] for camera in (0, 1)] == [[77, None], [None, 77]]


def test_a_damaged_zip_or_member_is_named(point: Any, tmp_path: Path) -> None:
    put(tmp_path / "picture.png", 77)
    with zipfile.ZipFile(tmp_path / "cam0.zip", "w") as archive:
        archive.write(tmp_path / "picture.png", "0000.png")
    data = bytearray((tmp_path / "cam0.zip").read_bytes())
    data[60] ^= 255  # inside the member: its checksum fails
    (tmp_path / "cam0.zip").write_bytes(data)
    (tmp_path / "cam1.zip").write_bytes(b"no zip at all")
    capture = point(images="../{camera}.zip/{frame}.png")
    with pytest.raises(DamagedFile, match=r"cam0\.zip/0000\.png: cannot be read from the zip \(Bad CRC"):
        capture.image(0, 0)
    with pytest.raises(DamagedFile, match=r"cam1\.zip: cannot be read as a zip file"):
        capture.image(1, 0)


@pytest.mark.parametrize("turn", [90, 180, 270])
def test_stored_pictures_are_turned_clockwise(point: Any, tmp_path: Path, turn: int) -> None:
    upright = np.arange(32 * 24, dtype=np.uint8).reshape(32, 24)
    stored = np.rot90(upright, turn // 90)  # counter-clockwise, so that the clockwise turn undoes it
    (tmp_path / "data").mkdir()
    cv2.imwrite(str(tmp_path / "data" / "0000.png"), np.repeat(stored[..., None], 3, axis=2))
    cv2.imwrite(str(tmp_path / "data" / "mask.png"), (stored % 6).astype(np.uint8))
    cv2.imwrite(str(tmp_path / "data" / "upright_mask.png"), upright % 6)
    capture = point({"rotate": turn}, images="../data/{frame}.png", masks="../data/mask.png")
    np.testing.assert_array_equal(capture.image(1, 0)[..., 0], upright)
    np.testing.assert_array_equal(capture.mask(1, 0), upright % 6)
    capture = point({"rotate": turn}, masks={"path": "../data/upright_mask.png", "rotate": 0})
    np.testing.assert_array_equal(capture.mask(1, 0), upright % 6)
    if turn != 180:
        with pytest.raises(
            DamagedFile, match=f"is 32x24 after turning it by {turn} degrees, but capture.json says 24x"
        ):
            point({"rotate": turn}, masks="../data/upright_mask.png").mask(1, 0)


def test_the_first_mask_that_knows_a_pixel_decides(point: Any, tmp_path: Path) -> None:
    """A parser and colors, both with values of no meaning, over a matte: background below 10 %."""
    (tmp_path / "data").mkdir()
    parser, colors = np.zeros((32, 24), np.uint8), np.zeros((32, 24, 3), np.uint8)
    matte = np.full((32, 24), 255, np.uint8)
    parser[:, :6], colors[:, 6:12] = 3, (0, 255, 0)
    matte[:, 12:18], matte[:, 18:] = 25, 26
    cv2.imwrite(str(tmp_path / "data" / "parser.png"), parser)
    cv2.imwrite(str(tmp_path / "data" / "colors.png"), colors)
    cv2.imwrite(str(tmp_path / "data" / "matte.jpg"), matte, [cv2.IMWRITE_JPEG_QUALITY, 100])
    sources = [
        {"path": "../data/parser.png", "labels": {"3": "hair", "0": "unknown"}},
        {"path": "../data/colors.png", "labels": {"0,255,0": "skin", "0, 0, 0": "unknown"}},
        {"path": "../data/matte.jpg", "labels": "matte"},
        {"path": "../data/absent.png", "labels": {"1": "lips"}},
    ]
    capture = point(masks=sources)
    mask = capture.mask(0, 0)
    names = [capture.label_names[value] for value in mask[5]]
    assert names == ["hair"] * 6 + ["skin"] * 6 + ["background"] * 6 + ["unknown"] * 6
    assert set(capture.label_names.values()) == {"hair", "skin", "background", "lips", "unknown"}
    assert capture.has_mask(0, 0)
    assert not point(masks=sources[3:]).has_mask(0, 0)


@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
def test_the_alpha_of_a_cut_out_is_its_matte(point: Any, tmp_path: Path, depth: type) -> None:
    white = np.iinfo(depth).max
    picture = np.full((32, 24, 4), white // 2, depth)
    picture[:, :12, 3], picture[:, 12:, 3] = 0, white
    (tmp_path / "data").mkdir()
    cv2.imwrite(str(tmp_path / "data" / "cut.png"), picture)
    capture = point(masks={"path": "../data/cut.png", "labels": "matte"})
    names = [capture.label_names[value] for value in capture.mask(0, 0)[5]]
    assert names == ["background"] * 12 + ["unknown"] * 12


def test_an_opaque_picture_is_a_matte_by_its_colour(point: Any, tmp_path: Path) -> None:
    picture = np.full((32, 24, 4), 255, np.uint8)
    picture[:, :12, :3] = 0
    (tmp_path / "data").mkdir()
    cv2.imwrite(str(tmp_path / "data" / "matte.png"), picture)
    capture = point(masks={"path": "../data/matte.png", "labels": "matte"})
    assert [capture.label_names[value] for value in capture.mask(0, 0)[5, ::12]] == ["background", "unknown"]


def test_masks_may_be_called_rough(point: Any) -> None:
    assert point(masks={"path": "../data/mask.png", "rough": True}).rough_masks
    assert not point(masks=["../data/mask.png", {"path": "../mask.png", "rough": False}]).rough_masks


def test_a_value_that_the_labels_do_not_name_is_reported(point: Any, tmp_path: Path) -> None:
    mask = np.zeros((32, 24), np.uint8)
    mask[3, 4] = 9
    cv2.imwrite(str(tmp_path / "mask.png"), mask)
    capture = point(masks={"path": "../mask.png", "labels": {"0": "background", "3": "skin"}})
    with pytest.raises(DamagedFile, match=r"mask\.png: holds class values that capture\.json does not name: \[9\]"):
        capture.mask(0, 0)
    cv2.imwrite(str(tmp_path / "colors.png"), np.full((32, 24, 3), (3, 2, 1), np.uint8))  # BGR
    capture = point(masks={"path": "../colors.png", "labels": {"0,0,0": "background"}})
    with pytest.raises(DamagedFile, match=r"does not name: \[\(1, 2, 3\)\]"):
        capture.mask(0, 0)


def test_dense_landmarks_are_those_of_a_scheme_that_capture_json_names(point: Any, tmp_path: Path) -> None:
    rows = np.column_stack([np.random.default_rng(0).uniform(0, 20, (478, 3)).round(2), np.full(478, 0.5)])
    write_dense_landmarks(tmp_path / "points" / "0000.cam0.json", rows)
    pattern = "../points/{frame}.{camera}.json"
    capture = point(landmarks={"path": pattern, "scheme": "mediapipe478"})
    assert capture.has_dense_landmarks and capture.dense_landmarks(1, 0) is None
    np.testing.assert_allclose(capture.dense_landmarks(0, 0), rows)
    assert capture.landmarks(0, 0).shape == (68, 3)
    assert not point(landmarks=pattern).has_dense_landmarks


def test_landmarks_are_found_and_saved_where_the_pattern_says(point: Any, tmp_path: Path) -> None:
    capture = point(landmarks="../points/{frame}/{camera}.json")
    assert capture.landmarks(1, 0) is None
    points = np.c_[np.arange(68.0), np.arange(68.0), np.ones(68)]
    capture.save_landmarks(1, 0, points)
    assert (tmp_path / "points" / "0000" / "cam1.json").is_file()
    np.testing.assert_array_equal(capture.landmarks(1, 0), points)
    with pytest.raises(HeadfitError, match="landmarks inside a zip file"):
        point(landmarks="l.zip/{camera}.json")


AFFINE = [[0.5, 0.25, 0.0, 0.1], [0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 0.5, 0.2]]


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ([{"affine": AFFINE}], [0.5 * 0.4 + 0.25 * 0.8 + 0.1, 0.8, 0.5 * 0.2 + 0.2]),
        ([{"gain": [2, 1, 0.5]}], [0.8, 0.8, 0.1]),
        ([{"black": [0.1, 0.2, 0.3]}], [0.3, 0.6, 0.0]),
        ([{"gamma": 2.0}], [0.4**0.5, 0.8**0.5, 0.2**0.5]),
        ([{"black": [0.1, 0, 0]}, {"gain": [2, 1, 1]}], [0.6, 0.8, 0.2]),
        ([{"gain": [2, 1, 1]}, {"black": [0.1, 0, 0]}], [0.7, 0.8, 0.2]),
        ([{"black": [0.9, 0, 0]}, {"gamma": 2.0}], [0.0, 0.8**0.5, 0.2**0.5]),
    ],
)
@pytest.mark.parametrize("of_camera", [True, False])
def test_color_steps(point: Any, tmp_path: Path, steps: list[Any], expected: list[float], of_camera: bool) -> None:
    rgb = np.array([0.4, 0.8, 0.2])
    cv2.imwrite(str(tmp_path / "a.png"), np.full((32, 24, 3), 255 * rgb[::-1], np.float64).round().astype(np.uint8))
    images = "../a.png" if of_camera else {"path": "../a.png", "color": steps}
    image = point({"color": steps} if of_camera else {}, images=images).image(1, 0)
    np.testing.assert_allclose(image[3, 4] / 255, np.clip(expected, 0, 1), atol=0.5 / 255 + 1e-6)
    np.testing.assert_array_equal(image, np.broadcast_to(image[0, 0], image.shape))


@pytest.mark.parametrize("columns", sorted(_CHEUNG_TERMS))
def test_a_color_correction_matrix_works_on_linear_light(point: Any, tmp_path: Path, columns: int) -> None:
    """The first terms are r, g, b, so a matrix that swaps two of them swaps channels; the last term is checked, too."""
    rgb = np.array([102, 204, 51], np.uint8)
    cv2.imwrite(str(tmp_path / "a.png"), np.full((32, 24, 3), rgb[::-1], np.uint8))
    swap = np.zeros((3, columns))
    swap[[0, 1, 2], [1, 0, 2]] = 1
    capture = point(images={"path": "../a.png", "color": [{"ccm": swap.tolist()}]})
    assert capture.image(0, 0)[0, 0].tolist() == [204, 102, 51]
    r, g, b = srgb_decoded(rgb / 255.0)
    last = {3: b, 16: b**3, 19: b**3, 22: r * g * b * b}.get(columns, 1.0)
    matrix = np.zeros((3, columns))
    matrix[0, -1] = 0.5
    image = point(images={"path": "../a.png", "color": [{"ccm": matrix.tolist()}]}).image(0, 0)
    assert image[0, 0].tolist() == [round(255 * float(srgb_encoded(np.array(0.5 * last)))), 0, 0]


def test_srgb_is_its_own_inverse_and_has_the_values_of_the_standard() -> None:
    values = np.linspace(0, 1, 256)
    np.testing.assert_allclose(srgb_encoded(srgb_decoded(values)), values, atol=1e-6)
    np.testing.assert_allclose(srgb_decoded(np.array([0.5, 0.04045])), [0.21404114, 0.0031308], atol=1e-6)

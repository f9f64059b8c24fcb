"""Masks that are no masks, and pictures that show nothing, are named."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from headfit.capture import open_capture
from headfit.capture.check import check
from headfit.capture.decode import DamagedFile
from headfit.capture.mask_checks import blended_classes, exposure_fault

WriteCapture = Callable[..., Path]
LABELS = {0: "background", 1: "skin", 2: "hair", 3: "lips", 4: "teeth", 5: "mouth_cavity", 6: "left_eye"}


def drawn_mask() -> np.ndarray:
    """A head with hair, an eye, and lips two pixels thin around an open mouth with teeth."""
    mask = np.zeros((128, 96), np.uint8)
    cv2.ellipse(mask, (48, 60), (36, 48), 0, 0, 360, 2, -1)
    cv2.ellipse(mask, (48, 70), (28, 36), 0, 0, 360, 1, -1)
    cv2.circle(mask, (38, 60), 5, 6, -1)
    cv2.ellipse(mask, (48, 90), (14, 8), 0, 0, 360, 3, -1)
    cv2.ellipse(mask, (48, 90), (12, 6), 0, 0, 360, 5, -1)
    mask[86:88, 42:55] = 4
    return mask


@pytest.mark.parametrize("scale", [0.5, 0.7, 1.6])
def test_rims_of_interpolation_are_told_from_thin_lips(scale: float) -> None:
    mask = drawn_mask()
    assert blended_classes(mask, LABELS) == {}
    nearest = cv2.resize(mask, None, fx=scale, fy=scale, interpolation=cv2.INTER_NEAREST)
    assert blended_classes(nearest, LABELS) == {}
    blended = blended_classes(cv2.resize(mask, None, fx=scale, fy=scale, interpolation=cv2.INTER_LINEAR), LABELS)
    assert blended and all(low < value < high for value, (low, high) in blended.items())


def test_masks_of_real_captures_are_not_blended(real_capture: Path) -> None:
    capture = open_capture(real_capture)
    for camera in range(len(capture.cameras)):
        mask = capture.mask(camera, 0)
        assert mask is not None and blended_classes(mask, capture.label_names) == {}


def test_check_names_the_blended_mask(write_capture: WriteCapture) -> None:
    def change(content: dict) -> None:
        content["classes"] = {str(value): name for value, name in LABELS.items()}
        for camera in content["cameras"]:
            camera |= {"width": 96, "height": 128}

    root = write_capture(change=change)
    small = cv2.resize(drawn_mask(), (48, 64), interpolation=cv2.INTER_LINEAR)
    cv2.imwrite(str(root / "masks/cam1/0002.png"), cv2.resize(small, (96, 128), interpolation=cv2.INTER_LINEAR))
    (warning,) = [w for w in check(root).warnings if "rims" in w]
    assert warning.startswith("masks/cam1/0002: class ") and "1 masks of camera cam1" in warning


@pytest.mark.parametrize(("suffix", "lossy"), [(".tif", False), (".webp", False), (".jpg", True), (".webp", True)])
def test_masks_in_other_formats(write_capture: WriteCapture, suffix: str, lossy: bool) -> None:
    root = write_capture()
    png = root / "masks/cam0/0000.png"
    mask = cv2.imread(str(png), cv2.IMREAD_UNCHANGED)
    png.unlink()
    options = [cv2.IMWRITE_WEBP_QUALITY, 60 if lossy else 101] if suffix == ".webp" else []
    assert cv2.imwrite(str(png.with_suffix(suffix)), mask, options)
    capture = open_capture(root)
    assert capture.has_mask(0, 0)
    if lossy:
        with pytest.raises(DamagedFile, match=rf"masks/cam0/0000\{suffix}: lossy compression changes class values"):
            capture.mask(0, 0)
    else:
        np.testing.assert_array_equal(capture.mask(0, 0), mask)


def test_twelve_bits_in_sixteen_are_named(write_capture: WriteCapture) -> None:
    root = write_capture()
    values = np.linspace(0, 4095, 32 * 24 * 3).reshape(32, 24, 3).astype(np.uint16)
    cv2.imwrite(str(root / "images/cam0/0000.png"), values)
    cv2.imwrite(str(root / "images/cam0/0001.png"), 16 * values)
    capture = open_capture(root)
    with pytest.raises(DamagedFile, match=r"images/cam0/0000\.png: 16-bit image .* 12 bits of data"):
        capture.image(0, 0)
    image = capture.image(0, 1)
    assert image is not None and image.max() == 255


def test_black_and_burnt_out_pictures(write_capture: WriteCapture) -> None:
    head = np.zeros((8, 8), bool)
    head[2:6, 2:6] = True
    grey, white, black = (np.full((8, 8, 3), value, np.uint8) for value in (128, 255, 3))
    assert exposure_fault(grey, None) is None
    assert (exposure_fault(white, head), exposure_fault(black, None)) == ("burnt out", "nearly black")
    studio = np.where(head[..., None], grey, white)
    assert exposure_fault(studio, head) is None and exposure_fault(studio, None) is None
    root = write_capture(face=True)
    cv2.imwrite(str(root / "images/cam2/0001.png"), np.full((32, 24, 3), 255, np.uint8))
    assert check(root).warnings == ["camera cam2: images burnt out in frames 0001"]

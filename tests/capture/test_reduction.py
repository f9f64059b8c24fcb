"""Large JPEGs are decoded at a part of their size where a framing needs no more; the views stay the same."""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from headfit.capture import CaptureSource, open_capture
from headfit.capture import native as native_module
from headfit.capture.framing import LARGE, Framing, HeadWindow
from headfit.capture.labels import label_classes
from headfit.capture.views import ViewReader

#: width, height: neither is divisible by 8
SIZE = (1420, 1500)


@cache
def picture(size: tuple[int, int]) -> np.ndarray:
    """A BGR picture with edges at any place, and a little noise."""
    y, x = np.mgrid[: size[1], : size[0]].astype(np.float32)
    waves = 127 + 60 * np.sin(x / 37 + np.sin(y / 53)) + 50 * np.sin(y / 41)
    waves[(x // 170 + y // 230) % 3 == 0] -= 50
    noise = np.random.default_rng(0).normal(0, 3, waves.shape)
    return np.clip(np.stack([waves + noise, 255 - waves, waves * 0.7], -1), 0, 255).astype(np.uint8)


def large(content: dict[str, Any]) -> None:
    for camera in content["cameras"]:
        camera["width"], camera["height"] = SIZE


@pytest.fixture
def capture(write_capture: Callable[..., Path]) -> CaptureSource:
    root = write_capture(yaws=(0.0,), frames=1, suffix=".jpg", change=large)
    cv2.imwrite(str(root / "images" / "cam0" / "0000.jpg"), picture(SIZE), [cv2.IMWRITE_JPEG_QUALITY, 92])
    return open_capture(root)


def view(capture: CaptureSource, framing: Framing) -> np.ndarray:
    reader = ViewReader(capture, label_classes(["background", "skin"], capture.label_names), 0)
    return np.asarray(reader.batch([(0, 0)], [framing]).image[0]).astype(int)


@pytest.mark.parametrize(("resolution", "reduction"), [(700, 1), (500, 2), (250, 4), (120, 8)])
def test_a_view_is_the_same_as_of_the_whole_picture(
    capture: CaptureSource, monkeypatch: pytest.MonkeyPatch, resolution: int, reduction: int
) -> None:
    framing = HeadWindow(13, 27, 1393, 1451, 1000.0).framing(resolution)
    assert framing.reduction == reduction
    asked: list[int] = []
    decode = native_module.decode_image

    def seen(data: bytes, path: str, tones: Any, part: int) -> np.ndarray:
        asked.append(part)
        return decode(data, path, tones, part)

    monkeypatch.setattr(native_module, "decode_image", seen)
    reduced = view(capture, framing)
    assert asked == [reduction]
    monkeypatch.setattr(native_module, "decode_image", lambda data, path, tones, part: decode(data, path, tones, 1))
    whole = view(capture, framing)
    difference = np.abs(reduced - whole)
    assert difference.mean() < 1 and np.quantile(difference, 0.999) <= 16
    slopes = [np.gradient(whole, axis=axis).ravel() for axis in (0, 1)]
    shift, *_ = np.linalg.lstsq(np.stack(slopes, axis=1), (reduced - whole).ravel(), rcond=None)
    assert np.abs(shift).max() < 0.02  # pixels of the view


def test_a_window_of_a_large_picture_loses_a_few_pixels_and_no_others_do() -> None:
    assert HeadWindow(13, 27, 1393, 1451, 1000.0).framing(250) == Framing(16, 28, 1388, 1448, 347, 362)
    small = HeadWindow(13, 27, 1000, 1000, 1000.0)
    assert LARGE > (13 + 1000) * (27 + 1000)
    framing = small.framing(250)
    assert framing == Framing(13, 27, 1000, 1000, 250, 250) and framing.reduction == 1
    assert HeadWindow(13, 27, 1393, 1451, 1000.0).framing(900) == Framing(13, 27, 1393, 1451, 1393, 1451)


def test_other_kinds_and_odd_turned_pictures_come_whole(capture: CaptureSource) -> None:
    assert capture.image_reduced(0, 0, 4).shape == (375, 355, 3)  # type: ignore[union-attr]
    root = Path(capture.location)
    text = (root / "capture.json").read_text()
    (root / "capture.json").write_text(text.replace('"id"', '"rotate": 180, "id"'))
    turned = open_capture(root)
    assert turned.image_reduced(0, 0, 8).shape == (1500, 1420, 3)  # type: ignore[union-attr]
    np.testing.assert_array_equal(turned.image_reduced(0, 0, 4), capture.image_reduced(0, 0, 4)[::-1, ::-1])  # type: ignore[index]
    (root / "capture.json").write_text(text)
    cv2.imwrite(str(root / "images" / "cam0" / "0000.png"), picture(SIZE))
    assert open_capture(root).image_reduced(0, 0, 4).shape == (1500, 1420, 3)  # type: ignore[union-attr]

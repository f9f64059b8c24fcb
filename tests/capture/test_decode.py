"""Images of every kind become the RGB that was saved, as stored, and the old kinds keep every bit."""

import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from headfit.capture import DamagedFile
from headfit.capture.check import check
from headfit.capture.color import srgb_encoded
from headfit.capture.decode import Tones, decode_image, decode_label_image, read_image
from headfit.capture.image_bytes import bit_depth, exif_orientation, find_damage, is_lossy, picture_size
from tests.support.pictures import exr_bytes

SHARED = Path(__file__).parents[3] / "shared" / "captures"


@pytest.fixture(scope="module")
def photo() -> np.ndarray:
    """A smooth RGB picture `[48,64,3]` that uses most of the range."""
    noise = np.random.default_rng(0).random((48, 64, 3))
    smooth = cv2.GaussianBlur(noise, (0, 0), 4)
    return (10 + 235 * (smooth - smooth.min()) / np.ptp(smooth)).astype(np.uint8)


def encoded(rgb: np.ndarray, suffix: str, *options: int) -> bytes:
    return bytes(cv2.imencode(suffix, rgb[..., ::-1], options)[1])


@pytest.mark.parametrize(
    ("suffix", "options", "tolerance"),
    [
        (".png", (), 0),
        (".tif", (), 0),
        (".webp", (cv2.IMWRITE_WEBP_QUALITY, 101), 0),
        (".webp", (cv2.IMWRITE_WEBP_QUALITY, 95), 12),
        (".jpg", (cv2.IMWRITE_JPEG_QUALITY, 98), 12),
        (".avif", (cv2.IMWRITE_AVIF_QUALITY, 98), 12),
    ],
)
def test_eight_bits(photo: np.ndarray, suffix: str, options: tuple[int, ...], tolerance: int) -> None:
    data = encoded(photo, suffix, *options)
    assert find_damage(data) is None and picture_size(data) == (64, 48) and bit_depth(data) == 8
    assert np.abs(decode_image(data, "p").astype(int) - photo).max() <= tolerance
    assert is_lossy(data) == (tolerance > 0)
    if suffix not in (".tif",):
        assert find_damage(data[: len(data) * 3 // 4]) is not None


def test_an_avif_of_another_library_and_one_with_ten_bits(photo: np.ndarray) -> None:
    buffer = io.BytesIO()
    Image.fromarray(photo).save(buffer, "AVIF", quality=98)
    assert np.abs(decode_image(buffer.getvalue(), "p").astype(int) - photo).max() <= 12
    options = [cv2.IMWRITE_AVIF_DEPTH, 10, cv2.IMWRITE_AVIF_QUALITY, 100]
    data = bytes(cv2.imencode(".avif", photo[..., ::-1].astype(np.uint16) * 4, options)[1])
    assert bit_depth(data) == 10
    assert np.abs(decode_image(data, "p").astype(int) - photo).max() <= 1
    twice = decode_image(data, "p", Tones(white_level=510))
    assert np.abs(twice.astype(int) - np.minimum(2 * photo.astype(int), 255)).max() <= 1


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("bits", [10, 12, 14, 16])
def test_sixteen_bit_files_have_a_white_level(photo: np.ndarray, suffix: str, bits: int) -> None:
    white = 2**bits - 1
    data = encoded((photo / 255.0 * white).round().astype(np.uint16), suffix)
    assert bit_depth(data) == 16
    np.testing.assert_array_equal(decode_image(data, "p", Tones(white_level=white)), photo)
    clipped = decode_image(data, "p", Tones(white_level=white / 2))
    assert np.abs(clipped.astype(int) - np.minimum(2 * photo.astype(int), 255)).max() <= 1
    if bits < 13:
        with pytest.raises(DamagedFile, match=rf"{bits} bits of data in 16. State the 'white_level'"):
            decode_image(data, "p")
    if bits == 16:
        assert np.abs(decode_image(data, "p").astype(int) - photo).max() <= 1


@pytest.mark.parametrize("form", ["float", "half", "tif"])
def test_linear_light_is_encoded_as_srgb(photo: np.ndarray, form: str) -> None:
    linear = (photo / 128.0).astype(np.float32)  # up to 1.9 times white
    data = bytes(cv2.imencode(".tif", linear[..., ::-1])[1]) if form == "tif" else exr_bytes(linear, form)
    assert picture_size(data) == (64, 48)
    for white in (1.0, 2.0):
        expected = 255 * srgb_encoded(linear / white)
        tones = Tones() if white == 1 else Tones(white_level=white)
        assert np.abs(decode_image(data, "p", tones) - expected).max() < 0.7
    if form != "tif":
        odd = linear.copy()
        odd[0, :3, 0] = [np.nan, np.inf, -1]
        assert decode_image(exr_bytes(odd, form), "p")[0, :3, 0].tolist() == [0, 255, 0]
        with pytest.raises(DamagedFile, match="p: cannot be decoded"):
            decode_image(data[:200], "p")


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_an_orientation_is_known_and_not_applied(photo: np.ndarray, form: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    buffer = io.BytesIO()
    Image.fromarray(photo).save(buffer, form, exif=exif.tobytes(), quality=95)
    assert exif_orientation(buffer.getvalue()) == orientation
    assert decode_image(buffer.getvalue(), "p").shape == photo.shape
    plain = io.BytesIO()
    Image.fromarray(photo).save(plain, form)
    assert exif_orientation(plain.getvalue()) == 1


def test_check_warns_of_an_orientation_that_is_not_stated(write_capture: Callable[..., Path]) -> None:
    root = write_capture(suffix=".jpg", face=True)
    exif = Image.Exif()
    exif[0x0112] = 6
    for path in (root / "images" / "cam1").iterdir():
        Image.open(path).save(path, exif=exif.tobytes())
    (warning,) = (warning for warning in check(root).warnings if "rotate" in warning)
    assert warning.startswith("cameras cam1: other programs turn their pictures by 90 degrees clockwise")
    text = (root / "capture.json").read_text()
    (root / "capture.json").write_text(text.replace('"id": "cam1"', '"id": "cam1", "rotate": 0'))
    assert not [warning for warning in check(root).warnings if "rotate" in warning]


def bomb(width: int, height: int) -> bytes:
    """A small PNG that claims to be of this size."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(100))) + chunk(b"IEND", b"")


def test_a_claim_of_too_many_pixels_is_refused_before_decoding(photo: np.ndarray) -> None:
    with pytest.raises(DamagedFile, match="p: claims 100000x100000 pixels; more than 200000000 are not decoded"):
        decode_image(bomb(100_000, 100_000), "p")
    with pytest.raises(DamagedFile, match="claims 20000x10001 pixels"):
        decode_label_image(bomb(20_000, 10_001), "p")
    jpeg = bytearray(encoded(photo, ".jpg"))
    at = jpeg.index(b"\xff\xc0") + 5
    jpeg[at : at + 4] = struct.pack(">HH", 65_000, 65_000)
    with pytest.raises(DamagedFile, match="claims 65000x65000 pixels"):
        decode_image(bytes(jpeg), "p")


def as_before(path: Path) -> np.ndarray:
    """What read the images of captures before other formats and reductions were known."""
    flags = cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION
    return np.asarray(cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), flags))


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif", ".webp"])
def test_the_kinds_that_were_read_before_keep_every_bit(photo: np.ndarray, tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"p{suffix}"
    path.write_bytes(encoded(photo, suffix))
    np.testing.assert_array_equal(read_image(path), as_before(path))


@pytest.mark.skipif(not SHARED.is_dir(), reason="the shared captures are not here")
def test_the_shared_captures_keep_every_bit() -> None:
    for capture in sorted(path for path in SHARED.iterdir() if path.is_dir()):
        for camera in sorted((capture / "images").iterdir())[:2]:
            path = min(camera.iterdir())
            np.testing.assert_array_equal(read_image(path), as_before(path))

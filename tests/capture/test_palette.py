"""Palette PNGs as masks."""

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from headfit.capture.decode import decode_label_image


def saved(pixels: np.ndarray, palette: list[int], **options: object) -> bytes:
    image = Image.fromarray(pixels, mode="P")
    image.putpalette(palette)
    file = BytesIO()
    image.save(file, "png", **options)
    return file.getvalue()


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
@pytest.mark.parametrize("size", [(5, 9), (64, 33)], ids=str)
def test_the_indices_of_a_palette_are_the_values(bits: int, size: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 2**bits, size).astype(np.uint8)
    png = saved(pixels, rng.integers(0, 256, 3 * 2**bits).tolist(), bits=bits)
    np.testing.assert_array_equal(decode_label_image(png, "a.png"), pixels)


def test_transparency_and_resolution_do_not_matter() -> None:
    png = saved(np.eye(4, dtype=np.uint8), [1, 2, 3, 4, 5, 6], transparency=0, dpi=(72, 72))
    np.testing.assert_array_equal(decode_label_image(png, "a.png"), np.eye(4))


def test_a_grey_palette_holds_the_values_as_an_optimiser_of_files_leaves_them() -> None:
    png = saved(np.array([[0, 1], [2, 1]], np.uint8), [0, 0, 0, 17, 17, 17, 13, 13, 13])
    np.testing.assert_array_equal(decode_label_image(png, "a.png"), [[0, 17], [13, 17]])


def test_a_palette_is_read_by_its_colours_where_these_are_named() -> None:
    png = saved(np.array([[0, 1]], np.uint8), [1, 2, 3, 4, 5, 6])
    np.testing.assert_array_equal(decode_label_image(png, "a.png", channels=3), [[[1, 2, 3], [4, 5, 6]]])

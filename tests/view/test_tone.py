import numpy as np
import pytest

from headfit.view import tone


def test_skin_and_grey_are_shown_as_given() -> None:
    grey = np.linspace(0.02, 0.95, 30, dtype=np.float32)[:, None].repeat(3, axis=1)
    skin = grey * np.array([1.0, 0.72, 0.6], np.float32)
    for colours in (grey, skin):
        np.testing.assert_allclose(tone.shown(tone.to_renderer(colours)), colours, atol=0.01)


def test_the_curve_is_that_of_the_renderer() -> None:
    """Values of ACESFilmicToneMapping of three.js with exposure 1, of greys, which its matrices keep."""
    given = np.array([[0.18, 0.18, 0.18], [1.0, 1.0, 1.0]], np.float32)
    shown = tone.decoded(tone.shown(given))
    np.testing.assert_allclose(shown, [[0.2131] * 3, [0.7634] * 3], atol=2e-3)


@pytest.mark.parametrize("value", [0.0, 0.02, 0.0404, 0.0405, 0.5, 1.0])
def test_decoding_is_inverted(value: float) -> None:
    given = np.array([value], np.float32)
    np.testing.assert_allclose(tone.encoded(tone.decoded(given)), given, atol=1e-6)


def test_bright_and_saturated_colours_stay_finite() -> None:
    colours = np.array([[1, 1, 1], [1, 0, 0], [0, 0, 1], [0, 0, 0]], np.float32)
    linear = tone.to_renderer(colours)
    assert np.isfinite(linear).all() and (linear >= 0).all()
    assert tone.shown(linear)[0].min() > 0.97

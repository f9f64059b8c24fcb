import numpy as np
import pytest

from headfit.fitting.pictures import ERROR_RANGE
from headfit.view import colours, tone
from headfit.view.painter import HEADROOM, MODES, HeadPainter


@pytest.fixture(scope="module")
def painter(shared_model):
    return HeadPainter(shared_model)


def test_a_frame_is_posed_by_its_own_parameters(painter, shared_model):
    for frame in (0, 1):
        np.testing.assert_allclose(painter.pose(frame).vertices, shared_model.vertices(frame), atol=1e-7)
    assert np.abs(painter.pose(0).vertices - painter.pose(1).vertices).max() > 0.01


@pytest.mark.parametrize("mode", MODES)
def test_every_mode_draws_the_same_geometry(painter, shared_model, mode):
    posed = painter.pose(1)
    (head,) = painter.paint(posed, mode)
    np.testing.assert_array_equal(head.positions[head.faces], posed.vertices[shared_model.head.faces.numpy()])
    assert head.colours.shape == head.positions.shape and np.isfinite(head.colours).all()
    assert (head.texture is not None) == (mode == "texture")


def test_hidden_parts_are_not_drawn(painter):
    everything, without = (painter.paint(painter.pose(0), "plain", hidden)[0] for hidden in (frozenset(), {"teeth"}))
    assert 0 < len(without.faces) < len(everything.faces)


def test_neutral_light_shows_the_texture_as_it_is(painter):
    """A new model's light is 1 everywhere, so the colours only undo the headroom of the stored texture."""
    (head,) = painter.paint(painter.pose(0), "texture")
    np.testing.assert_allclose(head.colours, HEADROOM, rtol=1e-5)


def test_error_is_drawn_where_it_is_known(painter, shared_model):
    error = np.full(shared_model.head.vertex_count, np.nan, np.float32)
    error[:100] = 2 * ERROR_RANGE
    (head,) = painter.paint(painter.pose(0), "error", error=error)
    known = painter.head.source < 100
    shown = tone.shown(head.colours)
    assert shown[known].sum(axis=1).min() > shown[~known].sum(axis=1).max()


def test_labels_have_different_colours():
    names = ["skin", "upper_lip", "tongue", "horns", "antlers"]
    palette = colours.of_labels(names)
    assert len(np.unique(palette.round(2), axis=0)) == len(names)


def test_normals_are_colours():
    normals = np.array([[1, 0, 0], [0, -1, 0]], np.float32)
    np.testing.assert_allclose(colours.of_normals(normals), [[1, 0.5, 0.5], [0.5, 0, 0.5]])


def test_the_headlight_lights_what_faces_it():
    light = colours.headlight(np.array([[0, 0, 1], [1, 0, 0]], np.float32), np.array([0.0, 0, 5]))
    assert light[0] == pytest.approx(1.0) and light[1] == pytest.approx(colours.AMBIENT)

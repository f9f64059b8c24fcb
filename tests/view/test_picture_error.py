import numpy as np
import pytest

from headfit.view.painter import HeadPainter
from headfit.view.picture_error import vertex_error


@pytest.fixture(scope="module")
def front(shared_model):
    return shared_model.corrected_cameras()[0]


@pytest.fixture(scope="module")
def posed(shared_model):
    return HeadPainter(shared_model).pose(0)


def test_the_own_render_has_no_error(shared_model, posed, front):
    picture = shared_model.render(front, 0)["rgb"]
    error = vertex_error(shared_model, 0, posed, [(front, picture)])
    seen = ~np.isnan(error)
    assert error[seen].max() == 0
    assert not seen[posed.normals[:, 2] < 0].any()  # the camera is in front
    face = shared_model.head.vertices_of("nose").numpy()
    assert seen[face].mean() > 0.5


def test_a_wrong_colour_is_found_where_it_is(shared_model, posed, front):
    picture = shared_model.render(front, 0)["rgb"].copy()
    picture[:, :30] = np.where(picture[:, :30] > 127, picture[:, :30] - 51, picture[:, :30] + 51)
    error = vertex_error(shared_model, 0, posed, [(front, picture), (front, None)])
    column = front.project(posed.vertices.astype(float))[:, 0]
    seen = ~np.isnan(error)
    np.testing.assert_allclose(error[seen & (column < 29)], 0.2, atol=1e-6)
    assert error[seen & (column > 31)].max() == 0


def test_views_are_averaged(shared_model, posed, front):
    picture = shared_model.render(front, 0)["rgb"]
    off = np.where(picture > 127, picture - 51, picture + 51).astype(np.uint8)
    error = vertex_error(shared_model, 0, posed, [(front, picture), (front, off)])
    np.testing.assert_allclose(error[~np.isnan(error)], 0.1, atol=1e-6)


def test_without_pictures_nothing_is_known(shared_model, posed, front):
    assert np.isnan(vertex_error(shared_model, 0, posed, [(front, None)])).all()

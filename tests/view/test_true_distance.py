from dataclasses import replace

import numpy as np
import pytest

from headfit.capture import TrueMeshes
from headfit.view.painter import HeadPainter
from headfit.view.true_distance import true_distance


@pytest.fixture(scope="module")
def posed(shared_model):
    return HeadPainter(shared_model).pose(1)


@pytest.fixture(scope="module")
def truth(shared_model, posed):
    """The head itself, 3 mm in front of where it is; its parts are its labels."""
    head = shared_model.head
    moved = posed.vertices.astype(float) + np.array([0, 0, 3e-3])
    return TrueMeshes(
        source="made", faces=head.faces.long().numpy(), face_parts=head.face_labels.long().numpy(),
        part_names=list(head.label_names), face_rendered=np.ones(len(head.faces), bool), under_hair=None,
        read_vertices=lambda frame: moved if frame == "000001" else None,
    )  # fmt: skip


@pytest.mark.slow
def test_it_is_the_distance_along_the_normal_where_cameras_see_the_truth(shared_model, posed, truth):
    distance = true_distance(shared_model, truth, 1, posed)
    known = ~np.isnan(distance)
    front = posed.normals[:, 2] > 0.995
    skin = np.isin(np.arange(len(known)), shared_model.head.vertices_of("skin").numpy())
    assert (front & skin & known).sum() > 20
    np.testing.assert_allclose(np.median(distance[front & skin & known]), 3e-3, atol=1e-4)
    behind = (posed.normals[:, 2] < -0.9) & (posed.vertices[:, 2] < posed.vertices[:, 2].mean())
    assert behind.sum() > 30 and not known[behind].any(), "the cameras are in front"


@pytest.mark.slow
def test_teeth_are_compared_with_teeth_alone(shared_model, posed, truth):
    """Where the true teeth are not shown, the fitted ones have no distance, although lips are near."""
    teeth = shared_model.head.vertices_of("lower_teeth").numpy()
    assert not np.isnan(true_distance(shared_model, truth, 1, posed)[teeth]).all()
    part = truth.part_names.index("lower_teeth")
    toothless = replace(truth, face_rendered=truth.face_parts != part)
    assert np.isnan(true_distance(shared_model, toothless, 1, posed)[teeth]).all()


def test_a_frame_without_a_true_mesh_says_nothing(shared_model, posed, truth):
    assert np.isnan(true_distance(shared_model, truth, 0, posed)).all()

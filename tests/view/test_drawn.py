import numpy as np

from headfit.export import MeshTopology
from headfit.view.drawn import DrawnSurface, group_of

#: Two triangles over four vertices; the shared edge is a seam of the texture, and the labels differ.
TOPOLOGY = MeshTopology(
    faces=np.array([[0, 1, 2], [2, 1, 3]], np.int32),
    faces_uv=np.array([[0, 1, 2], [4, 1, 3]], np.int32),
    uvs=np.array([[0, 0], [1, 0], [0, 1], [1, 1], [0.5, 1]], np.float32),
    face_labels=np.array([0, 1], np.int32),
    label_names=np.array(["skin", "tongue"]),
    face_parts=np.array([0, 1], np.int32),
    part_names=np.array(["skin", "tongue"]),
)


def test_corners_keep_their_position_texture_and_label() -> None:
    drawn = DrawnSurface.of(TOPOLOGY)
    np.testing.assert_array_equal(drawn.source[drawn.faces], TOPOLOGY.faces)
    np.testing.assert_array_equal(drawn.uvs[drawn.faces], TOPOLOGY.uvs[TOPOLOGY.faces_uv])
    np.testing.assert_array_equal(drawn.label[drawn.faces], [[0] * 3, [1] * 3])


def test_vertices_are_repeated_only_where_they_must() -> None:
    one_label = MeshTopology(**{**vars(TOPOLOGY), "face_labels": np.zeros(2, np.int32)})
    assert len(DrawnSurface.of(TOPOLOGY).source) == 6
    assert len(DrawnSurface.of(one_label).source) == 5  # only the seam


def test_hidden_groups_have_no_faces() -> None:
    drawn = DrawnSurface.of(TOPOLOGY)
    assert drawn.groups == ["skin", "tongue"]
    np.testing.assert_array_equal(drawn.shown_faces(frozenset({"tongue"})), drawn.faces[:1])
    assert not len(drawn.shown_faces(frozenset({"skin", "tongue"})))


def test_parts_are_grouped_by_their_names() -> None:
    parts = ["skin", "mouth_cavity", "left_socket", "tongue", "upper_teeth", "lower_gums", "right_eye", "hair"]
    assert [group_of(part) for part in parts] == ["skin", "mouth", "eyes", "tongue", "teeth", "teeth", "eyes", "hair"]

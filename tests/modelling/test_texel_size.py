"""The default head's texture layout and the borders between its labels, measured."""

import importlib.util

import numpy as np
import pytest

from headfit.assets import asset_path
from headfit.head import HeadModel, load
from headfit.modelling.texel_size import texel_size


@pytest.fixture(scope="module")
def head() -> HeadModel:
    return load("default")


@pytest.fixture(scope="module")
def recipe_uv():
    spec = importlib.util.spec_from_file_location("recipe_uv", asset_path("models/default/recipe/uv.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def claims(uv: np.ndarray, size: int) -> np.ndarray:
    """How many triangles `uv [F,3,2]` claim the centre of each texel `[size,size]`; on an edge: neither side."""
    count = np.zeros((size, size), np.int64)
    corners = uv * size - 0.5
    low, high = np.ceil(corners.min(1)).astype(int), np.floor(corners.max(1)).astype(int)
    for triangle, (left, bottom), (right, top) in zip(corners, low, high, strict=True):
        if right < left or top < bottom:
            continue
        x, y = np.meshgrid(np.arange(left, right + 1), np.arange(bottom, top + 1))
        step = np.roll(triangle, -1, 0) - triangle
        side = [dx * (y - y0) - dy * (x - x0) for (x0, y0), (dx, dy) in zip(triangle, step, strict=True)]
        inside = (np.min(side, 0) > 1e-9) | (np.max(side, 0) < -1e-9)
        count[bottom : top + 1, left : right + 1] += inside
    return count


@pytest.mark.slow
def test_no_texel_belongs_to_two_faces(head):
    count = claims(head.uvs[head.faces_uv.long()].double().numpy(), 1024)
    assert (count > 1).sum() == 0
    assert (count > 0).mean() > 0.3, "texels that nothing uses are waste"


def test_texels_that_two_faces_claim_are_counted():
    square = np.array([[[0, 0], [1, 0], [1, 1]], [[0, 0], [1, 1], [0, 1]]], float)
    assert claims(square, 16).max() == 1
    assert (claims(np.concatenate([square, square[:1]]), 16) == 2).sum() > 100


@pytest.mark.slow
def test_texel_size_is_that_of_a_known_square(head):
    sizes = texel_size(head, 2048)
    assert set(sizes) == set(head.label_names)
    assert sizes["left_eye"] == pytest.approx(sizes["right_eye"], rel=0.05)
    np.testing.assert_allclose([texel_size(head, 1024)[name] / sizes[name] for name in sizes], 2.0)
    flat = load("default")
    flat.uvs = flat.uvs / 2
    assert texel_size(flat, 2048)["nose"] == pytest.approx(2 * sizes["nose"])


def test_the_layout_gives_the_face_and_the_iris_more_and_never_folds(recipe_uv):
    side = np.linspace(0, 1, 201)
    grid = np.stack(np.meshgrid(0.3 * side + 0.2, 0.8 * side, indexing="ij"), -1).reshape(-1, 2)
    placed = recipe_uv.place(grid, "skin").reshape(201, 201, 2)
    along, across = np.diff(placed, axis=0)[:, :-1], np.diff(placed, axis=1)[:-1]
    area = along[..., 0] * across[..., 1] - along[..., 1] * across[..., 0]
    assert (area > 0).all(), "turned, not mirrored, and nowhere folded"
    left, bottom, right, top = recipe_uv.ATLAS["skin"]
    assert (placed.min((0, 1)) >= [left, bottom]).all() and (placed.max((0, 1)) <= [right, top]).all()
    centre = area[130, 100]  # in MakeHuman's chart the scalp is at the left, the face right of the middle
    assert centre > 5 * area[20, 20]
    turn = np.linspace(0, 2 * np.pi, 60, endpoint=False)
    for radius, smallest in ((0.16, 0.28), (0.99, 0.9)):  # the iris, and the rim
        ring = radius * np.stack([np.cos(turn), np.sin(turn)], 1)
        rim = np.stack([np.cos(turn), np.sin(turn)], 1)
        eye = recipe_uv.place(np.concatenate([ring, rim]), "left_eye")
        reach = np.linalg.norm(eye - eye[60:].mean(0), axis=1)
        assert smallest < reach[:60].mean() / reach[60:].mean() < 1.0


def border_turns(head: HeadModel, *names: str) -> tuple[np.ndarray, np.ndarray]:
    """Where the border of some labels runs on the skin `[N,3]`, in order, and by how many degrees it turns there."""
    vertices = head.rest().double().numpy()
    mine = head.face_parts == head.part_names.index("skin")
    faces = head.faces[mine].long().numpy()
    inside = np.isin(np.array(head.label_names)[head.face_labels[mine].numpy()], names).tolist()
    side_of = {}
    for face, corners in enumerate(faces.tolist()):
        for a, b in zip(corners, corners[1:] + corners[:1], strict=True):
            side_of[a, b] = inside[face]
    following = {a: b for (a, b), inner in side_of.items() if inner and side_of.get((b, a)) is False}
    loop = [next(iter(following))]
    while following[loop[-1]] != loop[0]:
        loop.append(following[loop[-1]])
    assert len(loop) == len(following), "one closed curve"
    points = vertices[loop]
    step = np.roll(points, -1, 0) - points
    step /= np.linalg.norm(step, axis=1, keepdims=True)
    return points, np.degrees(np.arccos(np.clip((step * np.roll(step, 1, 0)).sum(1), -1, 1)))


def test_the_lips_border_is_a_smooth_curve(head):
    """A border along the edges of the mesh turns by 60 to 90 degrees at every stair."""
    points, turns = border_turns(head, "upper_lip", "lower_lip")
    corner = np.abs(points[:, 0]) > np.abs(points[:, 0]).max() - 0.003  # the corners of the mouth are corners
    assert len(points) > 50
    assert turns[~corner].max() < 25 and np.median(turns) < 10, turns.round().tolist()

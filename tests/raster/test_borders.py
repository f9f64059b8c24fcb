"""edge_grad on unusual meshes and borders in unusual places: what counts as a jump, and which vertices move."""

import pytest
import torch
from torch import Tensor

from headfit.raster import Topology
from tests.support.edges import edge_gradient, random_like
from tests.support.shapes import F64, SIZE, Mesh, flat, sheet

axes = pytest.mark.parametrize("axis", [0, 1])


def quads(xs: list[float], axis: int, size: float) -> tuple[Tensor, Tensor]:
    """v_pix `[2 N,3]` and faces of a strip across the image whose quads meet at these N values of x (axis 0) or y."""
    v = torch.tensor([[x, y, 1.0] for x in xs for y in (-2.0, size + 2.0)], dtype=F64)
    faces = [f for n in range(0, 2 * len(xs) - 2, 2) for f in ([n, n + 1, n + 2], [n + 1, n + 3, n + 2])]
    order = [1, 0, 2] if axis == 1 else [0, 1, 2]
    return v[:, order], torch.tensor(faces, dtype=torch.int32)


def two_halves(border: float, axis: int) -> Tensor:
    """An image `[SIZE,SIZE,1]`: 1 at pixel centres before the border, 0 elsewhere."""
    centres = torch.arange(SIZE, dtype=F64) + 0.5
    image = (centres < border).double()[None].expand(SIZE, SIZE)
    return (image if axis == 0 else image.T)[..., None].contiguous()


@axes
@pytest.mark.parametrize("border", [12.2, 1.2, SIZE - 0.8])
def test_a_label_border_counts_as_much_between_the_last_centres_as_elsewhere(border: float, axis: int) -> None:
    v, faces = quads([-5, border, SIZE + 5], axis, SIZE)
    image, group = two_halves(border, axis), torch.tensor([0, 0, 1, 1])
    got = edge_gradient(v, faces, image, torch.ones_like(image), (SIZE, SIZE), group)
    assert float(got[2:4, axis].sum()) == pytest.approx(SIZE)
    assert (got[[0, 1, 4, 5]] == 0).all() and (got[:, 1 - axis] == 0).all()


@axes
@pytest.mark.parametrize("border", [12.5, 0.5, SIZE - 0.5])
def test_a_label_border_exactly_on_centres_is_a_jump(border: float, axis: int) -> None:
    """Centres exactly on the border belong to the half after it; a border before the first centres makes no jump."""
    v, faces = quads([-5, border, SIZE + 5], axis, SIZE)
    image, group = two_halves(border, axis), torch.tensor([0, 0, 1, 1])
    got = edge_gradient(v, faces, image, torch.ones_like(image), (SIZE, SIZE), group)
    assert float(got[2:4, axis].sum()) == pytest.approx(SIZE if border > 0.5 else 0.0)


@axes
@pytest.mark.parametrize("border", [12.2, 12.5])
def test_an_outline_on_centres_is_a_jump_of_the_one_in_front(border: float, axis: int) -> None:
    near, faces = quads([-5, border], axis, SIZE)
    far, _ = quads([-5, SIZE + 5], axis, SIZE)
    v = torch.cat([near, far * torch.tensor([1, 1, 2])])
    image = two_halves(border, axis)
    got = edge_gradient(v, torch.cat([faces, faces + 4]), image, torch.ones_like(image), (SIZE, SIZE))
    assert float(got[2:4, axis].sum()) == pytest.approx(SIZE)
    assert (got[[0, 1, 4, 5, 6, 7]] == 0).all()


@axes
def test_moving_a_border_and_what_is_beyond_it_add_up(axis: int) -> None:
    """Two borders between three stripes: each moves its own vertices according to its own jump."""
    v, faces = quads([-5, 10.3, 20.6, SIZE + 5], axis, SIZE)
    image = 3 * two_halves(10.3, axis) + 5 * two_halves(20.6, axis)
    got = edge_gradient(v, faces, image, torch.ones_like(image), (SIZE, SIZE), torch.tensor([0, 0, 1, 1, 2, 2]))
    torch.testing.assert_close(got[:, axis].reshape(4, 2).sum(1), torch.tensor([0, 3, 5, 0], dtype=F64) * SIZE)


def test_the_same_faces_twice_are_one_surface() -> None:
    """Every inner edge then has four faces: the first two are neighbours, and their copies are hidden behind them."""
    mesh = sheet((20, 20), (30, 30), 7, flat(1.0), angle=0.2)
    count = len(mesh.faces)
    twice = torch.cat([mesh.faces, mesh.faces.flip(1)])
    once = Topology(mesh.faces).adjacency
    assert torch.equal(Topology(twice).adjacency[:count], once) and (Topology(twice).adjacency[count:] == -1).all()
    image = random_like(torch.zeros(SIZE, SIZE, 2, dtype=F64))
    for faces in (mesh.faces, twice[:count].repeat(2, 1)):
        assert (edge_gradient(mesh.vertices, faces, image, random_like(image), (SIZE, SIZE)) == 0).all()


def test_a_fin_behind_an_edge_does_not_tear_the_surface() -> None:
    """Three faces share the diagonal of a square, one of them hidden. The two in front remain one surface."""
    v = torch.tensor([[-9, -9, 1], [60, -9, 1], [60, 60, 1], [-9, 60, 1], [25, 15, 2]], dtype=F64)
    faces = torch.tensor([[0, 1, 2], [0, 2, 3], [0, 2, 4]], dtype=torch.int32)
    assert (Topology(faces).adjacency == -1).all()
    image = random_like(torch.zeros(SIZE, SIZE, 2, dtype=F64))
    assert (edge_gradient(v, faces, image, random_like(image), (SIZE, SIZE)) == 0).all()


@axes
def test_a_t_junction_is_no_hole(axis: int) -> None:
    """One long edge next to two short ones with their own vertices: one surface, or a border if the groups differ."""
    left, left_faces = quads([-5, 12.2], axis, SIZE)
    right = torch.tensor([[12.2, -2], [12.2, 17], [12.2, SIZE + 2], [60, -2], [60, 17], [60, SIZE + 2]], dtype=F64)
    right = torch.cat([right if axis == 0 else right.flip(1), torch.ones(6, 1, dtype=F64)], 1)
    right_faces = torch.tensor([[0, 1, 3], [1, 4, 3], [1, 2, 4], [2, 5, 4]], dtype=torch.int32)
    v, faces = torch.cat([left, right]), torch.cat([left_faces, right_faces + 4])
    image = two_halves(12.2, axis)
    grad = torch.ones_like(image)
    assert (edge_gradient(v, faces, image, grad, (SIZE, SIZE), torch.zeros(6, dtype=torch.int32)) == 0).all()
    got = edge_gradient(v, faces, image, grad, (SIZE, SIZE), torch.tensor([0, 0, 1, 1, 1, 1]))
    of_left, of_right = float(got[2:4, axis].sum()), float(got[4:7, axis].sum())
    assert of_left == pytest.approx(SIZE / 2) and of_right == pytest.approx(SIZE / 2)


def test_a_fin_through_a_surface_is_an_intersection_that_both_move() -> None:
    """The line where one sheet cuts another; it coincides with no edge of the other."""
    one = sheet((20, 20), (30, 30), 3, lambda x, y: 1 + 0.004 * (x - 18))
    other = sheet((20, 20), (30, 30), 5, flat(1.0), phase=1.0)
    mesh = Mesh.join(one, other)
    image = two_halves(18, 0)
    got = edge_gradient(mesh.vertices, mesh.faces, image, torch.ones_like(image), (SIZE, SIZE))
    # dw of either sheet moves the line by dw / 0.004, in opposite directions; dz = -z^2 dw.
    along = -(mesh.vertices[:, 2] ** 2) * got[:, 2]
    first = float(along[mesh.object_of == 0].sum())
    assert abs(first) == pytest.approx(SIZE / 0.004, rel=1e-6)
    assert float(along[mesh.object_of == 1].sum()) == pytest.approx(-first, rel=1e-6)


@axes
@pytest.mark.parametrize("border", [12.01, 12.3, 12.5, 12.8, 2.7, SIZE - 2.7])
def test_a_border_between_two_ramps_is_exact_for_squares(border: float, axis: int) -> None:
    """With a constant target, colours that vary along a pair are evaluated at the border, wherever it is."""
    v, faces = quads([-5, border, SIZE + 5], axis, SIZE)
    centres = torch.arange(SIZE, dtype=F64)[:, None] + 0.5
    ramps = 0.2 + 0.03 * centres, 0.9 - 0.02 * centres
    target = torch.tensor([0.3], dtype=F64)
    image = torch.where(centres < border, *ramps).expand(SIZE, SIZE, 1)
    image = image if axis == 0 else image.transpose(0, 1)
    got = edge_gradient(v, faces, image, 2 * (image - target), (SIZE, SIZE), torch.tensor([0, 0, 1, 1]))
    before, beyond = 0.2 + 0.03 * border - 0.3, 0.9 - 0.02 * border - 0.3
    assert float(got[2:4, axis].sum()) == pytest.approx(SIZE * (before**2 - beyond**2), rel=1e-9)

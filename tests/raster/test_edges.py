"""Exact properties of edge_grad, one at a time."""

import pytest
import torch
from torch import Tensor

from headfit.raster import Topology, edge_grad, interpolate, rasterize
from tests.support.edges import edge_gradient, random_like
from tests.support.shapes import F64, SIZE, Mesh, colours_of, flat, sheet, tilted, triangle


def crossing_scene() -> Mesh:
    """Silhouettes, an occlusion and an intersection, all inside one image."""
    front = sheet((19, 20), (9, 11), 3, tilted(1.0, 0.01, 0.004), angle=0.3)
    back = sheet((22, 18), (12, 8), 4, flat(0.99), angle=-0.2, phase=1.5)
    return Mesh.join(front, back)


def render(mesh: Mesh, v_pix: Tensor, size: tuple[int, int] = (SIZE, SIZE)) -> Tensor:
    index_img, bary, _ = rasterize(v_pix[None], mesh.faces, size)
    return interpolate(mesh.colours, mesh.faces, index_img, bary)[0]


def test_horizontal_silhouette_alone() -> None:
    """A vertical edge next to the background: dL/dx = g * colour per row, distributed to the vertices by height."""
    x = 10.25
    v = torch.tensor([[2, -1, 1], [x, -1, 1], [x, 9, 1], [2, 9, 1]], dtype=F64)
    faces = torch.tensor([[0, 1, 2], [0, 2, 3]], dtype=torch.int32)
    image = torch.zeros(8, 16, 1, dtype=F64)
    image[:, 2:10] = 3.0
    grad = torch.full_like(image, 2.0)
    got = edge_gradient(v, faces, image, grad, (8, 16))
    rows = torch.arange(8, dtype=F64) + 0.5
    lower = ((rows + 1) / 10).sum()
    torch.testing.assert_close(got[1:3, 0], torch.stack([8 - lower, lower]) * 2.0 * 3.0)
    torch.testing.assert_close(got[:, 1:], torch.zeros(4, 2, dtype=F64))


def test_transposed_scene_has_transposed_gradient() -> None:
    mesh = crossing_scene()
    image = render(mesh, mesh.vertices)
    grad = random_like(image)
    swapped = mesh.vertices[:, [1, 0, 2]]
    got = edge_gradient(mesh.vertices, mesh.faces, image, grad, (SIZE, SIZE))
    transposed = edge_gradient(swapped, mesh.faces, image.transpose(0, 1), grad.transpose(0, 1), (SIZE, SIZE))
    torch.testing.assert_close(transposed, got[:, [1, 0, 2]])
    assert got.abs().max() > 1


@pytest.mark.parametrize("axis", [0, 1])
def test_mirrored_scene_has_mirrored_gradient(axis: int) -> None:
    mesh = crossing_scene()
    image = render(mesh, mesh.vertices)
    grad = random_like(image)
    flip, sign = torch.zeros(3, dtype=F64), torch.ones(3, dtype=F64)
    flip[axis], sign[axis] = SIZE, -1
    got = edge_gradient(mesh.vertices, mesh.faces, image, grad, (SIZE, SIZE))
    mirrored = edge_gradient(
        flip + sign * mesh.vertices, mesh.faces, image.flip(1 - axis), grad.flip(1 - axis), (SIZE, SIZE)
    )
    torch.testing.assert_close(mirrored, sign * got)


@pytest.mark.parametrize("axis", [0, 1])
def test_moving_everything_together_is_the_sum(axis: int) -> None:
    """Moving the image by dx under the weights x changes the loss by the sum of its colours times dx."""
    mesh = crossing_scene()
    image = render(mesh, mesh.vertices)
    v = mesh.vertices[None].requires_grad_()
    index_img, bary, _ = rasterize(v, mesh.faces, (SIZE, SIZE))
    out = edge_grad(interpolate(mesh.colours, mesh.faces, index_img, bary), v, mesh.faces, index_img)
    ramp = torch.arange(SIZE, dtype=F64)[:, None]
    ramp = ramp if axis == 0 else ramp[:, :, None]
    (grad,) = torch.autograd.grad((out * ramp).sum(), v)
    assert float(grad[..., axis].sum()) == pytest.approx(float(image.sum()), rel=0.02)
    assert abs(float(grad[..., 1 - axis].sum())) < 0.02 * float(image.sum())


@pytest.mark.parametrize("transposed", [False, True])
def test_last_row_and_column_count(transposed: bool) -> None:
    """In an image of three columns, an edge between the last two centres counts as much as one further inside."""
    order = [1, 0, 2] if transposed else [0, 1, 2]
    faces = torch.tensor([[0, 1, 2], [0, 2, 3]], dtype=torch.int32)
    for x in (1.2, 2.2):
        v = torch.tensor([[-9, -9, 1], [x, -9, 1], [x, 19, 1], [-9, 19, 1]], dtype=F64)[:, order]
        image = torch.zeros(8, 3, 1, dtype=F64)
        image[:, : round(x)] = 1.0
        if transposed:
            image = image.transpose(0, 1)
        got = edge_gradient(v, faces, image, torch.ones_like(image), (image.shape[0], image.shape[1]))
        assert float(got[:, order[0]].sum()) == pytest.approx(8.0)


def test_occluded_surface_gets_exactly_nothing() -> None:
    front = sheet((20, 20), (9, 9), 5, flat(1.0), angle=0.3)
    back = sheet((20, 20), (30, 30), 24, flat(0.5), angle=0.1, phase=1.5)
    mesh = Mesh.join(front, back)
    image = render(mesh, mesh.vertices)
    got = edge_gradient(mesh.vertices, mesh.faces, image, random_like(image), (SIZE, SIZE))
    assert (got[mesh.object_of == 1] == 0).all()
    assert got[mesh.object_of == 0].abs().max() > 1


def test_one_surface_has_no_jumps() -> None:
    """No matter how colours vary over a sheet that fills the image."""
    mesh = sheet((20, 20), (30, 30), 40, tilted(1.0, 0.01, 0.01), angle=0.2)
    image = random_like(torch.zeros(SIZE, SIZE, 2, dtype=F64))
    assert (edge_gradient(mesh.vertices, mesh.faces, image, random_like(image), (SIZE, SIZE)) == 0).all()


def test_intersection_on_pixel_centres_is_a_jump() -> None:
    """The line w_a = w_b runs exactly through a column of pixel centres, where both faces have the same depth."""
    one = sheet((20, 20), (30, 30), 1, lambda x, y: 1 + 0.01 * (x - 20.5))
    other = sheet((20, 20), (30, 30), 1, lambda x, y: 1 - 0.01 * (x - 20.5), phase=1.5)
    mesh = Mesh.join(one, other)
    image = torch.zeros(SIZE, SIZE, 1, dtype=F64)
    index_img, _, _ = rasterize(mesh.vertices[None], mesh.faces, (SIZE, SIZE))
    image[index_img[0] < 2] = 1.0
    got = edge_gradient(mesh.vertices, mesh.faces, image, torch.ones_like(image), (SIZE, SIZE))
    # Raising the first sheet by dw moves the line by -dw / 0.02; the first one is on the right.
    along = -(mesh.vertices[:, 2] ** 2) * (mesh.object_of == 0)
    assert float((got[:, 2] * along).sum()) == pytest.approx(SIZE / 0.02, rel=1e-6)


def test_open_border_within_one_component_is_a_jump() -> None:
    """A strip that curls over itself: one component and one group, but it occludes a part of itself."""
    mesh = sheet((20, 20), (16, 6), 16, flat(1.0))
    x, y, _ = mesh.vertices.unbind(-1)
    turn = (x - 20) / 16 * 3.5
    vertices = torch.stack([20 + (10 + 2 * turn) * torch.cos(turn) * 0.8, y, 6 - 2 * torch.sin(turn)], -1)
    image = render(Mesh(vertices, mesh.faces, colours_of(vertices, 0.3), mesh.object_of), vertices)
    assert int(Topology(mesh.faces).components.max()) == 0
    assert edge_gradient(vertices, mesh.faces, image, random_like(image), (SIZE, SIZE)).abs().max() > 0.5


def test_image_and_its_gradient_pass_unchanged() -> None:
    mesh = triangle((1, 1, 1))
    index_img, _, _ = rasterize(mesh.vertices[None], mesh.faces, (SIZE, SIZE))
    image = random_like(torch.zeros(1, SIZE, SIZE, 3, dtype=F64)).requires_grad_()
    out = edge_grad(image, mesh.vertices[None].requires_grad_(), mesh.faces, index_img)
    grad = random_like(image.detach()) * 2
    assert torch.equal(out, image)
    assert torch.equal(torch.autograd.grad(out, image, grad)[0], grad)


def test_duplicate_and_non_manifold_faces_are_defined() -> None:
    v = torch.tensor([[5, 5, 1], [30, 6, 1.2], [8, 30, 1.1], [32, 33, 1], [20, 3, 2]], dtype=F64)
    faces = torch.tensor([[0, 1, 2], [0, 1, 2], [2, 1, 3], [1, 2, 4], [1, 1, 2]], dtype=torch.int32)
    assert (Topology(faces).adjacency[2] == -1).all()
    image = random_like(torch.zeros(SIZE, SIZE, 2, dtype=F64))
    assert edge_gradient(v, faces, image, random_like(image), (SIZE, SIZE)).isfinite().all()

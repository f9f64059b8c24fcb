"""vertex_normals against its reference and finite differences, on meshes with everything that may go wrong."""

import pytest
import torch
from torch import Tensor

from headfit.raster import OppositeEdges, normals, reference, vertex_normals
from tests.support.threads import assert_same_bits

F32, F64 = torch.float32, torch.float64
dtypes = pytest.mark.parametrize("dtype", [F32, F64])


def mesh(batch: int = 2) -> tuple[Tensor, Tensor]:
    """A closed, bumpy surface of 96 faces, two of them also turned over; a face that uses a vertex twice, two that are
    collapsed to a line and to a point, and a vertex without faces."""
    g = torch.Generator().manual_seed(0)
    row, column = torch.meshgrid(torch.arange(6), torch.arange(8), indexing="ij")
    p, q = row * 8 + column, row * 8 + (column + 1) % 8
    r, s = ((x + 8) % 48 for x in (p, q))
    sheet = torch.cat([torch.stack([p, r, q], -1).reshape(-1, 3), torch.stack([q, r, s], -1).reshape(-1, 3)])
    extra = torch.tensor([[3, 3, 20], [48, 49, 50], [51, 52, 53], [7, 9, 7]])
    faces = torch.cat([sheet, sheet[[5, 60]].flip(1), extra]).int()
    vertices = torch.randn(batch, 55, 3, generator=g, dtype=F64)
    vertices[:, 50] = 2 * vertices[:, 49] - vertices[:, 48]
    vertices[:, 51:54] = vertices[:, 51:52]
    return vertices, faces


@dtypes
def test_same_as_reference(dtype: torch.dtype) -> None:
    vertices, faces = mesh()
    vertices = vertices.to(dtype).requires_grad_()
    got, want = vertex_normals(vertices, OppositeEdges(faces, 55)), reference.vertex_normals(vertices, faces)
    # Of three vertices on a line, the sum is rounding error.
    bound = {F32: 3e-6, F64: 1e-14}[dtype]
    line = torch.arange(55).clamp(48, 50) == torch.arange(55)
    torch.testing.assert_close(got[:, ~line], want[:, ~line], atol=bound, rtol=0)
    assert (want[:, :48].norm(dim=-1) > 0.99).all() and not got[:, 51:].any()
    weight = torch.randn(got.shape, generator=torch.Generator().manual_seed(1), dtype=F64).to(dtype)
    weight[:, line] = 0
    ours, theirs = (torch.autograd.grad((x * weight).sum(), vertices)[0] for x in (got, want))
    assert float((ours - theirs).norm()) <= 10 * bound * float(theirs.norm())
    assert not ours[:, 48:].any(), "vertices without area have no gradient"


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("moved", [0, 1, 2])
def test_gradient_of_each_axis(axis: int, moved: int) -> None:
    """Each component of the normals, by finite differences in each coordinate of the vertices."""
    vertices, faces = mesh(batch=1)
    opposite, part = OppositeEdges(faces, 55), vertices[:, :48, moved].clone().requires_grad_()

    def component(x: Tensor) -> Tensor:
        coordinates = list(vertices.unbind(-1))
        coordinates[moved] = torch.cat([x, coordinates[moved][:, 48:]], 1)
        return vertex_normals(torch.stack(coordinates, -1), opposite)[:, :48, axis]

    assert torch.autograd.gradcheck(component, part)


def test_a_face_counts_by_its_area_and_its_orientation() -> None:
    vertices = torch.tensor([[[0.0, 0, 0], [3, 0, 0], [0, 1, 0], [0, 0, 1]]])
    faces = torch.tensor([[0, 1, 2], [0, 2, 3]])  # areas 3/2 and 1/2, normals z and x
    normal = vertex_normals(vertices, OppositeEdges(faces, 4))
    torch.testing.assert_close(normal[0, 0], torch.tensor([1.0, 0, 3]) / 10**0.5)
    assert normal[0, 1].tolist() == [0, 0, 1] and normal[0, 3].tolist() == [1, 0, 0]
    turned = vertex_normals(vertices, OppositeEdges(faces.flip(1), 4))
    torch.testing.assert_close(turned, -normal)


@pytest.mark.parametrize("side", [0.5e-6, 2e-6])
def test_a_face_of_almost_no_area_has_no_normal(side: float) -> None:
    """A right-angled triangle: twice its area is less than 1e-12, or more."""
    vertices = side * torch.tensor([[[0.0, 0, 0], [1, 0, 0], [0, 1, 0]]], dtype=F64)
    vertices.requires_grad_()
    faces = torch.tensor([[0, 1, 2]])
    normal = vertex_normals(vertices, OppositeEdges(faces, 3))
    torch.testing.assert_close(normal, reference.vertex_normals(vertices, faces))
    assert normal[0, 0].tolist() == [0, 0, float(side > 1e-6)]
    (grad,) = torch.autograd.grad(normal.sum(), vertices)
    assert grad.isfinite().all() and bool(grad.any()) == (side > 1e-6)


@pytest.mark.parametrize("threads", [2, 7])
def test_bit_identical_for_any_number_of_threads(threads: int) -> None:
    vertices = torch.randn(3, 4000, 3, generator=torch.Generator().manual_seed(2), requires_grad=True)
    opposite = OppositeEdges(torch.arange(12000).reshape(-1, 3) * 7 % 4000, 4000)

    def run() -> tuple[Tensor, Tensor]:
        normal = vertex_normals(vertices, opposite)
        return normal, torch.autograd.grad(normal.square().sum() + normal.sum(), vertices)[0]

    assert_same_bits(run, threads)


@pytest.mark.slow
def test_as_a_torch_operator() -> None:
    vertices, faces = mesh()
    vertices.requires_grad_()
    opposite = OppositeEdges(faces, 55)
    inputs = opposite.first, opposite.edges
    torch.library.opcheck(normals.normals_of, (vertices, *inputs))
    normal, lengths = normals.normals_of(vertices.detach(), *inputs)
    torch.library.opcheck(normals.normals_backward, (vertices.detach(), *inputs, normal, lengths, normal))


def test_empty_meshes_and_batches() -> None:
    vertices, faces = mesh()
    assert vertex_normals(vertices[:0], OppositeEdges(faces, 55)).shape == (0, 55, 3)
    assert vertex_normals(vertices[:, :0], OppositeEdges(faces[:0], 0)).shape == (2, 0, 3)
    assert not vertex_normals(vertices, OppositeEdges(faces[:0], 55)).any()
    assert vertex_normals(vertices.half(), OppositeEdges(faces, 55)).dtype == F32


def test_the_edges_move_with_their_module_and_are_not_saved() -> None:
    module = torch.nn.Module()
    module.opposite = OppositeEdges(mesh()[1], 55)
    assert module.state_dict() == {} and list(module.parameters()) == []
    module.to("meta", F64)
    assert {(x.device.type, x.dtype) for x in module.buffers()} == {("meta", torch.int32)}


def test_wrong_arguments_are_named() -> None:
    vertices, faces = mesh()
    opposite = OppositeEdges(faces, 55)
    for wrong in (vertices[:, :54], vertices[0], vertices[..., :2]):
        with pytest.raises(ValueError, match=r"vertices: expected \[B,55,3\]"):
            vertex_normals(wrong, opposite)
    with pytest.raises(ValueError, match="float32 or float64"):
        vertex_normals(vertices.int(), opposite)
    with pytest.raises(ValueError, match="refer to vertices 0 to 53, but there are 53"):
        OppositeEdges(faces, 53)
    with pytest.raises(ValueError, match="faces: expected integers"):
        OppositeEdges(faces.float(), 55)
    with pytest.raises(ValueError, match="not the edges opposite 55 vertices"):
        normals.normals_of(vertices, opposite.first, opposite.edges + 30)
    with pytest.raises(ValueError, match="not the edges opposite 55 vertices"):
        normals.normals_of(vertices, opposite.first.flip(0), opposite.edges)

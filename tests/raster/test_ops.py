"""The torch operators: coverage rules, argument checks, empty inputs, threads, registration."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from torch import Tensor

from headfit.raster import (
    NEAR,
    Topology,
    edge_grad,
    edges_of_loss,
    interpolate,
    ops,
    pixel_loss,
    rasterize,
    sample_texture,
)
from headfit.raster.topology import face_components
from headfit.render.geometry import VertexNormals

QUAD = torch.tensor([[0, 1, 2], [0, 2, 3]], dtype=torch.int32)


def quad(x0: float, y0: float, x1: float, y1: float, z: float = 1.0) -> Tensor:
    return torch.tensor([[[x0, y0, z], [x1, y0, z], [x1, y1, z], [x0, y1, z]]])


@pytest.fixture
def restore_threads() -> Iterator[None]:
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


def random_scene(batch: int = 3) -> tuple[Tensor, Tensor]:
    """300 vertices and 200 faces, spread over an image of 60 x 80 pixels."""
    g = torch.Generator().manual_seed(1)
    v = torch.rand(batch, 300, 3, generator=g) * torch.tensor([80.0, 60.0, 1.0]) + torch.tensor([0, 0, 0.5])
    return v, torch.randint(0, 300, (200, 3), generator=g, dtype=torch.int32)


def test_pixel_centres_and_top_left_rule() -> None:
    """Edges exactly through pixel centres: left and top edges are inside, right and bottom ones outside."""
    index_img, _, _ = rasterize(quad(1.5, 0.5, 4.5, 2.5), QUAD, (4, 6))
    covered = torch.zeros(4, 6, dtype=torch.bool)
    covered[0:2, 1:4] = True
    assert torch.equal(index_img[0] >= 0, covered)


def test_neighbours_share_each_centre_once() -> None:
    """A fan of faces whose edges run through many centres: drawn one by one, they cover each centre once."""
    ring = [(0, 0), (4, 0), (8, 0), (8, 4), (8, 8), (4, 8), (0, 8), (0, 4)]
    v = torch.tensor([[[4.5, 4.5, 1]] + [[x + 0.5, y + 0.5, 1] for x, y in ring]])
    faces = torch.tensor([[0, 1 + i, 1 + (i + 1) % 8] for i in range(8)], dtype=torch.int32)
    flipped = faces[:, [0, 2, 1]]
    for winding in (faces, flipped, torch.cat([faces[:4], flipped[4:]])):
        hits = sum((rasterize(v, face[None], (9, 9))[0][0] >= 0).int() for face in winding)
        assert torch.equal(hits[:8, :8], torch.ones(8, 8, dtype=torch.int32))
        assert int(hits[8].sum() + hits[:, 8].sum()) == 0


def test_nearest_wins_and_ties_go_to_the_first_face() -> None:
    v = torch.cat([quad(0, 0, 4, 4, 2.0), quad(0, 0, 2, 4, 1.0), quad(0, 0, 4, 4, 2.0)], 1)
    index_img, _, depth = rasterize(v, torch.cat([QUAD, QUAD + 4, QUAD + 8]), (4, 4))
    assert set(index_img[0, :, :2].unique().tolist()) == {2, 3}
    assert set(index_img[0, :, 2:].unique().tolist()) == {0, 1}
    assert depth[0, 0].tolist() == [1, 1, 2, 2]


def test_perspective_correct() -> None:
    """A floor with z from 1 to 3: interpolation is linear in inverse depth, not in depth."""
    v = torch.tensor([[[0.0, 0, 3], [8, 0, 3], [8, 8, 1], [0, 8, 1]]], dtype=torch.float64)
    index_img, bary, depth = rasterize(v, QUAD, (8, 8))
    rows = torch.arange(8, dtype=torch.float64) + 0.5
    z = 1 / (1 / 3 + (1 - 1 / 3) * rows / 8)
    torch.testing.assert_close(depth[0], z[:, None].expand(8, 8))
    torch.testing.assert_close(interpolate(v[0, :, 2:], QUAD, index_img, bary)[0, ..., 0], depth[0])


def test_clipped_at_the_near_plane_not_dropped() -> None:
    """A floor below the camera, from behind it to the horizon, covers the lower half of the image."""
    points = torch.tensor([[-9.0, 1, -2], [9, 1, -2], [900, 1, 100], [-900, 1, 100]], dtype=torch.float64)
    v = torch.cat([10 * points[:, :2] / points[:, 2:] + 10, points[:, 2:]], 1)[None]
    index_img, bary, depth = rasterize(v, QUAD, (20, 20))
    rows = torch.arange(20) + 0.5
    assert torch.equal((index_img[0] >= 0).all(1), rows > 10.1)
    assert not (index_img[0, :10] >= 0).any()
    torch.testing.assert_close(depth[0, 11:, 3], 10 / (rows[11:].double() - 10))
    world = interpolate(points, QUAD, index_img, bary)
    torch.testing.assert_close(world[0, 11:, :, 1], torch.ones(9, 20, dtype=torch.float64))
    assert (rasterize(quad(0, 0, 4, 4, NEAR / 2), QUAD, (4, 4))[0] == -1).all()


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("component", [0, 1, 2])
def test_faces_with_bad_vertices_are_skipped(bad: float, component: int) -> None:
    v = torch.cat([quad(0, 0, 4, 4, 2.0), quad(0, 0, 4, 4, 1.0)], 1)
    v[0, 5, component] = bad
    v.requires_grad_()
    faces = torch.cat([QUAD, QUAD[:1] + 4])
    index_img, bary, depth = rasterize(v, faces, (4, 4))
    assert set(index_img.unique().tolist()) == {0, 1}
    image = edge_grad(interpolate(torch.ones(8, 1), faces, index_img, bary), v, faces, index_img)
    (grad,) = torch.autograd.grad(image.sum() + depth.sum(), v)
    assert grad.isfinite().all()


def test_surface_ends_at_a_bad_vertex() -> None:
    """The edge between a visible and a skipped face belongs to the visible one."""
    v = quad(2, 2, 14, 14)
    v[0, 3] = float("nan")
    v.requires_grad_()
    index_img, _, _ = rasterize(v, QUAD, (16, 16))
    image = (index_img >= 0).float()[..., None]
    (grad,) = torch.autograd.grad(edge_grad(image, v, QUAD, index_img).sum(), v)
    assert grad.isfinite().all() and float(grad[0, 0, 0]) != 0 and (grad[0, 3] == 0).all()


@pytest.mark.parametrize(
    "batch,vertices,faces,size", [(0, 4, 2, (4, 4)), (2, 0, 0, (4, 4)), (1, 4, 0, (3, 5)), (1, 4, 2, (0, 4))]
)
def test_empty_inputs(batch: int, vertices: int, faces: int, size: tuple[int, int]) -> None:
    v = quad(0, 0, 4, 4)[:, :vertices].expand(batch, -1, -1).clone().requires_grad_()
    f = QUAD[:faces]
    index_img, bary, depth = rasterize(v, f, size)
    assert index_img.shape == depth.shape == (batch, *size) and bary.shape == (batch, *size, 3)
    image = edge_grad(interpolate(torch.ones(vertices, 2), f, index_img, bary), v, f, index_img)
    (grad,) = torch.autograd.grad(image.sum() + depth.sum(), v)
    assert grad.shape == v.shape and grad.isfinite().all()
    if faces == 0:
        assert (index_img == -1).all() and (depth == 0).all()


def test_non_contiguous_and_expanded_inputs() -> None:
    v, faces = random_scene()
    transposed = v.transpose(0, 1).contiguous().transpose(0, 1)
    for got, want in zip(rasterize(transposed, faces, (60, 80)), rasterize(v, faces, (60, 80)), strict=True):
        assert torch.equal(got, want)
    once = rasterize(v[:1], faces, (60, 80))
    for got, want in zip(rasterize(v[:1].expand(2, -1, -1), faces, (60, 80)), once, strict=True):
        assert torch.equal(got[1:], want)


@pytest.mark.parametrize(
    "v,faces,message",
    [
        (torch.zeros(4, 3), QUAD, r"v_pix: expected \[B,V,3\], got \[4, 3\]"),
        (torch.zeros(1, 4, 2), QUAD, r"v_pix: expected \[B,V,3\]"),
        (torch.zeros(1, 4, 3, dtype=torch.int32), QUAD, "v_pix: expected float32 or float64"),
        (torch.zeros(1, 4, 3), QUAD.long(), "faces: expected int32"),
        (torch.zeros(1, 4, 3), QUAD.reshape(3, 2), r"faces: expected int32 \[F,3\]"),
        (torch.zeros(1, 3, 3), QUAD, "faces: face 1 refers to vertex 3, but there are 3 vertices"),
        (torch.zeros(1, 4, 3), QUAD - 1, "faces: face 0 refers to vertex -1"),
    ],
)
def test_rasterize_says_what_is_wrong(v: Tensor, faces: Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        rasterize(v, faces, (4, 4))


def test_interpolate_and_edge_grad_say_what_is_wrong() -> None:
    v = quad(0, 0, 4, 4)
    index_img, bary, _ = rasterize(v, QUAD, (4, 4))
    image = torch.ones(1, 4, 4, 2)
    with pytest.raises(ValueError, match="attributes: batch 2, but index_img has 1"):
        interpolate(torch.ones(2, 4, 2), QUAD, index_img, bary)
    with pytest.raises(ValueError, match="attributes, bary: expected both"):
        interpolate(torch.ones(4, 2).double(), QUAD, index_img, bary)
    with pytest.raises(ValueError, match="faces: face 0 refers to vertex 2"):
        interpolate(torch.ones(2, 2), QUAD, index_img, bary)
    with pytest.raises(ValueError, match="bary: expected"):
        interpolate(torch.ones(4, 2), QUAD, index_img, bary[..., :2])
    with pytest.raises(ValueError, match="index_img: holds face 5, which is not in"):
        interpolate(torch.ones(4, 2), QUAD, index_img + 5, bary)
    for behind in (torch.ones(1, 4, 4, 3), torch.ones(1, 4, 4, 2).double(), torch.ones(2)):
        with pytest.raises(ValueError, match="background: expected"):
            interpolate(torch.ones(4, 2), QUAD, index_img, bary, behind)
    with pytest.raises(ValueError, match=r"image: expected \[1, 4, 4, 'C'\]"):
        edge_grad(image[:, :3], v, QUAD, index_img)
    with pytest.raises(ValueError, match="group: expected 2 integers"):
        edge_grad(image, v, QUAD, index_img, group=torch.zeros(3, dtype=torch.int32))
    with pytest.raises(ValueError, match="topology: of 1 faces"):
        edge_grad(image, v, QUAD, index_img, topology=Topology(QUAD[:1]))


def test_pixel_loss_says_what_is_wrong() -> None:
    v = quad(0, 0, 4, 4)
    index_img, _, _ = rasterize(v, QUAD, (4, 4))
    image = torch.ones(1, 4, 4, 2)
    with pytest.raises(ValueError, match=r"target: expected torch.float32 \[1, 4, 4, 2\], as image"):
        pixel_loss(image, image[..., :1], v, QUAD, index_img, kind="l1")
    with pytest.raises(ValueError, match=r"scale: huber needs one above 0, in units of the image"):
        pixel_loss(image, image, v, QUAD, index_img, kind="huber")
    with pytest.raises(ValueError, match="kind: expected one of squared, charbonnier, huber, l1, cross_entropy"):
        pixel_loss(image, image, v, QUAD, index_img, kind="l3")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"loss: expected torch.float32 \[1, 4, 4\], as image"):
        edges_of_loss(image, image, image, v, QUAD, index_img, kind="l1")


def test_any_number_of_threads_gives_the_same_bits(restore_threads: None) -> None:
    v, faces = random_scene()
    results = []
    for threads in (1, 2, 7):
        torch.set_num_threads(threads)
        x, a = v.clone().requires_grad_(), v.clone().requires_grad_()
        index_img, bary, depth = rasterize(x, faces, (60, 80))
        image = edge_grad(interpolate(a, faces, index_img, bary), x, faces, index_img)
        grads = torch.autograd.grad((image**2).sum() + (depth**2).sum(), [x, a])
        results.append((index_img, bary, depth, *grads))
    for other in results[1:]:
        assert all(torch.equal(p, q) for p, q in zip(results[0], other, strict=True))


def test_interior_gradcheck() -> None:
    """A mesh that fills the image, so that small motions do not change visibility."""
    g = torch.Generator().manual_seed(0)
    v = torch.tensor([[[-3, -3, 1], [12, -2, 2], [11, 10, 1.5], [-4, 11, 3]]], dtype=torch.float64).requires_grad_()
    attributes = torch.rand(4, 2, generator=g, dtype=torch.float64).requires_grad_()

    def render(v: Tensor, attributes: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        index_img, bary, depth = rasterize(v, QUAD, (5, 6))
        return bary, depth, interpolate(attributes, QUAD, index_img, bary)

    assert torch.autograd.gradcheck(render, (v, attributes), eps=1e-7, atol=1e-6)


@pytest.mark.slow
def test_normals_and_uv_gradcheck() -> None:
    """Gradients of world normals, camera normals and UVs, seen by a rotated camera, with respect to world vertices."""
    g = torch.Generator().manual_seed(0)
    world = torch.tensor([[[-2, -2, 0], [2, -2, 0.3], [2.2, 2, 0.6], [-2, 2.1, -0.4]]], dtype=torch.float64)
    R = torch.linalg.qr(torch.eye(3) + 0.2 * torch.rand(3, 3, generator=g))[0].double()
    uvs = torch.rand(4, 2, generator=g, dtype=torch.float64)

    def render(world: Tensor) -> tuple[Tensor, ...]:
        camera = world @ R.T * torch.sign(torch.diag(R)) + torch.tensor([0, 0, 3.0])
        v_pix = torch.cat([5 * camera[..., :2] / camera[..., 2:] + 2.5, camera[..., 2:]], -1)
        index_img, bary, _ = rasterize(v_pix, QUAD, (5, 6))
        normals = interpolate(VertexNormals(QUAD, 4)(world), QUAD, index_img, bary)
        normals = torch.nn.functional.normalize(normals, dim=-1)
        return normals, normals @ R.T, interpolate(uvs, QUAD, index_img, bary)

    assert float(render(world)[0].norm(dim=-1).mean()) > 0.8, "the quad fills most of the picture"
    assert torch.autograd.gradcheck(render, world.requires_grad_(), eps=1e-7, atol=1e-6)


@pytest.mark.slow
def test_operators_are_registered_right() -> None:
    v, faces = random_scene(batch=2)
    v = v.requires_grad_()
    index_img, bary, depth = (x.detach() for x in rasterize(v, faces, (20, 30)))
    attributes = torch.rand(2, 300, 3, requires_grad=True)
    image = torch.rand(2, 20, 30, 3)
    topology = Topology(faces)
    # opcheck's tracing test cannot add up outputs that start with integers; test_compiled does it instead.
    utils = ("test_schema", "test_autograd_registration", "test_faketensor")
    torch.library.opcheck(ops.rasterize, (v, faces, 20, 30), test_utils=utils)
    torch.library.opcheck(ops.rasterize_backward, (v.detach(), faces, index_img, bary, depth))
    torch.library.opcheck(ops.interpolate, (attributes, faces, index_img, bary.requires_grad_(), None))
    torch.library.opcheck(ops.interpolate, (attributes, faces, index_img, bary, image.clone().requires_grad_()))
    for needs in ((True, True), (True, False), (False, True), (False, False, True)):
        inputs = (attributes.detach(), faces, index_img, bary.detach(), image, *needs)
        torch.library.opcheck(ops.interpolate_backward, inputs)
    mesh = (v.detach(), faces, topology.adjacency, topology.components, index_img)
    torch.library.opcheck(ops.edge_grad_backward, (image, image, None, *mesh))
    torch.library.opcheck(ops.edge_grad_backward, (image[..., 0].contiguous(), image, image, *mesh, "huber", 0.1))


@pytest.mark.slow
def test_compiled() -> None:
    """One graph without breaks from vertices and texture through all operators to the loss; the same gradients."""
    v, faces = random_scene(batch=2)
    topology = Topology(faces)
    g = torch.Generator().manual_seed(2)
    uvs = torch.rand(300, 2, generator=g)

    def loss(v: Tensor, attributes: Tensor, texture: Tensor) -> Tensor:
        index_img, bary, depth = rasterize(v, faces, (20, 30))
        uv_img = interpolate(uvs, faces, index_img, bary)
        albedo = sample_texture(texture, uv_img, index_img, group=topology.components)
        image = torch.cat([interpolate(attributes, faces, index_img, bary), albedo, depth[..., None]], -1)
        squares = (edge_grad(image, v, faces, index_img, topology=topology) ** 2).sum()
        target = torch.zeros_like(image)
        robust = pixel_loss(image, target, v, faces, index_img, kind="charbonnier", scale=0.1, topology=topology)
        return squares + robust.sum()

    inputs = (v, torch.rand(300, 3, generator=g), torch.rand(16, 32, 3, generator=g))
    inputs = tuple(x.requires_grad_() for x in inputs)
    compiled = torch.compile(loss, fullgraph=True, backend="aot_eager")
    want, got = loss(*inputs), compiled(*inputs)
    torch.testing.assert_close(got, want)
    torch.testing.assert_close(torch.autograd.grad(got, inputs), torch.autograd.grad(want, inputs))


def test_topology() -> None:
    faces = torch.cat([QUAD, QUAD + 4])
    topology = Topology(faces)
    assert topology.adjacency.tolist() == [[-1, 1, -1], [-1, -1, 0], [-1, 3, -1], [-1, -1, 2]]
    assert topology.components.tolist() == [0, 0, 1, 1]
    assert Topology.of(faces) is Topology.of(faces)
    assert Topology.of(faces) is not Topology.of(faces.clone())
    before = Topology.of(faces)
    faces[2:] -= 4
    assert Topology.of(faces) is not before
    with pytest.raises(ValueError, match="faces: expected integers"):
        Topology(torch.zeros(3, 2))


def test_topology_moves_with_its_module_and_is_not_saved() -> None:
    module = torch.nn.Module()
    module.topology = Topology(QUAD)
    assert module.state_dict() == {} and list(module.parameters()) == []
    module.to("meta", torch.float64)
    assert {x.device.type for x in (module.topology.adjacency, module.topology.components)} == {"meta"}
    assert {x.dtype for x in (module.topology.adjacency, module.topology.components)} == {torch.int32}


def test_face_components_are_joined_by_shared_vertices() -> None:
    faces = np.array([[7, 8, 9], [0, 1, 2], [2, 3, 4], [9, 5, 6]])
    assert face_components(faces).tolist() == [1, 0, 0, 1], "numbered in the order of the lowest vertex"
    assert face_components(faces[:0]).tolist() == []

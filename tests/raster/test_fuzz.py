"""Any input gives a defined result or a ValueError: never a crash, and never NaN if the vertices are ordinary."""

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

from headfit.raster import NEAR, Topology, edge_grad, interpolate, pixel_loss, rasterize, sample_texture, skipped_faces

HALF = [torch.float16, torch.bfloat16]
# On centres, corners and the near plane, at the camera, behind it, far away, and so large that products overflow.
TRICKY = [0.0, -0.0, 0.5, 1.0, 1.5, 2.5, 4.0, -1.0, NEAR, NEAR / 2, -NEAR, 1e-30, 1e-45, 1e8, -1e8, 1e20, 3e38]
NOT_FINITE = [float("nan"), float("inf"), -float("inf")]
ordinary = st.floats(-3, 12, width=32)
quickly = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)


@st.composite
def meshes(draw: st.DrawFn, values: st.SearchStrategy[float]) -> tuple[Tensor, Tensor]:
    """v_pix `[B,V,3]` and faces `[F,3]` of arbitrary connectivity."""
    batch, vertices, faces = draw(st.integers(0, 2)), draw(st.integers(1, 7)), draw(st.integers(0, 8))
    count = batch * vertices * 3
    v = torch.tensor(draw(st.lists(values, min_size=count, max_size=count))).reshape(batch, vertices, 3)
    ids = draw(st.lists(st.integers(0, vertices - 1), min_size=3 * faces, max_size=3 * faces))
    return v, torch.tensor(ids, dtype=torch.int32).reshape(-1, 3)


def run_everything(v: Tensor, faces: Tensor, size: tuple[int, int], channels: int) -> tuple[Tensor, list[Tensor]]:
    """index_img, and all values and gradients of one step through every operator."""
    v = v.requires_grad_()
    index_img, bary, depth = rasterize(v, faces, size)
    g = torch.Generator().manual_seed(len(faces))
    attributes = torch.rand(v.shape[1], channels, generator=g, dtype=v.dtype).requires_grad_()
    image = interpolate(attributes, faces, index_img, bary)
    group = torch.randint(0, 3, (len(faces),), generator=g)
    uv = interpolate(torch.rand(v.shape[1], 2, generator=g, dtype=v.dtype), faces, index_img, bary)
    texels = sample_texture(torch.rand(4, 8, 2, generator=g, dtype=v.dtype), uv, index_img, group=group)
    shown = edge_grad(torch.cat([image, texels], -1), v, faces, index_img, group=group)
    loss = pixel_loss(image, torch.zeros_like(image), v, faces, index_img, kind="huber", scale=0.1)
    total = shown.square().sum() + loss.sum() + depth.sum()
    return index_img, [image, texels, depth, *torch.autograd.grad(total, (v, attributes), allow_unused=True)]


@quickly
@pytest.mark.slow
@given(meshes(ordinary), st.sampled_from([torch.float32, torch.float64]), st.integers(0, 9), st.integers(0, 3))
def test_sane_vertices_give_finite_numbers(
    mesh: tuple[Tensor, Tensor], dtype: torch.dtype, width: int, channels: int
) -> None:
    v, faces = mesh
    index_img, values = run_everything(v.to(dtype), faces, (7, width), channels)
    assert ((index_img >= -1) & (index_img < len(faces))).all()
    assert all(x.isfinite().all() for x in values if x is not None)


@quickly
@pytest.mark.slow
@given(meshes(st.one_of(ordinary, st.sampled_from(TRICKY + NOT_FINITE))), st.integers(0, 3))
def test_any_vertices_give_a_result(mesh: tuple[Tensor, Tensor], channels: int) -> None:
    v, faces = mesh
    index_img, _ = run_everything(v, faces, (7, 8), channels)
    assert ((index_img >= -1) & (index_img < len(faces))).all()
    usable = v.detach().isfinite().all(-1) & (v.detach()[..., 2] != 0)
    for b in range(len(v)):
        drawn = index_img[b].unique()
        assert usable[b][faces[drawn[drawn >= 0].long()].long()].all(), "a face with a bad vertex was drawn"


@quickly
@given(meshes(ordinary), st.integers(-9, 9), st.integers(0, 2))
def test_wrong_face_indices_are_refused(mesh: tuple[Tensor, Tensor], wrong: int, corner: int) -> None:
    v, faces = mesh
    if len(faces) == 0 or 0 <= wrong < v.shape[1]:
        return
    faces[len(faces) // 2, corner] = wrong
    with pytest.raises(ValueError, match="faces"):
        rasterize(v, faces, (5, 5))


@quickly
@given(st.lists(st.integers(0, 3), max_size=5), st.sampled_from([torch.float32, torch.int32, torch.bool, *HALF]))
def test_any_shape_and_type_is_refused_or_drawn(shape: list[int], dtype: torch.dtype) -> None:
    faces = torch.zeros(0, 3, dtype=torch.int32)
    right = len(shape) == 3 and shape[2] == 3 and dtype not in (torch.int32, torch.bool)
    for call in (
        lambda x: rasterize(x, faces, (3, 3)),
        lambda x: edge_grad(torch.zeros(len(x), 3, 3, 1), x, faces, torch.full((len(x), 3, 3), -1).int()),
    ):
        try:
            call(torch.zeros(shape, dtype=dtype))
            refused = False
        except (ValueError, TypeError):
            refused = True
        assert refused != right


def test_skipped_faces_are_counted() -> None:
    v = torch.rand(3, 6, 3) + 0.5
    v[1, 0, 0], v[1, 5, 2], v[2, 1, 2] = torch.nan, torch.inf, 0
    faces = torch.tensor([[0, 1, 2], [1, 2, 3], [3, 4, 5]], dtype=torch.int32)
    assert skipped_faces(v, faces).tolist() == [0, 2, 2]


@pytest.mark.parametrize("dtype", HALF)
def test_half_precision_is_worked_on_in_single(dtype: torch.dtype) -> None:
    v = torch.tensor([[[1.0, 1, 1], [14, 2, 1], [3, 13, 2], [15, 15, 0.5]]])
    faces = torch.tensor([[0, 1, 2], [1, 3, 2]], dtype=torch.int32)
    colours = torch.tensor([[0.25], [0.5], [1.0], [0.75]])

    def step(v: Tensor, colours: Tensor) -> tuple[Tensor, ...]:
        leaves = v.requires_grad_(), colours.requires_grad_()
        index_img, bary, depth = rasterize(leaves[0], faces, (16, 16))
        image = interpolate(leaves[1], faces, index_img, bary)
        loss = edge_grad(image, leaves[0], faces, index_img).square().sum()
        loss = loss + pixel_loss(image, 0 * image, leaves[0], faces, index_img, kind="l1").sum()
        return image, depth, *torch.autograd.grad(loss, leaves)

    exact = step(v.clone(), colours.clone())  # exact in half precision as well
    *values, grad_v, grad_colours = step(v.to(dtype), colours.to(dtype))
    assert torch.equal(values[0], exact[0]) and torch.equal(values[1], exact[1])
    assert grad_v.dtype == grad_colours.dtype == dtype
    torch.testing.assert_close(grad_v, exact[2].to(dtype))
    torch.testing.assert_close(grad_colours, exact[3].to(dtype))
    mixed = step(v.clone(), colours.to(dtype))
    assert torch.equal(mixed[0], exact[0])


@pytest.mark.parametrize("dtype", HALF)
def test_under_autocast_nothing_overflows(dtype: torch.dtype) -> None:
    """Coordinates beyond float16, after a matrix product that autocast computed in half precision."""
    v = (torch.tensor([[[1.0, 1, 1], [70000, 2, 1], [3, 80000, 2]]]) + 0).requires_grad_()
    faces = torch.tensor([[0, 1, 2]], dtype=torch.int32)
    with torch.autocast("cpu", dtype=dtype):
        colours = torch.rand(3, 4) @ torch.rand(4, 3)
        assert colours.dtype == dtype
        index_img, bary, _ = rasterize(v, faces, (16, 16))
        image = interpolate(colours, faces, index_img, bary)
        loss = pixel_loss(image, torch.zeros_like(image), v, faces, index_img, kind="charbonnier", scale=0.02).sum()
    assert image.dtype == torch.float32 and (index_img >= 0).any()
    (grad,) = torch.autograd.grad(loss, v)
    assert grad.isfinite().all() and grad.any()


def test_a_face_next_to_itself() -> None:
    """Faces with a repeated vertex, and one face three times: no shared edge, no jump, no crash."""
    faces = torch.tensor([[0, 1, 2], [0, 0, 1], [0, 1, 2], [2, 1, 0]], dtype=torch.int32)
    v = torch.tensor([[[1.0, 1, 1], [6, 1, 1], [1, 6, 1]]])
    index_img, values = run_everything(v, faces, (8, 8), 1)
    assert set(index_img.unique().tolist()) == {-1, 0}
    assert values[3].isfinite().all() and Topology(faces).adjacency[3].tolist() == [-1, -1, -1]

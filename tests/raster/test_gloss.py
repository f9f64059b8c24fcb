"""mirrored_gloss against its reference and finite differences."""

import pytest
import torch
from torch import Tensor

from headfit.raster import gloss, mirrored_gloss, reference
from tests.support.threads import assert_same_bits

F32, F64 = torch.float32, torch.float64
Leaves = list[Tensor]


def scene(count: int = 300, dtype: torch.dtype = F64) -> tuple[Leaves, Tensor]:
    """vertices, normals, centres and forms of two views of a cloud of points, and their kinds: two, or none; the first
    vertex is at the first camera."""
    g = torch.Generator().manual_seed(0)
    vertices = torch.randn(2, count, 3, generator=g, dtype=F64)
    centres = torch.tensor([[0.3, 4, 1], [-2, 0.5, 3]], dtype=F64)
    vertices[0, 0] = centres[0]
    normals = torch.nn.functional.normalize(torch.randn(2, count, 3, generator=g, dtype=F64), dim=-1)
    forms = torch.randn(2, 9, 9, generator=g, dtype=F64)
    kind = torch.arange(count, dtype=torch.int32) % 3 - 1
    return [x.to(dtype).requires_grad_() for x in (vertices, normals, centres, forms)], kind.roll(1)


@pytest.mark.parametrize("dtype", [F32, F64])
def test_same_as_reference(dtype: torch.dtype) -> None:
    leaves, kind = scene(dtype=dtype)
    got, want = mirrored_gloss(*leaves, kind), reference.mirrored_gloss(*leaves, kind)
    bound = {F32: 1e-5, F64: 1e-13}[dtype]
    torch.testing.assert_close(got, want, atol=bound, rtol=bound)
    assert not got[:, kind < 0].any() and (got[:, kind >= 0] != 0).all()
    weight = torch.randn(got.shape, generator=torch.Generator().manual_seed(1), dtype=F64).to(dtype)
    weight[0, 0] = 0  # no direction, so a gradient in units of 1e9
    ours, theirs = (torch.autograd.grad((x * weight).sum(), leaves) for x in (got, want))
    for a, b in zip(ours, theirs, strict=True):
        assert float((a - b).norm()) <= bound * float(b.norm()) and b.any()


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("moved", ["vertices", "normals", "centres"])
def test_gradient_along_each_axis(axis: int, moved: str) -> None:
    """Normals are moved as they are, without making them unit vectors again."""
    leaves, kind = scene(count=20)
    vertices, normals, centres, forms = (x.detach() for x in leaves)
    arguments = {"vertices": vertices[:, 1:], "normals": normals[:, 1:], "centres": centres, "forms": forms}

    def shifted(x: Tensor) -> Tensor:
        parts = list(arguments[moved].unbind(-1))
        parts[axis] = x
        return mirrored_gloss(**(arguments | {moved: torch.stack(parts, -1)}), kind=kind[1:])

    assert torch.autograd.gradcheck(shifted, arguments[moved][..., axis].clone().requires_grad_())


def test_gradient_of_the_forms() -> None:
    """More vertices than a part has, and forms that are not symmetric."""
    (vertices, normals, centres, forms), kind = scene(count=3 * gloss.GLOSS_PART + 1)
    fixed = vertices.detach(), normals.detach(), centres.detach()
    (total,) = torch.autograd.grad(mirrored_gloss(*fixed, forms, kind).sum(), forms)
    # Linear in the forms, so a difference is exact.
    for i, j in [(0, 0), (1, 6), (6, 1), (8, 3)]:
        step = torch.zeros_like(forms)
        step[1, i, j] = 1.0
        rise = mirrored_gloss(*fixed, forms + step, kind).sum() - mirrored_gloss(*fixed, forms, kind).sum()
        torch.testing.assert_close(total[1, i, j], rise)


def test_a_camera_in_front_sees_what_is_behind_it() -> None:
    """The harmonic z, squared: seen along the normal, a surface mirrors the camera's own direction."""
    vertices, normals = torch.zeros(1, 2, 3), torch.tensor([[[0.0, 0, 1], [0.5**0.5, 0, 0.5**0.5]]])
    form = torch.zeros(1, 9, 9)
    form[0, 3, 3] = 0.7
    kind = torch.zeros(2, dtype=torch.int32)
    seen = mirrored_gloss(vertices, normals, torch.tensor([[0.0, 0, 2]]), form, kind)
    torch.testing.assert_close(seen, torch.tensor([[0.7, 0]]))  # the second is turned by 45 degrees, and mirrors x


@pytest.mark.parametrize("threads", [2, 7])
def test_bit_identical_for_any_number_of_threads(threads: int) -> None:
    leaves, kind = scene(count=5 * gloss.GLOSS_PART + 7, dtype=F32)

    def run() -> tuple[Tensor, ...]:
        out = mirrored_gloss(*leaves, kind)
        return out, *torch.autograd.grad(out[:, 1:].square().sum(), leaves)

    assert_same_bits(run, threads)


@pytest.mark.slow
def test_as_a_torch_operator() -> None:
    leaves, kind = scene(count=20)
    torch.library.opcheck(gloss.gloss_of, (*leaves, kind))
    torch.library.opcheck(gloss.gloss_backward, (*(x.detach() for x in leaves), kind, torch.ones(2, 20, dtype=F64)))


def test_empty_inputs() -> None:
    (vertices, normals, centres, forms), kind = scene(count=5)
    assert mirrored_gloss(vertices[:0], normals[:0], centres[:0], forms, kind).shape == (0, 5)
    out = mirrored_gloss(vertices[:, :0], normals[:, :0], centres, forms, kind[:0])
    (grad,) = torch.autograd.grad(out.sum(), forms)
    assert out.shape == (2, 0) and grad.shape == forms.shape and not grad.any()
    assert not mirrored_gloss(vertices, normals, centres, forms[:0], kind).any()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"vertices": torch.zeros(5, 3)}, "vertices: expected floats"),
        ({"normals": torch.zeros(2, 4, 3, dtype=F64)}, r"normals: expected torch.float64 \[2, 5, 3\]"),
        ({"normals": torch.zeros(2, 5, 3)}, "normals: expected torch.float64"),
        ({"centres": torch.zeros(1, 3, dtype=F64)}, "centres: expected"),
        ({"forms": torch.zeros(2, 4, 4, dtype=F64)}, "forms: expected"),
        ({"kind": torch.zeros(5)}, "kind: expected int32"),
    ],
)
def test_wrong_arguments_are_named(change: dict[str, Tensor], message: str) -> None:
    leaves, kind = scene(count=5)
    arguments = dict(zip(("vertices", "normals", "centres", "forms", "kind"), (*leaves, kind), strict=True)) | change
    with pytest.raises(ValueError, match=message):
        mirrored_gloss(**arguments)

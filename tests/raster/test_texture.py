"""sample_texture against its reference, torch's bilinear sampling and finite differences; no aliasing."""

import pytest
import torch
from torch import Tensor

from headfit.raster import interpolate, rasterize, reference, sample_texture
from headfit.raster import texture as module
from tests.support.threads import assert_same_bits

F32, F64 = torch.float32, torch.float64
dtypes = pytest.mark.parametrize("dtype", [F32, F64])
SIZE = 24, 30


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=F64)


def pictures(texels_per_pixel: float = 3.0) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """texture `[32,64,3]`, uv_img `[2,H,W,2]`, index_img and group of a warped sheet with a hole over another."""
    y, x = torch.meshgrid(*(torch.arange(n, dtype=F64) for n in SIZE), indexing="ij")
    uv = torch.stack([x + 2 * torch.sin(0.3 * y), 0.5 * y + 0.2 * torch.cos(0.5 * x)], -1) * texels_per_pixel / 64
    uv = torch.stack([uv, uv.flip(0)])
    index_img = torch.zeros(2, *SIZE, dtype=torch.int32)
    index_img[:, 5:15, 8:20] = 1
    index_img[:, 9:11, 10:12] = -1
    uv[index_img == 1] += 0.31
    return noise(32, 64, 3), uv - 0.0513, index_img, torch.tensor([7, 3])


def constant_uv(step: float, size: int = 16) -> tuple[Tensor, Tensor]:
    """uv_img `[1,size,size,2]` that starts at 0 and increases by `step` per pixel, and its index_img."""
    y, x = torch.meshgrid(*(torch.arange(size, dtype=F64) + 0.5,) * 2, indexing="ij")
    return (torch.stack([x, size - y], -1) * step)[None], torch.zeros(1, size, size, dtype=torch.int32)


@dtypes
@pytest.mark.parametrize("texels_per_pixel", [0.3, 1.7, 5.0, 40.0])
@pytest.mark.parametrize("grouped", [False, True])
@pytest.mark.slow
@pytest.mark.parametrize("mips", [1, 4, 6])
def test_same_as_reference(dtype: torch.dtype, texels_per_pixel: float, grouped: bool, mips: int) -> None:
    texture, uv, index_img, group = pictures(texels_per_pixel)
    leaves = [x.to(dtype).requires_grad_() for x in (texture, uv)]
    group = group if grouped else None
    got = sample_texture(*leaves, index_img, mips, group=group)
    want = reference.sample_texture(*leaves, index_img, mips, group)
    tolerance = 2e-5 if dtype == F32 else 1e-11
    torch.testing.assert_close(got, want, atol=tolerance, rtol=0)
    weight = noise(*want.shape, seed=1).to(dtype)
    for a, b in zip(
        torch.autograd.grad((got * weight).sum(), leaves),
        torch.autograd.grad((want * weight).sum(), leaves),
        strict=True,
    ):
        assert float((a - b).norm()) <= 10 * tolerance * float(b.norm())


def test_one_level_is_bilinear_sampling() -> None:
    texture, uv, index_img, _ = pictures()
    got = sample_texture(texture, uv, index_img, 1)
    grid = torch.stack([2 * uv[..., 0] - 1, 1 - 2 * uv[..., 1]], -1)
    levels = texture.movedim(-1, 0).expand(2, -1, -1, -1)
    want = torch.nn.functional.grid_sample(levels, grid, padding_mode="border", align_corners=False).movedim(1, -1)
    seen = index_img >= 0
    torch.testing.assert_close(got[seen], want[seen])
    assert not got[~seen].any()


def test_level_follows_the_longer_side_of_the_footprint() -> None:
    uv, index_img = constant_uv(1 / 64)
    for stretch, level in (((4, 1), 2.0), ((1, 8), 3.0), ((0.5, 0.25), 0.0), ((3, 1), 1.5849625), ((99, 1), 4.0)):
        stretched = uv * torch.tensor(stretch)
        assert torch.allclose(reference.mip_level((64, 64), stretched, index_img, 5), torch.tensor(level).double())


def test_a_texture_per_image() -> None:
    texture, uv, index_img, _ = pictures()
    both = torch.stack([texture, noise(32, 64, 3, seed=2)]).requires_grad_()
    got = sample_texture(both, uv, index_img)
    for b in range(2):
        torch.testing.assert_close(got[b], sample_texture(both[b], uv[b : b + 1], index_img[b : b + 1])[0])
    (grad,) = torch.autograd.grad(got[0].sum(), both)
    assert grad[0].any() and not grad[1].any()


@pytest.mark.slow
@pytest.mark.parametrize("texels_per_pixel", [0.4, 2.5])
def test_gradient_of_the_texture(texels_per_pixel: float) -> None:
    texture, uv, index_img, group = pictures(texels_per_pixel)
    crop = slice(0, 1), slice(0, 16), slice(0, 16)
    call = lambda t: sample_texture(t, uv[crop], index_img[crop], 3, group=group)  # noqa: E731
    assert torch.autograd.gradcheck(call, texture[:16, :16].contiguous().requires_grad_())


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("texels_per_pixel", [0.4, 2.5, 11.0])
def test_gradient_of_uv(axis: int, texels_per_pixel: float) -> None:
    """All points move along one axis of the texture, so that footprints do not change."""
    texture, uv, index_img, group = pictures(texels_per_pixel)
    weight = noise(*uv.shape[:-1], 3, seed=1)
    move = torch.eye(2, dtype=F64)[axis]

    def loss(shift: float | Tensor) -> Tensor:
        return (weight * sample_texture(texture, uv + shift * move, index_img, 5, group=group)).sum()

    shift = torch.zeros((), dtype=F64, requires_grad=True)
    (slope,) = torch.autograd.grad(loss(shift), shift)
    step = 1e-7
    torch.testing.assert_close(slope, (loss(step) - loss(-step)) / (2 * step), rtol=1e-4, atol=1e-3)
    assert abs(float(slope)) > 1


def test_a_texture_from_afar_does_not_shimmer() -> None:
    """White noise at 8 texels per pixel: moving it by a fraction of a pixel changes colours very little."""
    texture = noise(128, 128, 1)
    uv, index_img = constant_uv(1 / 16)
    shifts = torch.linspace(0, 1 / 16, 9, dtype=F64)
    spread = {
        mips: torch.stack([sample_texture(texture, uv + s, index_img, mips) for s in shifts]).std(0).mean()
        for mips in (1, 4)
    }
    assert spread[4] < 0.2 * spread[1]


def test_the_gradient_reaches_every_texel() -> None:
    texture = noise(128, 128, 1).requires_grad_()
    uv, index_img = constant_uv(1 / 16)
    (reached,) = torch.autograd.grad(sample_texture(texture, uv, index_img).sum(), texture)
    assert (reached > 0).all()
    (bilinear,) = torch.autograd.grad(sample_texture(texture, uv, index_img, 1).sum(), texture)
    assert (bilinear > 0).float().mean() < 0.1
    torch.testing.assert_close(reached.sum(), bilinear.sum())


@pytest.mark.parametrize("axis", [1, 2])
def test_the_other_side_of_a_seam_is_no_footprint(axis: int) -> None:
    """A column and a row of another chart, one pixel wide, keep their colour sharp."""
    texture = noise(64, 64, 3)
    uv, index_img = constant_uv(1 / 128)
    alone = sample_texture(texture, uv, index_img)
    line = [slice(None), slice(None), slice(None)]
    line[axis] = slice(5, 6)
    uv[tuple(line)], index_img[tuple(line)] = (1 - uv)[tuple(line)], 1
    expected = torch.where((index_img == 1)[..., None], sample_texture(texture, uv, index_img, 1), alone)
    torch.testing.assert_close(sample_texture(texture, uv, index_img, group=torch.tensor([0, 1])), expected)
    # On its own chart, a line has neighbours only along itself. Without groups, those across it, far away on the
    # texture, count as well.
    assert not torch.allclose(sample_texture(texture, uv, index_img)[tuple(line)], expected[tuple(line)])


def test_what_hides_a_surface_does_not_blur_it() -> None:
    texture, (uv, index_img) = noise(64, 64, 3), constant_uv(1 / 128)
    uv[:, :, 8:], index_img[:, :, 8:] = uv[:, :, 8:] + 0.4, 1
    torch.testing.assert_close(sample_texture(texture, uv, index_img), sample_texture(texture, uv, index_img, 1))


@pytest.mark.parametrize("threads", [2, 7])
def test_bit_identical_for_any_number_of_threads(threads: int) -> None:
    texture, uv, index_img, group = pictures()
    leaves = [x.float().requires_grad_() for x in (texture, uv)]

    def run() -> tuple[Tensor, ...]:
        image = sample_texture(*leaves, index_img, group=group)
        return image, *torch.autograd.grad(image.square().sum(), leaves)

    assert_same_bits(run, threads)


@pytest.mark.slow
def test_as_a_torch_operator() -> None:
    texture, uv, index_img, group = pictures()
    flat = module.pyramid(texture[None], 3).requires_grad_()
    inputs = flat, 32, 64, 3, uv.clone().requires_grad_(), index_img, group.int(), 2
    torch.library.opcheck(module.sample_pyramid, inputs)
    v = torch.tensor([[[0.0, 0, 1], [30, 0, 1], [0, 24, 1]]], requires_grad=True)
    faces = torch.tensor([[0, 1, 2]], dtype=torch.int32)

    def step(v: Tensor, texture: Tensor) -> Tensor:
        index_img, bary, _ = rasterize(v, faces, SIZE)
        uv = interpolate(torch.tensor([[0.0, 0], [1, 0], [0, 1]]), faces, index_img, bary)
        return sample_texture(texture, uv, index_img).square().sum()

    compiled = torch.compile(step, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(v, texture.float()), step(v, texture.float()))


def test_odd_inputs_have_a_defined_result() -> None:
    texture, uv, index_img, _ = pictures()
    uv[0, 0, 0], uv[0, 3, 3], uv[1, 0, 0] = torch.nan, torch.inf, -1e30
    assert sample_texture(texture, uv, index_img).isfinite().all()
    half = sample_texture(texture.half(), uv.bfloat16(), index_img)
    assert half.dtype == F32 and half.isfinite().all()
    assert sample_texture(texture, uv[:0], index_img[:0]).shape == (0, *SIZE, 3)
    assert sample_texture(texture[..., :0], uv, index_img).shape == (2, *SIZE, 0)
    flipped = sample_texture(texture.flip(0), uv.flip(2), index_img.flip(2))
    assert flipped.isfinite().all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"texture": torch.zeros(32, 64)}, "texture: expected"),
        ({"texture": torch.zeros(0, 64, 3)}, "texture: expected"),
        ({"texture": torch.zeros(3, 32, 64, 3, dtype=F64)}, "texture: batch 3"),
        ({"texture": torch.zeros(32, 64, 3)}, "float32 or float64"),
        ({"uv_img": torch.zeros(2, 24, 30, 3)}, "uv_img: expected"),
        ({"index_img": torch.zeros(2, 24, 30)}, "index_img: expected int32"),
        ({"mips": 7}, "can have 1 to 6 levels"),
        ({"mips": 0}, "can have 1 to 6 levels"),
        ({"group": torch.zeros(2)}, "group: expected integers"),
        ({"group": torch.zeros(1, dtype=torch.int32)}, "index_img: holds face 1"),
    ],
)
def test_wrong_arguments_are_named(change: dict[str, object], message: str) -> None:
    texture, uv, index_img, group = pictures()
    arguments = {"texture": texture, "uv_img": uv, "index_img": index_img, "mips": None, "group": group} | change
    with pytest.raises(ValueError, match=message):
        sample_texture(**arguments)  # type: ignore[arg-type]

"""shade_pixels against its reference in plain torch and finite differences."""

import pytest
import torch
from torch import Tensor

from headfit.raster import lighting as module
from headfit.raster import reference, shade_pixels
from tests.support.threads import assert_same_bits

F32, F64 = torch.float32, torch.float64
NAMES = ("albedo", "surface", "light", "gain")
SIZE = 13, 150  # a row has more pixels than are processed together


def scene(dtype: torch.dtype = F64, size: tuple[int, int] = SIZE, images: int = 2) -> tuple[dict[str, Tensor], Tensor]:
    """The inputs of `shade_pixels` that have gradients, and index_img: noise, a third of it background.

    The light of every channel falls below the least shading on some normals.
    """
    g = torch.Generator().manual_seed(4)
    noise = lambda *shape: torch.rand(*shape, generator=g, dtype=F64)  # noqa: E731
    inputs = {
        "albedo": noise(images, *size, 3),
        "surface": 2 * noise(images, *size, 4) - 1,
        "light": 2 * noise(images, 9, 3) - 1,
        "gain": 0.5 + noise(images, 3),
    }
    inputs["light"][:, 0] = 0.3
    index_img = (noise(images, *size) * 3).int() - 1
    return {name: value.to(dtype) for name, value in inputs.items()}, index_img


def half(index_img: Tensor) -> Tensor:
    """Every other column."""
    return (torch.arange(index_img.shape[2]) % 2 == 0).expand(index_img.shape).clone()


def gradients(image: Tensor, inputs: dict[str, Tensor]) -> tuple[Tensor, ...]:
    weight = torch.rand(image.shape, generator=torch.Generator().manual_seed(1), dtype=F64).to(image) - 0.3
    return torch.autograd.grad((image * weight).sum(), list(inputs.values()))


@pytest.mark.parametrize("resting", [False, True])
@pytest.mark.parametrize("dtype", [F32, F64])
def test_same_as_reference(dtype: torch.dtype, resting: bool) -> None:
    inputs, index_img = scene(dtype)
    inputs = {name: value.requires_grad_() for name, value in inputs.items()}
    still = half(index_img) if resting else None
    results = []
    for function in (shade_pixels, reference.shade_pixels):
        image = function(*inputs.values(), index_img, still)
        results.append((image, *gradients(image, inputs)))
    normal = torch.nn.functional.normalize(inputs["surface"][..., :3], dim=-1)
    clamped = module.shading(normal.flatten(1, 2), inputs["light"]).unflatten(1, SIZE)[index_img >= 0] == 0.05
    assert 0.1 < clamped.float().mean() < 0.9
    tolerance = 3e-6 if dtype == F32 else 1e-13
    for name, got, want in zip(("image", *NAMES), *results, strict=True):
        assert got.dtype == dtype and (got - want).norm() <= tolerance * want.norm(), name
    torch.testing.assert_close(results[0][0], results[1][0], rtol=0, atol=tolerance)


@pytest.mark.parametrize("name", NAMES)
def test_gradient_agrees_with_finite_differences(name: str) -> None:
    """Of each input on its own, others held."""
    inputs, index_img = scene(size=(3, 6))

    def image(x: Tensor) -> Tensor:
        return shade_pixels(*(inputs | {name: x}).values(), index_img)

    assert torch.autograd.gradcheck(image, inputs[name].clone().requires_grad_(), eps=1e-7)


@pytest.mark.parametrize("axis", [0, 1, 2, 3])
def test_gradient_along_each_axis_of_the_surface(axis: int) -> None:
    """All normals move along x, y or z, or all gloss grows: on the smooth side of the least shading only."""
    inputs, index_img = scene()
    inputs["light"][:, 0] = 4.0  # above the least shading everywhere
    move = torch.eye(4, dtype=F64)[axis]
    weight = torch.rand(*index_img.shape, 3, generator=torch.Generator().manual_seed(2), dtype=F64)

    def loss(step: float | Tensor) -> Tensor:
        moved = inputs | {"surface": inputs["surface"] + step * move}
        return (weight * shade_pixels(*moved.values(), index_img)).sum()

    step = torch.zeros((), dtype=F64, requires_grad=True)
    (slope,) = torch.autograd.grad(loss(step), step)
    difference = (loss(1e-7) - loss(-1e-7)) / 2e-7
    assert abs(float(slope)) > 1
    torch.testing.assert_close(slope, difference, rtol=1e-4, atol=0)


def test_pixels_at_rest_pass_nothing_to_the_surface_and_all_else_to_the_rest() -> None:
    inputs, index_img = scene()
    inputs = {name: value.requires_grad_() for name, value in inputs.items()}
    still = half(index_img)
    free, resting = (gradients(shade_pixels(*inputs.values(), index_img, s), inputs) for s in (None, still))
    assert torch.equal(resting[1], torch.where(still[..., None], 0.0, free[1]))
    assert free[1][still & (index_img >= 0)].all(-1).any()
    for k in (0, 2, 3):
        assert torch.equal(resting[k], free[k])


def test_the_background_is_black_and_has_no_gradient_whatever_it_holds() -> None:
    inputs, index_img = scene()
    outside = index_img < 0
    for name in ("albedo", "surface"):
        inputs[name][outside] = torch.nan
    inputs = {name: value.requires_grad_() for name, value in inputs.items()}
    image = shade_pixels(*inputs.values(), index_img)
    assert not image[outside].any()
    albedo, surface, *others = gradients(image, inputs)
    assert not albedo[outside].any() and not surface[outside].any()
    assert all(grad.isfinite().all() and grad.any() for grad in (image, albedo, surface, *others))


def test_an_input_without_gradient_changes_no_other() -> None:
    inputs, index_img = scene()
    every = gradients(shade_pixels(*(x.requires_grad_() for x in inputs.values()), index_img), inputs)
    for k, name in enumerate(NAMES):
        one = {n: x.detach().requires_grad_(n == name) for n, x in inputs.items()}
        (grad,) = gradients(shade_pixels(*one.values(), index_img), {name: one[name]})
        assert torch.equal(grad, every[k])


@pytest.mark.parametrize("odd", [torch.nan, torch.inf, 0.0, 1e-30])
def test_odd_normals_and_colours_are_as_in_torch(odd: float) -> None:
    """NaN stays NaN, and what has no length is divided by 1e-12, at the pixels that have them only."""
    inputs, index_img = scene()
    index_img[0, 0, :3] = 0
    inputs["surface"][0, 0, 0, :3] = odd
    inputs["surface"][0, 0, 1, 3] = odd
    inputs["albedo"][0, 0, 2] = odd
    inputs = {name: value.requires_grad_() for name, value in inputs.items()}
    results = []
    for function in (shade_pixels, reference.shade_pixels):
        image = function(*inputs.values(), index_img)
        results.append((image, *gradients(image, inputs)[:2]))
    for name, got, want in zip(("image", "albedo", "surface"), *results, strict=True):
        if name == "surface" and odd == torch.inf:  # of a normal that is none
            got, want = got[0, 0, 1:], want[0, 0, 1:]
        torch.testing.assert_close(got, want, equal_nan=True, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("threads", [2, 7])
def test_bit_identical_for_any_number_of_threads(threads: int) -> None:
    inputs, index_img = scene(F32)
    inputs = {name: value.requires_grad_() for name, value in inputs.items()}

    def run() -> tuple[Tensor, ...]:
        image = shade_pixels(*inputs.values(), index_img)
        return image, *gradients(image, inputs)

    assert_same_bits(run, threads)


@pytest.mark.parametrize("images,size", [(0, (4, 5)), (2, (0, 5)), (2, (4, 0))])
def test_empty_images(images: int, size: tuple[int, int]) -> None:
    inputs, index_img = scene(F32, size, images)
    inputs = {name: value.requires_grad_() for name, value in inputs.items()}
    image = shade_pixels(*inputs.values(), index_img)
    assert image.shape == (images, *size, 3)
    assert not any(grad.any() for grad in gradients(image, inputs))


@pytest.mark.slow
def test_as_a_torch_operator() -> None:
    inputs, index_img = scene(size=(4, 5))
    inputs = {name: value.requires_grad_() for name, value in inputs.items()}
    torch.library.opcheck(module.shade, (*inputs.values(), index_img, half(index_img)))
    compiled = torch.compile(shade_pixels, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(
        compiled(*inputs.values(), index_img), shade_pixels(*inputs.values(), index_img), rtol=0, atol=0
    )


def test_layouts_and_half_precision() -> None:
    inputs, index_img = scene(F32)
    image = shade_pixels(*inputs.values(), index_img)
    turned = inputs | {"albedo": inputs["albedo"].flip(0).permute(0, 3, 1, 2).contiguous().permute(0, 2, 3, 1).flip(0)}
    assert torch.equal(shade_pixels(*turned.values(), index_img), image)
    coarse = shade_pixels(*(x.bfloat16() for x in inputs.values()), index_img)
    assert coarse.dtype == F32 and float((coarse - image).norm()) < 0.05 * float(image.norm())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"albedo": torch.zeros(2, 13, 150, 4)}, "albedo: expected"),
        ({"surface": torch.zeros(2, 13, 150, 3)}, "surface: expected"),
        ({"light": torch.zeros(1, 9, 3)}, "light: expected"),
        ({"gain": torch.zeros(2, 1)}, "gain: expected"),
        ({"gain": torch.zeros(2, 3, dtype=F64)}, "gain: expected float32 or float64 like albedo"),
        ({"albedo": torch.zeros(2, 13, 150, 3, dtype=torch.int32)}, "albedo: expected float32 or float64"),
        ({"index_img": torch.zeros(2, 13, 150)}, "index_img: expected int32"),
        ({"still": torch.zeros(2, 13, 150)}, "still: expected bool"),
        ({"still": torch.zeros(13, 150, dtype=torch.bool)}, "still: expected bool"),
    ],
)
def test_wrong_arguments_are_named(change: dict[str, Tensor], message: str) -> None:
    inputs, index_img = scene(F32)
    arguments = inputs | {"index_img": index_img, "still": None} | change
    with pytest.raises(ValueError, match=message):
        shade_pixels(**arguments)  # type: ignore[arg-type]

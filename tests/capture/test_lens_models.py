"""Each lens model with each of its coefficients: against OpenCV, finite differences, its inverse and its fold."""

import cv2
import numpy as np
import pytest
import torch

from headfit.capture.lenses import LENSES, Lens, OpenCVLens, make_lens
from headfit.errors import HeadfitError

RATIONAL = [0.45, -0.3, 0.001, -0.002, 0.1, 0.6, -0.25, 0.08]
PRISM = [*RATIONAL, 0.003, -0.001, -0.002, 0.0015]
TILTED = [*PRISM, 0.03, -0.05]
FISHEYE = [-0.03, 0.01, -0.004, 0.0006]


def alone(model: str, name: str) -> Lens:
    """The model with one coefficient that is not zero."""
    names = LENSES[model].coefficient_names
    return make_lens(model, [0.04 if other == name else 0.0 for other in names])


MODELS = {
    f"{model}-{len(c)}": make_lens(model, c)
    for model, c in [("opencv", RATIONAL), ("opencv", PRISM), ("opencv", TILTED), ("fisheye", FISHEYE)]
}
MODELS |= {f"{model}-{name}": alone(model, name) for model in LENSES for name in LENSES[model].coefficient_names}
each_lens = pytest.mark.parametrize("lens", MODELS.values(), ids=MODELS)
each_list = pytest.mark.parametrize("coefficients", [RATIONAL, PRISM, TILTED], ids=len)

K = np.array([[900.0, 0, 310], [0, 880, 250], [0, 0, 1]])


def points(count: int = 40) -> np.ndarray:
    return np.random.default_rng(0).uniform([-0.4, -0.4, 0.8], [0.4, 0.4, 1.3], (count, 3))


@each_lens
def test_it_is_opencvs(lens: Lens) -> None:
    """Within a millionth of a pixel."""
    at = points()
    origin = np.zeros(3)
    if lens.name == "fisheye":
        expected, _ = cv2.fisheye.projectPoints(at[:, None], origin, origin, K, lens.coefficients)
    else:
        expected, _ = cv2.projectPoints(at, origin, origin, K, lens.coefficients)
    found = np.stack(lens.project(*at.T), axis=-1) @ K[:2, :2].T + K[:2, 2]
    np.testing.assert_allclose(found, expected.reshape(-1, 2), atol=1e-6)


@each_lens
@pytest.mark.parametrize("axis", range(3), ids="xyz")
def test_the_gradient_to_a_point_is_exact_along_each_axis(lens: Lens, axis: int) -> None:
    at = points()
    lenses = type(lens).stack([lens], torch.as_tensor)
    tensor = torch.tensor(at[None], requires_grad=True)
    step = 1e-6 * np.eye(3)[axis]
    for output in (0, 1):
        (gradient,) = torch.autograd.grad(lenses.project(*tensor.unbind(-1))[output].sum(), tensor)
        numeric = (lens.project(*(at + step).T)[output] - lens.project(*(at - step).T)[output]) / 2e-6
        np.testing.assert_allclose(gradient[0, :, axis], numeric, atol=5e-9)


@pytest.mark.parametrize("lens", [MODELS["opencv-14"], MODELS["fisheye-4"]], ids=["opencv", "fisheye"])
def test_the_gradient_to_each_coefficient_is_exact(lens: Lens) -> None:
    at = torch.as_tensor(points()[None]).unbind(-1)
    stacked = type(lens).stack([lens], torch.as_tensor)

    def project(coefficients: torch.Tensor) -> torch.Tensor:
        return torch.stack(type(lens)(coefficients, stacked.fold).project(*at))

    gradients = torch.autograd.functional.jacobian(project, stacked.coefficients)[..., 0, 0, :]
    for index in range(len(lens.coefficients)):
        step = torch.as_tensor(1e-6 * np.eye(len(lens.coefficients))[index])
        numeric = (project(stacked.coefficients + step) - project(stacked.coefficients - step)) / 2e-6
        np.testing.assert_allclose(gradients[..., index], numeric, atol=5e-9)
        assert numeric.abs().max() > 1e-7


@each_lens
def test_rays_are_unit_directions_that_project_back(lens: Lens) -> None:
    grid = np.stack(np.meshgrid(np.linspace(-0.45, 0.45, 11), np.linspace(-0.4, 0.4, 9)))
    rays = lens.rays(*grid)
    np.testing.assert_allclose(np.linalg.norm(rays, axis=-1), 1, rtol=1e-14)
    np.testing.assert_allclose(lens.project(*(0.7 * rays[..., k] for k in range(3))), grid, atol=1e-9)


def test_a_fisheye_sees_behind_itself_and_on_its_axis() -> None:
    lens = make_lens("fisheye", [0.02, 0, 0, 0])
    angle = np.array([0.0, 1e-9, 1.2, 2.0, 3.0])
    seen = np.stack([np.sin(angle) * 0.6, np.sin(angle) * -0.8, np.cos(angle)], axis=-1)
    u, v = lens.project(*seen.T)
    np.testing.assert_allclose(np.hypot(u, v), angle * (1 + 0.02 * angle**2), atol=1e-12)
    np.testing.assert_allclose(lens.rays(u, v), seen, atol=1e-9)
    assert np.isnan(lens.rays(np.array(5.0), np.array(0.0))).all()  # pi is at 3.76
    axis = torch.tensor([[[0.0, 0.0, 2.0]]], requires_grad=True)
    single = type(lens).stack([lens], lambda values: torch.as_tensor(values, dtype=torch.float32))
    (gradient,) = torch.autograd.grad(single.project(*axis.unbind(-1))[0].sum(), axis)
    np.testing.assert_allclose(gradient[0, 0], [0.5, 0, 0], atol=1e-6)


FOLDING = {
    "rational": make_lens("opencv", [-0.4, 0, 0.002, 0.001, 0, 0.2, 0, 0]),
    "pole": make_lens("opencv", [0.1, 0, 0.002, 0.001, 0, -0.6, 0, 0]),
    "prism": make_lens("opencv", [-0.5, 0, 0.001, 0.002, 0, 0, 0, 0, 0.01, -0.02, 0.01, 0.01]),
    "tilted": make_lens("opencv", [-0.1, 0, 0, 0, 0.1, 0, 0, 0, 0, 0, 0, 0, 0.3, -0.4]),
    "fisheye": make_lens("fisheye", [-0.2, 0, 0, 0]),
}


@pytest.mark.parametrize("lens", FOLDING.values(), ids=FOLDING)
def test_points_far_outside_the_picture_do_not_reappear_inside(lens: Lens) -> None:
    """Along every half-line from the axis the image moves outwards, but for the small terms that end at the fold."""
    slope = np.tan(np.linspace(0.1, 1.56, 400))
    for direction in np.linspace(0, 2 * np.pi, 25):
        u, v = lens.project(slope * np.cos(direction), slope * np.sin(direction), np.ones_like(slope))
        radius = np.hypot(u, v)
        assert np.isfinite(radius).all()
        assert (radius > np.maximum.accumulate(radius) - 0.02).all()


def test_the_valid_angle_is_where_the_radius_turns_back() -> None:
    for lens in (FOLDING["rational"], MODELS["opencv-8"], FOLDING["fisheye"]):
        radial = type(lens)(lens.coefficients * [1, 1, 0, 0, *np.ones(len(lens.coefficients) - 4)], np.inf)
        if lens.name == "fisheye":
            radial = type(lens)(lens.coefficients, np.inf)
        angle = np.linspace(0, min(lens.valid_angle, 1.5), 1000)
        radius, _ = radial.project(np.sin(angle), 0 * angle, np.cos(angle))
        assert (np.diff(radius) > 0).all()
        if lens.valid_angle < 1.5:
            beyond = lens.valid_angle * np.array([1.001, 1.01])
            assert np.diff(radial.project(np.sin(beyond), 0 * beyond, np.cos(beyond))[0]) < 0


def five_coefficients(lens: OpenCVLens, x: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The model with five coefficients by itself, operation by operation."""
    k1, k2, p1, p2, k3 = (lens.coefficients[..., i] for i in range(5))
    square = x * x + y * y
    r2 = torch.minimum(square, lens.fold)
    radial = 1 + r2 * (k1 + r2 * (k2 + r2 * k3))
    inside = square <= lens.fold
    du = inside * (2 * p1 * x * y + p2 * (r2 + 2 * x * x))
    dv = inside * (p1 * (r2 + 2 * y * y) + 2 * p2 * x * y)
    return x * radial + du, y * radial + dv


@pytest.mark.parametrize("others", [[], [RATIONAL, PRISM, TILTED]], ids=["alone", "among longer ones"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_five_coefficients_keep_their_bits(others: list[list[float]], dtype: torch.dtype) -> None:
    """Longer models leave cameras with five coefficients as they were, forward and gradient."""
    rng = np.random.default_rng(0)
    lenses = [OpenCVLens.of(rng.normal(0, scale, 5)) for scale in (0, 0.05, 0.2, 0.5)]
    count = len(lenses)

    def run(some: list[OpenCVLens], distort) -> list[torch.Tensor]:
        stack = OpenCVLens.stack(some, lambda values: torch.as_tensor(values, dtype=dtype))
        at = torch.as_tensor(np.random.default_rng(1).uniform(-2, 2, (2, count, 300)), dtype=dtype)
        at = torch.cat([at, at[:, : len(some) - count]], dim=1).requires_grad_()
        output = torch.stack(distort(stack, *at))
        (output * torch.linspace(-1, 1, 300, dtype=dtype)).sum().backward()
        return [output[:, :count], at.grad[:, :count]]

    expected = run(lenses, five_coefficients)
    found = run([*lenses, *(OpenCVLens.of(other) for other in others)], OpenCVLens.distort)
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))


def test_what_cannot_be_a_lens_is_named() -> None:
    with pytest.raises(HeadfitError, match="unknown lens model 'fishy'; known: opencv, fisheye"):
        make_lens("fishy", [])
    with pytest.raises(HeadfitError, match=r"'fisheye' has the coefficients \[\] or \[k1, k2, k3, k4\], found 3"):
        make_lens("fisheye", [0, 0, 0])
    with pytest.raises(HeadfitError, match="'opencv' has coefficients that are not finite"):
        make_lens("opencv", [0, np.nan, 0, 0])

"""The maths of lenses: numpy against torch, against OpenCV in test_camera.py, and against finite differences."""

import numpy as np
import pytest
import torch

from headfit.capture.lenses import LENSES, PINHOLE, OpenCVLens, base

DISTORTIONS = {
    "none": [0, 0, 0, 0, 0],
    "k1": [-0.25, 0, 0, 0, 0],
    "k2": [0, 0.15, 0, 0, 0],
    "p1": [0, 0, 0.01, 0, 0],
    "p2": [0, 0, 0, -0.008, 0],
    "k3": [0, 0, 0, 0, 0.3],
    "all": [-0.2, 0.1, 0.002, -0.003, 0.05],
}
GRID = np.stack(np.meshgrid(np.linspace(-0.5, 0.5, 11), np.linspace(-0.4, 0.4, 9)))
each_lens = pytest.mark.parametrize("lens", [OpenCVLens.of(dist) for dist in DISTORTIONS.values()], ids=DISTORTIONS)


@each_lens
def test_undistort_inverts_distort(lens):
    np.testing.assert_allclose(lens.undistort(*lens.distort(*GRID)), GRID, atol=1e-12)


@each_lens
def test_rays_are_unit_directions_that_project_back(lens):
    rays = lens.rays(*GRID)
    np.testing.assert_allclose(np.linalg.norm(rays, axis=-1), 1, rtol=1e-14)
    np.testing.assert_allclose(lens.project(*(0.7 * rays[..., k] for k in range(3))), GRID, atol=1e-12)


@each_lens
@pytest.mark.parametrize("axis", [0, 1])
def test_the_jacobian_is_the_derivative_along_each_axis(lens, axis):
    step = 1e-6 * np.eye(2)[axis][:, None, None]
    numeric = (np.stack(lens.distort(*(GRID + step))) - lens.distort(*(GRID - step))) / 2e-6
    ux, uy, vx, vy = (np.broadcast_to(d, GRID[0].shape) for d in lens.jacobian(*GRID))
    np.testing.assert_allclose([(ux, vx), (uy, vy)][axis], numeric, atol=1e-9)


@each_lens
@pytest.mark.parametrize("axis", range(3), ids="xyz")
def test_the_gradient_to_a_point_is_exact_along_each_axis(lens, axis):
    points = np.random.default_rng(0).uniform([-0.4, -0.4, 0.8], [0.4, 0.4, 1.3], (40, 3))
    lenses = OpenCVLens.stack([lens], torch.as_tensor)
    tensor = torch.tensor(points[None], requires_grad=True)
    for output in (0, 1):
        (gradient,) = torch.autograd.grad(lenses.project(*tensor.unbind(-1))[output].sum(), tensor)
        step = 1e-6 * np.eye(3)[axis]
        numeric = (lens.project(*(points + step).T)[output] - lens.project(*(points - step).T)[output]) / 2e-6
        np.testing.assert_allclose(gradient[0, :, axis], numeric, atol=2e-9)


def test_torch_and_numpy_agree_inside_and_beyond_the_fold():
    lenses = [OpenCVLens.of(dist) for dist in (*DISTORTIONS.values(), [-0.5, 0, 0.01, 0.02, 0])]
    stacked = OpenCVLens.stack(lenses, torch.as_tensor)
    x, y = np.random.default_rng(1).uniform(-3, 3, (2, len(lenses), 200))
    together = torch.stack(stacked.distort(torch.as_tensor(x), torch.as_tensor(y)))
    for index, lens in enumerate(lenses):
        np.testing.assert_allclose(together[:, index], lens.distort(x[index], y[index]), rtol=1e-12, atol=1e-12)
    some = stacked[torch.tensor([7, 0])]
    np.testing.assert_array_equal(some.distort(torch.as_tensor(x[:2]), torch.as_tensor(y[:2]))[1][1], y[1])


def test_the_valid_angle_is_where_the_polynomial_turns_back():
    lens = OpenCVLens.of([-0.5, 0, 0, 0])  # r (1 - r^2 / 2) peaks at r = sqrt(2 / 3)
    assert np.tan(lens.valid_angle) == pytest.approx(np.sqrt(2 / 3))
    r = np.linspace(0, 3, 200)
    for x, y in ((r, 0 * r), (0.6 * r, -0.8 * r)):
        assert (np.diff(np.hypot(*lens.distort(x, y))) > 0).all()
    assert PINHOLE.valid_angle == OpenCVLens.of([0.3, 0, 0, 0]).valid_angle == np.pi / 2


def test_beyond_the_fold_undistort_still_inverts_distort():
    lens = OpenCVLens.of([-0.5, 0, 0, 0])
    x = np.linspace(0.9, 3, 20)
    np.testing.assert_allclose(lens.undistort(*lens.distort(x, -0.3 * x)), [x, -0.3 * x], atol=1e-9)


def test_points_that_no_direction_leads_to_are_nan():
    lens = OpenCVLens.of([0, 0, 0.25, 0])  # v = y + 0.75 y^2 along x = 0 is never below -1/3
    x, y = lens.undistort(np.array([0.0, 0.0]), np.array([-0.2, -0.4]))
    assert np.isfinite([x[0], y[0]]).all() and np.isnan([x[1], y[1]]).all()
    assert np.isnan(lens.rays(np.array(0.0), np.array(-0.4))).all()


def test_an_iteration_that_does_not_converge_in_time_says_so(monkeypatch):
    lens = OpenCVLens.of(DISTORTIONS["all"])
    distorted = lens.distort(*GRID)
    for iterations, found in ((1, False), (6, True)):
        monkeypatch.setattr(base, "MAX_ITERATIONS", iterations)
        assert np.isfinite(lens.undistort(*distorted)[0]).all() == found


def test_coefficients_left_out_are_zero_and_others_are_refused():
    np.testing.assert_array_equal(OpenCVLens.of([0.1, 0.2, 0.3, 0.4]).coefficients, [0.1, 0.2, 0.3, 0.4, 0])
    assert PINHOLE.is_pinhole and not OpenCVLens.of([0, 0, 1e-9, 0]).is_pinhole
    with pytest.raises(ValueError, match="'opencv' has"):
        OpenCVLens.of([0.1])


def test_the_table_names_its_models():
    assert all(name == lens.name for name, lens in LENSES.items())

"""Lenses of other software: each against its makers' formula, written out here, over the whole picture."""

from collections.abc import Callable

import numpy as np
import pytest

from headfit.capture.lenses import make_lens
from headfit.capture.lenses.convert import MAX_PIXELS, colmap_camera, convert_lens
from headfit.errors import HeadfitError

SIZE = (4096, 3000)
K = np.array([[4100.0, 0, 2060], [0, 4090, 1480], [0, 0, 1]])
#: Directions that are well inside the picture, as points of the plane at depth one.
X, Y = np.random.default_rng(0).uniform([[-0.45], [-0.32]], [[0.45], [0.32]], (2, 500))
R2 = X**2 + Y**2
R = np.sqrt(R2)
ANGLE = np.arctan(R)

Plane = tuple[np.ndarray, np.ndarray]


def brown(k: tuple[float, ...], p1: float, p2: float, x: np.ndarray = X, y: np.ndarray = Y) -> Plane:
    """With p1 and p2 as in OpenCV's manual."""
    r2 = x * x + y * y
    radial = 1 + sum(ki * r2 ** (i + 1) for i, ki in enumerate(k))
    return (
        x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x),
        y * radial + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y,
    )


def radius(distorted: np.ndarray) -> Plane:
    return X * distorted / R, Y * distorted / R


def tsai() -> Plane:
    """In mm on the sensor behind a lens of 50 mm: ideal = distorted (1 + k1 distorted^2 + k2 distorted^4)."""
    grid = np.linspace(0, 40, 200001)
    return radius(np.interp(50 * R, grid * (1 + 2e-5 * grid**2 + 1e-8 * grid**4), grid) / 50)


def thin_prism_fisheye() -> Plane:
    x, y = radius(ANGLE)
    u, v = brown((0.02, -0.01, 0.003, 0.001), 0.0004, -0.0003, x, y)
    return u + 0.0002 * ANGLE**2, v - 0.0001 * ANGLE**2


FISHEYE = (-0.02, 0.01, -0.003, 0.001)
POLYNOMIAL = radius(ANGLE * (1 + sum(k * ANGLE ** (2 * i + 2) for i, k in enumerate(FISHEYE))))
METASHAPE = {"k1": -0.1, "k2": 0.2, "k3": -0.3, "p1": 0.001, "p2": -0.002}
#: Model, parameters, where it shows (X, Y) in the plane to which K applies, whether it is one of ours exactly.
CASES: dict[str, tuple[str, dict | list, Callable[[], Plane] | Plane, bool]] = {
    "pinhole": ("colmap/PINHOLE", [], (X, Y), True),
    "simple radial": ("colmap/SIMPLE_RADIAL", [-0.1], brown((-0.1,), 0, 0), True),
    "radial": ("colmap/RADIAL", [-0.1, 0.05], brown((-0.1, 0.05), 0, 0), True),
    "opencv": ("colmap/OPENCV", [-0.1, 0.05, 0.001, -0.002], brown((-0.1, 0.05), 0.001, -0.002), True),
    "colmap fisheye": ("colmap/OPENCV_FISHEYE", list(FISHEYE), POLYNOMIAL, True),
    "meshroom fisheye": ("meshroom/fisheye4", list(FISHEYE), POLYNOMIAL, True),
    "simple fisheye": ("colmap/SIMPLE_RADIAL_FISHEYE", [0.03], radius(ANGLE + 0.03 * ANGLE**3), True),
    "radial fisheye": (
        "colmap/RADIAL_FISHEYE",
        [0.03, -0.01],
        radius(ANGLE + 0.03 * ANGLE**3 - 0.01 * ANGLE**5),
        True,
    ),
    "thin prism fisheye": (
        "colmap/THIN_PRISM_FISHEYE",
        [0.02, -0.01, 0.0004, -0.0003, 0.003, 0.001, 0.0002, -0.0001],
        thin_prism_fisheye(),
        False,
    ),
    "equidistant": ("colmap/SIMPLE_FISHEYE", [], radius(ANGLE), True),
    "eucm": ("colmap/EUCM", [0.6, 1.2], radius(R / (0.6 * np.sqrt(1.2 * R2 + 1) + 0.4)), False),
    "fov": ("colmap/FOV", [0.7], radius(np.arctan(2 * R * np.tan(0.35)) / 0.7), False),
    "meshroom fov": ("meshroom/fisheye1", [0.7], radius(np.arctan(2 * R * np.tan(0.35)) / 0.7), False),
    "division": ("colmap/SIMPLE_DIVISION", [-0.2], radius(2 * R / (1 + np.sqrt(1 + 0.8 * R2))), False),
    "realitycapture division": (
        "realitycapture/division",
        [-0.2, 0, 0, 0, 0, 0],
        radius(2 * R / (1 + np.sqrt(1 + 0.8 * R2))),
        False,
    ),
    "realitycapture brown3t2": (
        "realitycapture/brown3t2",
        [-0.1, 0.2, -0.3, 0, 0.001, -0.002],
        brown((-0.1, 0.2, -0.3), -0.002, 0.001),
        True,
    ),
    "realitycapture brown4": (
        "realitycapture/brown4",
        [-0.1, 0.2, -0.3, 0.4, 0, 0],
        brown((-0.1, 0.2, -0.3, 0.4), 0, 0),
        False,
    ),
    "nerfstudio": (
        "nerfstudio/OPENCV",
        {"k1": 0.1, "k4": 0.4, "p1": 0.001, "p2": 0.002},
        brown((0.1, 0, 0, 0.4), 0.001, 0.002),
        False,
    ),
    "metashape": ("metashape/frame", METASHAPE, brown((-0.1, 0.2, -0.3), -0.002, 0.001), True),
    "metashape k4": ("metashape/frame", METASHAPE | {"k4": 0.4}, brown((-0.1, 0.2, -0.3, 0.4), -0.002, 0.001), False),
    "metashape p3": (
        "metashape/frame",
        METASHAPE | {"p3": 0.05},
        brown((-0.1, 0.2, -0.3), -0.002 * (1 + 0.05 * R2), 0.001 * (1 + 0.05 * R2)),
        False,
    ),
    "meshroom brown": ("meshroom/brown", [-0.1, 0.2, -0.3, 0.001, 0.002], brown((-0.1, 0.2, -0.3), 0.001, 0.002), True),
    "tsai": ("tsai", {"k1": 2e-5, "k2": 1e-8, "focal": 50.0}, tsai(), False),
}


@pytest.mark.parametrize(("model", "params", "expected", "exact"), CASES.values(), ids=CASES)
def test_a_direction_is_seen_at_the_same_pixel(model, params, expected, exact) -> None:
    entry, changed, error_px = convert_lens(model, params, K, SIZE)
    lens = make_lens(entry["model"], entry["coefficients"])
    found = changed[:2, :2] @ np.stack(lens.project(X, Y, np.ones_like(X))) + changed[:2, 2:]
    wanted = K[:2, :2] @ np.stack(expected) + K[:2, 2:]
    assert np.linalg.norm(found - wanted, axis=0).max() <= error_px + 1e-6
    assert (error_px == 0) == exact and error_px < MAX_PIXELS / 2


def test_the_same_number_of_coefficients_is_kept_where_it_suffices() -> None:
    counts = {
        name: len(convert_lens("realitycapture/division", [k], K, SIZE)[0]["coefficients"])
        for name, k in (("weak", -0.01), ("strong", -0.3))
    }
    assert counts == {"weak": 5, "strong": 8}


def test_a_wide_lens_becomes_a_fisheye() -> None:
    wide = np.array([[1700.0, 0, 2048], [0, 1700, 1500], [0, 0, 1]])
    entry, _, error_px = convert_lens("colmap/FOV", [0.9], wide, SIZE)
    assert entry["model"] == "fisheye" and error_px < 0.01


def test_affinity_and_skew_go_into_the_intrinsics() -> None:
    """Metashape: u = cx + f x + b1 x + b2 y, v = cy + f y."""
    _, changed, _ = convert_lens("metashape/frame", {"b1": 3.0, "b2": -2.0}, K, SIZE)
    np.testing.assert_array_equal(changed, K + np.array([[3.0, -2, 0], [0, 0, 0], [0, 0, 0]]))


def test_focal_length_and_principal_point_of_colmaps_parameters() -> None:
    matrix, rest = colmap_camera("SIMPLE_RADIAL", [500.0, 320, 240, 0.1])
    np.testing.assert_array_equal(matrix, [[500, 0, 320], [0, 500, 240], [0, 0, 1]])
    assert list(rest) == [0.1]
    matrix, rest = colmap_camera("OPENCV", [500.0, 510, 320, 240, 0.1, 0, 0, 0.2])
    np.testing.assert_array_equal(matrix, [[500, 0, 320], [0, 510, 240], [0, 0, 1]])
    assert list(rest) == [0.1, 0, 0, 0.2]


FAULTS = {
    "mirrored": ("colmap/FOV", [2.9], "camera c7: no lens of headfit comes nearer than inf pixels"),
    "too far": (
        "metashape/frame",
        {"p1": 0.01, "p3": 5.0},
        r"camera c7: no lens of headfit comes nearer than .* pixels",
    ),
    "nowhere": ("nerfstudio/OPENCV", {"k4": -5000.0}, r"camera c7: no lens of headfit comes nearer than inf pixels"),
    "name": ("metashape/sphere", {}, "camera c7: lens model 'metashape/sphere' cannot be converted; known: opencv"),
    "parameters": ("colmap/RADIAL", [0.1], r"'colmap/RADIAL' has the parameters k1, k2; found \[0.1\]"),
    "a parameter": (
        "metashape/frame",
        {"k9": 0.1},
        "'metashape/frame' has the parameters k1, k2, k3, k4, p1, p2, p3, p4",
    ),
    "not finite": ("tsai", {"k1": np.nan}, "'tsai' has parameters that are not finite"),
}


@pytest.mark.parametrize(("model", "params", "message"), FAULTS.values(), ids=FAULTS)
def test_what_cannot_be_converted_is_named(model, params, message) -> None:
    with pytest.raises(HeadfitError, match=message):
        convert_lens(model, params, K, SIZE, camera="c7")

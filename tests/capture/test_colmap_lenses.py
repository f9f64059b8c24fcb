"""The lens models of COLMAP against COLMAP itself."""

import numpy as np
import pytest

from headfit.capture.lenses import make_lens
from headfit.capture.lenses.convert import colmap_camera, convert_lens
from headfit.capture.lenses.foreign import FOREIGN

SIZE = (4096, 3000)
PARAMETERS = {
    "SIMPLE_PINHOLE": [],
    "PINHOLE": [],
    "SIMPLE_RADIAL": [-0.1],
    "RADIAL": [-0.1, 0.05],
    "OPENCV": [-0.1, 0.05, 0.001, -0.002],
    "FULL_OPENCV": [0.1, -0.05, 0.001, -0.002, 0.01, 0.2, -0.1, 0.02],
    "OPENCV_FISHEYE": [-0.02, 0.01, -0.003, 0.001],
    "SIMPLE_RADIAL_FISHEYE": [0.03],
    "RADIAL_FISHEYE": [0.03, -0.01],
    "THIN_PRISM_FISHEYE": [0.02, -0.01, 0.0004, -0.0003, 0.003, 0.001, 0.0002, -0.0001],
    "RAD_TAN_THIN_PRISM_FISHEYE": [0.02, -0.01, 0.003, 0.001, -0.002, 0.001, 3e-4, -2e-4, 1e-4, 3e-4, -2e-4, 1e-4],
    "SIMPLE_FISHEYE": [],
    "FISHEYE": [],
    "FOV": [0.7],
    "SIMPLE_DIVISION": [-0.2],
    "DIVISION": [-0.2],
    "EUCM": [0.6, 1.2],
}


def test_each_is_compared() -> None:
    assert {f"colmap/{name}" for name in PARAMETERS} == {name for name in FOREIGN if name.startswith("colmap/")}


@pytest.mark.parametrize("model", PARAMETERS)
def test_a_direction_is_seen_at_the_same_pixel(model: str) -> None:
    pycolmap = pytest.importorskip("pycolmap", reason="pycolmap is not installed")
    if not hasattr(pycolmap.CameraModelId, model):
        pytest.skip(f"this pycolmap has no {model}")
    focal = [4100.0] if model.startswith("SIMPLE") or model.startswith("RADIAL") else [4100.0, 4090.0]
    values = [*focal, 2060.0, 1480.0, *PARAMETERS[model]]
    points = np.random.default_rng(0).uniform([-0.45, -0.32, 1], [0.45, 0.32, 1], (300, 3))
    expected = pycolmap.Camera(model=model, width=SIZE[0], height=SIZE[1], params=values).img_from_cam(points)
    K, rest = colmap_camera(model, values)
    lens, K, error_px = convert_lens(f"colmap/{model}", rest, K, SIZE)
    uv = np.stack(make_lens(lens["model"], lens["coefficients"]).project(*points.T), axis=-1)
    error = np.linalg.norm(uv @ K[:2, :2].T + K[:2, 2] - expected, axis=1).max()
    assert error <= error_px + 1e-9
    assert error_px < 0.05

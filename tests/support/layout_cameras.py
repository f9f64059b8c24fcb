"""Cameras around a head for tests of the layouts: written in a layout and imported, they must be the same again."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from headfit.capture.camera import Camera
from headfit.capture.layouts import read_layout
from headfit.capture.layouts.options import ImportOptions
from headfit.capture.lenses import PINHOLE, make_lens
from headfit.capture.manifest import read_manifest

#: Points around the origin, where the head is.
POINTS = np.random.default_rng(3).normal(0, 0.08, (40, 3))


def head_rig(coefficients: int = 0, shared: bool = False, model: str = "opencv") -> list[Camera]:
    """Five cameras about a metre from the origin, none symmetric in anything that could be mixed up.

    Args:
        coefficients: of the lens, from the first on.
        shared: whether all have the same K and size.
        model: of the lens.
    """
    rng = np.random.default_rng(11)
    cameras = []
    for index, yaw in enumerate(np.deg2rad([-70, -35, 2, 33, 64])):
        centre = np.array([np.sin(yaw), 0.2 - 0.1 * index, np.cos(yaw)]) * (1 + 0.05 * index)
        forward = -centre / np.linalg.norm(centre)
        up = np.array([0.1 * index - 0.2, 1.0, 0.0])  # each a little rolled
        right = np.cross(forward, up)
        right /= np.linalg.norm(right)
        R = np.stack([right, np.cross(forward, right), forward])
        width, height = (640, 960) if shared or index % 2 == 0 else (800, 600)
        jitter = np.zeros(4) if shared else rng.normal(0, 5, 4)
        K = np.array(
            [[1100 + jitter[0], 0, width / 2 + 7 + jitter[2]], [0, 1100 + jitter[1], height / 2 - 11], [0, 0, 1]]
        )
        values = [-0.1, 0.02, 0.001, -0.002, 0.003, 0.01, 0.004, 0.001][:coefficients]
        lens = make_lens(model, values) if values else PINHOLE
        cameras.append(Camera(f"{100 + index}", width, height, K, R, -R @ centre, lens))
    return cameras


def sized(camera: Camera, width: int, height: int) -> Camera:
    """The camera with the same K, said to be for another size."""
    return replace(camera, width=width, height=height)


def imported(tmp_path: Path, layout: str, source: Path, **options: Any) -> list[Camera]:
    """The cameras that an import of `source` writes, in metres."""
    return read_manifest(write_import(tmp_path, layout, source, ImportOptions(**options))).cameras


def write_import(tmp_path: Path, layout: str, source: Path, options: ImportOptions) -> Path:
    """The capture folder that an import of `source` writes."""
    _, content = read_layout(layout, source, options)
    folder = tmp_path / "imported"
    folder.mkdir(exist_ok=True)
    (folder / "capture.json").write_text(json.dumps(content))
    return folder


def assert_same_cameras(found: list[Camera], expected: list[Camera], **tolerance: float) -> None:
    """The same poses and intrinsics, and points of the head at the same pixels. Names are not compared."""
    assert len(found) == len(expected)
    for a, b in zip(found, expected, strict=True):
        assert a.size == b.size
        for name in ("K", "R", "t"):
            np.testing.assert_allclose(
                getattr(a, name), getattr(b, name), atol=tolerance.get("atol", 1e-6), err_msg=b.id
            )
        np.testing.assert_allclose(
            a.project(POINTS), b.project(POINTS), atol=tolerance.get("pixels", 1e-3), err_msg=b.id
        )

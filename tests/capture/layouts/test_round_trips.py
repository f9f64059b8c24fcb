"""Our cameras written in a layout and imported again are the same."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from headfit.capture.camera import Camera
from tests.support import layout_writers as write
from tests.support.layout_cameras import assert_same_cameras, head_rig, imported, sized


@pytest.mark.parametrize("per_camera", [False, True])
def test_nersemble(tmp_path: Path, per_camera: bool) -> None:
    rig = head_rig(shared=True)
    file = write.nersemble(tmp_path, rig, per_camera)
    assert_same_cameras(imported(tmp_path, "auto", file, size=(640, 960)), rig)


@pytest.mark.parametrize("as_text", [False, True])
def test_transforms(tmp_path: Path, as_text: bool) -> None:
    rig = head_rig(5)
    write.transforms(tmp_path, rig, as_text)
    assert_same_cameras(imported(tmp_path, "auto", tmp_path, scale=1.0), rig)


@pytest.mark.parametrize("by_hand", [False, True])
def test_vhap(tmp_path: Path, by_hand: bool) -> None:
    rig = head_rig()
    write.vhap(tmp_path, rig, by_hand=by_hand)
    assert_same_cameras(imported(tmp_path, "auto", tmp_path), rig)


@pytest.mark.parametrize(("model", "coefficients"), [("PINHOLE", 0), ("OPENCV", 4)])
def test_colmap_text(tmp_path: Path, model: str, coefficients: int) -> None:
    rig = head_rig(coefficients)
    write.colmap(tmp_path, rig, model)
    assert_same_cameras(imported(tmp_path, "auto", tmp_path), rig)


def test_colmap_binary(tmp_path: Path) -> None:
    rig = head_rig(4)
    write.colmap_binary(tmp_path, rig)
    assert_same_cameras(imported(tmp_path, "auto", tmp_path), rig)


@pytest.mark.parametrize(("lens_key", "coefficients"), [("dist", 5), ("D", 4)])
def test_opencv(tmp_path: Path, lens_key: str, coefficients: int) -> None:
    rig = head_rig(coefficients)
    write.opencv(tmp_path, rig, lens_key=lens_key)
    assert_same_cameras(imported(tmp_path, "auto", tmp_path / "extri.yml"), rig)


def test_multiface(tmp_path: Path) -> None:
    rig = head_rig(5, shared=True)
    write.multiface(tmp_path, rig)
    assert_same_cameras(imported(tmp_path, "auto", tmp_path / "KRT", size=None), [sized(c, 1334, 2048) for c in rig])


def test_ava256(tmp_path: Path) -> None:
    rig = head_rig(4, shared=True)
    write.ava256(tmp_path, rig)
    assert_same_cameras(imported(tmp_path, "auto", tmp_path, size=(640, 960)), rig)


def test_metashape(tmp_path: Path) -> None:
    rig = head_rig(5)
    assert_same_cameras(imported(tmp_path, "auto", write.metashape(tmp_path, rig)), rig)


@pytest.mark.parametrize("as_attribute", [False, True])
def test_realitycapture(tmp_path: Path, as_attribute: bool) -> None:
    rig = head_rig(5, shared=True)
    write.realitycapture(tmp_path, rig, as_attribute)
    assert_same_cameras(imported(tmp_path, "auto", tmp_path, size=(640, 960)), rig)


def square_pixels(camera: Camera) -> Camera:
    """The camera with one focal length."""
    K = camera.K.copy()
    K[1, 1] = K[0, 0]
    return replace(camera, K=K)


def test_realitycapture_csv_with_headings(tmp_path: Path) -> None:
    rig = [square_pixels(camera) for camera in head_rig(5, shared=True)]
    file = write.realitycapture_csv(tmp_path, rig, headings=True)
    assert_same_cameras(imported(tmp_path, "auto", file, size=(640, 960)), rig)


def test_realitycapture_csv_with_omega_phi_kappa(tmp_path: Path) -> None:
    rig = [
        replace(square_pixels(c), K=np.array([[900.0, 0, 320], [0, 900, 480], [0, 0, 1]]))
        for c in head_rig(shared=True)
    ]
    file = write.realitycapture_csv(tmp_path, rig, headings=False)
    assert_same_cameras(imported(tmp_path, "auto", file, size=(640, 960), focal=900.0), rig)

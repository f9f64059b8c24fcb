"""Our cameras written in a layout and imported again are the same."""

from pathlib import Path

import pytest

from tests.support import layout_writers as write
from tests.support.layout_cameras import assert_same_cameras, head_rig, imported


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

"""Animations in Blender. HEADFIT_BLENDER_PYTHON names a Python into which `pip install bpy` was done."""

import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial import KDTree

from headfit.export import write_take

PYTHON = os.environ.get("HEADFIT_BLENDER_PYTHON")
SCRIPT = Path(__file__).parents[1] / "support" / "blender_vertices.py"


@pytest.mark.slow
@pytest.mark.skipif(
    not PYTHON, reason="HEADFIT_BLENDER_PYTHON names no Python with bpy (pip install bpy: Blender, 350 MB)"
)
@pytest.mark.parametrize(("name", "file"), [("usd", "take.usdc"), ("glb-animation", "take.glb")])
def test_blender_sees_frame_7(take, tmp_path, name, file):
    assert PYTHON
    if name == "usd":
        pytest.importorskip("pxr", reason="usd-core is not installed: pip install 'headfit[usd]'")
    rng = np.random.default_rng(0)
    take.meshes[0].texture[:] = rng.integers(0, 255, take.meshes[0].texture.shape)
    write_take(take, tmp_path, [name])
    found = tmp_path / "found.npz"
    subprocess.run([PYTHON, str(SCRIPT), str(tmp_path / file), str(take.fps), "7", str(found)], check=True)
    seen = np.load(found)
    for mesh in take.meshes:
        used = np.unique(mesh.topology.faces)
        vertices = mesh.vertices_of(7)
        assert KDTree(seen[mesh.name]).query(vertices[used])[0].max() < 1e-5, "0.01 mm"
        assert KDTree(vertices).query(seen[mesh.name])[0].max() < 1e-5
        assert seen[f"smooth:{mesh.name}"] == 1
    height, width, _ = take.meshes[0].texture.shape
    column, row = (seen["uv:head"] * [width, height]).astype(int).clip(0, width - 1).T
    colours = take.meshes[0].texture[height - 1 - row, column] / 255
    np.testing.assert_allclose(seen["colour:head"], colours, atol=0.01)

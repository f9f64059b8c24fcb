"""A take on another head's mesh, in the formats that need more than vertices."""

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial import KDTree

from headfit.evaluate.surface import SurfaceDistance
from headfit.export import write_take
from headfit.head import load
from headfit.modelling import retarget as module
from headfit.modelling.retarget import retarget
from tests.support.gltf import Glb


@pytest.fixture(scope="module")
def mesh_head(tmp_path_factory):
    """The default head's cage, without teeth, as a studio's mesh: larger, elsewhere, and without units."""
    folder = tmp_path_factory.mktemp("studio")
    head = load("default")
    vertices = head.mean.double().numpy()
    faces = head.cage_faces[(head.cage_rigid_part[head.cage_faces.long()] < 0).all(1)].numpy()
    used = np.unique(faces)
    landmarks = used[KDTree(vertices[used]).query(head.landmarks(head.rest()).numpy())[1]].tolist()
    rows = [f"v {x} {y} {z}" for x, y, z in (vertices * [105, 100, 100] + [1, 2, 3]).tolist()]
    rows += [f"f {' '.join(map(str, face))}" for face in (faces + 1).tolist()]
    (folder / "head.obj").write_text("\n".join(rows))
    (folder / "head.yaml").write_text(f"mesh: head.obj\nunits: cm\nlandmarks: {landmarks}\n")
    return load(str(folder / "head.yaml"))


@pytest.mark.slow
def test_vertices_lie_on_the_fit_and_all_formats_take_it(take, mesh_head, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(module, "IDENTITY_ROUNDS", 4)
    monkeypatch.setattr(module, "OFFSET_ROUNDS", 2)
    other, ours = retarget(take, mesh_head), take.meshes[0]
    skin = mesh_head.vertices_of("nose", "neck", "ears", "brows").numpy()
    for frame in (0, 7):
        surface = SurfaceDistance(ours.vertices_of(frame), ours.topology.faces)
        distance = 1e3 * surface.closest(other.meshes[0].vertices_of(frame)[skin]).distance
        assert np.median(distance) < 0.5 and np.percentile(distance, 95) < 4
    write_take(other, tmp_path, ["npz", "glb-animation", "curves"])
    assert len(np.load(tmp_path / f"{take.frames[1]}.npz")["vertices"]) == mesh_head.vertex_count
    assert json.loads((tmp_path / "curves.json").read_text())["units"] == {}
    glb = Glb(tmp_path / "take.glb")
    for frame in (0, 7):
        for mesh in other.meshes:
            of_vertex, _, _ = mesh.topology.split_at_seams()
            played = glb.vertices(mesh.name, frame)
            np.testing.assert_allclose(played, mesh.vertices_of(frame)[of_vertex], atol=2e-5)

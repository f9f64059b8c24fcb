"""The USD stage, opened with Pixar's own library."""

import sys

import numpy as np
import pytest

from headfit.errors import HeadfitError
from headfit.export import write_take

INSTALL = "usd-core is not installed: pip install 'headfit[usd]'"
pxr = pytest.importorskip("pxr", reason=INSTALL)
from pxr import Gf, Usd, UsdGeom, UsdShade, UsdValidation  # noqa: E402


@pytest.fixture(scope="module")
def stage(take, tmp_path_factory):
    out = tmp_path_factory.mktemp("usd")
    write_take(take, out, ["usd"])
    return Usd.Stage.Open(str(out / "take.usdc"))


def test_the_validators_of_usd_have_nothing_to_say(stage):
    validators = UsdValidation.ValidationRegistry().GetOrLoadAllValidators()
    assert len(validators) > 20
    found = UsdValidation.ValidationContext(validators).Validate(stage)
    assert [error.GetErrorAsString() for error in found] == []


def test_units_axes_and_time(stage):
    assert UsdGeom.GetStageMetersPerUnit(stage) == 1 and UsdGeom.GetStageUpAxis(stage) == "Y"
    assert stage.GetTimeCodesPerSecond() == stage.GetFramesPerSecond() == 12.5
    assert (stage.GetStartTimeCode(), stage.GetEndTimeCode()) == (0, 7)
    assert stage.GetDefaultPrim().GetPath() == "/take"


@pytest.mark.parametrize("mesh", [0, 1])
def test_frame_7_has_the_vertices_of_frame_7(stage, take, mesh):
    sequence = take.meshes[mesh]
    prim = UsdGeom.Mesh.Get(stage, f"/take/{sequence.name}")
    np.testing.assert_allclose(np.array(prim.GetPointsAttr().Get(7)), sequence.vertices_of(7), atol=1e-6)
    assert np.abs(np.array(prim.GetPointsAttr().Get(3)) - sequence.vertices_of(7)).max() > 1e-3
    np.testing.assert_array_equal(np.array(prim.GetFaceVertexIndicesAttr().Get()), sequence.topology.faces.ravel())
    np.testing.assert_allclose(np.linalg.norm(prim.GetNormalsAttr().Get(7), axis=1), 1, atol=1e-5)


def test_every_face_has_a_material_and_a_part(stage, take):
    mesh = UsdGeom.Mesh.Get(stage, "/take/head")
    count = len(take.meshes[0].topology.faces)
    for family in ("materialBind", "part"):
        assert UsdGeom.Subset.ValidateFamily(mesh, "face", family)[0]
    tongue = UsdGeom.Subset.Get(stage, "/take/head/part_tongue").GetIndicesAttr().Get()
    parts = take.meshes[0].topology
    np.testing.assert_array_equal(tongue, np.flatnonzero(parts.part_names[parts.face_parts] == "tongue"))
    subsets = UsdShade.MaterialBindingAPI(mesh).GetMaterialBindSubsets()
    assert sum(len(subset.GetIndicesAttr().Get()) for subset in subsets) == count
    names = {UsdShade.MaterialBindingAPI(s.GetPrim()).ComputeBoundMaterial()[0].GetPrim().GetName() for s in subsets}
    assert names == {"head_skin", "head_eyes", "head_teeth", "head_mouth"}


def test_uvs_and_textures(stage, take):
    topology = take.meshes[0].topology
    uvs = UsdGeom.PrimvarsAPI(UsdGeom.Mesh.Get(stage, "/take/head")).GetPrimvar("st")
    np.testing.assert_allclose(uvs.ComputeFlattened(), topology.uvs[topology.faces_uv.ravel()])
    file = UsdShade.Shader.Get(stage, "/take/materials/head_skin/texture").GetInput("file").Get()
    assert file.resolvedPath.endswith("head.png")


def test_cameras_project_like_the_captures(stage, take):
    points = take.meshes[0].vertices_of(0)[::500]
    for camera, name in zip(take.cameras(), ("cam_0", "_1"), strict=True):
        seen = UsdGeom.Camera.Get(stage, f"/take/cameras/{name}").GetCamera(0).frustum
        clip = seen.ComputeViewMatrix() * seen.ComputeProjectionMatrix()
        ndc = np.array([clip.Transform(Gf.Vec3d(*point)) for point in points.tolist()])[:, :2]
        pixels = (ndc * [1, -1] + 1) / 2 * [camera.width, camera.height]
        np.testing.assert_allclose(pixels, camera.project(points), atol=1e-3)


def test_without_usd_core_the_error_says_what_to_install(take, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "headfit.export.usd_stage", None)
    with pytest.raises(HeadfitError, match=r"pip install 'headfit\[usd\]'"):
        write_take(take, tmp_path, ["usd"])

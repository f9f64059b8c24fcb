"""The content of a USD stage: meshes, materials, cameras. Importing this module needs usd-core."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from pxr import Gf, Kind, Sdf, Tf, Usd, UsdGeom, UsdShade, Vt

from headfit.capture.camera import Camera
from headfit.errors import HeadfitError
from headfit.export.materials import MATERIALS, faces_by_material
from headfit.export.take import MeshSequence, Take
from headfit.types import Float

#: Width of the cameras' sensors, in tenths of a metre, as USD counts apertures in a stage of metres: 36 mm.
SENSOR_WIDTH = 0.36


class UsdStage:
    """A stage in memory with all of a take but the frames of its meshes.

    stage: the stage of USD. meshes: those of the take, in its order.
    """

    def __init__(self, folder: Path, take: Take, parent: str = "/take") -> None:
        """`folder` gets the textures; the prim `parent` the meshes."""
        self._origin = take.origin
        self.stage = stage = Usd.Stage.CreateInMemory()
        UsdGeom.SetStageMetersPerUnit(stage, UsdGeom.LinearUnits.meters)
        UsdGeom.SetStageUpAxis(stage, UsdGeom.Tokens.y)
        stage.SetTimeCodesPerSecond(take.fps)
        stage.SetFramesPerSecond(take.fps)
        stage.SetStartTimeCode(0)
        stage.SetEndTimeCode(len(take.frames) - 1)
        stage.SetMetadata("comment", take.coordinates)
        root = UsdGeom.Xform.Define(stage, "/take")
        Usd.ModelAPI(root).SetKind(Kind.Tokens.component)
        stage.SetDefaultPrim(root.GetPrim())
        root.AddTransformOp().Set(matrix(take.upright(), np.zeros(3)))
        self.meshes = [_define_mesh(stage, folder, mesh, parent) for mesh in take.meshes]
        _define_cameras(stage, take)

    def set_frame(self, mesh: Any, frame: int | None, vertices: np.ndarray, normals: np.ndarray) -> None:
        """Give a mesh its vertices `[V,3]` (metres, world) and unit normals `[V,3]` at a frame, or for all (None)."""
        time = Usd.TimeCode.Default() if frame is None else frame
        points = (vertices - self._origin).astype(np.float32)
        mesh.GetPointsAttr().Set(Vt.Vec3fArray.FromNumpy(points), time)
        mesh.GetNormalsAttr().Set(Vt.Vec3fArray.FromNumpy(normals.astype(np.float32)), time)
        extent = np.stack([points.min(axis=0), points.max(axis=0)])
        mesh.GetExtentAttr().Set(Vt.Vec3fArray.FromNumpy(extent), time)

    def save(self, path: Path) -> None:
        """Write the stage. Raises HeadfitError where that fails."""
        try:
            self.stage.Export(str(path))
        except Tf.ErrorException as error:
            raise HeadfitError(f"{path}: cannot be written; is the folder writable, and the disk not full?") from error


def _define_mesh(stage: Any, folder: Path, sequence: MeshSequence, parent: str) -> Any:
    """The mesh of a sequence with everything but its points."""
    topology = sequence.topology
    mesh = UsdGeom.Mesh.Define(stage, f"{parent}/{sequence.name}")
    mesh.CreateFaceVertexCountsAttr(Vt.IntArray.FromNumpy(np.full(len(topology.faces), 3, np.int32)))
    mesh.CreateFaceVertexIndicesAttr(Vt.IntArray.FromNumpy(topology.faces.ravel()))
    mesh.CreateSubdivisionSchemeAttr(UsdGeom.Tokens.none)
    mesh.CreateDoubleSidedAttr(True)
    mesh.SetNormalsInterpolation(UsdGeom.Tokens.vertex)
    uvs = UsdGeom.PrimvarsAPI(mesh).CreatePrimvar("st", Sdf.ValueTypeNames.TexCoord2fArray, UsdGeom.Tokens.faceVarying)
    uvs.Set(Vt.Vec2fArray.FromNumpy(topology.uvs))
    uvs.SetIndices(Vt.IntArray.FromNumpy(topology.faces_uv.ravel()))
    texture = f"{sequence.name}.png"
    Image.fromarray(sequence.texture).save(folder / texture)
    by_material = faces_by_material(sequence.name, topology)
    for name, faces in by_material.items():
        subset = _subset(mesh, f"{name}_faces", faces, UsdShade.Tokens.materialBind)
        _bind(subset.GetPrim(), _define_material(stage, f"/take/materials/{sequence.name}_{name}", name, texture))
    for index, part in enumerate(topology.part_names):
        faces = np.flatnonzero(topology.face_parts == index)
        if len(faces):
            _subset(mesh, f"part_{identifier(str(part))}", faces, "part")
    UsdShade.MaterialBindingAPI.Apply(mesh.GetPrim()).SetMaterialBindSubsetsFamilyType(UsdGeom.Tokens.partition)
    UsdGeom.Subset.SetFamilyType(mesh, "part", UsdGeom.Tokens.partition)
    return mesh


def _subset(mesh: Any, name: str, faces: np.ndarray, family: str) -> Any:
    indices = Vt.IntArray.FromNumpy(faces.astype(np.int32))
    return UsdGeom.Subset.CreateGeomSubset(mesh, name, UsdGeom.Tokens.face, indices, family)


def _bind(prim: Any, material: Any) -> None:
    UsdShade.MaterialBindingAPI.Apply(prim).Bind(material)


def _define_material(stage: Any, path: str, name: str, texture: str) -> Any:
    """A UsdPreviewSurface whose colour is the texture at primvar st."""
    material = UsdShade.Material.Define(stage, path)
    surface = _shader(stage, f"{path}/surface", "UsdPreviewSurface")
    surface.CreateInput("roughness", Sdf.ValueTypeNames.Float).Set(MATERIALS[name][0])
    surface.CreateInput("metallic", Sdf.ValueTypeNames.Float).Set(0.0)
    reader = _shader(stage, f"{path}/uv", "UsdPrimvarReader_float2")
    reader.CreateInput("varname", Sdf.ValueTypeNames.String).Set("st")
    sampler = _shader(stage, f"{path}/texture", "UsdUVTexture")
    sampler.CreateInput("file", Sdf.ValueTypeNames.Asset).Set(f"./{texture}")
    sampler.CreateInput("sourceColorSpace", Sdf.ValueTypeNames.Token).Set("sRGB")
    for wrap in ("wrapS", "wrapT"):
        sampler.CreateInput(wrap, Sdf.ValueTypeNames.Token).Set("clamp")
    uv = reader.CreateOutput("result", Sdf.ValueTypeNames.Float2)
    sampler.CreateInput("st", Sdf.ValueTypeNames.Float2).ConnectToSource(uv)
    colour = sampler.CreateOutput("rgb", Sdf.ValueTypeNames.Float3)
    surface.CreateInput("diffuseColor", Sdf.ValueTypeNames.Color3f).ConnectToSource(colour)
    material.CreateSurfaceOutput().ConnectToSource(surface.CreateOutput("surface", Sdf.ValueTypeNames.Token))
    return material


def _shader(stage: Any, path: str, identifier: str) -> Any:
    shader = UsdShade.Shader.Define(stage, path)
    shader.CreateIdAttr(identifier)
    return shader


def _define_cameras(stage: Any, take: Take) -> None:
    UsdGeom.Scope.Define(stage, "/take/cameras")
    for index, camera in enumerate(take.cameras()):
        path = f"/take/cameras/{identifier(camera.id)}"
        if stage.GetPrimAtPath(path):  # two ids differ only in what USD allows in no name
            path += f"_{index}"
        _define_camera(UsdGeom.Camera.Define(stage, path), camera, take.origin)


def _define_camera(usd: Any, camera: Camera, origin: Float) -> None:
    """Pinhole and pose of a camera; USD has no lens distortion. Its camera looks along -z, y up."""
    fx, fy, cx, cy = camera.K[0, 0], camera.K[1, 1], camera.K[0, 2], camera.K[1, 2]
    focal = SENSOR_WIDTH * fx / camera.width
    usd.CreateFocalLengthAttr(focal)
    usd.CreateHorizontalApertureAttr(SENSOR_WIDTH)
    usd.CreateVerticalApertureAttr(focal * camera.height / fy)
    usd.CreateHorizontalApertureOffsetAttr(focal * (camera.width / 2 - cx) / fx)
    usd.CreateVerticalApertureOffsetAttr(focal * (cy - camera.height / 2) / fy)
    usd.CreateClippingRangeAttr(Gf.Vec2f(0.01, 100.0))
    usd.GetPrim().SetDisplayName(camera.id)
    usd.AddTransformOp().Set(matrix(camera.R.T @ np.diag([1.0, -1.0, -1.0]), camera.centre - origin))


def identifier(name: str) -> str:
    """A name that USD allows: ASCII letters, digits and underscores, no digit first (serial numbers keep theirs)."""
    return Tf.MakeValidIdentifier(f"_{name}" if name[:1].isdigit() else name)


def matrix(rotation: Float, translation: Float) -> Any:
    """A transform of column vectors as USD's matrix, which transforms row vectors."""
    matrix = np.eye(4)
    matrix[:3, :3], matrix[3, :3] = rotation.T, translation
    return Gf.Matrix4d(matrix)

"""A take as UsdSkel holds it: skeleton, blend shapes and their animation. Importing this module needs usd-core."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from pxr import Gf, UsdSkel, Vt
from scipy.spatial.transform import Rotation
from tqdm import tqdm

from headfit.export.rig import MAX_INFLUENCES
from headfit.export.skinned import MorphNormals, SkinnedTake
from headfit.export.usd_stage import UsdStage, identifier, matrix

ROOT = "/take/rig"


def write_skeleton(folder: Path, skinned: SkinnedTake, file: str) -> None:
    """Write the gathered frames of a take as the USD file of this name.

    Lengths are those of the world: the scale of the head is in points, blend shapes and joints, since UsdSkel keeps
    scales in half precision.
    """
    take = skinned.take
    usd = UsdStage(folder, take, ROOT)
    UsdSkel.Root.Define(usd.stage, ROOT)
    skeleton, animation = _define_skeleton(usd.stage, skinned)
    names: list[str] = []
    weights = []
    for index in tqdm(range(len(take.meshes)), desc="blend shapes", unit="mesh"):
        morphs = skinned.morphs(index)
        # Names are those of the whole animation: the residual shapes of the hair are not those of the head.
        own = [identifier(name if index == 0 else f"{take.meshes[index].name}_{name}") for name in morphs.names]
        binding = UsdSkel.BindingAPI.Apply(usd.meshes[index].GetPrim())
        binding.CreateSkeletonRel().SetTargets([skeleton.GetPath()])
        joints, shares = skinned.influences(index)
        binding.CreateJointIndicesPrimvar(False, MAX_INFLUENCES).Set(Vt.IntArray.FromNumpy(joints.ravel().astype("i4")))
        binding.CreateJointWeightsPrimvar(False, MAX_INFLUENCES).Set(Vt.FloatArray.FromNumpy(shares.ravel()))
        binding.CreateGeomBindTransformAttr(Gf.Matrix4d(1))
        scale, normals = take.motion.scale, MorphNormals(take, take.meshes[index], morphs)
        usd.set_frame(usd.meshes[index], None, scale * morphs.base + take.origin, normals.base)
        paths = []
        for number, (name, target) in enumerate(zip(own, morphs.targets, strict=True)):
            shape = UsdSkel.BlendShape.Define(usd.stage, usd.meshes[index].GetPath().AppendChild(name))
            _set_shape(shape, scale * target, normals.change(number))
            paths.append(shape.GetPath())
        if own:
            binding.CreateBlendShapesAttr(own)
            binding.CreateBlendShapeTargetsRel().SetTargets(paths)
        names += own
        weights.append(morphs.weights)
    animation.CreateBlendShapesAttr(names)
    for frame, row in enumerate(np.concatenate(weights, axis=1).astype(np.float32)):
        animation.GetBlendShapeWeightsAttr().Set(Vt.FloatArray.FromNumpy(row), frame)
    usd.save(folder / file)


def _set_shape(shape: Any, offsets: np.ndarray, turned: np.ndarray | None) -> None:
    """Give a blend shape its offsets `[V,3]` (metres) and changes of normals `[V,3]` at the vertices that have any."""
    moves = offsets.any(axis=1) if turned is None else offsets.any(axis=1) | turned.any(axis=1)
    at = np.flatnonzero(moves) if moves.any() else np.zeros(1, np.int64)
    shape.CreatePointIndicesAttr(Vt.IntArray.FromNumpy(at.astype(np.int32)))
    shape.CreateOffsetsAttr(Vt.Vec3fArray.FromNumpy(offsets[at].astype(np.float32)))
    turn = np.zeros((len(at), 3)) if turned is None else turned[at]
    shape.CreateNormalOffsetsAttr(Vt.Vec3fArray.FromNumpy(turn.astype(np.float32)))


def _define_skeleton(stage: Any, skinned: SkinnedTake) -> tuple[Any, Any]:
    """The skeleton, and its animation with the motion of the joints."""
    rig, scale = skinned.rig, skinned.take.motion.scale
    paths: list[str] = []
    for name, parent in zip(rig.names, rig.parents, strict=True):
        paths.append(identifier(name) if parent < 0 else f"{paths[parent]}/{identifier(name)}")
    skeleton = UsdSkel.Skeleton.Define(stage, f"{ROOT}/skeleton")
    skeleton.CreateJointsAttr(paths)
    skeleton.CreateBindTransformsAttr([matrix(np.eye(3), scale * pivot) for pivot in rig.pivots])
    skeleton.CreateRestTransformsAttr([matrix(np.eye(3), scale * rig.offset(joint)) for joint in range(len(paths))])
    animation = UsdSkel.Animation.Define(stage, f"{ROOT}/skeleton/animation")
    UsdSkel.BindingAPI.Apply(skeleton.GetPrim()).CreateAnimationSourceRel().SetTargets([animation.GetPath()])
    animation.CreateJointsAttr(paths)
    animation.CreateScalesAttr([Gf.Vec3h(1, 1, 1)] * len(paths))
    motions = [skinned.joint_motion(joint) for joint in range(len(paths))]
    turns = np.stack([Rotation.from_matrix(rotations).as_quat() for rotations, _ in motions], axis=1)
    moves = np.stack([(scale if joint else 1.0) * shift for joint, (_, shift) in enumerate(motions)], axis=1)
    for frame in range(len(turns)):
        quaternions = [Gf.Quatf(w, x, y, z) for x, y, z, w in turns[frame].tolist()]
        animation.GetRotationsAttr().Set(Vt.QuatfArray(quaternions), frame)
        animation.GetTranslationsAttr().Set(Vt.Vec3fArray.FromNumpy(moves[frame].astype(np.float32)), frame)
    return skeleton, animation

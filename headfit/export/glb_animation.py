"""`glb-animation`: one binary glTF with the whole take: morph targets, a skeleton, materials, the texture inside."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from scipy.spatial.transform import Rotation
from tqdm import tqdm

from headfit.export.gltf import INDEX_BUFFER, UNSIGNED_BYTE, UNSIGNED_INT, VERTEX_BUFFER, GltfFile
from headfit.export.materials import MATERIALS, faces_by_material
from headfit.export.morphs import Morphs, find_morphs
from headfit.export.normals import unit_normals
from headfit.export.rig import MAX_INFLUENCES, Rig
from headfit.export.take import FrameWriter, MeshSequence, Take
from headfit.render.geometry import VertexNormals
from headfit.types import Float

#: Units that never reach this weight do not move.
LEAST_WEIGHT = 1e-3
#: Displacements of a unit shorter than this (metres) are left out.
LEAST_MOVE = 1e-7
#: Changes of a unit normal smaller than this are left out where the unit moves nothing.
LEAST_TURN = 1e-3
CLAMP_TO_EDGE = 33071


@contextmanager
def glb_animation_writer(folder: Path, take: Take) -> Iterator[FrameWriter]:
    """`take.glb`; docs/export.md describes its nodes and morph targets."""
    rig = Rig(take.motion)
    before = [np.empty((len(take.frames), mesh.vertex_count, 3), np.float32) for mesh in take.meshes]
    rows = [mesh.rows_of(take.motion.head.vertex_count) for mesh in take.meshes]

    def write(frame: int, surfaces: list[tuple[np.ndarray, np.ndarray]]) -> None:
        for positions, of_head, (vertices, _) in zip(before, rows, surfaces, strict=True):
            positions[frame] = rig.before_skinning(take.motion.to_head(vertices, frame), frame, of_head)

    yield write
    file = GltfFile(take.coordinates)
    joints = _add_skeleton(file, take, rig)
    targets = []
    for mesh, positions in zip(tqdm(take.meshes, desc="morph targets", unit="mesh"), before, strict=True):
        morphs = _morphs_of(take, mesh, positions)
        targets.append((_add_mesh(file, mesh, morphs, rig, take), morphs))
    _add_animation(file, take, rig, joints, targets)
    file.save(folder / "take.glb")


def _morphs_of(take: Take, mesh: MeshSequence, positions: np.ndarray) -> Morphs:
    """Units and residual shapes of the head; residual shapes alone of other meshes, which no basis describes."""
    motion = take.motion
    if mesh.rows is not None:
        base = positions.mean(axis=0)
        return find_morphs(positions, base, [], np.zeros((0, *base.shape)), np.zeros((len(positions), 0)))
    weights = motion.expression.double().cpu().numpy()
    moving = np.flatnonzero(np.abs(weights).max(axis=0, initial=0) >= LEAST_WEIGHT)
    base = motion.shape()[0]
    active = torch.eye(weights.shape[1], device=motion.expression.device)[moving]
    units = motion.shape(active) - base if len(moving) else np.zeros((0, *base.shape))
    units[np.linalg.norm(units, axis=2) < LEAST_MOVE] = 0
    return find_morphs(positions, base, [motion.head.expression_names[i] for i in moving], units, weights[:, moving])


def _add_skeleton(file: GltfFile, take: Take, rig: Rig) -> list[int]:
    """The nodes of the skull, which carries the head's pose, and of the joints, as they are in the first frame."""
    nodes = [file.append("nodes", {"name": name}) for name in rig.names]
    for joint, node in enumerate(nodes):
        rotations, translations = _joint_motion(take, rig, joint)
        entry = file.content["nodes"][node]
        entry |= {"rotation": _quaternions(rotations)[0].tolist(), "translation": translations[0].tolist()}
        children = [nodes[child] for child, parent in enumerate(rig.parents) if parent == joint]
        if children:
            entry["children"] = children
    file.content["nodes"][nodes[0]]["scale"] = [take.motion.scale] * 3
    upright = _quaternions(take.upright()[None])[0].tolist()
    root = file.append("nodes", {"name": "take", "rotation": upright, "children": nodes[:1]})
    file.append("scenes", {"nodes": [root]})
    file.content["scene"] = 0
    inverse = np.tile(np.eye(4), (len(nodes), 1, 1))
    inverse[:, :3, 3] = -rig.pivots
    file.append("skins", {"joints": nodes, "inverseBindMatrices": file.accessor(inverse)})
    return nodes


def _joint_motion(take: Take, rig: Rig, joint: int) -> tuple[Float, Float]:
    """Rotations `[F,3,3]` and translations `[F,3]` of a joint's node; that of joint 0, the skull, is the pose."""
    if joint == 0:
        return take.motion.rotation, take.motion.translation - take.origin
    return rig.rotations[:, joint], rig.translations[:, joint] + rig.offset(joint)


def _quaternions(rotations: Float) -> Float:
    """Unit quaternions `[F,4]` (x, y, z, w), each on the side of the one before it, as interpolation needs them."""
    quaternions = Rotation.from_matrix(rotations).as_quat()
    flips = np.cumprod(np.where((quaternions[1:] * quaternions[:-1]).sum(axis=1) < 0, -1.0, 1.0))
    quaternions[1:] *= flips[:, None]
    return quaternions


def _add_mesh(file: GltfFile, mesh: MeshSequence, morphs: Morphs, rig: Rig, take: Take) -> int:
    """The node of a skinned mesh in its base shape, with its morph targets at their weights in the first frame."""
    of_vertex, uvs, faces = mesh.topology.split_at_seams()
    normals_of = VertexNormals(torch.from_numpy(mesh.topology.faces), mesh.vertex_count)
    normals = unit_normals(normals_of, morphs.base)
    rows = mesh.rows_of(take.motion.head.vertex_count)[of_vertex]
    joints, weights = _influences(rig.weights[rows])
    attributes = {
        "POSITION": file.accessor(morphs.base[of_vertex], target=VERTEX_BUFFER, bounds=True),
        "NORMAL": file.accessor(normals[of_vertex], target=VERTEX_BUFFER),
        "TEXCOORD_0": file.accessor(uvs * [1, -1] + [0, 1], target=VERTEX_BUFFER),
        "JOINTS_0": file.accessor(joints, UNSIGNED_BYTE, VERTEX_BUFFER),
        "WEIGHTS_0": file.accessor(weights, target=VERTEX_BUFFER),
    }
    unturned = file.sparse_accessor(np.zeros((len(of_vertex), 3)))
    targets = []
    for name, shape in zip(morphs.names, morphs.targets, strict=True):
        turned = unturned
        if name in take.motion.head.expression_names:
            change = unit_normals(normals_of, morphs.base + shape) - normals
            change[~shape.any(axis=1) & (np.abs(change).max(axis=1) < LEAST_TURN)] = 0
            turned = file.sparse_accessor(change[of_vertex])
        targets.append({"POSITION": file.sparse_accessor(shape[of_vertex], bounds=True), "NORMAL": turned})
    texture = _add_texture(file, mesh)
    primitives: list[dict[str, Any]] = []
    for name, chosen in faces_by_material(mesh.name, mesh.topology).items():
        indices = file.accessor(faces[chosen].ravel(), UNSIGNED_INT, INDEX_BUFFER)
        primitive = {"attributes": attributes, "indices": indices, "material": _add_material(file, mesh, name, texture)}
        primitives.append(primitive | ({"targets": targets} if targets else {}))
    entry: dict[str, Any] = {"name": mesh.name, "primitives": primitives}
    if targets:
        entry |= {"weights": morphs.weights[0].tolist(), "extras": {"targetNames": morphs.names}}
    node = file.append("nodes", {"name": mesh.name, "mesh": file.append("meshes", entry), "skin": 0})
    file.content["scenes"][0]["nodes"].append(node)
    return node


def _influences(weights: Float) -> tuple[np.ndarray, np.ndarray]:
    """The joints `[V,4]` with the largest of `weights [V,1+J]`, and these weights, which sum to 1; joint 0 for none."""
    padded = np.pad(weights, ((0, 0), (0, max(0, MAX_INFLUENCES - weights.shape[1]))))
    joints = np.argsort(-padded, axis=1, kind="stable")[:, :MAX_INFLUENCES]
    largest = np.take_along_axis(padded, joints, axis=1).astype(np.float32)
    largest[:, 0] = 1 - largest[:, 1:].sum(axis=1)
    return np.where(largest > 0, joints, 0), largest


def _add_texture(file: GltfFile, mesh: MeshSequence) -> int:
    png = io.BytesIO()
    Image.fromarray(mesh.texture).save(png, "PNG")
    image = file.append("images", {"name": mesh.name, "mimeType": "image/png", "bufferView": file.view(png.getvalue())})
    sampler = file.append("samplers", {"wrapS": CLAMP_TO_EDGE, "wrapT": CLAMP_TO_EDGE})
    return file.append("textures", {"source": image, "sampler": sampler})


def _add_material(file: GltfFile, mesh: MeshSequence, name: str, texture: int) -> int:
    surface = {
        "baseColorTexture": {"index": texture},
        "metallicFactor": 0.0,
        "roughnessFactor": MATERIALS[name][0],
    }
    label = name if name == mesh.name else f"{mesh.name}_{name}"
    return file.append("materials", {"name": label, "pbrMetallicRoughness": surface, "doubleSided": True})


def _add_animation(file: GltfFile, take: Take, rig: Rig, joints: list[int], meshes: list[tuple[int, Morphs]]) -> None:
    """Channels of the pose, of the joints that move, and of the morph targets of the mesh nodes."""
    times = file.accessor(np.arange(len(take.frames)) / take.fps, bounds=True)
    samplers: list[dict[str, Any]] = []
    channels: list[dict[str, Any]] = []

    def add(node: int, path: str, values: Float) -> None:
        samplers.append({"input": times, "output": file.accessor(values), "interpolation": "LINEAR"})
        channels.append({"sampler": len(samplers) - 1, "target": {"node": node, "path": path}})

    for joint, node in enumerate(joints):
        rotations, translations = _joint_motion(take, rig, joint)
        if joint == 0 or np.ptp(rotations, axis=0).any():
            add(node, "rotation", _quaternions(rotations))
        if joint == 0 or np.ptp(translations, axis=0).any():
            add(node, "translation", translations)
    for node, morphs in meshes:
        if morphs.names:
            add(node, "weights", morphs.weights.ravel())
    file.append("animations", {"name": "take", "samplers": samplers, "channels": channels})

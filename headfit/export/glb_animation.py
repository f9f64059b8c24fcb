"""`glb-animation`: one binary glTF with the whole take: morph targets, a skeleton, materials, the texture inside."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from scipy.spatial.transform import Rotation
from tqdm import tqdm

from headfit.export.gltf import INDEX_BUFFER, UNSIGNED_BYTE, UNSIGNED_INT, VERTEX_BUFFER, GltfFile
from headfit.export.materials import MATERIALS, faces_by_material
from headfit.export.morphs import Morphs
from headfit.export.skinned import MorphNormals, SkinnedTake
from headfit.export.take import FrameWriter, MeshSequence, Take
from headfit.types import Float

CLAMP_TO_EDGE = 33071


@contextmanager
def glb_animation_writer(folder: Path, take: Take) -> Iterator[FrameWriter]:
    """`take.glb`; docs/export.md describes its nodes and morph targets."""
    skinned = SkinnedTake(take)
    yield skinned.write
    file = GltfFile(take.coordinates)
    joints = _add_skeleton(file, skinned)
    targets = []
    for index in tqdm(range(len(take.meshes)), desc="morph targets", unit="mesh"):
        morphs = skinned.morphs(index)
        targets.append((_add_mesh(file, skinned, index, morphs), morphs))
    _add_animation(file, skinned, joints, targets)
    file.save(folder / "take.glb")


def _add_skeleton(file: GltfFile, skinned: SkinnedTake) -> list[int]:
    """The nodes of the skull, which carries the head's pose, and of the joints, as they are in the first frame."""
    take, rig = skinned.take, skinned.rig
    nodes = [file.append("nodes", {"name": name}) for name in rig.names]
    for joint, node in enumerate(nodes):
        rotations, translations = skinned.joint_motion(joint)
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


def _quaternions(rotations: Float) -> Float:
    """Unit quaternions `[F,4]` (x, y, z, w), each on the side of the one before it, as interpolation needs them."""
    quaternions = Rotation.from_matrix(rotations).as_quat()
    flips = np.cumprod(np.where((quaternions[1:] * quaternions[:-1]).sum(axis=1) < 0, -1.0, 1.0))
    quaternions[1:] *= flips[:, None]
    return quaternions


def _add_mesh(file: GltfFile, skinned: SkinnedTake, index: int, morphs: Morphs) -> int:
    """The node of a skinned mesh in its base shape, with its morph targets at their weights in the first frame."""
    mesh = skinned.take.meshes[index]
    of_vertex, uvs, faces = mesh.topology.split_at_seams()
    normals = MorphNormals(skinned.take, mesh, morphs)
    joints, weights = skinned.influences(index)
    attributes = {
        "POSITION": file.accessor(morphs.base[of_vertex], target=VERTEX_BUFFER, bounds=True),
        "NORMAL": file.accessor(normals.base[of_vertex], target=VERTEX_BUFFER),
        "TEXCOORD_0": file.accessor(uvs * [1, -1] + [0, 1], target=VERTEX_BUFFER),
        "JOINTS_0": file.accessor(joints[of_vertex], UNSIGNED_BYTE, VERTEX_BUFFER),
        "WEIGHTS_0": file.accessor(weights[of_vertex], target=VERTEX_BUFFER),
    }
    unturned = file.sparse_accessor(np.zeros((len(of_vertex), 3)))
    targets = []
    for number, shape in enumerate(morphs.targets):
        change = normals.change(number)
        turned = unturned if change is None else file.sparse_accessor(change[of_vertex])
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


def _add_animation(file: GltfFile, skinned: SkinnedTake, joints: list[int], meshes: list[tuple[int, Morphs]]) -> None:
    """Channels of the pose, of the joints that move, and of the morph targets of the mesh nodes."""
    take = skinned.take
    times = file.accessor(np.arange(len(take.frames)) / take.fps, bounds=True)
    samplers: list[dict[str, Any]] = []
    channels: list[dict[str, Any]] = []

    def add(node: int, path: str, values: Float) -> None:
        samplers.append({"input": times, "output": file.accessor(values), "interpolation": "LINEAR"})
        channels.append({"sampler": len(samplers) - 1, "target": {"node": node, "path": path}})

    for joint, node in enumerate(joints):
        rotations, translations = skinned.joint_motion(joint)
        if joint == 0 or np.ptp(rotations, axis=0).any():
            add(node, "rotation", _quaternions(rotations))
        if joint == 0 or np.ptp(translations, axis=0).any():
            add(node, "translation", translations)
    for node, morphs in meshes:
        if morphs.names:
            add(node, "weights", morphs.weights.ravel())
    file.append("animations", {"name": "take", "samplers": samplers, "channels": channels})

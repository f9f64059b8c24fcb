"""GNM Head v3 (Google, Apache-2.0): one npz with bases, skeleton, soft vertex groups and corner UVs.

Statistical components move its face, joints its head and eyes; there is no jaw joint.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from headfit.errors import HeadfitError
from headfit.head.importers.imported import SIGMAS, ImportedHead, Joint
from headfit.head.importers.transfer import find_landmarks, transfer_labels
from headfit.npz import read_npz
from headfit.types import Float, Int, Text

KEY = "template_vertex_positions"
KEYS = (
    "version",
    "variant",
    KEY,
    "vertex_identity_basis",
    "expression_basis",
    "skinning_weights",
    "pose_correctives_regressor",
    "triangles",
    "template_joint_positions",
    "joint_identity_basis",
    "joint_parent_indices",
    "joint_names",
    "identity_names",
    "expression_names",
)
#: Vertex groups, and the label of a face whose corners all belong to one; later rows override earlier ones.
GROUPS = (
    ("mouth_sock", "mouth_cavity"),
    ("upper_lip", "upper_lip"),
    ("lower_lip", "lower_lip"),
    ("ears", "ears"),
    ("left_ear", "ears"),
    ("right_ear", "ears"),
    ("upper_teeth_and_gums", "upper_teeth"),
    ("lower_teeth_and_gums", "lower_teeth"),
    ("gums", "gums"),
    ("tongue", "tongue"),
    ("left_eye", "left_eye"),
    ("right_eye", "right_eye"),
)


def read(path: Path) -> ImportedHead:
    """The head in a GNM Head v3 npz. Raises HeadfitError, naming the file and the key."""
    data = read_npz(path)
    missing = [key for key in KEYS if key not in data]
    if missing:
        raise HeadfitError(f"{path}: not a GNM head, lacks {', '.join(missing)}")
    version, variant = _text(data["version"]), _text(data["variant"])
    if not version.startswith("3") or variant != "head":
        raise HeadfitError(f"{path}: GNM {variant} {version}; only GNM Head 3 can be read")
    _check(path, data)
    head = ImportedHead(
        vertices=data[KEY].astype(np.float64),
        faces=data["triangles"].astype(np.int64),
        labels=_labels(data),
        corner_uvs=data["triangle_uvs"].astype(np.float64) if "triangle_uvs" in data else None,
        identity=data["vertex_identity_basis"].astype(np.float64),
        expression=data["expression_basis"].astype(np.float64) * SIGMAS,
        units=[str(name) for name in data["expression_names"]],
        lowest=np.full(len(data["expression_names"]), -1.0),
    )
    _add_joints(head, data)
    both_eyes = len(head.vertices_of("left_eye")) and len(head.vertices_of("right_eye"))
    head.landmarks = find_landmarks(head) if both_eyes else None
    head.labels = transfer_labels(head)
    return head


def _text(value: np.ndarray) -> str:
    item = value.item()
    return item.decode() if isinstance(item, bytes) else str(item)


def _check(path: Path, data: dict[str, np.ndarray]) -> None:
    vertices, joints = len(data[KEY]), len(data["joint_names"])
    identities, units = len(data["identity_names"]), len(data["expression_names"])
    wanted: dict[str, tuple[int, ...]] = {
        KEY: (vertices, 3),
        "vertex_identity_basis": (identities, vertices, 3),
        "expression_basis": (units, vertices, 3),
        "skinning_weights": (joints, vertices),
        "pose_correctives_regressor": (9 * joints, 3 * vertices),
        "triangles": (len(data["triangles"]), 3),
        "template_joint_positions": (joints, 3),
        "joint_identity_basis": (identities, joints, 3),
        "joint_parent_indices": (joints,),
        "triangle_uvs": (len(data["triangles"]), 3, 2),
        "vertex_groups": (data["vertex_group_names"].size if "vertex_group_names" in data else 0, vertices),
    }
    for key, shape in wanted.items():
        if key in data and data[key].shape != shape:
            raise HeadfitError(f"{path}: {key} has shape {data[key].shape}, expected {shape}")
        if key in data and not np.isfinite(data[key]).all():
            raise HeadfitError(f"{path}: {key} holds values that are not finite")
    if data["triangles"].min(initial=0) < 0 or data["triangles"].max(initial=0) >= vertices:
        raise HeadfitError(f"{path}: triangles refers to vertices that do not exist")


def _labels(data: dict[str, np.ndarray]) -> Text:
    faces: Int = data["triangles"].astype(np.int64)
    labels = np.full(len(faces), "skin", dtype="<U16")
    if "vertex_groups" not in data:
        return labels
    names = [str(name) for name in data["vertex_group_names"]]
    for group, label in GROUPS:
        if group in names:
            labels[(data["vertex_groups"][names.index(group)][faces] > 0.5).all(1)] = label
    return labels


def _add_joints(head: ImportedHead, data: dict[str, np.ndarray]) -> None:
    """Add all joints except a single root, which carries the whole head: its motion is the head's placement."""
    parents = data["joint_parent_indices"].astype(np.int64)
    roots = [index for index, parent in enumerate(parents) if parent < 0 or parent == index]
    dropped = roots[0] if len(roots) == 1 else -1
    kept = [index for index in range(len(parents)) if index != dropped]
    new = {index: number for number, index in enumerate(kept)}
    weights = data["skinning_weights"].astype(np.float64)
    for index in kept:
        head.joints.append(
            Joint(
                str(data["joint_names"][index]),
                new.get(int(parents[index]), -1) if parents[index] != index else -1,
                data["template_joint_positions"][index].astype(np.float64),
                data["joint_identity_basis"][:, index].astype(np.float64),
                weights[index],
            )
        )
    regressor: Float = data["pose_correctives_regressor"].astype(np.float64)
    regressor = regressor.reshape(len(parents), 9, len(head.vertices), 3)[kept]
    if regressor.any():
        head.pose_correctives = regressor.reshape(-1, len(head.vertices), 3)

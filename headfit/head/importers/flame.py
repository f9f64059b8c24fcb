"""FLAME 2020 and 2023 (Max Planck Institute for Intelligent Systems; own licence): a pickle, or an npz with its keys.

The pickle is read without executing it. FLAME has eyeballs but no mouth interior: ours is added. It has no labels and
no landmarks either. Landmarks come from a `landmark_embedding.npy` next to the model if it holds the 68 points;
otherwise the default head is registered to the template. Labels then follow from the landmarks.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from headfit.errors import HeadfitError
from headfit.head.importers.imported import SIGMAS, ImportedHead, Joint
from headfit.head.importers.mouth_interior import attach
from headfit.head.importers.safe_pickle import load_arrays
from headfit.head.importers.transfer import find_landmarks, transfer_labels
from headfit.npz import read_npz
from headfit.types import Float, Int

KEY = "v_template"
KEYS = (KEY, "f", "shapedirs", "posedirs", "J_regressor", "weights", "kintree_table")
#: The last components of `shapedirs` are expressions; all before them (300 in a full model) are identity.
EXPRESSIONS = 100
#: Order of `kintree_table`; the root carries all others, so its motion is the head's placement.
JOINTS = ("root", "neck", "jaw", "left_eye", "right_eye")
EMBEDDING = "landmark_embedding.npy"


def read(path: Path) -> ImportedHead:
    """The head in a FLAME pickle or npz. Raises HeadfitError, naming the file and the key."""
    data = _load(path)
    head = ImportedHead(
        vertices=data["v_template"],
        faces=data["f"].astype(np.int64),
        labels=np.full(len(data["f"]), "skin", dtype="<U16"),
    )
    shapes = np.moveaxis(data["shapedirs"], 2, 0)
    count = max(0, len(shapes) - EXPRESSIONS)
    head.identity, head.expression = shapes[:count], shapes[count:] * SIGMAS
    head.units = [f"expression{index:03d}" for index in range(len(head.expression))]
    head.lowest = np.full(len(head.units), -1.0)
    head.joints = _joints(data, head)
    head.pose_correctives = np.moveaxis(data["posedirs"], 2, 0)
    for name in ("left_eye", "right_eye"):
        weights = head.joints[head.joint_index(name)].weights
        head.labels[(weights[head.faces] > 0.5).all(1)] = name
    head.landmarks = _embedding(path.parent / EMBEDDING, head.faces)
    if head.landmarks is None:
        if not (len(head.vertices_of("left_eye")) and len(head.vertices_of("right_eye"))):
            raise HeadfitError(f"{path}: no vertices belong to the eyes' joints, and {EMBEDDING} is not next to it")
        head.landmarks = find_landmarks(head)
    head.labels = transfer_labels(head)
    return attach(head)


def _load(path: Path) -> dict[str, Float]:
    if path.suffix.lower() == ".npz":
        content: dict[str, Any] = dict(read_npz(path, KEYS))
    else:
        content = load_arrays(path)
    missing = [key for key in KEYS if key not in content]
    if missing:
        raise HeadfitError(f"{path}: not a FLAME model, lacks {', '.join(missing)}")
    data = {}
    for key in KEYS:
        if not isinstance(content[key], np.ndarray) or content[key].dtype.kind not in "fiu":
            raise HeadfitError(f"{path}: {key} is not an array of numbers")
        data[key] = content[key].astype(np.float64)
        if not np.isfinite(data[key]).all():
            raise HeadfitError(f"{path}: {key} holds values that are not finite")
    vertices = len(data["v_template"])
    wanted: dict[str, tuple[int, ...]] = {
        "v_template": (vertices, 3),
        "f": (len(data["f"]), 3),
        "shapedirs": (vertices, 3, data["shapedirs"].shape[-1]),
        "posedirs": (vertices, 3, 9 * (len(JOINTS) - 1)),
        "J_regressor": (len(JOINTS), vertices),
        "weights": (vertices, len(JOINTS)),
        "kintree_table": (2, len(JOINTS)),
    }
    for key, shape in wanted.items():
        if data[key].shape != shape:
            raise HeadfitError(f"{path}: {key} has shape {data[key].shape}, expected {shape}")
    if data["f"].min(initial=0) < 0 or data["f"].max(initial=0) >= vertices:
        raise HeadfitError(f"{path}: f refers to vertices that do not exist")
    return data


def _joints(data: dict[str, Float], head: ImportedHead) -> list[Joint]:
    """All joints except the root, whose motion is the head's placement."""
    table = data["kintree_table"].astype(np.int64)
    column = {int(number): index for index, number in enumerate(table[1])}
    regressor = data["J_regressor"]
    pivots = regressor @ head.vertices
    by_identity, by_expression = (
        np.einsum("jv,kvd->kjd", regressor, basis) for basis in (head.identity, head.expression)
    )
    # The root's parent is stored as -1 or as the largest unsigned number, which is no column.
    parents = [column.get(int(parent), -1) for parent in table[0]]
    return [
        Joint(
            name=JOINTS[j],
            parent=parents[j] - 1 if parents[j] > 0 else -1,
            pivot=pivots[j],
            pivot_basis=by_identity[:, j],
            weights=data["weights"][:, j],
            pivot_expression=by_expression[:, j],
        )
        for j in range(1, len(JOINTS))
    ]


def _embedding(path: Path, faces: Int) -> tuple[Int, Float] | None:
    """Vertices `[68,3]` and weights `[68,3]` of a landmark embedding; None if there is no such file."""
    if not path.is_file():
        return None
    content = load_arrays(path)
    index, bary = content.get("full_lmk_faces_idx"), content.get("full_lmk_bary_coords")
    if not isinstance(index, np.ndarray) or not isinstance(bary, np.ndarray) or index.size != 68 or bary.size != 204:
        raise HeadfitError(f"{path}: lacks 68 landmarks under full_lmk_faces_idx and full_lmk_bary_coords")
    index = index.astype(np.int64).ravel()
    if index.min() < 0 or index.max() >= len(faces):
        raise HeadfitError(f"{path}: full_lmk_faces_idx refers to faces that do not exist")
    return faces[index], bary.astype(np.float64).reshape(68, 3)

"""The arrays that make up a head model: their names and shapes, and a check for all of them."""

from collections.abc import Callable, Mapping

import numpy as np
import torch

from headfit.capture.landmark_files import LANDMARK_COUNT
from headfit.capture.landmark_schemes import DENSE_COUNT
from headfit.errors import HeadfitError

Arrays = Mapping[str, np.ndarray]

FLOATS = (
    "mean",
    "identity_basis",
    "expression_basis",
    "skinning_weights",
    "pivots",
    "pivot_basis",
    "part_centres",
    "part_centre_basis",
    "uvs",
    "landmark_bary",
    "cage_stiffness",
)
INDICES = {
    "faces": torch.int32,
    "faces_uv": torch.int32,
    "cage_faces": torch.int32,
    "face_labels": torch.int64,
    "face_parts": torch.int64,
    "landmark_faces": torch.int64,
    "cage_rigid_part": torch.int64,
    "neck_loop": torch.int64,
}
NAMES = ("label_names", "part_names", "joint_names", "expression_names", "rigid_part_names")
OTHER = ("joint_parents", "subdivision_data", "subdivision_indices", "subdivision_indptr")
REQUIRED_ARRAYS = frozenset((*FLOATS, *INDICES, *NAMES, *OTHER))
#: Limits of a joint that has none: half a turn (radians), one metre.
UNLIMITED = np.array([np.pi] * 3 + [1.0] * 3)
#: Arrays that a head model may lack, and their defaults.
OPTIONAL_FLOATS: dict[str, Callable[[Arrays], np.ndarray]] = {
    "pose_correctives": lambda arrays: np.zeros((0, len(arrays["mean"]), 3)),
    "combination_basis": lambda arrays: np.zeros((0, len(arrays["mean"]), 3)),
    "expression_lowest": lambda arrays: np.zeros(len(arrays["expression_names"])),
    "joint_lowest": lambda arrays: np.broadcast_to(-UNLIMITED, (len(arrays["joint_names"]), 6)),
    "joint_highest": lambda arrays: np.broadcast_to(UNLIMITED, (len(arrays["joint_names"]), 6)),
    "pivot_expression_basis": lambda arrays: np.zeros((len(arrays["expression_names"]), len(arrays["joint_names"]), 3)),
    "dense_landmark_bary": lambda arrays: np.zeros((0, 3)),
    "dense_landmark_spread": lambda arrays: np.zeros(0),
}
OPTIONAL_INDICES: dict[str, Callable[[Arrays], np.ndarray]] = {
    "combination_units": lambda arrays: np.zeros((0, 2), np.int64),
    "dense_landmark_numbers": lambda arrays: np.zeros(0, np.int64),
    "dense_landmark_faces": lambda arrays: np.zeros(0, np.int64),
}
#: All or none of them.
DENSE_LANDMARKS = tuple(name for name in (*OPTIONAL_INDICES, *OPTIONAL_FLOATS) if name.startswith("dense_landmark_"))


def check_arrays(arrays: Arrays, source: str) -> None:
    """Check that every array of a head model is present, has the shape the others imply, is finite and within range.

    Raises HeadfitError, which starts with `source` and names the array.
    """
    missing = sorted(REQUIRED_ARRAYS - arrays.keys())
    if missing:
        raise HeadfitError(f"{source}: not a head model: missing {', '.join(missing)}")
    dense = [name for name in DENSE_LANDMARKS if name in arrays]
    if dense and len(dense) < len(DENSE_LANDMARKS):
        lacking = ", ".join(name for name in DENSE_LANDMARKS if name not in arrays)
        raise HeadfitError(f"{source}: {dense[0]} needs {lacking} as well")
    for name, expected in _shapes(arrays).items():
        if name in arrays and arrays[name].shape != expected:
            raise HeadfitError(f"{source}: {name} has shape {arrays[name].shape}, expected {expected}")
    for name in (*FLOATS, *OPTIONAL_FLOATS):
        if name in arrays and not np.isfinite(arrays[name]).all():
            raise HeadfitError(f"{source}: {name} contains values that are not finite")
    for name, (least, count) in _ranges(arrays).items():
        if name not in arrays:
            continue
        values = arrays[name].astype(np.int64)
        if values.size and (values.min() < least or values.max() >= count):
            raise HeadfitError(f"{source}: {name} holds indices outside {least} to {count - 1}")
    if any(parent >= joint for joint, parent in enumerate(arrays["joint_parents"].astype(np.int64))):
        raise HeadfitError(f"{source}: joint_parents: a joint must come after its parent")
    if dense:
        numbers, spread = arrays["dense_landmark_numbers"], arrays["dense_landmark_spread"]
        if len(np.unique(numbers)) < len(numbers):
            raise HeadfitError(f"{source}: dense_landmark_numbers holds a landmark twice")
        if (spread < 0).any():
            raise HeadfitError(f"{source}: dense_landmark_spread holds a negative length")
    if len(arrays["landmark_faces"]) not in (0, LANDMARK_COUNT):
        raise HeadfitError(f"{source}: {len(arrays['landmark_faces'])} landmarks, expected {LANDMARK_COUNT} or none")


def _shapes(arrays: Arrays) -> dict[str, tuple[int, ...]]:
    cage, components, units = len(arrays["mean"]), len(arrays["identity_basis"]), len(arrays["expression_names"])
    joints, parts = len(arrays["joint_names"]), len(arrays["rigid_part_names"])
    faces, landmarks = len(arrays["faces"]), len(arrays["landmark_faces"])
    correctives = len(arrays["pose_correctives"]) if "pose_correctives" in arrays else 0
    dense = arrays["dense_landmark_numbers"].size if "dense_landmark_numbers" in arrays else 0
    combinations = len(arrays["combination_basis"]) if "combination_basis" in arrays else 0
    return {
        "mean": (cage, 3),
        "identity_basis": (components, cage, 3),
        "expression_basis": (units, cage, 3),
        "expression_lowest": (units,),
        "skinning_weights": (cage, joints + 1),
        "pose_correctives": (9 * joints if correctives else 0, cage, 3),
        "combination_units": (combinations, 2),
        "combination_basis": (combinations, cage, 3),
        "joint_parents": (joints,),
        "joint_lowest": (joints, 6),
        "joint_highest": (joints, 6),
        "pivots": (joints, 3),
        "pivot_basis": (components, joints, 3),
        "pivot_expression_basis": (units, joints, 3),
        "part_centres": (parts, 3),
        "part_centre_basis": (components, parts, 3),
        "cage_rigid_part": (cage,),
        "cage_stiffness": (cage,),
        "cage_faces": (len(arrays["cage_faces"]), 3),
        "faces": (faces, 3),
        "faces_uv": (faces, 3),
        "face_labels": (faces,),
        "face_parts": (faces,),
        "uvs": (len(arrays["uvs"]), 2),
        "landmark_bary": (landmarks, 3),
        "neck_loop": (arrays["neck_loop"].size,),
        "dense_landmark_numbers": (dense,),
        "dense_landmark_faces": (dense,),
        "dense_landmark_bary": (dense, 3),
        "dense_landmark_spread": (dense,),
    }


def _ranges(arrays: Arrays) -> dict[str, tuple[int, int]]:
    """Per index array: the smallest allowed value, and one more than the largest."""
    vertices, cage = len(arrays["subdivision_indptr"]) - 1, len(arrays["mean"])
    return {
        "faces": (0, vertices),
        "neck_loop": (0, vertices),
        "cage_faces": (0, cage),
        "subdivision_indices": (0, cage),
        "faces_uv": (0, len(arrays["uvs"])),
        "face_labels": (0, len(arrays["label_names"])),
        "face_parts": (0, len(arrays["part_names"])),
        "landmark_faces": (0, len(arrays["faces"])),
        "dense_landmark_numbers": (0, DENSE_COUNT),
        "dense_landmark_faces": (0, len(arrays["faces"])),
        "cage_rigid_part": (-1, len(arrays["rigid_part_names"])),
        "combination_units": (0, len(arrays["expression_names"])),
        "joint_parents": (-1, len(arrays["joint_names"])),
    }

"""Our mouth interior, and eyes, for heads that have none.

Teeth, gums and tongue are carried over by a similarity (they keep their shape), the cavity is bent so that its rim
meets the lips. They follow the head they are put in: identity moves them as it moves the landmarks; the cavity's
rim goes where units, pose correctives and joints take the lips; the jaw's joint carries the lower half.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sp
from scipy.spatial import KDTree

from headfit.head.adapters.atlas import pack
from headfit.head.adapters.imported import Float, ImportedHead, Int, Joint
from headfit.head.adapters.registration import LANDMARK_WEIGHT, Placement, our_head

MOUTH = ("mouth_cavity", "upper_teeth", "upper_gums", "lower_teeth", "lower_gums", "tongue")
EYES = ("left_eye", "right_eye")
#: Landmarks by which what keeps its shape is placed: the lids' of each eye, and the lips' for all else.
NEAR = {"left_eye": slice(42, 48), "right_eye": slice(36, 42)}
LIPS = slice(48, 68)
#: Metres over which the cavity stops following the lips.
RIM = 0.008
#: Landmarks of the skull that no jaw moves: bridge of the nose and eye corners.
SKULL_POINTS = (27, 28, 36, 39, 42, 45)


@dataclass
class _Patch:
    """Faces of our head as a mesh of its own: our vertex ids, faces into them."""

    ids: Int
    faces: Int
    taken: Int


def attach(head: ImportedHead) -> ImportedHead:
    """The head with our mouth interior, and with our eyes if no face of it is labelled as an eye.

    ValueError where its landmarks are unknown.
    """
    ours = our_head()
    place = Placement(head.landmark_points())
    wanted = MOUTH if head.vertices_of(*EYES).size else (*MOUTH, *EYES)
    patch = _cut(np.isin(ours.parts, wanted))
    soft = np.isin(patch.ids, np.unique(ours.faces[ours.parts == "mouth_cavity"]))
    at_rest = np.where(soft[:, None], place.bend(ours.vertices[patch.ids]), place.rigid(ours.vertices[patch.ids], LIPS))
    for name in EYES:
        ball = np.isin(patch.ids, np.unique(ours.faces[ours.parts == name]))
        at_rest[ball] = place.rigid(ours.vertices[patch.ids[ball]], NEAR[name])
    follow, hold = _following(head, at_rest, soft)

    def with_patch(basis: Float) -> Float:
        moved = np.array([hold[:, None] * (follow @ shape) for shape in basis]).reshape(-1, len(at_rest), 3)
        return np.concatenate([basis, moved], 1)

    identity = with_patch(head.identity)
    identity[:, len(head.vertices) :] += (1 - hold)[:, None] * _carried(head, at_rest)
    result = ImportedHead(
        vertices=np.concatenate([head.vertices, at_rest]),
        faces=np.concatenate([head.faces, patch.faces + len(head.vertices)]),
        labels=np.concatenate([head.labels.astype("<U16"), ours.labels[patch.taken]]),
        corner_uvs=_uvs(head, patch),
        identity=identity,
        expression=with_patch(head.expression),
        units=head.units,
        lowest=head.lowest,
        joints=_joints(head, patch, place, follow, hold),
        landmarks=head.landmarks,
    )
    if head.pose_correctives is not None:
        extra = np.zeros((9 * len(result.joints), len(result.vertices), 3))
        extra[: len(head.pose_correctives)] = with_patch(head.pose_correctives)
        result.pose_correctives = extra
    return result


def _cut(chosen: np.ndarray) -> _Patch:
    ours = our_head()
    taken = np.flatnonzero(chosen)
    ids, index = np.unique(ours.faces[taken], return_inverse=True)
    return _Patch(ids, index.reshape(-1, 3), taken)


def _following(head: ImportedHead, points: Float, soft: np.ndarray) -> tuple[sp.csr_matrix, Float]:
    """Matrix `[N,V]` of each point's nearest vertices, and how far it follows them `[N]`: 1 at the lips, then fading;
    0 for what is not soft."""
    lips = head.vertices_of("lips", "upper_lip", "lower_lip")
    if not len(lips):
        lips = np.unique(head.landmarks[0][48:]) if head.landmarks else lips
    count = min(4, len(lips))
    distance, nearest = KDTree(head.vertices[lips]).query(points, k=count)
    distance, nearest = distance.reshape(-1, count), nearest.reshape(-1, count)
    weight = 1 / (distance + 1e-4)
    weight /= weight.sum(1, keepdims=True)
    rows = np.repeat(np.arange(len(points)), count)
    matrix = sp.csr_matrix((weight.ravel(), (rows, lips[nearest.ravel()])), shape=(len(points), len(head.vertices)))
    return matrix, np.exp(-((distance[:, 0] / RIM) ** 2)) * soft


def _carrying(landmarks: Float, points: Float) -> Float:
    """Matrix `[N,68]` that takes displacements of the landmarks to points `[N,3]`: the best affine motion's, held
    towards a mere shift where the landmarks hardly tell (they are nearly a sheet)."""
    centre = LANDMARK_WEIGHT @ landmarks / LANDMARK_WEIGHT.sum()
    spread = np.sqrt((LANDMARK_WEIGHT @ (landmarks - centre) ** 2).sum() / LANDMARK_WEIGHT.sum())

    def terms(x: Float) -> Float:
        return np.column_stack([np.ones(len(x)), (x - centre) / spread])

    a = terms(landmarks)
    normal = a.T @ (LANDMARK_WEIGHT[:, None] * a) + np.diag([0, 1, 1, 1]) * 0.05 * LANDMARK_WEIGHT.sum()
    return terms(points) @ np.linalg.solve(normal, a.T * LANDMARK_WEIGHT)


def _carried(head: ImportedHead, points: Float) -> Float:
    """What identity does to points `[N,3]` that no vertex of the head holds: `[I,N,3]`."""
    assert head.landmarks is not None
    corners, bary = head.landmarks
    on_landmarks = np.einsum("lc,klcd->kld", bary, head.identity[:, corners])
    return np.einsum("nl,kld->knd", _carrying(head.landmark_points(), points), on_landmarks)


def _joints(head: ImportedHead, patch: _Patch, place: Placement, follow: sp.csr_matrix, hold: Float) -> list[Joint]:
    """The head's joints, carrying the patch too, and ours that it lacks: the tongue's if there is a jaw, the eyes' if
    they are ours. `follow` and `hold` as of `_following`: the rim goes where the lips go."""
    assert head.landmarks is not None
    ours = our_head().model
    fine = (ours.subdivision @ ours.skinning_weights).double().numpy()[patch.ids]
    column = {name: fine[:, 1 + index] for index, name in enumerate(ours.joint_names)}
    skull = np.array([joint.weights[head.landmarks[0][list(SKULL_POINTS), 0]].mean() for joint in head.joints])
    jaw = head.joint_index("jaw")
    if jaw >= 0:  # a trace of the jaw in the skin there is no motion of the skull
        skull *= skull.sum() / max(skull.sum() - skull[jaw], 1e-9)
        skull[jaw] = 0
    new = [name for name in ("tongue", *EYES) if head.joint_index(name) < 0 and column[name].any()]
    new = [name for name in new if name != "tongue" or jaw >= 0]
    lower = column["jaw"] + (0 if "tongue" in new else column["tongue"]) if jaw >= 0 else np.zeros(len(fine))
    free = 1 - lower - sum((column[name] for name in new), np.zeros(len(fine)))
    joints = []
    for index, joint in enumerate(head.joints):
        share = skull[index] * free + (lower if index == jaw else 0)
        share = hold * (follow @ joint.weights) + (1 - hold) * share
        joints.append(replace(joint, weights=np.concatenate([joint.weights, share])))
    bearer = int(skull.argmax()) if skull.max(initial=0) > 0.5 else -1
    for name in new:
        pivot = place.rigid(ours.pivots[ours.joint_names.index(name)].double().numpy()[None], NEAR.get(name, LIPS))
        weights = np.concatenate([np.zeros(len(head.vertices)), (1 - hold) * column[name]])
        parent = jaw if name == "tongue" else bearer
        joints.append(Joint(name, parent, pivot[0], _carried(head, pivot)[:, 0], weights))
    return joints


def _uvs(head: ImportedHead, patch: _Patch) -> Float | None:
    """The head's texture layout and ours side by side; None where the head has none."""
    if head.corner_uvs is None:
        return None
    ours = our_head().model
    mine = ours.uvs.double().numpy()[ours.faces_uv.long().numpy()[patch.taken]]
    both = np.concatenate([head.corner_uvs, mine])
    return pack(both, np.repeat([0, 1], [len(head.corner_uvs), len(mine)]))

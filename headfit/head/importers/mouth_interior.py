"""The default head's mouth interior, and its eyes, for heads that have none.

Teeth, gums and tongue are placed by a similarity transform, so they keep their shape; the cavity is bent so that its
rim meets the lips. All of it follows the head it is added to: identity moves it as it moves the landmarks, the rim of
the cavity goes where units, pose correctives and joints take the lips, and the jaw joint carries the lower half.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sp
from scipy.spatial import KDTree

from headfit.head.importers.imported import ImportedHead, Joint
from headfit.head.importers.transfer import LANDMARK_WEIGHT, Placement, our_head
from headfit.head.importers.uv_layout import pack
from headfit.types import Bool, Float, Int

MOUTH = ("mouth_cavity", "upper_teeth", "upper_gums", "lower_teeth", "lower_gums", "tongue")
EYES = ("left_eye", "right_eye")
#: Landmarks by which rigid parts are placed: those of its lids for an eye, those of the lips for everything else.
NEAR = {"left_eye": slice(42, 48), "right_eye": slice(36, 42)}
LIPS = slice(48, 68)
#: Distance (metres) over which the cavity stops following the lips.
RIM_WIDTH = 0.008
#: Landmarks that move with the skull only: the bridge of the nose and the corners of the eyes.
SKULL_POINTS = (27, 28, 36, 39, 42, 45)


@dataclass
class _Patch:
    """Some faces of the default head as a mesh of its own: vertices `ids [N]` of the default head, `faces [F,3]` into
    them, and the indices `taken [F]` of the faces in the default head."""

    ids: Int
    faces: Int
    taken: Int


def attach(head: ImportedHead) -> ImportedHead:
    """The head with the default head's mouth interior, and with its eyes too if no face is labelled as an eye.

    Raises ValueError if the head's landmarks are unknown.
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


def _cut(chosen: Bool) -> _Patch:
    """The chosen faces (mask `[F]`) of the default head."""
    ours = our_head()
    taken = np.flatnonzero(chosen)
    ids, index = np.unique(ours.faces[taken], return_inverse=True)
    return _Patch(ids, index.reshape(-1, 3), taken)


def _following(head: ImportedHead, points: Float, soft: Bool) -> tuple[sp.csr_matrix, Float]:
    """How points follow the lips: a matrix `[N,V]` that averages the lip vertices nearest to each point, and weights
    `[N]`, 1 at the lips and fading with distance; 0 for points that are not soft."""
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
    return matrix, np.exp(-((distance[:, 0] / RIM_WIDTH) ** 2)) * soft


def _carrying(landmarks: Float, points: Float) -> Float:
    """Matrix `[N,68]` from displacements of the landmarks to those of points `[N,3]`: the best affine motion,
    regularised towards a translation, since the landmarks nearly lie on a sheet and leave its depth undetermined."""
    centre = LANDMARK_WEIGHT @ landmarks / LANDMARK_WEIGHT.sum()
    spread = np.sqrt((LANDMARK_WEIGHT @ (landmarks - centre) ** 2).sum() / LANDMARK_WEIGHT.sum())

    def terms(x: Float) -> Float:
        return np.column_stack([np.ones(len(x)), (x - centre) / spread])

    a = terms(landmarks)
    normal = a.T @ (LANDMARK_WEIGHT[:, None] * a) + np.diag([0, 1, 1, 1]) * 0.05 * LANDMARK_WEIGHT.sum()
    return terms(points) @ np.linalg.solve(normal, a.T * LANDMARK_WEIGHT)


def _carried(head: ImportedHead, points: Float) -> Float:
    """Displacements `[I,N,3]` by identity of points `[N,3]` that are not attached to vertices of the head."""
    assert head.landmarks is not None
    corners, bary = head.landmarks
    on_landmarks = np.einsum("lc,klcd->kld", bary, head.identity[:, corners])
    return np.einsum("nl,kld->knd", _carrying(head.landmark_points(), points), on_landmarks)


def _joints(head: ImportedHead, patch: _Patch, place: Placement, follow: sp.csr_matrix, hold: Float) -> list[Joint]:
    """The head's joints, extended to the patch, and those it lacks: the tongue if there is a jaw, the eyes if they are
    the default head's. `follow` and `hold` come from `_following`: the rim goes where the lips go."""
    assert head.landmarks is not None
    ours = our_head().model
    fine = (ours.subdivision @ ours.skinning_weights).double().numpy()[patch.ids]
    column = {name: fine[:, 1 + index] for index, name in enumerate(ours.joint_names)}
    skull = np.array([joint.weights[head.landmarks[0][list(SKULL_POINTS), 0]].mean() for joint in head.joints])
    jaw = head.joint_index("jaw")
    if jaw >= 0:  # the jaw's small weights at these landmarks are not motion of the skull
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
    carrier = int(skull.argmax()) if skull.max(initial=0) > 0.5 else -1
    for name in new:
        pivot = place.rigid(ours.pivots[ours.joint_names.index(name)].double().numpy()[None], NEAR.get(name, LIPS))
        weights = np.concatenate([np.zeros(len(head.vertices)), (1 - hold) * column[name]])
        parent = jaw if name == "tongue" else carrier
        joints.append(Joint(name, parent, pivot[0], _carried(head, pivot)[:, 0], weights))
    return joints


def _uvs(head: ImportedHead, patch: _Patch) -> Float | None:
    """Corner UVs of the head and of the patch, packed side by side; None if the head has no UVs."""
    if head.corner_uvs is None:
        return None
    ours = our_head().model
    mine = ours.uvs.double().numpy()[ours.faces_uv.long().numpy()[patch.taken]]
    both = np.concatenate([head.corner_uvs, mine])
    return pack(both, np.repeat([0, 1], [len(head.corner_uvs), len(mine)]))

"""Our default head laid over another one: where its landmarks, labels and mouth would lie there."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from scipy.interpolate import RBFInterpolator
from scipy.spatial import KDTree
from scipy.spatial.transform import Rotation

from headfit.assets import asset_path
from headfit.head.adapters.imported import Float, ImportedHead, Int, Text
from headfit.head.arrays import Arrays
from headfit.head.model import HeadModel
from headfit.head.similarity import similarity

#: Weights of the landmarks: the jaw line (0-16) is a vague place, the mouth (48-67) is where things are attached.
LANDMARK_WEIGHT = np.r_[np.full(17, 0.1), np.ones(31), np.full(20, 2.0)]
#: Metres; landmarks that the warp misses by this much cost as much as bending it does.
SMOOTHING = 1e-3
#: Closest points farther apart than this (metres), or with normals less alike than this, are not matched.
REACH, ALIKE = 0.015, 0.5
#: What one standard deviation of identity costs, in squared metres of every point, in the first round and at last.
PRIOR = 1e-6, 1e-8
ROUNDS = 25
#: With fewer matches than this there is nothing to go by.
FEWEST = 50


@dataclass(frozen=True)
class OurHead:
    """The default head at rest: fine vertices `[V,3]`, faces, their labels and parts, landmarks, identity basis."""

    arrays: Arrays
    model: HeadModel
    vertices: Float
    faces: Int
    labels: Text
    parts: Text

    @property
    def landmarks(self) -> Float:
        corners = self.vertices[self.faces[self.model.landmark_faces.numpy()]]
        return np.einsum("lc,lcd->ld", self.model.landmark_bary.double().numpy(), corners)

    def eye_centres(self) -> Float:
        """Left and right `[2,3]`."""
        names = self.model.rigid_part_names
        return self.model.part_centres.double().numpy()[[names.index("left_eye"), names.index("right_eye")]]


@cache
def our_head() -> OurHead:
    """The default head, read once."""
    with np.load(asset_path("models/default/head.npz"), allow_pickle=False) as archive:
        arrays = {key: archive[key] for key in archive.files}
    model = HeadModel(arrays)
    rest = (
        torch.zeros(len(model.identity_basis)),
        torch.zeros(1, len(model.expression_names)),
        torch.zeros(1, len(model.joint_names), 6),
    )
    return OurHead(
        arrays=arrays,
        model=model,
        vertices=model(*rest)[0].double().numpy(),
        faces=model.faces.long().numpy(),
        labels=np.array(model.label_names)[model.face_labels.numpy()],
        parts=np.array(model.part_names)[model.face_parts.numpy()],
    )


class Placement:
    """Takes points of our default head `[N,3]` to another head, by the landmarks both have.

    `rigid` is a similarity, shifted so that given landmarks agree on average; `bend` adds to the similarity what it
    leaves at all landmarks, fading with distance.
    """

    def __init__(self, landmarks: Float) -> None:
        ours = our_head().landmarks
        self.scale, self.rotation, self.shift = similarity(ours, landmarks, LANDMARK_WEIGHT)
        there = self._similar(ours)
        self._left = landmarks - there
        self._rest = RBFInterpolator(there, self._left, kernel="linear", degree=0, smoothing=SMOOTHING)

    def _similar(self, points: Float) -> Float:
        return self.scale * points @ self.rotation.T + self.shift

    def rigid(self, points: Float, near: slice) -> Float:
        return self._similar(points) + self._left[near].mean(0)

    def bend(self, points: Float) -> Float:
        there = self._similar(points)
        return there + self._rest(there)


def transfer_labels(head: ImportedHead) -> Text:
    """Labels `[F]` in which the head's bare skin takes the finer names (lips, nose, ears, ...) of our default head's
    nearest skin. A name that the head uses itself is left to it. Unchanged where its landmarks are unknown."""
    labels = head.labels.astype("<U16")
    bare = np.flatnonzero(labels == "skin")
    if head.landmarks is None or not len(bare):
        return labels
    ours = our_head()
    mine = ours.parts == "skin"
    centres = Placement(head.landmark_points()).bend(ours.vertices)[ours.faces[mine]].mean(1)
    nearest = KDTree(centres).query(head.vertices[head.faces[bare]].mean(1))[1]
    found = ours.labels[mine][nearest]
    named = set(labels.tolist()) | ({"upper_lip", "lower_lip"} if "lips" in labels else set())
    labels[bare] = np.where(np.isin(found, sorted(named)), "skin", found)
    return labels


def find_landmarks(head: ImportedHead) -> tuple[Int, Float]:
    """The 68 landmarks, to the nearest vertex, of a head whose labels name both eyes: where our default head has them
    when it is laid over the other one's skin."""
    ours = our_head()
    skin = head.faces[head.labels == "skin"]
    corners = _laid_over(head, skin)[ours.faces[ours.model.landmark_faces.numpy()]]
    found = np.einsum("lc,lcd->ld", ours.model.landmark_bary.double().numpy(), corners)
    candidates = np.unique(skin)
    vertex = candidates[KDTree(head.vertices[candidates]).query(found)[1]]
    return np.repeat(vertex[:, None], 3, 1), np.tile([1.0, 0.0, 0.0], (len(vertex), 1))


def _laid_over(head: ImportedHead, skin: Int) -> Float:
    """Our vertices `[V,3]`, scaled and placed by the eyes, then moved to the skin `[F,3]` of the head by closest points
    (Besl & McKay 1992; distance to the plane), through identity, turn, shift and scale together."""
    ours = our_head()
    eyes = np.stack([_middle(head.vertices[head.vertices_of(name)]) for name in ("left_eye", "right_eye")])
    our_eyes = ours.eye_centres()
    scale = float(np.linalg.norm(eyes[0] - eyes[1]) / np.linalg.norm(our_eyes[0] - our_eyes[1]))
    sample = _face_sample(ours)
    targets, target_normals = _surface_points(head.vertices, skin)
    tree = KDTree(targets)
    # How the fine vertices move, metres of our frame per standard deviation; there = scale * turned @ here + shift.
    basis = np.stack([(ours.model.subdivision @ b).numpy() for b in ours.model.identity_basis])
    flat = basis.reshape(len(basis), -1)
    coefficients, turned = np.zeros(len(basis)), np.eye(3)
    shift = eyes.mean(0) - scale * our_eyes.mean(0)

    def moved() -> Float:
        return ours.vertices + (coefficients.astype(np.float32) @ flat).reshape(-1, 3)

    for number in range(ROUNDS):
        shape = moved()
        here, normals = scale * shape[sample] @ turned.T + shift, _normals(shape, ours.faces)[sample] @ turned.T
        distance, nearest = tree.query(here)
        good = (distance < REACH * scale) & ((normals * target_normals[nearest]).sum(1) > ALIKE)
        if good.sum() < FEWEST:
            break
        here, target, normal = here[good], targets[nearest[good]], target_normals[nearest[good]]
        prior = scale**2 * max(PRIOR[0] * 0.5**number, PRIOR[1])
        step, turn, push, grow = _step(
            here, target, normal, scale * basis[:, sample[good]] @ turned.T, coefficients, prior
        )
        rotation, centre = Rotation.from_rotvec(turn).as_matrix(), here.mean(0)
        coefficients = coefficients + step
        shift = (1 + grow) * rotation @ (shift - centre) + centre + push
        scale, turned = (1 + grow) * scale, rotation @ turned
    return scale * moved() @ turned.T + shift


def _step(
    here: Float, target: Float, normal: Float, basis: Float, coefficients: Float, prior: float
) -> tuple[Float, Float, Float, float]:
    """One Gauss-Newton step of the point-to-plane distance: change of coefficients, turn, shift, relative growth."""
    arm = here - here.mean(0)
    columns = np.column_stack(
        [np.einsum("kni,ni->nk", basis, normal), np.cross(arm, normal), normal, (arm * normal).sum(1)]
    )
    residual = ((target - here) * normal).sum(1)
    count = len(coefficients)
    # The prior holds the coefficients themselves near 0, not their change.
    damping = np.zeros(columns.shape[1])
    damping[:count] = prior * len(here)
    right = columns.T @ residual
    right[:count] -= damping[:count] * coefficients
    solved = np.linalg.solve(columns.T @ columns + np.diag(damping + 1e-12), right)
    return solved[:count], solved[count : count + 3], solved[count + 3 : count + 6], float(solved[-1])


def _face_sample(ours: OurHead) -> Int:
    """Every third vertex of the default head's face: what surrounds the eyes, nose and mouth, not hair, ears, neck."""
    shown = (ours.parts == "skin") & np.isin(ours.labels, ("skin", "nose", "upper_lip", "lower_lip", "brows"))
    vertices = np.unique(ours.faces[shown])
    return vertices[ours.vertices[vertices, 2] > 0.0][::3]


def _middle(points: Float) -> Float:
    return (points.min(0) + points.max(0)) / 2


def _normals(vertices: Float, faces: Int) -> Float:
    corners = vertices[faces]
    face_normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normal = np.zeros_like(vertices)
    for corner in range(3):
        np.add.at(normal, faces[:, corner], face_normal)
    return normal / np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-20)


def _surface_points(vertices: Float, faces: Int) -> tuple[Float, Float]:
    """Points spread over a mesh, seven per face, with normals interpolated: closest points slide less between them."""
    weights = np.array([[1, 1, 1], [4, 1, 1], [1, 4, 1], [1, 1, 4], [0, 1, 1], [1, 0, 1], [1, 1, 0]], dtype=float)
    weights /= weights.sum(1, keepdims=True)
    normals = _normals(vertices, faces)[faces]
    points = np.einsum("wc,fcd->fwd", weights, vertices[faces]).reshape(-1, 3)
    blended = np.einsum("wc,fcd->fwd", weights, normals).reshape(-1, 3)
    return points, blended / np.maximum(np.linalg.norm(blended, axis=1, keepdims=True), 1e-20)

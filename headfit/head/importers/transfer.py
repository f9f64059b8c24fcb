"""Transfer of landmarks, labels and parts from the default head to an imported one."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from scipy.interpolate import RBFInterpolator
from scipy.spatial import KDTree
from scipy.spatial.transform import Rotation

from headfit.assets import asset_path
from headfit.head.importers.imported import ImportedHead
from headfit.head.mesh_geometry import vertex_normals
from headfit.head.model import HeadModel
from headfit.head.similarity import similarity
from headfit.types import Float, Int, Text

#: Weights of the landmarks: the jaw line (0-16) is poorly defined; parts are attached at the mouth (48-67).
LANDMARK_WEIGHT = np.r_[np.full(17, 0.1), np.ones(31), np.full(20, 2.0)]
#: Smoothing (metres) of the landmark warp: larger values let it miss the landmarks to bend less.
SMOOTHING = 1e-3
#: Closest points farther apart (metres), or whose normals have a smaller cosine, are not matched.
MAX_DISTANCE, MIN_NORMAL_COSINE = 0.015, 0.5
#: Cost of one squared standard deviation of identity, in squared metres per point: in the first round, and the least.
PRIOR = 1e-6, 1e-8
ROUNDS = 25
#: Registration stops when fewer points than this are matched.
MIN_MATCHES = 50


@dataclass(frozen=True)
class OurHead:
    """The default head at rest: fine vertices `[V,3]`, faces `[F,3]`, and the names `[F]` of their labels and parts."""

    model: HeadModel
    vertices: Float
    faces: Int
    labels: Text
    parts: Text

    @property
    def landmarks(self) -> Float:
        """`[68,3]` metres."""
        return self.landmarks_on(self.vertices)

    def landmarks_on(self, vertices: Float) -> Float:
        """Landmarks `[68,3]` of the default head with its vertices `[V,3]` moved."""
        return self.model.landmarks(torch.from_numpy(vertices)).numpy()

    def eye_centres(self) -> Float:
        """Centres of the left and the right eye, `[2,3]` metres."""
        names = self.model.rigid_part_names
        return self.model.part_centres.double().numpy()[[names.index("left_eye"), names.index("right_eye")]]


@cache
def our_head() -> OurHead:
    """The default head, read once."""
    with np.load(asset_path("models/default/head.npz"), allow_pickle=False) as archive:
        arrays = {key: archive[key] for key in archive.files}
    model = HeadModel(arrays)
    return OurHead(
        model=model,
        vertices=model.rest().double().numpy(),
        faces=model.faces.long().numpy(),
        labels=np.array(model.label_names)[model.face_labels.numpy()],
        parts=np.array(model.part_names)[model.face_parts.numpy()],
    )


class Placement:
    """Maps points `[N,3]` of the default head to another head, by the landmarks `[68,3]` that both have.

    `rigid` is a similarity transform, shifted so that the landmarks `near` agree on average. `bend` adds to the
    similarity an interpolation of what it leaves at the landmarks.
    """

    def __init__(self, landmarks: Float) -> None:
        ours = our_head().landmarks
        self.scale, self.rotation, self.shift = similarity(ours, landmarks, LANDMARK_WEIGHT)
        there = self._similar(ours)
        self._residual = landmarks - there
        self._warp = RBFInterpolator(there, self._residual, kernel="linear", degree=0, smoothing=SMOOTHING)

    def _similar(self, points: Float) -> Float:
        return self.scale * points @ self.rotation.T + self.shift

    def rigid(self, points: Float, near: slice) -> Float:
        return self._similar(points) + self._residual[near].mean(0)

    def bend(self, points: Float) -> Float:
        there = self._similar(points)
        return there + self._warp(there)


def transfer_labels(head: ImportedHead) -> Text:
    """Labels `[F]` in which faces of plain skin take the finer label (lips, nose, ears, ...) of the default head's
    nearest face. Labels that the head already uses are not transferred. Unchanged if its landmarks are unknown."""
    labels = head.labels.astype("<U16")
    plain = np.flatnonzero(labels == "skin")
    if head.landmarks is None or not len(plain):
        return labels
    ours = our_head()
    mine = ours.parts == "skin"
    centres = Placement(head.landmark_points()).bend(ours.vertices)[ours.faces[mine]].mean(1)
    nearest = KDTree(centres).query(head.vertices[head.faces[plain]].mean(1))[1]
    found = ours.labels[mine][nearest]
    named = set(labels.tolist()) | ({"upper_lip", "lower_lip"} if "lips" in labels else set())
    labels[plain] = np.where(np.isin(found, sorted(named)), "skin", found)
    return labels


def find_landmarks(head: ImportedHead) -> tuple[Int, Float]:
    """Landmarks (vertices `[68,3]`, weights `[68,3]`) of a head whose labels name both eyes.

    They are the vertices nearest to the landmarks of the default head after registration to the head's skin.
    """
    skin = head.faces[head.labels == "skin"]
    found = our_head().landmarks_on(_registered(head, skin))
    candidates = np.unique(skin)
    vertex = candidates[KDTree(head.vertices[candidates]).query(found)[1]]
    return np.repeat(vertex[:, None], 3, 1), np.tile([1.0, 0.0, 0.0], (len(vertex), 1))


def _registered(head: ImportedHead, skin: Int) -> Float:
    """Vertices `[V,3]` of the default head registered to the skin faces `[F,3]` of another.

    The eyes give a first scale and position; then iterated closest points (Besl & McKay 1992, with point-to-plane
    distances) solve for identity, rotation, translation and scale together.
    """
    ours = our_head()
    eyes = np.stack([_box_centre(head.vertices[head.vertices_of(name)]) for name in ("left_eye", "right_eye")])
    our_eyes = ours.eye_centres()
    scale = float(np.linalg.norm(eyes[0] - eyes[1]) / np.linalg.norm(our_eyes[0] - our_eyes[1]))
    sample = _face_sample(ours)
    targets, target_normals = _surface_points(head.vertices, skin)
    tree = KDTree(targets)
    # Displacements of the fine vertices, metres of the default head per standard deviation of identity;
    # a point x of the default head goes to scale * rotation @ x + shift.
    basis = np.stack([(ours.model.subdivision @ b).numpy() for b in ours.model.identity_basis])
    flat = basis.reshape(len(basis), -1)
    coefficients, rotation = np.zeros(len(basis)), np.eye(3)
    shift = eyes.mean(0) - scale * our_eyes.mean(0)

    def moved() -> Float:
        return ours.vertices + (coefficients.astype(np.float32) @ flat).reshape(-1, 3)

    for number in range(ROUNDS):
        shape = moved()
        here = scale * shape[sample] @ rotation.T + shift
        normals = vertex_normals(shape, ours.faces)[sample] @ rotation.T
        distance, nearest = tree.query(here)
        good = (distance < MAX_DISTANCE * scale) & ((normals * target_normals[nearest]).sum(1) > MIN_NORMAL_COSINE)
        if good.sum() < MIN_MATCHES:
            break
        here, target, normal = here[good], targets[nearest[good]], target_normals[nearest[good]]
        prior = scale**2 * max(PRIOR[0] * 0.5**number, PRIOR[1])
        step, turn_vector, push, grow = _step(
            here, target, normal, scale * basis[:, sample[good]] @ rotation.T, coefficients, prior
        )
        turn, centre = Rotation.from_rotvec(turn_vector).as_matrix(), here.mean(0)
        coefficients = coefficients + step
        shift = (1 + grow) * turn @ (shift - centre) + centre + push
        scale, rotation = (1 + grow) * scale, turn @ rotation
    return scale * moved() @ rotation.T + shift


def _step(
    here: Float, target: Float, normal: Float, basis: Float, coefficients: Float, prior: float
) -> tuple[Float, Float, Float, float]:
    """One Gauss-Newton step of the point-to-plane distance.

    Args:
        here: points `[N,3]` of the moving surface.
        target: the points `[N,3]` they are matched to.
        normal: unit normals `[N,3]` of the target.
        basis: displacements `[I,N,3]` of `here` per identity coefficient.
        coefficients: current coefficients `[I]`.
        prior: cost of a squared coefficient, squared metres per point.

    Returns:
        Changes of the coefficients `[I]`, rotation vector `[3]` and translation `[3]` about the centroid of `here`, and
        relative change of scale.
    """
    arm = here - here.mean(0)
    columns = np.column_stack(
        [np.einsum("kni,ni->nk", basis, normal), np.cross(arm, normal), normal, (arm * normal).sum(1)]
    )
    residual = ((target - here) * normal).sum(1)
    count = len(coefficients)
    # The prior penalises the coefficients themselves, not their change.
    damping = np.zeros(columns.shape[1])
    damping[:count] = prior * len(here)
    right = columns.T @ residual
    right[:count] -= damping[:count] * coefficients
    solved = np.linalg.solve(columns.T @ columns + np.diag(damping + 1e-12), right)
    return solved[:count], solved[count : count + 3], solved[count + 3 : count + 6], float(solved[-1])


def _face_sample(ours: OurHead) -> Int:
    """Every third vertex of the default head's face: around the eyes, nose and mouth, without hair, ears and neck."""
    shown = (ours.parts == "skin") & np.isin(ours.labels, ("skin", "nose", "upper_lip", "lower_lip", "brows"))
    vertices = np.unique(ours.faces[shown])
    return vertices[ours.vertices[vertices, 2] > 0.0][::3]


def _box_centre(points: Float) -> Float:
    return (points.min(0) + points.max(0)) / 2


def _surface_points(vertices: Float, faces: Int) -> tuple[Float, Float]:
    """Points `[7F,3]` spread over a mesh, seven per face, and their interpolated unit normals `[7F,3]`.

    Closest points among these slide along the surface less than closest vertices do.
    """
    weights = np.array([[1, 1, 1], [4, 1, 1], [1, 4, 1], [1, 1, 4], [0, 1, 1], [1, 0, 1], [1, 1, 0]], dtype=float)
    weights /= weights.sum(1, keepdims=True)
    normals = vertex_normals(vertices, faces)[faces]
    points = np.einsum("wc,fcd->fwd", weights, vertices[faces]).reshape(-1, 3)
    blended = np.einsum("wc,fcd->fwd", weights, normals).reshape(-1, 3)
    return points, blended / np.maximum(np.linalg.norm(blended, axis=1, keepdims=True), 1e-20)

"""A head of another maker between its file and our arrays: every adapter fills one of these."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from headfit.head.adapters.atlas import layout
from headfit.head.adapters.topology import face_components, neck_loop

Float = NDArray[np.float64]
Int = NDArray[np.int64]
Text = NDArray[np.str_]

#: Labels whose pieces are solids: they take a placement of their own in a fit and no free offsets.
SOLIDS = ("upper_teeth", "lower_teeth", "teeth", "left_eye", "right_eye", "tongue")
#: Labels of surfaces behind the lips; where they belong to the skin's piece they are unrolled apart from it.
INSIDE = ("mouth_cavity", "gums", "tongue")
#: Resistance to free offsets: pictures hardly pin down what lies inside the mouth.
STIFF_LABELS = {"mouth_cavity": 10.0}
#: Value 1 of a unit that acts both ways means this many of its maker's standard deviations.
SIGMAS = 3.0


@dataclass
class Joint:
    """A joint: its `parent` by index (-1: the skull), pivot `[3]`, what identity does to it `[I,3]`, how far it moves
    each vertex `[V]`, in [0,1], and what expression does to the pivot `[E,3]` (None: nothing)."""

    name: str
    parent: int
    pivot: Float
    pivot_basis: Float
    weights: Float
    pivot_expression: Float | None = None


@dataclass
class ImportedHead:
    """Metres, x the subject's left, y up, z front; vertices in the order of the source.

    vertices `[V,3]`, faces `[F,3]`, labels `[F]` native label names, corner_uvs `[F,3,2]` or None,
    identity `[I,V,3]` per standard deviation, expression `[E,V,3]` at full activation, with names `units` and `lowest`
    `[E]` (0, or -1 for a unit that acts both ways), joints (parents first), pose_correctives `[9 J,V,3]` or None,
    landmarks: vertices `[68,3]` of the triangles and barycentric weights `[68,3]`, or None.
    """

    vertices: Float
    faces: Int
    labels: Text
    corner_uvs: Float | None = None
    identity: Float = field(default_factory=lambda: np.zeros((0, 0, 3)))
    expression: Float = field(default_factory=lambda: np.zeros((0, 0, 3)))
    units: list[str] = field(default_factory=list)
    lowest: Float = field(default_factory=lambda: np.zeros(0))
    joints: list[Joint] = field(default_factory=list)
    pose_correctives: Float | None = None
    landmarks: tuple[Int, Float] | None = None

    def __post_init__(self) -> None:
        self.identity = self.identity.reshape(-1, len(self.vertices), 3)
        self.expression = self.expression.reshape(-1, len(self.vertices), 3)

    def vertices_of(self, *labels: str) -> Int:
        """Vertices of the faces with these labels, ascending."""
        return np.unique(self.faces[np.isin(self.labels, labels)])

    def joint_index(self, name: str) -> int:
        """Index of a joint; -1, the skull, where there is none of that name."""
        return next((index for index, joint in enumerate(self.joints) if joint.name == name), -1)

    def landmark_points(self) -> Float:
        """The 68 landmarks at rest `[68,3]`; ValueError where they are unknown."""
        if self.landmarks is None:
            raise ValueError("the landmarks of this head are unknown")
        corners, bary = self.landmarks
        return np.einsum("lc,lcd->ld", bary, self.vertices[corners])

    def arrays(self) -> dict[str, np.ndarray]:
        """The arrays of a HeadModel whose cage is the mesh itself."""
        count = len(self.vertices)
        label_names = ["skin", *sorted(set(self.labels.tolist()) - {"skin"})]
        parts, part_names = self._parts()
        rigid, rigid_names = self._rigid_parts(parts, part_names)
        members = [rigid == part for part in range(len(rigid_names))]
        inside = np.isin(self.labels, INSIDE) & (parts == part_names.index("skin") if "skin" in part_names else False)
        uvs, faces_uv = layout(self.vertices, self.faces, 2 * parts + inside, self.corner_uvs)
        eye = sp.identity(count, format="csr")
        weights = np.stack([joint.weights for joint in self.joints], 1) if self.joints else np.zeros((count, 0))
        result = {
            "mean": self.vertices,
            "identity_basis": self.identity,
            "expression_basis": self.expression,
            "expression_lowest": self.lowest,
            "skinning_weights": np.column_stack([1 - weights.sum(1), weights]),
            "pivots": np.array([joint.pivot for joint in self.joints]).reshape(-1, 3),
            "pivot_basis": np.stack([joint.pivot_basis for joint in self.joints], 1)
            if self.joints
            else np.zeros((len(self.identity), 0, 3)),
            "joint_parents": np.array([joint.parent for joint in self.joints], dtype=np.int64),
            "part_centres": np.array([self.vertices[m].mean(0) for m in members]).reshape(-1, 3),
            "part_centre_basis": np.stack([self.identity[:, m].mean(1) for m in members], 1)
            if members
            else np.zeros((len(self.identity), 0, 3)),
            "cage_rigid_part": rigid,
            "cage_stiffness": self._stiffness(),
            "cage_faces": self.faces,
            "subdivision_data": eye.data,
            "subdivision_indices": eye.indices,
            "subdivision_indptr": eye.indptr,
            "faces": self.faces,
            "faces_uv": faces_uv,
            "uvs": uvs,
            "face_labels": np.array([label_names.index(label) for label in self.labels], dtype=np.int64),
            "face_parts": parts,
            "neck_loop": neck_loop(self.vertices, self.faces),
            "label_names": np.array(label_names),
            "part_names": np.array(part_names),
            "joint_names": np.array([joint.name for joint in self.joints], dtype=np.str_),
            "expression_names": np.array(self.units, dtype=np.str_),
            "rigid_part_names": np.array(rigid_names, dtype=np.str_),
        }
        moved = [joint.pivot_expression for joint in self.joints]
        if any(basis is not None for basis in moved):
            still = np.zeros((len(self.units), 3))
            result["pivot_expression_basis"] = np.stack([still if b is None else b for b in moved], 1)
        if self.pose_correctives is not None:
            result["pose_correctives"] = self.pose_correctives
        return result | self._landmark_arrays()

    def _parts(self) -> tuple[Int, list[str]]:
        """Part of each face and the parts' names: connected pieces, under the name of their commonest label."""
        piece = face_components(self.faces, len(self.vertices))
        names, index = np.unique(self.labels, return_inverse=True)
        votes = np.zeros((piece.max() + 1, len(names)), np.int64)
        np.add.at(votes, (piece, index), 1)
        commonest = names[votes.argmax(1)]
        commonest[np.bincount(piece).argmax()] = "skin"
        part_names, of_piece = np.unique(commonest, return_inverse=True)
        return of_piece[piece], part_names.tolist()

    def _rigid_parts(self, parts: Int, part_names: list[str]) -> tuple[Int, list[str]]:
        """Rigid part of each vertex (-1: none) and their names; gums belong to the teeth that are nearer in height."""
        names = [name for name in SOLIDS if name in part_names]
        rigid = np.full(len(self.vertices), -1)
        for index, name in enumerate(names):
            rigid[self.faces[parts == part_names.index(name)]] = index
        teeth = [name for name in ("upper_teeth", "lower_teeth") if name in names]
        if teeth and "gums" in part_names:
            gums = self.faces[parts == part_names.index("gums")]
            piece = face_components(gums, len(self.vertices))
            heights = np.array([self.vertices[rigid == names.index(name), 1].mean() for name in teeth])
            for number in np.unique(piece):
                mine = gums[piece == number]
                nearest = np.abs(heights - self.vertices[mine, 1].mean()).argmin()
                rigid[mine] = names.index(teeth[nearest])
        return rigid, names

    def _stiffness(self) -> Float:
        stiffness = np.ones(len(self.vertices))
        for label, value in STIFF_LABELS.items():
            stiffness[self.vertices_of(label)] = value
        return stiffness

    def _landmark_arrays(self) -> dict[str, np.ndarray]:
        """Landmarks as faces and weights, from triangles of vertices that are faces, or at least share a corner."""
        if self.landmarks is None:
            return {"landmark_faces": np.zeros(0, np.int64), "landmark_bary": np.zeros((0, 3))}
        found, weights = [], []
        for corners, bary in zip(*self.landmarks, strict=True):
            held = corners[bary > 0]
            face = int(np.isin(self.faces, held).sum(1).argmax())
            weight = np.array([bary[corners == vertex].sum() for vertex in self.faces[face]])
            found.append(face)
            weights.append(weight / max(weight.sum(), 1e-12))
        return {"landmark_faces": np.array(found), "landmark_bary": np.array(weights)}

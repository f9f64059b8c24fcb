"""`ImportedHead`, the common form in which every importer hands over another maker's head."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import scipy.sparse as sp

from headfit.head.importers.connectivity import neck_loop
from headfit.head.importers.uv_layout import layout
from headfit.raster.topology import face_components
from headfit.types import Float, Int, Text

#: Labels whose components are rigid parts: a fit gives each a placement of its own and no free offsets.
SOLIDS = ("upper_teeth", "lower_teeth", "teeth", "left_eye", "right_eye", "tongue")
#: Labels of surfaces behind the lips; if connected to the skin they still get a texture chart of their own.
INSIDE = ("mouth_cavity", "gums", "tongue")
#: Resistance to free offsets: images constrain the inside of the mouth only weakly.
STIFF_LABELS = {"mouth_cavity": 10.0}
#: Weight 1 of a statistical unit, which acts both ways, corresponds to this many of its maker's standard deviations.
SIGMAS = 3.0
_SIDES = {"_L": "Left", "_R": "Right"}


def unit_name(name: str) -> str:
    """A unit's name with its side (the subject's) spelled out: `eyeBlink_L` becomes `eyeBlinkLeft`."""
    return name[:-2] + _SIDES[name[-2:]] if name[-2:] in _SIDES else name


@dataclass
class Joint:
    """A joint of an imported head.

    Attributes:
        name: its name.
        parent: index of the parent joint; -1 is the skull, which is fixed.
        pivot: `[3]` metres.
        pivot_basis: `[I,3]` metres per standard deviation of each identity component.
        weights: `[V]` skinning weights in [0,1].
        pivot_expression: `[E,3]` metres per unit, or None if expression does not move the pivot.
    """

    name: str
    parent: int
    pivot: Float
    pivot_basis: Float
    weights: Float
    pivot_expression: Float | None = None


@dataclass
class ImportedHead:
    """Another maker's head in our frame: metres, x the subject's left, y up, z front. Vertices keep the source's order.

    Attributes:
        vertices: `[V,3]` of the mean head.
        faces: `[F,3]`.
        labels: `[F]` native label names (headfit.capture.labels).
        corner_uvs: `[F,3,2]`, or None.
        identity: `[I,V,3]` metres per standard deviation.
        expression: `[E,V,3]` metres at full activation.
        units: names of the expression units.
        lowest: `[E]` lowest weight of each unit: 0, or -1 for a unit that acts both ways.
        joints: parents before their children.
        pose_correctives: `[9J,V,3]`, see HeadModel, or None.
        landmarks: vertices `[68,3]` of the landmarks' triangles and barycentric weights `[68,3]`, or None.
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
        """Ascending indices `[N]` of the vertices of faces with one of these labels."""
        return np.unique(self.faces[np.isin(self.labels, labels)])

    def joint_index(self, name: str) -> int:
        """Index of a joint, or -1 (the skull) if there is none of that name."""
        return next((index for index, joint in enumerate(self.joints) if joint.name == name), -1)

    def landmark_points(self) -> Float:
        """The landmarks of the mean head, `[68,3]` metres; ValueError if they are unknown."""
        if self.landmarks is None:
            raise ValueError("the landmarks of this head are unknown")
        corners, bary = self.landmarks
        return np.einsum("lc,lcd->ld", bary, self.vertices[corners])

    def arrays(self) -> dict[str, np.ndarray]:
        """The arrays of a HeadModel (headfit.head.arrays) whose cage is the mesh itself."""
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
        """Part of each face `[F]` and the parts' names: connected components, named after their most common label."""
        component = face_components(self.faces)
        names, index = np.unique(self.labels, return_inverse=True)
        votes = np.zeros((component.max() + 1, len(names)), np.int64)
        np.add.at(votes, (component, index), 1)
        most_common = names[votes.argmax(1)]
        most_common[np.bincount(component).argmax()] = "skin"
        part_names, of_component = np.unique(most_common, return_inverse=True)
        return of_component[component], part_names.tolist()

    def _rigid_parts(self, parts: Int, part_names: list[str]) -> tuple[Int, list[str]]:
        """Rigid part of each vertex `[V]` (-1: none) and the parts' names; gums go with the teeth nearer in height."""
        names = [name for name in SOLIDS if name in part_names]
        rigid = np.full(len(self.vertices), -1)
        for index, name in enumerate(names):
            rigid[self.faces[parts == part_names.index(name)]] = index
        teeth = [name for name in ("upper_teeth", "lower_teeth") if name in names]
        if teeth and "gums" in part_names:
            gums = self.faces[parts == part_names.index("gums")]
            component = face_components(gums)
            heights = np.array([self.vertices[rigid == names.index(name), 1].mean() for name in teeth])
            for number in np.unique(component):
                mine = gums[component == number]
                nearest = np.abs(heights - self.vertices[mine, 1].mean()).argmin()
                rigid[mine] = names.index(teeth[nearest])
        return rigid, names

    def _stiffness(self) -> Float:
        stiffness = np.ones(len(self.vertices))
        for label, value in STIFF_LABELS.items():
            stiffness[self.vertices_of(label)] = value
        return stiffness

    def _landmark_arrays(self) -> dict[str, np.ndarray]:
        """Landmarks as faces and weights: each goes to the face that holds most of its vertices of non-zero weight."""
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

"""The head model: a differentiable function from parameters to vertices.

Frame: metres, x the subject's left, y up, z front, origin inside the skull. The model works on a *cage* (control mesh):
identity, expression, free offsets and skinning move its Vc vertices, and one constant sparse matrix maps them to the
V vertices of the fine mesh (Catmull-Clark for skin, cavity and tongue; the identity matrix for teeth, gums and eyes).
"""

import difflib
import hashlib
from collections.abc import Mapping, Sequence

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor, nn

from headfit.capture.labels import LABELS
from headfit.errors import HeadfitError
from headfit.head.arrays import DENSE_LANDMARKS, FLOATS, INDICES, NAMES, OPTIONAL_FLOATS, OPTIONAL_INDICES
from headfit.head.rotation import axis_angle_to_matrix
from headfit.head.sparse import SparseMatrix

#: Buffers that are no part of the fingerprint: they follow from others, or change no vertex.
NOT_IN_FINGERPRINT = ("rigid_vertices", "part_of_rigid", *DENSE_LANDMARKS)


class HeadModel(nn.Module):
    """A head model made of buffers only: nothing is trainable, and nothing is stored in checkpoints, since the model is
    rebuilt from its file. A head may have no identity components, expression units, joints or rigid parts.

    Attributes:
        faces: `[F,3]` of the fine mesh.
        faces_uv: `[F,3]` into `uvs [T,2]` (u right, v up, in [0,1]).
        face_labels: `[F]` into `label_names`.
        face_parts: `[F]` into `part_names`.
        neck_loop: `[N]` fine vertices around the open neck, in order; empty for a closed head.
        landmark_faces: `[68]`, with barycentric weights `landmark_bary [68,3]`, in iBUG order (point 0 on the subject's
            right); empty if the landmarks are unknown.
        dense_landmark_numbers: `[D]`, which of MediaPipe's 478 landmarks are known, with dense_landmark_faces `[D]`,
            dense_landmark_bary `[D,3]` and dense_landmark_spread `[D]`: how far (metres) a detector's points were from
            that place of the surface when it was derived. Empty if they are unknown.
        mean: `[Vc,3]` cage vertices of the mean head, metres.
        cage_faces: `[Fc,3]`.
        cage_stiffness: `[Vc]` relative resistance to free offsets.
        cage_rigid_part: `[Vc]` into `rigid_part_names`, or -1; rigid_vertices `[N]`: the vertices that have one, which
            is part_of_rigid `[N]`.
        identity_basis: `[I,Vc,3]` metres per standard deviation.
        expression_basis: `[E,Vc,3]` metres at full activation; units are named in `expression_names` (ARKit names in
            the default head).
        expression_lowest: `[E]` lowest weight: 0, or -1 for a unit that acts both ways.
        combination_basis: `[C,Vc,3]` metres per product of the weights of the two units `combination_units [C,2]`
            (the same unit twice: a path that is not straight).
        skinning_weights: `[Vc,1+J]`, column 0 for the skull; joints are named in `joint_names`.
        pivots: `[J,3]` metres, moved by `pivot_basis [I,J,3]` and `pivot_expression_basis [E,J,3]`.
        joint_lowest: `[J,6]`, with `joint_highest [J,6]` the range of each joint, radians and metres.
        pose_correctives: `[K,Vc,3]` metres per entry of (R - I) of a joint's rotation R; `corrective_entries [K]` tells
            which of the 9J entries (joint by joint, row by row). The other entries have no effect.
        part_centres: `[R,3]` metres of the rigid parts, moved by `part_centre_basis [I,R,3]`.
    """

    mean: Tensor
    identity_basis: Tensor
    expression_basis: Tensor
    skinning_weights: Tensor
    pivots: Tensor
    pivot_basis: Tensor
    part_centres: Tensor
    part_centre_basis: Tensor
    uvs: Tensor
    landmark_bary: Tensor
    dense_landmark_bary: Tensor
    dense_landmark_spread: Tensor
    cage_stiffness: Tensor
    pose_correctives: Tensor
    corrective_entries: Tensor
    expression_lowest: Tensor
    joint_lowest: Tensor
    joint_highest: Tensor
    pivot_expression_basis: Tensor
    combination_units: Tensor
    combination_basis: Tensor
    faces: Tensor
    faces_uv: Tensor
    cage_faces: Tensor
    face_labels: Tensor
    face_parts: Tensor
    landmark_faces: Tensor
    dense_landmark_numbers: Tensor
    dense_landmark_faces: Tensor
    cage_rigid_part: Tensor
    rigid_vertices: Tensor
    part_of_rigid: Tensor
    neck_loop: Tensor
    label_names: tuple[str, ...]
    part_names: tuple[str, ...]
    joint_names: tuple[str, ...]
    expression_names: tuple[str, ...]
    rigid_part_names: tuple[str, ...]

    def __init__(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Build the model from the arrays of its npz (models/default/card.md), already checked by `check_arrays`."""
        super().__init__()
        for name in (*FLOATS, *OPTIONAL_FLOATS):
            # Bases may be stored as integers times a step.
            given = arrays[name] if name in arrays else OPTIONAL_FLOATS[name](arrays)
            values = given.astype(np.float32) * np.float32(arrays.get(f"{name}_step", 1.0))
            self.register_buffer(name, torch.from_numpy(values), persistent=False)
        entries = self.pose_correctives.flatten(1).any(1).nonzero()[:, 0]
        self.register_buffer("corrective_entries", entries, persistent=False)
        self.pose_correctives = self.pose_correctives[entries]
        for name, dtype in INDICES.items():
            indices = torch.from_numpy(arrays[name].astype(np.int64)).to(dtype)
            self.register_buffer(name, indices, persistent=False)
        for name, default in OPTIONAL_INDICES.items():
            indices = torch.from_numpy((arrays[name] if name in arrays else default(arrays)).astype(np.int64))
            self.register_buffer(name, indices, persistent=False)
        rigid = self.cage_rigid_part >= 0
        self.register_buffer("rigid_vertices", rigid.nonzero()[:, 0], persistent=False)
        self.register_buffer("part_of_rigid", self.cage_rigid_part[rigid], persistent=False)
        for name in NAMES:
            setattr(self, name, tuple(str(n) for n in arrays[name]))
        self.joint_parents = tuple(int(p) for p in arrays["joint_parents"])
        csr = (arrays[f"subdivision_{part}"] for part in ("data", "indices", "indptr"))
        subdivision = sp.csr_matrix(tuple(csr), shape=(len(arrays["subdivision_indptr"]) - 1, len(arrays["mean"])))
        self._to_fine = SparseMatrix(subdivision)

    @property
    def vertex_count(self) -> int:
        """Number V of vertices of the fine mesh."""
        return self._to_fine.shape[0]

    @property
    def cage_count(self) -> int:
        """Number Vc of vertices of the cage."""
        return len(self.mean)

    @property
    def has_landmarks(self) -> bool:
        """Whether the 68 landmarks are known on this head."""
        return len(self.landmark_faces) > 0

    @property
    def fingerprint(self) -> str:
        """A hash of all arrays and names: heads with equal fingerprints are the same function."""
        digest = hashlib.sha256(repr([getattr(self, name) for name in (*NAMES, "joint_parents")]).encode())
        for name, values in sorted(self.named_buffers()):
            if name in NOT_IN_FINGERPRINT:
                continue
            digest.update(f"{name} {tuple(values.shape)}".encode())
            digest.update(values.detach().cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()

    @property
    def subdivision(self) -> Tensor:
        """The matrix `[V,Vc]` from the cage to the fine mesh, sparse CSR; rows sum to 1."""
        return self._to_fine.matrix

    def subdivided(self, table: Tensor) -> Tensor:
        """Values `[V,D]` of the fine mesh's vertices from those `[Vc,D]` of the cage's, for large D; `subdivision`
        times the table. Not differentiable."""
        return self._to_fine.times_wide(table)

    def rest(self) -> Tensor:
        """Vertices `[V,3]` of the mean head at rest, without gradients."""
        return self.pose()

    @torch.no_grad()
    def pose(
        self,
        units: Mapping[str, float] | None = None,
        joints: Mapping[str, Sequence[float]] | None = None,
        identity: Tensor | None = None,
    ) -> Tensor:
        """Vertices `[V,3]` of one head by the names of its units and joints, without gradients; see `forward`.

        Args:
            units: weights of expression units, 0 rest, 1 full; units that are not named stay at 0.
            joints: per joint 3 numbers, an axis-angle in radians, or 6, with a translation in metres after it.
            identity: `[I]` in standard deviations; the mean head if not given.

        Raises:
            HeadfitError: this head has no unit or joint of that name, or a joint got another count of numbers.
        """
        expression = self.mean.new_zeros(1, len(self.expression_names))
        for name, weight in (units or {}).items():
            expression[0, _index("expression unit", name, self.expression_names)] = weight
        transforms = self.mean.new_zeros(1, len(self.joint_names), 6)
        for name, values in (joints or {}).items():
            if len(values) not in (3, 6):
                raise HeadfitError(
                    f"joint {name}: {len(values)} numbers, expected 3 (axis-angle) or 6 (then a translation)"
                )
            row = transforms[0, _index("joint", name, self.joint_names)]
            row[: len(values)] = torch.as_tensor(values).to(row)
        if identity is None:
            identity = self.mean.new_zeros(len(self.identity_basis))
        vertices: Tensor = self(identity, expression, transforms)
        return vertices[0]

    def landmarks(self, vertices: Tensor) -> Tensor:
        """The 68 landmarks `[...,68,3]` (iBUG order) on vertices `[...,V,3]`, in their frame; differentiable.

        Raises HeadfitError for a head whose landmarks are unknown.
        """
        if not self.has_landmarks:
            raise HeadfitError(
                "the landmarks of this head model are unknown (docs/other-heads.md says how to add them)"
            )
        return self._on_faces(vertices, self.landmark_faces, self.landmark_bary)

    def dense_landmarks(self, vertices: Tensor) -> Tensor:
        """The known ones `[...,D,3]` of MediaPipe's landmarks on vertices `[...,V,3]`; differentiable."""
        return self._on_faces(vertices, self.dense_landmark_faces, self.dense_landmark_bary)

    def _on_faces(self, vertices: Tensor, faces: Tensor, bary: Tensor) -> Tensor:
        corners = vertices[..., self.faces[faces].long(), :]
        return (corners * bary[..., None]).sum(-2)

    def faces_of(self, *labels: str) -> Tensor:
        """Ascending indices `[N]` int64 into `faces` of the faces that have one of these labels.

        Not every head has every label: one that this head lacks adds no faces.
        Raises HeadfitError for a name that is not a label at all.
        """
        known = dict.fromkeys((*self.label_names, *LABELS))
        for name in labels:
            _index("label", name, tuple(known))
        wanted = [index for index, name in enumerate(self.label_names) if name in labels]
        chosen = torch.isin(self.face_labels, torch.tensor(wanted, dtype=torch.int64, device=self.face_labels.device))
        return chosen.nonzero()[:, 0]

    def vertices_of(self, *labels: str) -> Tensor:
        """Ascending indices `[N]` int64 of the vertices of `faces_of(*labels)`; the same errors."""
        return self.faces[self.faces_of(*labels)].long().unique()

    def forward(
        self,
        identity: Tensor,
        expression: Tensor,
        joints: Tensor,
        offsets: Tensor | None = None,
        placement: Tensor | None = None,
    ) -> Tensor:
        """Fine vertices `[B,V,3]` in the head frame, metres. Differentiable in every argument.

        Args:
            identity: `[I]` or `[B,I]`, in standard deviations.
            expression: `[B,E]` weights, 0 rest, 1 full.
            joints: `[B,J,6]`, per joint an axis-angle (radians) about its pivot, which follows identity (in some heads
                expression too), then a translation (metres), both in the frame of the parent joint or, without one, of
                the head.
            offsets: `[Vc,3]` or `[B,Vc,3]` metres, added to the cage before anything moves it.
            placement: `[R,9]` per rigid part: translation (metres), axis-angle (radians) and log-scales about the
                part's centre, applied before expression and skinning.
        """
        cage, pivots = self.unposed(identity, expression, offsets, placement)
        fine: Tensor = self._to_fine(self._skin(cage, pivots, joints))
        return fine

    def unposed(
        self, identity: Tensor, expression: Tensor, offsets: Tensor | None = None, placement: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Cage `[B,Vc,3]` and pivots `[B,J,3]` (metres) before any joint moves; for the arguments see `forward`."""
        rest = self.mean + torch.tensordot(identity, self.identity_basis, 1)
        if offsets is not None:
            rest = rest + offsets
        if placement is not None:
            rest = self._place(rest, identity, placement)
        moved = rest + torch.tensordot(expression, self.expression_basis, 1)
        if len(self.combination_basis):
            moved = moved + torch.tensordot(expression[:, self.combination_units].prod(-1), self.combination_basis, 1)
        pivots = self.pivots + torch.tensordot(identity, self.pivot_basis, 1)
        pivots = pivots + torch.tensordot(expression, self.pivot_expression_basis, 1)
        return moved, pivots

    def _place(self, rest: Tensor, identity: Tensor, placement: Tensor) -> Tensor:
        """The cage `[...,Vc,3]` with its rigid parts moved."""
        centres = self.part_centres + torch.tensordot(identity, self.part_centre_basis, 1)
        part = self.part_of_rigid
        translation, axis_angle, log_scale = placement.split(3, dim=-1)
        linear = axis_angle_to_matrix(axis_angle) * log_scale.exp()[:, None, :]
        centre = centres[..., part, :]
        local = rest.index_select(-2, self.rigid_vertices) - centre
        placed = torch.einsum("vij,...vj->...vi", linear[part], local) + centre + translation[part]
        return rest.index_copy(-2, self.rigid_vertices, placed)

    def _skin(self, cage: Tensor, pivots: Tensor, joints: Tensor) -> Tensor:
        """The cage `[B,Vc,3]` after linear blend skinning by joints `[B,J,6]` about pivots `[B,J,3]`; the skull is the
        fixed root."""
        if not self.joint_parents:
            return cage
        if len(self.pose_correctives):
            cage = cage + torch.tensordot(self.corrective_weights(joints), self.pose_correctives, 1)
        # Points as columns [B,4,Vc], times the weights of every joint, times the joints' motions [B,3,J*4]: several
        # times faster than a matrix for each vertex.
        points = torch.nn.functional.pad(cage.transpose(1, 2), (0, 0, 0, 1), value=1.0)
        weighted = (self.skinning_weights[:, 1:].T[:, None] * points[:, None]).flatten(1, 2)
        motions = self.joint_motions(pivots, joints).transpose(1, 2).flatten(2)
        return cage + (motions @ weighted).transpose(1, 2)

    def corrective_weights(self, joints: Tensor) -> Tensor:
        """Weights `[B,K]` of the pose correctives for joints `[B,J,6]`."""
        rotations = axis_angle_to_matrix(joints[..., :3])
        eye = torch.eye(3, dtype=joints.dtype, device=joints.device)
        return (rotations - eye).flatten(1)[:, self.corrective_entries]

    def joint_motions(self, pivots: Tensor, joints: Tensor) -> Tensor:
        """R - I and t `[B,J,3,4]` of every joint in the head frame: its motion relative to the fixed skull, so that
        blends need no transform of the skull; for joints `[B,J,6]` about pivots `[B,J,3]`."""
        if not self.joint_parents:
            return pivots.new_zeros(len(pivots), 0, 3, 4)
        rotations = axis_angle_to_matrix(joints[..., :3])
        shifts = pivots - (rotations @ pivots[..., None])[..., 0] + joints[..., 3:]
        world_rotations: list[Tensor] = []
        world_shifts: list[Tensor] = []
        for j, parent in enumerate(self.joint_parents):  # parents come before their children
            rotation, shift = rotations[:, j], shifts[:, j]
            if parent >= 0:
                shift = (world_rotations[parent] @ shift[..., None])[..., 0] + world_shifts[parent]
                rotation = world_rotations[parent] @ rotation
            world_rotations.append(rotation)
            world_shifts.append(shift)
        eye = torch.eye(3, dtype=pivots.dtype, device=pivots.device)
        return torch.cat([torch.stack(world_rotations, 1) - eye, torch.stack(world_shifts, 1)[..., None]], -1)


def _index(kind: str, name: str, known: Sequence[str]) -> int:
    """Index of `name` among the known names of its kind; HeadfitError, suggesting the nearest one, if it is unknown."""
    if name in known:
        return known.index(name)
    guess = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    hint = f" Did you mean {guess[0]!r}?" if guess else ""
    raise HeadfitError(f"this head model has no {kind} {name!r}.{hint} Known: {', '.join(known) or 'none'}.")

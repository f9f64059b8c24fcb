"""A take as formats with a skeleton hold it: what each mesh is before skinning, its morph targets, weights, joints."""

from __future__ import annotations

import numpy as np
import torch

from headfit.export.morphs import Morphs, find_morphs
from headfit.export.normals import unit_normals
from headfit.export.rig import MAX_INFLUENCES, Rig
from headfit.export.take import MeshSequence, Take
from headfit.render.geometry import VertexNormals
from headfit.types import Float

#: Units that never reach this weight do not move.
LEAST_WEIGHT = 1e-3
#: Displacements of a unit shorter than this (metres) are left out.
LEAST_MOVE = 1e-7
#: Changes of a unit normal smaller than this are left out where the unit moves nothing.
LEAST_TURN = 1e-3


class SkinnedTake:
    """Gathers the frames of a take; all of them are in memory then.

    rig: the skeleton.
    """

    def __init__(self, take: Take) -> None:
        self.take = take
        self.rig = Rig(take.motion)
        self._before = [np.empty((len(take.frames), mesh.vertex_count, 3), np.float32) for mesh in take.meshes]
        self._rows = [mesh.rows_of(take.motion.head.vertex_count) for mesh in take.meshes]

    def write(self, frame: int, surfaces: list[tuple[np.ndarray, np.ndarray]]) -> None:
        """Gather a frame; see `FrameWriter`."""
        motion = self.take.motion
        for positions, rows, (vertices, _) in zip(self._before, self._rows, surfaces, strict=True):
            positions[frame] = self.rig.before_skinning(motion.to_head(vertices, frame), frame, rows)

    def morphs(self, index: int) -> Morphs:
        """Of the mesh of this index, once: units and residual shapes of the head; residual shapes alone of other
        meshes, which no basis describes."""
        positions, motion = self._before[index], self.take.motion
        if self.take.meshes[index].rows is not None:
            base = positions.mean(axis=0)
            return find_morphs(positions, base, [], np.zeros((0, *base.shape)), np.zeros((len(positions), 0)))
        weights = motion.expression.double().cpu().numpy()
        moving = np.flatnonzero(np.abs(weights).max(axis=0, initial=0) >= LEAST_WEIGHT)
        base = motion.shape()[0]
        active = torch.eye(weights.shape[1], device=motion.expression.device)[moving]
        units = motion.shape(active) - base if len(moving) else np.zeros((0, *base.shape))
        units[np.linalg.norm(units, axis=2) < LEAST_MOVE] = 0
        return find_morphs(
            positions, base, [motion.head.expression_names[i] for i in moving], units, weights[:, moving]
        )

    def joint_motion(self, joint: int) -> tuple[Float, Float]:
        """Rotations `[F,3,3]` and translations `[F,3]` (metres) of a joint in its parent, in the head's own scale; of
        joint 0, the skull, the pose of the head in the world, from the take's origin."""
        if joint == 0:
            return self.take.motion.rotation, self.take.motion.translation - self.take.origin
        return self.rig.rotations[:, joint], self.rig.translations[:, joint] + self.rig.offset(joint)

    def influences(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Of the mesh of this index, for each vertex: the joints `[V,4]` of the largest weights, and these `[V,4]`
        float32, which sum to 1; joint 0 for none."""
        weights = self.rig.weights[self._rows[index]]
        padded = np.pad(weights, ((0, 0), (0, max(0, MAX_INFLUENCES - weights.shape[1]))))
        joints = np.argsort(-padded, axis=1, kind="stable")[:, :MAX_INFLUENCES]
        largest = np.take_along_axis(padded, joints, axis=1).astype(np.float32)
        largest[:, 0] = 1 - largest[:, 1:].sum(axis=1)
        return np.where(largest > 0, joints, 0), largest


class MorphNormals:
    """Unit normals of a mesh in its base shape, `base [V,3]`, and how its units change them."""

    def __init__(self, take: Take, mesh: MeshSequence, morphs: Morphs) -> None:
        self._normals_of = VertexNormals(torch.from_numpy(mesh.topology.faces), mesh.vertex_count)
        self._units = set(take.motion.head.expression_names)
        self._morphs = morphs
        self.base = unit_normals(self._normals_of, morphs.base)

    def change(self, index: int) -> Float | None:
        """What the morph target of this index adds to the normals, `[V,3]`; None: nothing, it is a residual shape."""
        if self._morphs.names[index] not in self._units:
            return None
        shape = self._morphs.targets[index]
        change = unit_normals(self._normals_of, self._morphs.base + shape) - self.base
        change[~shape.any(axis=1) & (np.abs(change).max(axis=1) < LEAST_TURN)] = 0
        return change

"""The skeleton of an animated head: joints, skinning weights, and the vertices before skinning.

What file formats call skinning moves a vertex x by sum_j w_j M_j x, with at most four joints per vertex. The head model
skins its cage and then subdivides it, which is not the same; so what an animation needs before skinning is found
backwards, from the vertices of each frame.
"""

from __future__ import annotations

import numpy as np
import torch

from headfit.export.motion import HeadMotion
from headfit.head.rotation import axis_angle_to_matrix
from headfit.types import Float, Int

#: Joints that may move one vertex in glTF's first set of weights, which every viewer reads.
MAX_INFLUENCES = 4


class Rig:
    """Skull (joint 0, fixed) and joints (1 to J) of a moving head, in the head frame.

    Attributes:
        names: `[1+J]` of the joints.
        parents: `[1+J]` index of each joint's parent, -1 for the skull.
        pivots: `[1+J,3]` metres, at rest.
        rotations, translations: `[F,1+J,3,3]`, `[F,1+J,3]` (metres) of each joint about its pivot, in its parent's
            frame.
        weights: `[V,1+J]`, rows sum to 1, at most `MAX_INFLUENCES` of a row are not 0.
    """

    def __init__(self, motion: HeadMotion) -> None:
        head, count = motion.head, len(motion.joints)
        self.names = ["skull", *head.joint_names]
        self.parents = [-1, *(parent + 1 for parent in head.joint_parents)]
        rest = head.pivots + torch.tensordot(motion.identity, head.pivot_basis, 1)
        moved = torch.tensordot(motion.expression, head.pivot_expression_basis, 1).double().cpu().numpy()
        turns = axis_angle_to_matrix(motion.joints[..., :3].double()).cpu().numpy()
        # A pivot that the expression moves by d: R (x - p - d) + p + d = R (x - p) + p + (d - R d).
        shifts = motion.joints[..., 3:].double().cpu().numpy() + moved - (turns @ moved[..., None])[..., 0]
        self.pivots = np.concatenate([np.zeros((1, 3)), rest.double().cpu().numpy()])
        self.rotations = np.concatenate([np.tile(np.eye(3), (count, 1, 1, 1)), turns], axis=1)
        self.translations = np.concatenate([np.zeros((count, 1, 3)), shifts], axis=1)
        weights = (head.subdivision @ head.skinning_weights).double().cpu().numpy()
        smallest = np.argsort(weights, axis=1)[:, :-MAX_INFLUENCES]
        np.put_along_axis(weights, smallest, 0.0, axis=1)
        self.weights = weights / weights.sum(axis=1, keepdims=True)

    def offset(self, joint: int) -> Float:
        """From the pivot of a joint's parent to its own pivot at rest, `[3]` metres."""
        parent = self.parents[joint]
        return self.pivots[joint] - (self.pivots[parent] if parent >= 0 else 0.0)

    def transforms(self, frame: int) -> Float:
        """The matrices M `[1+J,3,4]` that take points at rest to the frame, in the head frame."""
        matrices = np.zeros((len(self.names), 3, 4))
        for joint, parent in enumerate(self.parents):
            rotation, pivot = self.rotations[frame, joint], self.pivots[joint]
            own = np.column_stack([rotation, pivot + self.translations[frame, joint] - rotation @ pivot])
            if parent >= 0:
                above = matrices[parent]
                own = above[:, :3] @ own
                own[:, 3] += above[:, 3]
            matrices[joint] = own
        return matrices

    def before_skinning(self, vertices: Float, frame: int, rows: Int) -> Float:
        """The points `[N,3]` that skinning takes to `vertices [N,3]` (head frame, metres).

        Args:
            vertices: of one frame.
            frame: its index.
            rows: `[N]` the vertices of the head whose weights they have.
        """
        blended = np.tensordot(self.weights[rows], self.transforms(frame), 1)
        return np.linalg.solve(blended[..., :3], (vertices - blended[..., 3])[..., None])[..., 0].astype(np.float64)

"""A fitted take on the topology of another head model: `headfit export --topology`.

The other head is registered to the fitted person at rest, once. Its vertices are then bound to the fitted surface,
which carries them through the frames; where the other head has units and joints, those are found that come nearest to
these vertices.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy.linalg import solve_triangular
from scipy.optimize import lsq_linear
from scipy.spatial import KDTree
from scipy.spatial.transform import Rotation
from tqdm import tqdm

from headfit.evaluate.surface import SurfaceDistance
from headfit.export.motion import HeadMotion
from headfit.export.take import MeshSequence, Take
from headfit.export.topology import MeshTopology
from headfit.head import HeadModel
from headfit.modelling.rebake import rebake
from headfit.modelling.registration import Registration, Target, fit_offsets, fit_parameters, start
from headfit.modelling.registration.matching import Surface, labelled_faces
from headfit.modelling.registration.placed_head import units_of
from headfit.types import Float, Int

#: Steps of Gauss-Newton for the coefficients of a frame.
ROUNDS = 4
#: Cost of one squared unit of a coefficient, in squared metres per vertex. A coefficient shrinks by the ratio of this
#: cost to the mean square that its unit moves all vertices: 1.5e-8 for the least unit of the default head, 3e-6 for an
#: eye that turns by a radian. Those of the registration, which does not know correspondences, would halve that turn.
COEFFICIENT_COST = {"expression": 1e-9, "joints": 1e-7}
#: Rounds of the registration of identity, and vertices of either surface that are matched in them.
IDENTITY_ROUNDS, IDENTITY_POINTS = 10, 4000
#: Rounds of the registration of teeth and eyes, and of the offsets.
PLACEMENT_ROUNDS, OFFSET_ROUNDS = 4, 8


def retarget(take: Take, head: HeadModel) -> Take:
    """The take with its head replaced by another, whose vertices, coefficients, texture and joints are its own.

    Args:
        take: a fitted take.
        head: the other head. It needs landmarks.

    Raises:
        HeadfitError: the other head has no landmarks.
    """
    person = take.motion.shape()[0]
    registered = register(take.motion.head, person, head)
    binding = Binding.of(person, take.motion.head, registered.vertices(0), head)
    ours, scale = take.meshes[0], take.motion.scale

    def vertices_of(frame: int) -> Float:
        return binding.carry(ours.vertices_of(frame), scale)

    topology = MeshTopology.of(head)
    texture = rebake(ours.topology, person, ours.texture, topology, registered.vertices(0))
    other = MeshSequence(ours.name, topology, texture, vertices_of, head.vertex_count)
    nearest = KDTree(registered.vertices(0)).query(person)[1]
    rest = [replace(mesh, rows=nearest[mesh.rows_of(len(person))]) for mesh in take.meshes[1:]]
    changed = replace(take, meshes=[other, *rest])
    changed.__dict__["motion"] = find_motion(take.motion, registered, vertices_of)
    return changed


def register(ours: HeadModel, person: Float, head: HeadModel) -> Registration:
    """Another head registered to the vertices `[V,3]` of a person at rest: similarity, identity and placement, then
    offsets."""
    faces, labels = labelled_faces(ours)
    corner = ours.landmark_bary.argmax(1)
    landmarks = ours.faces[ours.landmark_faces].long().gather(1, corner[:, None])[:, 0].numpy()
    target = [Target(person, faces, labels, landmarks)]
    free = ["scale", "pose", *(["identity"] if len(head.identity_basis) else [])]
    placed = start(head, target)
    rounds = IDENTITY_ROUNDS + bool(head.rigid_part_names) * PLACEMENT_ROUNDS + OFFSET_ROUNDS
    with tqdm(total=rounds, desc="registration", unit="round") as bar:

        def report(_: str) -> None:
            bar.update()

        placed = fit_parameters(placed, target, free, IDENTITY_ROUNDS, IDENTITY_POINTS, report)
        if head.rigid_part_names:
            placed = fit_parameters(placed, target, ["placement"], PLACEMENT_ROUNDS, report=report)
        return fit_offsets(placed, target, OFFSET_ROUNDS, report=report)


@dataclass(frozen=True)
class Binding:
    """N points that ride on triangles: each has a triangle's `corners [N,3]`, the barycentric coordinates `bary [N,3]`
    of the closest point in it, and its `offset [N,3]` from there in the triangle's frame (metres)."""

    corners: Int
    bary: Float
    offset: Float

    @classmethod
    def of(cls, carrier: Float, ours: HeadModel, points: Float, theirs: HeadModel) -> Binding:
        """Bind the vertices of one head to the closest points of the same kind of surface (skin, tongue, ...) of
        another; those whose kind it lacks, and those without faces, to its closest points of any kind.

        Args:
            carrier: `[V,3]` vertices of the head `ours`.
            ours: the head that carries.
            points: `[N,3]` vertices of the head `theirs`, in the same place.
            theirs: the head that is carried.
        """
        faces, labels = labelled_faces(ours)
        own = Surface.of(faces, labels).faces
        kinds = {kind: np.unique(f) for kind, f in Surface.of(*labelled_faces(theirs)).faces.items()}
        loose = np.setdiff1d(np.arange(len(points)), np.concatenate(list(kinds.values())))
        corners, bary = np.zeros((len(points), 3), np.int64), np.zeros((len(points), 3))
        for kind, vertices in [*kinds.items(), ("", loose)]:
            surface = own.get(kind, faces)
            found = SurfaceDistance(carrier, surface).closest(points[vertices])
            corners[vertices], bary[vertices] = surface[found.face], found.bary
        foot = np.einsum("nk,nkd->nd", bary, carrier[corners])
        return cls(corners, bary, np.einsum("nji,nj->ni", _frames(carrier[corners]), points - foot))

    def carry(self, carrier: Float, scale: float) -> Float:
        """The points `[N,3]` where the moved carrier `[V,3]` takes them, which is `scale` times as large."""
        triangles = carrier[self.corners]
        foot = np.einsum("nk,nkd->nd", self.bary, triangles)
        moved: Float = foot + scale * np.einsum("nij,nj->ni", _frames(triangles), self.offset)
        return moved


def _frames(triangles: Float) -> Float:
    """Orthonormal frames `[N,3,3]` (columns) of triangles `[N,3,3]`: an edge, across it, and the normal."""
    edge = _unit(triangles[:, 1] - triangles[:, 0])
    normal = _unit(np.cross(edge, triangles[:, 2] - triangles[:, 0]))
    return np.stack([edge, np.cross(normal, edge), normal], axis=2)


def _unit(vectors: Float) -> Float:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)


def find_motion(given: HeadMotion, registered: Registration, vertices_of: Callable[[int], Float]) -> HeadMotion:
    """The motion of a registered head that comes nearest to its vertices in each frame of a take.

    Its pose follows from the given one. Its units and joints are least squares, with a small cost of each.

    Args:
        given: the motion of the fitted head.
        registered: the other head, registered to the person at rest, in the fitted head's frame.
        vertices_of: the other head's vertices `[V,3]` in a frame, in the world.
    """
    head, count = registered.head, len(given.joints)
    turn = Rotation.from_rotvec(registered.pose[0, :3].numpy()).as_matrix()
    still = HeadMotion(
        head=head,
        identity=registered.identity,
        placement=registered.placement,
        offsets=registered.offsets,
        expression=torch.zeros(count, len(head.expression_names)),
        joints=torch.zeros(count, len(head.joint_names), 6),
        scale=given.scale * float(np.exp(registered.scale)),
        rotation=given.rotation @ turn,
        translation=given.translation + given.scale * given.rotation @ registered.pose[0, 3:].numpy(),
    )
    solver = _Coefficients(registered, still)
    frames = tqdm(range(count), desc="coefficients", unit="frame")
    found = [solver.solve(still.to_head(vertices_of(frame), frame)) for frame in frames]
    expression, joints = zip(*found, strict=True)
    return replace(still, expression=torch.cat(expression), joints=torch.cat(joints))


class _Coefficients:
    """Units and joints of a head from its vertices that have faces: Gauss-Newton with the derivatives at rest.

    Each step is least squares within the limits of units and joints.
    """

    def __init__(self, registered: Registration, still: HeadMotion) -> None:
        self.still, head = still, still.head
        self.units, self.joints = len(head.expression_names), 6 * len(head.joint_names)
        moves = np.zeros((0, head.vertex_count, 3))
        if self.units:
            moves = still.shape(torch.eye(self.units)) - still.shape()
        if self.joints:
            upright = replace(registered, scale=0.0, pose=torch.zeros(1, 6, dtype=torch.float64))
            moves = np.concatenate([moves, upright.nudged("joints", 0, self.joints).astype(np.float64)])
        self.scale = np.concatenate([np.ones(self.units), units_of("joints", self.joints)])
        self.seen = np.unique(head.faces.numpy())
        self.moves = moves[:, self.seen].reshape(len(moves), 3 * len(self.seen))
        self.products = self.moves @ self.moves.T
        cost = np.repeat(list(COEFFICIENT_COST.values()), [self.units, self.joints])
        self.root = np.linalg.cholesky(self.products + np.diag(cost * len(self.seen)))
        lowest = [*head.expression_lowest.tolist(), *head.joint_lowest.flatten().tolist()]
        highest = [*[1.0] * self.units, *head.joint_highest.flatten().tolist()]
        # lsq_linear wants the limits apart
        self.limits = np.array(lowest) / self.scale, np.maximum(highest, np.array(lowest) + 1e-9) / self.scale

    def solve(self, vertices: Float) -> tuple[torch.Tensor, torch.Tensor]:
        """Units `[1,E]` and joints `[1,J,6]` for vertices `[V,3]` in the head frame."""
        values = np.zeros(len(self.moves))
        for _ in range(ROUNDS if len(values) else 0):
            left = (vertices - self.still.shape(*self._split(values))[0])[self.seen].ravel()
            goal = solve_triangular(self.root, self.moves @ left + self.products @ values, lower=True)
            values = lsq_linear(self.root.T, goal, self.limits, method="bvls").x
        return self._split(values)

    def _split(self, values: Float) -> tuple[torch.Tensor, torch.Tensor]:
        full = torch.from_numpy(values * self.scale).float()
        return full[None, : self.units], full[self.units :].view(1, -1, 6)

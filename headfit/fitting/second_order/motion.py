"""How the vertices of a frame move with its unknowns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from headfit.fitting.parameters import DETAIL_UNIT, FitParameters
from headfit.fitting.second_order.detail_basis import DetailBasis, FunctionGroup
from headfit.fitting.second_order.residuals import PointResiduals
from headfit.fitting.second_order.unknowns import Columns
from headfit.head.rotation import axis_angle_to_matrix


@dataclass(frozen=True)
class FrameMotion:
    """How the V vertices of a frame (metres, world) move with its P unknowns.

    by_unknown: `[V,3,Q]` derivatives by all unknowns but the detail.
    linear: `[V,3,3]` how displacements of the cage around a vertex reach the world.
    detail: the functions by which the detail moves vertices before the joints do; None where it does not move.
    """

    by_unknown: Tensor
    linear: Tensor
    detail: DetailBasis | None

    def rows(self, residuals: PointResiduals) -> Tensor:
        """Derivatives `[N,Q]` of residuals by the unknowns but the detail."""
        if not self.by_unknown.shape[2]:  # embedding_bag fails on several threads for rows without columns
            return self.by_unknown.new_zeros(len(residuals.corners), 0)
        axis = torch.arange(3, device=residuals.corners.device)
        entries = (residuals.corners[:, :, None] * 3 + axis).flatten(1)
        return F.embedding_bag(
            entries, self.by_unknown.flatten(0, 1), mode="sum", per_sample_weights=residuals.direction.flatten(1)
        )

    def detail_rows(self, residuals: PointResiduals, group: FunctionGroup) -> Tensor:
        """Derivatives `[N,3k]` of residuals in the part of a group by the coefficients (x, y, z) of its functions."""
        in_cage = (residuals.direction[:, :, None] @ self.linear[residuals.corners])[:, :, 0]  # [N,3,3]: corner, axis
        corners = torch.searchsorted(group.vertices, residuals.corners)
        by_axis = F.embedding_bag(
            corners[:, None].expand(-1, 3, -1).flatten(0, 1),
            group.values,
            mode="sum",
            per_sample_weights=in_cage.transpose(1, 2).flatten(0, 1),
        )
        return by_axis.unflatten(0, (-1, 3)).transpose(1, 2).flatten(1)


class VertexMotion:
    """Derivatives of world vertices by the unknowns of a frame and of the person, exact at their present values; but
    those by the detail take the joints' motion as constant around a vertex.

    Before the joints move it, the cage is linear in units and identity; then each of its vertices goes through an
    affine map, the blend of few joints. So the derivatives are products of small matrices with constant bases.

    Args:
        geometry: the unknowns of all frames; those of the person do not change between two frames.
        columns: those of a frame, and of the person, that move.
    """

    def __init__(self, geometry: FitParameters, columns: Columns) -> None:
        self.geometry, self.columns, head = geometry, columns, geometry.head
        basis = torch.cat([head.expression_basis, head.combination_basis, head.pose_correctives])
        self._basis = basis.permute(1, 2, 0).contiguous()  # [Vc,3,E+C+K]
        self._pivots_follow = bool(head.pivot_expression_basis.any())
        moves = "detail_mm" in columns.parameter and geometry.frame_detail.control_point_count
        self._detail = DetailBasis.of(geometry) if moves else None
        self._rest_by_identity = identity_moves(geometry) if "identity" in columns.parameter else None

    @torch.no_grad()
    def __call__(self, frame: Tensor) -> FrameMotion:
        """How the vertices of one frame, `[]`, move."""
        g, head, row = self.geometry, self.geometry.head, frame[None]
        offsets = g.offsets() + g.frame_detail(g.detail_mm[row] * DETAIL_UNIT)
        cage, pivots = head.unposed(g.identity, g.expression[row], offsets, g.placement)
        weights = head.corrective_weights(g.joints[row])
        cage = cage[0] + torch.tensordot(weights[0], head.pose_correctives, 1)
        turn = g.log_scale.exp() * axis_angle_to_matrix(g.rotation[frame]) @ g.start_rotation[frame]
        blend = self._blended(head.joint_motions(pivots, g.joints[row])[0])
        linear = turn @ (blend[..., :3] + torch.eye(3).to(turn))  # [Vc,3,3]
        parts = {"translation": torch.eye(3).to(turn).expand(head.cage_count, 3, 3)}
        v_head = cage + (blend[..., :3] @ cage[..., None])[..., 0] + blend[..., 3]
        if "rotation" in self.columns.parameter:
            by_rotation = g.log_scale.exp() * jacobian(axis_angle_to_matrix, g.rotation[frame])
            parts["rotation"] = torch.einsum("ijp,vj->vip", by_rotation, v_head @ g.start_rotation[frame].T)
        through_cage = linear @ self._basis
        units = len(head.expression_basis) + len(head.combination_basis)
        parts["expression"] = self._by_expression(frame, through_cage[..., :units], cage, pivots, turn)
        parts["joints_scaled"] = self._by_joints(frame, through_cage[..., units:], cage, pivots, turn)
        parts["log_scale"] = (v_head @ turn.T)[..., None]
        if self._rest_by_identity is not None:
            by_pivots = self._by_pivots(frame, head.pivot_basis, cage, pivots, turn)
            parts["identity"] = linear @ self._rest_by_identity + by_pivots
        chosen = [parts[name] for name in self.columns.parameter if name in parts]
        by_unknown = torch.cat(chosen, dim=2) if chosen else linear[..., :0]
        return FrameMotion(self._subdivided(by_unknown), self._subdivided(linear), self._detail)

    def _subdivided(self, of_cage: Tensor) -> Tensor:
        """Values `[V,3,P]` of the fine mesh from those `[Vc,3,P]` of the cage."""
        head = self.geometry.head
        if not of_cage.shape[2]:  # embedding_bag fails on several threads for tables without columns
            return of_cage.new_zeros(head.vertex_count, 3, 0)
        return head.subdivided(of_cage.flatten(1)).view(head.vertex_count, *of_cage.shape[1:])

    def _blended(self, motions: Tensor) -> Tensor:
        """Each cage vertex's blend `[Vc,3,4]` of the joints' motions `[J,3,4]`."""
        weights = self.geometry.head.skinning_weights[:, 1:]
        return (weights @ motions.flatten(1)).unflatten(1, (3, 4))

    def _moved_by(self, motions: Tensor, cage: Tensor, turn: Tensor) -> Tensor:
        """Velocities `[Vc,3,P]` in the world of cage vertices `[Vc,3]` whose joints' motions change by
        `motions [J,3,4,P]`."""
        weights = self.geometry.head.skinning_weights[:, 1:]
        ends = torch.cat([cage, torch.ones_like(cage[:, :1])], dim=1)
        weighted = (weights[:, :, None] * ends[:, None]).flatten(1)  # [Vc,J*4]
        in_world = torch.einsum("ir,jrcp->jcip", turn, motions)
        return (weighted @ in_world.flatten(0, 1).flatten(1)).unflatten(1, in_world.shape[2:])

    def _by_expression(self, frame: Tensor, through_cage: Tensor, cage: Tensor, pivots: Tensor, turn: Tensor) -> Tensor:
        """Derivatives `[Vc,3,E]` by the units: of the cage, of units that act together, and of pivots that follow."""
        g, head = self.geometry, self.geometry.head
        expression = g.expression[frame]
        units, pairs = len(expression), len(head.combination_basis)
        total = through_cage[..., :units]
        if pairs:
            by_units = jacobian(lambda e: e[:, head.combination_units].prod(-1), expression)
            total = total + through_cage[..., units:] @ by_units
        if self._pivots_follow:
            total = total + self._by_pivots(frame, head.pivot_expression_basis, cage, pivots, turn)
        return total

    def _by_pivots(self, frame: Tensor, basis: Tensor, cage: Tensor, pivots: Tensor, turn: Tensor) -> Tensor:
        """Derivatives `[Vc,3,P]` by what moves the joints' pivots by `basis [P,J,3]`."""
        joints = self.geometry.joints[frame]
        motions = jacobian(lambda p: self.geometry.head.joint_motions(p, joints.expand(len(p), -1, -1)), pivots[0])
        return self._moved_by(torch.einsum("jrcks,pks->jrcp", motions, basis), cage, turn)

    def _by_joints(self, frame: Tensor, through_cage: Tensor, cage: Tensor, pivots: Tensor, turn: Tensor) -> Tensor:
        """Derivatives `[Vc,3,6J]` by the joints: of their motions, and of the pose correctives."""
        g, head = self.geometry, self.geometry.head
        row = g.joints_scaled[frame]
        motions = jacobian(lambda r: head.joint_motions(pivots.expand(len(r), -1, -1), r * g.joint_units), row).flatten(
            3
        )
        total = self._moved_by(motions, cage, turn)
        if len(head.pose_correctives):
            weights = jacobian(lambda r: head.corrective_weights(r * g.joint_units), row).flatten(1)
            total = total + through_cage @ weights
        return total


@torch.no_grad()
def identity_moves(geometry: FitParameters) -> Tensor:
    """Derivatives `[Vc,3,I]` of the cage, before expression and joints move it, by the identity: it is affine in it."""
    head, count = geometry.head, len(geometry.identity)
    identities = torch.cat([torch.zeros(1, count), torch.eye(count)]).to(geometry.identity)
    at_rest = geometry.expression.new_zeros(1 + count, geometry.expression.shape[1])
    cages = head.unposed(identities, at_rest, placement=geometry.placement)[0]
    return (cages[1:] - cages[0]).permute(1, 2, 0).contiguous()


@torch.enable_grad()
def jacobian(function: Callable[[Tensor], Tensor], at: Tensor) -> Tensor:
    """Derivatives `[*M,*N]` of a batched function, `[B,*N]` to `[B,*M]`, at `at [*N]`: one backward pass of one copy
    for each output."""
    with torch.no_grad():
        shape = function(at[None]).shape[1:]
    if not shape.numel() * at.numel():  # a head without joints
        return at.new_zeros(*shape, *at.shape)
    copies = at.detach().expand(shape.numel(), *at.shape).clone().requires_grad_()
    outputs = function(copies).flatten(1).diagonal().sum()
    return torch.autograd.grad(outputs, copies)[0].view(*shape, *at.shape)

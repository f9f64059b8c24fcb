"""The unknowns of the geometry, and the vertices that they make."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import torch
from torch import Tensor, nn

from headfit.fitting.detail import FrameDetail
from headfit.fitting.rows import rows_of, zeros
from headfit.fitting.smooth_offsets import SmoothOffsets
from headfit.head import HeadModel
from headfit.head.rotation import axis_angle_to_matrix

#: One unit of a stored joint or placement value: radians and log-scales as they are, translations in 5 cm, so that one
#: learning rate suits a whole group.
TRANSLATION_UNIT = 0.05
#: One unit of a frame's detail, in metres.
DETAIL_UNIT = 1e-3
#: Smoothness of the fine offsets as a share of that of the coarse ones. Steps of the coarse ones hardly change waves
#: shorter than some centimetres: right while the shape is far off, but nostrils and creases stay as they are.
FINE_SHARE = 1 / 30
#: Weight of an eye's turning in the prior of the joints; 1 for all else. With 1 the prior outweighs what an iris shows:
#: gaze stayed 6 degrees behind the pictures in tracked frames. With 0.1 eyes behind closed lids turned by 20 to 30.
EYE_TURN_PRIOR = 0.3
#: How far below its range, and up to what value, an expression unit may go.
MAX_BELOW_RANGE, MAX_EXPRESSION = 0.15, 1.2


class FitParameters(nn.Module):
    """Unknowns of the geometry: some shared by the whole capture, some with one row per frame.

    Shared: identity `[I]` (standard deviations), log_scale `[]`, placement_scaled `[R,9]` of the rigid inner parts,
    offset_field, fine_offset_field `[Vc,3]` (metres): the free offsets are the sum of both, each smoothed, see
    `SmoothOffsets`; the second one far less.
    Per frame (rows): rotation `[F,3]` (axis-angle on top of the initial rotation), translation `[F,3]` (metres, world),
    expression `[F,E]`, joints_scaled `[F,J,6]`, detail_mm `[F,K,3]` (millimetres, of the control points of
    `FrameDetail`). `placement` and `joints` are the scaled ones in radians and metres.

    v_world = exp(log_scale) * R v_head + translation.

    Args:
        head: the head model.
        frame_count: number of frames F of the capture.
        smoothness: of the parameterisation of the offsets.
    """

    start_rotation: Tensor
    joint_units: Tensor
    joint_prior: Tensor
    placement_units: Tensor

    def __init__(self, head: HeadModel, frame_count: int, smoothness: float) -> None:
        super().__init__()
        self.head = head
        self.smooth = SmoothOffsets(head.cage_faces, head.cage_stiffness, head.cage_rigid_part >= 0, smoothness)
        self.register_buffer("start_rotation", torch.eye(3).repeat(frame_count, 1, 1))
        self.rotation = nn.Parameter(torch.zeros(frame_count, 3))
        self.translation = nn.Parameter(torch.zeros(frame_count, 3))
        self.log_scale = nn.Parameter(torch.zeros(()))
        self.identity = nn.Parameter(torch.zeros(len(head.identity_basis)))
        self.expression = nn.Parameter(torch.zeros(frame_count, len(head.expression_names)))
        self.joints_scaled = nn.Parameter(torch.zeros(frame_count, len(head.joint_names), 6))
        self.placement_scaled = nn.Parameter(torch.zeros(len(head.rigid_part_names), 9))
        self.offset_field = nn.Parameter(torch.zeros(head.cage_count, 3))
        self.smooth_fine = SmoothOffsets(
            head.cage_faces, head.cage_stiffness, head.cage_rigid_part >= 0, smoothness * FINE_SHARE
        )
        self.fine_offset_field = nn.Parameter(torch.zeros(head.cage_count, 3))
        self.frame_detail = FrameDetail(head.cage_faces, head.cage_stiffness, head.cage_rigid_part >= 0, self.smooth)
        self.detail_mm = nn.Parameter(zeros((frame_count, self.frame_detail.control_point_count, 3)))
        t = TRANSLATION_UNIT
        self.register_buffer("joint_units", torch.tensor([1.0, 1.0, 1.0, t, t, t]), persistent=False)
        self.register_buffer("placement_units", torch.tensor([t, t, t] + [1.0] * 6), persistent=False)
        prior = torch.ones(len(head.joint_names), 6)
        prior[[name.endswith("_eye") for name in head.joint_names], :3] = EYE_TURN_PRIOR
        self.register_buffer("joint_prior", prior, persistent=False)
        self.hold(())

    def hold(self, parts: Collection[str]) -> None:
        """From now on the inner parts of these names keep their joint, their expression units and their placement.

        A part that nothing shows would be moved by what its surroundings leave open, and far: Adam's steps are as long
        for small gradients as for large ones.
        """
        held = {
            "expression": [name.lower().startswith(tuple(parts)) for name in self.head.expression_names],
            "joints_scaled": [name in parts for name in self.head.joint_names],
            "placement_scaled": [name in parts for name in self.head.rigid_part_names],
        }
        for name, rows in held.items():
            values = torch.tensor(rows, dtype=torch.bool, device=self.rotation.device)
            self.register_buffer(f"{name}_held", values if name == "expression" else values[:, None], persistent=False)

    def held(self, name: str) -> Tensor:
        """Where the parameter `name` is held: bool of the shape of one of its rows, or of one that broadcasts to it."""
        return getattr(self, f"{name}_held", self.rotation.new_zeros((), dtype=torch.bool))

    @torch.no_grad()
    def stop_held(self) -> None:
        """Take from the gradients what would move parts that are held."""
        for name in ("expression", "joints_scaled", "placement_scaled"):
            gradient = getattr(self, name).grad
            if gradient is not None:
                (gradient._values() if gradient.is_sparse else gradient).masked_fill_(self.held(name), 0)

    @property
    def joints(self) -> Tensor:
        """Axis-angle (radians) and translation (metres) of every joint, `[F,J,6]`."""
        return self.joints_scaled * self.joint_units

    @property
    def placement(self) -> Tensor:
        """Translation (metres), axis-angle (radians) and log-scale of the rigid inner parts, `[R,9]`."""
        return self.placement_scaled * self.placement_units

    def offsets(self) -> Tensor:
        """Free cage offsets `[Vc,3]` (metres)."""
        return self.smooth(self.offset_field) + self.smooth_fine(self.fine_offset_field)

    def forward(self, frames: Tensor, offsets: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """World vertices `[N,V,3]` (metres) of frames `[N]`, and the shared offsets `[Vc,3]` within them, which are
        computed unless they are given."""
        offsets = self.offsets() if offsets is None else offsets
        v_head = self.head(
            self.identity,
            rows_of(self.expression, frames),
            rows_of(self.joints_scaled, frames) * self.joint_units,
            offsets=offsets + self.frame_detail(rows_of(self.detail_mm, frames) * DETAIL_UNIT),
            placement=self.placement,
        )
        return self.to_world(v_head, frames), offsets

    def to_world(self, v_head: Tensor, frames: Tensor) -> Tensor:
        """Head-frame points `[N,V,3]` of frames `[N]` in the world (metres)."""
        rotation, translation = self._rotations(frames), rows_of(self.translation, frames)[..., None]
        # Points as columns, as in `CameraBatch.project`.
        return torch.baddbmm(translation, self.log_scale.exp() * rotation, v_head.transpose(1, 2)).transpose(1, 2)

    def directions(self, frames: Tensor, points: Tensor) -> Tensor:
        """Vectors `[N,3]` (metres) from the heads of frames `[N]` to world points `[N,3]`, along the head's axes."""
        return ((points - rows_of(self.translation, frames))[:, None] @ self._rotations(frames))[:, 0]

    def _rotations(self, frames: Tensor) -> Tensor:
        """Rotations `[N,3,3]` from the head frame to the world in frames `[N]`."""
        return axis_angle_to_matrix(rows_of(self.rotation, frames)) @ self.start_rotation[frames]

    @torch.no_grad()
    def rest(self) -> Tensor:
        """Vertices `[V,3]` of this person at rest, in the head frame (metres)."""
        at_rest = self.expression.new_zeros(1, self.expression.shape[1])
        joints = self.joints_scaled.new_zeros(1, *self.joints_scaled.shape[1:])
        vertices: Tensor = self.head(self.identity, at_rest, joints, offsets=self.offsets(), placement=self.placement)
        return vertices[0]

    @torch.no_grad()
    def start_like_nearest(self, frames: Sequence[int], visited: Tensor) -> None:
        """Give those of `frames` that no stage has moved yet the expression and joints of the nearest that one has.

        `visited [F]`: bool.
        """
        known = visited.nonzero()[:, 0]
        for frame in frames:
            if len(known) and not visited[frame]:
                nearest = known[(known - frame).abs().argmin()]
                for rows in (self.expression, self.joints_scaled):
                    rows[frame] = rows[nearest]

    def range(self, name: str) -> tuple[Tensor, Tensor]:
        """Lowest and highest values of the parameter `name`, for which the head model is defined; of the shape of its
        values for a frame or for the person, or of one that broadcasts to it."""
        if name == "expression":
            lowest = self.head.expression_lowest - MAX_BELOW_RANGE
            return lowest, torch.full_like(lowest, MAX_EXPRESSION)
        if name == "joints_scaled":
            return self.head.joint_lowest / self.joint_units, self.head.joint_highest / self.joint_units
        infinite = self.rotation.new_full((), torch.inf)
        return -infinite, infinite

    @torch.no_grad()
    def clamp(self) -> None:
        """Keep units and joints inside the range for which the head model defines them."""
        for name in ("expression", "joints_scaled"):
            getattr(self, name).clamp_(*self.range(name))

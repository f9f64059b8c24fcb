"""Per-frame parameters: units and joints stay within the head model's limits; new frames start from fitted ones."""

import pytest
import torch

from headfit.fitting.parameters import FitParameters
from headfit.fitting.rows import dense
from headfit.fitting.second_order.unknowns import Columns
from headfit.head import load


@pytest.mark.slow
def test_clamping_keeps_units_and_joints_in_their_range_and_leaves_the_rest():
    head = load("default")
    parameters = FitParameters(head, 2, 30.0)
    jaw = head.joint_names.index("jaw")
    with torch.no_grad():
        parameters.expression[0] = 3.0
        parameters.joints_scaled[0] = 4.0
        parameters.joints_scaled[1] = -4.0
        parameters.joints_scaled[1, jaw] = 0.05
    parameters.clamp()
    joints = parameters.joints.detach()
    torch.testing.assert_close(joints[0], head.joint_highest)
    torch.testing.assert_close(joints[1, 0], head.joint_lowest[0])
    torch.testing.assert_close(parameters.joints_scaled[1, jaw], torch.full((6,), 0.05))
    assert (parameters.expression[0] == 1.2).all() and (parameters.expression[1] == 0).all()


@pytest.mark.slow
def test_a_frame_that_was_never_fitted_starts_with_the_expression_of_the_nearest_that_was():
    parameters = FitParameters(load("default"), 6, 30.0)
    with torch.no_grad():
        for frame in (0, 4):
            parameters.expression[frame] = 0.1 * (frame + 1)
            parameters.joints_scaled[frame] = 0.01 * (frame + 1)
    visited = torch.tensor([True, False, False, False, True, False])
    parameters.start_like_nearest([1, 3, 4, 5], visited)
    torch.testing.assert_close(parameters.expression[:, 0].detach(), torch.tensor([0.1, 0.1, 0, 0.5, 0.5, 0.5]))
    torch.testing.assert_close(
        parameters.joints_scaled[:, 0, 0].detach(), torch.tensor([0.01, 0.01, 0, 0.05, 0.05, 0.05])
    )


@pytest.mark.slow
def test_where_nothing_was_fitted_frames_start_at_rest():
    parameters = FitParameters(load("default"), 2, 30.0)
    parameters.start_like_nearest([0, 1], torch.zeros(2, dtype=torch.bool))
    assert not parameters.expression.any()


@pytest.mark.slow
def test_parts_that_are_held_keep_their_joint_their_units_and_their_placement():
    """Whether the gradient is sparse, as in a step on a CPU, or not; and in second-order steps."""
    head = load("default")
    parameters = FitParameters(head, 2, 30.0)
    held = {
        "expression": [name.startswith("tongue") for name in head.expression_names],
        "joints_scaled": [name == "tongue" for name in head.joint_names],
        "placement_scaled": [name == "tongue" for name in head.rigid_part_names],
    }

    def moved() -> dict[str, torch.Tensor]:
        """Which entries have a gradient, in frame 1; and which have columns that move."""
        parameters.zero_grad()
        v, _ = parameters(torch.tensor([1]))
        (v.square().sum() + parameters.placement_scaled.sum()).backward()
        parameters.stop_held()
        rows = {name: dense(getattr(parameters, name).grad) for name in held}
        found = {name: rows[name][1] if name != "placement_scaled" else rows[name] for name in held}
        columns = Columns.of(parameters, {"expression": 0.1, "joints": 0.1})
        found |= {f"{name} column": columns.longest[part] for name, part in columns.parameter.items()}
        return {name: value.reshape(len(held[name.split()[0]]), -1).ne(0).any(1) for name, value in found.items()}

    everything = moved()
    parameters.hold(["tongue"])
    found = moved()
    for name, free in found.items():
        rows = torch.tensor(held[name.split()[0]])
        assert rows.any() and everything[name][rows].all() and not free[rows].any()
        assert torch.equal(free[~rows], everything[name][~rows])
    parameters.hold([])
    assert all(torch.equal(free, everything[name]) for name, free in moved().items())


@pytest.mark.slow
def test_fine_offsets_are_narrower_than_the_others_and_add_to_them():
    head = load("default")
    parameters = FitParameters(head, 1, 30.0)
    vertex = int(parameters.frame_detail.control_points[0])
    moved = []
    for field in (parameters.offset_field, parameters.fine_offset_field):
        with torch.no_grad():
            field[vertex, 2] = 1.0
            moved.append(parameters.offsets()[:, 2].clone())
            field[vertex, 2] = 0.0
    widths = [(offset > offset.max() / 4).sum() for offset in moved]
    assert 0 < widths[1] < widths[0] / 3
    with torch.no_grad():
        parameters.offset_field[vertex, 2] = parameters.fine_offset_field[vertex, 2] = 1.0
    torch.testing.assert_close(parameters.offsets()[:, 2].detach(), moved[0] + moved[1])

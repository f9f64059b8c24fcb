"""Steps of the person together with the frames of a step."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from headfit.fitting.config import Stage
from headfit.fitting.parameters import FitParameters
from headfit.fitting.second_order.normal_equations import NormalEquations
from headfit.fitting.second_order.unknowns import Columns
from headfit.fitting.terms.identity import LINEAR_FROM


def move_together(
    geometry: FitParameters, columns: Columns, frames: Sequence[int], of_frame: Sequence[NormalEquations], stage: Stage
) -> None:
    """Move frames and the person to the minimum of the frames' costs plus the person's prior once for each frame.

    Args:
        geometry: changed in place.
        columns: the unknowns of a frame and of the person.
        frames: N of them, with the equations `of_frame` of each, its own priors included.
        stage: gives the weight of the person's prior.
    """
    indices = [torch.tensor(frame, device=geometry.rotation.device) for frame in frames]
    values = torch.stack([columns.values(geometry, index) for index in indices])
    own, equations = columns.of_frame, sum_of(of_frame, columns.of_frame)
    shared = slice(len(frames) * own, len(equations.gradient))
    if "identity" in columns.parameter:
        place = columns.parameter["identity"]
        weight = len(frames) * stage.weights.get("identity", 0.0)
        curvature, gradient = identity_prior_derivatives(values[0, place])
        first = shared.start - own
        equations.add_diagonal(slice(first + place.start, first + place.stop), weight * curvature, weight * gradient)
    lowest, highest = columns.bounds(values)
    step = equations.solve(*(torch.cat([bound[:, :own].flatten(), bound[0, own:]]) for bound in (lowest, highest)))
    for index, row, of_own in zip(indices, values, step[: shared.start].view(len(frames), own), strict=True):
        columns.store(geometry, index, row + torch.cat([of_own, step[shared]]).to(row))


def sum_of(of_frame: Sequence[NormalEquations], own: int) -> NormalEquations:
    """The equations of all frames together: of the first `own` unknowns of each, one frame after the other, and then of
    those that the frames share."""
    size = len(of_frame) * own + len(of_frame[0].gradient) - own
    matrix, gradient = of_frame[0].matrix.new_zeros(size, size), of_frame[0].gradient.new_zeros(size)
    shared = slice(len(of_frame) * own, size)
    for number, equations in enumerate(of_frame):
        frame = slice(number * own, (number + 1) * own)
        matrix[frame, frame] = equations.matrix[:own, :own]
        matrix[frame, shared] = equations.matrix[:own, own:]
        matrix[shared, frame] = equations.matrix[own:, :own]
        matrix[shared, shared] += equations.matrix[own:, own:]
        gradient[frame] = equations.gradient[:own]
        gradient[shared] += equations.gradient[own:]
    return NormalEquations(matrix, gradient)


def identity_prior_derivatives(identity: Tensor) -> tuple[Tensor, Tensor]:
    """Second and first derivatives `[I]` of `identity_prior`; the second ones are those of reweighted least squares,
    whose steps do not lead beyond the minimum of such a cost."""
    curvature = 2 / (1 + (identity / LINEAR_FROM).square()).sqrt() / max(1, len(identity))
    return curvature, curvature * identity

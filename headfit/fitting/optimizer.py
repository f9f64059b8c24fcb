"""Adam with options for per-frame rows and for meshes of vectors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from headfit.fitting.rows import moved_rows, zeros


class FitAdam(torch.optim.Optimizer):
    """Adam (Kingma & Ba 2015) with two options per parameter group.

    rows: the first dimension is the frame. A frame that is not in the batch (its gradient is exactly 0) keeps its
        values, moments and step count; plain Adam would move it by its old momentum. A sparse gradient (see `rows_of`)
        costs no time and no memory for the other frames.
    isotropic: one second moment for the whole tensor (per row with `rows`), for meshes of vectors: the step keeps the
        gradient's direction, and vertices with small gradients take small steps (Nicolet et al. 2021, "UniformAdam").

    Args:
        groups: parameter groups with `params`, `lr`, and optionally `rows`, `isotropic`, `name`.
        betas: decay rates of the first and second moments, as in Adam.
        eps: added to the root of the second moment, as in Adam.
    """

    def __init__(
        self, groups: list[dict[str, Any]], betas: tuple[float, float] = (0.9, 0.99), eps: float = 1e-12
    ) -> None:
        defaults = {"lr": 0.0, "betas": betas, "eps": eps, "rows": False, "isotropic": False, "name": ""}
        super().__init__(groups, defaults)

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update every parameter that has a gradient and a positive learning rate. Returns the value of `closure`."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None and group["lr"] > 0:
                    self._update(parameter, parameter.grad, group)
        return loss

    def _update(self, parameter: Tensor, grad: Tensor, group: dict[str, Any]) -> None:
        state = self.state[parameter]
        per_row = [parameter.shape[0] if group["rows"] else 1] + [1] * (parameter.dim() - 1)
        if not state:  # not "step", which load_state_dict would leave on the CPU
            state["steps"] = torch.zeros(per_row[: parameter.dim()], dtype=parameter.dtype, device=parameter.device)
            state["mean"] = zeros(parameter.shape) if grad.is_sparse else torch.zeros_like(parameter)
            state["square"] = torch.zeros_like(state["steps"] if group["isotropic"] else parameter)
        if not grad.is_sparse:
            _move(parameter, state, grad, group)
            return
        rows, grad = moved_rows(grad)
        tables = {"parameter": parameter, **state}
        taken = {name: table.index_select(0, rows) for name, table in tables.items()}
        _move(taken["parameter"], taken, grad, group)
        for name, table in tables.items():
            table.index_copy_(0, rows, taken[name])


def _move(parameter: Tensor, state: dict[str, Tensor], grad: Tensor, group: dict[str, Any]) -> None:
    """One step of a parameter, or of some rows of it, and of its moments, in place."""
    beta1, beta2 = group["betas"]
    steps = state["steps"]
    active = grad.ne(0).flatten(1).any(1).view_as(steps).to(parameter) if group["rows"] else torch.ones_like(steps)
    square = grad.square()
    if group["isotropic"]:
        square = (square.flatten(1).mean(1) if group["rows"] else square.mean()).view_as(steps)
    steps.add_(active)
    state["mean"].lerp_(grad, active * (1 - beta1))
    state["square"].lerp_(square, active * (1 - beta2))
    # In place where possible: a texture of millions of texels is updated here in every step.
    length = group["lr"] * active / (1 - beta1**steps).clamp_min(1e-12)
    root = (state["square"] / (1 - beta2**steps).clamp_min(1e-12)).sqrt_().add_(group["eps"])
    parameter.sub_((state["mean"] * length).div_(root))

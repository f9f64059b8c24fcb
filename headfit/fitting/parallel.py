"""One fit over several processes: each computes a share of every step's views, and all take the same step.

Lightning starts and connects the processes. Its DDP wrapper for the model is not used: it fixes which parameters have
gradients when it is created, and the stages of a fit change that. Every process holds all parameters; the all-reduced
sums (of gradients, counts and losses) are the same bits everywhere, so the copies stay equal.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

import torch
import torch.distributed as dist
from pytorch_lightning.strategies import DDPStrategy
from torch import Tensor, nn

from headfit.fitting.rows import dense


class ManualGradientSync(DDPStrategy):
    """Lightning's processes without its DDP wrapper: the module calls `all_reduce_gradients` itself."""

    def configure_ddp(self) -> None:
        """Leave the model unwrapped."""


def is_first_process() -> bool:
    """Whether this process is the one that reports and writes; known before Lightning has connected them."""
    ranks = ("RANK", "LOCAL_RANK", "SLURM_PROCID", "NODE_RANK", "GROUP_RANK")
    return all(os.environ.get(name, "0") == "0" for name in ranks)


def all_reduce_sum(values: Tensor) -> Tensor:
    """`values` summed over all processes, on each of them."""
    if dist.is_initialized():
        values = values.clone()
        dist.all_reduce(values)
    return values


@torch.no_grad()
def all_reduce_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Replace every gradient by its sum over all processes; None counts as 0."""
    if not dist.is_initialized():
        return
    moving = [p for p in parameters if p.requires_grad]
    gradients = [torch.zeros_like(p) if p.grad is None else dense(p.grad) for p in moving]
    flat = torch.cat([gradient.flatten() for gradient in gradients])
    dist.all_reduce(flat)
    for parameter, part in zip(moving, flat.split([p.numel() for p in moving]), strict=True):
        parameter.grad = part.view_as(parameter)


@torch.no_grad()
def broadcast_from_rank_zero(module: nn.Module) -> None:
    """Give every process the parameters and buffers of rank zero."""
    for value in module.state_dict().values() if dist.is_initialized() else ():
        if value.is_floating_point():  # the others depend on the settings only
            dist.broadcast(value, src=0)

"""The pretended GPU refuses what CUDA refuses, allows what CUDA allows, and counts waits."""

import pytest
import torch
import torch.nn.functional as F

from tests.support.pretended_device import DEVICE, DeviceTensor, pretended_device

REFUSED = {
    "arithmetic with a CPU tensor": lambda x: x + torch.zeros(4),
    "in place, from a CPU tensor": lambda x: x.add_(torch.zeros(4)),
    "a list of both": lambda x: torch.cat([x, torch.zeros(4)]),
    "a CPU tensor with an index of the device": lambda x: torch.zeros(4)[x.long()],
    "a gradient": lambda x: torch.autograd.grad((x.requires_grad_() * 2).sum() * torch.zeros(1), x),
    "assignment from a CPU tensor": lambda x: x.__setitem__(torch.tensor([0, 1]), torch.zeros(2)),
    "numpy": lambda x: x.numpy(),
}
WAITING = {
    "item": lambda x: x[0].item(),
    "bool": lambda x: bool((x > 0).any()),
    "tolist": lambda x: x.tolist(),
    "cpu": lambda x: x.cpu(),
    "nonzero": lambda x: x.nonzero(),
    "unique": lambda x: x.unique(),
    "mask": lambda x: x[x > 0],
    "assignment by mask": lambda x: x.__setitem__(x > 0, 1.0),
}


@pytest.mark.parametrize("what", REFUSED)
def test_it_refuses(what):
    with pretended_device(), pytest.raises((RuntimeError, TypeError), match=r"same device|cuda:0"):
        REFUSED[what](torch.zeros(4, device="cuda"))


@pytest.mark.parametrize("what", WAITING)
def test_it_counts_a_wait(what):
    with pretended_device() as device:
        x = torch.ones(4, device="cuda")
        assert not device.waits
        WAITING[what](x)


def test_it_allows_scalars_indices_and_copies_from_the_cpu():
    with pretended_device() as device:
        x = torch.arange(4.0, device="cuda") * torch.tensor(2.0)
        x[torch.tensor([0, 1])] = 1.0
        x.copy_(x[torch.tensor([3, 2, 1, 0])] + torch.ones(4).to(x))
        assert isinstance(x, DeviceTensor) and x.device == DEVICE
        assert x.tolist() == [7.0, 5.0, 2.0, 2.0]
        assert sum(device.uploads.values()) == 1


def test_it_refuses_derivatives_without_a_deterministic_kernel_in_deterministic_mode_only():
    with pretended_device():
        image = torch.ones(1, 1, 4, 4, device="cuda", requires_grad=True)
        sampled = F.grid_sample(image, torch.zeros(1, 2, 2, 2, device="cuda"), align_corners=False).sum()
        sampled.backward(retain_graph=True)
        torch.use_deterministic_algorithms(True)
        try:
            with pytest.raises(RuntimeError, match="deterministic"):
                sampled.backward()
            with pytest.raises(RuntimeError, match="deterministic"):
                image.detach()[0, 0].median(dim=1)
        finally:
            torch.use_deterministic_algorithms(False)

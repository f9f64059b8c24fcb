"""Lightning on the pretended GPU."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import torch
from pytorch_lightning.accelerators import Accelerator, AcceleratorRegistry

from tests.support.pretended_device import DEVICE, PretendedDevice, pretended_device

#: `RunArgs.trainer` of a fit inside `pretended_gpu`.
TRAINER = {"accelerator": "cuda", "devices": 1}


class _Pretended(Accelerator):
    def setup_device(self, device: torch.device) -> None:
        assert device == DEVICE

    def get_device_stats(self, device: Any) -> dict[str, Any]:
        return {}

    def teardown(self) -> None:
        pass

    @staticmethod
    def parse_devices(devices: Any) -> int:
        return int(devices)

    @staticmethod
    def get_parallel_devices(devices: Any) -> list[torch.device]:
        return [DEVICE]

    @staticmethod
    def auto_device_count() -> int:
        return 1

    @staticmethod
    def is_available() -> bool:
        return True

    @staticmethod
    def name() -> str:
        return "cuda"


@contextmanager
def pretended_gpu() -> Iterator[PretendedDevice]:
    """`pretended_device`, which Lightning takes for its accelerator `cuda`."""
    entry = {"accelerator": _Pretended, "accelerator_name": "cuda", "description": "", "init_params": {}}
    with (
        mock.patch.dict(AcceleratorRegistry, {"cuda": entry}),
        mock.patch("torch.cuda.is_available", lambda: True),
        mock.patch("torch.cuda.device_count", lambda: 1),
        mock.patch("headfit.fitting.validation.DEVICES", ("cpu", "cuda")),
        pretended_device() as device,
    ):
        yield device

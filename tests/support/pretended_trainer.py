"""Lightning on the pretended GPU."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from pytorch_lightning.accelerators import Accelerator, AcceleratorRegistry
from pytorch_lightning.strategies import SingleDeviceStrategy, StrategyRegistry

from tests.support.pretended_device import DEVICE, PretendedDevice, pretended_device

NAME = "pretended"
#: `RunArgs.trainer` of a fit inside `pretended_gpu`.
TRAINER = {"accelerator": NAME, "strategy": NAME, "devices": 1}


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
        return NAME


@contextmanager
def pretended_gpu() -> Iterator[PretendedDevice]:
    """`pretended_device`, on which Lightning trains with `TRAINER`."""
    AcceleratorRegistry.register(NAME, _Pretended)
    StrategyRegistry.register(NAME, SingleDeviceStrategy, device=DEVICE)
    try:
        with pretended_device() as device:
            yield device
    finally:
        AcceleratorRegistry.remove(NAME)
        StrategyRegistry.remove(NAME)

"""A whole fitted model without a fit: the default head in eight poses, with hair, seen by two cameras."""

import numpy as np
import pytest
import torch

from headfit.capture import Camera
from headfit.capture.summary import CaptureSummary
from headfit.capture.world import WorldFrame
from headfit.export import Take
from headfit.fitting.config import FitConfig
from headfit.fitting.model import FittedHead

FRAMES = 8


@pytest.fixture(scope="session")
def fitted() -> FittedHead:
    K = np.array([[500.0, 0, 210], [0, 520.0, 290], [0, 0, 1]])
    angle = np.radians(30)
    R = np.array([[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]])
    front = np.diag([1.0, -1.0, -1.0])
    cameras = [
        Camera("cam 0", 400, 600, K, front, np.array([0, 0, 1.0])),
        Camera("1", 400, 600, K, front @ R, np.array([0.01, 0, 0.9])),
    ]
    labels = {0: "background", 1: "skin", 2: "hair"}
    capture = CaptureSummary("test", [f"{i:04d}" for i in range(FRAMES)], 12.5, cameras, labels, WorldFrame.identity())
    generator = torch.Generator().manual_seed(0)
    model = FittedHead.build(FitConfig(texture_size=64), capture)
    geometry = model.geometry
    with torch.no_grad():
        geometry.identity.normal_(generator=generator)
        geometry.expression[:, ::3] = torch.rand(geometry.expression[:, ::3].shape, generator=generator)
        geometry.rotation.normal_(std=0.1, generator=generator)
        geometry.translation.normal_(std=0.02, generator=generator)
        geometry.joints_scaled[..., :3].normal_(std=0.1, generator=generator)
        geometry.log_scale.fill_(0.05)
        geometry.detail_mm.normal_(std=0.2, generator=generator)
        model.hair.field.fill_(1e-3)
        model.hair_started.fill_(True)
    return model.eval()


@pytest.fixture(scope="session")
def take(fitted: FittedHead) -> Take:
    return Take.of(fitted)

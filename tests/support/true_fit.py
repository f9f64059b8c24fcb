"""A fit that needs no fitting."""

from pathlib import Path

import numpy as np
import torch

from headfit.fitting.config import FitConfig
from headfit.fitting.module import HeadFit
from headfit.fitting.run import build
from headfit.fitting.texture_start import start_appearance
from headfit.head.similarity import similarity


def true_fit(config: FitConfig) -> HeadFit:
    """A fit that found every parameter as the capture was made with."""
    module = build(config)
    module.visited.fill_(True)
    p = module.geometry
    with torch.no_grad():
        for frame, name in enumerate(module.capture.frames):
            truth = np.load(Path(config.capture) / "gt" / f"{name}.npz")
            p.identity.copy_(torch.from_numpy(truth["identity"]))
            p.expression[frame] = torch.from_numpy(truth["expression"])
            p.joints_raw[frame] = torch.from_numpy(truth["joints"]) / p.joint_units
            v_head = p.head(p.identity, p.expression[[frame]], p.joints[[frame]])[0]
            _, rotation, translation = similarity(
                v_head.double().numpy(), truth["vertices"].astype(np.float64), np.ones(len(v_head)), scale=1.0
            )
            p.start_rotation[frame] = torch.from_numpy(rotation)
            p.translation[frame] = torch.from_numpy(translation)
    start_appearance(module, 1.0)
    module.texture_started.fill_(True)
    return module

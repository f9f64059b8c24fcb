"""A fit with the true parameters."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from headfit.capture import open_capture
from headfit.fitting.config import FitConfig, RunArgs
from headfit.fitting.initialise_appearance import initialise_appearance
from headfit.fitting.module import HeadFit
from headfit.fitting.run import build
from headfit.head.similarity import similarity


def true_fit(config: FitConfig, args: RunArgs) -> HeadFit:
    """A fit in which every parameter has the value with which the synthetic capture was rendered."""
    module = build(replace(config, texture_size=config.texture_size or 128), args, open_capture(args.capture))
    model = module.model
    model.visited.fill_(True)
    p = model.geometry
    with torch.no_grad():
        for frame, name in enumerate(model.capture.frames):
            truth = np.load(Path(args.capture) / "gt" / f"{name}.npz")
            p.identity.copy_(torch.from_numpy(truth["identity"]))
            p.expression[frame] = torch.from_numpy(truth["expression"])
            p.joints_scaled[frame] = torch.from_numpy(truth["joints"]) / p.joint_units
            v_head = p.head(p.identity, p.expression[[frame]], p.joints[[frame]])[0]
            _, rotation, translation = similarity(
                v_head.double().numpy(), truth["vertices"].astype(np.float64), np.ones(len(v_head)), scale=1.0
            )
            p.start_rotation[frame] = torch.from_numpy(rotation)
            p.translation[frame] = torch.from_numpy(translation)
    initialise_appearance(model, module.data, resolution=1024)
    model.texture_started.fill_(True)
    return module

"""A run folder that no fit has written."""

from pathlib import Path

import numpy as np
import torch

from headfit.assets import asset_path
from headfit.capture import Camera
from headfit.capture.summary import CaptureSummary
from headfit.capture.world import WorldFrame
from headfit.fitting.checkpoints import keep_checkpoint
from headfit.fitting.config import RunArgs
from headfit.fitting.model import FittedHead
from headfit.fitting.run_folder import PREFIX
from headfit.fitting.settings import load_config, save_settings
from headfit.head import load

#: Where the cameras are, metres: around the head, which looks along z.
CENTRES = ((0.0, 0.0, 0.8), (0.5, 0.1, 0.6), (-0.5, 0.1, 0.6))


def looking_at_the_head(centre: tuple[float, float, float], name: str) -> Camera:
    """A camera of 60x80 pixels that looks from `centre [3]` at the origin, with y down."""
    z = -np.array(centre) / np.linalg.norm(centre)
    x = np.cross([0.0, -1.0, 0.0], z)
    x /= np.linalg.norm(x)
    R = np.stack([x, np.cross(z, x), z])
    K = np.array([[160.0, 0, 30], [0, 160.0, 40], [0, 0, 1]])
    return Camera(name, 60, 80, K, R, -R @ np.array(centre))


def made_model(frames: int) -> FittedHead:
    """The default head at rest, seen by three cameras of which cam0 is in front, in all of `frames` frames."""
    cameras = [looking_at_the_head(centre, f"cam{index}") for index, centre in enumerate(CENTRES)]
    names = [f"{index:06d}" for index in range(frames)]
    labels = dict(enumerate(load("default").label_names, start=1))
    capture = CaptureSummary("made", names, 12.0, cameras, labels, WorldFrame.identity())
    model = FittedHead.build(load_config(asset_path("configs/demo.yaml"), ["texture_size=128"]), capture)
    model.visited.fill_(True)
    return model.eval()


def write_run(folder: Path, model: FittedHead, capture: str = "nowhere") -> Path:
    """Write what `load_run` reads; returns the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    save_settings(model.config, RunArgs(capture=capture, out=str(folder)), folder)
    state = {PREFIX + name: value for name, value in model.state_dict().items()}
    content = {"state_dict": state, "global_step": 0, **model.identification()}
    keep_checkpoint(folder, lambda path: torch.save(content, path))
    return folder

"""Pictures of the fitted model, seen by the capture's own cameras."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PIL import Image
from tqdm import tqdm

from headfit.files import failures_named, make_folder
from headfit.fitting.model import FittedHead


def render_pictures(model: FittedHead, out: Path, cameras: Sequence[str] = ()) -> int:
    """Write `out/<camera>/<frame>.png` for every fitted frame; returns the number of pictures.

    Args:
        model: the fitted head.
        out: folder to write.
        cameras: ids of the capture's cameras; none for all of them.

    Raises:
        HeadfitError: the capture has no camera of an id, or a picture cannot be written.
    """
    capture = model.capture
    indices = [capture.camera_index(name) for name in dict.fromkeys(cameras)] or range(len(capture.cameras))
    views = [(capture.cameras[camera], frame) for camera in indices for frame in range(len(capture.frames))]
    for camera, frame in tqdm(views, desc="render", unit="picture"):
        folder = out / camera.id
        make_folder(folder)
        picture = folder / f"{capture.frames[frame]}.png"
        with failures_named(picture):
            Image.fromarray(model.render(camera, frame)["rgb"]).save(picture)
    return len(views)

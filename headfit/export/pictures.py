"""Pictures of the fitted model, seen by the capture's own cameras."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image
from tqdm import tqdm

if TYPE_CHECKING:
    from headfit.fitting.run import Run


def render_pictures(run: Run, out: Path, cameras: Sequence[str] = ()) -> int:
    """Write `out/<camera>/<frame>.png` for every fitted frame; returns the number of pictures.

    cameras: ids of the capture's cameras, none for all of them. Raises HeadfitError for an id that the
    capture does not have.
    """
    capture = run.capture
    indices = [capture.camera_index(name) for name in dict.fromkeys(cameras)] or range(len(capture.cameras))
    chosen = [capture.cameras[index] for index in indices]
    views = [(camera, index) for camera in chosen for index in range(len(run.frames))]
    for camera, index in tqdm(views, desc="render", unit="picture"):
        folder = out / camera.id
        folder.mkdir(parents=True, exist_ok=True)
        rgb = run.render(camera, index)["rgb"]
        Image.fromarray(rgb).save(folder / f"{run.frames[index]}.png")
    return len(views)

"""Pictures of the fitted model, seen by the capture's own cameras."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PIL import Image
from tqdm import tqdm

from headfit.capture.summary import CaptureSummary
from headfit.errors import HeadfitError
from headfit.files import failures_named, make_folder
from headfit.fitting.model import FittedHead


def render_pictures(
    model: FittedHead, out: Path, cameras: Sequence[str] = (), capture: CaptureSummary | None = None
) -> int:
    """Write `out/<camera>/<frame>.png` for every fitted frame; returns the number of pictures.

    Args:
        model: the fitted head.
        out: folder to write.
        cameras: ids of cameras; none for all of them.
        capture: where the cameras are taken from, and which of the fitted frames are rendered, by name; default: the
            capture as it was fitted, with its cameras corrected. A camera that was not fitted shows the mean colours.

    Raises:
        HeadfitError: there is no camera of an id, none of the frames was fitted, or a picture cannot be written.
    """
    shown = model.corrected_cameras() if capture is None else capture.cameras
    fitted, capture = model.capture.frames, capture or model.capture
    indices = [capture.camera_index(name) for name in dict.fromkeys(cameras)] or range(len(capture.cameras))
    frames = [index for index, name in enumerate(fitted) if name in set(capture.frames)]
    if not frames:
        raise HeadfitError(f"capture {capture.name} has none of the fitted frames {fitted[0]} to {fitted[-1]}")
    views = [(shown[camera], frame) for camera in indices for frame in frames]
    for camera, frame in tqdm(views, desc="render", unit="picture"):
        folder = out / camera.id
        make_folder(folder)
        picture = folder / f"{fitted[frame]}.png"
        with failures_named(picture):
            Image.fromarray(model.render(camera, frame)["rgb"]).save(picture)
    return len(views)

"""A scene for nerfstudio, gsplat's and other trainers of splats: pinhole pictures, masks, cameras, initial points."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import trimesh

from headfit.capture.camera import Camera
from headfit.export.scene import Scene, SceneView, save_picture
from headfit.export.take import FrameWriter, Take
from headfit.files import make_folder, write_text


@contextmanager
def nerfstudio_writer(folder: Path, take: Take) -> Iterator[FrameWriter]:
    """The folder `nerfstudio`: `transforms_<frame>.json`, one scene that stands still for each frame, with the fitted
    vertices as initial points; and `transforms.json` of the whole take, whose pictures have a time from 0 to 1.

    Raises HeadfitError without the capture.
    """
    scene = Scene.of(take, "nerfstudio")
    out = folder / "nerfstudio"
    make_folder(out)
    everything: list[dict[str, Any]] = []

    def write(frame: int, surfaces: list[tuple[np.ndarray, np.ndarray]]) -> None:
        if not scene.has(frame):
            return
        name = take.frames[frame]
        cloud = trimesh.PointCloud(scene.points(surfaces), scene.colours)
        (out / f"points_{name}.ply").write_bytes(cloud.export(file_type="ply"))
        views = [_write_view(out, view, name, take) for view in scene.views(frame)]
        write_text(out / f"transforms_{name}.json", _content(views, ply_file_path=f"points_{name}.ply"))
        time = frame / max(1, len(take.frames) - 1)
        everything.extend(view | {"time": time, "frame": name} for view in views)

    yield write
    write_text(out / "transforms.json", _content(everything, fps=take.fps))


def _content(views: list[dict[str, Any]], **more: Any) -> str:
    return json.dumps({"camera_model": "PINHOLE", **more, "frames": views}, indent=1)


def _write_view(out: Path, view: SceneView, frame: str, take: Take) -> dict[str, Any]:
    """Write picture and mask of a view; its entry."""
    entry = camera_entry(view.camera.pinhole, take.origin)
    pictures = {"file_path": ("images", view.image), "mask_path": ("masks", view.mask)}
    for key, (kind, picture) in pictures.items():
        if picture is not None:
            entry[key] = f"{kind}/{view.camera.given.id}/{frame}.png"
            save_picture(picture, out / entry[key])
    return entry


def camera_entry(camera: Camera, origin: np.ndarray) -> dict[str, Any]:
    """A pinhole camera as nerfstudio wants it: pixels count from the corner, the pose is camera to world with OpenGL's
    axes (x right, y up, z backward)."""
    pose = np.eye(4)
    pose[:3, :3] = camera.R.T @ np.diag([1.0, -1.0, -1.0])
    pose[:3, 3] = camera.centre - origin
    (fx, _, cx), (_, fy, cy) = camera.K[:2].tolist()
    return {
        "w": camera.width, "h": camera.height, "fl_x": fx, "fl_y": fy, "cx": cx, "cy": cy,
        "transform_matrix": pose.tolist(),
    }  # fmt: skip

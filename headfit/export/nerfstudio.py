"""A scene for nerfstudio, gsplat's and other trainers of splats: pinhole pictures, masks, cameras, initial points."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import trimesh
from PIL import Image

from headfit.capture.camera import Camera
from headfit.errors import HeadfitError, some_of
from headfit.export.scene_pictures import SceneCamera
from headfit.export.take import FrameWriter, MeshSequence, Take
from headfit.files import make_folder, write_text


@contextmanager
def nerfstudio_writer(folder: Path, take: Take) -> Iterator[FrameWriter]:
    """The folder `nerfstudio`: `transforms_<frame>.json`, one scene that stands still for each frame, with the fitted
    vertices as initial points; and `transforms.json` of the whole take, whose pictures have a time from 0 to 1.

    Raises HeadfitError without the capture.
    """
    if take.open_capture is None:
        raise HeadfitError("the format nerfstudio needs the pictures of the capture: name it by --capture")
    source = take.open_capture()
    out = folder / "nerfstudio"
    make_folder(out)
    cameras = [SceneCamera(source, source.camera_index(camera.id), camera) for camera in take.cameras()]
    colours = [_vertex_colours(mesh) for mesh in take.meshes]
    missing = [name for name in take.frames if name not in source.frames]
    if missing:
        take.notes.append(f"the capture has no frames {some_of(missing)}: not in the scene")
    everything: list[dict[str, Any]] = []

    def write(frame: int, surfaces: list[tuple[np.ndarray, np.ndarray]]) -> None:
        name = take.frames[frame]
        if name in missing:
            return
        points = np.concatenate([vertices - take.origin for vertices, _ in surfaces])
        cloud = trimesh.PointCloud(points, np.concatenate(colours))
        (out / f"points_{name}.ply").write_bytes(cloud.export(file_type="ply"))
        views = [view for camera in cameras if (view := _write_view(out, camera, source.frames.index(name), take))]
        write_text(out / f"transforms_{name}.json", _scene(views, ply_file_path=f"points_{name}.ply"))
        time = frame / max(1, len(take.frames) - 1)
        everything.extend(view | {"time": time, "frame": name} for view in views)

    yield write
    write_text(out / "transforms.json", _scene(everything, fps=take.fps))


def _scene(views: list[dict[str, Any]], **more: Any) -> str:
    return json.dumps({"camera_model": "PINHOLE", **more, "frames": views}, indent=1)


def _write_view(out: Path, camera: SceneCamera, frame: int, take: Take) -> dict[str, Any] | None:
    """Write picture and mask of a view; its entry, or None where there is no picture."""
    image = camera.image(frame)
    if image is None:
        return None
    entry = camera_entry(camera.pinhole, take.origin)
    pictures = {"file_path": ("images", image), "mask_path": ("masks", camera.foreground(frame))}
    for key, (kind, picture) in pictures.items():
        if picture is not None:
            path = f"{kind}/{camera.given.id}/{camera.source.frames[frame]}.png"
            make_folder((out / path).parent)
            Image.fromarray(picture).save(out / path)
            entry[key] = path
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


def _vertex_colours(mesh: MeshSequence) -> np.ndarray:
    """The texture's colour `[V,3]` uint8 at each vertex, at one of its UVs; grey for a vertex without faces."""
    of_vertex, uvs, _ = mesh.topology.split_at_seams()
    height, width, _ = mesh.texture.shape
    column, row = (uvs * [width, -height] + [0, height]).astype(int).T
    colours = np.full((mesh.vertex_count, 3), 128, np.uint8)
    colours[of_vertex] = mesh.texture[row.clip(0, height - 1), column.clip(0, width - 1)]
    return colours

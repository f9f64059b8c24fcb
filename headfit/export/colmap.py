"""A project of COLMAP for each frame, for trainers of splats that begin from one: pictures, masks and a sparse model.

Source of the format: COLMAP's doc/format.rst. Numbers are little endian.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from headfit.capture.camera import Camera
from headfit.capture.layouts.colmap_files import MODELS
from headfit.export.scene import Scene, SceneView, save_picture
from headfit.export.take import FrameWriter, Take
from headfit.files import make_folder
from headfit.types import Float

#: COLMAP's number of the model that the cameras have.
PINHOLE = list(MODELS).index("PINHOLE")
#: A point of points3D.bin that no picture was matched to: id, position, colour, error (pixels), length of its track.
POINT = np.dtype([("id", "<u8"), ("xyz", "<f8", 3), ("rgb", "u1", 3), ("error", "<f8"), ("track", "<u8")])


@contextmanager
def colmap_writer(folder: Path, take: Take) -> Iterator[FrameWriter]:
    """The folders `colmap/<frame>`, each a project with `images`, `masks` and `sparse/0`.

    Cameras are centred: the trainer of the first Gaussian splatting and many after it read fields of view alone.
    Raises HeadfitError without the capture.
    """
    scene = Scene.of(take, "colmap", centred=True)

    def write(frame: int, surfaces: list[tuple[np.ndarray, np.ndarray]]) -> None:
        if scene.has(frame):
            _write_project(folder / "colmap" / take.frames[frame], scene, frame, scene.points(surfaces))

    yield write


def _write_project(out: Path, scene: Scene, frame: int, points: Float) -> None:
    cameras, images = [], []
    for view in scene.views(frame):
        name = f"{view.camera.given.id}.png"
        save_picture(view.image, out / "images" / name)
        if view.mask is not None:
            save_picture(view.mask, out / "masks" / f"{name}.png")  # COLMAP appends the suffix
        cameras.append(_camera_record(view))
        images.append(_image_record(view, name, scene.take.origin))
    model = out / "sparse" / "0"
    make_folder(model)
    (model / "cameras.bin").write_bytes(struct.pack("<Q", len(cameras)) + b"".join(cameras))
    (model / "images.bin").write_bytes(struct.pack("<Q", len(images)) + b"".join(images))
    records = np.zeros(len(points), POINT)
    records["id"], records["xyz"], records["rgb"] = np.arange(1, len(points) + 1), points, scene.colours
    (model / "points3D.bin").write_bytes(struct.pack("<Q", len(points)) + records.tobytes())


def _camera_record(view: SceneView) -> bytes:
    """Id (from 1), model, size, fx, fy, cx, cy; pixels count from the corner."""
    camera: Camera = view.camera.pinhole
    (fx, _, cx), (_, fy, cy) = camera.K[:2].tolist()
    return struct.pack("<IiQQ4d", view.number + 1, PINHOLE, camera.width, camera.height, fx, fy, cx, cy)


def _image_record(view: SceneView, name: str, origin: Float) -> bytes:
    """Id, rotation from the world as a quaternion (w first), translation, camera, name, and no features."""
    camera = view.camera.pinhole
    x, y, z, w = Rotation.from_matrix(camera.R).as_quat().tolist()
    t = (camera.t + camera.R @ origin).tolist()
    pose = struct.pack("<I7dI", view.number + 1, w, x, y, z, *t, view.number + 1)
    return pose + name.encode() + b"\0" + struct.pack("<Q", 0)

"""`transforms.json` of nerfstudio, instant-ngp and Blender's NeRF scenes: each picture is a camera.

`transform_matrix` is camera to world with OpenGL axes (x right, y up, z backward); pixels count from the corner.
Intrinsics stand at the top or in each frame. nerfstudio's `applied_transform` is taken back, which leads to COLMAP's
world again.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from headfit.capture.layouts import content, entries
from headfit.capture.layouts.options import ImportOptions
from headfit.capture.layouts.pictures import named_pictures
from headfit.capture.lenses.convert import convert_lens
from headfit.errors import HeadfitError
from headfit.files import damage_named, read_json
from headfit.types import Float

SPLITS = ("train", "val", "test")
#: Values of camera_model that can be read; all but the last with what OpenCV calls k1 k2 k3 p1 p2, and k4.
MODELS = ("", "PINHOLE", "SIMPLE_PINHOLE", "PERSPECTIVE", "SIMPLE_RADIAL", "RADIAL", "OPENCV", "OPENCV_FISHEYE")
#: Bytes of a file in which a frame must begin.
START = 1 << 16


def recognise(source: Path) -> bool:
    """Whether `source` is a transforms*.json, or a folder with one, and not of VHAP's kind."""
    return is_there(source) and not has_timesteps(source)


def is_there(source: Path) -> bool:
    """Whether `source` is a transforms*.json of any kind, or a folder with one."""
    return bool(_files(source))


def has_timesteps(source: Path) -> bool:
    """Whether the frames say which camera and which timestep they are, as in VHAP."""
    return {"timestep_index", "camera_index"} <= set(frames_of(source)[0])


def read(source: Path, options: ImportOptions) -> dict[str, Any]:
    """The content of capture.json. `source`: a transforms*.json or its folder, in which the splits are joined."""
    frames = frames_of(source)
    folder = source if source.is_dir() else source.parent
    names, pictures = named_pictures([Path(str(frame["file_path"])) for frame in frames], folder, options)
    cameras = []
    by_name = dict(zip(names, frames, strict=True))
    for name in content.with_pictures(names, pictures, options):
        frame = by_name[name]
        with damage_named(source, f"a transforms.json (frame {frame['file_path']})"):
            known = stated_size(frame)
            size = known or (pictures.size(name) if pictures else None)
            size = size or content.calibrated_size(options, str(source), " (800x800 for the NeRF scenes of Blender)")
            R, t = pose(frame)
            K, lens = intrinsics(frame, size)
            cameras.append(content.fitted(entries.camera(name, size, K, R, t, lens), pictures, options))
    options.unscaled()
    return content.content(folder.name, cameras, options, pictures=pictures)


def _files(source: Path) -> list[Path]:
    if source.is_file():
        is_one = source.suffix == ".json" and b'"transform_matrix"' in source.open("rb").read(START)
        return [source] if is_one else []
    whole = source / "transforms.json"
    return [whole] if whole.is_file() else [f for s in SPLITS if (f := source / f"transforms_{s}.json").is_file()]


def frames_of(source: Path) -> list[dict[str, Any]]:
    """The frames of a transforms.json, or of all splits in a folder, each with what stands at the top of its file."""
    frames = []
    for file in [source] if source.is_file() else _files(source):
        values = read_json(file)
        listed = values.get("frames") if isinstance(values, dict) else None
        if not isinstance(listed, list) or not all(isinstance(f, dict) and "transform_matrix" in f for f in listed):
            raise HeadfitError(f"{file}: expected an object with 'frames', each with a 'transform_matrix'")
        top = {key: value for key, value in values.items() if key != "frames"}
        frames += [top | {"file_path": f"{index:06d}"} | frame for index, frame in enumerate(listed)]
    if not frames:
        raise HeadfitError(f"{source}: no frames in it")
    return frames


def stated_size(frame: Mapping[str, Any]) -> tuple[int, int] | None:
    """Width and height that a frame states: whole numbers, also written as 1080.0 or "1080"."""
    return (round(float(frame["w"])), round(float(frame["h"]))) if "w" in frame and "h" in frame else None


def pose(frame: Mapping[str, Any]) -> tuple[Float, Float]:
    """R, t from world to camera of a frame."""
    c2w = entries.numbers(np.array(frame["transform_matrix"], dtype=float).ravel()[:12], 3, 4)
    if "applied_transform" in frame:
        applied = entries.numbers(np.array(frame["applied_transform"], dtype=float).ravel()[:12], 3, 4)
        back = np.linalg.inv(np.vstack([applied, [0, 0, 0, 1]]))
        c2w = (back @ np.vstack([c2w, [0, 0, 0, 1]]))[:3]
    return entries.inverse_pose(c2w, gl_axes=True)


def intrinsics(frame: Mapping[str, Any], size: tuple[int, int]) -> tuple[Float, dict[str, Any]]:
    """K and the lens of a frame.

    Args:
        frame: with what stands at the top of the file.
        size: width and height of the picture for which they hold.
    """

    def focal(key: str, axis: str, side: int) -> float | None:
        if key in frame:
            return float(frame[key])
        degrees, radians = frame.get(f"{axis}_fov"), frame.get(f"camera_angle_{axis}")
        angle = np.deg2rad(float(degrees)) if degrees is not None else float(radians) if radians is not None else None
        return side / (2 * np.tan(angle / 2)) if angle else None

    fx, fy = focal("fl_x", "x", size[0]), focal("fl_y", "y", size[1])
    if fx is None and fy is None:
        raise HeadfitError("no focal length: expected fl_x, camera_angle_x or x_fov")
    cx, cy = float(frame.get("cx", size[0] / 2)), float(frame.get("cy", size[1] / 2))
    K = entries.matrix_K(fx or fy or 0.0, fy or fx or 0.0, cx, cy)
    names = ("k1", "k2", "k3", "k4", "p1", "p2")
    listed = frame.get("distortion_params")
    values = dict(zip(names, listed, strict=False)) if listed else {name: frame.get(name, 0) for name in names}
    given = {name: float(values.get(name) or 0) for name in names}
    model = str(frame.get("camera_model", "")).upper()
    if model not in MODELS or frame.get("ftheta_p0") or frame.get("is_ftheta"):
        raise HeadfitError(
            f"the camera model {model or 'ftheta'} is not supported, only {', '.join(filter(None, MODELS))}"
        )
    fisheye = model == "OPENCV_FISHEYE" or frame.get("is_fisheye")
    if fisheye:
        del given["p1"], given["p2"]
    lens, K, _ = convert_lens("nerfstudio/OPENCV_FISHEYE" if fisheye else "nerfstudio/OPENCV", given, K, size)
    return K, lens

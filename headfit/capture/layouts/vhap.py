"""`transforms.json` of VHAP and GaussianAvatars: cameras that stand still, and frames by timestep.

As in `transforms`, but each entry has `timestep_index` and `camera_index`, and VHAP writes `cy` as it is with OpenGL's
axes: from the bottom of the picture (vhap/util/camera.py, convert_camera_convention). GaussianAvatars reads only the
field of view, so nobody notices, and scripts that write this layout by hand leave it from the top. The world is not the
calibration's: VHAP turns it, and moves it to the head.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from headfit.capture.layouts import content, entries, transforms
from headfit.capture.layouts.options import ImportOptions
from headfit.capture.layouts.pictures import Pictures, files_of, numbered_pattern
from headfit.capture.manifest import parse_manifest
from headfit.capture.native import NativeCapture
from headfit.capture.observations import agreement, observe_features
from headfit.errors import HeadfitError
from headfit.files import damage_named

#: Keys that only VHAP's own writer adds.
OWN_KEYS = ("timestep_index_original", "timestep_id", "flame_param_path")
#: The other reading of cy is taken where it leaves less than this share of the residual, and is so many pixels better.
OTHER_SHARE, OTHER_PIXELS = 0.6, 0.3
#: Metres by which the pose of a camera may differ between timesteps.
STILL = 1e-4


def recognise(source: Path) -> bool:
    """Whether `source` is, or holds, a transforms.json whose frames have a timestep and a camera."""
    return transforms.is_there(source) and transforms.has_timesteps(source)


def read(source: Path, options: ImportOptions) -> dict[str, Any]:
    """The content of capture.json. `source`: a transforms*.json or its folder, in which the splits are joined."""
    frames = transforms.frames_of(source)
    folder = source if source.is_dir() else source.parent
    with damage_named(source, "a transforms.json of VHAP"):
        indices = [(int(frame["camera_index"]), int(frame["timestep_index"])) for frame in frames]
        found = _pictures(frames, indices, folder, "file_path")
        if found is None:
            raise HeadfitError("the file_path of its frames is not named by timestep and camera index")
        pattern, names, timesteps = found
        there = {name: files_of(pattern.replace("{camera}", name)) for name in names.values()}
        first = {name: next(iter(files.values())) for name, files in there.items() if files}
        ordered = [timesteps[index] for index in sorted(timesteps)]
        chosen = [ordered[index] for index in options.selection.frame_indices(ordered)]
        pictures = Pictures(pattern, chosen, first) if first else None
        cameras = []
        numbers = {name: index for index, name in sorted(names.items())}
        for name in content.with_pictures(list(numbers), pictures, options):
            own = [frame for frame, (camera, _) in zip(frames, indices, strict=True) if camera == numbers[name]]
            cameras.append(_camera(name, own, pictures, options))
    masks = _pictures(frames, indices, folder, "fg_mask_path")
    made = content.content(
        folder.name,
        cameras,
        options,
        pictures=pictures,
        masks={"path": masks[0], "labels": "matte"} if masks and masks[1] == names and pictures else None,
    )
    return _with_principal_points(made, folder, any(key in frames[0] for key in OWN_KEYS), options)


def _with_principal_points(
    made: dict[str, Any], folder: Path, from_bottom: bool, options: ImportOptions
) -> dict[str, Any]:
    """The content with cy as the pictures have it, where it was read as the file's keys suggest.

    Args:
        made: the content; its cy are meant from the top.
        folder: the source.
        from_bottom: how cy was read.
        options: get a note where it matters.
    """
    if all(abs(2 * camera["K"][1][2] - camera["height"]) < 1 for camera in made["cameras"]):
        return made
    ways = ("bottom", "top") if from_bottom else ("top", "bottom")
    given, other = _residuals(made, folder)
    if other < OTHER_SHARE * given and given - other > OTHER_PIXELS:
        options.notes.append(f"cy is read from the {ways[1]}: pictures agree to {other:.2g} px so, else to {given:.2g}")
        return made | {"cameras": [_flipped(camera) for camera in made["cameras"]]}
    evidence = f"pictures agree to {given:.2g} px so, else to {other:.2g}"
    if not given < other:
        evidence = f"its keys are {'' if from_bottom else 'not '}those of VHAP's writer. No pictures could confirm it"
    options.notes.append(f"cy is read from the {ways[0]}: {evidence}")
    return made


def _flipped(camera: dict[str, Any]) -> dict[str, Any]:
    K = np.array(camera["K"])
    K[1, 2] = camera["height"] - K[1, 2]
    return camera | {"K": K.tolist()}


def _residuals(made: dict[str, Any], folder: Path) -> tuple[float, float]:
    """Pixels by which matched features of the first frame disagree, as read and with cy from the other side; nan where
    there are too few."""
    if "images" not in made:
        return float("nan"), float("nan")
    seen = observe_features(NativeCapture(folder, parse_manifest(made, folder)), 0)
    if seen is None:
        return float("nan"), float("nan")
    readings = (made, made | {"cameras": [_flipped(camera) for camera in made["cameras"]]})
    given, other = (agreement(parse_manifest(reading, folder).cameras, seen).residual for reading in readings)
    return given, other


def _pictures(
    frames: Sequence[dict[str, Any]], indices: Sequence[tuple[int, int]], folder: Path, key: str
) -> tuple[str, dict[int, str], dict[int, str]] | None:
    """The absolute pattern of the files that the frames name by `key`; see `numbered_pattern`."""
    if any(key not in frame for frame in frames):
        return None
    found = numbered_pattern([(*pair, str(frame[key])) for pair, frame in zip(indices, frames, strict=True)])
    return (str(folder / found[0]), *found[1:]) if found else None


def _camera(
    name: str, frames: Sequence[dict[str, Any]], pictures: Pictures | None, options: ImportOptions
) -> dict[str, Any]:
    poses = [transforms.pose(frame) for frame in frames]
    R, t = poses[0]
    if max(float(np.abs(np.c_[other[0] - R, other[1] - t]).max()) for other in poses) > STILL:
        raise HeadfitError(f"camera {name} moves between timesteps; headfit's cameras stand still")
    size = transforms.stated_size(frames[0]) or (pictures.size(name) if pictures else None)
    size = size or content.calibrated_size(options, "transforms.json")
    K, lens = transforms.intrinsics(frames[0], size)
    if any(key in frames[0] for key in OWN_KEYS):
        K[1, 2] = size[1] - K[1, 2]
    return content.fitted(entries.camera(name, size, K, R, t, lens), pictures, options)

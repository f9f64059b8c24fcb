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
from headfit.errors import HeadfitError
from headfit.files import damage_named

#: Keys that only VHAP's own writer adds.
OWN_KEYS = ("timestep_index_original", "timestep_id", "flame_param_path")
#: Metres by which the pose of a camera may differ between timesteps.
STILL = 1e-4


def recognise(source: Path) -> bool:
    """Whether `source` is, or holds, a transforms.json whose frames have a timestep and a camera."""
    return transforms.recognise(source) and {"timestep_index", "camera_index"} <= set(transforms.frames_of(source)[0])


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
        chosen = [timesteps[index] for index in sorted(timesteps)][options.frame_slice()]
        pictures = Pictures(pattern, chosen, first) if first else None
        cameras = []
        numbers = {name: index for index, name in sorted(names.items())}
        for name in content.with_pictures(list(numbers), pictures, options):
            own = [frame for frame, (camera, _) in zip(frames, indices, strict=True) if camera == numbers[name]]
            cameras.append(_camera(name, own, pictures, options))
    masks = _pictures(frames, indices, folder, "fg_mask_path")
    return content.content(
        folder.name,
        cameras,
        options,
        pictures=pictures,
        masks={"path": masks[0], "labels": "matte"} if masks and masks[1] == names and pictures else None,
    )


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

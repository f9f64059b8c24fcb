"""A sparse model of COLMAP, text or binary, with or without rigs and frames.

Poses are world to camera with OpenCV's axes, pixels count from the corner, the unit is arbitrary. A registered image
becomes a camera of its own, unless a rig or the folders of the images say that cameras stand still over several frames.
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import numpy as np

from headfit.capture.layouts import content, entries
from headfit.capture.layouts.colmap_files import Model, Picture, Pose, read_model
from headfit.capture.layouts.options import ImportOptions
from headfit.capture.layouts.pictures import IMAGE_FOLDERS, Pictures, find_pictures, named_pictures
from headfit.capture.lenses.convert import colmap_camera, convert_lens
from headfit.errors import HeadfitError

#: Where a model is in a project, and where its images are as seen from the model.
MODEL_FOLDERS = (".", "sparse/0", "sparse", "colmap/sparse/0", "colmap/sparse", "distorted/sparse/0", "bin", "txt")
#: Difference of poses (of entries of R, and of t as a share of the rig's size) up to which a camera stands still.
STILL = 1e-3


class Standing(NamedTuple):
    """A camera that stands still: its pose, and its registered images."""

    pose: Pose
    images: list[Picture]


def recognise(source: Path) -> bool:
    """Whether `source` is a model's folder, one of its files, or a project with a model in it."""
    return _model_folder(source) is not None


def read(source: Path, options: ImportOptions) -> dict[str, Any]:
    """The content of capture.json. `source`: the model, one of its files, or the project around it."""
    folder = _model_folder(source)
    if folder is None:
        raise HeadfitError(f"{source}: no cameras.txt and images.txt, or .bin, in it or its sparse/0")
    model = read_model(folder)
    base = source if options.images and source.is_dir() else folder
    roots = [base / name for name in IMAGE_FOLDERS]
    standing = _by_rig(model) or _by_folder(model)
    if standing:
        names, pictures = list(standing), _sequences(standing, roots, options)
        cameras = list(standing.values())
    else:
        cameras = [Standing(image.pose, [image]) for image in model.images.values()]
        names, pictures = named_pictures([Path(image.name) for image in model.images.values()], base, options)
    found = []
    by_name = dict(zip(names, cameras, strict=True))
    for name in content.with_pictures(names, pictures, options):
        pose, images = by_name[name]
        sensor = model.sensors[images[0].sensor]
        K, params = colmap_camera(sensor.model, sensor.params)
        size = sensor.width, sensor.height
        lens, K, _ = convert_lens(f"colmap/{sensor.model}", params, K, size, name)
        entry = entries.camera(name, size, K, *pose, lens)
        found.append(content.fitted(entry, pictures, options))
    options.unscaled()
    return content.content(folder.name, found, options, pictures=pictures)


def _model_folder(source: Path) -> Path | None:
    if source.is_file():
        return _model_folder(source.parent) if source.stem in ("cameras", "images", "rigs", "frames") else None
    for name in MODEL_FOLDERS:
        for suffix in (".bin", ".txt"):
            if all((source / name / (stem + suffix)).is_file() for stem in ("cameras", "images")):
                return source / name
    return None


def _by_rig(model: Model) -> dict[str, Standing] | None:
    """The cameras of the largest rig over its frames, in the world of the first; None where there is no such rig.

    A rig's cameras stand still against each other even where the rig is moved, or the head turns and the reconstruction
    takes that for a movement of the rig.
    """
    known = {name: sensors for name, sensors in model.rigs.items() if None not in sensors.values()}
    rig = max(known, key=lambda name: len(known[name]), default=None)
    if rig is None or len(known[rig]) < 2:
        return None
    frames = [(pose, images) for _, (number, pose, images) in sorted(model.frames.items()) if number == rig]
    if not frames:
        return None
    R, t = frames[0][0]
    images: dict[int, list[Picture]] = defaultdict(list)
    for _, members in frames:
        for member in members:
            if member in model.images:
                images[model.images[member].sensor].append(model.images[member])
    poses = {sensor: pose for sensor, pose in known[rig].items() if pose is not None and images[sensor]}
    folders = {sensor: PurePosixPath(images[sensor][0].name).parent.name for sensor in poses}
    unique = len(set(folders.values())) == len(folders) and all(folders.values())
    return {
        folders[sensor] if unique else str(sensor): Standing((S @ R, S @ t + s), images[sensor])
        for sensor, (S, s) in poses.items()
    }


def _by_folder(model: Model) -> dict[str, Standing] | None:
    """The folders of the images as cameras; None where they are not: a name of theirs is in one folder only, or the
    images of a folder differ in pose."""
    folders: dict[str, list[Picture]] = defaultdict(list)
    for image in model.images.values():
        folders[str(PurePosixPath(image.name).parent)].append(image)
    stems = [PurePosixPath(image.name).stem for image in model.images.values()]
    names = [PurePosixPath(folder).name for folder in folders]
    if len(folders) < 2 or len(set(stems)) == len(stems) or len(set(names)) < len(names):
        return None
    size = float(np.linalg.norm(np.ptp([-R.T @ t for R, t in (i.pose for i in model.images.values())], axis=0)))
    for images in folders.values():
        R, t = images[0].pose
        if any(np.abs(i.pose[0] - R).max() > STILL or np.abs(i.pose[1] - t).max() > STILL * size for i in images):
            return None
    return {name: Standing(images[0].pose, images) for name, images in zip(names, folders.values(), strict=True)}


def _sequences(standing: dict[str, Standing], roots: list[Path], options: ImportOptions) -> Pictures | None:
    """Pictures of cameras that are folders."""
    above = {PurePosixPath(image.name).parent.parent for camera in standing.values() for image in camera.images}
    prefix = above.pop() if len(above) == 1 else PurePosixPath()
    return find_pictures([f"{root / prefix}/{{camera}}/{{frame}}" for root in roots], list(standing), options, roots[0])

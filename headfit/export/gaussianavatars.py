"""The folder that VHAP writes and GaussianAvatars reads: pictures on white, masks, cameras by timestep, and a mesh for
each timestep.

Sources: VHAP's export_as_nerf_dataset.py (with flame_mode mesh), GaussianAvatars' scene/dataset_readers.py.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from headfit.export.nerfstudio import camera_entry
from headfit.export.scene import Scene, SceneView, save_picture
from headfit.export.static_formats import obj_writer
from headfit.export.take import FrameWriter, Take
from headfit.files import make_folder, write_text

#: The first timesteps, of which the trainer learns; the others are its test.
TRAIN_SHARE = 0.7


@contextmanager
def gaussianavatars_writer(folder: Path, take: Take) -> Iterator[FrameWriter]:
    """The folder `gaussianavatars`: `transforms.json` and its splits, `images`, `fg_masks`, `meshes`.

    Cameras are centred, since GaussianAvatars reads fields of view alone. Raises HeadfitError without the capture.
    """
    scene = Scene.of(take, "gaussianavatars", centred=True)
    out = folder / "gaussianavatars"
    entries: list[dict[str, Any]] = []
    with ExitStack() as stack:
        writers = []
        for mesh in take.meshes:
            own = out / "meshes" if mesh is take.meshes[0] else out / "meshes" / mesh.name
            make_folder(own)
            writers.append(stack.enter_context(obj_writer(own, take, mesh)))

        def write(frame: int, surfaces: list[tuple[np.ndarray, np.ndarray]]) -> None:
            if scene.has(frame):
                for write_mesh, (vertices, normals) in zip(writers, surfaces, strict=True):
                    write_mesh(f"{frame:05d}", vertices, normals)
                entries.extend(_write_view(out, view, frame, take) for view in scene.views(frame))

        yield write
    _write_transforms(out, entries, [scene.cameras[i].given.id for i in _validation_cameras(take)])


def _write_view(out: Path, view: SceneView, frame: int, take: Take) -> dict[str, Any]:
    """Write picture and mask of a view; its entry."""
    name = f"{frame:05d}_{view.number:02d}.png"
    entry: dict[str, Any] = {
        "timestep_index": frame,
        "timestep_index_original": frame,
        "timestep_id": take.frames[frame],
        "camera_index": view.number,
        "camera_id": view.camera.given.id,
        "file_path": f"images/{name}",
        "mesh_path": f"meshes/{frame:05d}.obj",
    } | camera_entry(view.camera.pinhole, take.origin)
    for axis, side, focal in (("x", "w", "fl_x"), ("y", "h", "fl_y")):
        entry[f"camera_angle_{axis}"] = 2 * float(np.arctan(entry[side] / (2 * entry[focal])))
    image = view.image
    if view.mask is not None:
        image = np.where(view.mask[..., None] > 0, image, np.uint8(255))
        entry["fg_mask_path"] = f"fg_masks/{name}"
        save_picture(view.mask, out / entry["fg_mask_path"])
    save_picture(image, out / entry["file_path"])
    return entry


def _validation_cameras(take: Take) -> list[int]:
    """The cameras that the fit did not see; where it saw all, the last one of several."""
    every = range(len(take.model.capture.cameras))
    unseen = [index for index in every if index not in take.model.training_cameras]
    return unseen or list(every)[1:][-1:]


def _write_transforms(out: Path, entries: list[dict[str, Any]], validation: list[str]) -> None:
    """Write all entries, and the splits: train and val have the first timesteps, in different cameras; test has the
    last ones in all cameras."""
    timesteps = sorted({entry["timestep_index"] for entry in entries})
    early = set(timesteps[: int(np.ceil(TRAIN_SHARE * len(timesteps)))])
    splits: dict[str, list[dict[str, Any]]] = {"": entries, "_train": [], "_val": [], "_test": []}
    for entry in entries:
        seen = "_val" if entry["camera_id"] in validation else "_train"
        splits[seen if entry["timestep_index"] in early else "_test"].append(entry)
    for suffix, chosen in splits.items():
        content: dict[str, Any] = {
            key: sorted({entry[of] for entry in chosen})
            for key, of in (("timestep_indices", "timestep_index"), ("camera_indices", "camera_index"))
        }
        write_text(out / f"transforms{suffix}.json", json.dumps(content | {"frames": chosen}, indent=1))

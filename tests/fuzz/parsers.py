"""Every parser of files that others write: good files to start from, and how they are read."""

from __future__ import annotations

import json
import pickle
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
import trimesh

from headfit.capture.decode import decode_image, read_image, read_label_image
from headfit.capture.landmark_files import read_landmarks
from headfit.capture.manifest import read_manifest
from headfit.capture.pattern import Numbering, Pattern
from headfit.capture.storage import Storage
from headfit.capture.summary import CaptureSummary
from headfit.capture.video import Video
from headfit.capture.world import WorldFrame
from headfit.fitting.checkpoints import CHECKPOINT
from headfit.fitting.model import FittedHead
from headfit.fitting.run_folder import PREFIX, load_run
from headfit.fitting.settings import load_settings, save_settings
from headfit.head import load
from headfit.head.importers import import_head
from tests.fuzz import layouts
from tests.support.pictures import exr_bytes

CONFIGS = Path(__file__).parents[2] / "configs"


@dataclass(frozen=True)
class Parser:
    """A kind of file.

    Attributes:
        write: makes good files in a folder and returns the one that is damaged.
        read: reads it, given its path.
        refused: a part of the HeadfitError with which the undamaged file is refused; None if it is read.
    """

    write: Callable[[Path], Path]
    read: Callable[[Path], object]
    refused: str | None = None


def _manifest(folder: Path) -> Path:
    camera = {"id": "cam0", "width": 64, "height": 48, "K": [[60, 0, 32], [0, 60, 24], [0, 0, 1]]}
    camera |= {"lens": {"model": "opencv", "coefficients": [0.1, 0, 0, 0]}}
    camera |= {"R": np.eye(3).tolist(), "t": [0, 0, 1], "rotate": 90, "offset": 1.5}
    content: dict[str, object] = {"name": "c", "fps": 24, "units": "m", "cameras": [camera, {**camera, "id": "cam1"}]}
    content |= {"frames": {"start": 0, "stop": 2, "width": 3}, "classes": {"0": "background", "1": "skin"}}
    content |= {"images": {"path": "a/{camera}_{frame:03d}.png", "offset": 1, "color": [{"gain": [1, 2, 1]}]}}
    content |= {"masks": [{"path": "m.zip/{index}.png", "labels": {"1": "skin"}}, "b/{frame}.png"], "landmarks": "l"}
    (folder / "capture.json").write_text(json.dumps(content))
    return folder / "capture.json"


def _landmarks(folder: Path) -> Path:
    rows = [[float(i), 2.0 * i, 1] for i in range(68)]
    (folder / "l.json").write_text(
        json.dumps({"scheme": "ibug68", "points": [r[:2] for r in rows], "visible": [1] * 68})
    )
    return folder / "l.json"


def _picture(suffix: str, channels: int) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        pixels = np.random.default_rng(0).integers(0, 20, (24, 32, channels), dtype=np.uint8)
        cv2.imwrite(str(folder / f"p{suffix}"), pixels.squeeze())
        return folder / f"p{suffix}"

    return write


def _exr(folder: Path) -> Path:
    (folder / "p.exr").write_bytes(exr_bytes(np.random.default_rng(0).random((24, 32, 3))))
    return folder / "p.exr"


def _zip(folder: Path) -> Path:
    with zipfile.ZipFile(folder / "p.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(_picture(".png", 3)(folder), "a/p.png")
    return folder / "p.zip"


def _read_member(path: Path) -> object:
    """What a pattern with a zip reads; a member that is not there is None."""
    storage, pattern = Storage(), Pattern.parse(path.parent, "p.zip/a/p.png", numbered=True)
    place = storage.find(pattern, "cam0", 0, Numbering.of(["0"]))
    return None if place is None else decode_image(storage.read(place), str(place))


def _video(folder: Path) -> Path:
    path = folder / "v.mp4"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 24, (64, 48))
    for value in range(12):
        writer.write(np.full((48, 64, 3), 10 * value, np.uint8))
    writer.release()
    return path


def _config(folder: Path) -> Path:
    for name in ("fit.yaml", "track.yaml"):
        (folder / name).write_text((CONFIGS / name).read_text())
    return folder / "fit.yaml"


def _checkpoint(folder: Path) -> Path:
    """What a run folder keeps: settings, and a checkpoint with the state of the model and of an optimizer."""
    (folder / "one.yaml").write_text(
        f"texture_size: 64\nhead: {_npz(folder)}\nstages: {{rigid: {{rates: {{scale: 0.1}}, weights: {{mask: 1}}}}}}"
    )
    config, args = load_settings(folder / "one.yaml")
    save_settings(config, args, folder)
    manifest = read_manifest(_manifest(folder).parent)
    fields = (manifest.name, manifest.frames, manifest.fps, manifest.cameras, manifest.label_names)
    model = FittedHead.build(config, CaptureSummary(*fields, WorldFrame.identity()))
    state = {f"{PREFIX}{name}": value for name, value in model.state_dict().items()}
    optimizer = {"state": {0: {"step": torch.zeros(()), "exp_avg": torch.zeros(3)}}, "param_groups": [{"lr": 0.1}]}
    (folder / CHECKPOINT).parent.mkdir()
    content = {"state_dict": state, "optimizer_states": [optimizer], "global_step": 3}
    torch.save({**content, **model.identification()}, folder / CHECKPOINT)
    return folder / CHECKPOINT


def _sphere(folder: Path, suffix: str) -> Path:
    mesh = trimesh.creation.icosphere(subdivisions=2, radius=0.1)
    mesh.export(folder / f"head.{suffix}")
    (folder / "head.yaml").write_text(f"mesh: head.{suffix}\njoints:\n  neck: {{pivot: [0, -0.05, -0.03]}}\n")
    return folder / f"head.{suffix}"


def _mesh_yaml(folder: Path) -> Path:
    return _sphere(folder, "obj").with_name("head.yaml")


def _npz(folder: Path) -> Path:
    """In our own layout, made of a sphere."""
    head = import_head(_mesh_yaml(folder))
    assert head is not None
    np.savez(folder / "head.npz", **head.arrays())
    return folder / "head.npz"


def _pickle(folder: Path) -> Path:
    """FLAME's keys and shapes with an empty face: all of its checks pass, then it is refused for having no eyes."""
    mesh = trimesh.creation.icosphere(subdivisions=1)
    count = len(mesh.vertices)
    arrays = {"v_template": np.array(mesh.vertices), "f": np.array(mesh.faces, np.uint32)}
    arrays |= {"shapedirs": np.zeros((count, 3, 104)), "posedirs": np.zeros((count, 3, 36))}
    arrays |= {"weights": np.ones((count, 5)) / 5, "J_regressor": np.zeros((5, count))}
    arrays["kintree_table"] = np.array([[2**32 - 1, 0, 1, 1, 1], [0, 1, 2, 3, 4]])
    (folder / "head.pkl").write_bytes(pickle.dumps(arrays, protocol=2))
    return folder / "head.pkl"


PARSERS: dict[str, Parser] = {
    "capture.json": Parser(_manifest, lambda path: read_manifest(path.parent)),
    **{
        f"layout {name}": Parser(write, lambda path, name=name: layouts.read(name, path))  # type: ignore[misc]
        for name, write in layouts.WRITERS.items()
    },
    "landmarks": Parser(_landmarks, read_landmarks),
    "mask": Parser(_picture(".png", 1), read_label_image),
    "png": Parser(_picture(".png", 3), read_image),
    "jpeg": Parser(_picture(".jpg", 3), read_image),
    "avif": Parser(_picture(".avif", 3), read_image),
    "webp": Parser(_picture(".webp", 3), read_image),
    "tiff": Parser(_picture(".tif", 3), read_image),
    "exr": Parser(_exr, read_image),
    "zip": Parser(_zip, _read_member),
    "mp4": Parser(_video, lambda path: [Video(path).frame(index) for index in (0, 5)]),
    "configuration": Parser(_config, load_settings),
    "checkpoint": Parser(_checkpoint, lambda path: load_run(path.parents[1])),
    "head npz": Parser(_npz, load),
    "head pickle": Parser(_pickle, load, refused="no vertices belong to the eyes"),
    "head yaml": Parser(_mesh_yaml, load),
    **{
        f"head {suffix}": Parser(
            lambda folder, suffix=suffix: _sphere(folder, suffix),  # type: ignore[misc]
            lambda path: load(path.with_name("head.yaml")),
        )
        for suffix in ("obj", "ply", "glb")
    },
}

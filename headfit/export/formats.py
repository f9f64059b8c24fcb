"""The table of the formats of `headfit export`, and the loop over the frames of a take that feeds them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import torch
from tqdm import tqdm

from headfit.errors import HeadfitError
from headfit.export.colmap import colmap_writer
from headfit.export.curves import curves_writer
from headfit.export.gaussianavatars import gaussianavatars_writer
from headfit.export.glb_animation import glb_animation_writer
from headfit.export.nerfstudio import nerfstudio_writer
from headfit.export.normals import unit_normals
from headfit.export.point_cache import mdd_writer, pc2_writer
from headfit.export.static_formats import glb_writer, npz_writer, obj_writer, of_each_mesh, ply_writer
from headfit.export.take import FormatWriter, Take
from headfit.export.usd import usd_skeleton_writer, usd_writer
from headfit.files import failures_named, make_folder, write_text
from headfit.fitting.model import FittedHead
from headfit.render.geometry import VertexNormals

FORMATS: dict[str, FormatWriter] = {
    "npz": of_each_mesh(npz_writer),
    "ply": of_each_mesh(ply_writer),
    "obj": of_each_mesh(obj_writer),
    "glb": of_each_mesh(glb_writer),
    "glb-animation": glb_animation_writer,
    "usd": usd_writer,
    "usd-skeleton": usd_skeleton_writer,
    "pc2": pc2_writer,
    "mdd": mdd_writer,
    "curves": curves_writer,
    "nerfstudio": nerfstudio_writer,
    "gaussianavatars": gaussianavatars_writer,
    "colmap": colmap_writer,
}


def export_meshes(model: FittedHead, out: Path, formats: Sequence[str]) -> None:
    """Write a fit to the folder `out` in each of `formats`: `write_take` of its take."""
    write_take(Take.of(model), out, formats)


def write_take(take: Take, out: Path, formats: Sequence[str]) -> None:
    """Write a take to the folder `out`, once in each of `formats` (keys of FORMATS; docs/export.md describes them).

    Vertices are in metres in the world axes of the capture; where its origin is far away, formats other than npz
    subtract what `origin.json` then says. The texture's first row is v = 1. Normals are area-weighted over the faces of
    the model, whose vertices are not split at UV seams.

    Raises:
        HeadfitError: a format does not exist, and nothing has been written; or a file cannot be written.
    """
    unknown = [name for name in formats if name not in FORMATS]
    if unknown or not formats:
        raise HeadfitError(
            f"unknown export format {', '.join(unknown) or '(none given)'}; there are {', '.join(FORMATS)}"
        )
    make_folder(out)
    if take.origin.any():
        origin = {"subtracted_metres": take.origin.tolist(), "formats": "all but npz"}
        write_text(out / "origin.json", json.dumps(origin))
    with ExitStack() as stack, failures_named(out):
        opened = [stack.enter_context(FORMATS[name](out, take)) for name in dict.fromkeys(formats)]
        writers = [write for write in opened if write is not None]
        if not writers:
            return
        normals_of = [VertexNormals(torch.from_numpy(m.topology.faces), m.vertex_count) for m in take.meshes]
        for frame in tqdm(range(len(take.frames)), desc="export", unit="frame"):
            vertices = [mesh.vertices_of(frame) for mesh in take.meshes]
            surfaces = [(v, unit_normals(n, v)) for v, n in zip(vertices, normals_of, strict=True)]
            for write in writers:
                write(frame, surfaces)

"""The file formats of `headfit export`: one small writer per format."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
import trimesh
from PIL import Image
from tqdm import tqdm

from headfit.errors import HeadfitError
from headfit.export.topology import MeshTopology
from headfit.files import failures_named, make_folder, write_text
from headfit.fitting.model import FittedHead
from headfit.render.geometry import VertexNormals


@dataclass(frozen=True)
class MeshSequence:
    """What all frames share: topology, texture `[T,T,3]` uint8 RGB (row 0 is v = 1), frame names in order, and frames
    per second.

    origin: `[3]` metres, what formats of 32-bit floats subtract from vertices; 0 unless the world's origin is so far
    away that they could not hold them to a tenth of a millimetre.
    """

    topology: MeshTopology
    texture: np.ndarray
    frames: list[str]
    fps: float
    origin: np.ndarray

    @property
    def coordinates(self) -> str:
        """The coordinates of the vertices in formats that subtract the origin, in words."""
        if not self.origin.any():
            return "metres, world axes of the capture"
        return "metres, world axes of the capture; add ({:.0f}, {:.0f}, {:.0f}) for world coordinates".format(
            *self.origin
        )


#: Writes one frame: its name, its vertices `[V,3]` (metres, world, float64) and their unit normals `[V,3]`.
FrameWriter = Callable[[str, np.ndarray, np.ndarray], None]
#: Prepares a folder and yields the writer of frames; a format with one file per sequence finishes it at the end.
FormatWriter = Callable[[Path, MeshSequence], AbstractContextManager[FrameWriter]]


@contextmanager
def npz_writer(folder: Path, sequence: MeshSequence) -> Iterator[FrameWriter]:
    """`topology.npz`, and for each frame `<frame>.npz` with `vertices` `[V,3]`: float32, or float64 for a world whose
    origin is far away."""
    sequence.topology.save(folder / "topology.npz")
    dtype = np.float64 if sequence.origin.any() else np.float32

    def write(frame: str, vertices: np.ndarray, normals: np.ndarray) -> None:
        np.savez_compressed(folder / f"{frame}.npz", vertices=vertices.astype(dtype))

    yield write


@contextmanager
def ply_writer(folder: Path, sequence: MeshSequence) -> Iterator[FrameWriter]:
    """`<frame>.ply`, binary, in the vertex order of the model, with vertex normals. The format has no texture."""
    faces = sequence.topology.faces

    def write(frame: str, vertices: np.ndarray, normals: np.ndarray) -> None:
        mesh = trimesh.Trimesh(vertices - sequence.origin, faces, vertex_normals=normals, process=False)
        mesh.export(folder / f"{frame}.ply", vertex_normal=True)

    yield write


@contextmanager
def obj_writer(folder: Path, sequence: MeshSequence) -> Iterator[FrameWriter]:
    """`<frame>.obj`, all sharing `head.mtl` and `head.png`.

    Written here and not by trimesh, which would split vertices along the UV seams: OBJ indexes positions, UVs and
    normals separately, so that the vertices keep the order and the number they have in the npz.
    """
    Image.fromarray(sequence.texture).save(folder / "head.png")
    write_text(folder / "head.mtl", "newmtl head\nKa 0 0 0\nKd 1 1 1\nKs 0 0 0\nillum 1\nmap_Kd head.png\n")
    topology = sequence.topology
    corners = np.stack([topology.faces, topology.faces_uv, topology.faces], axis=-1).reshape(-1, 9) + 1
    faces = "".join("f {}/{}/{} {}/{}/{} {}/{}/{}\n".format(*corner) for corner in corners.tolist())
    uvs = "".join(f"vt {u:.6f} {v:.6f}\n" for u, v in topology.uvs.tolist())

    def write(frame: str, vertices: np.ndarray, normals: np.ndarray) -> None:
        positions = "".join(f"v {x:.7f} {y:.7f} {z:.7f}\n" for x, y, z in (vertices - sequence.origin).tolist())
        directions = "".join(f"vn {x:.5f} {y:.5f} {z:.5f}\n" for x, y, z in normals.tolist())
        write_text(
            folder / f"{frame}.obj",
            f"# {sequence.coordinates}\nmtllib head.mtl\n{positions}{uvs}{directions}usemtl head\n{faces}",
        )

    yield write


@contextmanager
def glb_writer(folder: Path, sequence: MeshSequence) -> Iterator[FrameWriter]:
    """`<frame>.glb` with the texture inside.

    glTF knows one index per corner, so a vertex on a UV seam becomes one vertex per UV it carries; they share its
    normal, and the seam is not seen. The surface is seen from both sides: it is open at the neck, at the lids and
    between the lips.
    """
    topology = sequence.topology
    corners = np.stack([topology.faces.reshape(-1), topology.faces_uv.reshape(-1)], axis=-1)
    split, corner_index = np.unique(corners, axis=0, return_inverse=True)
    visual = trimesh.visual.TextureVisuals(
        uv=topology.uvs[split[:, 1]],
        material=trimesh.visual.material.PBRMaterial(
            name="head",
            baseColorTexture=Image.fromarray(sequence.texture),
            metallicFactor=0.0,
            roughnessFactor=0.7,
            doubleSided=True,
        ),
    )
    split_faces = corner_index.reshape(-1, 3)

    def write(frame: str, vertices: np.ndarray, normals: np.ndarray) -> None:
        of_vertex = split[:, 0]
        shifted = vertices[of_vertex] - sequence.origin
        mesh = trimesh.Trimesh(shifted, split_faces, vertex_normals=normals[of_vertex], visual=visual, process=False)
        mesh.export(folder / f"{frame}.glb", include_normals=True)

    yield write


FORMATS: dict[str, FormatWriter] = {
    "npz": npz_writer,
    "ply": ply_writer,
    "obj": obj_writer,
    "glb": glb_writer,
}


def export_meshes(model: FittedHead, out: Path, formats: Sequence[str]) -> None:
    """Write every fitted frame to the folder `out`, once in each of `formats` (keys of FORMATS); where the fit has a
    hair layer, also to `out/hair`, in the same formats and with its own topology: the head itself is always bald.

    Vertices are in metres in the world axes of the capture; where its origin is far away, formats other than npz
    subtract what `origin.json` then says. The texture's first row is v = 1. Normals are area-weighted
    over the faces of the model, whose vertices are not split at UV seams.

    Raises:
        HeadfitError: a format does not exist, and nothing has been written; or a file cannot be written.
    """
    unknown = [name for name in formats if name not in FORMATS]
    if unknown or not formats:
        raise HeadfitError(
            f"unknown export format {', '.join(unknown) or '(none given)'}; there are {', '.join(FORMATS)}"
        )
    capture = model.capture
    head = MeshSequence(
        MeshTopology.of(model.head), model.texture_image(), capture.frames, capture.fps, capture.world.origin
    )
    _export(head, model.world_vertices, model.head.vertex_count, out, formats)
    if model.shows_hair:
        topology, count = MeshTopology.of_hair(model), len(model.hair.vertices)
        hair = replace(head, topology=topology, texture=model.hair_texture_image())
        _export(hair, model.world_hair_vertices, count, out / "hair", formats)


def _export(
    sequence: MeshSequence,
    vertices_of: Callable[[int], np.ndarray],
    vertex_count: int,
    out: Path,
    formats: Sequence[str],
) -> None:
    """Write one mesh sequence, whose frame i has the world vertices `vertices_of(i) [vertex_count,3]`."""
    make_folder(out)
    if sequence.origin.any():
        origin = {"subtracted_metres": sequence.origin.tolist(), "formats": "ply, obj, glb"}
        write_text(out / "origin.json", json.dumps(origin))
    normals_of = VertexNormals(torch.from_numpy(sequence.topology.faces), vertex_count)
    with ExitStack() as stack, failures_named(out):
        writers = [stack.enter_context(FORMATS[name](out, sequence)) for name in dict.fromkeys(formats)]
        for index, frame in enumerate(tqdm(sequence.frames, desc=f"export {out.name}", unit="frame")):
            vertices = vertices_of(index)
            normals = _unit_normals(normals_of, vertices)
            for write in writers:
                write(frame, vertices, normals)


def _unit_normals(normals_of: VertexNormals, vertices: np.ndarray) -> np.ndarray:
    """Normals `[V,3]`, (0, 0, 1) where no face has an area: glTF allows unit vectors only."""
    local = vertices - vertices.mean(axis=0)  # float32 is too coarse far away
    normals = normals_of(torch.from_numpy(local).float()[None])[0].numpy()
    return np.where(np.abs(normals).max(axis=1, keepdims=True) > 0, normals, np.array([0, 0, 1], np.float32))

"""Formats of one file a frame: npz, PLY, OBJ, GLB. The hair layer goes to a folder of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

import numpy as np
import trimesh
from PIL import Image

from headfit.export.take import FormatWriter, FrameWriter, MeshSequence, Take
from headfit.files import make_folder, write_text

#: Writes one frame of one mesh: the frame's name, vertices `[V,3]` (metres, world, float64), unit normals `[V,3]`.
MeshWriter = Callable[[str, np.ndarray, np.ndarray], None]


def of_each_mesh(writer: Callable[[Path, Take, MeshSequence], AbstractContextManager[MeshWriter]]) -> FormatWriter:
    """The writer of takes that writes the head to the folder, and the hair to its folder `hair`, by `writer`."""

    @contextmanager
    def write_meshes(folder: Path, take: Take) -> Iterator[FrameWriter]:
        with ExitStack() as stack:
            writers = []
            for mesh in take.meshes:
                own = folder if mesh is take.meshes[0] else folder / mesh.name
                make_folder(own)
                writers.append(stack.enter_context(writer(own, take, mesh)))

            def write(frame: int, surfaces: list[tuple[np.ndarray, np.ndarray]]) -> None:
                for write_mesh, (vertices, normals) in zip(writers, surfaces, strict=True):
                    write_mesh(take.frames[frame], vertices, normals)

            yield write

    return write_meshes


@contextmanager
def npz_writer(folder: Path, take: Take, mesh: MeshSequence) -> Iterator[MeshWriter]:
    """`topology.npz`, and for each frame `<frame>.npz` with `vertices` `[V,3]`: float32, or float64 for a world whose
    origin is far away."""
    mesh.topology.save(folder / "topology.npz")
    dtype = np.float64 if take.origin.any() else np.float32

    def write(frame: str, vertices: np.ndarray, normals: np.ndarray) -> None:
        np.savez_compressed(folder / f"{frame}.npz", vertices=vertices.astype(dtype))

    yield write


@contextmanager
def ply_writer(folder: Path, take: Take, mesh: MeshSequence) -> Iterator[MeshWriter]:
    """`<frame>.ply`, binary, in the vertex order of the model, with vertex normals. The format has no texture."""
    faces = mesh.topology.faces

    def write(frame: str, vertices: np.ndarray, normals: np.ndarray) -> None:
        surface = trimesh.Trimesh(vertices - take.origin, faces, vertex_normals=normals, process=False)
        surface.export(folder / f"{frame}.ply", vertex_normal=True)

    yield write


@contextmanager
def obj_writer(folder: Path, take: Take, mesh: MeshSequence) -> Iterator[MeshWriter]:
    """`<frame>.obj`, all sharing `head.mtl` and `head.png`.

    Written here and not by trimesh, which would split vertices along the UV seams: OBJ indexes positions, UVs and
    normals separately, so that the vertices keep the order and the number they have in the npz.
    """
    Image.fromarray(mesh.texture).save(folder / "head.png")
    write_text(folder / "head.mtl", "newmtl head\nKa 0 0 0\nKd 1 1 1\nKs 0 0 0\nillum 1\nmap_Kd head.png\n")
    topology = mesh.topology
    corners = np.stack([topology.faces, topology.faces_uv, topology.faces], axis=-1).reshape(-1, 9) + 1
    faces = "".join("f {}/{}/{} {}/{}/{} {}/{}/{}\n".format(*corner) for corner in corners.tolist())
    uvs = "".join(f"vt {u:.6f} {v:.6f}\n" for u, v in topology.uvs.tolist())

    def write(frame: str, vertices: np.ndarray, normals: np.ndarray) -> None:
        positions = "".join(f"v {x:.7f} {y:.7f} {z:.7f}\n" for x, y, z in (vertices - take.origin).tolist())
        directions = "".join(f"vn {x:.5f} {y:.5f} {z:.5f}\n" for x, y, z in normals.tolist())
        write_text(
            folder / f"{frame}.obj",
            f"# {take.coordinates}\nmtllib head.mtl\n{positions}{uvs}{directions}usemtl head\n{faces}",
        )

    yield write


@contextmanager
def glb_writer(folder: Path, take: Take, mesh: MeshSequence) -> Iterator[MeshWriter]:
    """`<frame>.glb` with the texture inside.

    glTF knows one index per corner, so a vertex on a UV seam becomes one vertex per UV it carries; they share its
    normal, and the seam is not seen. The surface is seen from both sides: it is open at the neck, at the lids and
    between the lips.
    """
    of_vertex, uvs, faces = mesh.topology.split_at_seams()
    visual = trimesh.visual.TextureVisuals(
        uv=uvs,
        material=trimesh.visual.material.PBRMaterial(
            name="head",
            baseColorTexture=Image.fromarray(mesh.texture),
            metallicFactor=0.0,
            roughnessFactor=0.7,
            doubleSided=True,
        ),
    )

    def write(frame: str, vertices: np.ndarray, normals: np.ndarray) -> None:
        shifted = vertices[of_vertex] - take.origin
        surface = trimesh.Trimesh(shifted, faces, vertex_normals=normals[of_vertex], visual=visual, process=False)
        surface.export(folder / f"{frame}.glb", include_normals=True)

    yield write

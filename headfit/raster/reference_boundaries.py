"""The boundary between two neighbouring pixels, in plain Python: the readable specification of `csrc/core/boundary.h`.

A sheet is the part of the surface that can be reached from the face seen at one pixel centre by crossing edges towards
the other centre.
"""

from dataclasses import dataclass

from headfit.raster._C import NEAR

Point = tuple[float, float]


@dataclass
class Surface:
    """A mesh with its connectivity: vertices (x, y, z), faces, and the adjacency and group of each face."""

    vertices: list[list[float]]
    faces: list[list[int]]
    adjacency: list[list[int]]
    group: list[int]

    def corners(self, face: int) -> list[list[float]]:
        return [self.vertices[i] for i in self.faces[face]]

    def edge(self, face: int, corner: int) -> tuple[int, int]:
        """The vertices of the edge opposite `corner`."""
        f = self.faces[face]
        return f[(corner + 1) % 3], f[(corner + 2) % 3]

    def plane(self, face: int) -> tuple[Point, Point, float]:
        """The inverse depth over a face, as (origin, gradient, value at the origin)."""
        p0, p1, p2 = self.corners(face)
        e1, e2 = minus(p1, p0), minus(p2, p0)
        area = cross(e1, e2)
        d1, d2 = 1 / p1[2] - 1 / p0[2], 1 / p2[2] - 1 / p0[2]
        if area == 0:
            return (p0[0], p0[1]), (0.0, 0.0), 1 / p0[2]
        gradient = ((d1 * e2[1] - d2 * e1[1]) / area, (d2 * e1[0] - d1 * e2[0]) / area)
        return (p0[0], p0[1]), gradient, 1 / p0[2]

    def w(self, face: int, q: Point) -> float:
        """The inverse depth of a face at the screen point `q`."""
        origin, gradient, value = self.plane(face)
        return value + dot(gradient, minus(q, origin))

    def touch(self, f: int, g: int) -> bool:
        """Whether two faces share a vertex."""
        return bool(set(self.faces[f]) & set(self.faces[g]))

    def continues(self, face: int, corner: int) -> bool:
        """Whether the surface continues across the edge opposite `corner` and does not fold back on screen."""
        other = self.adjacency[face][corner]
        if other < 0:
            return False
        i, j = (self.vertices[v] for v in self.edge(face, corner))
        k, o = self.corners(face)[corner], self.corners(other)[self.adjacency[other].index(face)]
        sides = [cross(minus(j, i), minus(r, i)) * (1 if r[2] > 0 else -1) for r in (k, o)]
        return not sides[0] * sides[1] > 0

    def side_by_side(self, f: int, g: int) -> bool:
        """Whether two faces share an edge and do not fold there."""
        return g in self.adjacency[f] and self.continues(f, self.adjacency[f].index(g))


@dataclass
class End:
    """Where a sheet ends between two pixel centres; t in [0, 1] is 0 at the centre where its walk started."""

    kind: str  # "reached", "edge", "clipped"
    face: int
    corner: int
    t: float
    label: tuple[int, int, float] | None  # first edge (face, corner, t) between two groups


def walk(s: Surface, face: int, start: Point, stop: Point) -> End:
    """Walks from `face`, which covers `start`, along the surface towards `stop`."""
    t, entered, label = 0.0, -1, None
    while True:
        p = s.corners(face)
        area = cross(minus(p[1], p[0]), minus(p[2], p[0]))
        t_exit, exit_corner = 1.0, -1
        for k in range(3):
            i, j = p[(k + 1) % 3], p[(k + 2) % 3]
            inside = (1 if area >= 0 else -1) * (1 if p[k][2] > 0 else -1)
            l0 = inside * cross(minus(i, start), minus(j, start))
            l1 = inside * cross(minus(i, stop), minus(j, stop))
            if k != entered and l1 < l0 and l0 / (l0 - l1) < t_exit:
                t_exit, exit_corner = l0 / (l0 - l1), k
        t_exit = max(t_exit, t)
        if min(corner[2] for corner in p) <= NEAR:
            w0, w1 = s.w(face, start), s.w(face, stop)
            if w1 > w0 and (1 / NEAR - w0) / (w1 - w0) < t_exit:
                return End("clipped", face, -1, max(t, (1 / NEAR - w0) / (w1 - w0)), label)
        if exit_corner < 0:
            return End("reached", face, -1, 1.0, label)
        if not s.continues(face, exit_corner):
            return End("edge", face, exit_corner, t_exit, label)
        following = s.adjacency[face][exit_corner]
        if label is None and s.group[following] != s.group[face]:
            label = (face, exit_corner, t_exit)
        entered, face, t = s.adjacency[following].index(face), following, t_exit


@dataclass
class Jump:
    """A boundary where the image may jump, at t between two pixel centres, and what moves it."""

    kind: str  # "label", "a" or "b" (that pixel's sheet ends in front), "intersection", "open"
    t: float
    movers: list[tuple[End, float, float]]  # sheet ends that move it, with their t and their share of the gradient
    crossing: tuple[int, int] = (-1, -1)


def find_jump(s: Surface, a: int, b: int, A: Point, B: Point) -> Jump | None:
    """The jump between two pixel centres that see the faces a and b (-1 for background); None for one surface."""
    if min(a, b) >= 0 and s.group[a] == s.group[b] and s.side_by_side(a, b):
        return None
    end_a = walk(s, a, A, B) if a >= 0 else None
    end_b = walk(s, b, B, A) if b >= 0 else None
    if end_a is None or end_b is None:
        end = end_a or end_b
        assert end is not None
        t = end.t if end_a else 1 - end.t
        return Jump("a" if end_a else "b", t, [(end, t, 1.0)])

    same_group = s.group[a] == s.group[b]
    for end, seen, forward in ((end_a, b, True), (end_b, a, False)):
        if end.kind == "reached" and s.touch(end.face, seen):
            if same_group:
                return None
            face, corner, t = end.label or (end.face, -1, 1.0)
            t = t if forward else 1 - t
            return Jump("label", t, [(End("edge", face, corner, t, None), t, 1.0)])

    t_a, t_b = end_a.t, 1 - end_b.t
    halves = Jump("open", (t_a + t_b) / 2, [(end_a, t_a, 0.5), (end_b, t_b, 0.5)])
    if _is_seam(s, end_a, end_b, A, B):
        return None if same_group else halves
    if t_a <= t_b:
        return halves
    P_a, P_b = along(A, B, t_a), along(A, B, t_b)
    at_tb = s.w(walk(s, a, A, P_b).face, P_b) - s.w(end_b.face, P_b)
    at_ta = s.w(end_a.face, P_a) - s.w(walk(s, b, B, P_a).face, P_a)
    # A sheet that reaches the other's centre in front of it, yet is not seen there, ends exactly on that centre.
    if at_tb < 0 and (end_b.kind != "reached" or -at_tb > 1e-3 * abs(at_ta)):
        return Jump("b", t_b, [(end_b, t_b, 1.0)])
    if at_ta > 0 and (end_a.kind != "reached" or at_ta > 1e-3 * abs(at_tb)):
        return Jump("a", t_a, [(end_a, t_a, 1.0)])
    fall = at_tb - at_ta
    t = t_b + min(max(at_tb / fall, 0.0), 1.0) * (t_a - t_b) if fall > 0 else (t_a + t_b) / 2
    faces = (-1, -1)
    for _ in range(2):
        P = along(A, B, t)
        faces = walk(s, a, A, P).face, walk(s, b, B, P).face
        slope = dot(minus(s.plane(faces[0])[1], s.plane(faces[1])[1]), minus(B, A))
        if slope < 0:
            t = min(max(t - (s.w(faces[0], P) - s.w(faces[1], P)) / slope, t_b), t_a)
    return Jump("intersection", t, [], faces)


def _is_seam(s: Surface, end_a: End, end_b: End, A: Point, B: Point) -> bool:
    """Whether two open borders coincide on screen and in depth: a cut in one surface."""
    if end_a.kind != "edge" or end_b.kind != "edge" or abs(end_a.t - (1 - end_b.t)) >= 1e-3:
        return False
    if s.adjacency[end_a.face][end_a.corner] >= 0 or s.adjacency[end_b.face][end_b.corner] >= 0:
        return False
    P, d = along(A, B, end_a.t), minus(B, A)
    slopes = sum(abs(dot(s.plane(end.face)[1], d)) for end in (end_a, end_b))
    w_a, w_b = s.w(end_a.face, P), s.w(end_b.face, P)
    return abs(w_a - w_b) <= 1e-3 * slopes + 1e-6 * w_a


def point_on_edge(s: Surface, face: int, corner: int, P: Point) -> tuple[tuple[int, ...], tuple[float, ...]]:
    """The vertices of the edge opposite `corner`, and their weights at the point of the edge nearest to P."""
    i, j = s.edge(face, corner)
    p, q = s.vertices[i], s.vertices[j]
    e = minus(q, p)
    share = dot(minus(P, p), e) / dot(e, e) if dot(e, e) > 0 else 0.5
    if p[2] > 0 and q[2] > 0:
        share = min(max(share, 0.0), 1.0)
    return (i, j), (1 - share, share)


def screen_bary(s: Surface, face: int, P: Point) -> list[float]:
    """The screen-linear barycentrics of P in a face; 1/3 each if the face has no area."""
    r = [minus(p, P) for p in s.corners(face)]
    E = [cross(r[(k + 1) % 3], r[(k + 2) % 3]) for k in range(3)]
    return [e / sum(E) for e in E] if sum(E) != 0 else [1 / 3] * 3


def minus(p: list[float] | Point, q: list[float] | Point) -> Point:
    return p[0] - q[0], p[1] - q[1]


def cross(p: Point, q: Point) -> float:
    return p[0] * q[1] - p[1] * q[0]


def dot(p: Point, q: Point) -> float:
    return p[0] * q[0] + p[1] * q[1]


def along(A: Point, B: Point, t: float) -> Point:
    return A[0] + t * (B[0] - A[0]), A[1] + t * (B[1] - A[1])

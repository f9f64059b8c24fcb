"""The micro-edge gradient in plain torch and Python: the readable specification, and the oracle of the tests. Slow.

Same conventions as `headfit.raster.api`, without its checks. `csrc/core` derives the formulas.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from headfit.raster._C import NEAR
from headfit.raster.api import PixelLossKind, loss_of_pixels
from headfit.raster.topology import Topology

Point = tuple[float, float]


def edge_grad_backward(
    grad_image: Tensor,
    image: Tensor,
    v_pix: Tensor,
    faces: Tensor,
    index_img: Tensor,
    *,
    group: Tensor | None = None,
    topology: Topology | None = None,
) -> Tensor:
    """The gradient [B,V,3] that `edge_grad` gives to v_pix when its output has the gradient grad_image."""
    return _backward(
        lambda line: GradientLoss(image[line], grad_image[line]), image, v_pix, faces, index_img, group, topology
    )


def pixel_loss_backward(
    grad_loss: Tensor,
    image: Tensor,
    target: Tensor,
    v_pix: Tensor,
    faces: Tensor,
    index_img: Tensor,
    *,
    kind: PixelLossKind,
    scale: float | None = None,
    group: Tensor | None = None,
    topology: Topology | None = None,
) -> Tensor:
    """The gradient [B,V,3] that `pixel_loss` gives to v_pix when its output has the gradient grad_loss."""

    def of_line(line: tuple) -> PenaltyLoss:
        return PenaltyLoss(grad_loss[line], target[line], kind, scale or 0.0)

    return _backward(of_line, image, v_pix, faces, index_img, group, topology)


def _backward(
    loss_of_line: Callable[[tuple], "JumpLoss"],
    image: Tensor,
    v_pix: Tensor,
    faces: Tensor,
    index_img: Tensor,
    group: Tensor | None,
    topology: Topology | None,
) -> Tensor:
    topology = topology or Topology(faces)
    group = topology.components if group is None else group
    grad_v = torch.zeros_like(v_pix)
    for b in range(len(v_pix)):
        surface = Surface(v_pix[b].double().tolist(), faces.tolist(), topology.adjacency.tolist(), group.tolist())
        height, width = index_img.shape[1:]
        for axis in (0, 1):
            for n in range(height if axis == 0 else width):
                line = (b, n) if axis == 0 else (b, slice(None), n)
                pixels = index_img[line].tolist()
                along = range(len(pixels))
                centres = [(i + 0.5, n + 0.5) if axis == 0 else (n + 0.5, i + 0.5) for i in along]
                _line(surface, axis, pixels, centres, image[line], loss_of_line(line), grad_v[b])
    return grad_v


class JumpLoss(Protocol):
    """What the loss gains if the boundary between pixels i and i + 1 of a line moves towards i + 1, per pixel."""

    most_reach: float  # bound of the colours' extrapolation where a surface turns away

    def of_jump(self, i: int, e_a: Tensor, e_b: Tensor, reach_a: float | None, reach_b: float | None) -> float:
        """e_a, e_b [C]: colours of both sides at the boundary, extrapolated so far; None: by nothing."""


@dataclass
class GradientLoss:
    image: Tensor  # [N,C]
    grad: Tensor  # [N,C]
    most_reach = 2.0

    def of_jump(self, i: int, e_a: Tensor, e_b: Tensor, reach_a: float | None, reach_b: float | None) -> float:
        I_a, I_b, g_a, g_b = (x.double() for x in (*self.image[i : i + 2], *self.grad[i : i + 2]))
        J, g = e_a.double() - e_b.double(), (g_a + g_b) / 2
        total = g * J
        if not torch.equal(g_a, g_b):
            c = 1 / 8 if 0 < i < len(self.grad) - 2 else 0.0
            # h J with h = (g_a - g_b) / (I_a - I_b), no less than 0; half of J bounds what it divides by.
            rise = ((g_a - g_b) * (I_a - I_b)).clamp(min=0)
            hJ = torch.where(rise > 0, rise / torch.maximum(J**2 / 4, (I_a - I_b) ** 2), 0.0) * J
            for I_own, g_own, outer, reach in ((I_a, g_a, i - 1, reach_a), (I_b, g_b, i + 2, reach_b)):
                if reach is not None:
                    total = total + c * (g_own - self.grad[outer].double()) * J
                    total = total + hJ * (reach / 2 - c) * (I_own - self.image[outer].double())
        return float(total.sum())


@dataclass
class PenaltyLoss:
    weight: Tensor  # [N]
    target: Tensor  # [N,C]
    kind: PixelLossKind
    scale: float
    most_reach = 1.0

    def of_jump(self, i: int, e_a: Tensor, e_b: Tensor, reach_a: float | None, reach_b: float | None) -> float:
        taps = {i: 0.5, i + 1: 0.5}
        if 0 < i < len(self.weight) - 2:
            taps = {i - 1: -1 / 8, i: 5 / 8, i + 1: 5 / 8, i + 2: -1 / 8}
        total = 0.0
        for pixel, tap in taps.items():
            a, b = (loss_of_pixels(e.double(), self.target[pixel].double(), self.kind, self.scale) for e in (e_a, e_b))
            total += tap * float(self.weight[pixel]) * float(a - b)
        return total


@dataclass
class Surface:
    vertices: list[list[float]]
    faces: list[list[int]]
    adjacency: list[list[int]]
    group: list[int]

    def corners(self, face: int) -> list[list[float]]:
        return [self.vertices[i] for i in self.faces[face]]

    def edge(self, face: int, corner: int) -> tuple[int, int]:
        """The vertices of the edge opposite a corner."""
        f = self.faces[face]
        return f[(corner + 1) % 3], f[(corner + 2) % 3]

    def plane(self, face: int) -> tuple[Point, Point, float]:
        """Inverse depth as (origin, gradient, value at the origin)."""
        p0, p1, p2 = self.corners(face)
        e1, e2 = _minus(p1, p0), _minus(p2, p0)
        area = _cross(e1, e2)
        d1, d2 = 1 / p1[2] - 1 / p0[2], 1 / p2[2] - 1 / p0[2]
        if area == 0:
            return (p0[0], p0[1]), (0.0, 0.0), 1 / p0[2]
        gradient = ((d1 * e2[1] - d2 * e1[1]) / area, (d2 * e1[0] - d1 * e2[0]) / area)
        return (p0[0], p0[1]), gradient, 1 / p0[2]

    def w(self, face: int, q: Point) -> float:
        origin, gradient, value = self.plane(face)
        return value + _dot(gradient, _minus(q, origin))

    def touch(self, f: int, g: int) -> bool:
        return bool(set(self.faces[f]) & set(self.faces[g]))

    def continues(self, face: int, corner: int) -> bool:
        """The surface goes on across this edge and does not fold back on screen."""
        other = self.adjacency[face][corner]
        if other < 0:
            return False
        i, j = (self.vertices[v] for v in self.edge(face, corner))
        k, o = self.corners(face)[corner], self.corners(other)[self.adjacency[other].index(face)]
        sides = [_cross(_minus(j, i), _minus(r, i)) * (1 if r[2] > 0 else -1) for r in (k, o)]
        return not sides[0] * sides[1] > 0

    def side_by_side(self, f: int, g: int) -> bool:
        return g in self.adjacency[f] and self.continues(f, self.adjacency[f].index(g))


@dataclass
class End:
    """Where a sheet ends on the way from one centre to the other, seen from the start: t in [0, 1]."""

    kind: str  # "reached", "edge", "clipped"
    face: int
    corner: int
    t: float
    label: tuple[int, int, float] | None  # first edge (face, corner, t) whose faces differ in group


def walk(s: Surface, face: int, start: Point, stop: Point) -> End:
    t, entered, label = 0.0, -1, None
    while True:
        p = s.corners(face)
        area = _cross(_minus(p[1], p[0]), _minus(p[2], p[0]))
        t_exit, exit_corner = 1.0, -1
        for k in range(3):
            i, j = p[(k + 1) % 3], p[(k + 2) % 3]
            inside = (1 if area >= 0 else -1) * (1 if p[k][2] > 0 else -1)
            l0 = inside * _cross(_minus(i, start), _minus(j, start))
            l1 = inside * _cross(_minus(i, stop), _minus(j, stop))
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
    kind: str  # "label", "a", "b" (whose sheet ends in front), "intersection", "open"
    t: float
    movers: list[tuple[End, float, float]]  # ends of sheets that move, t of each, its share
    crossing: tuple[int, int] = (-1, -1)


def find_jump(s: Surface, a: int, b: int, A: Point, B: Point) -> Jump | None:
    """What lies between two centres that see the faces a and b (-1 background). None: only surface."""
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
    P_a, P_b = _along(A, B, t_a), _along(A, B, t_b)
    at_tb = s.w(walk(s, a, A, P_b).face, P_b) - s.w(end_b.face, P_b)
    at_ta = s.w(end_a.face, P_a) - s.w(walk(s, b, B, P_a).face, P_a)
    # A sheet that reaches the other's centre and is in front there, yet not seen, ends exactly on that centre.
    if at_tb < 0 and (end_b.kind != "reached" or -at_tb > 1e-3 * abs(at_ta)):
        return Jump("b", t_b, [(end_b, t_b, 1.0)])
    if at_ta > 0 and (end_a.kind != "reached" or at_ta > 1e-3 * abs(at_tb)):
        return Jump("a", t_a, [(end_a, t_a, 1.0)])
    fall = at_tb - at_ta
    t = t_b + min(max(at_tb / fall, 0.0), 1.0) * (t_a - t_b) if fall > 0 else (t_a + t_b) / 2
    faces = (-1, -1)
    for _ in range(2):
        P = _along(A, B, t)
        faces = walk(s, a, A, P).face, walk(s, b, B, P).face
        slope = _dot(_minus(s.plane(faces[0])[1], s.plane(faces[1])[1]), _minus(B, A))
        if slope < 0:
            t = min(max(t - (s.w(faces[0], P) - s.w(faces[1], P)) / slope, t_b), t_a)
    return Jump("intersection", t, [], faces)


def _is_seam(s: Surface, end_a: End, end_b: End, A: Point, B: Point) -> bool:
    if end_a.kind != "edge" or end_b.kind != "edge" or abs(end_a.t - (1 - end_b.t)) >= 1e-3:
        return False
    if s.adjacency[end_a.face][end_a.corner] >= 0 or s.adjacency[end_b.face][end_b.corner] >= 0:
        return False
    P, d = _along(A, B, end_a.t), _minus(B, A)
    slopes = sum(abs(_dot(s.plane(end.face)[1], d)) for end in (end_a, end_b))
    w_a, w_b = s.w(end_a.face, P), s.w(end_b.face, P)
    return abs(w_a - w_b) <= 1e-3 * slopes + 1e-6 * w_a


def _line(
    s: Surface, axis: int, pixels: list[int], centres: list[Point], image: Tensor, loss: JumpLoss, grad_v: Tensor
) -> None:
    """Adds what the pairs of one row or column [N] give to grad_v [V,3]. image [N,C]."""
    last = len(pixels) - 1
    jumps = {}
    for i in range(last):
        if pixels[i] != pixels[i + 1]:
            jump = find_jump(s, pixels[i], pixels[i + 1], centres[i], centres[i + 1])
            if jump is not None:
                jumps[i] = jump
    for i, jump in jumps.items():
        A, B = centres[i], centres[i + 1]
        # The outer neighbours, where they show the same surface.
        use_a, use_b = i > 0 and i - 1 not in jumps, i + 1 < last and i + 1 not in jumps
        reach_a, reach_b = jump.t, 1 - jump.t
        if jump.kind == "a" and use_a:
            reach_a = _limb_reach(s, jump, (A, B), i, i - 1, pixels, centres, reach_a, loss.most_reach)
        if jump.kind == "b" and use_b:
            reach_b = _limb_reach(s, jump, (A, B), i + 1, i + 2, pixels, centres, reach_b, loss.most_reach)
        e_a = image[i] + (reach_a * (image[i] - image[i - 1]) if use_a else 0)
        e_b = image[i + 1] + (reach_b * (image[i + 1] - image[i + 2]) if use_b else 0)
        _move(
            s,
            jump,
            A,
            B,
            axis,
            loss.of_jump(i, e_a, e_b, reach_a if use_a else None, reach_b if use_b else None),
            grad_v,
        )


def _limb_reach(
    s: Surface,
    jump: Jump,
    pair: tuple[Point, Point],
    own: int,
    outer: int,
    pixels: list[int],
    centres: list[Point],
    linear: float,
    most: float,
) -> float:
    """Distance of the boundary from the owner's centre; in steps of depth where the surface turns away."""
    end = jump.movers[0][0]
    if end.kind != "edge":
        return linear
    vertices, weights = _point_on_edge(s, end.face, end.corner, _along(*pair, jump.t))
    w_end = sum(weight / s.vertices[v][2] for v, weight in zip(vertices, weights, strict=True))
    w_own, w_outer = s.w(pixels[own], centres[own]), s.w(pixels[outer], centres[outer])
    if not abs(w_own - w_outer) > 1e-6 * w_own:
        return linear
    return min(max(abs(w_end - w_own) / abs(w_own - w_outer), linear), max(linear, most))


def _move(s: Surface, jump: Jump, A: Point, B: Point, axis: int, G: float, grad_v: Tensor) -> None:
    """Gives dL = G dp to the vertices that own the boundary."""
    if jump.kind == "intersection":
        _move_intersection(s, *jump.crossing, _along(A, B, jump.t), axis, G, grad_v)
    for end, t, share in jump.movers:
        P = _along(A, B, t)
        if end.kind == "clipped":
            _move_intersection(s, end.face, None, P, axis, share * G, grad_v)
            continue
        if end.corner >= 0:
            vertices, weights = _point_on_edge(s, end.face, end.corner, P)
        else:
            vertices = tuple(s.faces[end.face])
            clipped = [min(max(x, 0.0), 1.0) for x in _screen_bary(s, end.face, P)]
            weights = tuple(x / sum(clipped) for x in clipped)
        for v, weight in zip(vertices, weights, strict=True):
            grad_v[v, axis] += weight * share * G


def _move_intersection(s: Surface, a: int, b: int | None, P: Point, axis: int, G: float, grad_v: Tensor) -> None:
    """The line w_a = w_b has velocity -(dw_a - dw_b) g / |g|^2, g = grad(w_a - w_b). No b: near plane."""
    g_a = s.plane(a)[1]
    g_b = s.plane(b)[1] if b is not None else (0.0, 0.0)
    g = _minus(g_a, g_b)
    norm2 = max(_dot(g, g), 1e-4 * max(_dot(g_a, g_a), _dot(g_b, g_b)))
    if norm2 == 0:
        return
    for face, gradient, sign in ((a, g_a, 1.0), (b, g_b, -1.0)):
        if face is None:
            continue
        for v, weight in zip(s.faces[face], _screen_bary(s, face, P), strict=True):
            scale = -G * g[axis] / norm2 * sign * weight
            grad_v[v, 0] -= scale * gradient[0]
            grad_v[v, 1] -= scale * gradient[1]
            grad_v[v, 2] -= scale / s.vertices[v][2] ** 2


def _point_on_edge(s: Surface, face: int, corner: int, P: Point) -> tuple[tuple[int, ...], tuple[float, ...]]:
    i, j = s.edge(face, corner)
    p, q = s.vertices[i], s.vertices[j]
    e = _minus(q, p)
    share = _dot(_minus(P, p), e) / _dot(e, e) if _dot(e, e) > 0 else 0.5
    if p[2] > 0 and q[2] > 0:
        share = min(max(share, 0.0), 1.0)
    return (i, j), (1 - share, share)


def _screen_bary(s: Surface, face: int, P: Point) -> list[float]:
    r = [_minus(p, P) for p in s.corners(face)]
    E = [_cross(r[(k + 1) % 3], r[(k + 2) % 3]) for k in range(3)]
    return [e / sum(E) for e in E] if sum(E) != 0 else [1 / 3] * 3


def _minus(p: list[float] | Point, q: list[float] | Point) -> Point:
    return p[0] - q[0], p[1] - q[1]


def _cross(p: Point, q: Point) -> float:
    return p[0] * q[1] - p[1] * q[0]


def _dot(p: Point, q: Point) -> float:
    return p[0] * q[0] + p[1] * q[1]


def _along(A: Point, B: Point, t: float) -> Point:
    return A[0] + t * (B[0] - A[0]), A[1] + t * (B[1] - A[1])

"""The edge gradient in plain torch and Python: the readable specification, and the reference of the tests. Slow.

Same conventions as `headfit.raster.api`, without its checks. `csrc/core` derives the formulas; `reference_boundaries`
finds where the image jumps.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from headfit.raster.api import PixelLossKind, loss_of_pixels
from headfit.raster.reference_boundaries import (
    Jump,
    Point,
    Surface,
    along,
    dot,
    find_jump,
    minus,
    point_on_edge,
    screen_bary,
)
from headfit.raster.topology import Topology


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
    """The gradient `[B,V,3]` that `edge_grad` gives v_pix when its output has the gradient grad_image."""
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
    """The gradient `[B,V,3]` that `pixel_loss` gives v_pix when its output has the gradient grad_loss."""

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
                centres = [(i + 0.5, n + 0.5) if axis == 0 else (n + 0.5, i + 0.5) for i in range(len(pixels))]
                _line(surface, axis, pixels, centres, image[line], loss_of_line(line), grad_v[b])
    return grad_v


class JumpLoss(Protocol):
    """The derivative of the loss with respect to the position of the boundary between pixels i and i + 1 of a line."""

    max_reach: float  # bound of the colours' extrapolation at silhouettes, in steps between pixels

    def of_jump(self, i: int, e_a: Tensor, e_b: Tensor, reach_a: float | None, reach_b: float | None) -> float:
        """e_a, e_b `[C]`: colours of both sides at the boundary; reach: steps of extrapolation, None for none."""


@dataclass
class GradientLoss:
    """A loss that is known by its gradient."""

    image: Tensor  # [N,C]
    grad: Tensor  # [N,C]
    max_reach = 2.0

    def of_jump(self, i: int, e_a: Tensor, e_b: Tensor, reach_a: float | None, reach_b: float | None) -> float:
        I_a, I_b, g_a, g_b = (x.double() for x in (*self.image[i : i + 2], *self.grad[i : i + 2]))
        J, g = e_a.double() - e_b.double(), (g_a + g_b) / 2
        total = g * J
        if not torch.equal(g_a, g_b):
            c = 1 / 8 if 0 < i < len(self.grad) - 2 else 0.0
            # h J with h = (g_a - g_b) / (I_a - I_b), at least 0; the divisor is at least J / 2.
            rise = ((g_a - g_b) * (I_a - I_b)).clamp(min=0)
            hJ = torch.where(rise > 0, rise / torch.maximum(J**2 / 4, (I_a - I_b) ** 2), 0.0) * J
            for I_own, g_own, outer, reach in ((I_a, g_a, i - 1, reach_a), (I_b, g_b, i + 2, reach_b)):
                if reach is not None:
                    total = total + c * (g_own - self.grad[outer].double()) * J
                    total = total + hJ * (reach / 2 - c) * (I_own - self.image[outer].double())
        return float(total.sum())


@dataclass
class PenaltyLoss:
    """The sum over pixels of weight times a penalty."""

    weight: Tensor  # [N]
    target: Tensor  # [N,C]
    kind: PixelLossKind
    scale: float
    max_reach = 1.0

    def of_jump(self, i: int, e_a: Tensor, e_b: Tensor, reach_a: float | None, reach_b: float | None) -> float:
        taps = {i: 0.5, i + 1: 0.5}
        if 0 < i < len(self.weight) - 2:
            taps = {i - 1: -1 / 8, i: 5 / 8, i + 1: 5 / 8, i + 2: -1 / 8}
        total = 0.0
        for pixel, tap in taps.items():
            a, b = (loss_of_pixels(e.double(), self.target[pixel].double(), self.kind, self.scale) for e in (e_a, e_b))
            total += tap * float(self.weight[pixel]) * float(a - b)
        return total


def _line(
    s: Surface, axis: int, pixels: list[int], centres: list[Point], image: Tensor, loss: JumpLoss, grad_v: Tensor
) -> None:
    """Adds the gradients of the pairs of one row or column of N pixels to grad_v `[V,3]`; image `[N,C]`."""
    last = len(pixels) - 1
    jumps = {}
    for i in range(last):
        if pixels[i] != pixels[i + 1]:
            jump = find_jump(s, pixels[i], pixels[i + 1], centres[i], centres[i + 1])
            if jump is not None:
                jumps[i] = jump
    for i, jump in jumps.items():
        A, B = centres[i], centres[i + 1]
        # The outer neighbours are used where they show the same surface.
        use_a, use_b = i > 0 and i - 1 not in jumps, i + 1 < last and i + 1 not in jumps
        reach_a, reach_b = jump.t, 1 - jump.t
        if jump.kind == "a" and use_a:
            reach_a = _silhouette_extrapolation(s, jump, (A, B), i, i - 1, pixels, centres, reach_a, loss.max_reach)
        if jump.kind == "b" and use_b:
            reach_b = _silhouette_extrapolation(s, jump, (A, B), i + 1, i + 2, pixels, centres, reach_b, loss.max_reach)
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


def _silhouette_extrapolation(
    s: Surface,
    jump: Jump,
    pair: tuple[Point, Point],
    own: int,
    outer: int,
    pixels: list[int],
    centres: list[Point],
    linear: float,
    max_reach: float,
) -> float:
    """The boundary's distance from the owner's centre, in steps of depth where the surface turns away."""
    end = jump.movers[0][0]
    if end.kind != "edge":
        return linear
    vertices, weights = point_on_edge(s, end.face, end.corner, along(*pair, jump.t))
    w_end = sum(weight / s.vertices[v][2] for v, weight in zip(vertices, weights, strict=True))
    w_own, w_outer = s.w(pixels[own], centres[own]), s.w(pixels[outer], centres[outer])
    if not abs(w_own - w_outer) > 1e-6 * w_own:
        return linear
    return min(max(abs(w_end - w_own) / abs(w_own - w_outer), linear), max(linear, max_reach))


def _move(s: Surface, jump: Jump, A: Point, B: Point, axis: int, G: float, grad_v: Tensor) -> None:
    """Distributes dL = G dp to the vertices that move the boundary."""
    if jump.kind == "intersection":
        _move_intersection(s, *jump.crossing, along(A, B, jump.t), axis, G, grad_v)
    for end, t, share in jump.movers:
        P = along(A, B, t)
        if end.kind == "clipped":
            _move_intersection(s, end.face, None, P, axis, share * G, grad_v)
            continue
        if end.corner >= 0:
            vertices, weights = point_on_edge(s, end.face, end.corner, P)
        else:
            vertices = tuple(s.faces[end.face])
            clipped = [min(max(x, 0.0), 1.0) for x in screen_bary(s, end.face, P)]
            weights = tuple(x / sum(clipped) for x in clipped)
        for v, weight in zip(vertices, weights, strict=True):
            grad_v[v, axis] += weight * share * G


def _move_intersection(s: Surface, a: int, b: int | None, P: Point, axis: int, G: float, grad_v: Tensor) -> None:
    """Moves the line w_a = w_b; its velocity is -(dw_a - dw_b) g / |g|^2, g = grad(w_a - w_b). No b: the near plane."""
    g_a = s.plane(a)[1]
    g_b = s.plane(b)[1] if b is not None else (0.0, 0.0)
    g = minus(g_a, g_b)
    norm2 = max(dot(g, g), 1e-4 * max(dot(g_a, g_a), dot(g_b, g_b)))
    if norm2 == 0:
        return
    for face, gradient, sign in ((a, g_a, 1.0), (b, g_b, -1.0)):
        if face is None:
            continue
        for v, weight in zip(s.faces[face], screen_bary(s, face, P), strict=True):
            scale = -G * g[axis] / norm2 * sign * weight
            grad_v[v, 0] -= scale * gradient[0]
            grad_v[v, 1] -= scale * gradient[1]
            grad_v[v, 2] -= scale / s.vertices[v][2] ** 2

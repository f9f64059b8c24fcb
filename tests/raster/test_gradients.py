"""edge_grad and the interior gradient against finite differences of the expected loss."""

import math

import pytest
import torch
from raster_scenes import (
    F64,
    Mesh,
    Scene,
    colours_of,
    cube,
    depth_motions,
    flat,
    gradient_error,
    planar_motions,
    sheet,
    tilted,
    triangle,
)

from headfit.raster import NEAR
from headfit.raster.api import PixelLossKind

TWO_COLOURS = torch.tensor([[0.9, 0.1, 0.3], [0.2, 0.8, 0.6]], dtype=F64)


def triangle_scene(depths: tuple[float, float, float]) -> Scene:
    mesh = triangle(depths)
    return Scene(mesh, planar_motions(mesh, 0) + depth_motions(mesh, 0, 0.02))


def occlusion(cell: float) -> Scene:
    """A small sheet before a large one, both of cells of about this many pixels; the front one moves."""
    front = sheet((19, 21), (11, 12), round(24 / cell), flat(1.0), angle=0.3)
    back = sheet((20, 20), (26, 26), round(52 / cell), flat(0.5), angle=0.1, phase=1.5)
    mesh = Mesh.join(front, back)
    return Scene(mesh, planar_motions(mesh, 0))


def intersection(slope: float, cells: int, angle: float = 0.0) -> Scene:
    """Two sheets, wider than the picture, whose inverse depths cross along a line."""
    s, c = math.sin(angle), math.cos(angle)
    one = sheet((20.3, 20), (30, 30), cells, tilted(1.0, slope * c, slope * s))
    other = sheet((20.1, 20), (30, 30), cells, tilted(1.0, -slope * c, -slope * s), angle=0.4, phase=1.5)
    mesh = Mesh.join(one, other)
    return Scene(mesh, depth_motions(mesh, 0, slope) + depth_motions(mesh, 1, slope))


def label_border() -> Scene:
    """Stripes of two labels on one sheet. All move; only the colours' borders and the outline count."""
    mesh = sheet((20, 20), (15, 14), 6, flat(1.0), angle=0.2)
    label = torch.arange(len(mesh.faces)) // 2 % 6 // 2 % 2
    return Scene(mesh, planar_motions(mesh, 0), face_colours=TWO_COLOURS[label], group=label)


def cut_seam() -> Scene:
    """Two coplanar sheets of different colour that touch, each with vertices of its own."""
    left = sheet((12.2, 20), (8, 13), 3, flat(1.0))
    right = sheet((28.2, 20), (8, 13), 3, flat(1.0))
    mesh = Mesh.join(left, right)
    side = mesh.object_of[mesh.faces[:, 0].long()].long()
    motions = [a + b for a, b in zip(planar_motions(mesh, 0), planar_motions(mesh, 1), strict=True)]
    return Scene(mesh, motions, face_colours=TWO_COLOURS[side], group=side)


def flat_cube() -> Scene:
    mesh = cube()
    side = torch.arange(6).repeat_interleave(2)
    colours = colours_of(7.0 * torch.arange(6, dtype=F64)[:, None].expand(6, 3), 1.0)[side]
    return Scene(mesh, planar_motions(mesh, 0), face_colours=colours, group=side)


def fold() -> Scene:
    """A sheet bent back on itself: its outline on the right is no border, the vertices there own the jump."""
    sheet_ = sheet((20, 20), (15, 12), 8, flat(1.0))
    x, y, z = sheet_.vertices.unbind(-1)
    bend = (x - 20) / 15 * 2.0
    vertices = torch.stack([20 + 14 * torch.sin(bend) + 0.1 * (y - 20), y, 3 - torch.cos(bend)], -1)
    mesh = Mesh(vertices, sheet_.faces, colours_of(vertices + z[:, None], 0.8), sheet_.object_of)
    return Scene(mesh, planar_motions(mesh, 0))


def near_plane() -> Scene:
    """A triangle with a vertex behind the camera, and its clipped edge in the picture."""
    points = torch.tensor([[0.03, 0.02, 0.004], [0.0643, 0.0143, 0.004], [-0.0433, 0.0667, -0.006]], dtype=F64)
    vertices = torch.cat([points[:, :2] / points[:, 2:], points[:, 2:]], 1)
    colours = torch.tensor([[0.9, 0.1, 0.4], [0.2, 0.7, 0.5], [0.5, 0.3, 0.9]], dtype=F64)
    mesh = Mesh(vertices, torch.tensor([[0, 1, 2]], dtype=torch.int32), colours, torch.zeros(3))
    motions = (torch.eye(9, dtype=F64) * torch.tensor([1, 1, NEAR / 8] * 3, dtype=F64)).reshape(9, 3, 3)
    return Scene(mesh, list(motions))


SCENES = {
    "triangle": (lambda: triangle_scene((1, 1, 1)), 0.02),
    "triangle in perspective": (lambda: triangle_scene((1, 2, 3)), 0.02),
    "occlusion, large cells": (lambda: occlusion(24), 0.02),
    "occlusion, cells of 4 px": (lambda: occlusion(4), 0.02),
    "occlusion, cells of 2 px": (lambda: occlusion(2), 0.02),
    "occlusion, cells of 1 px": (lambda: occlusion(1), 0.02),
    "intersection, vertical line": (lambda: intersection(0.004, 1), 0.02),
    "intersection, horizontal line": (lambda: intersection(0.004, 1, math.pi / 2), 0.02),
    # Not 45 degrees, where all samples meet the line at once and finite differences see steps.
    "intersection, oblique line": (lambda: intersection(0.004, 1, math.radians(52)), 0.02),
    "intersection, strong perspective": (lambda: intersection(0.02, 1, 0.4), 0.02),
    "intersection, cells of 2 px": (lambda: intersection(0.01, 30, 0.4), 0.03),
    "label border": (label_border, 0.03),
    "cut seam": (cut_seam, 0.03),
    "cube of six labels": (flat_cube, 0.03),
    "fold": (fold, 0.03),
    "near plane": (near_plane, 0.05),
}


@pytest.mark.parametrize("name", SCENES)
def test_matches_finite_differences(name: str) -> None:
    make, bound = SCENES[name]
    assert gradient_error(make()) < bound


ROBUST = ("triangle", "occlusion, cells of 2 px", "intersection, oblique line", "cut seam", "fold", "near plane")


@pytest.mark.parametrize("kind", ["charbonnier", "huber", "l1"])
@pytest.mark.parametrize("name", ROBUST)
def test_robust_losses_match_finite_differences(name: str, kind: PixelLossKind) -> None:
    assert gradient_error(SCENES[name][0](), kind) < 0.05

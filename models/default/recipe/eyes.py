"""Eyeballs that replace MakeHuman's helper spheres: a spherical sclera and a cornea with iris and pupil."""

import numpy as np
from solids import Solid, lathe_faces, signed_volume

# Adult anatomy, metres. Corneal radius of curvature 7.8 mm, visible iris diameter 11.8 mm; pupil in room light.
SCLERA_RADIUS = 0.012
CORNEA_CURVATURE = 0.0078
IRIS_RADIUS = 0.0059
IRIS_SPREAD = 0.00025  # standard deviation of the iris radius of adults (diameter 11.7 +- 0.5 mm)
PUPIL_RADIUS = 0.0018
SEGMENTS = 32
# Radii of the rings on the cornea (pupil border, iris, limbus), then polar angles of those on the sclera.
CORNEA_RINGS = np.array([0.0009, PUPIL_RADIUS, 0.003, 0.0042, 0.0052, IRIS_RADIUS])
SCLERA_RINGS = 13


def profile(iris: float = IRIS_RADIUS) -> tuple[np.ndarray, np.ndarray]:
    """Radius and height along the optical axis (0 at the sclera's centre) of every ring, front to back, metres.

    The rings on the cornea, the pupil's included, grow with the radius of the iris.
    """
    limbus_angle = np.arcsin(iris / SCLERA_RADIUS)
    limbus_height = SCLERA_RADIUS * np.cos(limbus_angle)
    rings = CORNEA_RINGS * iris / IRIS_RADIUS
    sag = np.sqrt(CORNEA_CURVATURE**2 - rings**2) - np.sqrt(CORNEA_CURVATURE**2 - iris**2)
    # Sclera rings become coarser towards the back, which no camera sees.
    t = np.linspace(0, 1, SCLERA_RINGS + 2)[1:-1]
    angle = limbus_angle + (np.pi - limbus_angle) * (0.6 * t + 0.4 * t**2)
    radius = np.concatenate([rings, SCLERA_RADIUS * np.sin(angle)])
    return radius, np.concatenate([limbus_height + sag, SCLERA_RADIUS * np.cos(angle)])


def apex_height(iris: float = IRIS_RADIUS) -> float:
    """Distance from the sclera's centre to the front pole of the cornea (13.1 mm)."""
    limbus_height = np.sqrt(SCLERA_RADIUS**2 - iris**2)
    return float(limbus_height + CORNEA_CURVATURE - np.sqrt(CORNEA_CURVATURE**2 - iris**2))


def surface_points(iris: float = IRIS_RADIUS) -> np.ndarray:
    """Vertices `[V,3]` of an eyeball about the sclera's centre: rings from front to back, front pole, back pole."""
    radius, height = profile(iris)
    # Clockwise about +z, so that faces are front-facing from outside with rings running from front to back.
    angle = np.arange(SEGMENTS) / SEGMENTS * 2 * np.pi
    circle = np.stack([np.cos(angle), np.sin(angle)], -1)
    along = np.broadcast_to(height[:, None, None], (len(radius), SEGMENTS, 1))
    rings = np.concatenate([radius[:, None, None] * circle, along], -1)
    poles = np.array([[0, 0, apex_height(iris)], [0, 0, -SCLERA_RADIUS]])
    return np.concatenate([rings.reshape(-1, 3), poles])


def iris_direction() -> np.ndarray:
    """Displacement `[V,3]` (metres) of an eyeball's vertices by one standard deviation of the iris radius."""
    return (surface_points(IRIS_RADIUS + IRIS_SPREAD) - surface_points(IRIS_RADIUS - IRIS_SPREAD)) / 2


def eyeball(helper: np.ndarray, recess: float = 0.0) -> tuple[Solid, np.ndarray]:
    """The solid that replaces a helper eyeball `[72,3]`, and its centre of rotation `[3]`.

    The corneal apex is `recess` metres behind the helper's front, to which the lids were modelled.
    """
    helper_centre = (helper.min(0) + helper.max(0)) / 2
    centre = helper_centre + np.array([0, 0, helper[:, 2].max() - helper_centre[2] - apex_height() - recess])
    radius, height = profile()
    vertices = surface_points() + centre
    faces, faces_uv, uvs = _topology(len(radius), radius, height)
    if signed_volume(vertices - centre, faces) < 0:
        faces, faces_uv = faces[:, ::-1], faces_uv[:, ::-1]

    offset = helper - helper_centre

    def follow(displacement: np.ndarray) -> np.ndarray:
        """The least-squares translation and uniform scaling of the helper eyeball, applied to the solid."""
        shift = displacement.mean(-2, keepdims=True)
        growth = np.einsum("...hc,hc->...", displacement - shift, offset) / (offset**2).sum()
        return shift + growth[..., None, None] * (vertices - helper_centre)

    return Solid(vertices, faces, faces_uv, uvs, follow), centre


def _topology(n_rings: int, radius: np.ndarray, height: np.ndarray):
    """Faces and an azimuthal chart with the iris in the middle; radius is proportional to arc length."""
    faces = lathe_faces(n_rings, SEGMENTS)
    i = np.arange(SEGMENTS)
    j = (i + 1) % SEGMENTS
    front, back = n_rings * SEGMENTS, n_rings * SEGMENTS + 1
    last = (n_rings - 1) * SEGMENTS
    front_cap = np.stack([np.full(SEGMENTS, front), j, i], 1)
    back_cap = np.stack([last + i, last + j, np.full(SEGMENTS, back)], 1)
    # The back pole is one vertex but opens into a circle in the chart: one UV per face of the back cap.
    back_cap_uv = np.stack([last + i, last + j, back + i], 1)
    path = np.concatenate([[[0, apex_height()]], np.stack([radius, height], 1), [[0, -SCLERA_RADIUS]]])
    arc = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(path, axis=0), axis=1))])
    arc /= arc[-1]
    angle = i / SEGMENTS * 2 * np.pi
    circle = np.stack([np.cos(angle), np.sin(angle)], -1)
    middle = np.stack([np.cos(angle + np.pi / SEGMENTS), np.sin(angle + np.pi / SEGMENTS)], -1)
    uvs = np.concatenate([(arc[1:-1, None, None] * circle).reshape(-1, 2), [[0, 0]], middle]) * 0.5 + 0.5
    faces_uv = np.concatenate([faces, front_cap, back_cap_uv])
    return np.concatenate([faces, front_cap, back_cap]), faces_uv, uvs

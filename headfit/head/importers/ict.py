"""ICT-FaceKit (USC Institute for Creative Technologies, MIT): a folder of OBJ files of one topology.

`generic_neutral_mesh.obj`, `identity000.obj` and so on, and one OBJ per expression. Vertex ranges, landmarks and names
are those of its README. It has no skeleton: each eye gets a joint here, and the jaw is moved by expression units.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from scipy.spatial import KDTree

from headfit.errors import HeadfitError
from headfit.head.importers.imported import ImportedHead, Joint, unit_name
from headfit.head.importers.mesh_files import read_mesh, read_positions
from headfit.head.importers.transfer import transfer_labels
from headfit.raster.topology import face_components
from headfit.types import Float, Int, Text

NEUTRAL = "generic_neutral_mesh.obj"
METRES = 0.01
VERTICES = 26719
#: First vertex of each region and its label; the last region, overlays of the eyes (tears, lashes), is left out.
REGIONS = (
    (0, "skin"),
    (11248, "mouth_cavity"),
    (13294, "skin"),
    (14062, "gums"),
    (17039, "upper_teeth"),
    (19247, "lower_teeth"),
    (21451, "left_eye"),
    (23021, "right_eye"),
    (24591, ""),
)
#: The Multi-PIE landmarks, in iBUG order, as the README lists them.
# fmt: off
LANDMARKS = (
    1225, 1888, 1052, 367, 1719, 1722, 2199, 1447, 966, 3661, 4390, 3927, 3924, 2608, 3272, 4088, 3443, 268, 493, 1914,
    2044, 1401, 3615, 4240, 4114, 2734, 2509, 978, 4527, 4942, 4857, 1140, 2075, 1147, 4269, 3360, 1507, 1542, 1537,
    1528, 1518, 1511, 3742, 3751, 3756, 3721, 3725, 3732, 5708, 5695, 2081, 0, 4275, 6200, 6213, 6346, 6461, 5518, 5957,
    5841, 5702, 5711, 5533, 6216, 6207, 6470, 5517, 5966,
)
# fmt: on
#: A component of the region "gums and tongue" with a median distance to the teeth above this (metres) is the tongue.
GUMS_REACH = 0.006


def read(folder: Path) -> ImportedHead:
    """The head in an ICT-FaceKit folder (its FaceXModel). Raises HeadfitError, naming the file."""
    if not (folder / NEUTRAL).is_file():
        raise HeadfitError(f"{folder}: not an ICT-FaceKit folder, lacks {NEUTRAL}")
    mesh = read_mesh(folder / NEUTRAL)
    if len(mesh.vertices) != VERTICES:
        raise HeadfitError(f"{folder / NEUTRAL}: has {len(mesh.vertices)} vertices, expected {VERTICES}")
    starts = [start for start, _ in REGIONS]
    names = np.array([label for _, label in REGIONS])
    region = np.searchsorted(starts, mesh.faces[:, 0], side="right") - 1
    kept = (mesh.faces < starts[-1]).all(1)
    used = starts[-1]
    head = ImportedHead(
        vertices=mesh.vertices[:used] * METRES,
        faces=mesh.faces[kept],
        labels=names[region[kept]],
        corner_uvs=None if mesh.corner_uvs is None else mesh.corner_uvs[kept],
        landmarks=(np.repeat(np.array(LANDMARKS)[:, None], 3, 1), np.tile([1.0, 0.0, 0.0], (68, 1))),
    )
    identities, expressions = _shape_files(folder)
    head.identity, head.expression = _shapes(identities, head), _shapes(expressions, head)
    head.units = [unit_name(path.stem) for path in expressions]
    head.lowest = np.zeros(len(head.units))
    head.labels = _find_tongue(head)
    head.labels = transfer_labels(head)
    _add_eye_joints(head)
    return head


def _shape_files(folder: Path) -> tuple[list[Path], list[Path]]:
    shapes = sorted(path for path in folder.glob("*.obj") if path.name != NEUTRAL)
    identities = [path for path in shapes if re.fullmatch(r"identity\d+", path.stem)]
    return identities, [path for path in shapes if path not in identities]


def _shapes(paths: list[Path], head: ImportedHead) -> Float:
    """Displacements `[N,V,3]` of each file's vertices from the neutral mesh, metres."""
    used = len(head.vertices)
    result = np.zeros((len(paths), used, 3))
    for shape, path in zip(result, paths, strict=True):
        shape[:] = read_positions(path, VERTICES)[:used] * METRES - head.vertices
    return result


def _find_tongue(head: ImportedHead) -> Text:
    """Labels `[F]` with the region "gums and tongue" split by connected component: the gums are close to the teeth."""
    labels = head.labels.astype("<U16")
    mine = np.flatnonzero(labels == "gums")
    teeth = head.vertices_of("upper_teeth", "lower_teeth")
    if not len(mine) or not len(teeth):
        return labels
    tree = KDTree(head.vertices[teeth])
    component = face_components(head.faces[mine])
    for number in np.unique(component):
        faces: Int = mine[component == number]
        distance = tree.query(head.vertices[np.unique(head.faces[faces])])[0]
        if np.median(distance) > GUMS_REACH:
            labels[faces] = "tongue"
    return labels


def _add_eye_joints(head: ImportedHead) -> None:
    """Add a joint at each eyeball's centre. Only it turns the eyeball; gaze units keep their effect on the lids."""
    gaze = [index for index, name in enumerate(head.units) if name.startswith("eyeLook")]
    for name in ("left_eye", "right_eye"):
        ball = head.vertices_of(name)
        if not len(ball):
            continue
        weights = np.zeros(len(head.vertices))
        weights[ball] = 1.0
        low, high = head.vertices[ball].argmin(0), head.vertices[ball].argmax(0)
        ends = ball[np.concatenate([low, high])]
        box = np.tile([0, 1, 2], 2)
        centre = head.vertices[ends, box].reshape(2, 3).mean(0)
        follow = head.identity[:, ends, box].reshape(-1, 2, 3).mean(1)
        head.joints.append(Joint(name, -1, centre, follow, weights))
        for index in gaze:
            head.expression[index, ball] = 0.0

"""How far the default head reaches a foreign head that it was not made from: ICT-FaceKit's, twelve frames.

    python tests/benchmarks/bench_registration.py [CAPTURE] [--pictures DIR]

CAPTURE is a folder with gt/ of ICT topology; default: ict_talk_a of $HEADFIT_CAPTURES, else of ../shared/captures.
Distances run from the vertices of the foreign mesh to the registered surface. The narrow face is vertices 0 to 6706.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np

from headfit.assets import asset_path
from headfit.capture import Capture
from headfit.evaluate.ground_truth import GroundTruth
from headfit.evaluate.surface import SurfaceDistance
from headfit.head import load
from headfit.registration import Registration, Target

NARROW_FACE, FACE = 6707, 9409
UPPER_TEETH, LOWER_TEETH = range(17039, 19247), range(19247, 21451)
LABELS = {"face": "skin", "head_neck": "skin", "mouth_socket": "mouth_cavity", "eyeball_left": "left_eye"}
LABELS |= {"eyeball_right": "right_eye"}
CLASSES = {5: "gums", 6: "tongue", 7: "mouth_cavity"}


def read_targets(capture: Path) -> list[Target]:
    """The foreign head's frames, with what is what; what the capture's pictures do not show is left out."""
    with np.load(capture / "gt" / "topology.npz") as topology:
        faces, landmarks = topology["faces"].astype(np.int64), topology["landmarks68"].astype(np.int64)
        part = topology["part_names"][topology["face_part"]]
        labels = np.array([LABELS.get(str(name), "") for name in part], dtype="<U16")
        inside = part == "gums_tongue"
        labels[inside] = [CLASSES[int(number)] for number in topology["face_class"][inside]]
        teeth = part == "teeth"
        labels[teeth] = np.where(faces[teeth, 0] < LOWER_TEETH.start, "upper_teeth", "lower_teeth")
        labels[~topology["face_rendered"]] = ""
    frames = sorted((capture / "gt").glob("[0-9]*.npz"))
    return [Target(np.load(path)["vertices"].astype(np.float64), faces, labels, landmarks) for path in frames]


class Score:
    """Distances (mm) of foreign vertices to the registered surface of the same kind."""

    def __init__(self, capture: Path, targets: list[Target]) -> None:
        opened = Capture.open(capture)
        truth = GroundTruth.of(opened)
        assert truth is not None
        self.targets = targets
        self.seen = [truth.seen(target.vertices, opened.cameras) for target in targets]

    def of(self, registration: Registration, frame: int, target: int) -> dict[str, np.ndarray]:
        vertices, head = registration.vertices(frame), registration.head
        faces = head.faces.long().numpy()
        labels = np.array(head.label_names)[head.face_labels.numpy()]
        theirs, seen = self.targets[target].vertices, self.seen[target]

        def distances(ids: np.ndarray, *names: str) -> np.ndarray:
            mine = faces if not names else faces[np.isin(labels, names)]
            return 1e3 * SurfaceDistance(vertices, mine).closest(theirs[ids]).distance if len(ids) else np.zeros(0)

        upper, lower = (np.array([v for v in r if seen[v]]) for r in (UPPER_TEETH, LOWER_TEETH))
        tongue = np.unique(self.targets[target].faces[self.targets[target].labels == "tongue"])
        return {
            "narrow face": distances(np.arange(NARROW_FACE)),
            "face": distances(np.arange(FACE)),
            "upper teeth": distances(upper.astype(int), "upper_teeth"),
            "lower teeth": distances(lower.astype(int), "lower_teeth"),
            "tongue": distances(tongue[seen[tongue]], "tongue"),
        }


def table(title: str, rows: list[dict[str, np.ndarray]]) -> None:
    print(title)
    for name in rows[0]:
        pooled = np.concatenate([row[name] for row in rows])
        if len(pooled):
            print(
                f"  {name:12} median {np.median(pooled):5.2f}  95 % {np.percentile(pooled, 95):5.2f} mm  n {len(pooled)}"
            )


def sharpness(registration: Registration, frame: int) -> str:
    """How many edges of the skin bend by more than 60 degrees, and how many faces are turned over, that were not so
    without offsets: creases and steps."""
    flat = Registration(**{**registration.__dict__, "offsets": 0 * registration.offsets})
    head = registration.head
    skin = head.faces.long().numpy()[np.isin(np.array(head.part_names)[head.face_parts.numpy()], ("skin",))]
    bends = [_bends(r.vertices(frame), skin) for r in (flat, registration)]
    sharp = (bends[1] > 60) & (bends[0] < 45)
    return f"  edges newly sharper than 60 degrees: {sharp.sum()} of {len(sharp)}; newly beyond 120: {((bends[1] > 120) & (bends[0] < 90)).sum()}"


def _bends(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    corners = vertices[faces]
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-20)
    sides = np.sort(np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]), axis=1)
    face = np.tile(np.arange(len(faces)), 3)
    order = np.lexsort((sides[:, 1], sides[:, 0]))
    pair = np.flatnonzero((sides[order[1:]] == sides[order[:-1]]).all(1))
    cosine = (normal[face[order[pair]]] * normal[face[order[pair + 1]]]).sum(1)
    return np.degrees(np.arccos(np.clip(cosine, -1, 1)))

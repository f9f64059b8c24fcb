"""How closely the default head can be registered to a foreign head, ICT-FaceKit's, over twelve frames.

    python tests/benchmarks/bench_registration.py [CAPTURE] [--pictures DIR]

CAPTURE is a folder with gt/ of ICT topology; default: ict_talk_a of $HEADFIT_CAPTURES, else of ../shared/captures.
Distances run from the vertices of the foreign mesh to the registered surface (teeth and tongue: those that a camera
sees, to the same part). The narrow face is vertices 0 to 6706, insides of nostrils and lips included.
"""

from __future__ import annotations

import argparse
import os
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from scipy.spatial.transform import Rotation

from headfit.capture import open_capture
from headfit.evaluate.surface import SurfaceDistance
from headfit.evaluate.visibility import seen_vertices
from headfit.head import load
from headfit.modelling.contact_sheet import Sheet
from headfit.modelling.registration import Registration, Target, fit_offsets, fit_parameters, start

INNER = ("upper_teeth", "lower_teeth", "tongue")
BESIDE = Path(__file__).parents[3] / "shared" / "captures"
NARROW_FACE, FACE = 6707, 9409
UPPER_TEETH, LOWER_TEETH = range(17039, 19247), range(19247, 21451)
LABELS = {"face": "skin", "head_neck": "skin", "mouth_socket": "mouth_cavity", "eyeball_left": "left_eye"}
LABELS |= {"eyeball_right": "right_eye"}
CLASSES = {5: "gums", 6: "tongue", 7: "mouth_cavity"}


def read_targets(capture: Path) -> list[Target]:
    """The foreign head's frames with labels, without faces that the capture's images do not show."""
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
        opened = open_capture(capture)
        truth = opened.ground_truth()
        assert truth is not None
        self.targets = targets
        self.seen = [seen_vertices(truth, target.vertices, opened.cameras) for target in targets]

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
    pooled = {name: np.concatenate([row[name] for row in rows]) for name in rows[0]}
    pooled["visible teeth"] = np.concatenate([pooled["upper teeth"], pooled["lower teeth"]])
    for name, mm in pooled.items():
        if len(mm):
            print(f"  {name:13} median {np.median(mm):5.2f}  95 % {np.percentile(mm, 95):5.2f} mm  of {len(mm)}")


def sharpness(registration: Registration, frame: int) -> str:
    """A line about creases: the number of skin edges that the offsets bent sharply."""
    head = registration.head
    skin = head.faces.long().numpy()[head.face_parts.numpy() == head.part_names.index("skin")]
    flat = replace(registration, offsets=torch.zeros_like(registration.offsets))
    before, now = (_bends(r.vertices(frame), skin) for r in (flat, registration))
    creased, folded = ((now > limit) & (before < 0.75 * limit) for limit in (60, 120))
    return (
        f"  edges that the offsets bent beyond 60 degrees: {creased.sum()}, beyond 120: {folded.sum()}, of {len(now)}"
    )


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


def picture(registration: Registration, frame: int, path: Path, cell: int = 300) -> None:
    """Write a picture of the registered head from five sides, with close-ups of nose, mouth and ear."""
    head, sheet = registration.head, Sheet(registration.head, cell)
    turn = Rotation.from_rotvec(registration.pose[frame, :3].numpy()).as_matrix()
    upright = (registration.vertices(frame) - registration.pose[frame, 3:].numpy()) @ turn
    vertices = torch.from_numpy(upright / np.exp(registration.scale)).float()

    def middle(*labels: str) -> torch.Tensor:
        points = vertices[head.vertices_of(*labels)]
        return (points[points[:, 0] > -0.03] if labels == ("ears",) else points).mean(0)

    whole = [sheet.view(vertices, yaw) for yaw in (0, 45, 90)]
    near = (("nose", 0.08, 25), ("upper_lip", 0.08, 15), ("ears", 0.11, 100), ("ears", 0.11, 150))
    close = [sheet.shoot(vertices, sheet._camera(middle(name), width, yaw), None) for name, width, yaw in near]
    Image.fromarray(np.hstack([*whole, *close])).save(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = Path(os.environ.get("HEADFIT_CAPTURES", BESIDE)) / "ict_talk_a"
    parser.add_argument("capture", type=Path, nargs="?", default=default)
    parser.add_argument("--head", default="default")
    parser.add_argument("--pictures", type=Path, help="folder for pictures of the registered head")
    arguments = parser.parse_args()
    targets, head = read_targets(arguments.capture), load(arguments.head)
    score = Score(arguments.capture, targets)
    begun = time.perf_counter()

    def show(registration: Registration, frame: int, name: str) -> None:
        if arguments.pictures:
            arguments.pictures.mkdir(parents=True, exist_ok=True)
            picture(registration, frame, arguments.pictures / f"{name}.png")

    first = targets[:1]
    one = fit_parameters(start(head, first), first, ("scale", "pose"), rounds=4)
    table("frame 0, similarity", [score.of(one, 0, 0)])
    one = fit_parameters(one, first, ("scale", "pose", "identity"))
    table("frame 0, identity alone", [score.of(one, 0, 0)])
    spread = one.identity.square().mean().sqrt()
    print(f"  identity: rms {spread:.2f}, largest {one.identity.abs().max():.1f} standard deviations")
    show(one, 0, "identity")
    one = fit_offsets(one, first)
    table("frame 0, identity and offsets", [score.of(one, 0, 0)])
    print(sharpness(one, 0))
    show(one, 0, "offsets")
    frames = range(len(targets))
    many = replace(start(head, targets), scale=one.scale, identity=one.identity, offsets=one.offsets)
    many = fit_parameters(many, targets, ("placement", "pose", "expression", "joints"), rounds=8)
    table("all frames: that head posed (units, joints, placement)", [score.of(many, f, f) for f in frames])
    # Placed again for the teeth and tongue alone, which the skin otherwise outweighs.
    inner = [replace(t, labels=np.where(np.isin(t.labels, INNER), t.labels, "")) for t in targets]
    many = fit_parameters(many, inner, ("placement",), rounds=3)
    table("all frames: teeth and tongue placed alone", [score.of(many, f, f) for f in frames])
    show(many, 2, "posed")
    bent = [fit_offsets(many.only(f), targets[f : f + 1], rounds=5) for f in frames]
    table("all frames, offsets of their own", [score.of(bent[f], 0, f) for f in frames])
    show(bent[2], 0, "bent")
    print(f"{time.perf_counter() - begun:.0f} s")


if __name__ == "__main__":
    main()

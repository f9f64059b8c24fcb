"""Measure penetration between the parts of the default head over its range of poses and random identities.

    make head-check        or        python models/default/check.py [--head default] [--people 50]

Prints a table in mm. For each pair of parts: the largest depth of the mean head over all poses, with its pose; and the
median, 95th percentile and largest depth over random identities and fewer poses. Then the remaining gaps between lids
and lips in poses that close them. Takes a few minutes.
"""

import argparse

import numpy as np
import torch
from tqdm import tqdm

from headfit.head import HeadModel, load
from headfit.modelling.aperture import lid_gap, lip_gap
from headfit.modelling.penetration import PAIRS, PenetrationMeter

IDENTITY_SPREAD = 0.8  # standard deviations, as in synthetic captures
# Units that need an open jaw, with the units that open it: those of the tongue, and mouthClose.
NEEDS = {
    "mouthClose": {"jawOpen": 1.0},
    "tongueOut": {"jawOpen": 0.6},
    **{f"tongue{way}": {"jawOpen": 0.7} for way in ("Up", "Down", "Left", "Right", "Roll")},
}
Pose = tuple[dict[str, float], dict[str, tuple[float, ...]]]


def both(name: str) -> dict[str, float]:
    return {f"{name}Left": 1.0, f"{name}Right": 1.0}


def eyes(pitch: float, yaw: float) -> dict[str, tuple[float, ...]]:
    return {"left_eye": (pitch, yaw, 0.0), "right_eye": (pitch, yaw, 0.0)}


def all_poses(head: HeadModel) -> dict[str, Pose]:
    """The tested poses (units, joint rotations in radians) by name.

    Every unit at full and half strength, mouth units also with the jaw open and as left-right pairs, and jaw and eyes
    over their range.
    """
    poses: dict[str, Pose] = {"rest": ({}, {})}
    for name in head.expression_names:
        need = NEEDS.get(name, {})
        for share in (0.5, 1.0):
            others = {k: share * v for k, v in need.items()} if name == "mouthClose" else need
            poses[f"{share:g} {name}"] = ({name: share} | others, {})
        if name.startswith("mouth") and name not in NEEDS:
            for jaw in (0.4, 0.8):
                poses[f"{name} + {jaw:g} jawOpen"] = ({name: 1.0, "jawOpen": jaw}, {})
        if name.endswith("Left") and name.startswith("mouth"):
            poses[name.removesuffix("Left") + " both"] = (both(name.removesuffix("Left")), {})
    for degrees in (8, 16, 24):
        poses[f"jaw {degrees} deg"] = ({}, {"jaw": (np.radians(degrees), 0, 0)})
    for name, (pitch, yaw) in {"down": (35, 0), "up": (-30, 0), "left": (0, 40), "right": (0, -40)}.items():
        gaze = eyes(np.radians(pitch), np.radians(yaw))
        poses[f"look {name}"] = ({}, gaze)
        poses[f"blink, look {name}"] = (both("eyeBlink"), gaze)
    poses["tongueOut + tongueRoll"] = ({"jawOpen": 0.7, "tongueOut": 1.0, "tongueRoll": 1.0}, {})
    poses["tongueOut + tongueUp"] = ({"jawOpen": 0.8, "tongueOut": 0.6, "tongueUp": 0.6}, {})
    poses["smile + upper up"] = (both("mouthSmile") | both("mouthUpperUp"), {})
    return poses


#: Poses that are measured for every random identity.
SELECTED = (
    "rest",
    "1 jawOpen",
    "0.5 mouthClose",
    "1 mouthPucker",
    "1 mouthFunnel",
    "mouthSmile both",
    "1 mouthRollUpper",
    "1 jawLeft",
    "1 jawForward",
    "1 tongueOut",
    "1 tongueUp",
    "look down",
    "blink, look up",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--head", default="default")
    parser.add_argument("--people", type=int, default=50)
    arguments = parser.parse_args()
    head = load(arguments.head)
    poses = all_poses(head)

    def posed(pose: Pose, identity: torch.Tensor | None = None) -> np.ndarray:
        return head.pose(*pose, identity).double().numpy()

    meter = PenetrationMeter(head, posed(({}, {})))
    mean = {name: meter.measure(posed(pose)) for name, pose in tqdm(poses.items(), desc="mean", unit="pose")}
    generator = torch.Generator().manual_seed(0)
    people = IDENTITY_SPREAD * torch.randn(arguments.people, len(head.identity_basis), generator=generator)
    some = [meter.measure(posed(poses[name], p)) for p in tqdm(people, desc="people") for name in SELECTED]
    names = [name for _ in people for name in SELECTED]

    print(f"{'mm':30s} mean, {len(poses)} poses{'':24s} {len(people)} people, {len(SELECTED)} poses")
    print(f"{'':30s} {'deepest':>7s} {'at':30s} {'median':>7s} {'95 %':>7s} {'deepest':>7s} at")
    for pair in PAIRS:
        worst = max(mean, key=lambda name: mean[name][pair])
        values = 1e3 * np.array([depth[pair] for depth in some] or [np.nan])
        print(
            f"{pair:30s} {1e3 * mean[worst][pair]:7.2f} {worst:30s} {np.median(values):7.2f} "
            f"{np.quantile(values, 0.95):7.2f} {values.max():7.2f} {(names or ['-'])[int(values.argmax())]}"
        )
    print("\ngaps (mm)")
    blink = (both("eyeBlink"), {})
    for name, gap, pose in (
        ("eyelids, eyeBlink", lid_gap, blink),
        ("lips, rest", lip_gap, ({}, {})),
        ("lips, 0.5 jawOpen + mouthClose", lip_gap, ({"jawOpen": 0.5, "mouthClose": 0.5}, {})),
        ("lips, jawOpen + mouthClose", lip_gap, ({"jawOpen": 1.0, "mouthClose": 1.0}, {})),
    ):
        gaps = 1e3 * np.array([gap(head, posed(pose, p)) for p in people] or [np.nan])
        print(
            f"{name:32s} mean head {1e3 * gap(head, posed(pose)):5.2f}; people: median {np.median(gaps):5.2f}, "
            f"widest {gaps.max():5.2f}"
        )


if __name__ == "__main__":
    main()

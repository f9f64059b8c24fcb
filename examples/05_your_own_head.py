"""Bring a head of your own: any mesh, and a YAML file that says what its parts are and how it moves.

Here the mesh is an egg with two eyes. `headfit fit --head egg.yaml`, or `headfit.head.load`, then take it like any
other head; docs/other-heads.md lists what the file may hold, and what a fit does without what it does not.
"""

import sys
from pathlib import Path

import numpy as np
import trimesh

from headfit.head import HeadModel, load
from headfit.modelling import contact_sheet

RECIPE = """
mesh: egg.ply
units: cm
blendshapes: shapes       # one mesh per expression unit, named by its file
labels:
  left_eye: {faces: [[%d, %d]]}   # faces that have no label are skin
  right_eye: {faces: [[%d, %d]]}
joints:
  left_eye: {pivot: [3, 2, 9], labels: [left_eye]}
  right_eye: {pivot: [-3, 2, 9], labels: [right_eye]}
"""


def main(folder: Path) -> HeadModel:
    """Write the egg's files and a picture of the head that they make to `folder`; returns the head."""
    egg = trimesh.creation.icosphere(subdivisions=4)
    egg.vertices *= (8, 11, 9)
    eyes = [trimesh.creation.icosphere(subdivisions=2, radius=1.8) for _ in range(2)]
    for eye, x in zip(eyes, (3, -3), strict=True):
        eye.apply_translation((x, 2, 9))
    rest = trimesh.util.concatenate([egg, *eyes])
    rest.export(folder / "egg.ply")

    # The unit jawOpen: what is low and in front moves down and back.
    opened = rest.copy()
    chin = np.exp(-(((egg.vertices - (0, -8, 5)) / 4) ** 2).sum(axis=1))
    opened.vertices[: len(egg.vertices)] += chin[:, None] * (0, -3, -1)
    (folder / "shapes").mkdir(exist_ok=True)
    opened.export(folder / "shapes" / "jawOpen.ply")

    skin, eye = len(egg.faces), len(eyes[0].faces)
    ranges = (skin, skin + eye - 1, skin + eye, skin + 2 * eye - 1)
    (folder / "egg.yaml").write_text(RECIPE % ranges)
    head = load(folder / "egg.yaml")
    contact_sheet(head, folder / "egg.png")
    return head


if __name__ == "__main__":
    head = main(Path(sys.argv[1] if len(sys.argv) > 1 else "."))
    print(f"{head.vertex_count} vertices, units {head.expression_names}, joints {head.joint_names}")

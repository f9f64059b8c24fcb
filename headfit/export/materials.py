"""The materials of exported meshes: one for each kind of surface, all with the same texture."""

from __future__ import annotations

import numpy as np

from headfit.export.topology import MeshTopology

#: Material -> its roughness, and the labels of the faces that carry it. Other faces are skin. The roughness is a
#: convention for preview: a fit does not measure it.
MATERIALS: dict[str, tuple[float, tuple[str, ...]]] = {
    "skin": (0.6, ()),
    "eyes": (0.1, ("left_eye", "right_eye", "eyes")),
    "teeth": (0.25, ("upper_teeth", "lower_teeth", "teeth")),
    "mouth": (0.35, ("gums", "tongue", "mouth_cavity")),
    "hair": (0.8, ()),
}


def faces_by_material(mesh_name: str, topology: MeshTopology) -> dict[str, np.ndarray]:
    """Ascending indices of the faces of each material, for those that a mesh has; every face has one.

    Args:
        mesh_name: of the mesh; one named after a material consists of it.
        topology: its faces and labels.
    """
    of_label = {label: name for name, (_, labels) in MATERIALS.items() for label in labels}
    basic = mesh_name if mesh_name in MATERIALS else "skin"
    names = np.array([of_label.get(str(label), basic) for label in topology.label_names])[topology.face_labels]
    return {name: np.flatnonzero(names == name) for name in MATERIALS if (names == name).any()}

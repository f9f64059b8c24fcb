"""The fine surface: subdivision, triangles, charts, parts, labels, landmarks, stiffness."""

import numpy as np
import scipy.sparse as sp
from borders import FineMesh, split_quads
from closest import closest_on_mesh
from crop import SoftMesh
from labels import LABEL_NAMES, ordered_loop
from makehuman import BaseMesh, Source
from regions import skin_fields
from solids import Solid
from uv import place, subdivide_uv

from headfit.modelling.subdivision import catmull_clark, edges_of

SOFT_PARTS = ("skin", "mouth_cavity", "left_socket", "right_socket", "tongue")
PART_NAMES = (*SOFT_PARTS, "upper_teeth", "upper_gums", "lower_teeth", "lower_gums", "left_eye", "right_eye")
PART_LABELS = {
    "upper_teeth": "upper_teeth",
    "upper_gums": "gums",
    "lower_teeth": "lower_teeth",
    "lower_gums": "gums",
    "left_eye": "left_eye",
    "right_eye": "right_eye",
}


# Borders are drawn in this order (a vertex slides once); labels are painted in reverse order.
BORDERS = ("lips", "brows", "ears", "nose", "hair", "neck")


def fine_surface(
    source: Source,
    base: BaseMesh,
    soft: SoftMesh,
    solids: dict[str, Solid],
    cage: dict[str, np.ndarray],
    landmarks: list[dict],
) -> dict[str, np.ndarray]:
    """All arrays of the fine mesh that are stored in the npz."""
    n_soft = len(soft.ids)
    mesh, slit, neck = soft_surface(soft, base)
    islands = np.repeat(soft.islands, 4)
    soft_mean = cage["mean"][:n_soft]
    # The brows follow landmarks, so these are located before the borders are drawn, and again on the final triangles.
    points = landmark_points(soft, soft_mean, landmarks)
    mesh.fields = skin_fields(
        source, mesh.matrix @ soft_mean, mesh.quads, mesh.uvs[mesh.quads_uv].mean(1), islands, slit, points
    )
    for name in BORDERS:
        mesh.snap(name)
    mesh.snap("upper_lip", within="lips")
    turned = mesh.turned([*BORDERS, "upper_lip"])
    soft_faces, soft_uv = split_quads(mesh.quads, turned), split_quads(mesh.quads_uv, turned)
    soft_labels = paint(soft_faces, np.repeat(islands, 2), mesh.fields)

    matrix = sp.block_diag([mesh.matrix, sp.eye(len(cage["mean"]) - n_soft)]).tocsr()
    arrays = gather(mesh, soft, solids, np.repeat(islands, 2), soft_faces, soft_uv, soft_labels)
    face, bary = closest_on_mesh(points, matrix @ cage["mean"], arrays["faces"][arrays["face_parts"] == 0])
    skin = np.flatnonzero(arrays["face_parts"] == 0)
    return arrays | {
        "subdivision_data": matrix.data,
        "subdivision_indices": matrix.indices,
        "subdivision_indptr": matrix.indptr,
        "part_names": np.array(PART_NAMES),
        "label_names": np.array(LABEL_NAMES),
        "cage_stiffness": stiffness(soft, cage),
        "landmark_faces": skin[face].astype(np.int32),
        "landmark_bary": bary.round(6),
        "neck_loop": neck,
    }


def soft_surface(soft: SoftMesh, base: BaseMesh) -> tuple[FineMesh, np.ndarray, np.ndarray]:
    """The subdivided soft mesh, its lip slit and its neck border as ordered vertex loops."""
    loops = {n: soft.loop_between("skin", n) for n in ("mouth_cavity", "left_socket", "right_socket")}
    sub = catmull_clark(soft.quads, len(soft.ids), np.concatenate(list(loops.values())))
    uvs, quads_uv = subdivide_uv(soft.quads_uv, base.uvs)
    edges, _, count = edges_of(soft.quads)
    n_vertices = sub.matrix.shape[0]
    # A vertex on a seam has several UVs and must not slide, nor do those of the slit, the lids and the neck's border.
    pairs = np.unique(np.stack([sub.quads.ravel(), quads_uv.ravel()], 1), axis=0)
    fixed = np.bincount(pairs[:, 0], minlength=n_vertices) > 1
    fine_edges, _, fine_count = edges_of(sub.quads)
    fixed[np.unique(fine_edges[fine_count == 1])] = True
    mesh = FineMesh(sub.matrix, sub.quads, quads_uv, uvs, {}, fixed)
    return mesh, sub_loop(sub, loops["mouth_cavity"]), sub_loop(sub, edges[count == 1])


def paint(faces: np.ndarray, islands: np.ndarray, fields: dict[str, np.ndarray]) -> np.ndarray:
    """Label index of each soft face."""
    index = {name: i for i, name in enumerate(LABEL_NAMES)}
    mean = {name: field[faces].mean(1) for name, field in fields.items()}
    labels = np.full(len(faces), index["skin"])
    for name in ("mouth_cavity", "tongue"):
        labels[islands == name] = index[name]
    labels[islands == "chest"] = index["neck"]
    for name in BORDERS[:0:-1]:
        labels[(islands == "skin") & (mean[name] > 0)] = index[name]
    lips = np.isin(islands, ("skin", "mouth_cavity")) & (mean["lips"] > 0)
    labels[lips] = np.where(mean["upper_lip"] > 0, index["upper_lip"], index["lower_lip"])[lips]
    return labels


def gather(
    mesh: FineMesh,
    soft: SoftMesh,
    solids: dict[str, Solid],
    islands: np.ndarray,
    soft_faces: np.ndarray,
    soft_uv: np.ndarray,
    soft_labels: np.ndarray,
) -> dict[str, np.ndarray]:
    """Faces of all parts in order, with their charts placed in the atlas."""
    faces, faces_uv, uvs, parts, labels = [], [], [], [], []
    cage_faces = [split_quads(soft.quads, np.zeros(len(soft.quads), bool))]
    uv_count = 0
    for name in ("skin", "chest", "mouth_cavity", "left_socket", "right_socket", "tongue"):
        mine = islands == name
        used, index = np.unique(soft_uv[mine], return_inverse=True)
        uvs.append(place(mesh.uvs[used], name))
        faces.append(soft_faces[mine])
        faces_uv.append(index.reshape(-1, 3) + uv_count)
        parts.append(np.full(mine.sum(), PART_NAMES.index("skin" if name == "chest" else name)))
        labels.append(soft_labels[mine])
        uv_count += len(used)
    vertex, cage_vertex = len(mesh.fixed), len(soft.ids)
    for name, solid in solids.items():
        faces.append(solid.faces + vertex)
        cage_faces.append(solid.faces + cage_vertex)
        uvs.append(place(solid.uvs, name))
        faces_uv.append(solid.faces_uv + uv_count)
        parts.append(np.full(len(solid.faces), PART_NAMES.index(name)))
        labels.append(np.full(len(solid.faces), LABEL_NAMES.index(PART_LABELS[name])))
        vertex += len(solid.vertices)
        cage_vertex += len(solid.vertices)
        uv_count += len(solid.uvs)
    return {
        "faces": np.concatenate(faces).astype(np.int32),
        "faces_uv": np.concatenate(faces_uv).astype(np.int32),
        "uvs": np.concatenate(uvs),
        "face_parts": np.concatenate(parts).astype(np.uint8),
        "face_labels": np.concatenate(labels).astype(np.uint8),
        "cage_faces": np.concatenate(cage_faces).astype(np.int32),
    }


def sub_loop(sub, coarse_edges: np.ndarray) -> np.ndarray:
    """The fine vertices, in order, of a loop given by coarse edges."""
    n_v = len(sub.matrix.indptr) - 1 - len(sub.edges) - len(sub.quads) // 4
    rank = {(int(a), int(b)): i for i, (a, b) in enumerate(sub.edges)}
    split = []
    for a, b in np.sort(coarse_edges, axis=1):
        middle = n_v + rank[int(a), int(b)]
        split += [(a, middle), (middle, b)]
    return ordered_loop(np.array(split))


def landmark_points(soft: SoftMesh, soft_mean: np.ndarray, landmarks: list[dict]) -> np.ndarray:
    """Positions `[68,3]` (metres) of landmarks given on base.obj's triangles."""
    return np.stack(
        [np.array(m["bary"]) / np.sum(m["bary"]) @ soft_mean[soft.local(np.array(m["tri"]))] for m in landmarks]
    )


def stiffness(soft: SoftMesh, cage: dict[str, np.ndarray]) -> np.ndarray:
    """Relative resistance `[Vc]` of cage vertices to free offsets."""
    value = np.ones(len(cage["mean"]))
    value[cage["cage_rigid_part"] >= 0] = 1000.0
    inner = np.isin(soft.islands, ("mouth_cavity", "left_socket", "right_socket"))
    value[np.unique(soft.quads[inner])] = 10.0
    return value

"""The fine surface: subdivision, triangles, charts, parts, labels, landmarks, stiffness."""

import numpy as np
import scipy.sparse as sp
from closest import closest_on_mesh
from crop import SoftMesh
from labels import INNER_LIP, LABEL_NAMES, ordered_loop, sample_mask, upper_half, walking_distance
from makehuman import BaseMesh, Source
from solids import Solid
from uv import place, subdivide_uv

from headfit.head.subdivision import catmull_clark, edges_of

SOFT_PARTS = ("skin", "mouth_cavity", "left_socket", "right_socket", "tongue")
PART_NAMES = (*SOFT_PARTS, "upper_teeth", "upper_gums", "lower_teeth", "lower_gums", "left_eye", "right_eye")
PART_LABELS = {
    "tongue": "tongue",
    "mouth_cavity": "mouth_cavity",
    "left_socket": "skin",
    "right_socket": "skin",
    "upper_teeth": "upper_teeth",
    "upper_gums": "gums",
    "lower_teeth": "lower_teeth",
    "lower_gums": "gums",
    "left_eye": "left_eye",
    "right_eye": "right_eye",
}


def triangles(quads: np.ndarray) -> np.ndarray:
    return np.stack([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]], 1).reshape(-1, 3)


def fine_surface(
    source: Source,
    base: BaseMesh,
    soft: SoftMesh,
    solids: dict[str, Solid],
    cage: dict[str, np.ndarray],
    landmarks: list[dict],
) -> dict[str, np.ndarray]:
    n_soft = len(soft.ids)
    loops = {
        name: soft.loop_between("skin", name) for name in ("mouth_cavity", "left_socket", "right_socket")
    }
    sub = catmull_clark(soft.quads, n_soft, np.concatenate(list(loops.values())))
    solid_count = len(cage["mean"]) - n_soft
    matrix = sp.block_diag([sub.matrix, sp.eye(solid_count)]).tocsr()
    fine = matrix @ cage["mean"]
    n_fine_soft = sub.matrix.shape[0]

    island = np.repeat(soft.islands, 4)
    charts, quads_uv = subdivide_uv(soft.quads_uv, base.uvs)
    slit = sub_loop(sub, loops["mouth_cavity"])
    fields = label_soft(source, soft, island, sub.quads, charts[quads_uv].mean(1), fine[:n_fine_soft], slit)

    faces, faces_uv, uvs, parts, labels = [], [], [], [], []
    cage_faces = [triangles(soft.quads)]
    uv_count = 0
    for name in ("skin", "chest", "mouth_cavity", "left_socket", "right_socket", "tongue"):
        mine = np.flatnonzero(island == name)
        used, index = np.unique(quads_uv[mine], return_inverse=True)
        uvs.append(place(charts[used], name))
        faces.append(triangles(sub.quads[mine]))
        faces_uv.append(triangles(index.reshape(-1, 4) + uv_count))
        parts.append(np.full(2 * len(mine), PART_NAMES.index("skin" if name == "chest" else name)))
        labels.append(np.repeat(fields[mine], 2))
        uv_count += len(used)
    vertex, cage_vertex = n_fine_soft, n_soft
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
    all_faces, all_parts = np.concatenate(faces), np.concatenate(parts)
    marks = fine_landmarks(soft, cage["mean"], fine, all_faces, all_parts == 0, landmarks)
    border, _, count = edges_of(soft.quads)
    neck = sub_loop(sub, border[(count == 1)])
    return {
        "subdivision_data": matrix.data,
        "subdivision_indices": matrix.indices,
        "subdivision_indptr": matrix.indptr,
        "faces": all_faces.astype(np.int32),
        "faces_uv": np.concatenate(faces_uv).astype(np.int32),
        "uvs": np.concatenate(uvs),
        "face_parts": all_parts.astype(np.uint8),
        "part_names": np.array(PART_NAMES),
        "face_labels": np.concatenate(labels).astype(np.uint8),
        "label_names": np.array(LABEL_NAMES),
        "cage_faces": np.concatenate(cage_faces).astype(np.int32),
        "cage_stiffness": stiffness(soft, cage),
        "landmark_faces": marks[0],
        "landmark_bary": marks[1],
        "neck_loop": neck,
    }


def sub_loop(sub, coarse_edges: np.ndarray) -> np.ndarray:
    """Ordered fine vertices of a loop given by coarse edges."""
    n_v = len(sub.matrix.indptr) - 1 - len(sub.edges) - len(sub.quads) // 4
    rank = {(int(a), int(b)): i for i, (a, b) in enumerate(sub.edges)}
    split = []
    for a, b in np.sort(coarse_edges, axis=1):
        middle = n_v + rank[int(a), int(b)]
        split += [(a, middle), (middle, b)]
    return ordered_loop(np.array(split))


def label_soft(source, soft, island, quads, uv, fine, slit) -> np.ndarray:
    """Label index of every fine quad [4Q]."""
    index = {name: i for i, name in enumerate(LABEL_NAMES)}
    labels = np.full(len(quads), index["skin"])
    for name in ("mouth_cavity", "tongue"):
        labels[island == name] = index[name]
    labels[island == "chest"] = index["neck"]
    centre = fine[quads].mean(1)
    skin = island == "skin"
    labels[skin & (sample_mask(source.uv_mask("ears"), uv) > 0.5)] = index["ears"]
    upper = upper_half(fine, slit)
    distance, seed = walking_distance(fine, quads, slit)
    side = np.isin(seed, upper)
    quad_side = side[quads].mean(1) > 0.5
    lips = skin & (sample_mask(source.uv_mask("lips"), uv) > 0.5)
    lips |= (island == "mouth_cavity") & (distance[quads].mean(1) < INNER_LIP)
    labels[lips & quad_side] = index["upper_lip"]
    labels[lips & ~quad_side] = index["lower_lip"]
    labels[skin & (labels == 0) & (centre[:, 1] > 0.06)] = index["hair"]
    return labels


def fine_landmarks(soft, cage_mean, fine, faces, on_skin, landmarks):
    """Face and barycentric coordinates on the fine skin of landmarks that were placed on the cage."""
    skin = np.flatnonzero(on_skin)
    points = np.stack(
        [
            np.array(m["bary"]) / np.sum(m["bary"]) @ cage_mean[soft.local(np.array(m["tri"]))]
            for m in landmarks
        ]
    )
    face, bary = closest_on_mesh(points, fine, faces[skin])
    return skin[face].astype(np.int32), bary


def stiffness(soft: SoftMesh, cage: dict[str, np.ndarray]) -> np.ndarray:
    """Relative resistance of cage vertices to free offsets [Vc]."""
    value = np.ones(len(cage["mean"]))
    value[cage["cage_rigid_part"] >= 0] = 1000.0
    inner = np.isin(soft.islands, ("mouth_cavity", "left_socket", "right_socket"))
    value[np.unique(soft.quads[inner])] = 10.0
    return value

"""The default head with fewer vertices, for fits whose time matters and whose numbers do not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from scipy.sparse import csr_matrix, identity
from scipy.spatial import KDTree

from headfit.assets import asset_path
from headfit.npz import read_npz

#: Identity components that are kept.
COMPONENTS = 10


def write_small_head(path: Path) -> Path:
    """Write the cage of the default head as a head whose surface it is: 9,472 vertices, not 23,581; returns `path`.

    Names, joints, expressions and labels are those of the default head. Landmarks are at the nearest vertices, and a
    vertex on a seam of the texture has only one of its texture coordinates.
    """
    arrays = dict(read_npz(asset_path("models") / "default" / "head.npz"))
    cage, faces = arrays["mean"], arrays["cage_faces"]
    csr = tuple(arrays[f"subdivision_{part}"] for part in ("data", "indices", "indptr"))
    subdivision = csr_matrix(csr, shape=(len(csr[2]) - 1, len(cage)))
    surface, fine_of = subdivision @ cage, np.asarray(subdivision.argmax(0)).ravel()
    cage_of = np.full(len(surface), -1)
    cage_of[fine_of] = np.arange(len(cage))
    uv_of = np.empty(len(surface), np.int64)
    uv_of[arrays["faces"].ravel()] = arrays["faces_uv"].ravel()
    same = KDTree(surface[arrays["faces"]].mean(1)).query(surface[fine_of][faces].mean(1))[1]
    corners = arrays["faces"][arrays["landmark_faces"]]
    points = (surface[corners] * arrays["landmark_bary"][..., None]).sum(1)
    skin = faces[arrays["face_parts"][same] == arrays["face_parts"][arrays["landmark_faces"][0]]]
    ends = np.unique(skin)[KDTree(cage[np.unique(skin)]).query(points)[1]]
    landmark_faces = np.array([np.flatnonzero((faces == end).any(1))[0] for end in ends])
    whole = identity(len(cage), format="csr")
    loop = cage_of[arrays["neck_loop"]]
    arrays |= {
        "identity_basis": arrays["identity_basis"][:COMPONENTS],
        "pivot_basis": arrays["pivot_basis"][:COMPONENTS],
        "part_centre_basis": arrays["part_centre_basis"][:COMPONENTS],
        "faces": faces,
        "faces_uv": faces,
        "uvs": arrays["uvs"][uv_of[fine_of]],
        "face_labels": arrays["face_labels"][same],
        "face_parts": arrays["face_parts"][same],
        "landmark_faces": landmark_faces,
        "landmark_bary": (faces[landmark_faces] == ends[:, None]).astype(np.float32),
        "neck_loop": loop[loop >= 0],
        "subdivision_data": whole.data,
        "subdivision_indices": whole.indices,
        "subdivision_indptr": whole.indptr,
    }
    np.savez(path, **arrays)
    return path

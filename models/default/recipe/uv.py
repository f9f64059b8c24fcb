"""The texture atlas: one square, every surface in a region of its own."""

import numpy as np

# Region of each chart in the atlas: (left, bottom, right, top). The skin's chart is the largest by far.
ATLAS = {
    "skin": (0.0, 0.25, 1.0, 1.0),
    "chest": (0.0, 0.0, 0.2, 0.24),
    "mouth_cavity": (0.2, 0.0, 0.4, 0.24),
    "tongue": (0.4, 0.0, 0.5, 0.24),
    "left_eye": (0.5, 0.12, 0.62, 0.24),
    "right_eye": (0.5, 0.0, 0.62, 0.12),
    "left_socket": (0.62, 0.12, 0.72, 0.24),
    "right_socket": (0.62, 0.0, 0.72, 0.12),
    "upper_teeth": (0.72, 0.18, 1.0, 0.24),
    "lower_teeth": (0.72, 0.12, 1.0, 0.18),
    "upper_gums": (0.72, 0.06, 1.0, 0.12),
    "lower_gums": (0.72, 0.0, 1.0, 0.06),
}
MARGIN = 0.004


def place(uvs: np.ndarray, name: str) -> np.ndarray:
    """Move a chart [T,2] into its region of the atlas, keeping its proportions."""
    left, bottom, right, top = ATLAS[name]
    low, high = uvs.min(0), uvs.max(0)
    room = np.array([right - left, top - bottom]) - 2 * MARGIN
    scale = (room / (high - low)).min()
    offset = np.array([left, bottom]) + MARGIN + (room - scale * (high - low)) / 2
    return offset + scale * (uvs - low)


def subdivide_uv(quads_uv: np.ndarray, uvs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Bilinear subdivision of a chart, in the quad and corner order of `catmull_clark`: uvs [T,2], quads_uv [4Q,4]."""
    corner = uvs[quads_uv]
    middle = corner.mean(1, keepdims=True)
    half = (corner + np.roll(corner, -1, 1)) / 2
    children = np.stack(
        [corner, half, np.broadcast_to(middle, corner.shape), np.roll(half, 1, 1)], axis=2
    )  # [Q, 4 children, 4 corners, 2]
    flat = np.round(children.reshape(-1, 2), 9)
    unique, index = np.unique(flat, axis=0, return_inverse=True)
    return unique, index.reshape(-1, 4)

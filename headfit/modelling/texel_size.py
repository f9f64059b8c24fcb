"""Measures the texture layout of a head: how large a texel is on its surface."""

from __future__ import annotations

import numpy as np

from headfit.head import HeadModel


def texel_size(head: HeadModel, size: int) -> dict[str, float]:
    """Width of a texel on the mean head in millimetres, per label, for a texture of `size` x `size` texels: the square
    root of the label's surface area over its number of texels."""
    corners = head.rest().double().numpy()[head.faces.long().numpy()]
    across = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    on_head = np.linalg.norm(across, axis=1) / 2
    a, b, c = head.uvs.double().numpy()[head.faces_uv.long().numpy()].swapaxes(0, 1)
    ab, ac = b - a, c - a
    in_texels = np.abs(ab[:, 0] * ac[:, 1] - ab[:, 1] * ac[:, 0]) / 2 * size**2
    labels = head.face_labels.numpy()
    result = {}
    for index, name in enumerate(head.label_names):
        mine = labels == index
        if in_texels[mine].sum() > 0:
            result[name] = 1e3 * float(np.sqrt(on_head[mine].sum() / in_texels[mine].sum()))
    return result

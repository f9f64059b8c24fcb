"""The texture layout of a head, measured: how large a texel is on the head."""

from __future__ import annotations

import numpy as np
import torch

from headfit.head import HeadModel


def texel_size(head: HeadModel, size: int) -> dict[str, float]:
    """Millimetres of the mean head that a texel of a `size` x `size` texture is wide, per label: square root of the
    label's area over its texels."""
    with torch.no_grad():
        rest = (torch.zeros(len(head.identity_basis)), torch.zeros(1, len(head.expression_names)))
        vertices = head(*rest, torch.zeros(1, len(head.joint_names), 6))[0].double().numpy()
    corners = vertices[head.faces.long().numpy()]
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

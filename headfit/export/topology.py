"""What all frames of a fitted head share: faces, UVs, labels and parts, as plain numpy arrays."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from headfit.errors import HeadfitError
from headfit.fitting.model import FittedHead
from headfit.head import HeadModel


@dataclass(frozen=True)
class MeshTopology:
    """The constant part of a mesh sequence; the other part is vertices `[V,3]` per frame.

    faces `[F,3]` int32 index the vertices, faces_uv `[F,3]` int32 index uvs `[T,2]` float32 (u right, v up, in
    [0,1]). face_labels `[F]` and face_parts `[F]` int32 index label_names and part_names (unicode arrays).
    """

    faces: np.ndarray
    faces_uv: np.ndarray
    uvs: np.ndarray
    face_labels: np.ndarray
    label_names: np.ndarray
    face_parts: np.ndarray
    part_names: np.ndarray

    @classmethod
    def of(cls, head: HeadModel) -> MeshTopology:
        """The topology of a head model, copied to host memory."""
        return cls(
            faces=head.faces.cpu().numpy().astype(np.int32),
            faces_uv=head.faces_uv.cpu().numpy().astype(np.int32),
            uvs=head.uvs.cpu().numpy().astype(np.float32),
            face_labels=head.face_labels.cpu().numpy().astype(np.int32),
            label_names=np.array(head.label_names, dtype=np.str_),
            face_parts=head.face_parts.cpu().numpy().astype(np.int32),
            part_names=np.array(head.part_names, dtype=np.str_),
        )

    @classmethod
    def of_hair(cls, model: FittedHead) -> MeshTopology:
        """The topology of the fitted hair layer, in the head's texture coordinates: its faces that reach above the
        skin."""
        layer = model.hair
        above = (layer.heights().detach() > 0)[layer.faces.long()].any(1)
        faces = layer.faces[above].cpu().numpy().astype(np.int32)
        nothing = np.zeros(len(faces), np.int32)
        return cls(
            faces=faces,
            faces_uv=model.head.faces_uv[layer.source_faces[above]].cpu().numpy().astype(np.int32),
            uvs=model.head.uvs.cpu().numpy().astype(np.float32),
            face_labels=nothing,
            label_names=np.array(["hair"], dtype=np.str_),
            face_parts=nothing,
            part_names=np.array(["hair"], dtype=np.str_),
        )

    def split_at_seams(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The mesh with one index per corner, in which a vertex on a UV seam is repeated for each UV it carries:
        the vertex `[S]` behind each of its S, their UVs `[S,2]`, and the faces `[F,3]` int64 that index them."""
        corners = np.stack([self.faces.reshape(-1), self.faces_uv.reshape(-1)], axis=-1)
        split, corner_index = np.unique(corners, axis=0, return_inverse=True)
        return split[:, 0], self.uvs[split[:, 1]], corner_index.reshape(-1, 3)

    def save(self, path: Path) -> None:
        """Write an npz that `numpy.load(path)` reads with its default `allow_pickle=False`."""
        np.savez_compressed(path, **{field.name: getattr(self, field.name) for field in fields(self)})

    @classmethod
    def load(cls, path: Path) -> MeshTopology:
        """Read what `save` wrote. Raises HeadfitError where the file or one of its arrays is missing."""
        if not path.is_file():
            raise HeadfitError(f"{path}: no such file")
        with np.load(path) as arrays:
            missing = [field.name for field in fields(cls) if field.name not in arrays]
            if missing:
                raise HeadfitError(f"{path}: misses the arrays {', '.join(missing)}")
            return cls(**{field.name: arrays[field.name] for field in fields(cls)})

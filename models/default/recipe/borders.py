"""Smooth borders between labels: fine vertices slide along their edges onto the level sets of scalar fields.

A vertex that slid is a blend of two rows of the subdivision matrix. The fine surface therefore remains a constant
linear function of the cage, and vertices move only within the surface.
"""

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from headfit.modelling.subdivision import edges_of

MAX_SLIDE = 0.7  # share of an edge; more would leave sliver triangles


@dataclass
class FineMesh:
    """The subdivided soft mesh, modified while label borders are drawn.

    `matrix [V,Vc]`; `quads [Q,4]`; `quads_uv [Q,4]` into `uvs [T,2]`; `fields`: name -> scalar per vertex, positive
    inside; `fixed [V]`: vertices that must not slide (chart seams, lip slit, lids, vertices that slid before).
    """

    matrix: sp.csr_matrix
    quads: np.ndarray
    quads_uv: np.ndarray
    uvs: np.ndarray
    fields: dict[str, np.ndarray]
    fixed: np.ndarray

    def snap(self, name: str, within: str | None = None) -> None:
        """Slide vertices onto the zero level of a field: for every edge that crosses it, the nearer end moves there.

        Args:
            name: the field.
            within: another field; edges outside of it are skipped.
        """
        edges, _, _ = edges_of(self.quads)
        crosses = np.prod(self.fields[name][edges], axis=1) < 0
        if within is not None:
            crosses &= (self.fields[within][edges] >= 0).all(1)
        edges = edges[crosses]
        value = self.fields[name][edges]
        share = value[:, 0] / (value[:, 0] - value[:, 1])  # where the edge crosses zero, as a share of it
        ends = np.concatenate([edges, edges[:, ::-1]])
        share = np.concatenate([share, 1 - share])
        order = np.argsort(share)
        done = np.zeros(len(edges), bool)
        chosen: dict[int, tuple[int, float]] = {}
        for k in order:  # shortest slides first; a vertex slides once, an edge needs one end
            mover, goal = ends[k]
            if share[k] > MAX_SLIDE or done[k % len(edges)] or self.fixed[mover]:
                continue
            done[k % len(edges)] = True
            chosen.setdefault(int(mover), (int(goal), float(share[k])))
        mover = np.array(list(chosen), int)
        goal = np.array([g for g, _ in chosen.values()], int)
        self._slide(mover, goal, np.array([s for _, s in chosen.values()]))
        self.fields[name][mover] = 0.0
        self.fixed[mover] = True

    def _slide(self, mover: np.ndarray, goal: np.ndarray, share: np.ndarray) -> None:
        n = len(self.fixed)
        keep = np.ones(n)
        keep[mover] = 1 - share
        blend = sp.diags(keep) + sp.csr_matrix((share, (mover, goal)), shape=(n, n))
        corner_uv = {}
        for turn in (1, -1):
            corners = (self.quads, np.roll(self.quads, turn, 1), self.quads_uv, np.roll(self.quads_uv, turn, 1))
            for v, u, x, y in zip(*(c.ravel() for c in corners), strict=True):
                corner_uv[int(v), int(u)] = (x, y)
        uvs = self.uvs.copy()
        for v, u, s in zip(mover, goal, share, strict=True):
            x, y = corner_uv[int(v), int(u)]
            uvs[x] = (1 - s) * self.uvs[x] + s * self.uvs[y]
        self.uvs = uvs
        self.matrix = (blend @ self.matrix).tocsr()
        self.fields = {name: blend @ field for name, field in self.fields.items()}

    def turned(self, borders: list[str]) -> np.ndarray:
        """Bool `[Q]`: the quad is split from its second corner, because a border runs along that diagonal."""
        along = np.zeros(len(self.quads), bool)
        for name in borders:
            corner = np.abs(self.fields[name][self.quads])
            along |= (corner[:, 1] + corner[:, 3] == 0) & (corner[:, 0] + corner[:, 2] > 0)
        return along


def split_quads(quads: np.ndarray, turned: np.ndarray) -> np.ndarray:
    """Triangles `[2Q,3]`: 2q and 2q + 1 of quad q, split along its first diagonal or, where `turned`, the other."""
    quads = np.where(turned[:, None], np.roll(quads, -1, 1), quads)
    return np.stack([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]], 1).reshape(-1, 3)

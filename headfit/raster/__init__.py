"""A differentiable rasterizer for triangle meshes. See `headfit.raster.api` for conventions.

Importing it makes glibc keep freed memory for the process, see `headfit.raster.backend.keep_freed_memory`.
"""

from headfit.raster import backend
from headfit.raster._C import NEAR
from headfit.raster.api import (
    PixelLossKind,
    edge_grad,
    edges_of_loss,
    interpolate,
    loss_of_pixels,
    pixel_loss,
    rasterize,
    skipped_faces,
)
from headfit.raster.gloss import mirrored_gloss
from headfit.raster.labels import label_loss
from headfit.raster.lighting import SH_COUNT, sh_basis, shade_pixels, shading
from headfit.raster.normals import OppositeEdges, vertex_normals
from headfit.raster.texture import sample_texture
from headfit.raster.topology import Topology

backend.keep_freed_memory()

__all__ = [
    "NEAR",
    "SH_COUNT",
    "OppositeEdges",
    "PixelLossKind",
    "Topology",
    "edge_grad",
    "edges_of_loss",
    "interpolate",
    "label_loss",
    "loss_of_pixels",
    "mirrored_gloss",
    "pixel_loss",
    "rasterize",
    "sample_texture",
    "sh_basis",
    "shade_pixels",
    "shading",
    "skipped_faces",
    "vertex_normals",
]

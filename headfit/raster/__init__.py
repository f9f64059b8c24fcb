"""A differentiable rasterizer for triangle meshes. See `headfit.raster.api` for conventions.

Importing it makes glibc keep freed memory for the process, see `headfit.raster.backend.keep_freed_memory`.
"""

from headfit.raster import backend
from headfit.raster._C import NEAR
from headfit.raster.api import (
    PixelLossKind,
    edge_grad,
    interpolate,
    loss_of_pixels,
    pixel_loss,
    rasterize,
    skipped_faces,
)
from headfit.raster.normals import OppositeEdges, vertex_normals
from headfit.raster.texture import sample_texture
from headfit.raster.topology import Topology

backend.keep_freed_memory()

__all__ = [
    "NEAR",
    "OppositeEdges",
    "PixelLossKind",
    "Topology",
    "edge_grad",
    "interpolate",
    "loss_of_pixels",
    "pixel_loss",
    "rasterize",
    "sample_texture",
    "skipped_faces",
    "vertex_normals",
]

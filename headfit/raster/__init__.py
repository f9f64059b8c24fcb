"""A differentiable rasterizer for triangle meshes. See `headfit.raster.api` for conventions."""

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
from headfit.raster.texture import sample_texture
from headfit.raster.topology import Topology

__all__ = [
    "NEAR",
    "PixelLossKind",
    "Topology",
    "edge_grad",
    "interpolate",
    "loss_of_pixels",
    "pixel_loss",
    "rasterize",
    "sample_texture",
    "skipped_faces",
]

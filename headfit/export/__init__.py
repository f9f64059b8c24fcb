"""Exporters: a fitted take as meshes, animation, point caches and curves, and pictures of the fitted model."""

from headfit.export.formats import FORMATS, export_meshes, write_take
from headfit.export.pictures import render_pictures
from headfit.export.take import MeshSequence, Take
from headfit.export.topology import MeshTopology

__all__ = ["FORMATS", "MeshSequence", "MeshTopology", "Take", "export_meshes", "render_pictures", "write_take"]

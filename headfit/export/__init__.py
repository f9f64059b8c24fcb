"""Exporters: fitted meshes as npz, PLY, OBJ, GLB, and pictures of the fitted model."""

from headfit.export.formats import FORMATS, MeshSequence, export_meshes
from headfit.export.pictures import render_pictures
from headfit.export.topology import MeshTopology

__all__ = ["FORMATS", "MeshSequence", "MeshTopology", "export_meshes", "render_pictures"]

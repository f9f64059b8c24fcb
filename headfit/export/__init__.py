"""Leaving the program: fitted meshes as npz, PLY, OBJ, GLB, and pictures of the fitted model."""

from headfit.export.formats import FORMATS, export_run
from headfit.export.pictures import render_pictures
from headfit.export.topology import MeshTopology

__all__ = ["FORMATS", "MeshTopology", "export_run", "render_pictures"]

"""Fits a deformable head mesh with a mouth interior to calibrated multi-view video."""

__version__ = "0.2.0"

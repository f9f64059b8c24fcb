"""Captures: calibrated multi-view recordings of a head, read from disk and served as batches of views."""

from headfit.capture.camera import Camera
from headfit.capture.decode import DamagedFile
from headfit.capture.labels import LabelClasses, label_classes
from headfit.capture.native import open_capture
from headfit.capture.source import CaptureSource
from headfit.capture.true_meshes import TrueMeshes

__all__ = ["Camera", "CaptureSource", "DamagedFile", "LabelClasses", "TrueMeshes", "label_classes", "open_capture"]

"""Captures: calibrated multi-view recordings of a head, read from disk and served as batches of views."""

from headfit.capture.camera import Camera
from headfit.capture.capture import Capture, DamagedFile
from headfit.capture.labels import LabelClasses, label_classes

__all__ = ["Camera", "Capture", "DamagedFile", "LabelClasses", "label_classes"]

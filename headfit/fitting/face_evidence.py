"""What the capture says of each part of the face, in millimetres and shares: the figures by which a stage is judged.

Losses cannot judge a stage: they fall while a texture explains a lost nose away.
"""

from __future__ import annotations

import torch
from torch import Tensor

from headfit.capture.data import CaptureData
from headfit.capture.framing import framings_at
from headfit.capture.labels import LIP_LABELS, MOUTH_CLASSES
from headfit.fitting.face_groups import group_distances, judged_landmarks, triangulated_landmarks
from headfit.fitting.harm import IOU, MM
from headfit.fitting.model import FittedHead
from headfit.fitting.observation import Observation
from headfit.fitting.parallel import all_reduce_sum
from headfit.fitting.pictures import fixed_views
from headfit.fitting.schedule import Plan

#: Frames that are compared, cameras for each of them, pixels across the head.
FRAMES, CAMERAS, RESOLUTION = 4, 3, 256
#: Parts of the face whose landmarks are compared. Brows are left out: detectors and models put them apart.
PARTS = ("nose", "eyes", "lips")
#: Parts whose masks are compared, by classes; "head": all classes but the background.
MASKED = {
    "eyes": ("eyes", "left_eye", "right_eye"),
    "lips": LIP_LABELS,
    "mouth": MOUTH_CLASSES,
}
#: Least pixels of a part in the masks, over all compared views: an IoU of fewer is noise.
MIN_PIXELS = 300


class FaceEvidence:
    """Measures the model against some views of the key frames, those of the training cameras only.

    Args:
        model: is measured as it is at each call.
        data: serves the views.
        plan: says which frames are key frames: every stage leaves these either alone or better.
    """

    def __init__(self, model: FittedHead, data: CaptureData, plan: Plan) -> None:
        self.model = model
        self.data = data
        by_angle = sorted(data.training_cameras, key=lambda c: tuple(model.capture.cameras[c].centre))
        views = fixed_views(plan.key, by_angle, FRAMES, CAMERAS)
        self.pairs = [(frame, camera) for frame, cameras in views for camera in cameras]
        frames = sorted(frame for frame, _ in views)
        self.landmarks = (
            triangulated_landmarks(model, data.capture, frames, data.training_cameras) if model.use_landmarks else None
        )

    @torch.no_grad()
    def measure(self) -> dict[str, float]:
        """Figures by name: `nose_mm`, median distance from the triangulated landmarks; `eyes_iou`, intersection over
        union with the masks. What the capture does not say is left out. In several processes, the same on all.

        Where masks show lips, their landmarks are not compared: detectors err there alike in all views.
        """
        framings = framings_at(self.model.head_windows, RESOLUTION)
        o = self.model.observe(self.data.view_batch(self.pairs, framings), crop_blur=0.0)
        figures = {f"{name}{IOU}": share for name, share in self._overlaps(o).items()}
        if self.landmarks is not None:
            distances = group_distances(judged_landmarks(self.model, o.v_frames), self.landmarks)
            parts = [part for part in PARTS if part != "lips" or f"lips{IOU}" not in figures]
            figures |= {f"{part}{MM}": distances[part] for part in parts if part in distances}
        values = all_reduce_sum(torch.tensor([1.0, *figures.values()], dtype=torch.float64, device=self.model.device))
        return dict(zip(figures, (values[1:] / values[0]).tolist(), strict=True))

    def _overlaps(self, o: Observation) -> dict[str, float]:
        """IoU of each part of `MASKED`, and of the head, over all views together."""
        names = self.model.classes.names
        mine = torch.where(o.fragments.head, self.model.class_of_pixel(o), 0)
        theirs = o.batch.label_prob.argmax(-1)
        found = {}
        for part, classes in {"head": names[1:], **MASKED}.items():
            member = torch.tensor([name in classes for name in names], device=mine.device)
            a, b = member[mine] & o.mask_known, member[theirs] & o.mask_known
            if int(b.sum()) >= MIN_PIXELS:
                found[part] = _share(a & b, a | b)
        return found


def _share(part: Tensor, whole: Tensor) -> float:
    return float(part.sum()) / float(whole.sum())

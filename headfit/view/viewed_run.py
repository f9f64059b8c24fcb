"""A run that is looked at, finished or in progress."""

from __future__ import annotations

from pathlib import Path

from headfit.capture.source import CaptureSource, read_or_none
from headfit.capture.summary import CaptureSummary
from headfit.errors import HeadfitError
from headfit.fitting.checkpoints import CHECKPOINT, load_checkpoint
from headfit.fitting.fit_masks import with_fit_masks
from headfit.fitting.pictures import Picture
from headfit.fitting.run_folder import load_run, model_state
from headfit.view.painter import HeadPainter


class ViewedRun:
    """A run folder with its capture, which may be missing.

    Frames and cameras are those of the run; pictures and masks are found in the capture by name.

    version: another number for every checkpoint that is read. truth: the true meshes of the capture, None without.

    Args:
        path: the run folder.
        capture: its capture, as it is now; None: there are no pictures to show.

    Raises:
        HeadfitError: there is no checkpoint that this version reads.
    """

    def __init__(self, path: Path, capture: CaptureSource | None) -> None:
        self.path = path
        self.version = _time_of(path)
        self.model = load_run(path).model
        self.capture = capture
        self.truth = capture.ground_truth() if capture else None
        self.painter = HeadPainter(self.model)
        frames = {name: index for index, name in enumerate(capture.frames)} if capture else {}
        cameras = {camera.id: index for index, camera in enumerate(capture.cameras)} if capture else {}
        self._frames = [frames.get(name) for name in self.model.capture.frames]
        self._cameras = [cameras.get(camera.id) for camera in self.model.capture.cameras]
        self.cameras = self.model.corrected_cameras()

    @property
    def frames(self) -> list[str]:
        """The names of the frames."""
        return self.model.capture.frames

    def refresh(self) -> bool:
        """Read the checkpoint again if a newer one has been written; returns whether there was one."""
        written = _time_of(self.path)
        if written == self.version:
            return False
        try:
            checkpoint = load_checkpoint(self.path)
        except HeadfitError:  # between two renames; the next look finds it
            return False
        self.version = written
        made = CaptureSummary.from_dict(checkpoint["capture"])
        if made.made_masks and not self.model.capture.made_masks:
            self.model.compare_with_labels(made.label_names, made_masks=True)
        self.model.load_state_dict(model_state(checkpoint))
        self.painter.update()
        self.cameras = self.model.corrected_cameras()
        return True

    def is_fitted(self, frame: int) -> bool:
        """Whether any stage has moved this frame yet."""
        return bool(self.model.visited[frame])

    def image(self, camera: int, frame: int) -> Picture | None:
        """The picture `[H,W,3]` of a view; None where there is none, or it is damaged."""
        return self._read("image", camera, frame)

    def mask(self, camera: int, frame: int) -> Picture | None:
        """The mask values `[H,W]` of a view; None where there are none, or they are damaged."""
        return self._read("mask", camera, frame)

    def _read(self, what: str, camera: int, frame: int) -> Picture | None:
        at = self._cameras[camera], self._frames[frame]
        if self.capture is None or at[0] is None or at[1] is None:
            return None
        source = with_fit_masks(self.capture, self.model, self.path)
        return read_or_none(getattr(source, what), at[0], at[1])


def _time_of(run: Path) -> int:
    """When the last checkpoint was written, in nanoseconds; 0 before that."""
    try:
        return (run / CHECKPOINT).stat().st_mtime_ns
    except OSError:
        return 0

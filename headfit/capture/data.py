"""A capture as batches of views for Lightning.

Everything is decoded in this process: one thread decodes some batches ahead, and a cache of bounded size keeps decoded
views, so a short capture is decoded once per framing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import pytorch_lightning as pl

from headfit.capture.framing import Framing
from headfit.capture.labels import LabelClasses
from headfit.capture.sampler import ViewSampler, share_of
from headfit.capture.source import CaptureSource
from headfit.capture.views import Pair, ViewBatch, ViewReader
from headfit.errors import HeadfitError

BATCHES_AHEAD = 2


@dataclass(frozen=True)
class Chunk:
    """The training steps of one Lightning epoch.

    Attributes:
        first_step, steps: the first step and their number.
        framings: how the images of each camera are framed.
        frames_per_step, views_per_frame: frames in a step, and cameras for each of them.
        frames: indices of the frames to draw from; None: all.
        rank, processes: of so many processes, this one gets its consecutive share of each step's views.
    """

    first_step: int
    steps: int
    framings: Sequence[Framing]
    frames_per_step: int
    views_per_frame: int
    frames: Sequence[int] | None = None
    rank: int = 0
    processes: int = 1


class CaptureData(pl.LightningDataModule):
    """Serves a capture's views. Set `chunk` before each epoch (Trainer: reload_dataloaders_every_n_epochs=1).

    Args:
        capture: the capture.
        classes: the label classes that masks are converted to.
        hold_out: ids of cameras that training never sees.
        seed: together with the step it determines what is drawn.
        cache_bytes: most memory that decoded views may take.
        dense: numbers of MediaPipe's 478 landmarks that are read.

    Raises:
        HeadfitError: a held-out camera is unknown, or nothing is left to train on.
    """

    def __init__(
        self,
        capture: CaptureSource,
        classes: LabelClasses,
        hold_out: Sequence[str] = (),
        seed: int = 0,
        cache_bytes: int = 2 << 30,
        dense: Sequence[int] = (),
    ):
        super().__init__()
        self.capture = capture
        self.hold_out_cameras = sorted({capture.camera_index(camera_id) for camera_id in hold_out})
        self.training_cameras = [i for i in range(len(capture.cameras)) if i not in self.hold_out_cameras]
        _require_something_to_fit(capture, self.training_cameras)
        self.sampler = ViewSampler(len(capture.frames), self.training_cameras, seed)
        self.chunk: Chunk | None = None
        self._read_by = partial(ViewReader, cache_bytes=cache_bytes, dense=dense)
        self._reader = self._read_by(capture, classes)

    def replace(self, capture: CaptureSource, classes: LabelClasses) -> None:
        """Serve another capture of the same views, such as one with other masks."""
        skipped = self._reader.skipped
        self.capture, self._reader = capture, self._read_by(capture, classes)
        self._reader.add_skipped(skipped)

    def add_skipped(self, skipped: Mapping[str, Sequence[str]]) -> None:
        """Remember what the steps before a checkpoint could not use."""
        self._reader.add_skipped(skipped)

    @property
    def skipped(self) -> dict[str, list[str]]:
        """What could not be used so far, by kind; see `ViewReader`."""
        return self._reader.skipped

    def train_dataloader(self) -> ChunkBatches:
        """The batches of `chunk`, in order."""
        if self.chunk is None:
            raise ValueError("set CaptureData.chunk before asking for training batches")
        return ChunkBatches(self, self.chunk)

    def view_batch(self, pairs: Sequence[Pair], framings: Sequence[Framing]) -> ViewBatch:
        """Any views (frame index, camera index), held-out cameras included; `framings` has an entry for each camera."""
        return self._reader.batch(pairs, framings)

    def batches(self, plan: Iterable[Sequence[Pair]], framings: Sequence[Framing]) -> Iterator[ViewBatch]:
        """`view_batch` of every entry of `plan`, decoded in advance."""
        return _computed_ahead(partial(self.view_batch, pairs, framings) for pairs in plan)


class ChunkBatches:
    """The training batches of a chunk: an iterable with a length, which is all that Lightning needs of a loader."""

    def __init__(self, data: CaptureData, chunk: Chunk):
        self._data = data
        self._chunk = chunk

    def __len__(self) -> int:
        return self._chunk.steps

    def __iter__(self) -> Iterator[ViewBatch]:
        chunk = self._chunk
        plan = (
            share_of(
                self._data.sampler.sample_views(step, chunk.frames_per_step, chunk.views_per_frame, chunk.frames),
                chunk.rank,
                chunk.processes,
            )
            for step in range(chunk.first_step, chunk.first_step + chunk.steps)
        )
        return self._data.batches(plan, chunk.framings)


def _computed_ahead(tasks: Iterable[Callable[[], ViewBatch]]) -> Iterator[ViewBatch]:
    """The results of the tasks in order, computed in one thread that stays some tasks ahead of the reader."""
    pending: deque[Future[ViewBatch]] = deque()
    thread = ThreadPoolExecutor(max_workers=1)
    try:
        for task in tasks:
            pending.append(thread.submit(task))
            if len(pending) > BATCHES_AHEAD:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:  # the reader may stop early
        thread.shutdown(cancel_futures=True)


def _require_something_to_fit(capture: CaptureSource, cameras: Sequence[int]) -> None:
    if not cameras:
        raise HeadfitError(f"{capture.location}: every camera is held out, so none is left to train on")
    for camera in cameras:
        for frame in range(len(capture.frames)):
            if capture.has_image(camera, frame) or capture.has_mask(camera, frame):
                return
    raise HeadfitError(
        f"{capture.location}: the training cameras have neither images nor masks. Expected "
        f"{capture.expected_images(cameras[0])}; `headfit check` lists what is there."
    )

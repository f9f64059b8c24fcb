"""Views decoded and framed, as tensors: single, cached, and stacked into batches."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import partial
from typing import NamedTuple, TypeVar

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from headfit.capture.decode import DamagedFile
from headfit.capture.framing import Framing
from headfit.capture.labels import IGNORED, LabelClasses
from headfit.capture.landmark_files import LANDMARK_COUNT
from headfit.capture.landmark_schemes import dense_confidence, dense_to_sparse
from headfit.capture.source import CaptureSource, read_or_none
from headfit.errors import HeadfitError
from headfit.types import Float

#: A view is one camera at one time: (frame index, camera index).
Pair = tuple[int, int]

T = TypeVar("T")


@dataclass(frozen=True)
class View:
    """One framed view: the tensors of `ViewBatch` that are not indices, without the batch dimension."""

    image: Tensor
    image_valid: Tensor
    label_prob: Tensor
    label_weight: Tensor
    label_unknown: Tensor
    landmarks: Tensor
    landmark_weight: Tensor
    dense_landmarks: Tensor
    dense_landmark_weight: Tensor

    @property
    def nbytes(self) -> int:
        """Memory of its tensors, bytes."""
        return sum(getattr(self, field.name).nbytes for field in fields(self))


@dataclass(frozen=True)
class ViewBatch:
    """B framed views, of any sizes; smaller ones are padded to `[H,W]` at their right and lower sides.

    Attributes:
        pairs: the frame index and camera index of each view. What a program derives from them needs no tensor.
        frame, camera: `[B]` int64, the same.
        framings: how each view is cut out of its image and resized.
        image: `[B,H,W,3]` uint8 RGB, area-averaged; black where there is none.
        image_valid: `[B,H,W]` bool, false in the padding and where the image is missing or damaged.
        label_prob: `[B,H,W,C]` uint8, 255 times each class's share of the pixel's area that is not ignored. This is
            what a point sample of the pixel shows on average: lips thinner than a pixel keep their weight.
        label_weight: `[B,H,W]` uint8, 255 times the share of the pixel's area that is not ignored; 0 in the padding
            and without a mask.
        label_unknown: `[B,H,W]` bool, the mask calls the whole pixel "unknown"; false in the padding and without a
            mask.
        landmarks: `[B,68,2]` float32, pixels of the framed view from its top-left corner.
        landmark_weight: `[B,68]` float32, confidence in [0, 1]; 0 where missing or invisible.
        dense_landmarks: `[B,D,2]` float32, likewise: those of MediaPipe's 478 that the reader was asked for.
        dense_landmark_weight: `[B,D]` float32, the detector's confidence in [0, 1]; 0 where a view has none.
    """

    pairs: tuple[Pair, ...]
    frame: Tensor
    camera: Tensor
    framings: tuple[Framing, ...]
    image: Tensor
    image_valid: Tensor
    label_prob: Tensor
    label_weight: Tensor
    label_unknown: Tensor
    landmarks: Tensor
    landmark_weight: Tensor
    dense_landmarks: Tensor
    dense_landmark_weight: Tensor

    def shown_classes(self) -> Tensor:
        """Bool `[B,C]`: the view's mask shows the class."""
        return self.label_prob.amax(1).amax(1) > 0  # each axis on its own: four times faster than both at once

    def of_frame(self, frame: int) -> ViewBatch:
        """The views of one frame."""
        chosen = [index for index, (of_frame, _) in enumerate(self.pairs) if of_frame == frame]
        return ViewBatch(
            pairs=tuple(self.pairs[index] for index in chosen),
            framings=tuple(self.framings[index] for index in chosen),
            **{name: value[chosen] for name, value in vars(self).items() if isinstance(value, Tensor)},
        )

    def to(self, device: torch.device | str) -> ViewBatch:
        """A copy on another device, to which it does not wait for being copied. (Lightning moves batches that have this
        method.)"""
        apart = torch.device(device).type != "cpu"
        tensors = {name: value for name, value in vars(self).items() if isinstance(value, Tensor)}
        moved = {name: value.to(device, non_blocking=apart) for name, value in tensors.items()}
        return ViewBatch(pairs=self.pairs, framings=self.framings, **moved)

    def distinct_frames(self) -> tuple[Tensor, Tensor]:
        """The frames of the views, ascending and each once, `[N]` int64; and of each view its place among them,
        `[B]` int64."""
        frames = sorted({frame for frame, _ in self.pairs})
        place = [frames.index(frame) for frame, _ in self.pairs]
        frames_there, place_there = (torch.tensor(x).to(self.frame.device, non_blocking=True) for x in (frames, place))
        return frames_there, place_there


class ViewReader:
    """Decodes views of a capture on demand and keeps the most recently used ones, up to `cache_bytes`.

    Args:
        capture: the capture.
        classes: the label classes that masks are converted to.
        cache_bytes: most memory that the kept views may take.
        dense: numbers of MediaPipe's 478 landmarks that are read; others are not kept.
    """

    def __init__(self, capture: CaptureSource, classes: LabelClasses, cache_bytes: int, dense: Sequence[int] = ()):
        self._skipped: dict[str, dict[str, None]] = {}  # the inner dicts are ordered sets
        self._capture = capture
        self._classes = classes
        self._dense = list(dense)
        self._cache = ByteBoundedCache(cache_bytes)
        self._skip_lock = threading.Lock()
        self._witness: tuple[int, int] | None = None  # (camera, frame) of a picture that was read

    @property
    def skipped(self) -> dict[str, list[str]]:
        """What could not be used in the views read so far, by kind ("damaged image", "missing mask", ...); each entry
        names the file and the reason. Missing landmarks are not listed, since they are optional."""
        with self._skip_lock:
            return {kind: list(entries) for kind, entries in self._skipped.items()}

    def add_skipped(self, skipped: Mapping[str, Sequence[str]]) -> None:
        """Count what another reader could not use as well."""
        for kind, entries in skipped.items():
            for entry in entries:
                self._skip(kind, entry)

    def batch(self, pairs: Sequence[Pair], framings: Sequence[Framing]) -> ViewBatch:
        """A batch of views. Safe to call from several threads.

        Args:
            pairs: (frame index, camera index) of each view.
            framings: one for each camera of the capture.
        """
        framed = tuple(framings[camera] for _, camera in pairs)
        views = [
            self._cache.get((*pair, framing), partial(self._read, *pair, framing))
            for pair, framing in zip(pairs, framed, strict=True)
        ]
        size = max(f.out_height for f in framed), max(f.out_width for f in framed)
        stacked = {
            field.name: torch.stack([_padded(getattr(view, field.name), size, field.name) for view in views])
            for field in fields(View)
        }
        frame_index, camera_index = torch.tensor(pairs, dtype=torch.int64).unbind(1)
        return ViewBatch(pairs=tuple(pairs), frame=frame_index, camera=camera_index, framings=framed, **stacked)

    def _read(self, frame: int, camera: int, framing: Framing) -> View:
        capture = self._capture
        size = (framing.out_width, framing.out_height)
        where = capture.describe(camera, frame)

        read = partial(capture.image_reduced, reduction=framing.reduction) if framing.reduction > 1 else capture.image
        # The mask first: a capture may need the picture for it, and keep that.
        mask = self._unless_damaged("mask", capture.mask, camera, frame)
        image = self._unless_damaged("image", read, camera, frame)
        if image is not None and self._witness is None:
            self._witness = (camera, frame)
        if image is None and not capture.has_image(camera, frame):
            self._require_storage()
            self._skip("missing image", where)
        if mask is None and capture.label_names and not capture.has_mask(camera, frame):
            self._skip("missing mask", where)
        landmarks, dense = self._landmarks(frame, camera)

        shares = label_shares(None if mask is None else mask[framing.window], self._classes, size)
        pixels = np.zeros((*size[::-1], 3), np.uint8)
        if image is not None:
            reduced = image.shape[1::-1] != capture.cameras[camera].size
            shown = framing.reduced(framing.reduction) if reduced else framing
            pixels = _area_average(image[shown.window], size)

        def in_window(points: Float) -> Tensor:
            return torch.from_numpy(((points - [framing.x, framing.y]) * framing.factors).astype(np.float32))

        return View(
            image=torch.from_numpy(pixels),
            image_valid=torch.full(size[::-1], image is not None),
            label_prob=torch.from_numpy(shares.prob),
            label_weight=torch.from_numpy(shares.weight),
            label_unknown=torch.from_numpy(shares.unknown),
            landmarks=in_window(landmarks[:, :2]),
            landmark_weight=torch.from_numpy(landmarks[:, 2].astype(np.float32)),
            dense_landmarks=in_window(dense[:, :2]),
            dense_landmark_weight=torch.from_numpy(dense[:, 2].astype(np.float32)),
        )

    def _landmarks(self, frame: int, camera: int) -> tuple[Float, Float]:
        """The 68 landmarks `[68,3]` and the dense ones `[D,3]` of a view: x, y in pixels of the image, confidence; 0
        where there are none. A file that has both is read once."""
        capture = self._capture
        if self._dense:
            found = self._unless_damaged("landmarks", capture.dense_landmarks, camera, frame)
            if found is not None:
                points, scatter = found[:, :2], found[:, 3]
                dense = np.column_stack([points, dense_confidence(points, scatter)])[self._dense]
                return dense_to_sparse(points, scatter), dense
        landmarks = self._unless_damaged("landmarks", capture.landmarks, camera, frame)
        return np.zeros((LANDMARK_COUNT, 3)) if landmarks is None else landmarks, np.zeros((len(self._dense), 3))

    def _require_storage(self) -> None:
        """Raise HeadfitError where the picture that was read first is gone: a fit would go on without any."""
        if self._witness and not self._capture.has_image(*self._witness):
            raise HeadfitError(
                f"{self._capture.describe(*self._witness)}: its picture, which has been read, is not there any more. "
                "Bring the pictures back, and continue with --resume"
            )

    def _unless_damaged(self, kind: str, read: Callable[[int, int], T | None], camera: int, frame: int) -> T | None:
        def skip(damage: DamagedFile) -> None:
            self._skip(f"damaged {kind}", str(damage))

        return read_or_none(read, camera, frame, skip)

    def _skip(self, kind: str, entry: str) -> None:
        with self._skip_lock:
            self._skipped.setdefault(kind, {})[entry] = None


def _padded(value: Tensor, size: tuple[int, int], name: str) -> Tensor:
    """An image `[h,w,...]` of a view padded with zeros to `size` (H, W); landmarks unchanged."""
    if "landmark" in name or value.shape[:2] == size:
        return value
    padded = value.new_zeros((*size, *value.shape[2:]))
    padded[: value.shape[0], : value.shape[1]] = value
    return padded


class LabelShares(NamedTuple):
    """`label_prob [h,w,C]`, `label_weight [h,w]` and `label_unknown [h,w]` of `ViewBatch`."""

    prob: NDArray[np.uint8]
    weight: NDArray[np.uint8]
    unknown: NDArray[np.bool_]


def label_shares(mask: NDArray[np.uint8] | None, classes: LabelClasses, size: tuple[int, int]) -> LabelShares:
    """What a mask `[H,W]`, resized to `size` (w, h), shows in each pixel."""
    width, height = size
    if mask is None:
        prob, weight = np.zeros((height, width, len(classes)), np.uint8), np.zeros((height, width), np.uint8)
        return LabelShares(prob, weight, np.zeros((height, width), bool))
    class_of_pixel = classes.from_capture[mask]
    known = _area_average((class_of_pixel != IGNORED).astype(np.float32), size)
    prob = np.empty((height, width, len(classes)), np.uint8)
    for index in range(len(classes)):
        share = _area_average((class_of_pixel == index).astype(np.float32), size)
        prob[..., index] = np.rint(255 * share / np.maximum(known, 1e-6))
    not_unknown = _area_average((~classes.unknown[mask]).astype(np.float32), size)
    return LabelShares(prob, np.rint(255 * known).astype(np.uint8), not_unknown == 0)


def _area_average(pixels: NDArray, size: tuple[int, int]) -> NDArray:
    """An image resized so that each pixel is the mean over the area it covers, fractions of source pixels included."""
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA))


class ByteBoundedCache:
    """A cache of the most recently used views that stays within `capacity` bytes."""

    def __init__(self, capacity: int):
        self.nbytes = 0
        self._capacity = capacity
        self._views: OrderedDict[Hashable, View] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable, read: Callable[[], View]) -> View:
        """The view of `key`, read when it is not cached (outside the lock, so two threads may both read it)."""
        with self._lock:
            if key in self._views:
                self._views.move_to_end(key)
                return self._views[key]
        view = read()
        with self._lock:
            if key not in self._views:
                self._views[key] = view
                self.nbytes += view.nbytes
            while self.nbytes > self._capacity:
                _, oldest = self._views.popitem(last=False)
                self.nbytes -= oldest.nbytes
        return view

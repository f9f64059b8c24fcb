"""What the rest of headfit asks of a capture, wherever and however its files are stored."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from headfit.capture.camera import Camera, index_of_camera
from headfit.capture.decode import DamagedFile
from headfit.capture.true_meshes import TrueMeshes
from headfit.errors import HeadfitError
from headfit.types import Float

T = TypeVar("T")


class CaptureSource(Protocol):
    """A calibrated multi-view recording of a head. Cameras and frames are addressed by index.

    A source derives from this class and provides the attributes and the methods without a body here; the others
    have defaults for a source that cannot do better.

    Attributes:
        name: the capture's name.
        location: where it was opened, for messages: a path.
        cameras: the calibrated cameras, positions in metres.
        frames: frame names in time order.
        fps: frames per second.
        label_names: native label name of each mask value; empty when the capture has no masks.
        metres_per_unit: length of one unit of the recording's own coordinates. Everything that this class returns
            is in metres already.
        has_dense_landmarks: whether some camera's landmarks are MediaPipe's 478.
        rough_masks: whether the borders in some masks are only about right, by what the capture says itself.
    """

    name: str
    location: str
    cameras: list[Camera]
    frames: list[str]
    fps: float
    label_names: dict[int, str]
    metres_per_unit: float
    has_dense_landmarks: bool = False
    rough_masks: bool = False

    def image(self, camera: int, frame: int) -> NDArray[np.uint8] | None:
        """RGB `[H,W,3]` at the camera's size, or None when there is no image. Raises DamagedFile."""

    def image_reduced(self, camera: int, frame: int, reduction: int) -> NDArray[np.uint8] | None:
        """The image at 1 / `reduction` of its size (rounded up) where that costs less; else as `image`.

        Args:
            camera: index of the camera.
            frame: index of the frame.
            reduction: 1, 2, 4 or 8.
        """
        return self.image(camera, frame)

    def mask(self, camera: int, frame: int) -> NDArray[np.uint8] | None:
        """Mask values `[H,W]` (see `label_names`), or None when there is no mask. Raises DamagedFile."""

    def landmarks(self, camera: int, frame: int) -> Float | None:
        """68 iBUG points `[68,3]`: x, y in pixels and a confidence in [0, 1], 0 where missing or invisible.

        None when there are none. Raises DamagedFile.
        """

    def dense_landmarks(self, camera: int, frame: int) -> Float | None:
        """MediaPipe's points `[478,4]`: x, y and z in pixels, and the detector's scatter in pixels.

        None where the view has none, or only others. Raises DamagedFile.
        """
        return None

    def has_image(self, camera: int, frame: int) -> bool:
        """Whether there is an image, without decoding it: `image` may still raise DamagedFile."""

    def has_mask(self, camera: int, frame: int) -> bool:
        """Whether there is a mask, without decoding it."""

    def has_landmarks(self, camera: int, frame: int) -> bool:
        """Whether there are landmarks, without reading them."""

    def expected_images(self, camera: int) -> str:
        """Where the images of a camera are looked for, for messages."""

    def save_landmarks(self, camera: int, frame: int, landmarks: Float) -> None:
        """Store landmarks `[68,3]` where `landmarks` finds them. Raises HeadfitError where that is impossible."""
        raise HeadfitError(f"{self.location}: landmarks cannot be written into a capture of this kind")

    def ground_truth(self) -> TrueMeshes | None:
        """The true meshes that come with the capture, for evaluation only, or None."""
        return None

    def unreferenced_files(self) -> list[str]:
        """One warning for each group of files that no camera or frame refers to: usually a misspelt name."""
        return []

    def stored_turn(self, camera: int) -> int | None:
        """Degrees by which viewers turn the camera's first picture clockwise (EXIF, or a video's rotation).

        None where the capture states the turn itself, or nothing is known.
        """
        return None

    def camera_index(self, camera_id: str) -> int:
        """The index of a camera. Raises HeadfitError listing the cameras when none has that id."""
        return index_of_camera(self.cameras, camera_id, self.location)

    def describe(self, camera: int, frame: int) -> str:
        """Capture, camera and frame by name, for messages."""
        return f"{self.location}: camera {self.cameras[camera].id}, frame {self.frames[frame]}"


class OtherMasks:
    """A capture with other masks than its own: all but `label_names` and `mask`, which a subclass provides, is the
    capture's.

    Args:
        capture: the capture, as `capture` of this.
        label_names: labels of the other masks.
    """

    def __init__(self, capture: CaptureSource, label_names: Mapping[int, str]) -> None:
        self.capture, self.label_names = capture, dict(label_names)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.capture, name)


def read_or_none(
    read: Callable[[int, int], T | None],
    camera: int,
    frame: int,
    on_damage: Callable[[DamagedFile], None] = lambda damage: None,
) -> T | None:
    """What `read` (a reading method of a source) returns, or None when the file is damaged.

    Args:
        read: `source.image`, `source.mask` or `source.landmarks`.
        camera: index of the camera.
        frame: index of the frame.
        on_damage: called with the error. By default damage is ignored: the data module counts and reports it when it
            serves the view.
    """
    try:
        return read(camera, frame)
    except DamagedFile as damage:
        on_damage(damage)
        return None


def has_masks(capture: CaptureSource) -> bool:
    """Whether any view has a mask."""
    views = ((camera, frame) for frame in range(len(capture.frames)) for camera in range(len(capture.cameras)))
    return bool(capture.label_names) and any(capture.has_mask(camera, frame) for camera, frame in views)


def shows_outline(capture: CaptureSource) -> bool:
    """Whether masks tell where the head ends: some view has one, and they name a background."""
    return "background" in capture.label_names.values() and has_masks(capture)

"""What capture.json says about where pictures, masks and landmarks are, and how to read them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from headfit.capture.color import ColorSteps, read_color
from headfit.capture.json_value import JsonValue
from headfit.capture.mask_labels import Labels, read_labels
from headfit.capture.pattern import Pattern

#: Landmark schemes that can be read.
SCHEMES = ("ibug68", "mediapipe478")
TURNS = (0, 90, 180, 270)
#: Where files are unless capture.json says so.
USUAL = {
    "images": "images/{camera}/{frame}",
    "masks": "masks/{camera}/{frame}",
    "landmarks": "landmarks/{camera}/{frame}.json",
}


@dataclass(frozen=True)
class Files:
    """Files of all frames.

    Attributes:
        pattern: their paths.
        offset, step: picture number = offset + step · (frame's number, or its index).
        by_index: frames are counted by their index even when their names are numbers.
    """

    pattern: Pattern
    offset: int = 0
    step: int = 1
    by_index: bool = False


@dataclass(frozen=True)
class ImageFiles(Files):
    """Images. `white_level`: the stored value that is white, None for the type's largest; `color`: applied after it."""

    white_level: float | None = None
    color: ColorSteps = field(default_factory=ColorSteps)


@dataclass(frozen=True)
class MaskFiles(Files):
    """Masks. `labels`: meaning of the values, None for capture.json's 'classes'; `rotate`: None for the camera's;
    `rough`: their borders are only about right."""

    labels: Labels | None = None
    rotate: int | None = None
    rough: bool = False


@dataclass(frozen=True)
class LandmarkFiles(Files):
    """Landmarks. `scheme`: which points they are."""

    scheme: str = "ibug68"


@dataclass(frozen=True)
class Pointers:
    """The files of one camera.

    Attributes:
        images, landmarks: its images and landmarks.
        masks: several sources, of which the first that knows a pixel decides.
        rotate: degrees by which the stored images are turned clockwise to be upright; None where it is not stated.
        offset: the camera shows in picture n + offset what is in picture n of a camera without one.
    """

    images: ImageFiles
    masks: tuple[MaskFiles, ...]
    landmarks: LandmarkFiles
    rotate: int | None
    offset: float


@dataclass(frozen=True)
class Context:
    """What patterns refer to: the capture's folder, and whether its frame names are numbers."""

    folder: Path
    numbered: bool

    def files(self, node: JsonValue, options: tuple[str, ...]) -> tuple[Pattern, int, int, dict[str, JsonValue]]:
        """Pattern, offset, step and the other `options` of a pattern or an object with one."""
        if isinstance(node.value, str):
            return self.pattern(node), 0, 1, {}
        node.only(("path", "offset", "step", *options))
        members = dict(node.items())
        step = members["step"].integer("a whole number above 0") if "step" in members else 1
        if step < 1:
            raise members["step"].error("expected a whole number above 0")
        offset = members["offset"].integer("a whole number of pictures") if "offset" in members else 0
        return self.pattern(node.member("path", "a path with placeholders")), offset, step, members

    def pattern(self, node: JsonValue) -> Pattern:
        """The pattern of a string."""
        text = node.text("a path with placeholders")
        with node.naming():
            return Pattern.parse(self.folder, text, self.numbered)


def read_pointers(top: JsonValue, camera: JsonValue, context: Context) -> Pointers:
    """Where the files of a camera are: as its own entry says, else as the whole capture says, else in the usual places.

    Args:
        top: the content of capture.json.
        camera: the camera's entry.
        context: what patterns refer to.
    """
    named = camera.member("id", "a string").text("a string")
    images = camera.get("images") or top.get("images")
    masks, landmarks = camera.get("masks") or top.get("masks"), camera.get("landmarks") or top.get("landmarks")
    color, rotate, offset = read_color(camera.get("color")), camera.get("rotate"), camera.get("offset")
    return Pointers(
        _images(images, color, context) if images else _usual_images(named, color, context),
        _masks(masks, context) if masks else (MaskFiles(_usual(context, USUAL["masks"])),),
        _landmarks(landmarks, context) if landmarks else LandmarkFiles(_usual(context, USUAL["landmarks"])),
        None if rotate is None else rotate.one_of(TURNS),
        0.0 if offset is None else offset.number("a number of frames"),
    )


def _usual(context: Context, text: str) -> Pattern:
    return Pattern(context.folder, text)


def _usual_images(camera: str, color: ColorSteps, context: Context) -> ImageFiles:
    """images/CAMERA/FRAME, or videos/CAMERA.mp4, whose i-th picture is the i-th frame of the list."""
    video = context.folder / "videos" / f"{camera}.mp4"
    if video.is_file() and not (context.folder / "images" / camera).is_dir():
        return ImageFiles(_usual(context, "videos/{camera}.mp4"), by_index=True, color=color)
    return ImageFiles(_usual(context, USUAL["images"]), color=color)


def _images(node: JsonValue, color: ColorSteps, context: Context) -> ImageFiles:
    pattern, offset, step, more = context.files(node, ("white_level", "color"))
    white = more["white_level"].positive("the stored value of white, positive") if "white_level" in more else None
    return ImageFiles(
        pattern, offset, step, white_level=white, color=color if color.steps else read_color(more.get("color"))
    )


def _masks(node: JsonValue, context: Context) -> tuple[MaskFiles, ...]:
    if isinstance(node.value, list):
        return tuple(_mask(entry, context) for entry in node.entries("mask sources"))
    return (_mask(node, context),)


def _mask(node: JsonValue, context: Context) -> MaskFiles:
    pattern, offset, step, more = context.files(node, ("labels", "rotate", "rough"))
    labels = read_labels(more["labels"], context.folder) if "labels" in more else None
    rotate = more["rotate"].one_of(TURNS) if "rotate" in more else None
    if pattern.is_video and not (labels and labels.matte):
        raise node.error("compression changes the class values of a video: only a 'matte' can be one")
    rough = more["rough"].one_of((False, True)) if "rough" in more else False
    return MaskFiles(pattern, offset, step, labels=labels, rotate=rotate, rough=rough)


def _landmarks(node: JsonValue, context: Context) -> LandmarkFiles:
    pattern, offset, step, more = context.files(node, ("scheme",))
    if ".zip/" in pattern.text.lower():
        raise node.error("landmarks inside a zip file cannot be read: unpack them")
    scheme = more["scheme"].one_of(SCHEMES) if "scheme" in more else "ibug68"
    return LandmarkFiles(pattern, offset, step, scheme=scheme)

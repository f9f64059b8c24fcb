"""`headfit check`: decode every file of a capture and say what is wrong with which."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from headfit.capture.centroids import REGIONS, label_centroids
from headfit.capture.decode import DamagedFile
from headfit.capture.native import open_capture
from headfit.capture.rig import Rig, describe_rig, rig_warnings
from headfit.capture.source import CaptureSource, read_or_none
from headfit.errors import some_of

_ENTRIES_SHOWN = 50

T = TypeVar("T")


@dataclass
class Tally:
    """How many files of one kind are good, and which frames are missing or damaged."""

    good: int = 0
    missing: list[str] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        if not self.good and not self.damaged:
            return "none"
        faults = [f"{len(self.missing)} missing"] if self.missing else []
        faults += [f"{len(self.damaged)} damaged"] if self.damaged else []
        return f"{self.good} ({', '.join(faults)})" if faults else str(self.good)


@dataclass
class CameraReport:
    """What there is of one camera.

    label_pixels [256]: pixels of each mask value over all frames.
    head_widths: the head's width in pixels, one for each mask.
    """

    id: str
    width: int
    height: int
    images: Tally = field(default_factory=Tally)
    masks: Tally = field(default_factory=Tally)
    landmarks: Tally = field(default_factory=Tally)
    label_pixels: NDArray[np.int64] = field(default_factory=lambda: np.zeros(256, np.int64))
    head_widths: list[int] = field(default_factory=list)


@dataclass
class CheckReport:
    """The findings. errors: what training must skip or stops at; warnings: what is allowed but looks like
    a mistake. Each names its file, camera or frames."""

    capture: CaptureSource
    cameras: list[CameraReport]
    rig: Rig
    errors: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    @property
    def exit_status(self) -> int:
        """0: no image is missing, and every file that is there can be used. 1 otherwise. Warnings do not
        count."""
        return 1 if self.errors else 0


def check(path: Path | str) -> CheckReport:
    """Decode every file of the capture, with a progress bar.

    Raises HeadfitError when capture.json itself cannot be used: then there is nothing to check yet.
    """
    capture = open_capture(path)
    cameras = [CameraReport(camera.id, camera.width, camera.height) for camera in capture.cameras]
    report = CheckReport(capture, cameras, describe_rig(capture.cameras))
    with tqdm(total=len(cameras) * len(capture.frames), unit="view", desc="check", leave=False) as progress:
        for index in range(len(cameras)):
            for frame in range(len(capture.frames)):
                _check_view(report, index, frame)
                progress.update()
    for index, camera in enumerate(cameras):
        report.errors += _missing_images(camera, capture.expected_images(index))
        if capture.label_names and 0 < len(camera.masks.missing) < len(capture.frames):
            report.warnings.append(f"camera {camera.id}: masks missing in frames {some_of(camera.masks.missing)}")
    report.warnings += capture.unreferenced_files()
    head_pixels = [np.median(camera.head_widths) if camera.head_widths else np.nan for camera in cameras]
    report.warnings += rig_warnings(capture.cameras, report.rig, [float(width) for width in head_pixels])
    report.warnings += _swapped_eyes(capture)
    return report


def _check_view(report: CheckReport, index: int, frame: int) -> None:
    capture, camera = report.capture, report.cameras[index]

    def read(kind: Tally, reader: Callable[[int, int], T | None]) -> T | None:
        damage: list[DamagedFile] = []
        content = read_or_none(reader, index, frame, damage.append)
        if damage:
            kind.damaged.append(capture.frames[frame])
            if str(damage[0]) not in report.errors:  # a video that cannot be opened fails at every frame
                report.errors.append(str(damage[0]))
        elif content is None:
            kind.missing.append(capture.frames[frame])
        else:
            kind.good += 1
        return content

    read(camera.images, capture.image)
    read(camera.landmarks, capture.landmarks)
    mask = read(camera.masks, capture.mask)
    if mask is not None:
        camera.label_pixels += np.bincount(mask.ravel(), minlength=256)
        head = [value for value, name in capture.label_names.items() if name in REGIONS["head"]]
        camera.head_widths.append(int(np.isin(mask, head).any(axis=0).sum()))


def _missing_images(camera: CameraReport, expected: str) -> list[str]:
    if not camera.images.missing:
        return []
    if not camera.images.good and not camera.images.damaged:
        return [f"camera {camera.id}: no images. Expected {expected}"]
    return [f"camera {camera.id}: images missing in frames {some_of(camera.images.missing)}"]


def _swapped_eyes(capture: CaptureSource) -> list[str]:
    """Whether left_eye and right_eye are the viewer's instead of the subject's, told by the handedness of
    the head.

    With x from the right to the left eye, down from the eyes to the lips, and back from the eyes into the
    head, (x cross down) . back is positive for the subject's own left and right.
    """
    volumes = []
    for frame in np.unique(np.linspace(0, len(capture.frames) - 1, 5).astype(int)):
        at = label_centroids(capture, frame)
        if len(at) == len(REGIONS):
            middle = (at["left_eye"] + at["right_eye"]) / 2
            across = np.cross(at["left_eye"] - at["right_eye"], at["lips"] - middle)
            volumes.append(across @ (at["head"] - middle))
    if volumes and np.median(volumes) < 0:
        return ["left_eye and right_eye look swapped in the masks: left is the subject's own left"]
    return []


def format_report(report: CheckReport) -> str:
    """The report as text: tables of files and label shares, the rig, errors and warnings."""
    capture = report.capture
    frames = f"{len(capture.frames)} frames at {capture.fps:g} fps"
    lines = [f"{capture.name}: {len(report.cameras)} cameras, {frames} ({capture.location})", ""]
    files = [["camera", "size", "images", "masks", "landmarks"]]
    files += [
        [
            camera.id,
            f"{camera.width}x{camera.height}",
            str(camera.images),
            str(camera.masks),
            str(camera.landmarks),
        ]
        for camera in report.cameras
    ]
    lines += _table(files)
    if any(camera.masks.good for camera in report.cameras):
        lines += ["", "share of the masks' pixels, %"]
        names = list(dict.fromkeys(capture.label_names.values()))
        shares = [["camera", *names]]
        for camera in report.cameras:
            percent = dict.fromkeys(names, 0.0)
            for value, name in capture.label_names.items():
                percent[name] += 100 * camera.label_pixels[value] / max(camera.label_pixels.sum(), 1)
            shares.append([camera.id, *(f"{share:.2f}" for share in percent.values())])
        lines += _table(shares)
    lines += ["", *_rig_lines(report.rig)]
    for title, entries in (("errors", report.errors), ("warnings", report.warnings)):
        if entries:
            lines += ["", f"{title} ({len(entries)}):", *(f"  {entry}" for entry in entries[:_ENTRIES_SHOWN])]
            if len(entries) > _ENTRIES_SHOWN:
                lines.append(f"  and {len(entries) - _ENTRIES_SHOWN} more")
    if not report.errors and not report.warnings:
        lines += ["", "nothing to complain about"]
    return "\n".join(lines)


def _rig_lines(rig: Rig) -> list[str]:
    if not np.isfinite(rig.look_at).all():
        return ["rig: the optical axes have no common point"]
    x, y, z = rig.look_at
    return [
        f"rig: looks at ({x:.3f}, {y:.3f}, {z:.3f}) m",
        f"     from distances of {rig.distance.min():.2f} to {rig.distance.max():.2f} m",
        f"     optical axes miss that point by up to {rig.miss.max():.3f} m",
        f"     viewing directions differ by up to {rig.widest_angle:.0f} degrees",
    ]


def _table(rows: list[list[str]]) -> list[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]

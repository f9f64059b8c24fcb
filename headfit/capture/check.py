"""`headfit check`: decode every file of a capture and report what is wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import numpy as np
from tqdm import tqdm

from headfit.capture.centroids import REGIONS, label_centroids
from headfit.capture.consistency import Findings, compare_evidence
from headfit.capture.decode import DamagedFile
from headfit.capture.mask_checks import blended_classes, exposure_fault
from headfit.capture.native import open_capture
from headfit.capture.rig import Rig, describe_rig, rig_warnings
from headfit.capture.selection import ALL, Selection
from headfit.capture.source import CaptureSource, read_or_none
from headfit.capture.spelling import misspelt_keys
from headfit.errors import some_of
from headfit.sampling import evenly_spaced
from headfit.types import Int

#: Most errors or warnings that are listed.
MAX_ENTRIES = 50
#: Frames whose masks are triangulated to find swapped eyes.
SAMPLED_FRAMES = 5

T = TypeVar("T")


@dataclass
class Tally:
    """Number of good files of one kind, and names of the frames whose file is missing or damaged."""

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
    """The files of one camera.

    Attributes:
        id, width, height: the camera's.
        images, masks, landmarks: its files.
        label_pixels: `[256]` pixels of each mask value over all frames.
        head_widths: width of the head in pixels, one for each mask.
        blended: by frame, what `blended_classes` says of its mask.
        exposure: frames by what `exposure_fault` says of their image.
    """

    id: str
    width: int
    height: int
    images: Tally = field(default_factory=Tally)
    masks: Tally = field(default_factory=Tally)
    landmarks: Tally = field(default_factory=Tally)
    label_pixels: Int = field(default_factory=lambda: np.zeros(256, np.int64))
    head_widths: list[int] = field(default_factory=list)
    blended: dict[str, dict[int, tuple[int, int]]] = field(default_factory=dict)
    exposure: dict[str, list[str]] = field(default_factory=dict)


@dataclass
class CheckReport:
    """The findings.

    Attributes:
        capture: the capture.
        cameras: its files, by camera.
        rig: the geometry of its cameras.
        errors: what training must skip or stops at. Each names its file, camera or frames.
        warnings: what is allowed but looks like a mistake.
        evidence: the views compared with each other.
    """

    capture: CaptureSource
    cameras: list[CameraReport]
    rig: Rig
    errors: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    evidence: Findings = field(default_factory=Findings)

    @property
    def exit_status(self) -> int:
        """0 when no image is missing, every file can be used and none contradicts another, else 1. Warnings do not
        count."""
        return 1 if self.errors else 0


def check(path: Path | str, selection: Selection = ALL) -> CheckReport:
    """The findings about the capture in the folder `path`, after decoding every file with a progress bar.

    Args:
        path: the folder.
        selection: which of its frames and cameras are checked.

    Raises:
        HeadfitError: capture.json itself cannot be used.
    """
    capture = open_capture(path, selection)
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
        report.warnings += _content_warnings(camera, capture.label_names)
    report.warnings += misspelt_keys(Path(path))
    report.warnings += capture.unreferenced_files()
    report.warnings += _unstated_turns(capture)
    head_pixels = [np.median(camera.head_widths) if camera.head_widths else np.nan for camera in cameras]
    report.evidence = compare_evidence(capture, thorough=True)
    report.errors += report.evidence.errors
    widths = [float(width) for width in head_pixels]
    report.warnings += rig_warnings(capture.cameras, report.rig, widths, report.evidence.compared)
    report.warnings += report.evidence.warnings
    report.warnings += _absent_masks(report)
    report.warnings += _swapped_eyes(capture)
    return report


def _unstated_turns(capture: CaptureSource) -> list[str]:
    """Cameras whose pictures other programs show turned, while the capture does not say how they are calibrated."""
    turns: dict[int, list[str]] = {}
    for index, camera in enumerate(capture.cameras):
        if turn := capture.stored_turn(index):
            turns.setdefault(turn, []).append(camera.id)
    return [
        f"cameras {some_of(ids)}: other programs turn their pictures by {turn} degrees clockwise (EXIF, or a video's "
        f"rotation), and headfit does not. If K and size are those of the turned picture, give these cameras "
        f'"rotate": {turn}, else "rotate": 0'
        for turn, ids in sorted(turns.items())
    ]


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

    image = read(camera.images, capture.image)
    read(camera.landmarks, capture.landmarks)
    mask = read(camera.masks, capture.mask)
    head = [value for value, name in capture.label_names.items() if name in REGIONS["head"]]
    if mask is not None:
        camera.label_pixels += np.bincount(mask.ravel(), minlength=256)
        camera.head_widths.append(int(np.isin(mask, head).any(axis=0).sum()))
        if blended := blended_classes(mask, capture.label_names):
            camera.blended.setdefault(capture.frames[frame], blended)
    if image is not None and (fault := exposure_fault(image, None if mask is None else np.isin(mask, head))):
        camera.exposure.setdefault(fault, []).append(capture.frames[frame])


def _content_warnings(camera: CameraReport, label_names: dict[int, str]) -> list[str]:
    """Masks that were resized with interpolation, and pictures that show nothing."""
    warnings = [f"camera {camera.id}: images {fault} in frames {some_of(f)}" for fault, f in camera.exposure.items()]
    if camera.blended:
        frame, blended = next(iter(camera.blended.items()))
        value, (low, high) = next(iter(blended.items()))
        rims = (
            f"class {value} ({label_names[value]}) lies in thin rims between {label_names[low]} and {label_names[high]}"
        )
        others = f" and {len(blended) - 1} more classes do the like" if len(blended) > 1 else ""
        warnings.append(
            f"masks/{camera.id}/{frame}: {rims}{others}: resized with interpolation? Class values need the nearest "
            f"neighbour. {len(camera.blended)} masks of camera {camera.id} are like this"
        )
    return warnings


def _missing_images(camera: CameraReport, expected: str) -> list[str]:
    if not camera.images.missing:
        return []
    if not camera.images.good and not camera.images.damaged:
        return [f"camera {camera.id}: no images. Expected {expected}"]
    return [f"camera {camera.id}: images missing in frames {some_of(camera.images.missing)}"]


def _absent_masks(report: CheckReport) -> list[str]:
    if not report.capture.label_names or any(camera.masks.good or camera.masks.damaged for camera in report.cameras):
        return []
    return ["no masks, although 'classes' names labels: expected masks/<camera>/<frame>.png"]


def _swapped_eyes(capture: CaptureSource) -> list[str]:
    """A warning when left_eye and right_eye are the viewer's left and right instead of the subject's.

    With `across` from the right to the left eye, `down` from the eyes to the lips and `back` from the eyes into the
    head, (across x down) . back is positive when left and right are the subject's own.
    """
    volumes = []
    for frame in evenly_spaced(len(capture.frames), SAMPLED_FRAMES).tolist():
        at = label_centroids(capture, frame)
        if len(at) == len(REGIONS):
            eyes = (at["left_eye"] + at["right_eye"]) / 2
            across, down, back = at["left_eye"] - at["right_eye"], at["lips"] - eyes, at["head"] - eyes
            volumes.append(np.cross(across, down) @ back)
    if volumes and np.median(volumes) < 0:
        return ["left_eye and right_eye seem to be swapped in the masks: left is the subject's own left"]
    return []


def format_report(report: CheckReport) -> str:
    """The report as text: tables of files and of label shares, the rig, errors and warnings."""
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
    lines += ["", *_rig_lines(report.rig), *report.evidence.lines]
    for title, entries in (("errors", report.errors), ("warnings", report.warnings)):
        if entries:
            lines += ["", f"{title} ({len(entries)}):", *(f"  {entry}" for entry in entries[:MAX_ENTRIES])]
            if len(entries) > MAX_ENTRIES:
                lines.append(f"  and {len(entries) - MAX_ENTRIES} more")
    if not any(camera.masks.good for camera in report.cameras):
        lines += ["", "no masks: a fit has to find the head's outline and the mouth by landmarks and pictures alone"]
    elif not report.errors and not report.warnings:
        lines += ["", "nothing to complain about"]
    return "\n".join(lines)


def _rig_lines(rig: Rig) -> list[str]:
    if not np.isfinite(rig.look_at).all():
        return ["rig: the optical axes do not meet"]
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

"""Landmarks, masks, pictures and cameras of a capture compared with each other, before anything is fitted to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from headfit.capture.camera import Camera
from headfit.capture.conventions import (
    FITTING_SHARE,
    GIVEN,
    HALF_PIXELS,
    INTRINSICS,
    POSES,
    SMALL_ERRORS,
    Judged,
    best_reading,
    fit_one_camera,
    judge,
    judge_landmarks,
    late_cameras,
    unit_factor,
)
from headfit.capture.face_shape import MAX_MISFIT
from headfit.capture.landmark_checks import check_landmarks
from headfit.capture.observations import (
    Agreement,
    Observations,
    agreement,
    observe_features,
    observe_landmarks,
    observe_regions,
)
from headfit.capture.rig import describe_rig
from headfit.capture.source import CaptureSource
from headfit.errors import HeadfitError

#: By evidence, shares of the head's size: the residual from which the views are suspected to disagree, and the one
#: from which they do. A detector's landmarks and honest masks agree within 1 %.
SUSPECT = {"landmarks": 0.025, "mask regions": 0.025, "matched features": 0.015}
GROSS = {"landmarks": 0.08, "mask regions": 0.15, "matched features": 0.025}
#: Widest angle between cameras, degrees, below which depth is too uncertain to judge the shape of a face.
MIN_ANGLE = 15.0
#: Frames that are compared, most cameras whose masks are, and consecutive frames in which late cameras are looked for.
FRAMES, MAX_MASK_CAMERAS, LATE_FRAMES = 3, 16, 12


@dataclass
class Findings:
    """What the comparison says.

    errors: contradictions, with their cause: a fit would be wrong. warnings: what is odd. lines: the residuals, for a
        report. fixed: the cameras under the reading that fits, or None. unit: factor that brings positions to metres,
        or None. compared: whether two cameras see something in common.
    """

    errors: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    fixed: list[Camera] | None = None
    unit: float | None = None
    compared: bool = False


def compare_evidence(capture: CaptureSource, use_landmarks: bool = True, thorough: bool = False) -> Findings:
    """Compare what the views of some frames say about the head.

    Args:
        capture: the capture.
        use_landmarks: whether landmarks are used.
        thorough: also look for errors too small to spoil a fit (half a pixel, one frame late), at some seconds' cost.
    """
    findings = Findings()
    frames = [int(f) for f in np.unique(np.linspace(0, len(capture.frames) - 1, FRAMES).astype(int))]
    seen = None
    if use_landmarks:
        checked = check_landmarks(capture, frames)
        findings.errors += checked.errors
        findings.warnings += checked.warnings
        seen = _without(observe_landmarks(capture, frames), checked.unusable)
    if len(capture.cameras) == 1:
        findings.lines.append("one camera: R and t cannot be compared with other views")
        return findings
    seen = seen or observe_regions(capture, frames, _some_cameras(capture))
    if seen is None and thorough and not findings.errors:
        seen = observe_features(capture, frames[0])
    if seen is None:
        findings.lines.append("nothing that two cameras see could be compared: the cameras cannot be judged")
        return findings
    findings.compared = True
    _judge_rig(findings, capture, seen, frames, thorough)
    return findings


def require_consistent(capture: CaptureSource, use_landmarks: bool = True) -> list[str]:
    """Compare the evidence before a fit.

    Returns:
        What is odd, one sentence each.

    Raises:
        HeadfitError: the views contradict each other; the message says by how much, and which reading fits.
    """
    findings = compare_evidence(capture, use_landmarks)
    if findings.errors:
        more = " (headfit check --fix writes a corrected capture.json)" if findings.fixed else ""
        raise HeadfitError(f"{capture.location}: {'; '.join(findings.errors)}{more}")
    return findings.warnings


def _some_cameras(capture: CaptureSource) -> list[int]:
    """Cameras whose masks are compared: none where the capture names no labels."""
    if not capture.label_names:
        return []
    return [int(c) for c in np.unique(np.linspace(0, len(capture.cameras) - 1, MAX_MASK_CAMERAS).astype(int))]


def _without(seen: Observations | None, unusable: set[int]) -> Observations | None:
    if seen is None or not unusable:
        return seen
    kept = [v for v, camera in enumerate(seen.cameras) if camera not in unusable]
    if len(kept) < 2:
        return None
    return replace(seen, cameras=[seen.cameras[v] for v in kept], pixels=seen.pixels[kept], weights=seen.weights[kept])


def _judge_rig(
    findings: Findings, capture: CaptureSource, seen: Observations, frames: Sequence[int], thorough: bool
) -> None:
    (given,) = judge(capture.cameras, seen, [GIVEN])
    was, face, size = given.agreement.residual, given.agreement.face, seen.size
    suspect, gross = SUSPECT[seen.kind] * size, GROSS[seen.kind] * size
    findings.lines.append(f"views: {_by(was)} ({seen.kind} of {len(seen.cameras)} cameras; head of {size:.0f} px)")
    wide = not describe_rig(seen.of(capture.cameras)).widest_angle < MIN_ANGLE
    odd_face = face is not None and wide and (face.mirrored or not face.plausible_size or face.misfit > MAX_MISFIT)
    found = None
    if was > suspect or odd_face or thorough:
        others = (
            _other_readings(capture, seen, frames, suspect)
            if was > suspect or odd_face
            else judge(capture.cameras, seen, SMALL_ERRORS)
        )
        found = best_reading(given, others, size, suspect)
        if was > suspect or found:
            findings.lines += _table(given, others)
    named = found or given
    findings.unit = unit_factor(named) if named.agreement.residual <= suspect and wide else None
    if found:
        sentence = (
            f"the views {_apart(was)} ({seen.kind}); read {found.reading.name} they agree to "
            f"{_px(found.agreement.residual)}"
        )
        certain = was > suspect or (face is not None and (face.mirrored or not face.plausible_size))
        (findings.errors if certain else findings.warnings).append(sentence)
        findings.fixed = None if found.reading.of_landmarks else found.cameras
    else:
        _judge_cameras(findings, capture, seen, given.agreement, suspect, gross)
    if findings.unit:
        _say_unit(findings, named)
    elif odd_face and not found and was <= suspect:
        _say_odd_face(findings, seen, given.agreement)
    if thorough and not found:
        _say_late(findings, capture, frames, seen)


def _other_readings(capture: CaptureSource, seen: Observations, frames: Sequence[int], suspect: float) -> list[Judged]:
    """The readings of the cameras, and those of the landmarks unless masks say that it is the cameras. Masks that
    agree with the cameras as given leave only the landmarks."""
    cameras = [*POSES, *INTRINSICS, *HALF_PIXELS]
    if seen.kind != "landmarks":
        return judge(capture.cameras, seen, cameras if seen.kind != "matched features" else [*POSES, *INTRINSICS])
    regions = observe_regions(capture, frames, _some_cameras(capture)) if _some_cameras(capture) else None
    if regions is None:
        return judge(capture.cameras, seen, cameras) + judge_landmarks(capture.cameras, seen)
    limit = SUSPECT["mask regions"] * regions.size
    (given,) = judge(capture.cameras, seen, [GIVEN])
    if given.agreement.residual > suspect and agreement(capture.cameras, regions).residual <= limit:
        return judge_landmarks(capture.cameras, seen) + judge(capture.cameras, seen, HALF_PIXELS)
    return judge(capture.cameras, seen, cameras)


def _judge_cameras(
    findings: Findings, capture: CaptureSource, seen: Observations, given: Agreement, suspect: float, gross: float
) -> None:
    """Name single cameras that disagree with the others; else the whole rig where it does."""
    spread = [float(np.median(r[~np.isnan(r)])) if (~np.isnan(r)).any() else 0.0 for r in given.residuals]
    bad = [v for v, value in enumerate(spread) if value > suspect]
    if given.residual > suspect and len(seen.cameras) <= 8:
        bad = list(range(len(seen.cameras)))
    said = []
    for view in bad if len(seen.cameras) >= 3 and seen.kind != "matched features" else ():
        fitted = fit_one_camera(capture.cameras, seen, view)
        if fitted is None or fitted[0] <= suspect:
            continue
        was, reading, now = fitted
        fits = now < FITTING_SHARE * was and now <= suspect
        if not fits and given.residual > suspect:
            continue  # nobody knows whose fault it is
        where = f"lie {_px(was)} from" if np.isfinite(was) else "cannot be"
        text = f"camera {capture.cameras[seen.cameras[view]].id}: its {seen.kind} {where} where the others put them"
        if fits:
            text += f"; read {reading.name} it agrees to {_px(now)}"
            if not reading.of_landmarks:
                cameras = list(findings.fixed or capture.cameras)
                changed = reading.change(cameras[seen.cameras[view]])
                assert changed is not None
                cameras[seen.cameras[view]] = changed
                findings.fixed = cameras
        said.append((fits and was > gross, text))
    for certain, text in said:
        (findings.errors if certain else findings.warnings).append(text)
    if given.residual > 2 * suspect and not any(fits for fits, _ in said):
        sentence = f"the views {_apart(given.residual)} ({seen.kind}), and no usual mix-up of conventions explains it"
        certain = given.residual > gross and seen.kind != "matched features"
        (findings.errors if certain else findings.warnings).append(sentence)


def _say_unit(findings: Findings, found: Judged) -> None:
    face, factor = found.agreement.face, findings.unit
    assert face is not None and factor is not None
    what = {0.01: "centimetres", 0.001: "millimetres"}.get(factor, f"{factor:g} times the unit")
    findings.warnings.append(
        f"the head would be {1.7 * face.eye_distance:.3g} m wide ({face.eye_distance:.2g} m between the eyes). Are the "
        f"camera positions in the unit of 'units'? Read as {what} of what is given it is "
        f"{1.7 * face.eye_distance * factor:.2g} m"
    )


def _say_odd_face(findings: Findings, seen: Observations, given: Agreement) -> None:
    face = given.face
    assert face is not None
    if face.mirrored and seen.kind == "landmarks":
        findings.errors.append(
            "the face of the landmarks is mirrored: are left and right swapped? Point 36 of iBUG is the outer corner "
            "of the subject's right eye"
        )
    elif face.misfit > MAX_MISFIT and seen.kind == "landmarks":
        findings.errors.append(
            "the landmarks agree with each other, but they are no face: are they the 68 points of iBUG in their order?"
        )
    elif not face.plausible_size:
        findings.warnings.append(
            f"the head would be {1.7 * face.eye_distance:.3g} m wide. Are the focal lengths of this picture size, and "
            "the camera positions in the unit of 'units'?"
        )


def _say_late(findings: Findings, capture: CaptureSource, frames: Sequence[int], seen: Observations) -> None:
    if seen.kind != "landmarks" or len(seen.cameras) < 3 or len(capture.frames) < 3:
        return
    middle = frames[len(frames) // 2]
    first = max(0, min(middle - LATE_FRAMES // 2, len(capture.frames) - LATE_FRAMES))
    series = observe_landmarks(capture, range(first, min(first + LATE_FRAMES, len(capture.frames))))
    if series is None:
        return
    for camera, (shift, was, now) in late_cameras(capture.cameras, series).items():
        findings.warnings.append(
            f"camera {capture.cameras[camera].id}: its landmarks lie {_px(was)} from where the others put them; one "
            f"frame {'late' if shift > 0 else 'early'} they agree to {_px(now)}"
        )


def _px(residual: float) -> str:
    return f"{residual:.0f} px" if residual >= 10 else f"{max(residual, 0.01):.2g} px"


def _apart(residual: float) -> str:
    return f"disagree by {_px(residual)}" if np.isfinite(residual) else "see no point in front of the cameras"


def _by(residual: float) -> str:
    return f"agree to {_px(residual)}" if np.isfinite(residual) else "see no point in front of the cameras"


def _table(given: Judged, others: Sequence[Judged]) -> list[str]:
    """The residual of each reading, best first."""
    ordered = sorted([given, *others], key=lambda judged: judged.agreement.residual)
    finite = [judged for judged in ordered if np.isfinite(judged.agreement.residual)]
    lines = [f"  {judged.agreement.residual:9.2f} px  {judged.reading.name}" for judged in finite]
    behind = len(ordered) - len(finite)
    lines += [f"  {behind} more put the points behind the cameras"] if behind else []
    return ["residuals of the readings of the cameras:", *lines]

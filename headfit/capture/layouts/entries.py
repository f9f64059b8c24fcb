"""Camera entries of capture.json from the matrices of other conventions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from headfit.capture.layouts.options import ImportOptions
from headfit.capture.lenses import OpenCVLens
from headfit.errors import HeadfitError
from headfit.types import Float

#: From OpenGL's camera axes (x right, y up, z backward) to OpenCV's (x right, y down, z forward).
FLIP = np.diag([1.0, -1.0, -1.0])
#: Added to K whose origin is the centre of the first pixel, as in OpenCV: ours is the corner of the picture.
HALF_PIXEL = np.array([[0, 0, 0.5], [0, 0, 0.5], [0, 0, 0.0]])


def numbers(value: Any, *shape: int) -> Float:
    """`value` (numbers, also as strings or in a text) as an array of `shape`. Raises HeadfitError otherwise."""
    try:
        found = np.array(value.split() if isinstance(value, str) else value, dtype=np.float64)
        return found.reshape(shape) if shape else found.ravel()
    except (TypeError, ValueError):
        expected = "x".join(map(str, shape)) or "any number of"
        raise HeadfitError(f"expected {expected} numbers, found {str(value)[:80]!r}") from None


def matrix_K(fx: float, fy: float, cx: float, cy: float, skew: float = 0.0) -> Float:
    """Intrinsics `[3,3]`."""
    return np.array([[fx, skew, cx], [0, fy, cy], [0, 0, 1.0]])


def inverse_pose(c2w: Float, gl_axes: bool = False) -> tuple[Float, Float]:
    """R, t from world to camera of a camera-to-world matrix `[3 or 4,4]`; `gl_axes`: its camera axes are OpenGL's."""
    R, _ = rotation(c2w[:3, :3])
    R = FLIP @ R.T if gl_axes else R.T
    return R, -R @ c2w[:3, 3]


def rotation(M: Float) -> tuple[Float, float]:
    """The rotation nearest to a matrix `[3,3]` that is one up to scale and rounding, and that scale.

    Raises HeadfitError when it is none: a matrix that mirrors, or shears by more than a per cent.
    """
    u, s, vt = np.linalg.svd(M)
    R: Float = u @ vt
    if not s[0] > 0 or s[0] - s[2] > 0.01 * s[0] or np.linalg.det(R) < 0:
        raise HeadfitError(f"a pose whose 3x3 part is no rotation: {np.round(M, 4).tolist()}")
    return R, float(s.mean())


def from_quaternion(w: float, x: float, y: float, z: float) -> Float:
    """The rotation `[3,3]` of a Hamilton quaternion of any length but 0."""
    w, x, y, z = np.array([w, x, y, z]) / np.sqrt(w * w + x * x + y * y + z * z)
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )


#: A lens as in capture.json, or OpenCV's coefficients.
Lens = Mapping[str, Any] | Sequence[float] | Float


def camera(name: str, size: Sequence[int], K: Float, R: Float, t: Float, lens: Lens = ()) -> dict[str, Any]:
    """An entry of capture.json.

    Args:
        name: the camera's id.
        size: width and height, pixels.
        K: `[3,3]` intrinsics, from the corner of the picture.
        R, t: world to camera, OpenCV's axes.
        lens: the lens, or OpenCV's coefficients k1 k2 p1 p2 k3 ..., any number of them.
    """
    entry = {"id": name, "width": int(size[0]), "height": int(size[1]), "K": K.tolist()}
    entry |= {"R": R.tolist(), "t": np.asarray(t, dtype=np.float64).ravel().tolist()}
    if not isinstance(lens, Mapping):
        coefficients = np.trim_zeros(np.asarray(lens, dtype=np.float64).ravel(), "b")
        count = next((count for count in OpenCVLens.coefficient_counts if count >= len(coefficients)), 0)
        if len(coefficients) > count:
            raise HeadfitError(f"camera {name}: {len(coefficients)} lens coefficients, more than OpenCV has")
        lens = {"model": "opencv", "coefficients": np.pad(coefficients, (0, count - len(coefficients))).tolist()}
    return entry | ({"lens": dict(lens)} if lens["model"] != "opencv" or any(lens["coefficients"]) else {})


def turned(entry: dict[str, Any], degrees: int) -> dict[str, Any]:
    """The camera of a picture that is turned clockwise by 0, 90, 180 or 270 degrees to be upright.

    K and the size become those of the upright picture, and so does the pose. With s a skew, the upright K needs the
    camera axes turned by a little more or less: K turn(degrees) = K' turn(angle), by an RQ decomposition. A radial lens
    is the same about turned axes, and (p2, p1) turns like a vector: the tangential terms are p r^2 + 2 (p . x) x.
    """
    if degrees % 360 == 0:
        return entry
    width, height = entry["width"], entry["height"]
    quarter = {
        90: [[0, -1, height], [1, 0, 0]],
        180: [[-1, 0, width], [0, -1, height]],
        270: [[0, 1, 0], [-1, 0, width]],
    }[degrees % 360]
    M = np.array(quarter, dtype=np.float64) @ np.array(entry["K"])
    scale, turn = M[:2, :2], np.eye(3)
    angle = np.arctan2(scale[1, 0], scale[1, 1])  # turned by it, the second row is (0, length)
    c, s = np.cos(angle), np.sin(angle)
    turn[:2, :2] = [[c, s], [-s, c]]
    K = np.vstack([np.c_[scale @ turn[:2, :2], M[:2, 2]], [0, 0, 1]])
    result = dict(entry, K=K.tolist(), rotate=degrees % 360)
    result["R"], result["t"] = (turn.T @ np.array(entry["R"])).tolist(), (turn.T @ np.array(entry["t"])).tolist()
    if degrees % 180:
        result["width"], result["height"] = height, width
    if "lens" in entry and entry["lens"]["model"] == "opencv":
        coefficients = np.array(entry["lens"]["coefficients"])
        if coefficients[8:].any():
            raise HeadfitError(f"camera {entry['id']}: a thin-prism lens in a picture to be turned is not supported")
        coefficients[[3, 2]] = turn[:2, :2].T @ coefficients[[3, 2]]
        result["lens"] = dict(entry["lens"], coefficients=coefficients.tolist())
    return result


def resized(entry: dict[str, Any], width: int, height: int) -> dict[str, Any]:
    """The camera of the same picture at another size."""
    factors = np.array([width / entry["width"], height / entry["height"], 1.0])
    K = np.diag(factors) @ np.array(entry["K"])
    return dict(entry, K=K.tolist(), width=width, height=height)


def with_noted_lenses(content: dict[str, Any], options: ImportOptions) -> dict[str, Any]:
    """The content without the errors of lenses that were fitted (see `convert_lens`), the largest of which is noted."""
    errors = {
        entry["id"]: entry["lens"]["error_px"] for entry in content["cameras"] if "error_px" in entry.get("lens", {})
    }
    if not errors:
        return content
    worst = max(errors, key=lambda name: errors[name])
    options.notes.append(
        f"the lens models of {len(errors)} cameras were fitted by OpenCV's; the largest error within a picture is "
        f"{errors[worst]:.2g} pixels (camera {worst})"
    )
    kept = ("model", "coefficients")
    cameras = [
        entry | {"lens": {key: entry["lens"][key] for key in kept}} if entry["id"] in errors else entry
        for entry in content["cameras"]
    ]
    return content | {"cameras": cameras}

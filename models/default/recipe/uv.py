"""The texture atlas: one square with a region for each surface."""

import numpy as np

# Region of each chart in the atlas: (left, bottom, right, top). The skin's chart is the largest by far.
ATLAS = {
    "skin": (0.0, 0.25, 1.0, 1.0),
    "chest": (0.0, 0.0, 0.2, 0.24),
    "mouth_cavity": (0.2, 0.0, 0.4, 0.24),
    "tongue": (0.4, 0.0, 0.5, 0.24),
    "left_eye": (0.5, 0.12, 0.62, 0.24),
    "right_eye": (0.5, 0.0, 0.62, 0.12),
    "left_socket": (0.62, 0.12, 0.72, 0.24),
    "right_socket": (0.62, 0.0, 0.72, 0.12),
    "upper_teeth": (0.72, 0.18, 1.0, 0.24),
    "lower_teeth": (0.72, 0.12, 1.0, 0.18),
    "upper_gums": (0.72, 0.06, 1.0, 0.12),
    "lower_gums": (0.72, 0.0, 1.0, 0.06),
}
MARGIN = 0.004
# Charts that are strips along the dental arch fill their region; all others keep their proportions.
STRIPS = ("upper_teeth", "lower_teeth", "upper_gums", "lower_gums")
# The face's place in the upright chart of the skin, in shares of its width and height: between the outer corners of
# the eyes, and from brows to chin. It is magnified MAGNIFY times relative to the rest; EASE is the width of the blend.
FACE_ACROSS, FACE_UP, MAGNIFY, EASE = (0.40, 0.60), (0.12, 0.56), 3.3, 0.025
EYE_MAGNIFY = 2.5  # magnification of the middle of an eye's chart, where the iris is


def place(uvs: np.ndarray, name: str) -> np.ndarray:
    """A chart `[T,2]` moved into its region of the atlas, with the face and the irises magnified."""
    left, bottom, right, top = ATLAS[name]
    low, high = uvs.min(0), uvs.max(0)
    room = np.array([right - left, top - bottom]) - 2 * MARGIN
    corner = np.array([left, bottom]) + MARGIN
    if name == "skin":
        return corner + room * _face_enlarged((uvs - low) / (high - low))
    if name in STRIPS:
        return corner + room * (uvs - low) / (high - low)
    if name.endswith("_eye"):
        uvs = _middle_enlarged(uvs)
        low, high = uvs.min(0), uvs.max(0)
    scale = (room / (high - low)).min()
    return corner + (room - scale * (high - low)) / 2 + scale * (uvs - low)


def _face_enlarged(chart: np.ndarray) -> np.ndarray:
    """The skin's chart `[T,2]` in [0, 1], rotated upright, with the face enlarged along both axes.

    MakeHuman's chart has the scalp at the left and the subject's left at the top. Both stretches are strictly
    monotonic, so the chart does not overlap itself.
    """
    across, up = chart[:, 1], 1 - chart[:, 0]
    return np.stack([_stretched(across, *FACE_ACROSS), _stretched(up, *FACE_UP)], 1)


def _stretched(x: np.ndarray, first: float, last: float) -> np.ndarray:
    """A monotonic map of [0, 1] to itself, with a slope MAGNIFY times larger inside [first, last] than outside.

    It is the integral of a smooth step up and a smooth step down.
    """

    def ramp(t: np.ndarray) -> np.ndarray:  # integral of the logistic step
        return EASE * np.logaddexp(0, t / EASE)

    def total(t: np.ndarray) -> np.ndarray:
        return t + (MAGNIFY - 1) * (ramp(t - first) - ramp(t - last))

    start, end = total(np.zeros(1)), total(np.ones(1))
    return (total(x) - start) / (end - start)


def _middle_enlarged(uvs: np.ndarray) -> np.ndarray:
    """A round chart `[T,2]`, stretched along its radii: r -> m r / (1 + (m - 1) r), r in [0, 1]."""
    centre = (uvs.min(0) + uvs.max(0)) / 2
    spoke = uvs - centre
    reach = np.linalg.norm(spoke, axis=1).max()
    radius = np.linalg.norm(spoke, axis=1, keepdims=True) / reach
    return centre + spoke * EYE_MAGNIFY / (1 + (EYE_MAGNIFY - 1) * radius)


def subdivide_uv(quads_uv: np.ndarray, uvs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """UVs `[T,2]` and quads_uv `[4Q,4]` of a bilinearly subdivided chart, in the order of `catmull_clark`."""
    corner = uvs[quads_uv]
    middle = corner.mean(1, keepdims=True)
    half = (corner + np.roll(corner, -1, 1)) / 2
    children = np.stack(
        [corner, half, np.broadcast_to(middle, corner.shape), np.roll(half, 1, 1)], axis=2
    )  # [Q, 4 children, 4 corners, 2]
    flat = np.round(children.reshape(-1, 2), 9)
    unique, index = np.unique(flat, axis=0, return_inverse=True)
    return unique, index.reshape(-1, 4)

"""Contact sheets of any head: poses and identities, shaded, by part and by label, and the texture layout."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from headfit.capture import Camera
from headfit.capture.labels import LIP_LABELS
from headfit.head import HeadModel
from headfit.render import CameraBatch, HeadRenderer, Pixels
from headfit.synth.paint import paint_eye
from headfit.synth.rig import looking_along

Rgb = NDArray[np.uint8]

DISTANCE = 1.5  # metres from camera to head, far enough to avoid strong perspective
MOUTH_WIDTH = 0.085  # metres shown across in close-ups of the mouth
MOUTH_YAW = 12.0  # degrees
CAMERA_PITCH = 4.0  # degrees above the horizontal
SUPERSAMPLING = 2
QUALITY = 66  # of a JPEG
IDENTITIES = 3
BACKGROUND = 0.93
CAPTION = 20  # height of a caption in pixels
ASPECT = 1.25  # height of a cell over its width


@dataclass(frozen=True)
class Pose:
    """Weights of units, and rotations of joints (axis-angle, radians) to use instead in heads without these units."""

    name: str
    units: Mapping[str, float] = field(default_factory=dict)
    joints: Mapping[str, tuple[float, float, float]] = field(default_factory=dict)


POSES = (
    Pose("neutral"),
    Pose("jaw open", {"jawOpen": 1.0}, {"jaw": (0.4, 0.0, 0.0)}),
    Pose("smile", {"mouthSmileLeft": 1.0, "mouthSmileRight": 1.0, "mouthUpperUpLeft": 0.3, "mouthUpperUpRight": 0.3}),
    Pose("blink", {"eyeBlinkLeft": 1.0, "eyeBlinkRight": 1.0}),
    Pose("pucker", {"mouthPucker": 1.0}),
    Pose("tongue", {"tongueOut": 1.0, "jawOpen": 0.6}),
)
EYES = ("left_eye", "right_eye")
CLAY = (0.74, 0.60, 0.52)
TINTS = {
    "hair": (0.62, 0.52, 0.46),
    "brows": (0.42, 0.33, 0.28),
    "upper_lip": (0.74, 0.42, 0.40),
    "lower_lip": (0.74, 0.42, 0.40),
    "lips": (0.74, 0.42, 0.40),
    "upper_teeth": (0.93, 0.90, 0.82),
    "lower_teeth": (0.93, 0.90, 0.82),
    "teeth": (0.93, 0.90, 0.82),
    "gums": (0.72, 0.38, 0.38),
    "tongue": (0.76, 0.42, 0.42),
    "mouth_cavity": (0.36, 0.16, 0.16),
}


def contact_sheet(head: HeadModel, out: Path, cell: int = 224) -> None:
    """Write the contact sheet of a head to the image file `out`, with cells `cell` pixels wide.

    Poses whose units and joints the head lacks are left out, and so are identities if it has none.
    """
    Sheet(head, cell).picture().save(out, quality=QUALITY)


class Sheet:
    """Renders the images of one head's contact sheet."""

    def __init__(self, head: HeadModel, cell: int) -> None:
        self.head, self.cell = head, cell
        self.renderer = HeadRenderer(head)
        self.rest = head.rest()
        self.parts = palette(len(head.part_names))[head.face_parts]
        self.labels = palette(len(head.label_names))[head.face_labels]
        self.tints = torch.tensor([TINTS.get(name, CLAY) for name in head.label_names])[head.face_labels]
        self.eyes = eye_colours(head, self.rest)
        shown = head.vertices_of(*(name for name in head.label_names if name != "neck"))
        box = self.rest[shown if len(shown) else head.faces.long().unique()]
        self.low, self.high = box.amin(0), box.amax(0)

    def picture(self) -> Image.Image:
        """The whole sheet, all rows stacked."""
        poses = [(pose.name, v) for pose in POSES if (v := posed(self.head, pose)) is not None]
        rows = [self._row("", poses, 0.0), self._row(", from the left", poses, 40.0)]
        if len(self.head.faces_of(*LIP_LABELS)):
            rows.append(self._close_row(poses))
        rows.append(self._row(", by part", poses, 0.0, self.parts))
        rows.append(self._row(", by label", poses, 0.0, self.labels))
        people = [(f"identity {n + 1}", v) for n, v in enumerate(identities(self.head))]
        if people:
            rows.append(np.hstack([self._row("", people, 0.0), self._row(", from the left", people, 40.0)]))
        width = max(row.shape[1] for row in rows)
        half = width // 2
        layouts = [
            np.vstack([self._uv(f"texture by {kind}", colours, half, edge), legend(names, len(names), half)])
            for kind, colours, names, edge in (
                ("part", self.parts, self.head.part_names, 0.85),
                ("label", self.labels, self.head.label_names, 1.0),
            )
        ]
        tall = max(layout.shape[0] for layout in layouts)
        rows.append(np.hstack([_padded(layout, half, tall) for layout in layouts]))
        return Image.fromarray(np.vstack([_padded(row, width, row.shape[0]) for row in rows]))

    def _row(self, suffix: str, named: list[tuple[str, Tensor]], yaw: float, colours: Tensor | None = None) -> Rgb:
        return np.hstack([captioned(name + suffix, self.view(v, yaw, colours)) for name, v in named])

    def _close_row(self, poses: list[tuple[str, Tensor]]) -> Rgb:
        """Close-ups of the mouth, slightly from the side to show the depth behind the lips."""
        lips = self.head.vertices_of(*LIP_LABELS)
        cells = []
        for name, vertices in poses:
            points = vertices[lips]
            camera = self._camera((points.amin(0) + points.amax(0)) / 2, MOUTH_WIDTH, MOUTH_YAW)
            cells.append(captioned(f"{name}, close", self.shoot(vertices, camera, None)))
        return np.hstack(cells)

    def view(self, vertices: Tensor, yaw: float, colours: Tensor | None = None) -> Rgb:
        """One cell with the whole head `[V,3]`, seen from `yaw` degrees to the subject's left."""
        size = self.high - self.low
        across = float(max(size[0], size[2]) * 1.12)
        width = max(across, float(size[1]) * 1.2 / ASPECT)
        middle = (self.low + self.high) / 2
        return self.shoot(vertices, self._camera(middle, width, yaw), colours)

    def _camera(self, target: Tensor, width: float, yaw: float) -> Camera:
        """A camera showing `width` metres across at `target [3]`, from `yaw` degrees to the left and slightly above."""
        w, h = self.cell * SUPERSAMPLING, round(self.cell * ASPECT) * SUPERSAMPLING
        turn, lift = np.deg2rad([yaw, CAMERA_PITCH])
        away = np.array([np.sin(turn) * np.cos(lift), np.sin(lift), np.cos(turn) * np.cos(lift)])
        R = looking_along(-away)
        focal = DISTANCE * w / width
        K = np.array([[focal, 0, w / 2], [0, focal, h / 2], [0, 0, 1.0]])
        return Camera("sheet", w, h, K, R, -R @ (target.numpy().astype(np.float64) + DISTANCE * away))

    @torch.no_grad()
    def shoot(self, vertices: Tensor, camera: Camera, colours: Tensor | None) -> Rgb:
        """Shaded image of a head `[V,3]`, its faces in `colours [F,3]` or, if None, in the natural tints of labels."""
        seen = self.renderer.rasterize(vertices[None], CameraBatch.of([camera]))
        pixels = Pixels.where(seen.head)
        normal = F.normalize(self.renderer.at_pixels(seen, self.renderer.normals(vertices[None]), pixels), dim=-1)
        face = pixels.take(seen.index_img).long()
        albedo = (self.tints if colours is None else colours)[face]
        if colours is None:
            eye = torch.isin(face, self.head.faces_of(*EYES))
            albedo[eye] = self.renderer.at_pixels(seen, self.eyes[None], pixels)[eye]
        shaded = albedo * _light(normal, torch.from_numpy(camera.R).float())[:, None]
        image = pixels.put(torch.full_like(seen.bary, BACKGROUND), shaded)
        small = F.avg_pool2d(image.permute(0, 3, 1, 2), SUPERSAMPLING)[0].permute(1, 2, 0)
        return (small.clamp(0, 1) * 255).round().to(torch.uint8).numpy()

    def _uv(self, words: str, colours: Tensor, size: int, edge: float) -> Rgb:
        """The texture layout: faces in `colours [F,3]`, their edges in the same colours times `edge`."""
        uv = self.head.uvs[self.head.faces_uv.long()].numpy() * [1, -1] + [0, 1]
        drawn = np.full((size, size, 3), round(BACKGROUND * 255), np.uint8)
        fill = (colours.numpy() * 255).astype(int)
        shift = 4  # fractional bits of OpenCV's coordinates
        for triangle, colour in zip((uv * size * 2**shift).round().astype(np.int32), fill, strict=True):
            cv2.fillConvexPoly(drawn, triangle, colour.tolist(), cv2.LINE_8, shift)
            cv2.polylines(drawn, [triangle], True, (colour * edge).tolist(), 1, cv2.LINE_AA, shift)
        return captioned(words, drawn)


def posed(head: HeadModel, pose: Pose) -> Tensor | None:
    """Vertices `[V,3]` of the mean head in a pose, or None if it has neither the pose's main unit nor its joints."""
    main = next(iter(pose.units), None)
    if main is None or _units_like(head, main):
        return head.pose({unit: weight for name, weight in pose.units.items() for unit in _units_like(head, name)})
    joints = {name: turn for name, turn in pose.joints.items() if name in head.joint_names}
    return head.pose(joints=joints) if joints else None


def _units_like(head: HeadModel, name: str) -> list[str]:
    """The head's units for `name`: some heads do not split a unit into left and right, others split more of them."""
    whole = name.removesuffix("Left").removesuffix("Right")
    return [unit for unit in head.expression_names if unit in (name, whole, f"{name}Left", f"{name}Right")]


def identities(head: HeadModel) -> list[Tensor]:
    """Vertices `[V,3]` of a few random identities, the same ones every time; none for a head without identity."""
    if not len(head.identity_basis):
        return []
    draw = torch.Generator().manual_seed(1)
    return [head.pose(identity=torch.randn(len(head.identity_basis), generator=draw)) for _ in range(IDENTITIES)]


def eye_colours(head: HeadModel, rest: Tensor) -> Tensor:
    """Vertex colours `[V,3]` with iris and pupil painted on the eyes; white elsewhere."""
    colours = torch.full((head.vertex_count, 3), 0.92)
    for name in EYES:
        ids = head.vertices_of(name)
        if len(ids):
            painted = paint_eye(rest[ids].numpy().astype(np.float64), colours[ids].numpy())
            colours[ids] = torch.from_numpy(painted).float()
    return colours


def _light(normal: Tensor, R: Tensor) -> Tensor:
    """Light intensity `[N]` on unit normals `[N,3]`: a key light over the camera's left shoulder, a fill light from the
    right, and ambient light. The lights turn with the camera, so that all views show relief equally well."""
    lamps = torch.tensor([[-0.45, -0.65, -0.6], [0.8, 0.0, -0.6]]) @ R  # camera axes: x right, y down, z forward
    key, fill = (normal @ F.normalize(lamps, dim=-1).T).clamp_min(0).unbind(-1)
    return 0.36 + 0.72 * key + 0.25 * fill


def palette(count: int) -> Tensor:
    """Distinct colours `[count,3]`: hues a golden ratio apart, lightness in three steps."""
    hsv = np.stack(
        [np.arange(count) * 0.618034 % 1 * 180, np.full(count, 150), np.array([235, 190, 150])[np.arange(count) % 3]],
        -1,
    )
    return torch.from_numpy(cv2.cvtColor(hsv[None].astype(np.uint8), cv2.COLOR_HSV2RGB)[0]).float() / 255


def captioned(words: str, picture: Rgb) -> Rgb:
    """An image with a caption above it."""
    bar = np.full((CAPTION, picture.shape[1], 3), 255, np.uint8)
    _write(bar, words, 4)
    return np.vstack([bar, picture])


def legend(names: tuple[str, ...], count: int, width: int) -> Rgb:
    """A swatch and a name for each of the colours `palette(count)`, in columns."""
    columns = max(1, width // 150)
    bar = np.full((CAPTION * -(-count // columns), width, 3), 255, np.uint8)
    for i, (name, colour) in enumerate(zip(names, palette(count), strict=True)):
        x, y = (i % columns) * (width // columns), (i // columns) * CAPTION
        bar[y + 4 : y + 16, x + 4 : x + 16] = (colour * 255).numpy()
        _write(bar[y : y + CAPTION], name, x + 22)
    return bar


def _write(bar: Rgb, words: str, left: int) -> None:
    cv2.putText(bar, words, (left, 15), cv2.FONT_HERSHEY_SIMPLEX, 0.42, (60, 60, 60), 1, cv2.LINE_AA)


def _padded(picture: Rgb, width: int, height: int) -> Rgb:
    room = np.full((height, width, 3), 255, np.uint8)
    room[: picture.shape[0], : picture.shape[1]] = picture[:, :width]
    return room

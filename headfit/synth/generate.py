"""`headfit synth`: a performance of a head model, rendered in the cameras of a rig and written as a native capture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from scipy.spatial.transform import Rotation
from tqdm import tqdm

from headfit.capture import Camera
from headfit.capture.writer import CaptureWriter
from headfit.export.topology import MeshTopology
from headfit.head import HeadModel, load
from headfit.render import CameraBatch, Fragments, HeadRenderer, Pixels
from headfit.render.appearance import sample_albedo
from headfit.synth.paint import CLOTHES, Paint, paint
from headfit.synth.performance import Performance, perform
from headfit.synth.rig import portrait_rig

FPS = 12.0
SUPERSAMPLING = 2  # samples per axis of a pixel's colour; its label is sampled at the centre
TEXELS_PER_PIXEL = 4  # texture size over image size: the face covers about a quarter of the texture
SENSOR_NOISE = 0.005  # standard deviation, as a share of full scale
GAIN_SPREAD = 0.02  # standard deviation of the colour gains of a camera
LANDMARK_TOLERANCE = 0.002  # metres: landmarks further behind the visible surface are hidden
BACKGROUND = (0.17, 0.19, 0.20)  # display-coded


def synthesize(
    out: Path, *, cameras: int, frames: int, width: int, height: int, seed: int, head: HeadModel | None = None
) -> None:
    """Write a capture of a head model with images, masks, true meshes, and landmarks if the model has them.

    Args:
        out: the folder to write.
        cameras: number of cameras.
        frames: number of frames.
        width, height: image size, pixels.
        seed: identity, expressions, texture, light and noise follow from it.
        head: the head model; default: ours.

    Raises:
        HeadfitError: `out` already holds a capture, or cannot be written.
    """
    rng = np.random.default_rng(seed)
    head = head or load("default")
    performance = perform(frames, head, rng)
    rest, vertices = pose(head, performance)
    skin = rest[head.vertices_of("skin")]
    target = ((skin.amin(0) + skin.amax(0)) / 2).numpy().astype(np.float64)
    rig = portrait_rig(cameras, width, height, target, rng)
    studio = Studio(head, paint(head, rest, TEXELS_PER_PIXEL * max(width, height), rng), rng)
    gains = rng.normal(1.0, GAIN_SPREAD, (cameras, 3))
    names = [f"{frame:06d}" for frame in range(frames)]
    with CaptureWriter(out, rig, names, FPS, studio.classes) as writer:
        write_true_meshes(writer, head, performance, vertices)
        views = [(camera, frame) for camera in range(cameras) for frame in range(frames)]
        for camera, frame in tqdm(views, desc="synth", unit="view"):
            rgb, label, landmarks = studio.photograph(vertices[frame], rig[camera])
            noisy = rgb * gains[camera] + rng.normal(0, SENSOR_NOISE, rgb.shape)
            writer.image(camera, frame, np.round(np.clip(noisy, 0, 1) * 255).astype(np.uint8))
            writer.mask(camera, frame, label)
            if head.has_landmarks:
                writer.landmarks(camera, frame, landmarks)


def pose(head: HeadModel, performance: Performance) -> tuple[torch.Tensor, torch.Tensor]:
    """The rest shape `[V,3]` in head coordinates, and the world vertices `[N,V,3]` of all frames, both in metres."""
    identity = torch.from_numpy(performance.identity).float()
    expression = torch.from_numpy(performance.expression).float()
    joints = torch.from_numpy(performance.joints).float()
    with torch.no_grad():
        v_head = head(identity, expression, joints)
    rotation = torch.from_numpy(Rotation.from_rotvec(performance.head_rotation).as_matrix()).float()
    translation = torch.from_numpy(performance.head_translation).float()
    return head.pose(identity=identity), v_head @ rotation.transpose(1, 2) + translation[:, None]


class Studio:
    """A painted head in ambient light, brighter from above, and the light of one lamp."""

    def __init__(self, head: HeadModel, painted: Paint, rng: np.random.Generator) -> None:
        self.head = head
        self.renderer = HeadRenderer(head)
        self.paint = painted
        yaw, pitch = np.deg2rad([rng.uniform(-50, 50), rng.uniform(15, 40)])
        self.lamp = torch.tensor(
            [np.sin(yaw) * np.cos(pitch), np.sin(pitch), np.cos(yaw) * np.cos(pitch)], dtype=torch.float32
        )
        self.lamp_colour = torch.tensor([1.0, 0.95, 0.88]) * float(rng.uniform(0.7, 0.9))
        self.ambient = torch.tensor([0.50, 0.53, 0.58])
        # Mask values: 0 background, then the model's labels, then what is below the neck.
        self.classes = dict(enumerate(["background", *head.label_names, "clothes"]))

    @torch.no_grad()
    def photograph(self, vertices: torch.Tensor, camera: Camera) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """One view of world vertices `[V,3]`: rgb `[H,W,3]` in [0, 1], mask `[H,W]` uint8, landmarks `[68,3]`."""
        fine = self.renderer.rasterize(vertices[None], CameraBatch.of([camera.scaled(SUPERSAMPLING)]))
        rgb = self._shade(fine, vertices, camera)
        rgb = F.avg_pool2d(rgb.permute(2, 0, 1)[None], SUPERSAMPLING)[0].permute(1, 2, 0)
        seen = self.renderer.rasterize(vertices[None], CameraBatch.of([camera]))
        label = torch.zeros(seen.index_img.shape[1:], dtype=torch.uint8)
        label[seen.head[0]] = 1 + self.head.face_labels[seen.index_img[seen.head].long()].to(torch.uint8)
        label[seen.below_neck[0]] = max(self.classes)
        return rgb.numpy(), label.numpy(), self._landmarks(seen, vertices, camera)

    def _shade(self, seen: Fragments, vertices: torch.Tensor, camera: Camera) -> torch.Tensor:
        """Display-coded colours `[H,W,3]` of one view: diffuse shading, and the specular highlight of the lamp."""
        rgb = torch.tensor(BACKGROUND).expand(*seen.index_img.shape[1:], 3).clone()
        rgb[seen.below_neck[0]] = _display(torch.tensor(CLOTHES) * 0.8)
        pixels = Pixels.where(seen.head)
        uv, normal = self.renderer.surface(seen, self.renderer.normals(vertices[None]), pixels)
        towards = F.normalize(torch.from_numpy(camera.centre).float() - vertices.mean(0), dim=0)
        half = F.normalize(self.lamp + towards, dim=0)
        gloss = self.paint.gloss[self.head.face_labels[pixels.take(seen.index_img).long()]]
        lit = (normal @ self.lamp).clamp_min(0)[:, None]
        light = self.ambient * (0.75 + 0.25 * normal[:, 1:2]) + self.lamp_colour * lit
        highlight = (normal @ half).clamp_min(0)[:, None] ** 40 * gloss[:, None] * self.lamp_colour * (lit > 0)
        rgb[seen.head[0]] = _display(sample_albedo(self.paint.albedo, uv) * light + highlight)
        return rgb

    def _landmarks(self, fragments: Fragments, vertices: torch.Tensor, camera: Camera) -> np.ndarray:
        """iBUG points `[68,3]` (`[0,3]` for a head without landmarks): x, y in pixels, and 1 if visible, else 0."""
        if not self.head.has_landmarks:
            return np.zeros((0, 3))
        points = self.head.landmarks(vertices).numpy().astype(np.float64)
        pixels, depth = camera.project(points), camera.to_camera(points)[:, 2]
        surface = fragments.depth[0].numpy()
        column, row = np.floor(pixels).astype(int).T
        inside = (column >= 0) & (column < camera.width) & (row >= 0) & (row < camera.height)
        visible = inside.copy()
        visible[inside] = depth[inside] < surface[row[inside], column[inside]] + LANDMARK_TOLERANCE
        return np.column_stack([pixels, visible])


def _display(linear: torch.Tensor) -> torch.Tensor:
    """Linear light to display values in [0, 1]: gamma 1 / 2.2."""
    return linear.clamp(0, 1) ** (1 / 2.2)


def write_true_meshes(writer: CaptureWriter, head: HeadModel, performance: Performance, vertices: torch.Tensor) -> None:
    """Write the topology, and for each frame the vertices (of `[N,V,3]`, metres) and the parameters they come from."""
    writer.topology(**vars(MeshTopology.of(head)))
    for frame in range(len(vertices)):
        writer.ground_truth(
            frame,
            vertices[frame].numpy(),
            identity=performance.identity,
            expression=performance.expression[frame],
            joints=performance.joints[frame],
        )

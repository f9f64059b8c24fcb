"""The default head and spheres in front of a camera, with their rigid motions, for the gradient table.

The target is like that of a fit: a photo of the same head in a slightly different pose, under different light, in front
of a background. Each of its pixels is the mean over the pixel's area.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from headfit.head import load
from headfit.raster import Topology
from tests.gradients.harness import Scene, averaged_picture
from tests.gradients.zbuffer import Samples
from tests.support.shapes import icosphere

F64 = torch.float64
load_once = functools.cache(load)
Target = Callable[[int, int], Tensor]  # image `[H,W,3]` of a given size


class Camera:
    """A camera looking at `centre` from `distance`, rotated to its left; `extent`, in these units, fills the image."""

    def __init__(
        self, size: int, centre: tuple[float, float, float], distance: float, extent: float, turn: float
    ) -> None:
        self.size, self.distance, self.focal = size, distance, size * distance / extent
        self.centre = torch.tensor(centre, dtype=F64)
        s, c = torch.tensor(turn, dtype=F64).sin(), torch.tensor(turn, dtype=F64).cos()
        self.R = torch.tensor([[c, 0, s], [0, -1, 0], [s, 0, -c]], dtype=F64)  # y down, z away from the camera

    def project(self, points: Tensor) -> Tensor:
        """Projects vertices `[V,3]` to v_pix `[V,3]`."""
        x, y, z = ((points - self.centre) @ self.R.T).unbind(-1)
        z = z + self.distance
        return torch.stack([self.focal * x / z + self.size / 2, self.focal * y / z + self.size / 2, z], -1)

    def motion(self, points: Tensor, velocity: Tensor) -> Tensor:
        """The velocity `[V,3]` of v_pix, scaled so that the image moves by up to about a pixel."""
        step = 1e-6
        slope = (self.project(points + step * velocity) - self.project(points - step * velocity)) / (2 * step)
        at = self.project(points)[:, :2]
        speed = slope[((at > 0) & (at < self.size)).all(-1), :2].norm(dim=-1)
        return slope / speed.quantile(0.95)

    def rigid_motions(self, points: Tensor) -> list[Tensor]:
        """Translations along and rotations about the three axes."""
        axes = torch.eye(3, dtype=F64)
        turns = [axis.expand_as(points).cross(points - self.centre, dim=-1) for axis in axes]
        return [self.motion(points, v) for v in [*(axis.expand_as(points) for axis in axes), *turns]]


def body_colours(points: Tensor, scale: float, phase: Tensor) -> Tensor:
    """Colours `[V,3]` in [0, 1]: waves of wavelength `scale` with a phase `[V]`."""
    x, y, z = (points / scale).unbind(-1)
    channels = [
        torch.sin(phase + 2 * x + y + z),
        torch.cos(2 * phase - x + 2 * y - z),
        torch.sin(3 * phase + x - y + 2 * z),
    ]
    return 0.5 + 0.4 * torch.stack(channels, -1)


def photo(scene: Scene, moved: Tensor, background: Target) -> Tensor:
    """The image `[H,W,3]` of the scene with other vertices, 10 % darker, in front of a background."""
    there = replace(
        scene, vertices=moved, colours=torch.cat([scene.colours, torch.ones_like(scene.colours[:, :1])], -1)
    )
    picture = averaged_picture(there, moved, Samples(*scene.size, 4))
    covered = picture[..., 3:]
    return 0.9 * picture[..., :3] + (1 - covered) * background(*scene.size)


def sphere(subdivisions: int, background: Target, size: int = 64) -> Scene:
    points, faces = icosphere(subdivisions)
    camera = Camera(size, (0, 0, 0), distance=4.0, extent=2.7, turn=0.3)
    colours = body_colours(points, 1.0, torch.zeros(len(points), dtype=F64))
    scene = Scene(camera.project(points), faces, colours, camera.rigid_motions(points), background(size, size))
    scene.target = photo(scene, camera.project(points + torch.tensor([0.08, 0.06, 0.1])), background)
    return scene


@functools.cache
def _points(jaw_open: float) -> Tensor:
    """The default head's vertices `[V,3]` in metres: x to the subject's left, y up, z to the front."""
    model = load()
    expression = torch.zeros(1, len(model.expression_names))
    expression[0, model.expression_names.index("jawOpen")] = jaw_open
    with torch.no_grad():
        rest = torch.zeros(len(model.identity_basis)), expression, torch.zeros(1, len(model.joint_names), 6)
        return model(*rest)[0].double()


@dataclass
class Pose:
    """The head with its mouth open; in the photo the mouth is a little more closed, and the head moved (metres)."""

    camera: Camera
    jaw_open: float
    shift: tuple[float, float, float]

    def scene(self, colours: Tensor, background: Target, label: Tensor | None = None) -> Scene:
        camera, points = self.camera, _points(self.jaw_open)
        jaw = camera.motion(points, (_points(self.jaw_open + 0.05) - _points(self.jaw_open - 0.05)) / 0.1)
        motions = [*camera.rigid_motions(points), jaw]
        picture = background(camera.size, camera.size)
        flat = label is not None
        scene = Scene(camera.project(points), load_once().faces, colours, motions, picture, flat, label)
        moved = _points(0.8 * self.jaw_open) + torch.tensor(self.shift, dtype=F64)
        scene.target = photo(scene, camera.project(moved), background)
        return scene

    def smooth(self, background: Target) -> Scene:
        """Colours that vary slowly over each surface and differ between surfaces."""
        model, points = load_once(), _points(self.jaw_open)
        surface = torch.zeros(len(points), dtype=F64)
        surface[model.faces.long()] = Topology.of(model.faces).components.to(F64)[:, None]
        return self.scene(body_colours(points, 0.06, 1.7 * surface), background)

    def labels(self, background: Target) -> Scene:
        """One colour per label, without shading."""
        model = load_once()
        label = model.face_labels.long()
        n = torch.arange(len(model.label_names), dtype=F64)[:, None]
        rate, phase = torch.tensor([2.0, 3.3, 4.7], dtype=F64), torch.tensor([0.0, 1, 2], dtype=F64)
        return self.scene((0.5 + 0.4 * torch.sin(n * rate + phase))[label], background, label)


def whole(size: int) -> Pose:
    """The whole head from its left, about three pixels away from its photo at 128 pixels."""
    return Pose(Camera(size, (0, -0.05, 0), distance=1.0, extent=0.42, turn=0.4), 0.3, (0.008, 0.006, 0.01))


def mouth(size: int) -> Pose:
    return Pose(Camera(size, (0, -0.075, 0.07), distance=0.5, extent=0.085, turn=0.3), 0.6, (0.002, 0.0015, 0.003))

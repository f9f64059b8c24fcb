"""The error of the rasterizer's gradient against finite differences, for one scene.

The ground truth is the *expected* loss: the loss of the point-sampled image against a fixed target, averaged over
samples x samples sub-pixel positions of the pixel grid. Its central differences along the scene's motions are compared
with our gradients in float32, averaged over phases x phases sub-pixel positions. (A single gradient sees one sample per
pixel and has to be right on average; the loss of an antialiased image is a different function.) A supersampled gradient
is compared with that other function: the loss of the image averaged over each pixel, also averaged over the position of
the pixel grid.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from headfit.raster import Topology, edge_grad, interpolate, pixel_loss, rasterize
from headfit.raster.api import PixelLossKind, loss_of_pixels
from tests.gradients.zbuffer import Rays, Samples, blend, visible

F64 = torch.float64
STEP = 0.25  # of the central differences, in units of a motion; one unit moves the image by about a pixel
SCALE = 0.1  # where Charbonnier and Huber become linear; colours are in [0, 1]
PHASES_AT_ONCE = 8

#: The estimates to compare: name -> (loss, whether by edge_grad, which knows only the gradient of the loss).
ESTIMATES: dict[str, tuple[PixelLossKind, bool]] = {
    "squared": ("squared", True),
    "squared, pixel_loss": ("squared", False),
    "charbonnier": ("charbonnier", False),
    "huber": ("huber", False),
    "l1": ("l1", False),
    "cross_entropy": ("cross_entropy", False),
    "charbonnier, edge_grad": ("charbonnier", True),
    "l1, edge_grad": ("l1", True),
}
SUPERSAMPLED = "supersampled"


@dataclass
class Scene:
    """A projected mesh, its motions, and the target image.

    Motions are vertex velocities `[V,3]`; one unit moves the boundaries by about a pixel.
    """

    vertices: Tensor  # [V,3]
    faces: Tensor
    colours: Tensor  # [V,C], or [F,C] if `flat`
    motions: list[Tensor]
    target: Tensor  # [H,W,C]
    flat: bool = False  # one colour per face
    group: Tensor | None = None
    topology: Topology = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.topology = Topology(self.faces)

    @property
    def size(self) -> tuple[int, int]:
        return self.target.shape[0], self.target.shape[1]


def errors(
    scene: Scene, kinds: tuple[str, ...], samples: int, phases: int, per_pixel: int | None = None
) -> dict[str, float]:
    """The relative L2 errors of the slopes along the motions, for these ESTIMATES and SUPERSAMPLED by per_pixel^2."""
    losses = tuple(dict.fromkeys(ESTIMATES[kind][0] for kind in kinds))
    truth = true_slopes(scene, losses, samples)
    result = {}
    for kind in kinds:
        result[kind] = relative(slopes(scene, gradient(scene, kind, phases)), truth[ESTIMATES[kind][0]])
    if per_pixel:
        ours = slopes(scene, supersampled_gradient(scene, phases, per_pixel))
        result[SUPERSAMPLED] = relative(ours, truth[SUPERSAMPLED])
    return result


def relative(ours: Tensor, truth: Tensor) -> float:
    return float((ours - truth).norm() / truth.norm())


def slopes(scene: Scene, gradient: Tensor) -> Tensor:
    """The slopes of the loss along the motions, from a gradient `[V,3]`."""
    return torch.stack([(gradient.double() * motion).sum() for motion in scene.motions])


def true_slopes(scene: Scene, losses: tuple[PixelLossKind, ...], samples: int) -> dict[str, Tensor]:
    """Central differences of the expected losses, and, as SUPERSAMPLED, of the squared loss of the averaged image."""
    where = Samples(*scene.size, samples)
    rows = []
    for motion in scene.motions:
        ahead, behind = (expected_losses(scene, scene.vertices + h * motion, losses, where) for h in (STEP, -STEP))
        rows.append({kind: (ahead[kind] - behind[kind]) / (2 * STEP) for kind in ahead})
    return {kind: torch.tensor([row[kind] for row in rows], dtype=F64) for kind in rows[0]}


def expected_losses(
    scene: Scene, vertices: Tensor, losses: tuple[PixelLossKind, ...], where: Samples
) -> dict[str, float]:
    total = dict.fromkeys(losses, 0.0)
    cells = []  # rows of an image with 4 x 4 cells per pixel
    for image in sampled_pictures(scene, vertices, where):
        target = scene.target[:, :, None].expand_as(image)
        cells.append(image.unflatten(2, (4, -1)).mean(3).flatten(1, 2))
        for kind in losses:
            total[kind] += float(loss_of_pixels(image, target, kind, SCALE).sum()) / where.count**2
    picture = torch.stack(cells, 1).unflatten(1, (4, -1)).mean(2).flatten(0, 1)  # [4 H, 4 W, C]
    return {**total, SUPERSAMPLED: averaged_loss(picture, scene.target)}


def averaged_loss(cells: Tensor, target: Tensor) -> float:
    """The squared loss of the image of pixel means, averaged over the position of the pixel grid."""
    padded = torch.nn.functional.pad(cells.movedim(-1, 0), (2, 2, 2, 2), mode="replicate")
    total = 0.0
    for row, column in np.ndindex(5, 5):  # from half a pixel up to half a pixel down, by the trapezoidal rule
        window = padded[:, row : row + cells.shape[0], column : column + cells.shape[1]]
        mean = torch.nn.functional.avg_pool2d(window, 4).movedim(0, -1)
        weight = (0.5 if row in (0, 4) else 1) * (0.5 if column in (0, 4) else 1) / 16
        total += weight * float((mean - target).square().sum())
    return total


def averaged_picture(scene: Scene, vertices: Tensor, where: Samples) -> Tensor:
    """The image `[H,W,C]` of pixel means."""
    return sum(image.mean(2) for image in sampled_pictures(scene, vertices, where)) / where.count


def sampled_pictures(scene: Scene, vertices: Tensor, where: Samples) -> Iterator[Tensor]:
    """Images `[H,W,count,C]` by the plain z-buffer, one for each row of samples in a pixel."""
    rays = Rays(vertices.numpy(), scene.faces.numpy())
    index = visible(rays, where)
    for row in range(n := where.count):
        image = _shade(scene, rays, index[row::n], where.x[row::n], where.y[row::n])
        yield torch.from_numpy(image).view(where.height, where.width, n, -1)


def _shade(scene: Scene, rays: Rays, index: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    colours = scene.colours.numpy()
    image = np.zeros((*index.shape, colours.shape[1]))
    seen = index >= 0
    image[seen] = colours[index[seen]] if scene.flat else blend(rays, colours, index[seen], x[seen], y[seen])
    return image


def gradient(scene: Scene, kind: str, phases: int) -> Tensor:
    """Our gradient `[V,3]`, averaged over sub-pixel positions."""
    loss, by_gradient = ESTIMATES[kind]
    total = torch.zeros_like(scene.vertices)
    for v_pix in shifted(scene.vertices, phases):
        image, mesh = render(scene, v_pix, scene.size)
        target = scene.target.float().expand_as(image)
        if by_gradient:
            value = loss_of_pixels(edge_grad(image, **mesh), target, loss, SCALE)
        else:
            value = pixel_loss(image, target, **mesh, kind=loss, scale=SCALE)
        total += torch.autograd.grad(value.sum(), v_pix)[0].double().sum(0) / phases**2
    return total


def supersampled_gradient(scene: Scene, phases: int, n: int) -> Tensor:
    """Our gradient of the squared loss of an image rendered n times larger and averaged."""
    total = torch.zeros_like(scene.vertices)
    for v_pix in shifted(scene.vertices, phases):
        larger = v_pix * torch.tensor([n, n, 1.0])
        image, mesh = render(scene, larger, (n * scene.size[0], n * scene.size[1]))
        image = edge_grad(image, **mesh)
        mean = image.unflatten(2, (-1, n)).unflatten(1, (-1, n)).mean((2, 4))
        value = (mean - scene.target.float()).square().sum()
        total += torch.autograd.grad(value, v_pix)[0].double().sum(0) / phases**2
    return total


def shifted(vertices: Tensor, phases: int) -> Iterator[Tensor]:
    """Batches `[B,V,3]` in float32, shifted to phases x phases positions spread over one pixel."""
    steps = (torch.arange(phases, dtype=F64) + 0.5) / phases - 0.5
    shifts = torch.cartesian_prod(steps, steps)
    shifts = torch.cat([shifts, torch.zeros(len(shifts), 1, dtype=F64)], 1)[:, None]
    for some in shifts.split(PHASES_AT_ONCE):
        yield (vertices + some).float().requires_grad_()


def render(scene: Scene, v_pix: Tensor, size: tuple[int, int]) -> tuple[Tensor, dict]:
    """The image `[B,H,W,C]` by our rasterizer, and the arguments of edge_grad for it."""
    index_img, bary, _ = rasterize(v_pix, scene.faces, size)
    colours = scene.colours.float()
    if scene.flat:
        image = torch.where((index_img >= 0)[..., None], colours[index_img.clamp(min=0).long()], 0.0)
    else:
        image = interpolate(colours, scene.faces, index_img, bary)
    mesh = {"v_pix": v_pix, "faces": scene.faces, "index_img": index_img}
    return image, {**mesh, "group": scene.group, "topology": scene.topology}

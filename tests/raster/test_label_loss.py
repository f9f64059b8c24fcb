"""label_loss against the reference of pixel_loss with one-hot images, and against finite differences."""

import pytest
import torch
from torch import Tensor

from headfit.raster import Topology, label_loss, labels, pixel_loss, rasterize, reference, reference_edges
from tests.gradients.harness import Scene, shifted, slopes, true_slopes
from tests.gradients.scenes import crossing, label_stripes, occlusion
from tests.support.raster_scenes import SCENES, SIZE, random
from tests.support.threads import assert_same_bits

F32, F64 = torch.float32, torch.float64
CLASSES = 4


def masks(index_img: Tensor, classes: int = CLASSES) -> Tensor:
    """Shares `[B,H,W,C]` of noise; in some pixels a whole class, in others less than all of the pixel is known."""
    shares = random((*index_img.shape, classes), F64).mul(2).softmax(-1)
    shares[:, ::3] = torch.nn.functional.one_hot(shares[:, ::3].argmax(-1), classes).to(F64)
    return (255 * shares * torch.linspace(0.5, 1, index_img.shape[2])[:, None]).round().to(torch.uint8)


def inputs(name: str, dtype: torch.dtype) -> tuple[list[Tensor], Tensor]:
    """The arguments of `label_loss` for a scene with faces of every class and of none; and its `shown_as`, which makes
    one class none in one view, and merges two in the other."""
    v, faces = SCENES[name][0].to(dtype), SCENES[name][1]
    index_img = rasterize(v, faces, SIZE)[0]
    class_of_face = (torch.arange(len(faces)) % (CLASSES + 2) - 1).int()
    weight = torch.linspace(0.5, 4, CLASSES, dtype=dtype)
    shown_as = torch.arange(CLASSES, dtype=torch.int32).repeat(2, 1)
    shown_as[1, 3] = 2
    shown_as[0, 1] = -1
    return [masks(index_img), weight, class_of_face, v, faces, index_img], shown_as


@pytest.mark.parametrize("merged", [False, True])
@pytest.mark.parametrize("dtype", [F64, F32])
@pytest.mark.parametrize("name", ["intersecting triangles", "folded sheet", "sheet", "non-manifold triangles"])
def test_same_as_reference(name: str, dtype: torch.dtype, merged: bool) -> None:
    (shares, weight, class_of_face, v, faces, index_img), shown_as = inputs(name, dtype)
    shown = shown_as if merged else None
    v.requires_grad_()
    loss = label_loss(shares, weight, class_of_face, v, faces, index_img, shown_as=shown)
    image = reference.class_images(CLASSES, class_of_face, index_img, shown).to(dtype)
    target = shares.to(dtype) / 255
    bound = 1e-5 if dtype == F32 else 1e-12
    torch.testing.assert_close(loss, (image - target).square() @ weight, rtol=bound, atol=bound)

    of_pixel = random(index_img.shape, dtype).clamp(min=0)
    (got,) = torch.autograd.grad(loss, v, of_pixel)
    root = weight.sqrt()
    compared = image * root, target * root, v.detach(), faces, index_img
    want = reference_edges.pixel_loss_backward(of_pixel, *compared, kind="squared", group=class_of_face)
    assert float(want.norm()) > 0
    assert float((got - want).norm()) <= bound * float(want.norm())


def front_and_back(scene: Scene) -> tuple[Scene, Tensor]:
    """Classes 1 and 2 by the mesh's pieces."""
    return scene, 1 + (scene.topology.components > 0).int()


def stripes() -> tuple[Scene, Tensor]:
    """Stripes of classes 1 and 2 on one surface."""
    scene = label_stripes()
    assert scene.group is not None
    return scene, 1 + scene.group.int()


SLOPES = {
    "a border in front of another surface": lambda: front_and_back(occlusion(4)),
    "an intersection": lambda: front_and_back(crossing(45, 0.004)),
    "borders on a surface": stripes,
}


@pytest.mark.slow
@pytest.mark.parametrize("name", SLOPES)
def test_gradient_along_each_motion(name: str) -> None:
    """Finite differences of the expected loss: motions in x and in y, rotations and scalings, or motions in depth."""
    scene, label = SLOPES[name]()
    weight = torch.linspace(0.5, 3, CLASSES, dtype=F64)
    # The masks' parts are moved and turned from the mesh's: soft discs beside them.
    y, x = torch.meshgrid(*(torch.arange(n, dtype=F64) + 0.5 for n in scene.size), indexing="ij")
    discs = [(14.0, 25.0, 9.0), (25.0, 17.0, 12.0), (30.0, 30.0, 5.0)]
    inside = [radius - ((x - at_x) ** 2 + (1.5 * (y - at_y)) ** 2).sqrt() for at_x, at_y, radius in discs]
    shares = (255 * torch.stack([torch.zeros_like(x), *inside], -1).softmax(-1)).round().to(torch.uint8)[None]
    # The harness has black behind a scene, so its images are differences from those of the background.
    of_class = torch.eye(CLASSES, dtype=F64) * weight.sqrt()
    target = shares[0] / 255 * weight.sqrt() - of_class[0]
    image = (of_class - of_class[0])[label]
    same = Scene(scene.vertices, scene.faces, image, scene.motions, target, flat=True, group=label)
    truth = true_slopes(same, ("squared",), samples=12)["squared"]

    total = torch.zeros_like(scene.vertices)
    for v_pix in shifted(scene.vertices, 4):
        index_img = rasterize(v_pix, scene.faces, scene.size)[0]
        of_view = shares.expand(len(v_pix), -1, -1, -1)
        loss = label_loss(of_view, weight.float(), label, v_pix, scene.faces, index_img, topology=scene.topology)
        total += torch.autograd.grad(loss.sum(), v_pix)[0].double().sum(0) / 16
    error = (slopes(same, total) - truth).abs()
    bound = 0.05 * truth.abs() + 0.02 * truth.abs().max()
    assert (error < bound).all(), (error, truth)
    assert (truth.abs() > 2 * bound).sum() >= 3, "most motions have a slope"


def test_same_as_pixel_loss_of_one_hot_images() -> None:
    (shares, weight, class_of_face, v, faces, index_img), _ = inputs("folded sheet", F64)
    v.requires_grad_()
    image, root = reference.class_images(CLASSES, class_of_face, index_img), weight.sqrt()
    target = shares.to(F64) / 255
    other = pixel_loss(image * root, target * root, v, faces, index_img, kind="squared", group=class_of_face)
    loss = label_loss(shares, weight, class_of_face, v, faces, index_img)
    torch.testing.assert_close(loss, other)
    torch.testing.assert_close(*(torch.autograd.grad(x.sum(), v)[0] for x in (loss, other)))


def test_half_precision_is_converted() -> None:
    (shares, weight, class_of_face, v, faces, index_img), _ = inputs("sheet", F32)
    half = label_loss(shares, weight.half(), class_of_face, v.half(), faces, index_img)
    assert half.dtype == F32
    torch.testing.assert_close(half, label_loss(shares, weight.half().float(), class_of_face, v, faces, index_img))


@pytest.mark.parametrize("threads", [2, 7])
def test_bit_identical_for_any_number_of_threads(threads: int) -> None:
    (*arguments, v, faces, index_img), shown_as = inputs("sheet", F32)
    v.requires_grad_()

    def run() -> tuple[Tensor, ...]:
        loss = label_loss(*arguments, v, faces, index_img, shown_as=shown_as)
        return loss, *torch.autograd.grad(loss.sum(), v)

    assert_same_bits(run, threads)


@pytest.mark.slow
@pytest.mark.parametrize("merged", [False, True])
def test_as_a_torch_operator(merged: bool) -> None:
    (*arguments, v, faces, index_img), shown_as = inputs("triangles", F64)
    rest = (*arguments, shown_as if merged else None, v, faces, Topology(faces).adjacency, index_img)
    torch.library.opcheck(labels.label_loss_backward, (torch.ones(index_img.shape, dtype=F64), *rest))
    torch.library.opcheck(labels.label_loss_of, (*rest[:4], v.clone().requires_grad_(), *rest[5:]))


def test_empty_inputs() -> None:
    (shares, weight, class_of_face, v, faces, index_img), _ = inputs("sheet", F64)
    assert label_loss(shares[:0], weight, class_of_face, v[:0], faces, index_img[:0]).shape == (0, *SIZE)
    assert label_loss(shares[:, :0], weight, class_of_face, v, faces, index_img[:, :0]).shape == (2, 0, SIZE[1])
    v.requires_grad_()
    loss = label_loss(shares[..., :0], weight[:0], class_of_face, v, faces, index_img)
    assert not loss.any() and not torch.autograd.grad(loss.sum(), v)[0].any()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"shares": torch.zeros(2, *SIZE, CLASSES)}, "shares: expected uint8"),
        ({"shares": torch.zeros(2, 3, 4, CLASSES, dtype=torch.uint8)}, "shares: expected uint8"),
        ({"class_weight": torch.ones(CLASSES)}, "class_weight: expected torch.float64"),
        ({"class_weight": torch.ones(CLASSES + 1, dtype=F64)}, r"class_weight: .* \[4\]"),
        ({"class_of_face": torch.zeros(3, dtype=torch.int32)}, "class_of_face: "),
        ({"class_of_face": torch.zeros(len(SCENES["sheet"][1]))}, "class_of_face: expected torch.int32"),
        ({"shown_as": torch.zeros(1, CLASSES, dtype=torch.int32)}, "shown_as: "),
        ({"shown_as": torch.zeros(2, CLASSES)}, "shown_as: expected torch.int32"),
        ({"topology": Topology(SCENES["triangles"][1])}, "topology: of "),
        ({"index_img": torch.full((2, *SIZE), 10_000, dtype=torch.int32)}, "index_img: holds face 10000"),
    ],
)
def test_says_what_is_wrong(change: dict[str, Tensor], message: str) -> None:
    arguments, _ = inputs("sheet", F64)
    names = ("shares", "class_weight", "class_of_face", "v_pix", "faces", "index_img")
    with pytest.raises(ValueError, match=message):
        label_loss(**(dict(zip(names, arguments, strict=True)) | change))

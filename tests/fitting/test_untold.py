"""What a parser cannot tell: the mask loss has no gradient at its borders, whatever the masks show there."""

from pathlib import Path

import numpy as np
import pytest
import torch

from headfit.capture import Camera
from headfit.capture.framing import Framing
from headfit.capture.json_value import JsonValue
from headfit.capture.mask_labels import read_labels
from headfit.capture.summary import CaptureSummary
from headfit.capture.views import ViewBatch
from headfit.capture.world import WorldFrame
from headfit.fitting.config import Stage
from headfit.fitting.model import FittedHead
from headfit.fitting.settings import load_config
from headfit.fitting.terms.mask import mask_loss
from headfit.fitting.untold import MARGIN
from headfit.head import load

SIZE = 96


@pytest.fixture(scope="module")
def open_mouth(settings: Path) -> FittedHead:
    """A head with an open mouth before a camera."""
    head = load("default")
    lips = head.pose()[head.vertices_of("upper_lip", "lower_lip")].mean(0).double().numpy()
    R = np.diag([1.0, -1, -1])
    K = np.array([[320.0, 0, SIZE / 2], [0, 320, SIZE / 2], [0, 0, 1]])
    camera = Camera("front", SIZE, SIZE, K, R, -R @ (lips + np.array([0, 0, 0.4])))
    summary = CaptureSummary("", ["0"], 25.0, [camera], {}, WorldFrame.identity())
    model = FittedHead.build(load_config(settings, ["head=default"]), summary)
    with torch.no_grad():
        model.geometry.joints_scaled[0, head.joint_names.index("jaw"), 0] = 0.4
    return model


def compare_by(model: FittedHead, labels: dict[int, str]) -> None:
    """Let the model be compared with masks of these labels."""
    model.compare_with_labels(labels, made_masks=False)


def random_masks(classes: int, known: torch.Tensor) -> ViewBatch:
    """A view whose pixels show any class; only `known [H,W]` ones have weight."""
    random = torch.randint(classes, (1, SIZE, SIZE), generator=torch.Generator().manual_seed(0))
    return view_of(random, classes, known)


def view_of(shown: torch.Tensor, classes: int, known: torch.Tensor) -> ViewBatch:
    """A view whose mask shows the classes `[1,H,W]`; only `known [H,W]` pixels have weight."""
    one = torch.zeros(1, dtype=torch.int64)
    return ViewBatch(
        pairs=((0, 0),),
        frame=one,
        camera=one,
        framings=(Framing(0, 0, SIZE, SIZE, SIZE, SIZE),),
        image=torch.zeros(1, SIZE, SIZE, 3, dtype=torch.uint8),
        image_valid=torch.ones(1, SIZE, SIZE, dtype=torch.bool),
        label_prob=(255 * torch.nn.functional.one_hot(shown, classes)).to(torch.uint8),
        label_weight=(255 * known[None]).to(torch.uint8),
        label_unknown=torch.zeros(1, SIZE, SIZE, dtype=torch.bool),
        landmarks=torch.zeros(1, 68, 2),
        landmark_weight=torch.zeros(1, 68),
        dense_landmarks=torch.zeros(1, 0, 2),
        dense_landmark_weight=torch.zeros(1, 0),
    )


def beside(one: ViewBatch, other: ViewBatch) -> ViewBatch:
    """A batch of both views."""
    both = {
        name: torch.cat([value, getattr(other, name)])
        for name, value in vars(one).items()
        if isinstance(value, torch.Tensor)
    }
    return ViewBatch(pairs=one.pairs + other.pairs, framings=one.framings + other.framings, **both)


def gradient(model: FittedHead, known: torch.Tensor, blur: float = 0.0) -> torch.Tensor:
    """Of the mask loss by translation and identity."""
    o = model.observe(random_masks(len(model.classes), known))
    wanted = (model.geometry.translation, model.geometry.identity)
    found = torch.autograd.grad(mask_loss(o, model, Stage(blur=blur)), wanted)
    return torch.cat([values.to_dense().flatten() for values in found])  # that of per-frame rows is sparse


def untold_borders(model: FittedHead) -> torch.Tensor:
    """Bool `[H,W]`: around the pixel the model shows several labels that are one class, or one that is ignored."""
    o = model.observe(random_masks(len(model.classes), torch.ones(SIZE, SIZE, dtype=torch.bool)))
    index = o.fragments.head_index[0].long()
    label = torch.where(index >= 0, model.renderer.face_labels[index.clamp_min(0)], -1)
    reach = 2 * MARGIN + 1
    around = torch.nn.functional.pad(label, (MARGIN,) * 4, value=-1).unfold(0, reach, 1).unfold(1, reach, 1)
    around = around.flatten(2)
    classes = model.class_of_label[around.clamp_min(0)]
    several = (around >= 0).all(-1) & (around != around[..., :1]).any(-1)
    return several & ((classes == classes[..., :1]).all(-1) | (classes < 0).any(-1))


@pytest.mark.parametrize("name", ["ava-256", "celebamask", "lapa", "mediapipe-multiclass"])
def test_borders_that_a_parser_cannot_tell_have_no_gradient(name: str, open_mouth: FittedHead) -> None:
    compare_by(open_mouth, read_labels(JsonValue("masks.labels", name), Path()).by_value)
    borders = untold_borders(open_mouth)
    assert borders.sum() > 20
    assert not gradient(open_mouth, borders).any()
    assert not gradient(open_mouth, borders, blur=1.5).any()

    labels = open_mouth.head.label_names
    compare_by(open_mouth, {0: "background", **{value + 1: label for value, label in enumerate(labels)}})
    assert gradient(open_mouth, borders).any()


@pytest.mark.parametrize(
    "labels, shown",
    [
        (["lips"], True),
        (["upper_lip", "lower_lip"], True),
        (["ignore", "mouth_cavity"], False),
        (["unknown"], False),
    ],
)
def test_whether_masks_tell_lips_from_skin(open_mouth, labels, shown):
    compare_by(open_mouth, dict(enumerate(["background", "skin", *labels])))
    assert open_mouth.masks_show_lips is shown


def compare_by_parts(model: FittedHead) -> None:
    compare_by(model, dict(enumerate(["background", "skin", "lips", "teeth", "tongue", "mouth_cavity"])))


def exact_mask(model: FittedHead) -> torch.Tensor:
    """Class `[1,H,W]` of each pixel as the model shows it; 0 below the neck."""
    with torch.no_grad():
        o = model.observe(random_masks(len(model.classes), torch.ones(SIZE, SIZE, dtype=torch.bool)))
        return model.class_images(o).argmax(-1)


@pytest.mark.parametrize("part", ["tongue", "teeth"])
@pytest.mark.parametrize("blur", [0.0, 1.5])
def test_a_part_that_a_mask_lacks_is_compared_as_the_rest_of_the_mouth(part, blur, open_mouth):
    compare_by_parts(open_mouth)
    of_part, mouth, lips = (open_mouth.classes.names.index(name) for name in (part, "mouth", "lips"))

    @torch.no_grad()
    def loss(mask: torch.Tensor) -> float:
        batch = view_of(mask, len(open_mouth.classes), torch.ones(SIZE, SIZE, dtype=torch.bool))
        return float(mask_loss(open_mouth.observe(batch), open_mouth, Stage(blur=blur)))

    exact = exact_mask(open_mouth)
    place = (exact == of_part).nonzero()
    assert len(place) > 50
    lacking = exact.where(exact != of_part, mouth)
    assert loss(exact) == loss(lacking) == 0

    corner = (0, 0, 0)
    told, one, elsewhere = lacking.clone(), exact.clone(), lacking.clone()
    told[corner] = one[corner] = of_part
    assert loss(told) > 10 * loss(one), "a mask that shows the part somewhere says where it is not"
    elsewhere[tuple(place[len(place) // 2])] = lips
    assert loss(elsewhere) > 0, "a part is wrong where the mask shows something else than the rest of the mouth"


def test_a_part_shows_as_the_mouth_only_in_views_that_lack_it(open_mouth):
    compare_by_parts(open_mouth)
    tongue, mouth = (open_mouth.classes.names.index(name) for name in ("tongue", "mouth"))
    exact, everywhere = exact_mask(open_mouth), torch.ones(SIZE, SIZE, dtype=torch.bool)
    lacking = exact.where(exact != tongue, mouth)
    views = [view_of(mask, len(open_mouth.classes), everywhere) for mask in (exact, lacking)]
    o = open_mouth.observe(beside(*views))
    found = open_mouth.class_of_pixel(o)
    for index, mask in enumerate((exact, lacking)):
        assert torch.equal(found[index][o.fragments.head[index]], mask[0][o.fragments.head[index]])
    assert torch.equal(o.as_shown(found - 7)[found < 7], (found - 7)[found < 7]), "negative values stay"


def test_a_view_that_lacks_a_part_says_as_much_of_the_lips_as_one_whose_masks_never_tell_it(open_mouth):
    """The mouth of the mask is a pixel wider than the model's. Another view of the batch tells all parts."""
    compare_by_parts(open_mouth)
    names = open_mouth.classes.names
    inside = [names.index(name) for name in ("teeth", "tongue", "mouth")]
    exact = exact_mask(open_mouth)
    wider = torch.nn.functional.max_pool2d(torch.isin(exact, torch.tensor(inside)).float(), 3, 1, 1)[0] > 0
    lacking = exact.masked_fill(wider, names.index("mouth"))
    everywhere = torch.ones(SIZE, SIZE, dtype=torch.bool)

    def pull(masks: list[torch.Tensor]) -> torch.Tensor:
        """Gradient of the last view's loss by the pose of the joints."""
        views = [view_of(mask, len(open_mouth.classes), everywhere) for mask in masks]
        batch = views[0] if len(views) == 1 else beside(*views)
        o = open_mouth.observe(batch)
        wrong = (open_mouth.label_loss(o) * o.mask_known)[-1].sum()
        return torch.autograd.grad(wrong, open_mouth.geometry.joints_scaled)[0].to_dense()

    found = pull([exact, lacking])
    torch.testing.assert_close(found, pull([lacking]))
    assert found.abs().max() > 10

    compare_by(open_mouth, dict(enumerate(["background", "skin", "lips", "inner_mouth"])))
    one = open_mouth.classes.names.index("mouth")
    merged = exact.where(~torch.isin(exact, torch.tensor(inside)), one).masked_fill(wider, one)
    weight = open_mouth.class_weight
    assert weight[one] == weight[names.index("lips")] == 1
    torch.testing.assert_close(found, pull([merged]))

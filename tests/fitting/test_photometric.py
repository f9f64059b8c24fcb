"""Parameters that the photometric term moves, and those that it must not move."""

from dataclasses import replace

import pytest
import torch

from headfit.capture.framing import framings_at
from headfit.fitting.config import RunArgs, Stage
from headfit.fitting.settings import load_config
from headfit.fitting.terms import TERMS
from headfit.synth import synthesize
from tests.support.true_fit import true_fit

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def module(tmp_path_factory, settings):
    folder = tmp_path_factory.mktemp("photometric")
    synthesize(folder / "capture", cameras=3, frames=3, width=144, height=192, seed=2)
    config = load_config(settings, ["head=default", "texture_size=512"])
    return true_fit(config, RunArgs(capture=str(folder / "capture"), out=str(folder / "run")))


def photometric(module, frame):
    """The photometric term over all views of a frame, and the observation."""
    framings = framings_at(module.model.head_windows, 1e4)
    o = module.model.observe(module.data.view_batch([(frame, camera) for camera in range(3)], framings))
    return TERMS["photometric"].loss(o, module.model, Stage()), o


@pytest.mark.parametrize("side", ["left_eye", "right_eye"])
@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("turn", [-0.12, 0.12])
def test_colour_turns_the_eyes_back(module, side, axis, turn):
    """Eyes rotated by 7 degrees, about either axis, to either side, rotate back."""
    joints, joint = module.model.geometry.joints_scaled, module.model.geometry.head.joint_names.index(side)
    with torch.no_grad():
        joints[0, joint, axis] += turn
    try:
        (gradient,) = torch.autograd.grad(photometric(module, 0)[0], joints)
    finally:
        with torch.no_grad():
            joints[0, joint, axis] -= turn
    assert gradient[0, joint, axis] * turn > 0


def test_colour_inside_the_mouth_moves_next_to_nothing(module):
    """Only the texture changes: teeth behind lips are dark because no light reaches them."""
    head = module.model.geometry.head
    term, o = photometric(module, 1)
    (gradient,) = torch.autograd.grad(term, o.v_views)
    parts = [head.part_names.index(name) for name in ("upper_teeth", "lower_teeth", "tongue")]
    inside = torch.isin(head.face_parts, torch.tensor(parts))
    assert (inside[o.fragments.index_img[o.fragments.head].long()]).sum() > 30, "the mouth is open"
    # The remainder is at the rims of teeth in front of a lip: the extension of its colour over them is approximate.
    moved = [float(gradient[:, head.faces[some].unique().long()].norm()) for some in (inside, ~inside)]
    assert moved[0] < 0.05 * moved[1]


def test_a_mask_that_ignores_the_person_makes_no_view_count_more(module):
    """The loss of a view is divided by the size of the head, which such a mask does not tell."""
    _, o = photometric(module, 0)
    of_person = o.target[..., 0] < 0.5
    for ignored in (of_person, of_person & (torch.arange(of_person.shape[2]) < of_person.shape[2] // 2)):
        weight = o.batch.label_weight.masked_fill(ignored, 0)
        doubted = replace(o, batch=replace(o.batch, label_weight=weight))
        torch.testing.assert_close(doubted.head_area, o.head_area, rtol=0.03, atol=0)


def test_colours_move_the_shape_where_the_mask_does_not_know_and_not_where_it_ignores(module):
    _, o = photometric(module, 0)
    lit = module.model.compare_colours(o).lit
    person = o.target[..., 0] < 0.99
    nothing = replace(
        o.batch,
        label_weight=o.batch.label_weight.masked_fill(person, 0),
        label_prob=o.batch.label_prob.masked_fill(person[..., None], 0),
    )
    ignored = replace(o, batch=nothing)
    matte = replace(ignored, batch=replace(nothing, label_unknown=person))
    assert lit.any() and not (module.model.compare_colours(ignored).lit & person).any()
    assert module.model.compare_colours(matte).lit[lit].all()

"""Fits to masks that tell the inside of the mouth as one part."""

import pytest
import pytorch_lightning as pl
import torch

from headfit.capture import open_capture
from headfit.evaluate.health import examine
from headfit.fitting.config import RunArgs
from headfit.fitting.fit_masks import with_fit_masks
from headfit.fitting.run import build, fit
from headfit.fitting.run_folder import load_run
from headfit.fitting.settings import load_config
from headfit.segmentation.teeth import TeethByColour
from tests.support.relabelled import INSIDE, relabelled


@pytest.fixture(scope="module")
def parsed(capture_path, tmp_path_factory):
    """The capture with one label inside of the mouth, as most parsers have."""
    to = tmp_path_factory.mktemp("parsed") / "capture"
    return relabelled(capture_path, to, lambda name: "inner_mouth" if name in INSIDE else name)


class Pull(pl.Callback):
    """Gives all joints and placements a gradient, before the module looks at it."""

    def on_after_backward(self, trainer, module):
        for parameter in (module.model.geometry.joints_scaled, module.model.geometry.placement_scaled):
            parameter.grad = torch.ones_like(parameter)


@pytest.fixture(scope="module")
def fitted(parsed, settings, tmp_path_factory):
    """A fit of some steps to it, resumed at its end: its masks have the labels that it began with."""
    args = RunArgs(capture=str(parsed), out=str(tmp_path_factory.mktemp("parsed") / "run"))
    rates = "{joints: 0.01, placement: 0.01, translation: 0.001}"
    config = load_config(settings, ["stages.rigid.steps=3", "stages.photo.steps=3", f"stages.rigid.rates={rates}"])
    fit(config, args, callbacks=[Pull()])
    args.resume = True
    fit(config, args)
    return load_run(args.out)


@pytest.mark.slow
def test_a_fit_compares_teeth_that_colours_tell(fitted, parsed):
    assert {"teeth", "mouth"} <= set(fitted.model.classes.names) and not fitted.model.capture.made_masks
    capture = open_capture(parsed)
    seen = with_fit_masks(capture, fitted.model, fitted.path)
    assert isinstance(seen, TeethByColour) and seen.label_names == fitted.model.capture.label_names
    health, _ = examine(fitted, capture)
    assert not health.ignored


@pytest.mark.slow
def test_only_a_tongue_that_masks_do_not_tell_is_not_moved(fitted, capture_path, settings, tmp_path):
    head, geometry = fitted.model.head, fitted.model.geometry
    for names, values in (
        (head.joint_names, geometry.joints_scaled[0]),
        (head.rigid_part_names, geometry.placement_scaled),
    ):
        moved = values.ne(0).any(1).tolist()
        assert moved == [name != "tongue" for name in names]
    told = build(load_config(settings), RunArgs(out=str(tmp_path)), open_capture(capture_path)).model.geometry
    assert not told.held("joints_scaled").any() and not told.held("placement_scaled").any()


@pytest.mark.slow
def test_health_of_a_run_of_an_earlier_version_compares_the_inner_mouth_as_that_did(fitted, parsed):
    capture = open_capture(parsed)
    fitted.model.compare_with_labels(capture.label_names, made_masks=False)
    assert with_fit_masks(capture, fitted.model, fitted.path) is capture


def test_masks_without_a_tongue_and_without_teeth_hold_both(parsed, capture_path, settings, tmp_path):
    nothing = relabelled(capture_path, tmp_path / "matte", lambda n: n if n == "background" else "unknown")
    module = build(load_config(settings), RunArgs(out=str(tmp_path)), open_capture(nothing))
    geometry, names = module.model.geometry, module.model.head.rigid_part_names
    held = torch.tensor([name in ("tongue", "upper_teeth", "lower_teeth") for name in names])
    assert torch.equal(geometry.held("placement_scaled")[:, 0], held)

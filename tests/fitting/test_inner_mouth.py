"""Fits to masks that tell the inside of the mouth as one part."""

import pytest
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


@pytest.fixture(scope="module")
def fitted(parsed, settings, tmp_path_factory):
    """A fit of some steps to it, in two parts."""
    args = RunArgs(capture=str(parsed), out=str(tmp_path_factory.mktemp("parsed") / "run"))
    config = load_config(settings, ["stages.rigid.steps=3", "stages.photo.steps=3"])
    fit(config, args)
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
def test_a_tongue_that_masks_do_not_tell_is_not_moved(fitted, capture_path, settings, tmp_path):
    head, geometry = fitted.model.head, fitted.model.geometry
    tongue = head.joint_names.index("tongue")
    assert not geometry.joints_scaled[:, tongue].any() and geometry.joints_scaled[:, :tongue].any()
    assert not geometry.placement_scaled[head.rigid_part_names.index("tongue")].any()
    told = build(load_config(settings), RunArgs(out=str(tmp_path)), open_capture(capture_path)).model.geometry
    assert told.free("joints_scaled").all() and told.free("placement_scaled").all()


@pytest.mark.slow
def test_health_of_a_run_of_an_earlier_version_compares_the_inner_mouth_as_that_did(fitted, parsed):
    capture = open_capture(parsed)
    fitted.model.compare_with_labels(capture.label_names, made_masks=False)
    assert with_fit_masks(capture, fitted.model, fitted.path) is capture


def test_masks_without_a_tongue_and_without_teeth_hold_both(parsed, capture_path, settings, tmp_path):
    nothing = relabelled(capture_path, tmp_path / "matte", lambda n: n if n == "background" else "unknown")
    module = build(load_config(settings), RunArgs(out=str(tmp_path)), open_capture(nothing))
    geometry, names = module.model.geometry, module.model.head.rigid_part_names
    free = torch.tensor([name not in ("tongue", "upper_teeth", "lower_teeth") for name in names])
    assert torch.equal(geometry.free("placement_scaled")[:, 0].bool(), free)

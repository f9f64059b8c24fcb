"""The state table is complete, and the optimiser's groups are derived from it."""

import pytest

from headfit.capture import open_capture
from headfit.capture.summary import CaptureSummary
from headfit.fitting.config import Stage
from headfit.fitting.groups import GROUPS, STATE, entry_of, parameter_groups, require_complete
from headfit.fitting.model import FittedHead
from headfit.fitting.terms import TERMS


@pytest.fixture(scope="module")
def model(capture_path, settings) -> FittedHead:
    from headfit.fitting.settings import load_config

    return FittedHead.build(load_config(settings), CaptureSummary.of(open_capture(capture_path)))


def test_every_parameter_is_in_one_optimiser_group(model):
    groups = parameter_groups(model)
    assert {group["name"] for group in groups} == set(GROUPS)
    listed = [id(parameter) for group in groups for parameter in group["params"]]
    assert sorted(listed) == sorted(id(parameter) for parameter in model.parameters())


def test_rows_of_frames_and_cameras_are_as_many_as_there_are(model):
    lengths = {"frame": 2, "camera": 3, "view": 2}
    for name, value in model.state_dict().items():
        scope = entry_of(name).scope
        if scope in lengths:
            assert len(value) == lengths[scope], name


def test_a_forgotten_parameter_or_entry_is_an_error(model):
    names = list(model.state_dict())
    with pytest.raises(AssertionError, match=r"not in STATE: \['geometry.wrinkles'\]"):
        require_complete([*names, "geometry.wrinkles"])
    with pytest.raises(AssertionError, match=r"nothing there: \['visited'\]"):
        require_complete([name for name in names if name != "visited"])


@pytest.mark.slow
def test_the_model_checks_itself(model, monkeypatch):
    monkeypatch.setattr("headfit.fitting.groups.STATE", STATE[1:])
    with pytest.raises(AssertionError, match=r"not in STATE: \['geometry.rotation'\]"):
        FittedHead.build(model.config, model.capture)


def test_units_and_scopes_are_stated_for_every_group():
    assert all(entry.unit for entry in STATE if entry.group)


def test_terms_of_weight_zero_and_priors_of_still_groups_do_not_apply(model):
    applies = TERMS["identity"].applies
    assert applies(model, Stage(weights={"identity": 1.0}, rates={"identity": 0.1}))
    assert not applies(model, Stage(weights={"identity": 0.0}, rates={"identity": 0.1}))
    assert not applies(model, Stage(weights={"identity": 1.0}, rates={"scale": 0.1}))
    assert not applies(model, Stage(rates={"identity": 0.1}))
    assert {term.regularises for term in TERMS.values()} - {""} <= set(GROUPS)

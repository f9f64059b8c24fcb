import json
from dataclasses import fields
from pathlib import Path

import pytest

from headfit.capture import open_capture
from headfit.errors import HeadfitError
from headfit.fitting.config import FitConfig, RunArgs, Stage
from headfit.fitting.config_help import config_help, field_texts
from headfit.fitting.groups import GROUPS
from headfit.fitting.run import texture_size_for
from headfit.fitting.settings import load_config, load_run_settings, load_settings, save_settings
from headfit.fitting.terms import TERMS

CONFIGS = sorted((Path(__file__).parents[2] / "configs").glob("*.yaml"))


@pytest.mark.parametrize("path", CONFIGS, ids=lambda p: p.name)
def test_every_shipped_configuration_loads(path):
    assert load_config(path).stages


def test_scripts_of_version_0_1_shorten_the_demo():
    """Its stages keep their names: a script that sets a stage that is gone is refused."""
    short = ["stages.rigid.steps=20", "stages.shape.steps=40", "stages.photo.steps=20", "stages.photo.resolution=128"]
    stages = load_config("configs/demo.yaml", short).stages
    assert [stages[name].steps for name in ("rigid", "shape", "photo")] == [20, 40, 20]


def test_dotted_overrides_reach_stages():
    config = load_config(CONFIGS[0], ["stages.photo.steps=7", "seed=3"])
    assert config.stages["photo"].steps == 7 and config.seed == 3


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("sed=3", "sed"),
        ("stages.photo.steps=many", "many"),
        ("stages.photo.rates.nose=1", "unknown parameter group 'nose'"),
        ("stages.photo.rates.identities=1", "Did you mean identity?"),
        ("stages.photo.weights.masks=1", "unknown loss term 'masks'.*Did you mean mask?"),
        ("texture_size=1000", "power of two"),
        ("stages.photo.steps=0", "steps must be between 1"),
        ("stages.photo.solver=newton", "solver must be one of adam, gauss_newton, not 'newton'"),
        ("stages.photo.solver=gauss_newton", "solver gauss_newton does not move 'placement'; known: rotation"),
        ("stages.photo.frames=some", "frames must be one of all, key, windows, each, apart, seams, not 'some'"),
        ("key_frames=0", "key_frames"),
    ],
)
def test_a_wrong_setting_is_named(override, expected):
    with pytest.raises(HeadfitError, match=expected):
        load_config(CONFIGS[0], [override])


def test_missing_and_broken_files(tmp_path):
    with pytest.raises(HeadfitError, match="no such configuration"):
        load_config(tmp_path / "none.yaml")
    (tmp_path / "broken.yaml").write_text("stages: [")
    with pytest.raises(HeadfitError, match="YAML"):
        load_config(tmp_path / "broken.yaml")


def test_saved_settings_are_read_back_the_same(tmp_path):
    config, args = load_settings(CONFIGS[0], ["capture=x", "trainer.devices=2"])
    save_settings(config, args, tmp_path)
    assert load_run_settings(tmp_path) == (config, args)
    assert args.capture == "x" and args.trainer["devices"] == 2


@pytest.mark.parametrize(("longer_side", "texels"), [(80, 256), (342, 512), (512, 512), (513, 1024), (4096, 2048)])
def test_a_texture_has_texels_as_pictures_have_pixels(longer_side, texels, capture_path, tmp_path):
    manifest = json.loads((capture_path / "capture.json").read_text())
    for camera in manifest["cameras"]:
        camera["height"] = longer_side
    (tmp_path / "capture.json").write_text(json.dumps(manifest))
    assert texture_size_for(open_capture(tmp_path)) == texels


BASE = """
defaults: {steps: 7, weights: {mask: 1, identity: 0.5}}
class_weights: {lips: 2, teeth: 3}
trainer: {accelerator: cpu, devices: 2}
stages:
  first: {rates: {scale: 0.1}}
  second: {steps: 9, rates: {scale: 0.2, identity: 0.3}, weights: {identity: 0}}
"""


@pytest.fixture
def derived(tmp_path) -> Path:
    (tmp_path / "base.yaml").write_text(BASE)
    path = tmp_path / "derived.yaml"
    stages = "{second: {rates: {identity: 0}}, third: {rates: {scale: 0.1}}}"
    path.write_text("extends: base.yaml\nclass_weights: {lips: 5}\nstages: " + stages)
    return path


def test_stages_inherit_defaults(derived):
    config, args = load_settings(derived.with_name("base.yaml"))
    assert [stage.steps for stage in config.stages.values()] == [7, 9]
    assert config.stages["first"].weights == {"mask": 1, "identity": 0.5}
    assert config.stages["second"].weights == {"mask": 1, "identity": 0}
    assert args.trainer["devices"] == 2


def test_a_file_states_what_differs_from_the_one_it_extends(derived):
    config = load_config(derived, ["defaults.blur=1.5", "stages.third.steps=3"])
    assert list(config.stages) == ["second", "third"], "only the stages that it lists"
    assert config.class_weights == {"lips": 5, "teeth": 3}
    assert config.stages["second"].rates == {"scale": 0.2, "identity": 0}
    assert [stage.steps for stage in config.stages.values()] == [9, 3]
    assert all(stage.blur == 1.5 for stage in config.stages.values())


def test_the_help_explains_every_setting():
    text = config_help()
    for kind in (FitConfig, RunArgs, Stage):
        assert set(field_texts(kind)) == {field.name for field in fields(kind)}, "each field has its text"
        assert all(f"\n  {field.name} (default: " in text for field in fields(kind))
    assert all(f"  {name}: " in text for name in (*GROUPS, *TERMS))

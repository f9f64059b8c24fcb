import json
from pathlib import Path

import pytest

from headfit.errors import HeadfitError
from headfit.fitting.config import FitConfig, load_config, save_config
from headfit.fitting.run import texture_size_for

CONFIGS = sorted((Path(__file__).parents[2] / "configs").glob("*.yaml"))


@pytest.mark.parametrize("path", CONFIGS, ids=lambda p: p.name)
def test_every_shipped_configuration_loads(path):
    assert load_config(path).stages


def test_dotted_overrides_reach_stages():
    config = load_config(CONFIGS[0], ["stages.rigid.steps=7", "seed=3"])
    assert config.stages["rigid"].steps == 7 and config.seed == 3


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("sed=3", "sed"),
        ("stages.rigid.steps=many", "many"),
        ("stages.rigid.rates.nose=1", "nose"),
        ("texture_size=1000", "power of two"),
        ("stages.rigid.steps=0", "1 or more"),
        ("stages.rigid.frames=some", "frames must be one of all, key, windows, each, not 'some'"),
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
    config = load_config(CONFIGS[0], ["capture=x"])
    save_config(config, tmp_path / "config.yaml")
    assert load_config(tmp_path / "config.yaml") == config
    assert isinstance(config, FitConfig)


@pytest.mark.parametrize(("longer_side", "texels"), [(80, 256), (342, 512), (512, 512), (513, 1024), (4096, 2048)])
def test_a_texture_has_texels_as_pictures_have_pixels(longer_side, texels, capture_path, tmp_path):
    manifest = json.loads((capture_path / "capture.json").read_text())
    for camera in manifest["cameras"]:
        camera["height"] = longer_side
    (tmp_path / "capture.json").write_text(json.dumps(manifest))
    assert texture_size_for(str(tmp_path)) == texels

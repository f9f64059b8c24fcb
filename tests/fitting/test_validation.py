"""Every setting that cannot work is refused before any work, in one line that names it."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from headfit.errors import HeadfitError
from headfit.fitting import validation
from headfit.fitting.config import FitConfig, RunArgs
from headfit.fitting.run import fit
from headfit.fitting.settings import load_config
from headfit.fitting.validation import process_count, trainer_devices, validate_args, validate_config

DEMO = Path(__file__).parents[2] / "configs/demo.yaml"


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("steps_per_checkpoint=0", "steps_per_checkpoint must be between 1 and 1000000, not 0"),
        ("key_frames=0", "key_frames"),
        ("seed=-1", "seed must be between 0 and 4294967295, not -1"),
        ("seed=4294967296", "seed must be"),
        ("offset_smoothness=0", "offset_smoothness must be more than 0"),
        ("offset_smoothness=-1", "offset_smoothness"),
        ("offset_smoothness=nan", "offset_smoothness must be .* not nan"),
        ("class_weights.skin=-1", r"class_weights\.skin must be a number, 0 or more, not -1"),
        ("class_weights.skin=nan", r"class_weights\.skin"),
        ("class_weights.lip=3", "class_weights: unknown class 'lip'.*Did you mean lips?"),
        ("stages.photo.decay=0", "stage photo: decay must be more than 0 and at most 1, not 0"),
        ("stages.photo.decay=-1", "decay"),
        ("stages.photo.decay=nan", "decay"),
        ("stages.photo.decay=2", "decay"),
        ("stages.photo.decay_share=1.5", "decay_share must be between 0 and 1, not 1.5"),
        ("stages.photo.decay_share=-0.1", "decay_share"),
        ("stages.photo.blur=-1", "blur"),
        ("stages.photo.blur=inf", "blur"),
        ("stages.photo.blur=1000", "blur must be at most half of resolution"),
        ("stages.photo.resolution=1", "resolution must be between 16"),
        ("stages.photo.steps=1000000000", "steps"),
        ("stages.photo.views_per_frame=0", "views_per_frame"),
        ("stages.photo.rates.texture=-1", r"stage photo: rates\.texture must be a number, 0 or more, not -1"),
        ("stages.photo.rates.texture=nan", r"rates\.texture"),
        ("stages.photo.weights.mask=nan", r"stage photo: weights\.mask must be a number, 0 or more, not nan"),
        ("stages.photo.weights.mask=inf", r"weights\.mask"),
        ("stages.photo.weights.identity=-2", r"weights\.identity"),
        ("texture_size=32", "power of two"),
        ("texture_size=-64", "power of two"),
        ("texture_size=16384", "8192 or less, not 16384: it would take .* GiB of memory"),
        ("texture_size=65536", "8192 or less"),
        (
            "stages.foto.steps=3",
            r"stages\.foto: no such stage; there are rigid, shape, photo, hair\. Did you mean photo\?",
        ),
        ("stages.photo.weigths.mask=1", "weigths"),
        ("stages=3", "stages must hold settings by name"),
        ("stages.photo=3", "stage photo must hold settings by name"),
        ("defaults=3", "defaults must hold"),
        ("trainer=3", "trainer"),
        ("hold_out=cam00", "hold_out"),
        ("seed=[", r"setting seed=\["),
        ("seed=", "seed"),
        ("=3", "setting|Key"),
        ("a..b=1", "a"),
        ("seed=${x}", "seed|Interpolation"),
    ],
)
def test_a_setting_that_cannot_work_is_named(override, expected):
    with pytest.raises(HeadfitError, match=expected) as caught:
        load_config(DEMO, [override])
    assert "\n" not in str(caught.value)


@pytest.fixture
def config() -> FitConfig:
    return load_config(DEMO)


def test_a_stage_in_which_nothing_moves_or_nothing_counts(config):
    photo = replace(config.stages["photo"], rates={"scale": 0.1})
    still = replace(config, stages={"photo": replace(photo, rates={"scale": 0.0})})
    with pytest.raises(HeadfitError, match="here: stage photo: nothing moves"):
        validate_config(still, "here")
    for weights, landmarks in (
        ({}, True),
        ({"mask": 0.0}, True),
        ({"identity": 1.0}, True),
        ({"landmark": 1.0, "dense_landmark": 1.0}, False),
    ):
        aimless = replace(config, use_landmarks=landmarks, stages={"photo": replace(photo, weights=weights)})
        with pytest.raises(HeadfitError, match="stage photo: no loss term has a weight"):
            validate_config(aimless, "here")
    validate_config(replace(config, stages={"photo": replace(photo, weights={"landmark": 1.0})}), "here")


def test_second_order_steps_move_detail_or_the_person(config):
    shape = config.stages["shape"]
    rates = {"expression": 0.1, "scale": 0.1, "identity": 0.1, "detail": 0.5}
    expected = r"here: stage shape: rates: .* either detail or what frames share \(scale, identity\), not both"
    with pytest.raises(HeadfitError, match=expected):
        validate_config(replace(config, stages={"shape": replace(shape, rates=rates)}), "here")
    together = replace(shape, rates=rates | {"detail": 0})
    validate_config(replace(config, stages={"shape": together}), "here")
    tied = replace(together, weights=together.weights | {"temporal": 0.1})
    with pytest.raises(HeadfitError, match=r"here: stage shape: weights\.temporal: .* does not tie frames"):
        validate_config(replace(config, stages={"shape": tied}), "here")


def test_a_texture_beyond_this_machine(config, monkeypatch):
    monkeypatch.setattr(validation, "memory_bytes", lambda: 2.0 * 2**30)
    with pytest.raises(HeadfitError, match=r"texture_size 8192 takes 13\.0 GiB of memory .* this machine has 2\.0"):
        validate_config(replace(config, texture_size=8192), "here")
    validate_config(replace(config, texture_size=2048), "here")


def test_memory_is_that_of_the_machine():
    assert 2**28 < validation.memory_bytes() < 2**50


@pytest.mark.parametrize(
    ("trainer", "expected"),
    [
        ({"max_epochs": 1}, r"trainer\.max_epochs: not a setting; the stages decide how long a fit runs"),
        ({"max_steps": 5}, r"trainer\.max_steps"),
        ({"limit_train_batches": 1}, r"trainer\.limit_train_batches"),
        ({"nonsense": 1}, r"trainer\.nonsense: .* Known: accelerator, devices"),
        ({"device": 2}, r"trainer\.device: .*Did you mean devices\?"),
        ({"precision": "16-mixed"}, r"trainer\.precision must be 32-true, not '16-mixed'"),
        ({"precision": 64}, r"trainer\.precision"),
        ({"accelerator": "gpu"}, r"trainer\.accelerator=gpu: torch finds no GPU; use trainer\.accelerator=cpu"),
        ({"accelerator": "tpu"}, r"trainer\.accelerator must be one of auto, cpu, gpu, cuda, not 'tpu'"),
        ({"devices": 0}, r"trainer\.devices must be a number of cpu devices"),
        ({"devices": -2}, r"trainer\.devices"),
        ({"devices": 1.5}, r"trainer\.devices"),
        ({"devices": [0]}, r"trainer\.devices"),
        ({"devices": "two"}, r"trainer\.devices"),
        ({"devices": None}, r"trainer\.devices"),
        ({"num_nodes": 0}, r"trainer\.num_nodes"),
    ],
)
def test_where_a_fit_cannot_compute(trainer, expected, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(HeadfitError, match=expected):
        validate_args(RunArgs(trainer=trainer))


@pytest.mark.parametrize("change", [{"cache_gib": -1.0}, {"cache_gib": float("inf")}, {"steps_per_picture": 0}])
def test_other_arguments_of_a_run(change):
    with pytest.raises(HeadfitError, match=next(iter(change))):
        validate_args(replace(RunArgs(), **change))
    validate_args(RunArgs(cache_gib=0.0))


def test_devices_that_are_there(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    monkeypatch.setattr(validation, "DEVICES", ("cpu", "cuda"))
    monkeypatch.setitem(validation.ACCELERATORS, "auto", ("cpu", "cuda"))
    for given, devices, count in (
        ("auto", 4, 8),
        (-1, 4, 8),
        (2, 2, 4),
        ("3", 3, 6),
        ([0, 2], [0, 2], 4),
        ("1,3", [1, 3], 4),
    ):
        args = RunArgs(trainer={"devices": given, "num_nodes": 2})
        assert (trainer_devices(args), process_count(args)) == (devices, count)
    for given in (5, [4], [0, 0], "0,9"):
        with pytest.raises(HeadfitError, match=r"trainer\.devices="):
            validate_args(RunArgs(trainer={"devices": given}))
    assert trainer_devices(RunArgs(trainer={"accelerator": "cpu", "devices": "auto"})) == 1


@pytest.mark.parametrize("changed", [{"hold_out": ["cam00", "cam01", "cam02"]}, {"seed": -1}, {"stages": {}}])
def test_nothing_is_written_before_the_settings_are_right(changed, capture_path, settings, tmp_path):
    config = replace(load_config(settings), **changed)
    with pytest.raises(HeadfitError, match=r"hold_out names every camera|seed|no stages"):
        fit(config, RunArgs(capture=str(capture_path), out=str(tmp_path / "run")))
    assert not (tmp_path / "run").exists()


def test_a_configuration_that_extends_itself(tmp_path):
    (tmp_path / "a.yaml").write_text("extends: b.yaml")
    (tmp_path / "b.yaml").write_text("extends: a.yaml")
    with pytest.raises(HeadfitError, match=r"a\.yaml: extends itself"):
        load_config(tmp_path / "a.yaml")

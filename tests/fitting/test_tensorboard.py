"""What TensorBoard shows of a run, read back from its events."""

import re

import cv2
import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.custom_scalar.layout_pb2 import Layout
from tensorboard.plugins.hparams import metadata

from headfit.fitting.pictures import CAPTION, TILE, ViewRow, overview, view_sheets
from headfit.fitting.schedule import Plan
from headfit.fitting.second_order.solver import DATA_TERMS
from headfit.fitting.settings import load_config
from headfit.fitting.summaries import FIGURES, chart_layout, write_figures
from headfit.fitting.terms import TERMS


@pytest.fixture(scope="module")
def events(finished) -> EventAccumulator:
    found = EventAccumulator(str(finished / "tensorboard"), size_guidance={"images": 0, "tensors": 0})
    found.Reload()
    return found


@pytest.mark.slow
def test_every_loss_is_in_one_chart_of_its_stage(events):
    (event,) = events.Tensors("custom_scalars__config__")
    layout = Layout.FromString(event.tensor_proto.string_val[0])
    assert [category.title for category in layout.category] == ["whole fit", "rigid", "photo"]
    charts = {(c.title, chart.title): list(chart.multiline.tag) for c in layout.category for chart in c.chart}
    for tag in (tag for tag in events.Tags()["scalars"] if tag.startswith(("loss/", "rate/"))):
        found = [where for where, tags in charts.items() if any(re.search(pattern, tag) for pattern in tags)]
        stage = tag.split("/")[1] if tag.count("/") == 2 else "whole fit"
        assert [where[0] for where in found] == [stage], tag
    assert "^loss/photo/offsets$" in charts["photo", "priors"]
    assert charts["photo", "photometric"] == ["^loss/photo/photometric$"]
    assert ("rigid", "priors") not in charts  # nothing that has a prior moves there


def test_second_order_stages_have_charts_of_what_they_log_only():
    config = load_config("configs/fit.yaml")
    plan = Plan(config.stages, config.steps_per_checkpoint, frame_count=30, key_frames=10)
    layout = chart_layout(plan, TERMS)
    assert {stage for stage, charts in layout.items() if "priors" in charts} == {
        stage for stage, settings in config.stages.items() if settings.solver == "adam"
    }
    assert set(layout["settle"]) == set(DATA_TERMS) and set(layout["express"]) == {"mask", "landmark", "dense_landmark"}


@pytest.mark.slow
def test_the_pictures_of_a_fit_are_the_steps_of_one_tag(events):
    pictures = events.Images("views")
    assert [picture.step for picture in pictures] == [3, 9]  # the last steps of both stages
    image = cv2.imdecode(np.frombuffer(pictures[0].encoded_image_string, np.uint8), cv2.IMREAD_COLOR)
    assert image.shape == (2 * (80 + CAPTION), 4 * 60, 3)  # two frames, smaller than a tile
    assert max(80, 60) < TILE


@pytest.mark.slow
def test_settings_are_the_hyperparameters(events, small_head):
    (text,) = events.Tensors("settings/text_summary")
    assert "stages.photo.rates.texture: 0.01" in text.tensor_proto.string_val[0].decode()
    tags = (metadata.SESSION_START_INFO_TAG, metadata.EXPERIMENT_TAG)
    start, experiment = (events.SummaryMetadata(tag).plugin_data.content for tag in tags)
    hparams = metadata.parse_session_start_info_plugin_data(start).hparams
    assert hparams["seed"].number_value == 0 and hparams["stages.photo.weights.mask"].number_value == 1
    assert hparams["hold_out"].string_value == "cam01" and hparams["head"].string_value == str(small_head)
    known = {info.name.tag for info in metadata.parse_experiment_plugin_data(experiment).metric_infos}
    assert known == set(FIGURES)


def test_a_figure_that_is_not_known_is_not_written(tmp_path):
    write_figures(tmp_path, {"health/head_iou": 0.75, "health/landmark_error": None, "score/iou/head": float("nan")})
    found = EventAccumulator(str(tmp_path / "tensorboard"))
    found.Reload()
    assert found.Tags()["scalars"] == ["health/head_iou"]
    with pytest.raises(AssertionError, match="score/other"):
        write_figures(tmp_path, {"score/other": 1.0})


def test_the_overview_has_a_view_of_each_frame_from_different_cameras():
    shades = {
        ("f0", "c0"): 10,
        ("f0", "c1"): 20,
        ("f1", "c0"): 30,
        ("f1", "c1"): 40,
        ("f2", "c0"): 50,
        ("f2", "c1"): 60,
    }
    rows = [ViewRow(f, c, np.full((8, 12 + 4 * (c == "c1"), 3), shade, np.uint8)) for (f, c), shade in shades.items()]
    sheet = overview(rows)
    assert sheet.shape == (3 * (8 + CAPTION), 16, 3)
    assert sheet[CAPTION :: 8 + CAPTION, 5, 0].tolist() == [10, 40, 50]
    assert {name: of_frame.shape[:2] for name, of_frame in view_sheets(rows).items()} == dict.fromkeys(
        ("f0", "f1", "f2"), (16, 16)
    )

"""A fit with a hair layer, and one of a capture whose masks know no hair."""

import json
import shutil

import numpy as np
import pytest
import torch

from headfit.capture import open_capture
from headfit.export import MeshTopology, export_meshes
from headfit.fitting.config import RunArgs
from headfit.fitting.run import build, fit
from headfit.fitting.settings import load_config

HAIR = ["stages.hair.steps=3", "stages.hair.resolution=64", "stages.hair.rates.hair=0.001"]
HAIR += ["stages.hair.weights.hair=1", "stages.hair.frames_per_step=2", "stages.hair.views_per_frame=2"]


@pytest.fixture(scope="module")
def with_hair(settings, tmp_path_factory):
    """The settings with a stage for hair."""
    path = tmp_path_factory.mktemp("config") / "hair.yaml"
    path.write_text(settings.read_text() + "  hair: {}\n")
    return path


@pytest.fixture(scope="module")
def run(capture_path, with_hair, tmp_path_factory):
    out = tmp_path_factory.mktemp("hair") / "run"
    return fit(load_config(with_hair, HAIR), RunArgs(capture=str(capture_path), out=str(out)))


@pytest.fixture(scope="module")
def bald_capture(capture_path, tmp_path_factory):
    """The capture with its hair called skin."""
    path = tmp_path_factory.mktemp("bald") / "capture"
    shutil.copytree(capture_path, path)
    content = json.loads((path / "capture.json").read_text())
    content["classes"] = {k: "skin" if v == "hair" else v for k, v in content["classes"].items()}
    (path / "capture.json").write_text(json.dumps(content))
    return path


@pytest.mark.slow
def test_the_hair_stage_moves_the_hair_only(run, capture_path, settings, tmp_path):
    model = run.model
    assert model.shows_hair and model.hair.field.abs().max() > 0
    assert model.hair_texture.std() > 0, "the images' hair is in its texture"
    bald = fit(load_config(settings), RunArgs(capture=str(capture_path), out=str(tmp_path / "bald"))).model
    assert not bald.shows_hair
    for name, value in bald.state_dict().items():
        if not name.startswith("hair"):
            assert torch.equal(value, model.state_dict()[name]), name


@pytest.mark.slow
def test_hair_is_rendered_and_exported_as_a_part_of_its_own(run, tmp_path):
    model = run.model
    layers = model.render(model.capture.cameras[0], 0)
    hair = layers["label"] == model.head.label_names.index("hair")
    assert hair.any() and (layers["alpha"][hair] == 1).all() and (layers["depth"][hair] > 0).all()
    export_meshes(model, tmp_path, ["npz"])
    topology = MeshTopology.load(tmp_path / "hair" / "topology.npz")
    assert list(topology.label_names) == ["hair"] and len(topology.faces) > 100
    frame = model.capture.frames[0]
    vertices = np.load(tmp_path / "hair" / f"{frame}.npz")["vertices"]
    bald = np.load(tmp_path / f"{frame}.npz")["vertices"]
    assert len(vertices) == len(model.hair.vertices) and len(bald) == model.head.vertex_count
    lifted = np.linalg.norm(vertices - bald[model.hair.vertices.numpy()], axis=1)
    np.testing.assert_allclose(lifted, model.hair.heights().detach().abs().numpy(), atol=1e-5)


def test_without_hair_in_the_masks_there_is_no_layer(bald_capture, with_hair, tmp_path):
    module = build(load_config(with_hair, HAIR), RunArgs(out=str(tmp_path)), open_capture(bald_capture))
    assert not module.model.has_hair
    assert "hair" not in {chunk.stage for chunk in module.plan.chunks}


def test_pixels_of_hair_carry_no_loss_of_the_head(capture_path, with_hair, tmp_path):
    """The skull's silhouette gets no gradient from hair, however large."""
    module = build(load_config(with_hair, HAIR), RunArgs(out=str(tmp_path)), open_capture(capture_path))
    model = module.model
    from headfit.fitting.initialise_pose import initialise_pose

    initialise_pose(model, open_capture(capture_path))
    from headfit.capture.framing import framings_at

    batch = next(iter(module.data.batches([[(0, 0), (0, 1)]], framings_at(model.head_windows, 64))))
    o = model.observe(batch)
    hair = o.target[..., o.hair_class] > 0
    assert hair.any() and not (o.mask_known & hair).any() and not (o.on_head & hair).any()
    assert (o.labelled & hair).any(), "but they count as head in its area"
    assert torch.equal(o.mask_known | (o.labelled & hair), o.labelled)

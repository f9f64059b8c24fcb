"""The animated GLB, played by a reader that follows the specification, and by Khronos' validator."""

import io
import json
import subprocess
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from headfit.export import write_take
from headfit.export.morphs import TOLERANCE, find_morphs
from tests.support.gltf import Glb

VALIDATE = """
const validator = require("gltf-validator"), bytes = new Uint8Array(require("fs").readFileSync(process.argv[1]));
validator.validateBytes(bytes).then(report => console.log(JSON.stringify(report.issues)));
"""


@pytest.fixture(scope="module")
def path(take, tmp_path_factory):
    out = tmp_path_factory.mktemp("glb")
    write_take(take, out, ["glb-animation"])
    return out / "take.glb"


@pytest.fixture(scope="module")
def glb(path):
    return Glb(path)


@pytest.mark.parametrize("mesh", [0, 1])
@pytest.mark.parametrize("frame", [0, 7])
def test_each_frame_has_its_vertices(take, glb, mesh, frame):
    sequence = take.meshes[mesh]
    of_vertex = sequence.topology.split_at_seams()[0]
    found = glb.vertices(sequence.name, frame)
    np.testing.assert_allclose(found, sequence.vertices_of(frame)[of_vertex], atol=1e-5)
    assert glb.play(frame)[2] == pytest.approx(frame / take.fps)


def test_morph_targets_have_the_names_of_the_units_and_weights_from_0_to_1(take, glb):
    names = glb.json["meshes"][glb.node("head", mesh=True)["mesh"]]["extras"]["targetNames"]
    units = [name for name in names if not name.startswith("residual")]
    assert units == list(take.motion.head.expression_names[::3]), "those that the fixture moves"
    weights = np.stack([next(iter(glb.play(frame)[1].values())) for frame in range(8)])
    np.testing.assert_allclose(weights[:, : len(units)], take.motion.expression[:, ::3].numpy(), atol=1e-6)
    assert weights.min() >= 0 and weights.max() <= 1, "Blender cuts others"


def test_joints_and_pose_move(take, glb):
    paths = {(glb.json["nodes"][c["target"]["node"]]["name"], c["target"]["path"])
             for c in glb.json["animations"][0]["channels"]}  # fmt: skip
    assert {("skull", "rotation"), ("skull", "translation"), ("jaw", "rotation"), ("head", "weights")} <= paths
    matrix = glb.play(7)[0][glb.json["nodes"].index(glb.node("skull"))]
    np.testing.assert_allclose(matrix[:3, :3], take.motion.scale * take.motion.rotation[7], atol=1e-6)
    np.testing.assert_allclose(matrix[:3, 3], take.motion.translation[7], atol=1e-6)


def test_every_corner_has_its_uv_and_the_texture_is_inside(take, glb):
    topology = take.meshes[0].topology
    primitives = glb.json["meshes"][glb.node("head", mesh=True)["mesh"]]["primitives"]
    assert {glb.json["materials"][p["material"]]["name"] for p in primitives} == {
        "head_skin", "head_eyes", "head_teeth", "head_mouth"
    }  # fmt: skip
    corners = np.concatenate([glb.accessor(p["indices"])[:, 0] for p in primitives])
    assert len(corners) == topology.faces.size
    uvs = glb.accessor(primitives[0]["attributes"]["TEXCOORD_0"])[corners]
    expected = topology.uvs[topology.faces_uv.ravel()]
    np.testing.assert_allclose(np.unique(uvs * [1, -1] + [0, 1], axis=0), np.unique(expected, axis=0), atol=1e-6)
    image = Image.open(io.BytesIO(glb.bytes_of(glb.json["images"][0]["bufferView"])))
    np.testing.assert_array_equal(np.asarray(image), take.meshes[0].texture)


def test_a_capture_that_is_not_y_up_is_turned(take, tmp_path):
    turned = replace(take)
    turn = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])  # the capture's z is up, its -y is where y was
    turned.__dict__["motion"] = replace(take.motion, rotation=turn @ take.motion.rotation)
    np.testing.assert_array_equal(turned.upright() @ turn, np.eye(3))
    np.testing.assert_array_equal(take.upright(), np.eye(3))


def test_khronos_validator_finds_nothing(path):
    try:
        done = subprocess.run(["node", "-e", VALIDATE, str(path)], capture_output=True, text=True, timeout=120)
    except FileNotFoundError:
        pytest.skip("node is not installed")
    if "Cannot find module" in done.stderr:
        pytest.skip("npm install gltf-validator, and NODE_PATH=.../node_modules, to run the validator of Khronos")
    issues = json.loads(done.stdout)
    assert (issues["numErrors"], issues["numWarnings"], issues["messages"]) == (0, 0, [])


def test_few_shapes_explain_what_few_shapes_made():
    rng = np.random.default_rng(0)
    shapes, units = rng.normal(size=(2, 50, 3)), rng.normal(size=(1, 50, 3))
    amounts, weights = rng.normal(size=(20, 2)), rng.uniform(size=(20, 1))
    base = rng.normal(size=(50, 3))
    positions = (base + np.tensordot(weights, units, 1) + 0.01 * np.tensordot(amounts, shapes, 1)).astype(np.float32)
    morphs = find_morphs(positions.copy(), base, ["smile"], units, weights)
    assert morphs.names == ["smile", "residual", "residual000", "residual001"]
    found = morphs.base + np.tensordot(morphs.weights, morphs.targets, 1)
    assert np.linalg.norm(found - positions, axis=2).max() < 2 * TOLERANCE
    assert morphs.weights.min() >= 0 and morphs.weights.max() <= 1


def test_units_beyond_full_strength_are_cut_and_the_residual_has_the_rest():
    units, base = np.ones((1, 4, 3)), np.zeros((4, 3))
    weights = np.array([[1.2], [-0.1], [0.5]])
    morphs = find_morphs((base + np.tensordot(weights, units, 1)).astype(np.float32), base, ["smile"], units, weights)
    np.testing.assert_allclose(morphs.weights[:, 0], [1, 0, 0.5])
    np.testing.assert_allclose(np.tensordot(morphs.weights, morphs.targets, 1)[:, 0, 0], weights[:, 0], atol=1e-5)

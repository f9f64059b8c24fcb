import csv
import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from headfit.export import write_take
from headfit.export.curves import ARKIT_UNITS, arkit_weights, timecode, yaw_pitch_roll
from headfit.head.gaze import gaze_rotation


@pytest.fixture(scope="module")
def folder(take, tmp_path_factory):
    out = tmp_path_factory.mktemp("curves")
    write_take(take, out, ["curves"])
    return out


@pytest.fixture
def motion(take):
    """The take's motion with everything at rest."""
    still = take.motion
    return replace(still, expression=0 * still.expression, joints=0 * still.joints)


def test_the_csv_has_the_61_columns_of_live_link_face(folder):
    rows = list(csv.DictReader((folder / "curves.csv").open()))
    assert len(rows) == 8 and len(rows[0]) == 63 and {row["BlendShapeCount"] for row in rows} == {"61"}
    assert list(rows[0])[:3] == ["Timecode", "BlendShapeCount", "EyeBlinkLeft"]
    assert list(rows[0])[-10:-7] == ["TongueOut", "HeadYaw", "HeadPitch"] and list(rows[0])[-1] == "RightEyeRoll"
    assert rows[7]["Timecode"] == "00:00:00:07.000"


def test_units_keep_their_weights(take, folder):
    content = json.loads((folder / "curves.json").read_text())
    names = take.motion.head.expression_names
    expected = take.motion.expression[:, names.index("mouthSmileLeft")]
    np.testing.assert_allclose(content["units"]["mouthSmileLeft"], expected)
    np.testing.assert_allclose(content["arkit"]["mouthSmileLeft"], expected)
    assert content["fps"] == 12.5 and content["frames"] == take.frames and content["arkit_missing"] == []
    rows = list(csv.DictReader((folder / "curves.csv").open()))
    np.testing.assert_allclose([float(row["MouthSmileLeft"]) for row in rows], expected.clip(0, 1), atol=1e-9)


def test_head_pose_in_the_json_leads_to_the_exported_vertices(take, folder):
    head = json.loads((folder / "curves.json").read_text())["head"]
    local = take.motion.to_head(take.meshes[0].vertices_of(7), 7)
    back = head["scale"] * local @ np.array(head["rotation"][7]).T + head["translation"][7]
    np.testing.assert_allclose(back, take.meshes[0].vertices_of(7), atol=1e-7)
    other = take.motion.to_head(take.meshes[0].vertices_of(2), 2)
    skull = take.motion.head.vertices_of("hair").numpy()
    # Only what the skull carries stays in the head frame; it bends by the frames' details alone.
    np.testing.assert_allclose(local[skull].mean(0), other[skull].mean(0), atol=2e-3)


def test_the_jaw_joint_opens_the_jaw_units(motion):
    jaw = motion.head.joint_names.index("jaw")
    motion.joints[1, jaw, 0] = 0.2  # opens
    motion.joints[2, jaw, 1] = 0.08  # turns to the subject's left
    weights = dict(zip(ARKIT_UNITS, arkit_weights(motion).T, strict=True))
    assert weights["jawOpen"][0] == 0 and 0.3 < weights["jawOpen"][1] < 0.8
    assert weights["jawLeft"][2] > 0.2 > weights["jawRight"][2]
    assert max(np.abs(w).max() for name, w in weights.items() if not name.startswith("jaw")) == 0


def test_angles_have_the_signs_that_the_docs_give():
    left, down, tilt = np.radians([20, 10, 5])
    turn = Rotation.from_rotvec([0, left, 0]) * Rotation.from_rotvec([down, 0, 0]) * Rotation.from_rotvec([0, 0, tilt])
    np.testing.assert_allclose(yaw_pitch_roll(turn.as_matrix()[None]), [[left, down, tilt]])
    forward = turn.as_matrix()[:, 2]
    assert forward[0] > 0 > forward[1], "to the subject's left (x), down (-y)"


def test_gaze_goes_into_its_columns(take, tmp_path):
    motion = replace(take.motion, joints=0 * take.motion.joints)
    eye = motion.head.joint_names.index("right_eye")
    motion.joints[4, eye, :3] = gaze_rotation(torch.tensor(0.2), torch.tensor(-0.1))
    changed = replace(take)
    changed.__dict__["motion"] = motion
    write_take(changed, tmp_path, ["curves"])
    row = list(csv.DictReader((tmp_path / "curves.csv").open()))[4]
    values = [float(row[f"RightEye{angle}"]) for angle in ("Yaw", "Pitch", "Roll")]
    np.testing.assert_allclose(values, [0.2, -0.1, 0], atol=1e-6)
    assert float(row["LeftEyeYaw"]) == 0


def test_units_that_a_head_lacks_are_named(take, tmp_path):
    renamed = replace(take, notes=[])
    names = tuple(name.replace("tongueOut", "tongueFar") for name in take.motion.head.expression_names)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(take.motion.head, "expression_names", names)
        write_take(renamed, tmp_path, ["curves"])
    assert renamed.notes == ["this head has no units tongueOut: 0 in the curves"]
    content = json.loads((tmp_path / "curves.json").read_text())
    assert content["arkit_missing"] == ["tongueOut"] and "tongueFar" in content["units"]
    assert {row["TongueOut"] for row in csv.DictReader((tmp_path / "curves.csv").open())} == {"0.0000000000"}


def test_timecodes_count_the_frames_of_a_second():
    assert timecode(3725 * 25 + 7, 25.0) == "01:02:05:07.000"
    assert timecode(59, 29.97) == "00:00:01:29.000"

"""What colour moves, and what it must not."""

import pytest
import torch

from headfit.fitting.config import load_config
from headfit.synth import synthesize
from tests.support.true_fit import true_fit


@pytest.fixture(scope="module")
def module(tmp_path_factory, settings):
    folder = tmp_path_factory.mktemp("photometric")
    synthesize(folder / "capture", cameras=3, frames=3, width=144, height=192, seed=2)
    config = load_config(settings)
    config.capture, config.out, config.texture_size = str(folder / "capture"), str(folder / "run"), 512
    return true_fit(config)


def photometric(module, frame):
    """The term of all views of a frame, and the vertices it was made from."""
    batch = module.data.view_batch([(frame, camera) for camera in range(3)], 1.0)
    vertices, _ = module.geometry(batch.frame)
    seen = module.renderer.see(vertices, module.view_cameras(batch))
    normals = module.renderer.normals(vertices)
    target = batch.label_prob.float() / 255
    return module._photometric_term(batch, seen, normals, target, torch.full((3,), 1e4)), vertices, seen


@pytest.mark.parametrize("side", ["left_eye", "right_eye"])
@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("turn", [-0.12, 0.12])
def test_colour_turns_the_eyes_back(module, side, axis, turn):
    """7 degrees off, about either axis, to either side."""
    joints, joint = module.geometry.joints_raw, module.geometry.head.joint_names.index(side)
    with torch.no_grad():
        joints[0, joint, axis] += turn
    try:
        (gradient,) = torch.autograd.grad(photometric(module, 0)[0], joints)
    finally:
        with torch.no_grad():
            joints[0, joint, axis] -= turn
    assert gradient[0, joint, axis] * turn > 0


def test_colour_inside_the_mouth_moves_next_to_nothing(module):
    """Only the texture follows: teeth behind lips are dark because no light gets there."""
    head = module.geometry.head
    term, vertices, seen = photometric(module, 1)
    (gradient,) = torch.autograd.grad(term, vertices)
    parts = [head.part_names.index(name) for name in ("upper_teeth", "lower_teeth", "tongue")]
    inside = torch.isin(head.face_parts, torch.tensor(parts))
    assert (inside[seen.index_img[seen.head].long()]).sum() > 30, "the mouth is open"
    # What is left is the rims of teeth in front of a lip: its colour goes on over them, but not quite as it is beside.
    moved = [float(gradient[:, head.faces[some].unique().long()].norm()) for some in (inside, ~inside)]
    assert moved[0] < 0.05 * moved[1]

"""The USD stage with a skeleton and blend shapes, played by Pixar's own library."""

import numpy as np
import pytest

from headfit.export import write_take

pxr = pytest.importorskip("pxr", reason="usd-core is not installed: pip install 'headfit[usd]'")
from pxr import Gf, Usd, UsdGeom, UsdSkel, UsdValidation  # noqa: E402


@pytest.fixture(scope="module")
def stage(take, tmp_path_factory):
    out = tmp_path_factory.mktemp("usd")
    write_take(take, out, ["usd-skeleton"])
    return Usd.Stage.Open(str(out / "take_skeleton.usdc"))


def test_the_validators_of_usd_have_nothing_to_say(stage):
    validators = UsdValidation.ValidationRegistry().GetOrLoadAllValidators()
    found = UsdValidation.ValidationContext(validators).Validate(stage)
    assert [error.GetErrorAsString() for error in found] == []


def test_units_move_by_their_names_and_the_pose_is_that_of_the_skull(stage, take):
    animation = UsdSkel.Animation.Get(stage, "/take/rig/skeleton/animation")
    weights = dict(zip(animation.GetBlendShapesAttr().Get(), animation.GetBlendShapeWeightsAttr().Get(7), strict=True))
    names, given = take.motion.head.expression_names, take.motion.expression[7].clip(0, 1)
    assert {"residual", "hair_residual"} <= set(weights) and len(set(names) & set(weights)) > 3
    for name in set(names) & set(weights):
        assert weights[name] == pytest.approx(given[names.index(name)].item(), abs=1e-6)
    turn = Gf.Matrix3d(animation.GetRotationsAttr().Get(7)[0])
    np.testing.assert_allclose(np.array(turn).T, take.motion.rotation[7], atol=1e-6)
    np.testing.assert_allclose(animation.GetTranslationsAttr().Get(7)[0], take.motion.translation[7], atol=1e-6)


def test_usd_skins_every_frame_to_the_vertices_of_the_fit(stage, take):
    assert UsdSkel.BakeSkinning(stage.Traverse(), Gf.Interval(0, 7))
    for sequence in take.meshes:
        mesh = UsdGeom.Mesh.Get(stage, f"/take/rig/{sequence.name}")
        for frame in range(8):
            played, fitted = np.array(mesh.GetPointsAttr().Get(frame)), sequence.vertices_of(frame)
            np.testing.assert_allclose(played, fitted, atol=2e-5)
        turned = np.array(mesh.GetNormalsAttr().Get(7))
        assert len(turned) == len(fitted)

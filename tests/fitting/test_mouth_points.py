"""The mouth's landmarks yield to masked lips, once masks are compared sharply."""

from types import SimpleNamespace

import pytest
import torch

from headfit.capture.landmark_files import CONTOUR_COUNT
from headfit.fitting.config import Stage
from headfit.fitting.terms.landmark import MOUTH, MOUTH_SHARE, OUTLINE_SHARE, landmark_weights


@pytest.mark.parametrize(("lips", "blur", "expected"), [(True, 0.0, MOUTH_SHARE), (True, 2.0, 1.0), (False, 0.0, 1.0)])
def test_mouth_points_yield_to_the_masked_lips_of_their_view(lips, blur, expected):
    target = torch.zeros(2, 4, 4, 3)
    target[..., 0] = 1
    if lips:
        target[0, 1, 2] = torch.tensor([0.5, 0.0, 0.5])
    batch = SimpleNamespace(
        landmark_weight=torch.full((2, 68), 0.5),
        dense_landmark_weight=torch.ones(2, 5),  # of which this stage knows nothing
        frame=torch.tensor([0, 0]),
        camera=torch.tensor([0, 1]),
    )
    model = SimpleNamespace(
        landmark_trust=torch.ones(1, 2, 68, dtype=torch.bool), is_lip=torch.tensor([False, False, True])
    )
    shown = SimpleNamespace(batch=batch, shown_classes=(target > 0).flatten(1, 2).any(1))
    weights = landmark_weights(shown, model, Stage(blur=blur))
    assert (weights[0, MOUTH:] == 0.5 * expected).all() and (weights[0, CONTOUR_COUNT:MOUTH] == 0.5).all()
    assert (weights[1, CONTOUR_COUNT:] == 0.5).all(), "this view's mask shows no lips"
    assert (weights[:, :CONTOUR_COUNT] == 0.5 * OUTLINE_SHARE).all()

"""Label borders: how they are found in a rendered picture, and how far they are from those of a mask."""

import pytest
import torch

from headfit.fitting.second_order.borders import (
    BELOW_NECK,
    REACH,
    border_distances,
    border_normals,
    sample_borders,
    share_profiles,
)

A, B, C = 1, 2, 3
GENERATOR = torch.Generator().manual_seed(0)


def shares(size: int, edges: list[float], classes: list[int]) -> torch.Tensor:
    """Class shares `[1,H,W,4]` of upright bands of classes between columns `edges` (from the picture's left side)."""
    x = torch.arange(size, dtype=torch.float32)
    image = torch.zeros(1, size, size, 4)
    for low, high, index in zip([0.0, *edges], [*edges, float(size)], classes, strict=True):
        image[..., index] += (torch.minimum(x + 1, torch.tensor(high)) - torch.maximum(x, torch.tensor(low))).clamp(
            0, 1
        )
    return image


def sets(*members: int) -> torch.Tensor:
    return torch.isin(torch.arange(4), torch.tensor(members))[None, None]


def distance_from(
    column: float, image: torch.Tensor, own: torch.Tensor, other: torch.Tensor, along=1.0, only_inward=False
) -> float:
    start = torch.tensor([[[column, 30.0]]])
    profiles = share_profiles(image, start, torch.tensor([[[along, 0.0]]]))
    return float(border_distances(profiles, own, other, torch.tensor([[only_inward]])))


@pytest.mark.parametrize("edge", [22.0, 30.25, 30.6, 41.8])
def test_distance_is_that_of_the_border_to_a_fraction_of_a_pixel(edge):
    """Columns count from the centre of the first pixel, edges from its left side."""
    distance = distance_from(29.5, shares(64, [edge], [A, B]), sets(A), sets(B))
    assert distance == pytest.approx(edge - 30.0, abs=0.26)


def test_a_border_the_other_way_round_is_not_the_same_one():
    """From an open mouth's lower lip, whose outer border has skin below, the upper lip's has skin above."""
    image = shares(64, [20, 26, 44, 50], [B, A, C, A, B])
    distance = distance_from(31.5, image, sets(A), sets(B))
    assert distance == pytest.approx(50 - 32, abs=0.26), "not the nearer one at 20"
    assert distance_from(31.5, image, sets(A), sets(B), along=-1.0) == pytest.approx(32 - 20, abs=0.26)


def test_a_border_goes_back_where_its_class_is_not_seen():
    """Lower teeth in front of a tongue that the mask shows from the lip (left) to the upper teeth (right)."""
    lip, teeth, tongue = C, A, B
    image = shares(64, [24, 36, 42], [lip, tongue, teeth, lip])
    assert distance_from(29.5, image, sets(teeth), sets(tongue)) == pytest.approx(24 - 30, abs=0.26)


def test_a_border_does_not_cross_what_it_would_put_wrong():
    """An opening of three pixels between lips of twelve: the upper lip's border does not go to the lower lip's end."""
    image = shares(64, [28, 31, 43], [A, B, A, C])
    assert distance_from(27.5, image, sets(A), sets(B)) == pytest.approx(0, abs=0.26)
    assert distance_from(25.5, image, sets(A), sets(B)) == pytest.approx(2, abs=0.26)


def test_a_border_without_classes_in_reach_stays():
    assert distance_from(29.5, shares(128, [30.0 + REACH], [C, A]), sets(A), sets(B)) == 0
    unknown = torch.zeros(1, 64, 64, 4)
    assert distance_from(29.5, unknown, sets(A), sets(B)) == 0


def test_a_border_of_which_one_side_is_unknown_goes_inward_only():
    head, background = A, 0
    image = shares(64, [24], [head, background])
    assert distance_from(29.5, image, sets(head), sets(background), only_inward=True) == pytest.approx(-6, abs=0.26)
    image = shares(64, [36], [head, background])
    assert distance_from(29.5, image, sets(head), sets(background)) == pytest.approx(6, abs=0.26)
    assert distance_from(29.5, image, sets(head), sets(background), only_inward=True) == 0


def test_normals_point_away_from_what_carries_the_border():
    y, x = torch.meshgrid(torch.arange(64.0), torch.arange(64.0), indexing="ij")
    inside = ((x - 32).square() + (y - 32).square()).sqrt() < 20
    label = torch.where(inside, A, B)[None]
    samples = sample_borders(label, torch.ones(1, 64, 64), torch.ones_like(inside)[None], (1, 90), GENERATOR)
    middle = torch.stack([samples.owner % 64 + samples.other % 64, samples.owner // 64 + samples.other // 64], -1) / 2
    normal = border_normals(label, label.flatten(1).gather(1, samples.owner), middle)
    outward = torch.where(label.flatten(1).gather(1, samples.owner) == A, 1.0, -1.0)[..., None] * (middle - 32) / 20
    assert samples.candidates[0, 0] == 0, "there is no outline"
    assert ((normal * outward).sum(-1)[:, 1:] > 0.9).all()


def test_the_nearer_surface_carries_a_border_and_unknown_pixels_have_none():
    label = torch.tensor([[[0, A, A, B, -1, B, C]]])
    depth = torch.tensor([[[0.0, 1.0, 1.0, 0.5, 0.4, 1.0, 2.0]]])
    known = torch.ones(1, 1, 7, dtype=torch.bool)
    samples = sample_borders(label, depth, known, (4, 8), torch.Generator().manual_seed(0))
    found = set(zip(samples.owner[0].tolist(), samples.other[0].tolist(), strict=True))
    assert found == {(1, 0), (3, 2), (5, 6)}
    assert samples.candidates[0].tolist() == [0.25] * 4 + [0.25] * 8
    known[..., 6] = False
    samples = sample_borders(label, depth, known, (4, 8), torch.Generator().manual_seed(0))
    assert set(samples.owner[0].tolist()) == {1, 3}


def test_the_head_has_borders_with_what_is_below_its_neck_where_it_is_nearer():
    label = torch.tensor([[[BELOW_NECK, A, BELOW_NECK, B, BELOW_NECK, 0]]])
    depth = torch.tensor([[[2.0, 1.0, 0.5, 1.0, 1.0, 0.0]]])
    known = label != BELOW_NECK
    samples = sample_borders(label, depth, known, (4, 4), torch.Generator().manual_seed(0))
    assert set(zip(samples.owner[0].tolist()[:4], samples.other[0].tolist()[:4], strict=True)) == {(1, 0)}
    known[..., 1] = False
    assert not sample_borders(label, depth, known, (4, 4), GENERATOR).candidates.any()

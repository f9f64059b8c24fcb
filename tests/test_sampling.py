"""Evenly spaced indices."""

import pytest

from headfit.sampling import evenly_spaced


@pytest.mark.parametrize(
    ("count", "most", "indices"),
    [(0, 3, []), (1, 3, [0]), (3, 3, [0, 1, 2]), (3, 5, [0, 1, 2]), (10, 1, [0]), (11, 3, [0, 5, 10])],
)
def test_indices_run_from_the_first_to_the_last(count, most, indices):
    assert evenly_spaced(count, most).tolist() == indices


def test_indices_are_rounded_to_the_nearest():
    assert evenly_spaced(48, 6).tolist() == [0, 9, 19, 28, 38, 47]  # 0, 9.4, 18.8, 28.2, 37.6, 47


def test_indices_are_distinct():
    for count in range(1, 60):
        for most in range(1, 60):
            assert len(set(evenly_spaced(count, most).tolist())) == min(count, most)

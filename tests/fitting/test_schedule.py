import pytest

from headfit.fitting.config import Stage
from headfit.fitting.schedule import Plan


def plan() -> Plan:
    return Plan({"a": Stage(steps=25, rates={"scale": 0.1}), "b": Stage(steps=10)}, chunk_steps=10)


def test_chunks_cover_every_step_once_and_never_cross_a_stage():
    chunks = plan().chunks
    assert [(c.stage, c.first, c.steps) for c in chunks] == [
        ("a", 0, 10),
        ("a", 10, 10),
        ("a", 20, 5),
        ("b", 25, 10),
    ]
    assert [c.starts_stage for c in chunks] == [True, False, False, True]
    assert [c.ends_stage for c in chunks] == [False, False, True, True]


def test_rates_hold_then_fall_to_their_share():
    p = plan()
    assert p.rate("a", 0, "scale") == pytest.approx(0.1)
    assert p.rate("a", 24, "scale") == pytest.approx(0.1 * 0.2)
    assert p.rate("a", 0, "offsets") == 0
    rates = [p.rate("a", step, "scale") for step in range(25)]
    assert rates == sorted(rates, reverse=True)

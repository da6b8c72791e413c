"""The simulation that a user runs before launch."""

import pytest

from swinablate.errors import InputError
from swinablate.stats import detectable, selftest
from swinablate.stats.planned.selftest import SIMS, Scenario, draw, judge

TOLERANCE = 4 * (0.05 * 0.95 / SIMS) ** 0.5


def rows(*numbers, **settings) -> dict:
    return {row.method: row for row in selftest(*numbers, **settings)}


def test_every_method_keeps_its_promise_at_equal_variances():
    found = rows(8, 5, 0.3, effect_pp=0.5)
    assert set(found) == {"auto", "shrunken", "welch-holm", "dunnett", "paired"}
    for row in found.values():
        assert row.error <= 0.05 + TOLERANCE
    assert found["dunnett"].power > found["shrunken"].power > found["welch-holm"].power + 0.1
    assert found["auto"].power >= 0.48


@pytest.mark.parametrize("n", [3, 5, 8])
@pytest.mark.parametrize("m", [1, 4, 8])
def test_the_detectable_difference_is_found_with_power_0_8(m, n):
    assert rows(m, n, 0.3)["shrunken"].power == pytest.approx(0.8, abs=0.012)


def test_twice_the_detectable_difference_is_found_nearly_always():
    twice = rows(4, 5, 0.3, effect_pp=2 * detectable(5, 10, 4, 0.3))
    assert twice["shrunken"].power > 0.99


def test_pairing_is_found_where_seeds_agree():
    apart, close = rows(8, 5, 0.3), rows(8, 5, 0.3, correlation=0.8)
    assert apart["auto"].paired < 0.1
    assert close["auto"].paired > 0.9
    assert close["auto"].power > close["shrunken"].power + 0.1
    assert close["auto"].half_pp < close["shrunken"].half_pp
    assert close["auto"].error <= 0.05 + TOLERANCE


def test_pairing_needs_evidence():
    """Covariances of few seeds would be chosen by luck: error 0.07 to 0.08."""
    for m in (1, 2, 3):
        assert rows(m, 5, 0.3)["auto"].paired == 0


def test_own_noise_of_every_arm():
    found = rows(2, 8, [0.1, 0.1, 2.0])
    assert found["auto"].error <= 0.05 + TOLERANCE


def test_simulated_seeds_correlate_as_asked():
    scenario = Scenario(n=[4, 4], sd=[1.0, 2.0], correlation=[0.6, 0.6])
    values = draw(scenario, 20_000, seed=1)
    assert (values[:, 0] * values[:, 1]).mean() / 2 == pytest.approx(0.6, abs=0.02)
    assert values.std(axis=(0, 2)) == pytest.approx([1, 2], abs=0.03)
    family, paired = judge(scenario, values, "paired")
    assert family.delta.shape == (20_000, 1)
    assert paired.all()


@pytest.mark.parametrize(
    ("numbers", "settings"),
    [
        ((0, 5, 0.3), {}),
        ((2, 2, 0.3), {}),
        ((2, 5, 0.0), {}),
        ((2, 5, [0.3, 0.3]), {}),
        ((2, 5, 0.3), {"baseline_ratio": 0.5}),
        ((2, 5, 0.3), {"correlation": 1.0}),
    ],
)
def test_numbers_that_describe_no_study(numbers, settings):
    with pytest.raises(InputError):
        selftest(*numbers, **settings)

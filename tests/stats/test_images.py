"""The interval for other images: by hand, by simulation, through the door."""

import base64

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from swinablate.errors import InputError
from swinablate.stats import Declaration, verdicts
from swinablate.stats.images import new_images, unpack


def pack(right: np.ndarray) -> str:
    return base64.b64encode(np.packbits(right).tobytes()).decode()


def test_answers_survive_packing():
    right = np.random.default_rng(0).random((3, 13)) < 0.5
    assert (unpack([pack(row) for row in right], 13) == right).all()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("not base64!", "unreadable answers: 'not base64!'"),
        (pack(np.ones(24, bool)), "answers to 24 images where 13 were asked"),
    ],
)
def test_answers_that_cannot_be_read(text, problem):
    with pytest.raises(InputError) as raised:
        unpack([text], 13)
    assert raised.value.problem == problem


def test_without_seed_noise_it_is_the_paired_test_over_images():
    """Every seed answers alike: the variance is that of the difference over images."""
    rng = np.random.default_rng(1)
    one, other = rng.random(2000) < 0.9, rng.random(2000) < 0.8
    half = new_images(
        np.tile(one, (5, 1)), np.tile(other, (10, 1)), 1e-9, 8.0, comparisons=1, alpha=0.05
    )
    gap = 100 * (one.astype(float) - other)
    assert half == pytest.approx(1.9612 * gap.std(ddof=1) / 2000**0.5, rel=1e-3)


def simulate(seed: int, images: int = 500, n: int = 5) -> tuple[pd.DataFrame, np.ndarray]:
    """Answers of two models to images of different difficulty, and their share of errors.

    Seeds shift a model as a whole; models differ in which images they find hard.
    """
    rng = np.random.default_rng(seed)
    hard = rng.normal(2, 2, images)
    rows = []
    for arm, shift, seeds in (("baseline", 0.0, 2 * n), ("a", -0.4, n)):
        logit = hard + shift + rng.normal(0, 1.0, images)
        for s in range(seeds):
            right = rng.random(images) < 1 / (1 + np.exp(-(logit + rng.normal(0, 0.15))))
            rows.append((arm, s, 100 * right.mean(), pack(right)))
    return pd.DataFrame(rows, columns=["arm", "seed", "value", "correct"])


def truth() -> float:
    """The difference over all images and seeds, percentage points."""
    rng = np.random.default_rng(99)
    size = 4_000_000
    noise = rng.normal(0, (2**2 + 1 + 0.15**2) ** 0.5, size)
    share = [float((1 / (1 + np.exp(-(2 + shift + noise)))).mean()) for shift in (0.0, -0.4)]
    return 100 * (share[1] - share[0])


def test_the_interval_covers_the_population_where_that_over_seeds_does_not():
    true, sims = truth(), 400
    here = there = 0
    for seed in range(sims):
        declared = Declaration(test_images=500)
        (arm,) = verdicts(simulate(seed), declared, complete=True).arms
        here += arm.ci_low <= true <= arm.ci_high
        there += arm.new_images_low <= true <= arm.new_images_high
    tolerance = 4 * (0.05 * 0.95 / sims) ** 0.5
    assert here / sims < 0.95 - tolerance
    assert 0.95 - tolerance < there / sims <= 0.95 + tolerance


def test_it_is_never_narrower_and_absent_without_answers():
    table = simulate(3)
    declared = Declaration(test_images=500)
    (arm,) = verdicts(table, declared, complete=True).arms
    assert arm.new_images_low < arm.ci_low < arm.ci_high < arm.new_images_high
    table.loc[0, "correct"] = None
    (arm,) = verdicts(table, declared, complete=True).arms
    assert (arm.new_images_low, arm.new_images_high) == (None, None)
    (arm,) = verdicts(simulate(3), Declaration(test_images=400), complete=True).arms
    assert arm.new_images_low is None  # arms that were tested on different sets
    (arm,) = verdicts(simulate(3), Declaration(), complete=True).arms
    assert arm.to_json()["new_images_low"] is None


def test_half_width_by_hand():
    """Two seeds each, four images; seeds and images both vary."""
    arm = np.array([[1, 1, 0, 0], [1, 0, 0, 1]], bool)
    base = np.array([[1, 1, 1, 0], [1, 1, 0, 1]], bool)
    se, df = 20.0, 2.0
    gap = 100 * np.array([0, -0.5, -0.5, 0])
    between = gap.var(ddof=1) / 4
    counted = 1e4 * (0.5 * 2 / 4 + 0.5 * 2 / 4) / 2 / 4  # each model: 2 of 4 images vary by 1/2
    variance = max(se**2 + between - counted, se**2, between)
    assert variance == se**2  # the parts overlap: never below the larger
    half = new_images(arm, base, se, df, comparisons=1, alpha=0.05)
    freedom = variance**2 / (se**4 / df + between**2 / 3)
    assert half == pytest.approx(stats.t.ppf(0.975, freedom) * variance**0.5)


def test_seed_noise_is_not_counted_twice():
    rng = np.random.default_rng(4)
    hard = rng.random(400)
    arm, base = (rng.random((5, 400)) < hard for _ in range(2))
    se, df = 1.0, 8.0
    gap = 100 * (arm.mean(0) - base.mean(0))
    between = gap.var(ddof=1) / 400
    counted = 1e4 * (arm.var(0, ddof=1).mean() + base.var(0, ddof=1).mean()) / 5 / 400
    variance = max(se**2 + between - counted, se**2, between)
    assert variance < 0.7 * (se**2 + between)
    freedom = variance**2 / (se**4 / df + between**2 / 399)
    half = new_images(arm, base, se, df, comparisons=3, alpha=0.05)
    assert half == pytest.approx(stats.t.ppf(1 - 0.05 / 6, freedom) * variance**0.5)

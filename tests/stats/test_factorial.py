"""Main effects, interactions and path steps against hand computation and least squares."""

from itertools import product

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

from swinablate.errors import InputError
from swinablate.stats import Declaration, factorial, path, verdicts

TWO = {
    "baseline": {},
    "shift": {"model.shift": False},
    "bias": {"model.bias": "none"},
    "both": {"model.shift": False, "model.bias": "none"},
}


def weights(cells: dict) -> dict:
    return {c.name: dict(c.weights) for c in factorial(cells)[0]}


def complete(k: int, drop: str = "") -> dict:
    """All cells of a 2^k design; `drop` names the letters of a cell to leave out."""
    letters = "ABCDE"[:k]
    cells = {}
    for bits in product((0, 1), repeat=k):
        name = "".join(x for x, bit in zip(letters, bits[::-1], strict=True) if bit)
        if name != drop or not drop:
            cells[name or "baseline"] = dict.fromkeys(name, True)
    return cells


def test_two_by_two_by_hand():
    contrasts, lost = factorial(TWO)
    assert lost == ()
    assert [(c.name, c.kind, c.family) for c in contrasts] == [
        ("shift=false", "main effect", "main effects"),
        ("bias=none", "main effect", "main effects"),
        ("shift=false x bias=none", "interaction", "interactions"),
    ]
    shift, bias, both = (dict(c.weights) for c in contrasts)
    assert shift == {"baseline": -0.5, "shift": 0.5, "bias": -0.5, "both": 0.5}
    assert bias == {"baseline": -0.5, "shift": -0.5, "bias": 0.5, "both": 0.5}
    assert both == {"baseline": 1, "shift": -1, "bias": -1, "both": 1}


def test_three_levels():
    cells = {"baseline": {}, "b": {"norm": "batch"}, "r": {"norm": "rms"}}
    cells |= {f"{k}s": {**v, "shift": False} for k, v in cells.items() if k != "baseline"}
    cells["s"] = {"shift": False}
    found = weights(cells)
    assert found["norm=batch"] == {"baseline": -0.5, "b": 0.5, "bs": 0.5, "s": -0.5}
    third = pytest.approx(1 / 3)
    assert found["shift=false"] == {
        "baseline": pytest.approx(-1 / 3), "b": pytest.approx(-1 / 3),
        "r": pytest.approx(-1 / 3), "bs": third, "rs": third, "s": third,
    }  # fmt: skip
    assert found["norm=rms x shift=false"] == {"baseline": 1, "r": -1, "rs": 1, "s": -1}


@pytest.mark.parametrize("k", [2, 3, 4, 5])
def test_a_complete_design_averages_over_all_other_cells(k):
    cells = complete(k)
    for contrast in factorial(cells)[0]:
        size = 2 ** (k - 1) if contrast.kind == "main effect" else 2 ** (k - 2)
        assert len(contrast.weights) == 2**k
        assert {abs(w) for w in contrast.weights.values()} == {1 / size}
        assert sum(contrast.weights.values()) == pytest.approx(0)


def test_a_refused_cell_leaves_every_effect_unbiased():
    """Exact recovery of known main effects and interactions from 7 of 8 cells."""
    cells = complete(3, drop="AB")
    effect = {"A": -1.0, "B": 2.0, "C": 0.5, "A x B": 3.0, "A x C": 0.0, "B x C": -4.0}
    truth = {}
    for arm, changes in cells.items():
        on = set(changes)
        truth[arm] = 90 + sum(effect[x] for x in on)
        truth[arm] += sum(effect[p] for p in effect if " x " in p and set(p.split(" x ")) <= on)
    contrasts, lost = factorial(cells)
    assert lost == ()
    for contrast in contrasts:
        pair = [part.removesuffix("=true") for part in contrast.name.split(" x ")]
        value = sum(w * truth[arm] for arm, w in contrast.weights.items())
        if len(pair) == 2:
            expected = effect[" x ".join(pair)]
        else:
            others = [p for p in effect if " x " in p and pair[0] in p]
            expected = effect[pair[0]] + sum(effect[p] for p in others) / 2
        assert value == pytest.approx(expected)


def test_a_resolution_five_fraction_tells_all_effects_apart():
    """2^(5-1) with E = ABCD: 16 cells, 5 main effects, 10 interactions."""
    cells = {}
    for bits in product((0, 1), repeat=4):
        changes = {x: True for x, bit in zip("ABCD", bits, strict=True) if bit}
        if sum(bits) % 2:
            changes["E"] = True
        cells["".join(changes) or "baseline"] = changes
    contrasts, lost = factorial(cells)
    assert (len(contrasts), lost) == (15, ())
    assert {round(abs(w), 9) for c in contrasts[:5] for w in c.weights.values()} == {0.125}
    assert {round(abs(w), 9) for c in contrasts[5:] for w in c.weights.values()} == {0.25}


def test_effects_that_are_confounded_are_named_and_not_estimated():
    cells = {k: v for k, v in complete(2).items() if k != "AB"}
    contrasts, lost = factorial(cells)
    assert lost == ("A=true", "B=true", "A=true x B=true")
    assert contrasts == ()


def test_estimates_agree_with_least_squares():
    """A 2^3 design with 3 seeds against statsmodels OLS in +-1 coding: estimates and errors."""
    rng = np.random.default_rng(4)
    cells = complete(3)
    rows = [(arm, seed, 90 + rng.standard_normal()) for arm in cells for seed in range(3)]
    table = pd.DataFrame(rows, columns=["arm", "seed", "value"])
    found = verdicts(
        table, Declaration(contrasts=factorial(cells)[0]), complete=True, method="dunnett"
    )
    ours = [c for c in found.contrasts if c.contrast.kind != "arm"]
    signs = np.array([[1 if x in cells[arm] else -1 for x in "ABC"] for arm in table.arm])
    pairs = [(0, 1), (0, 2), (1, 2)]
    columns = [np.ones(24), *signs.T, *(signs[:, i] * signs[:, j] for i, j in pairs)]
    columns.append(signs.prod(axis=1))
    fit = sm.OLS(table.value, np.stack(columns, axis=1)).fit()
    scale = np.array([2, 2, 2, 4, 4, 4])  # half-effects; an interaction is twice as much again
    assert [c.delta_pp for c in ours] == pytest.approx(scale * fit.params.to_numpy()[1:7])
    assert [c.se for c in ours] == pytest.approx(scale * fit.bse.to_numpy()[1:7])
    assert {c.df for c in ours} == {16}
    assert [c.p for c in ours] == pytest.approx(fit.pvalues.to_numpy()[1:7])


def test_each_family_has_its_own_multiplicity():
    rng = np.random.default_rng(4)
    cells = complete(3)
    rows = [(arm, seed, 90 + rng.standard_normal()) for arm in cells for seed in range(4)]
    table = pd.DataFrame(rows, columns=["arm", "seed", "value"])
    found = verdicts(table, Declaration(contrasts=factorial(cells)[0]), complete=True)
    mains = [c for c in found.contrasts if c.contrast.kind == "main effect"]
    assert max(c.p_holm / c.p for c in mains) <= 3 + 1e-9
    assert min(c.p_holm for c in mains) == pytest.approx(min(1, 3 * min(c.p for c in mains)))


def test_path_steps():
    steps = path(["baseline", "a", "a b"])
    assert [(s.name, s.kind, s.family, dict(s.weights)) for s in steps] == [
        ("baseline -> a", "step", "path", {"a": 1.0, "baseline": -1.0}),
        ("a -> a b", "step", "path", {"a b": 1.0, "a": -1.0}),
    ]


def test_designs_that_are_none():
    with pytest.raises(InputError, match="no arm of the factorial design is the baseline"):
        factorial({"a": {"x": 1}})
    with pytest.raises(InputError, match="two arms of the factorial design change the same"):
        factorial({"baseline": {}, "a": {"x": 1}, "b": {"x": 1}})


def test_switches_that_share_their_last_key_are_named_in_full():
    cells = {"baseline": {}, "a": {"model.width": 1}, "b": {"train.width": 1}}
    cells["ab"] = {"model.width": 1, "train.width": 1}
    names = [c.name for c in factorial(cells)[0]]
    assert names == ["model.width=1", "train.width=1", "model.width=1 x train.width=1"]


def test_degrees_of_freedom_of_a_weighted_contrast_by_hand():
    """Welch and Satterthwaite with weights of 1/2 and unequal variances."""
    rng = np.random.default_rng(7)
    scale = {"baseline": 1.0, "shift": 2.0, "bias": 0.5, "both": 1.5}
    values = {arm: 90 + s * rng.standard_normal(4) for arm, s in scale.items()}
    rows = [(arm, s, v) for arm, each in values.items() for s, v in enumerate(each)]
    table = pd.DataFrame(rows, columns=["arm", "seed", "value"])
    found = verdicts(
        table, Declaration(contrasts=factorial(TWO)[0]), complete=True, method="welch-holm"
    )
    (shift,) = [c for c in found.contrasts if c.contrast.kind == "main effect"][:1]
    parts = np.array([0.25 * each.var(ddof=1) / 4 for each in values.values()])
    assert shift.se == pytest.approx(parts.sum() ** 0.5)
    assert shift.df == pytest.approx(parts.sum() ** 2 / (parts**2 / 3).sum())


def test_one_and_true_are_two_levels():
    cells = {"baseline": {}, "a": {"x": 1}, "b": {"x": True}}
    assert [c.name for c in factorial(cells)[0]] == ["x=1", "x=true"]

"""Effects at equal cost: which epoch is read, and that nothing above depends on it."""

from dataclasses import replace

import pandas as pd
import pytest
from scipy.stats import t

from swinablate.report.families.equal_cost import curve_effects
from swinablate.stats import read_samples
from swinablate.stats.sample import cells
from swinablate.study.declared import declaration
from tests.answers import BASELINE, Sketch, adaptive, study

EPOCHS = 4


def made(macs: int = 2_000_000, seconds: float = 1.0, epochs: int = EPOCHS):
    """Baseline: 1 M MACs and 1 s an epoch; the arm is given; accuracy is 10 points an epoch."""
    base = replace(BASELINE, macs=1_000_000, statuses=("done",) * 6)
    answer = study([base, Sketch(name="arm", macs=macs, statuses=("done",) * 3)])
    rows = [
        {
            "arm": trial.arm, "seed": trial.seed, "trial": trial.trial, "epoch": epoch, "train_loss": 1.0,
            "val_acc": 10.0 * epoch + 0.01 * (trial.seed % 3) + (1.0 if trial.arm == "arm" else 0.0),
            "epoch_s": seconds if trial.arm == "arm" else 1.0,
            "images_per_s": 100 / (seconds if trial.arm == "arm" else 1.0),
        }
        for trial in answer.trials.itertuples()
        for epoch in range(1, (epochs if trial.arm == "arm" else EPOCHS) + 1)
    ]  # fmt: skip
    return replace(answer, curves=pd.DataFrame(rows))


def judged(answer):
    declared = declaration(answer.plan, answer.trials)
    return curve_effects(answer.plan, declared, answer.trials, answer.curves)


def effects(answer) -> dict[str, float]:
    found = judged(answer)
    assert {(e.contrast.kind, e.contrast.metric) for e in found} == {("curve", "val/accuracy")}
    return {e.contrast.name.rpartition(" ")[2]: round(e.delta_pp, 6) for e in found}


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (made(), {"epochs": 1.0, "MACs": -19.0, "seconds": 1.0}),  # 4 epochs against 2
        (made(seconds=4.0), {"epochs": 1.0, "MACs": -19.0, "seconds": -29.0}),  # 4 against 1
        (made(macs=500_000, epochs=8), {"epochs": 1.0, "MACs": 41.0, "seconds": 1.0}),
        (made(macs=1_000_000, epochs=2), {"epochs": 1.0, "MACs": 1.0, "seconds": 1.0}),
    ],
    ids=["twice the MACs", "four times as slow", "half the MACs, twice the epochs", "shorter"],
)
def test_an_arm_and_the_baseline_are_read_where_the_cheaper_ends(answer, expected):
    assert effects(answer) == expected


def third(answer, macs: int):
    """The answer with one more arm, as the other but of other cost."""
    more = answer.plan.arms[1].model_copy(update={"name": "third", "macs": macs})
    mine = {name: frame[frame.arm == "arm"].assign(arm="third")
            for name, frame in (("trials", answer.trials), ("curves", answer.curves))}  # fmt: skip
    return replace(
        answer,
        plan=answer.plan.model_copy(update={"arms": (*answer.plan.arms, more)}),
        trials=pd.concat([answer.trials, mine["trials"]], ignore_index=True),
        curves=pd.concat([answer.curves, mine["curves"]], ignore_index=True),
    )


def test_a_cheap_arm_changes_no_other_arms_difference():
    for macs in (250_000, 1_000_000, 4_000_000):
        found = {e.contrast.name: e for e in judged(third(made(macs=1_000_000), macs))}
        assert found["arm at equal MACs"].delta_pp == pytest.approx(1.0)
        assert found["arm at equal MACs"].delta_pp == found["arm at equal epochs"].delta_pp
        assert found["third at equal MACs"].delta_pp == pytest.approx(
            {250_000: 31.0, 1_000_000: 1.0, 4_000_000: -29.0}[macs]
        )
        for each in found.values():  # what was read anew is still told as the baseline's
            assert each.contrast.weights == {each.contrast.name.split()[0]: 1.0, "baseline": -1.0}


def test_a_baseline_that_is_read_twice_speaks_once_of_the_noise():
    answer = made()
    frame = answer.trials.assign(value=answer.trials.test_acc)
    samples = read_samples(frame, declaration(answer.plan, answer.trials))
    samples["baseline for arm"] = replace(samples["baseline"], again=True)
    assert cells(samples).pooled.tolist() == [True, True, False]
    third_is_wide = {e.contrast.name: e for e in judged(third(made(macs=1_000_000), 250_000))}
    each = third_is_wide["third at equal MACs"]
    assert each.ci_low < each.delta_pp < each.ci_high


def test_nothing_is_said_of_equal_seconds_where_times_do_not_compare():
    answer = made()
    declared = declaration(answer.plan, answer.trials)
    found = curve_effects(answer.plan, declared, answer.trials, answer.curves, timed=False)
    assert [e.contrast.name for e in found] == ["arm at equal epochs", "arm at equal MACs"]
    calm = {e.contrast.name: e for e in judged(answer)}  # the other questions are as they were
    assert all(calm[e.contrast.name] == e for e in found)


def test_the_three_questions_share_one_error_rate():
    answer = made()
    found = judged(answer)
    assert {e.verdict for e in found} == {"better", "worse"}
    assert min(e.p_holm for e in found) == pytest.approx(3 * min(e.p for e in found))
    for each in found:  # one arm: the interval at a third of 0.05 is Student's
        half = t.ppf(1 - 0.05 / 3 / 2, each.df) * each.se
        assert (each.ci_high - each.ci_low) / 2 == pytest.approx(half)


def test_no_effects_while_trials_are_missing_or_seeds_are_adaptive():
    answer = made()
    trials = answer.trials.assign(status=["waiting", *answer.trials.status[1:]])
    assert judged(replace(answer, trials=trials)) == []
    looked = adaptive()
    assert judged(looked) == []


def test_what_a_diverged_seed_leaves_is_too_little_of_three():
    answer = made()
    status = ["diverged" if (a, s) == ("arm", 1) else "done"
              for a, s in zip(answer.trials.arm, answer.trials.seed, strict=True)]  # fmt: skip
    found = judged(replace(answer, trials=answer.trials.assign(status=status)))
    assert {(e.verdict, e.reason) for e in found} == {
        ("undecided", "arm diverged on 1 of 3 seeds, and 3 are needed that did not")
    }

"""Training times that do not compare: how it is seen, and what is then not said."""

import json
from dataclasses import replace

import pytest

from swinablate.records.plan import HypothesisRecord
from swinablate.report import contents
from swinablate.report.families.contention import contention, timed
from swinablate.report.families.further import further
from swinablate.report.tables import arms_table, whole
from tests.answers import QUICKSTART, study

CPU = "device=cpu threads=1 type=cpu"


def made(**columns):
    answer = study(QUICKSTART[:3])
    trials = answer.trials.assign(execution=CPU, train_s=20.0, cpu_s=19.5)
    for arm, values in columns.items():
        name, numbers = values
        mine = (trials.arm == arm) & (trials.status == "done")
        trials.loc[mine, name] = (numbers * 20)[: mine.sum()]
    return replace(answer, trials=trials)


def said(answer) -> str:
    return " ".join(one.text for one in contention(answer.plan, answer.trials))


def test_calm_trials_compare() -> None:
    assert said(made()) == ""
    assert said(made(baseline=("train_s", [19.5, 19.6, 15.7]))) == ""  # 1.25
    assert said(made(baseline=("cpu_s", [18.1]))) == ""


def test_seeds_that_differ_in_time_name_their_arm() -> None:
    text = said(made(baseline=("train_s", [20.0, 60.0])))
    assert (
        "the seeds of baseline do the same work and took 20 s to 1 min, 3.0 times as long" in text
    )


def test_a_trial_that_waits_for_a_processor_is_named_and_one_on_a_gpu_is_not() -> None:
    answer = made(baseline=("cpu_s", [9.0]))
    assert "the trials of baseline were on a processor for 45 %" in said(answer)
    on_gpu = answer.trials.assign(execution=CPU.replace("type=cpu", "type=cuda"))
    assert said(replace(answer, trials=on_gpu)) == ""


def test_seeds_that_trained_as_one_have_no_times_of_their_own() -> None:
    answer = made()
    for together, many in ((1, 0), (5, 1), (16, 1)):
        fused = CPU.replace("device=cpu", f"device=cpu fused={together}")
        text = said(replace(answer, trials=answer.trials.assign(execution=fused)))
        assert text.count("trials trained as one with others") == many
        assert "Other programs" not in text
    assert "--fuse off" in text


def test_records_without_processor_time_withhold_nothing_on_that_ground() -> None:
    answer = made()
    older = replace(answer, trials=answer.trials.assign(cpu_s=None))
    assert said(older) == ""
    page = contents(older)["index.html"].decode()
    assert "no processor time was recorded" not in page  # no table that speaks of seconds
    slow = made(baseline=("train_s", [20.0, 60.0]))
    assert said(replace(slow, trials=slow.trials.assign(cpu_s=None))) != ""


def test_what_does_not_compare_is_withheld_in_tables_page_and_markdown() -> None:
    answer = made(baseline=("train_s", [20.0, 60.0]))
    (warning,) = contention(answer.plan, answer.trials)
    told = [*answer.verdicts["warnings"], {"code": warning.code, "text": warning.text}]
    contended = replace(answer, verdicts={**answer.verdicts, "warnings": told})
    assert timed(answer.verdicts["warnings"])
    assert not timed(told)
    for one, shown in ((answer, True), (contended, False)):
        arms = arms_table(whole(one))
        assert arms.images_per_s.notna().any() == arms.train_s.notna().any() == shown
        assert arms.peak_mib.notna().any()
        files = {name: data.decode() for name, data in contents(one).items()}
        assert ("train img/s" in files["index.html"]) == ("train img/s" in files["report.md"])
        assert ("train img/s" in files["index.html"]) == shown
        assert ("withheld: see W28" in files["report.md"]) != shown
        assert "20.0" in files["tables/trials.csv"]  # what was measured stays


@pytest.mark.parametrize("steady", [True, False])
def test_a_hypothesis_about_time_is_not_answered_from_times_that_do_not_compare(steady) -> None:
    answer = made()
    asked = [
        HypothesisRecord(arm="shift=false", expect="worse", by=1.0, quantity=name)
        for name in ("train_s", "peak_mib")
    ]
    plan = answer.plan.model_copy(update={"hypotheses": tuple(asked)})
    trials = answer.trials.assign(train_s=[20.0 + 0.1 * i for i in range(len(answer.trials))])
    found = further(plan, trials, timed=steady)["quantities"]
    json.dumps(found)
    time, memory = (next(b for b in found if b["metric"] == m) for m in ("train_s", "peak_mib"))
    assert all((arm["delta_pp"] is not None) == steady for arm in time["arms"])
    assert all(("W28" in (arm["reason"] or "")) != steady for arm in time["arms"])
    assert all("W28" not in (arm["reason"] or "") for arm in memory["arms"])

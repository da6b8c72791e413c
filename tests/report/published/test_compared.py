"""What a report says beside what packs say."""

import json

import pytest

from swinablate.errors import InputError
from swinablate.report.published import load_packs, of_folder, reproduced
from tests.study.shipped import ROOT

PACK = """\
title = "A paper"
source = "a paper"
read = "it"
[[tables]]
name = "T"
section = "s"
decimals = 1
rows = { new = 80.0, old = 81.0 }
setting = { data = "D", network = "N", training = "300 epochs", runs = 1 }
[[claims]]
name = "new is worse"
table = "T"
row = "new"
against = "old"
asked = [{ study = "mine", ABOUT, differs = "much" }]
"""
PLAN = {
    "study": "mine",
    "arms": [
        {
            "name": "baseline",
            "params": 1234,
            "seeds": list(range(6)),
            "recipe": {
                "model": {"family": "swin"},
                "data": {"name": "digits"},
                "train": {"steps": None, "epochs": 15},
            },
        },
        {"name": "new", "seeds": [0, 1, 2]},
    ],
    "refusals": [{"name": "gone", "reason": "it cannot be built", "same_as": None}],
}


def judged(name="new", low=-1.3, high=-0.8, **more):
    inside = {"equivalence_low": low, "equivalence_high": high}
    middle = {"delta_pp": (low + high) / 2, "ci_low": low, "ci_high": high}
    return {"name": name, "verdict": "worse", "reason": None, **middle, **inside, **more}


@pytest.fixture
def rows(tmp_path):
    """The rows of a pack about one comparison."""

    def make(*arms, about='arm = "new"', measure="", plan=PLAN, study="mine", **more):
        text = PACK.replace("ABOUT", about)
        (tmp_path / "p.toml").write_text(text.replace("decimals = 1", f"decimals = 1\n{measure}"))
        verdicts = {"metric": "test/accuracy", "rope_pp": 0.5, "arms": arms, **more}
        return reproduced(study, verdicts, plan, load_packs(tmp_path))

    return make


def test_a_claim_stands_beside_what_was_found(rows):
    (row,) = rows(judged())
    assert (row.published, row.margin, row.published_unit) == (-1.0, pytest.approx(0.1), "pp")
    assert (row.ours, row.ci_low, row.ci_high) == (-1.05, -1.3, -0.8)
    assert (row.sign, row.size, row.answer) == ("agrees", "agrees", "reproduced")
    assert row.source == "a paper, T, s"
    assert row.setting == (
        "N, D, 300 epochs, 1 seed; here swin of 1,234 parameters, digits, 15 epochs, 3 seeds"
    )
    assert (row.differs, row.why) == ("much", "")
    assert json.loads(json.dumps(row.to_json()))["answer"] == "reproduced"


def test_a_variant_is_the_study_that_it_is_of(rows):
    assert rows(judged(), study="mine@train.epochs=3")
    assert not rows(judged(), study="other")


@pytest.mark.parametrize(
    ("arm", "why"),
    [
        (judged(verdict="pending"), "pending"),
        (judged(ci_low=None, verdict="not tested", reason="2 seeds"), "2 seeds"),
        (judged("other"), "the study as it was run has no such comparison"),
    ],
)
def test_what_has_no_verdict_resolves_nothing(rows, arm, why):
    (row,) = rows(arm)
    assert (row.ours, row.answer, row.why) == (None, "not resolved", why)


def test_an_arm_that_was_refused_says_why(rows):
    (row,) = rows(judged(), about='arm = "gone"')
    assert row.why == "not run, because it cannot be built"


def test_a_contrast_is_that_of_the_metric_and_not_of_the_curve(rows):
    curve = judged("gap", 5.0, 6.0, metric="val/accuracy")
    own = judged("gap", metric="test/accuracy")
    (row,) = rows(about='contrast = "gap"', contrasts=[curve, own])
    assert row.ours == -1.05


def test_errors_are_compared_as_accuracies(rows):
    (row,) = rows(judged(low=0.8, high=1.3), measure='measure = "error"')
    assert (row.published, row.answer) == (1.0, "reproduced")


def test_of_hours_translations_and_odds_the_sign_alone_is_compared(rows):
    block = {"metric": "train_s", "unit": "s", "arms": [judged(low=-900.0, high=-800.0)]}
    about = 'arm = "new", quantity = "train_s"'
    (row,) = rows(judged(), about=about, measure='measure = "hours"', quantities=[block])
    assert (row.size, row.answer, row.published_unit) == ("not compared", "sign only", "hours")
    assert (row.unit, row.metric) == ("s", "train_s")
    (row,) = rows(judged(), measure='measure = "bleu"')
    assert (row.size, row.answer, row.published_unit) == ("not compared", "sign only", "BLEU")
    (row,) = rows(judged(), unit="log odds")
    assert (row.size, row.answer) == ("not compared", "sign only")
    (row,) = rows(judged(), about=about, measure='measure = "hours"')
    assert row.why  # the quantity was not recorded


def test_a_commanded_study_has_no_network_to_tell(rows):
    arms = [{"name": "baseline", "seeds": [0, 1, 2], "recipe": {"command": {}}}]
    (row,) = rows(judged(), plan=PLAN | {"arms": arms})
    assert row.setting.endswith("; here 3 seeds")


def test_the_shipped_report_is_read():
    norm, shift, bias = of_folder(ROOT / "reports" / "quickstart")
    assert (norm.sign, norm.answer) == ("opposite", "contradicted")
    assert (shift.sign, shift.size, shift.answer) == ("agrees", "larger", "sign only")
    assert bias.answer == "not resolved"


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"metric": "a"}'])
def test_what_is_no_report_is_refused(tmp_path, text):
    for name in ("verdicts.json", "plan.json") if text else ():
        (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match="no report can be read here") as said:
        of_folder(tmp_path)
    assert said.value.at == str(tmp_path)


def test_more_accuracy_is_less_of_a_loss(rows):
    """Accuracy fell by a point where they were; a loss that rises here agrees."""
    more = {"metric": "test/loss", "unit": "nats", "better": "lower"}
    assert rows(judged(low=0.2, high=0.4), **more)[0].answer == "sign only"
    assert rows(judged(low=-0.4, high=-0.2), **more)[0].answer == "contradicted"
    odds = {"unit": "log odds"}
    assert rows(judged(low=-0.4, high=-0.2), **odds)[0].answer == "sign only"

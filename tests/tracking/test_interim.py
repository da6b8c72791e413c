"""What a summary shows of an arm while seeds are missing, its state, its colour."""

import pytest

from swinablate.text import LOG_ODDS
from swinablate.tracking import interim
from swinablate.tracking.cards import ArmCard, StudyCard
from swinablate.tracking.text import mean_and_sd, numbers, plain, summary


def study(metric="test/accuracy", **families):
    arms = {
        name: ArmCard(planned=4, recipe={"model": {"family": family}}, params=7)
        for name, family in families.items()
    }
    return StudyCard(
        name="s", dataset="d", declaration="0", question="?", commit=None, varied=(), arms=arms,
        metric=metric,
    )  # fmt: skip


def ended(status="done", **metrics):
    return {"status": status, "metrics": {f"test/{key}": value for key, value in metrics.items()}}


def test_seeds_that_are_lost_are_counted_and_not_averaged():
    found = interim.row(
        study(a="swin"), "a", [ended(accuracy=90.0), ended(accuracy=92.0), ended("diverged")]
    )
    assert (found["n"], found["mean"], found["diverged"], found["failed"]) == (2, 91.0, 1, 0)
    assert found["sd"] == pytest.approx(2**0.5)
    assert not {"delta_pp", "ci_low", "ci_high"} & found.keys()
    assert interim.done(study(a="swin"), found) == "2 of 4"


def test_another_metric_is_averaged_in_its_own_unit():
    found = interim.row(study("test/loss", a="swin"), "a", [ended(loss=0.5, accuracy=90.0)])
    assert (found["mean"], found["sd"], found["unit"]) == (0.5, None, "nats")
    both = [ended(loss=0.0012), ended(loss=0.0014)]
    found = interim.row(study("test/loss", a="swin"), "a", both)
    assert summary(found)["mlflow.note.content"].startswith(
        "pending: 0.00130 \N{PLUS-MINUS SIGN} 0.00014 nats"
    )


def test_where_splits_are_judged_seeds_are_counted():
    arm = {"name": "a", "n": 2, "runs": 4, "verdict": "better", "mean": 90.0, "sd": 0.5}
    assert interim.done(study(a="swin"), arm) == "4 of 4"
    assert "(n = 2 splits)" in summary(arm)["mlflow.note.content"]


def test_log_odds_are_not_called_an_accuracy():
    arm = {"name": "a", "n": 2, "unit": LOG_ODDS, "mean": 2.34, "sd": 0.05}
    assert numbers(arm) == {"metric_mean": 2.34, "metric_std": 0.05, "n": 2.0}
    assert mean_and_sd("test/accuracy", LOG_ODDS) == ("metric_mean", "metric_std")


@pytest.mark.parametrize(
    ("verdict", "n", "lost", "state"),
    [
        ("pending", 1, 0, "SCHEDULED"),
        ("pending", 0, 0, "SCHEDULED"),
        ("pending", 0, 2, "FAILED"),
        ("fails to train", 2, 2, "FAILED"),
        ("undecided", 0, 3, "FAILED"),
        ("baseline", 0, 1, "FAILED"),
        ("baseline", 3, 0, "FINISHED"),
        ("worse", 3, 0, "FINISHED"),
    ],
)
def test_only_a_result_is_green(verdict, n, lost, state):
    assert interim.state({"verdict": verdict, "n": n, "diverged": lost}) == state


def test_families_differ_in_hue_and_arms_of_one_in_lightness():
    card = study(a="swin", b="swin", c="vit")
    found = [interim.colour(card, arm)["mlflow.runColor"] for arm in "abc"]
    assert len(set(found)) == 3
    red, _, blue = (int(found[0][i : i + 2], 16) for i in (1, 3, 5))
    assert blue > red  # blue, as the baseline's family is first
    red, _, blue = (int(found[2][i : i + 2], 16) for i in (1, 3, 5))
    assert red > blue
    assert interim.colour(card, "unknown") == {}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("-1.2 pp [-1.7, -0.7], worse (n = 5)", "-1.2 pp [-1.7, -0.7], worse (n = 5)"),
        ("position_bias=none", "position_bias=none"),
        ("<img src=x>", "\\<img src=x>"),
        ("[a](javascript:x)", "[a\\](javascript:x)"),
        ("*a* `b` _c_ ~~d~~", "\\*a\\* \\`b\\` \\_c\\_ \\~\\~d\\~\\~"),
        ("# a\n# b", "\\# a # b"),
        ("- a", "\\- a"),
        ("&lt;b>", "\\&lt;b>"),
        ("1. a", "1\\. a"),
        ("![a][b]", "\\![a\\][b]"),
    ],
)
def test_only_what_markdown_would_read_is_escaped(text, shown):
    assert plain(text) == shown

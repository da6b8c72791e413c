"""What two plans declare otherwise, in words."""

from swinablate.cli.differences import differences, told
from swinablate.records.plan import ArmRecord, HypothesisRecord, LookRecord, PlanRecord


def arm(name, trials="abc", seeds=(0, 1, 2), **recipe):
    model = {"family": "swin", "width": 8} | recipe.pop("model", {})
    return ArmRecord(
        name=name, seeds=seeds, trials=tuple(trials), recipe={"model": model} | recipe
    )


def planned(*arms, **fields):
    return PlanRecord(**{"question": "?", "axes": {}, "arms": arms} | fields)


BASE = planned(arm("baseline"), arm("x", "def"))


def test_the_same_differs_in_nothing_whatever_is_expected_of_it():
    now = BASE.model_copy(update={"reused": 6, "detectable_pp": 0.3, "study": "other"})
    assert differences(BASE, now) == []


def test_declared_fields_are_named_with_both_values():
    now = planned(
        *BASE.arms,
        question="!",
        compare={"rope": 0.5},
        hypotheses=(HypothesisRecord(arm="x", expect="worse", source="Somebody"),),
        looks=(LookRecord(seeds=4), LookRecord(seeds=8)),
        budget={"hours": 2},
    )
    was = planned(*BASE.arms, compare={}, hypotheses=(), budget={})
    assert differences(was, now) == [
        'question: "?" -> "!"',
        "compare.rope: null -> 0.5",
        'hypotheses: [] -> [{"arm": "x", "expect": "worse", "by": 0.0, "source": "So...',
        "budget.hours: null -> 2.0",
        "looks: [] -> [4, 8]",
    ]


def test_what_an_older_record_lacks_is_not_compared():
    old = PlanRecord(arms=(ArmRecord(name="baseline"), ArmRecord(name="x")))
    assert differences(old, BASE.model_copy(update={"design": "factorial"})) == []
    now = planned(arm("baseline", train={"lr": 1, "new": 2}), arm("x", "def"))
    was = planned(arm("baseline", "xyz", train={"lr": 3}), arm("x", "def"))
    assert differences(was, now) == ["baseline: train.lr: 3 -> 1"]


def test_arms_are_new_gone_or_changed_and_many_are_counted():
    many = [arm(f"n{number}", "ghi") for number in range(5)]
    assert differences(BASE, planned(arm("baseline"), *many)) == [
        "gone: x", "new: n0, n1, n2 and 2 more",
    ]  # fmt: skip
    now = planned(
        arm("baseline", "ABC", model={"width": 16}), arm("x", "DEF", model={"width": 16})
    )
    assert differences(BASE, now) == ["all arms: model.width: 8 -> 16"]
    now = planned(arm("baseline"), arm("x", "DEF", model={"width": 16}))
    assert differences(BASE, now) == ["x: model.width: 8 -> 16"]


def test_another_family_is_named_without_its_fields():
    now = planned(arm("baseline"), arm("x", "DEF", model={"family": "vit", "width": 9}))
    assert differences(BASE, now) == ['x: model.family: "swin" -> "vit"']


def test_seeds_are_counted_or_listed_and_equal_trials_are_no_change_of_the_recipe():
    more = planned(arm("baseline", "abcd", (0, 1, 2, 3)), arm("x", "def"))
    assert differences(BASE, more) == ["baseline: seeds 3 -> 4"]
    other = planned(arm("baseline", "xyz", (7, 8, 9)), arm("x", "def"))
    assert differences(BASE, other) == ["baseline: seeds 3 -> [7, 8, 9]"]


def test_trials_that_differ_for_no_visible_reason_are_told_as_that():
    start = {"start": {"weights": "/old/w.pt", "sha256": "1"}}
    moved = {"start": {"weights": "/new/w.pt", "sha256": "1"}}
    was = planned(arm("baseline", **start), arm("x", "def"))
    assert differences(was, planned(arm("baseline", **moved), arm("x", "def"))) == []
    assert differences(was, planned(arm("baseline", "ABC", **moved), arm("x", "def"))) == [
        "baseline: other weights, or other code of a network"
    ]


def test_an_error_shows_the_first_lines_and_counts_the_rest():
    assert told(["a", "b"]) == "a; b"
    assert told(list("abcdefgh")) == "a; b; c; d; e; f; 2 more"

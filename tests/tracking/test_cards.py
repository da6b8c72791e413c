"""What MLflow is told of a study and of a trial, from the recorded plan alone."""

import pytest

from swinablate.records.launch import Launch
from swinablate.records.plan import ArmRecord, CompareRecord, PlanRecord, Row, StartRecord
from swinablate.records.scale import DatasetsRecord, ScaleRecord
from swinablate.records.tuning import TuneRecord
from swinablate.tracking.cards import study_card, trial_card
from swinablate.tracking.text import cut

RECIPE = {"data": {"name": "digits"}, "start": {"weights": "{seed}.pt", "head": "new"}}
BASE = ArmRecord(name="baseline", recipe=RECIPE)


def test_a_study_varies_what_its_arms_change_and_what_is_tuned_each_once():
    plan = PlanRecord(
        study="s",
        question="?",
        declaration="d",
        arms=(
            BASE,
            ArmRecord(name="a", changes={"model.shift": False, "train.lr": 0.1}),
            ArmRecord(name="b", changes={"model.norm": "batch", "model.shift": False}),
        ),
        tune=TuneRecord(trials=2, space={"train.lr": [0.1, 0.2], "train.clip": [0.0, 5.0]}),
    )
    card = study_card(plan, Launch(study="s.toml"))
    assert card.varied == ("model.shift", "train.lr", "model.norm", "train.clip")
    assert (card.name, card.dataset, card.question) == ("s", "digits", "?")
    assert (card.declaration, card.launch.study) == ("d", "s.toml")
    assert card.unit == "pp"
    odds = plan.model_copy(update={"compare": CompareRecord(scale="logit")})
    assert study_card(odds, Launch(study="s.toml")).unit == "log odds"


def test_arms_at_other_places_than_home_know_where_and_what_they_are_called_there():
    names = ("baseline", "a", "baseline at width=48", "a at width=48")
    arms = tuple(BASE.model_copy(update={"name": name}) for name in names)
    at = {"width=24": ("baseline", "a"), "width=48": ("baseline at width=48", "a at width=48")}
    places = [
        {"label": label, "changes": {}, "value": 1.0, "arms": {"baseline": base, "a": arm}}
        for label, (base, arm) in at.items()
    ]
    scale = ScaleRecord(by="params", home="width=24", rungs=places)
    sets = DatasetsRecord(
        home="width=24", sets=[{k: v for k, v in one.items() if k != "value"} for one in places]
    )
    plan = PlanRecord(study="s", question="?", declaration="d", arms=arms)
    for several in ({"scale": scale}, {"datasets": sets}):
        found = study_card(plan.model_copy(update=several), Launch()).arms
        assert [(card.place, card.home_name) for card in found.values()] == [
            ("", ""), ("", ""), ("width=48", "baseline"), ("width=48", "a"),
        ]  # fmt: skip
    assert {card.place for card in study_card(plan, Launch()).arms.values()} == {""}


@pytest.mark.parametrize(
    ("basis", "number", "kind"),
    [("fixed", None, "final"), ("tuned", 3, "tuned"), ("try", 3, "tune")],
)
def test_a_trial_says_at_which_recipe_it_counts(basis, number, kind):
    arm = BASE.model_copy(update={"params": 7, "macs": 9, "changes": {"model.shift": False}})
    card = trial_card(Row(arm, 4, "t", basis, number), reused=True)
    assert (card.kind, card.number, card.reused) == (kind, number, True)
    assert (card.trial, card.arm, card.seed) == ("t", "baseline", 4)
    assert (card.params, card.macs, card.changes) == (7, 9, {"model.shift": False})
    assert card.recipe == RECIPE


@pytest.mark.parametrize(
    ("basis", "weights"), [("fixed", "1.pt"), ("tuned", "1.pt"), ("try", "tune1.pt")]
)
def test_a_trial_names_the_file_of_weights_that_its_own_seed_starts_from(basis, weights):
    starts = {
        "final": {str(k): StartRecord(weights=f"{k}.pt", sha256=f"{k}") for k in (0, 1)},
        "tune": {"1": StartRecord(weights="tune1.pt", sha256="x")},
    }
    arm = BASE.model_copy(update={"starts": starts})
    start = trial_card(Row(arm, 1, "t", basis), reused=False).recipe["start"]
    assert (start["weights"], start["head"]) == (weights, "new")
    assert trial_card(Row(arm, 2, "t", basis), reused=False).recipe == RECIPE


def test_what_no_store_takes_is_written_out():
    assert cut("a\0b \udcff ü") == "a\\x00b \\udcff ü"
    assert cut("x" * 6000) == "x" * 4997 + "..."

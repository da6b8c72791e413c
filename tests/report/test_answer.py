"""From records to verdicts: what is judged is what was recorded."""

import re
from pathlib import Path
from statistics import mean

import pytest

from swinablate.cli.app import main
from swinablate.records.home import Home
from swinablate.records.outcome import Outcome
from swinablate.records.tables import curves_table, trials_table
from swinablate.report.answer import gather
from swinablate.report.families.total import families, total_error
from swinablate.report.prose import checklist
from swinablate.study.arms.designs import SHOWS
from swinablate.study.files import load_study
from swinablate.study.noise.expected import Noise, expected_noise
from swinablate.study.plan_record import plan_record
from swinablate.study.planner import plan
from swinablate.text import EXACT
from tests.conftest import STUDY

WOBBLE = (0.0, 0.4, -0.3, 0.1, -0.2)
EFFECTS = ("main effect", "interaction")
FACTORIAL = STUDY.replace(
    "seeds = 3\nbaseline_seeds = 3", 'seeds = 5\nbaseline_seeds = 5\ndesign = "factorial"'
)


def recorded(home: Home, study: Path, accuracy, status=lambda trial: "done", execution=None):
    """Declare a study and record made-up results: `accuracy(arm)` plus a wobble by seed."""
    made = plan(load_study(study))
    home.create()
    home.declare(plan_record(made, {}, Noise(None, "")))
    for trial in made.trials:
        how = status(trial)
        if how == "waiting":
            continue
        arm = next(a for a in made.arms if a.name == trial.arm)
        value = accuracy(arm) + WOBBLE[trial.seed % 5] * (1 + 0.1 * len(trial.arm))
        home.begin(trial.id)
        home.commit(
            Outcome(
                trial=trial.id, seed=trial.seed, kind="final", attempt=1, status=how,
                recipe=trial.recipe.model_dump(mode="json"), image={},
                metrics={"test/accuracy": value, "val/accuracy": value - 1} if how == "done" else {},
                curve=({"epoch": 1, "train/loss": 1.0, "val/accuracy": 50.0, "time/epoch_s": 2.0,
                        "time/images_per_s": 9.0},),
                execution=execution(trial) if execution else {"device": "CPU", "torch": "2"},
                predictions={"sha256": f"{trial.id}", "images": 540} if how == "done" else {},
                failure=None if how == "done" else {"kind": "nan", "message": "?"},
                started_at=1000, finished_at=4000,
            )
        )  # fmt: skip
    return made


@pytest.fixture
def home(tmp_path):
    return Home(tmp_path / "home")


def test_verdict_of_a_recorded_study(home, write):
    study = write(STUDY.replace("seeds = 3\nbaseline_seeds = 3", "seeds = 5\nbaseline_seeds = 5"))
    recorded(home, study, lambda arm: 90.0 - 6.0 * bool(arm.changes))
    answer = gather(home, "study")
    (arm,) = answer.verdicts["arms"]
    assert (arm["name"], arm["n"], arm["verdict"]) == ("shift=false", 5, "worse")
    assert arm["delta_pp"] == pytest.approx(-6.0, abs=0.1)
    assert answer.provenance["hours"] == pytest.approx(10 * 3 / 3600, abs=1e-4)
    assert len(answer.curves) == 10
    assert answer.curves.epoch_s.tolist() == [2.0] * 10


def test_unfinished_study_has_intervals_and_no_verdicts(home, write):
    study = write(STUDY.replace("seeds = 3\nbaseline_seeds = 3", "seeds = 5\nbaseline_seeds = 5"))
    recorded(home, study, lambda arm: 90.0, lambda t: "waiting" if t.seed == 4 else "done")
    (arm,) = gather(home, "study").verdicts["arms"]
    assert arm["verdict"] == "pending"
    assert arm["ci_low"] < 0 < arm["ci_high"]


def test_a_diverged_seed_is_counted_and_the_rest_is_judged(home, write):
    study = write(STUDY.replace("seeds = 3\nbaseline_seeds = 3", "seeds = 5\nbaseline_seeds = 5"))
    recorded(
        home,
        study,
        lambda arm: 90.0 - 9.0 * bool(arm.changes),
        lambda t: "diverged" if t.arm != "baseline" and t.seed == 1 else "done",
    )
    answer = gather(home, "study")
    (arm,) = answer.verdicts["arms"]
    assert (arm["n"], arm["diverged"], arm["verdict"]) == (4, 1, "worse")
    assert arm["given_convergence"]
    assert arm["worst_low"] == pytest.approx(
        0.8 * arm["mean"] - answer.verdicts["baseline"]["mean"]
    )
    assert (answer.trials.status == "diverged").sum() == 1
    assert answer.provenance["hours_failed"] > 0


def crossed(home, write, axes, fails):
    """A recorded factorial study whose named cells diverge on every seed."""
    study = write(FACTORIAL + axes)

    def accuracy(arm):
        shift, norm = "model.shift" in arm.changes, "model.norm" in arm.changes
        return 90 - 4 * shift + 2 * norm

    recorded(home, study, accuracy, lambda t: "diverged" if fails(t) else "done")
    found = gather(home, "study").verdicts
    return found, {c["name"]: c for c in found["contrasts"] if c["kind"] in EFFECTS}


def test_a_factorial_loses_the_cell_that_fails_to_train_and_not_every_effect(home, write):
    """2 x 2 x 2 with two-way interactions: seven cells still tell them apart."""
    cell = "shift=false, norm=batch, position_bias=none"
    axes = '"model.norm" = ["batch"]\n"model.position_bias" = ["none"]\n'
    found, effects = crossed(home, write, axes, lambda t: t.arm == cell)
    arms = {arm["name"]: arm["verdict"] for arm in found["arms"]}
    assert [name for name, word in arms.items() if word == "fails to train"] == [cell]
    assert len(effects) == 6
    assert all(cell not in c["weights"] for c in effects.values())
    assert not any("given_convergence" in c for c in effects.values())
    assert effects["shift=false"]["verdict"] == "worse"
    assert effects["shift=false"]["delta_pp"] == pytest.approx(-4, abs=0.2)
    assert effects["norm=batch"]["delta_pp"] == pytest.approx(2, abs=0.2)
    (text,) = [w["text"] for w in found["warnings"] if w["code"] == "W14"]
    assert text.startswith(f"{cell}: left out of the design's effects, for it fails to train")
    assert found["methods"].startswith(
        f"A factorial design without {cell}, which failed to train, shows what each switch does, "
        "and whether the effect of one depends on another, only if no three switches act together"
    )
    assert SHOWS["factorial"] not in found["methods"]
    assert families(found) == [
        "the arms against the baseline",
        "the main effects",
        "the interactions",
        "validation accuracy along the curve",
        "how often arms diverge",
    ]


def test_the_error_over_all_families_is_said_once_and_adds_up(home, write):
    study = write(FACTORIAL + '"model.norm" = ["batch"]\n')
    recorded(home, study, lambda arm: 90.0)
    asked = {q: said for q, said, _ in checklist(gather(home, "study"))}
    assert asked["Error over all families"] == (
        "4 families, each at alpha = 0.05 (the arms against the baseline; the main effects; the "
        "interactions; validation accuracy along the curve): by chance some word of the report "
        "would be wrong in at most 20 % of such studies"
    )


def test_one_family_has_its_own_error_and_no_bound_exceeds_certainty():
    one = {
        "contrasts": [{"family": "arms"}],
        "alpha": 0.1,
        "arms": [],
        "baseline": {"diverged": 0},
    }
    assert total_error(one) == (
        "1 family at alpha = 0.1 (the arms against the baseline): by chance some word of the "
        "report would be wrong in at most 10 % of such studies"
    )
    further = {
        "secondary": [
            {"metric": "test/loss", "method": "Welch t", "contrasts": [{"family": "contrasts"}]}
        ],
        "quantities": [
            {"metric": "params", "method": EXACT, "contrasts": []},
            {"metric": "train_s", "method": "t", "contrasts": []},
        ],
    }
    many = {**one, "alpha": 0.4, **further}
    assert families(many) == [
        "the arms against the baseline",
        "test/loss",
        "test/loss of the declared contrasts",
        "train_s",
    ]
    assert total_error(many).endswith("in at most 100 % of such studies")


def test_effects_that_need_the_failing_cell_say_so(home, write):
    cell = "shift=false, norm=batch"
    found, effects = crossed(home, write, '"model.norm" = ["batch"]\n', lambda t: t.arm == cell)
    assert {c["verdict"] for c in effects.values()} == {"undecided"}
    assert {c["reason"].split(":")[0] for c in effects.values()} == {f"{cell} fails to train"}
    assert not [w for w in found["warnings"] if w["code"] == "W14"]


def test_one_diverged_seed_of_one_cell_leaves_every_effect(home, write):
    cell = "shift=false, norm=batch"
    _, effects = crossed(
        home, write, '"model.norm" = ["batch"]\n', lambda t: t.arm == cell and t.seed == 1
    )
    assert effects["shift=false"]["verdict"] == "worse"
    assert all(c["given_convergence"] for c in effects.values())


def test_factorial_study_estimates_main_effects_and_interactions(home, write):
    study = write(FACTORIAL + '"model.norm" = ["batch"]\n')

    def accuracy(arm):
        shift, norm = "model.shift" in arm.changes, "model.norm" in arm.changes
        return 90 - 4 * shift + 2 * norm - 3 * (shift and norm)

    recorded(home, study, accuracy)
    contrasts = {c["name"]: c for c in gather(home, "study").verdicts["contrasts"]}
    main = {n: c["delta_pp"] for n, c in contrasts.items() if c["kind"] == "main effect"}
    assert main["shift=false"] == pytest.approx(-5.5, abs=0.2)
    assert main["norm=batch"] == pytest.approx(0.5, abs=0.2)
    ((name, both),) = [(n, c) for n, c in contrasts.items() if c["kind"] == "interaction"]
    assert both["delta_pp"] == pytest.approx(-3.0, abs=0.2)
    assert both["family"] == "interactions"
    assert both["verdict"] == "worse", name


def test_alias_lends_its_results_to_the_factorial_analysis(home, write):
    """Without a shift the mask does nothing: that cell is the same network."""
    study = write(FACTORIAL + '"model.shift_mask" = ["none"]\n')
    made = recorded(home, study, lambda arm: 90.0 - 4.0 * ("model.shift" in arm.changes))
    assert [(r.name, r.same_as) for r in made.refusals] == [
        ("shift=false, shift_mask=none", "shift=false")
    ]
    contrasts = {c["name"]: c for c in gather(home, "study").verdicts["contrasts"]}
    main = {n: c for n, c in contrasts.items() if c["kind"] == "main effect"}
    assert main["shift=false"]["delta_pp"] == pytest.approx(-4.0, abs=0.2)
    assert set(main["shift=false"]["weights"]) <= {"baseline", "shift=false", "shift_mask=none"}
    assert main["shift_mask=none"]["weights"] == {"baseline": -0.5, "shift_mask=none": 0.5}


def test_warnings_that_need_more_than_accuracies(home, write, tmp_path):
    study = write(STUDY.replace('"model.shift" = [false]', '"model.width" = [16]'))
    recorded(home, study, lambda arm: 90.0)
    write(STUDY.replace('"model.shift" = [false]', '"model.width" = [16]\n"model.norm" = ["rms"]'))
    recorded(home, study, lambda arm: 90.0, execution=lambda t: {"device": f"CPU {t.seed % 2}"})
    codes = {w["code"]: w["text"] for w in gather(home, "study").verdicts["warnings"]}
    assert "2 declarations" in codes["W8"]
    said = r"width=16: \+\d+ % parameters, \+\d+ % MACs: not an iso-cost comparison\."
    assert re.fullmatch(said, codes["W10"])
    assert codes["W11"] == "trials ran under 2 execution classes: device=CPU 0; device=CPU 1"


def test_tables_have_a_row_for_every_planned_trial_and_epoch(home, write):
    made = recorded(home, write(), lambda arm: 90.0, lambda t: "waiting" if t.seed else "done")
    declared = home.declared("study")
    found = home.outcomes(t.id for t in made.trials)
    trials = trials_table(declared, found)
    assert trials.status.tolist().count("waiting") == 4
    assert trials[trials.status == "done"].test_acc.notna().all()
    assert len(curves_table(declared, found)) == 2


def test_noise_comes_from_the_file_then_from_records_then_from_nobody(home, write):
    made = plan(load_study(write(STUDY + "\n[compare]\nsd = 0.7\n")))
    assert expected_noise(made, home) == Noise(0.7, "compare.sd in the study file")
    made = recorded(
        home, write(swap=("baseline_seeds = 3", "baseline_seeds = 5")), lambda arm: 90.0
    )
    found = expected_noise(made, home)
    baseline = [1.8 * wobble for wobble in WOBBLE]  # as `recorded` has it, by length of the name
    shift = [2.1 * wobble for wobble in WOBBLE[:3]]
    squares = [(v - mean(arm)) ** 2 for arm in (baseline, shift) for v in arm]
    assert found.sd == pytest.approx((sum(squares) / (5 - 1 + 3 - 1)) ** 0.5)
    assert found.source == "8 recorded trials of 2 recipes on digits"
    other = plan(load_study(write(), ["data.limit=64"]))
    assert expected_noise(other, home).sd is None
    assert plan_record(other, {}, expected_noise(other, home)).detectable_pp is None
    assert plan_record(made, {}, found).detectable_pp > 0


@pytest.mark.parametrize("case", [("fixed", 90.1), ("adaptive", 100.0), ("factorial", 100.0)])
def test_where_no_seed_differs_the_smallest_effect_is_unknown_and_everything_goes_on(
    home, write, capsys, monkeypatch, case
):
    """Easy data: every seed at 100 %. No study on that data may be locked out of its home."""
    design, value = case
    text = {
        "fixed": STUDY,
        "adaptive": STUDY.replace(
            "seeds = 3\nbaseline_seeds = 3", "[adaptive]\nlooks = [3, 5, 8]"
        ),
        "factorial": FACTORIAL + '"model.norm" = ["batch"]\n',
    }[design]
    study = write(text)
    monkeypatch.setattr("tests.report.test_answer.WOBBLE", (0.0,) * 5)
    made = recorded(home, study, lambda arm: value)
    assert main(["plan", str(study), "--home", str(home.root)]) == 0
    trials = len(made.trials)
    assert f"unknown: no seed of {trials} recorded trials" in " ".join(
        capsys.readouterr().out.split()
    )
    # What `run` declares before it trains anything.
    planned = plan_record(
        made, home.outcomes(t.id for t in made.trials), expected_noise(made, home)
    )
    assert planned.detectable_pp is None
    assert {look.detectable_pp for look in planned.looks} <= {None}
    assert planned.effects_pp == {}
    home.declare(planned)
    assert {arm["verdict"] for arm in gather(home, "study").verdicts["arms"]} == {"undecided"}
    # More seeds of it, and other networks on the same images.
    more = ["study.seeds=5", "study.baseline_seeds=5"] * (design == "fixed")
    words = [word for setting in (*more, "model.mlp_ratio=2.0") for word in ("--set", setting)]
    assert main(["plan", str(study), "--home", str(home.root), *words]) == 0


@pytest.mark.parametrize("tiled", [(0, 1, 2), (1, 2)])
def test_tiles_are_an_execution_class_only_within_an_arm(home, write, tiled):
    """An arm with a band beside a baseline without is no mixture; old and new trials of it are."""

    def ran(trial):
        cut = trial.arm != "baseline" and trial.seed in tiled
        graph = {"graph": 1} if trial.seed == 1 else {}  # changes no number
        return {"device": "CPU", "threads": 1} | graph | ({"banded": 1} if cut else {})

    recorded(home, write(STUDY), lambda arm: 90.0, execution=ran)
    found = [w["text"] for w in gather(home, "study").verdicts["warnings"] if w["code"] == "W11"]
    mixed = (
        "trials ran under 2 execution classes: banded=1 device=CPU threads=1; device=CPU threads=1"
    )
    assert found == ([mixed] if len(tiled) < 3 else [])

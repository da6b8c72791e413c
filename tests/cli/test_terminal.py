"""What commands print for people: plans, status, verdicts, findings, as text of a pipe."""

import io
import json
import sys
from typing import Any

import pytest
from rich.console import Console
from rich.text import Text

from swinablate.cli import terminal
from swinablate.cli.wording.plan_text import images, promise
from swinablate.models.conformance import Finding
from swinablate.records.plan import (
    ArmRecord,
    BudgetRecord,
    ChangeRecord,
    CompareRecord,
    ImagesRecord,
    LookRecord,
    MatchRecord,
    NoiseRecord,
    PlanRecord,
    ProofRecord,
    RefusalRecord,
    TrialsRecord,
    WarningRecord,
)
from swinablate.records.tuning import TuneRecord
from swinablate.scheduling.status import Current, Status

STAGE = {"grid": 8, "window": [2, 2], "shift": 1}
BASE = ArmRecord(
    name="baseline", params=34_710, macs=1_910_000, activation_bytes=10_240, geometry=(STAGE,),
    seeds=(0, 1, 2, 3),
)  # fmt: skip


@pytest.fixture
def printed(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """Stdout of the commands, wide enough that nothing is folded."""
    stream = io.StringIO()
    monkeypatch.setattr(terminal, "out", Console(file=stream, width=220, highlight=False))
    return stream


def lines(printed: io.StringIO) -> list[str]:
    """What was printed, each run of blanks as one."""
    return [" ".join(line.split()) for line in printed.getvalue().splitlines()]


def arm(name: str, **fields: Any) -> ArmRecord:
    return BASE.model_copy(update={"name": name, "seeds": (0, 1), **fields})


def shown(printed: io.StringIO, *arms: ArmRecord, **fields: Any) -> list[str]:
    terminal.show_plan(PlanRecord(study="s", question="?", arms=(BASE, *arms), **fields))
    return lines(printed)


def test_a_plan_shows_arms_with_what_they_cost_against_the_baseline(printed):
    found = shown(
        printed,
        arm("shift=false", differs={"model.shift": (True, False)}),
        arm(
            "window=4", params=34_998, macs=2_292_000, activation_bytes=None,
            differs={"model.window": (2, [4, 4]), "model.norm": (None, "batch")},
        ),
        arm("unknown", params=None, macs=None),
    )  # fmt: skip
    assert found[0] == "s: ?"
    assert found[2:8] == [
        "Arms: parameters, and of one image: multiply-accumulates, and what a training step keeps",
        "arm params MMACs KiB kept seeds changes",
        "baseline 34,710 1.91 10 4 -",
        "shift=false 34,710 1.91 10 2 model.shift true -> false",
        (
            "window=4 34,998 (+0.8 %) 2.29 (+20.0 %) - 2 model.window 2 -> [4, 4], "
            "model.norm - -> batch"
        ),
        "unknown - - 10 2 -",
    ]


def test_a_plan_shows_geometry_only_where_it_is_not_the_baselines(printed):
    other = ({"grid": 8, "window": [4, 4], "shift": 0}, {"grid": 4, "window": [2, 2], "shift": 1})
    found = shown(printed, arm("same"), arm("window=4", geometry=other))
    at = found.index("arm stages")
    assert found[at + 1 : at + 5] == [
        "baseline grid 8 window 2x2 shift 1",
        "window=4 grid 8 window 4x4 shift 0",
        "grid 4 window 2x2 shift 1",
        "",
    ]


def test_a_plan_shows_where_networks_differ_and_how_far_the_logits_move(printed):
    places = {"stages.*.attention.bias": 4, "stages.*.norm": 2, "head": 1, "patch": 1, "pool": 1}
    gone = ChangeRecord(removed=("a", "b"), changed=("c",))
    found = shown(
        printed,
        arm("bias", proof=ProofRecord(modules=gone, parameters=gone, where=places, output=0.156)),
        arm("drop", proof=ProofRecord(restarted=("d",), where={"drop": 1}, output_train=0.0213)),
        arm("lr", proof=ProofRecord()),
        arm("vit", proof=ProofRecord(modules=gone), differs={"model.family": ("swin", "vit")}),
    )
    at = next(i for i, line in enumerate(found) if line.startswith("What differs in the network"))
    assert found[at + 1 : at + 6] == [
        "arm modules params buffers starts logits where",
        "bias 3 3 16 % stages.*.attention.bias, stages.*.norm, head, 2 more",
        "drop 1 2.1 % drop",
        "lr nothing: training or data only",
        "vit another family, another network",
    ]


def test_an_arm_with_many_changes_names_its_family_and_counts_the_rest(printed):
    many = {f"model.field{i}": (0, i) for i in range(6)}
    found = shown(
        printed,
        arm("vit", differs={"model.family": ("swin", "vit"), **many}),
        arm("deep", differs={**many, "model.more": (1, 2)}),
        arm("six", differs=many),
    )
    assert found[5].endswith("2 swin -> vit, 7 fields (see --json)")
    assert found[6].endswith("2 7 fields (see --json)")
    assert found[7].endswith("model.field4 0 -> 4, model.field5 0 -> 5")


def test_a_matched_arm_shows_what_was_solved_and_how_well_it_fits(printed):
    match = MatchRecord(
        by="params", tolerance=0.02, target=34_710, found=34_300, off=-0.0118,
        solved={"model.width": (16, 20), "model.depths": ([2, 2], [3, 3])},
    )  # fmt: skip
    exact = match.model_copy(update={"solved": {"model.width": (16, 17)}, "off": -0.0004})
    found = shown(
        printed,
        arm("bias", differs={"model.bias": ("learned", "none")}, match=match),
        arm("even", match=exact),
        arm("as it was", match=exact.model_copy(update={"solved": {}})),
    )
    assert found[7].endswith("2 ; matched in params: unchanged, 0.0 %")
    assert found[5].endswith(
        "model.bias learned -> none; matched in params: model.width 16 -> 20, "
        "model.depths 2x2 -> 3x3, -1.2 %"
    )
    assert found[6].endswith("2 ; matched in params: model.width 16 -> 17, 0.0 %")


def test_a_plan_shows_warnings_and_refusals_as_they_are_written(printed):
    """Names with brackets are no markup."""
    found = shown(
        printed,
        warnings=(WarningRecord(code="W13", text="a[b]: [red]changes[/] nothing"),),
        refusals=(RefusalRecord(name="depths=[2]", reason="computes the same as 'x[0]'"),),
    )
    assert "W13 a[b]: [red]changes[/] nothing" in found
    at = found.index("Not run, because")
    assert found[at + 1 : at + 3] == ["arm reason", "depths=[2] computes the same as 'x[0]'"]


def test_a_plan_without_refusals_says_nothing_of_them(printed):
    assert not any("Not run" in line for line in shown(printed))


def promised(printed: io.StringIO, **fields: Any) -> list[str]:
    """The last lines of a plan, after the tables."""
    found = shown(printed, arm("b"), **{"shows": "What it shows.", **fields})
    return found[len(found) - found[::-1].index("") :]


def test_a_plan_of_fixed_seeds_promises_its_trials_and_what_it_can_find(printed):
    assert promised(
        printed,
        shows="Each arm against the baseline.",
        trials=TrialsRecord(min=6, max=6),
        reused=2,
        detectable_pp=0.8349,
        noise=NoiseRecord(sd=0.4, source="declared"),
        compare=CompareRecord(rope=0.5),
    ) == [
        "Each arm against the baseline.",
        "6 trials, 2 of them recorded already.",
        (
            "Smallest difference found with power 0.8: about 0.83 percentage points (sd 0.40 over "
            "seeds, declared; more if noise differs)."
        ),
    ]


IMAGES = ImagesRecord(
    arms=("baseline", "b"),
    data="digits",
    size="8x8x1",
    sizes={"train": 1131, "val": 126, "test": 540},
    per_class={"train": (565, 566), "val": (63, 63), "test": (270, 270)},
    converted={"grey made colour": 1200},
)


def test_a_plan_says_how_many_images_there_are_and_what_became_of_them():
    other = IMAGES.model_copy(update={"arms": ("c",)})
    assert images(PlanRecord(images=(IMAGES, other))) == [
        (
            "Images (digits, 8x8x1): 1,131 training (565 to 566 a class), 126 validation "
            "(63 a class), 540 test (270 a class)."
        ),
        "Of them were converted: 1,200 grey made colour.",
        "1 arm of others: see `images` of `--json`.",
    ]
    unseen = IMAGES.model_copy(update={"per_class": {}, "converted": {}})
    assert images(PlanRecord(images=(unseen,))) == [
        (
            "Images (digits, 8x8x1): 1,131 training, 126 validation, 540 test; of each class once "
            "they are prepared."
        )
    ]
    assert images(PlanRecord()) == []
    assert images(PlanRecord(images=(IMAGES,)))[0] in promise(
        PlanRecord(arms=(arm("baseline"),) * 2, images=(IMAGES,))
    )


def trained(name: str, **train: str) -> ArmRecord:
    """An arm whose recipe says how it trains."""
    return arm(name, recipe={"train": {"precision": "fp32", "matmul": "highest", **train}})


def test_a_plan_in_plain_fp32_says_what_may_be_faster_in_one_line():
    plan = PlanRecord(arms=(trained("baseline"), trained("b")), compare=CompareRecord(rope=0.5))
    assert promise(plan)[-1] == (
        'Every arm trains in fp32: train.precision = "auto" times bf16 on the machine that trains '
        "and takes it where a step is a tenth faster (docs/running.md, Number formats)."
    )


@pytest.mark.parametrize(
    "arms",
    [
        (trained("baseline", precision="auto"), trained("b", precision="auto")),
        (trained("baseline"), trained("precision=bf16", precision="bf16")),
        (trained("baseline", matmul="medium"), trained("b", matmul="medium")),
        (arm("baseline"), arm("b")),
    ],
    ids=["auto", "what is asked about", "products", "trained elsewhere"],
)
def test_a_plan_that_chose_its_format_has_no_such_line(arms):
    plan = PlanRecord(arms=arms, compare=CompareRecord(rope=0.5))
    assert not any("fp32" in line for line in promise(plan))


def test_a_plan_says_how_many_seeds_a_difference_and_equivalence_need():
    """The baseline keeps its ratio: here one and a half seeds for each of an arm."""
    base, other = arm("baseline", seeds=(*range(6),)), arm("b", seeds=(*range(4),))
    known = {
        "noise": NoiseRecord(sd=0.4, source="x"),
        "detectable_pp": 0.9,
        "compare": CompareRecord(rope=0.5),
    }
    plan = PlanRecord(
        arms=(base, other), seeds_needed={"difference": 9, "equivalence": 12}, **known
    )
    assert promise(plan)[-2:] == [
        "To show a difference of 0.5 pp, with power 0.8: 9 seeds an arm and 14 of the baseline.",
        (
            "To show equivalence within 0.5 pp, if there is no difference, with power 0.8: 12 seeds an "
            "arm and 18 of the baseline."
        ),
    ]
    looks = (LookRecord(seeds=3, detectable_pp=1.2), LookRecord(seeds=8, detectable_pp=0.7))
    more = {"seeds_needed": {"difference": None, "equivalence": 12}, "looks": looks}
    assert promise(plan.model_copy(update=more))[-2:] == [
        (
            "To show a difference of 0.5 pp, with power 0.8: more than 100000 seeds an arm at the last "
            "look."
        ),
        (
            "To show equivalence within 0.5 pp, if there is no difference, with power 0.8: 12 seeds an "
            "arm at the last look and 24 of the baseline."
        ),
    ]


def test_a_plan_of_a_factorial_promises_its_own_effects_and_warns_of_a_missing_rope(printed):
    assert promised(
        printed,
        design="factorial",
        shows="Main effects and interactions.",
        trials=TrialsRecord(min=8, max=8),
        detectable_pp=1.0,
        effects_pp={"main effects": 0.5, "interactions": 1.004},
        noise=NoiseRecord(sd=0.4, source="x"),
    )[2:] == [
        (
            "Smallest difference found with power 0.8: about 1.00 percentage points (sd 0.40 over "
            "seeds, x; more if noise differs)."
        ),
        "Of the design's own effects: 0.50 for main effects, 1.00 for interactions.",
        "No compare.rope is declared: nothing will be called equivalent.",
    ]


def test_an_adaptive_plan_promises_its_looks_and_where_it_ends(printed):
    assert promised(
        printed,
        trials=TrialsRecord(min=9, max=24),
        looks=(LookRecord(seeds=3, detectable_pp=1.2), LookRecord(seeds=8, detectable_pp=0.7)),
        budget=BudgetRecord(hours=1.5, trials=20),
        detectable_pp=0.7,
        noise=NoiseRecord(sd=0.4, source="x"),
        compare=CompareRecord(rope=0.5),
    )[1:] == [
        "9 to 24 trials, 0 of them recorded already.",
        (
            "Looks at 3, 8 seeds an arm, twice as many of the baseline; what is decided at a look "
            "runs no further."
        ),
        "Ends at 1.5 hours or 20 trials, decided or not.",
        (
            "Smallest difference found with power 0.8: about 1.20 percentage points at the first "
            "look, 0.70 at the last (sd 0.40 over seeds, x; more if noise differs)."
        ),
    ]


@pytest.mark.parametrize(("seeds", "each", "tries"), [(1, "1 seed", 14), (2, "2 seeds", 28)])
def test_a_tuned_plan_promises_its_tries_and_the_finals_after_them(printed, seeds, each, tries):
    space = {"train.lr": {"low": 1e-4, "high": 1e-2, "log": True}, "train.clip": [0.0, 5.0]}
    found = promised(
        printed,
        tune=TuneRecord(trials=7, seeds=seeds, space=space),
        trials=TrialsRecord(min=20, max=26),
        noise=NoiseRecord(source="no sd is known"),
    )
    assert found[2] == (
        f"Tuning: 7 recipes for each of 2 arms over train.lr, train.clip, {each} each, on "
        f"validation accuracy: {tries} trials; then up to 6 final trials more at what was chosen."
    )
    assert found[3].startswith("Each arm is tuned once: how lucky that was is in no interval")
    assert found[4] == (
        f"With tune.repeats = 1: {tries // 2} tuning and 2 tuned final trials an arm, "
        f"{tries // 2} and 4 of the baseline; {tries} and 6 in all, together {tries + 6}; no "
        "verdict about tuned arms."
    )
    assert found[5] == (  # of 3 tunings nothing is said: arms of 2 seeds cannot have them
        f'With tune.repeats = "seed": {tries} tuning and 2 tuned final trials an arm, {2 * tries} '
        f"and 4 of the baseline; {3 * tries} and 6 in all, together {3 * tries + 6}."
    )
    assert found[6] == (
        "There will be no verdict: 2 seeds of an arm or the baseline do not show how far seeds "
        "scatter. From 3 on arms are judged; five or more say much more."
    )


def status(**fields: Any) -> Status:
    return Status(
        **{
            "study": "s", "declaration": "d", "planned": 6, "most": 6, "done": 2, "running": 0,
            "failed": 0, "diverged": 0, "waiting": 4, "eta_s": None, "owner": "", "current": (),
            "arms": {"baseline": {"done": 2, "waiting": 1}, "shift=false": {"waiting": 3}},
            **fields,
        }
    )  # fmt: skip


NOW = Current(
    arm="shift=false", seed=2, epoch=3, epochs=5, attempt=2, val_accuracy=91.26,
)  # fmt: skip


def test_who_runs_a_study_and_since_when_stays_on_one_line(printed, monkeypatch):
    who = "pid 15245 on vm since 2026-11-27 02:33:27"
    for width, wanted in (
        (100, [f"s: 2 of 6 trials done; running: {who}"]),
        (60, ["s: 2 of 6 trials done", f"running: {who}"]),
    ):
        monkeypatch.setattr(terminal.out, "width", width)
        printed.seek(0)
        printed.truncate()
        terminal.show_status(status(owner=who))
        assert lines(printed)[: len(wanted)] == wanted


def test_a_status_counts_the_trials_of_every_arm(printed):
    terminal.show_status(status())
    assert lines(printed)[0] == "s: 2 of 6 trials done; nobody runs it now"
    assert [line for line in lines(printed) if line][1:] == [
        "arm done running waiting failed diverged",
        "baseline 2 1",
        "shift=false 3",
    ]


def test_a_status_tells_who_runs_what_and_how_many_trials_there_may_be(printed):
    fresh = Current(arm="baseline", seed=0, epoch=0, epochs=5, attempt=1, val_accuracy=None)
    terminal.show_status(status(owner="pid 7", most=9, current=(NOW, fresh)))
    assert lines(printed)[0] == "s: 2 of 6 trials done (at most 9); running: pid 7"
    assert lines(printed)[-4:] == [
        "Running",
        "trial epoch val % attempt",
        "shift=false s2 3/5 91.3 2",
        "baseline s0 0/5 1",
    ]


def test_a_status_draws_curves_and_says_how_long_it_takes(printed):
    rising = {"arm": "baseline", "seeds": 1, "points": [[1, 10.0], [2, 45.0], [3, 80.0]]}
    terminal.show_status(status(eta_s=75.0, owner="pid 7"), [rising])
    assert lines(printed)[1] == "about 1 min 15 s left"
    assert "baseline 2 1 \u2581\u2585\u2588 80.0" in lines(printed)


def test_a_long_curve_is_cut_to_its_course_and_ends_at_its_last_value():
    assert terminal.spark([]) == ""
    drawn, last = terminal.spark([float(v) for v in range(1000)]).split()
    assert (len(drawn), drawn[-1], last) == (terminal.COURSE, "\u2588", "999.0")


def test_a_status_calls_what_nobody_runs_interrupted(printed):
    terminal.show_status(status(current=(NOW,)))
    assert "Interrupted (run goes on from the checkpoint) trial epoch" in " ".join(lines(printed))


def verdict(name: str, delta: float | None, verdict: str, **fields: Any) -> dict[str, Any]:
    ends = (None, None) if delta is None else (delta - 0.5, delta + 0.5)
    return {
        "name": name, "n": 5, "delta_pp": delta, "ci_low": ends[0], "ci_high": ends[1],
        "verdict": verdict, "negligible": False, **fields,
    }  # fmt: skip


def test_verdicts_show_differences_with_the_level_of_their_intervals(printed):
    terminal.show_verdicts(
        {
            "baseline": {"mean": 91.234, "n": 10},
            "alpha": 0.1,
            "arms": [
                verdict("shift=false", -1.2, "worse"),
                verdict("norm", 0.52, "better", negligible=True),
                verdict("late", None, "pending", n=0),
            ],
        }
    )
    assert lines(printed) == [
        "Verdicts against the baseline (91.23 %, n = 10)",
        "arm difference 90 % interval n verdict",
        "shift=false -1.20 [-1.70, -0.70] 5 worse",
        "norm +0.52 [+0.02, +1.02] 5 better (negligible)",
        "late - - 0 pending",
    ]


@pytest.mark.parametrize(
    ("tuning", "word"), [({"repeats": 3}, "better"), ({}, "none: given the recipes found")]
)
def test_tuned_arms_and_declared_contrasts_have_tables_of_their_own(printed, tuning, word):
    """Not the curves' comparisons, which nobody declared; and of one tuning there is no verdict."""
    arms = [verdict("norm", 0.52, "better")]
    others = [
        verdict("norm at equal epochs", 0.1, "undecided", kind="curve", basis="fixed"),
        verdict("both", -2.0, "worse", kind="contrast", basis="fixed", sentence="both: worse."),
        verdict("norm, tuned", 2.0, "better", kind="arm", basis="tuned"),
        verdict("both, tuned", None, "not tested", kind="contrast", basis="tuned"),
    ]
    base = {"mean": 91.2, "n": 5}
    verdicts = {"baseline": base, "alpha": 0.05, "arms": arms, "contrasts": others}
    terminal.show_verdicts({**verdicts, "tuning": tuning})
    assert lines(printed)[3:] == [
        "",
        "Declared contrasts, a family of their own",
        "contrast estimate 95 % interval verdict",
        "both -2.00 [-2.50, -1.50] worse",
        "",
        "At tuned recipes, families of their own",
        "contrast estimate 95 % interval verdict",
        f"norm, tuned +2.00 [+1.50, +2.50] {word}",
        "both, tuned - - not tested",
    ]


def test_only_what_is_judged_is_judged_given_convergence(printed):
    arms = [
        verdict("x", -1.2, "worse", given_convergence=True),
        verdict("w", None, "fails to train", n=0, given_convergence=True),
    ]
    terminal.show_verdicts({"baseline": {"mean": 91.2, "n": 5}, "alpha": 0.05, "arms": arms})
    assert lines(printed)[2].endswith("5 worse (given convergence)")
    assert lines(printed)[3] == "w - - 0 fails to train"


def test_what_fails_to_train_is_red(monkeypatch):
    stream = io.StringIO()
    screen = Console(file=stream, width=100, force_terminal=True, color_system="standard")
    monkeypatch.setattr(terminal, "out", screen)
    arms = [verdict("w", None, "fails to train", n=0), verdict("x", -1.2, "worse")]
    terminal.show_verdicts({"baseline": {"mean": 91.2, "n": 5}, "alpha": 0.05, "arms": arms})
    assert "\x1b[1;31mfails to train\x1b[0m" in stream.getvalue()
    assert "31mworse" not in stream.getvalue()


def test_what_keeps_arms_undecided_is_told_once(printed):
    lost = {"reason": "base failed on 1 of 3 seeds: retry them"}
    arms = [
        verdict("x", -1.2, "undecided", **lost),
        verdict("y", -1.3, "undecided", **lost),
        verdict("z", 0.1, "undecided"),
    ]
    terminal.show_verdicts({"baseline": {"mean": 91.2, "n": 2}, "alpha": 0.05, "arms": arms})
    assert lines(printed)[5:] == ["Undecided, because base failed on 1 of 3 seeds: retry them."]


def test_verdicts_without_a_baseline_have_a_dash_for_its_mean(printed):
    terminal.show_verdicts({"baseline": {"mean": None, "n": 0}, "alpha": 0.05, "arms": []})
    assert lines(printed)[0] == "Verdicts against the baseline (-, n = 0)"


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (Finding("grad", "failed", "w[0] is [b]dead[/]", "use w[1]"),
         ["failed grad: w[0] is [b]dead[/]", "hint: use w[1]"]),
        (Finding("grad", "passed", "", ""), ["passed grad"]),
        (Finding("cost", "note", "slow", ""), ["note cost: slow"]),
    ],
)  # fmt: skip
def test_a_finding_is_a_line_with_its_remedy_under_it(printed, found, expected):
    terminal.show_finding(found)
    assert lines(printed) == expected


def test_data_for_programs_are_json_and_no_infinities(capsys):
    terminal.print_json({"a": [1, None]})
    assert json.loads(capsys.readouterr().out) == {"a": [1, None]}
    with pytest.raises(ValueError, match="not JSON compliant"):
        terminal.print_json({"a": float("inf")})


@pytest.mark.parametrize(("columns", "width"), [("", terminal.PIPED), ("66", 66)])
def test_a_pipe_is_as_wide_as_it_is_told_or_as_tables_need(monkeypatch, columns, width):
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    monkeypatch.delenv("COLUMNS", raising=False)
    if columns:
        monkeypatch.setenv("COLUMNS", columns)
    assert terminal.console(stderr=False).width == width


@pytest.mark.parametrize("shown", ["a\x1b[2J\r\x07\x9b\u202eb", Text("a\x1b[2J\r\x07\x9b\u202eb")])
def test_a_terminal_obeys_nothing_that_it_is_given_to_show(shown):
    stream = io.StringIO()
    console = terminal.Terminal(file=stream, force_terminal=True, width=80, highlight=False)
    console.print(shown, markup=False, style="bold")
    said = stream.getvalue()
    assert said.startswith("\x1b[1ma\\x1b[2J")  # its own sequences are obeyed
    assert not {"\r", "\x07", "\x9b", "\u202e"} & set(said)
    assert said.count("\x1b") == 2

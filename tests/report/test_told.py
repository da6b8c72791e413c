"""What a report says is true of the data beside it, and can be read whatever the data are."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from matplotlib.text import Text

from swinablate.records.plan import ContrastRecord
from swinablate.report.analyze import Question, analyze
from swinablate.report.drawing import PAGE, Paper
from swinablate.report.drawing.bars import fitting
from swinablate.report.drawing.ink import pt
from swinablate.report.drawing.numbers import count, mean_sd, p_value
from swinablate.report.drawing.panels import epochs, late
from swinablate.report.drawing.place import core, padded
from swinablate.report.drawing.words import metric
from swinablate.report.drawing.words import told as named
from swinablate.report.families.compared import within
from swinablate.report.figures import datasets, families, forest
from swinablate.report.foreign.measure import Measure
from swinablate.report.latex import WIDE, arms_tex, escape, known_of
from swinablate.report.page import _raw, breakable, context, markdown, md_code
from swinablate.report.prose import checklist, listed, spread
from swinablate.report.tables import arms_table, whole
from swinablate.stats import Declaration, verdicts
from swinablate.stats.comparisons.contrasts import declared as declared_contrast
from swinablate.stats.comparisons.contrasts import instead
from swinablate.text import after_difference, error_ratio, places, places_of
from tests.answers import BASELINE, Sketch, nested, several, study, tuned


def asked(answer, question):
    return {name: said for name, said, _ in checklist(whole(answer))}.get(question, "")


def with_arms(answer, change):
    """The answer with its plan's arms changed one by one."""
    arms = tuple(map(change, answer.plan.arms))
    return replace(answer, plan=answer.plan.model_copy(update={"arms": arms}))


def told(answer):
    answer = whole(answer)
    return markdown(context(answer, arms_table(answer), []))


def table(tmp_path, rows, head="arm,seed,value"):
    path = tmp_path / "results.csv"
    path.write_text("\n".join([head, *rows]) + "\n")
    return path


# ---- answers to checklists


def test_a_study_that_draws_splits_does_not_say_that_its_split_is_fixed():
    said = asked(nested(splits=4), "What varies between repetitions")
    assert "4 train/validation splits, the same ones for every arm" in said
    assert "split fixed" not in said
    assert "n = 4 splits. Trials:" in told(nested(splits=4))
    assert "split fixed" in asked(study(), "What varies between repetitions")


def test_epochs_that_steps_decide_instead_of_are_not_told():
    def steps(arm):
        train = {**arm.recipe["train"], "epochs": 15, "steps": 250}
        return arm.model_copy(update={"recipe": {**arm.recipe, "train": train}})

    said = asked(with_arms(study(), steps), "Training")
    assert "steps 250" in said
    assert "epochs" not in said


def test_data_and_choice_of_an_arm_that_has_its_own_are_told():
    def own(arm):
        fields = {"data.augment": ("none", "flip"), "train.select": ("last", "best_val")}
        return arm.model_copy(update={"differs": fields}) if arm.name == "window=4" else arm

    plain, answer = study(), with_arms(study(), own)
    assert asked(answer, "Data").startswith("the baseline's: ")
    assert asked(answer, "Data").endswith("; arms differ in data.augment: plan.json")
    assert not asked(plain, "Data").startswith("the baseline's")
    assert asked(answer, "Selection").startswith(
        "the last epoch is tested, of window=4 the epoch with the best validation accuracy; "
    )
    assert "; every arm was also trained on shapes, fashion_mnist: " in asked(several(3), "Data")


def test_hours_are_those_of_the_trials_that_ran():
    arms = [BASELINE, Sketch(name="x", statuses=("done", "done", "waiting", "waiting"))]
    answer = study(arms)
    answer = replace(answer, provenance={"hours": 0.001, "hours_failed": 0.0})
    said = asked(answer, "Compute")
    assert said.startswith("3.6 s for 12 trials, none of them failed or diverged")


def test_names_with_commas_are_told_apart():
    assert listed(["a", "b"]) == "a, b"
    assert listed(["ResNet-8", "ResNet-8, SGD"]) == "ResNet-8; ResNet-8, SGD"
    said = asked(study(), "Hypotheses")
    assert said == "none was declared before launch: every comparison is exploratory"


# ---- numbers


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (999.4, "999.4"), (999_499, "999 k"), (999_500, "1 M"), (999_950, "1 M"),
        (999_600_000, "1 G"), (1.2e12, "1.2 T"), (-999_950, "-1 M"), (34_710, "34.7 k"),
    ],
)  # fmt: skip
def test_a_count_has_no_exponent(value, shown):
    assert count(value) == shown


def test_small_and_large_numbers_say_something():
    assert mean_sd(0.00123, None) == "0.0012"
    assert mean_sd(0.00123, 0.0) == "0.0012 \N{PLUS-MINUS SIGN} 0.0000"
    assert mean_sd(149118.93, None) == "149118.93"
    assert mean_sd(95.0, 0.0) == "95.00 \N{PLUS-MINUS SIGN} 0.00"
    assert places(2.3e-9) == 10
    assert places(1500.0) == 0
    assert error_ratio(7.0, 6.0, 8.0) == "errors x 0.00091 [0.00034, 0.0025]"
    assert (_raw(34_712_345.0), _raw(97.25), _raw("a" * 63 + "z")) == (
        "34712345", "97.25", "a" * 63 + "z",
    )  # fmt: skip
    assert _raw("0f" * 32) == "0f0f0f0f0f"


def test_a_p_is_comparable_with_a_small_error_rate():
    assert p_value(0.0004, 0.05) == "< 0.001"
    assert p_value(0.0008, 0.0005) == "0.0008"
    assert p_value(0.0000999, 0.0001) in {"< 0.0001", "0.0001"}
    assert p_value(0.0000999, 0.0001) != "0.0001"


def test_what_was_found_is_not_0_beside_noisier_arms():
    def one(name, se, delta, verdict):
        return {"name": name, "se": se, "delta_pp": delta, "verdict": verdict}

    noisy = [one(f"n{i}", 0.5, 3.0, "undecided") for i in range(3)]
    found = {
        "unit": "none",
        "baseline": {"sd": 0.1},
        "arms": [*noisy, one("x", 0.001, 0.004, "worse")],
    }
    assert places_of(found) == 4
    assert places_of({**found, "arms": [*noisy, one("x", 0.001, 0.004, "undecided")]}) == 2
    assert places_of({**found, "arms": [*noisy, one("x", 0.001, 0.04, "worse")]}) == 2


def test_differences_of_percentages_are_points():
    assert after_difference("%") == " pp"
    assert metric("train_s") == "training time"


# ---- figures


def test_long_numbers_are_written_smaller_and_others_as_ever():
    assert fitting("[-12.34, +12.34]", 106) == pytest.approx(pt(8.5))
    assert fitting("[+0.0000000266, +0.0000000339]", 106) < pt(6)


def test_axes_of_tiny_and_huge_numbers_have_room_for_them():
    assert padded(1e-8, 4e-8, least=0.0) == pytest.approx((1e-8 - 1.8e-9, 4e-8 + 1.8e-9))
    low, high = padded(3e9, 3e9, least=0.0)
    assert low < 3e9 < high
    assert core([-1e-10, -9e-10], [1e-10, 9e-10], 0.0) == (-1e-10, 1e-10)


def test_steps_that_are_no_whole_numbers_reach_to_their_end():
    rows = pd.DataFrame({"epoch": np.arange(0.25, 2.8, 0.25)})
    assert epochs(rows) == 11
    assert late(rows, 2 / 3) == pytest.approx(0.25 + 2.5 * 2 / 3)
    rows = pd.DataFrame({"epoch": [1, 2, 3, 4, 5, 6]})
    assert (epochs(rows), late(rows, 2 / 3)) == (6, 4)


def test_ticks_within_seeds_are_differences_and_others_are_to_a_mean(tmp_path):
    drift = [4.0, -3.0, 1.5, -2.0, 0.5, 2.5, -1.0, -3.5]
    rows = [
        f"{arm},{seed},{mean + up + 0.1 * ((3 * seed + len(arm)) % 5)}"
        for arm, mean in {"base": 88, "x": 88.6, "yy": 87.2, "zzz": 88.1}.items()
        for seed, up in enumerate(drift if arm != "base" else [*drift, 9.0])
    ]
    answer = analyze(table(tmp_path, rows), Question(baseline="base")).only
    drawn = forest.table(whole(answer))
    for arm in answer.verdicts["arms"]:
        assert arm["pairs"] == 8
        mine = drawn[(drawn["mark"] == "seed") & (drawn.arm == arm["name"])]
        assert mine.delta_pp.mean() == pytest.approx(arm["delta_pp"])
        assert mine.delta_pp.std() < 0.5  # not what seeds do to both arms alike
    assert forest.draw(drawn).axes[0].get_xlabel().endswith("ticks: differences within seeds")
    apart = analyze(table(tmp_path, rows), Question(baseline="base", method="welch-holm")).only
    plain = forest.table(whole(apart))
    assert "within" not in plain
    assert "ticks" not in forest.draw(plain).axes[0].get_xlabel()
    mixed = drawn.assign(against=drawn.arm.map({"x": "yy"}).fillna(""))
    mixed["within"] = mixed.within.where(mixed.against == "", "")
    label = forest.draw(mixed.sort_values("against", kind="stable")).axes[0].get_xlabel()
    assert "ticks: differences within seeds; below the line seeds less a mean" in label


# ---- LaTeX


def test_latex_has_greek_letters_and_signs():
    assert escape("\u03b1=0.1 → β≤2") == r"$\alpha$=0.1 $\rightarrow$ $\beta$$\leq$2"
    assert escape("λ, Ω, µ, ∞") == r"$\lambda$, $\Omega$, $\mu$, $\infty$"


@pytest.mark.parametrize(
    ("means", "bold"),
    [({"x": 96.9}, None), ({"x": 99.5}, "x"), ({"x": 93.0, "y": 92.0}, "baseline"),
     ({"x": 93.0, "y": 96.9}, None)],
)  # fmt: skip
def test_the_best_is_bold_only_where_it_is_known_to_be(means, bold):
    arms = [BASELINE, *(Sketch(name=name, mean=mean, sd=0.6) for name, mean in means.items())]
    answer = whole(study(arms))
    text = arms_tex(answer, arms_table(answer))
    assert text.count(r"\textbf") == (bold is not None)
    assert bold is None or rf"\textbf{{{bold}}}" in text


def test_no_column_has_dashes_alone(tmp_path):
    rows = [f"{arm},{seed},{90 + seed}" for arm in "ab" for seed in range(4)]
    answer = whole(analyze(table(tmp_path, rows), Question(baseline="a")).only)
    assert known_of(arms_table(answer), WIDE) == WIDE[:-2]
    assert known_of(arms_table(whole(study())), WIDE) == WIDE
    drawn = families.table(whole(study()))
    heads = [text.get_text() for text in families.draw(drawn).axes[0].texts]
    assert {"params", "MACs", "img/s", "MiB", "s"} <= {*heads}
    drawn[["images_per_s", "train_s"]] = np.nan
    heads = [text.get_text() for text in families.draw(drawn).axes[0].texts]
    assert {"params", "MACs", "MiB"} <= {*heads}
    assert not {"img/s", "s", "\N{EN DASH}"} & {*heads}


def test_what_fails_to_train_is_never_the_best():
    lost = ("done", "diverged", "diverged", "diverged", "diverged")
    arms = [BASELINE, Sketch(name="x", mean=99.0, statuses=lost), Sketch(name="y", mean=96.0)]
    answer = whole(study(arms))
    assert answer.verdicts["arms"][0]["verdict"] == "fails to train"
    assert r"\textbf{x}" not in arms_tex(answer, arms_table(answer))
    assert "mean +- sd over splits, of their means" in arms_tex(
        whole(nested()), arms_table(whole(nested()))
    )


# ---- words


LABELS = {
    "baseline": "Swin (ours)", "shift=false": "no shift", "deep": "24 blocks", "model.norm": "norm",
    "shift=false, deep": "both",
}  # fmt: skip


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("fewer than 5 seeds: baseline (n = 4), deep (n = 3)",
         "fewer than 5 seeds: Swin (ours) (n = 4), 24 blocks (n = 3)"),
        ("sd 1.2 pp in shift=false, deep, 0.2 pp in deep (Bartlett",
         "sd 1.2 pp in both, 0.2 pp in 24 blocks (Bartlett"),
        ("was compared with the baseline's (16 seeds)", "was compared with the baseline's (16 seeds)"),
        ("8 seeds vs 16 baseline seeds; 5 more of the baseline",
         "8 seeds vs 16 baseline seeds; 5 more of the baseline"),
        ("so deep a network, deeper: no name", "so deep a network, deeper: no name"),
        ("model.shift=false and shift=false; shift=falsely", "model.shift=false and no shift; shift=falsely"),
        ("an effect of model.norm x train.batch.", "an effect of norm x train.batch."),
        ("`run --only shift=false` of shift=false.", "`run --only shift=false` of no shift."),
        ("5 seeds vs 5 seeds of deep): worse", "5 seeds vs 5 seeds of 24 blocks): worse"),
    ],
)  # fmt: skip
def test_sentences_call_arms_as_labels_do(said, shown):
    assert named(said, LABELS) == shown
    assert named(said, {}) == said


def test_warnings_methods_and_answers_call_arms_as_labels_do():
    arms = [BASELINE, Sketch(name="shift=false", mean=93.0, statuses=("done", "done", "failed")),
            Sketch(name="deep", mean=95.0, sd=9.0, against="shift=false")]  # fmt: skip
    answer = study(arms)
    labels = {"shift=false": "no shift", "deep": "24 blocks"}
    answer = replace(answer, plan=answer.plan.model_copy(update={"labels": labels}))
    text = told(answer)
    assert {"W1", "W4"} <= {one["code"] for one in answer.verdicts["warnings"]}
    assert "no shift (n = 2)" in text
    assert "1 of no shift" in text
    assert "against no shift" in text
    plain = text.replace("model.shift = false", "")
    assert "shift=false" not in plain
    assert "deep" not in plain


def test_methods_say_how_contrasts_were_judged_where_that_is_another_way():
    drift = [4.0, -3.0, 1.5, -2.0, 0.5, 2.5, -1.0, -3.5]
    rows = [
        (arm, seed, mean + up + 0.1 * ((3 * seed + len(arm)) % 5))
        for arm, mean in {"baseline": 88, "x": 88.6, "yy": 87.2, "zzz": 88.1}.items()
        for seed, up in enumerate(drift)
    ]
    rows += [("far", seed, 80 + gap) for seed, gap in enumerate(reversed(drift))]
    frame = pd.DataFrame(rows, columns=["arm", "seed", "value"])
    apart = instead("far", "x")
    found = verdicts(frame, Declaration(contrasts=(apart,)), complete=True)
    assert found.method.startswith("paired t")
    assert not found.contrasts[-1].method.startswith("paired t")
    assert " The contrast of arms was judged by Welch's t" in found.methods
    within = found.contrasts[0]
    assert within.pairs == 8
    alike = verdicts(
        frame[frame.arm != "far"], Declaration(contrasts=(declared_contrast("x", {"x": 1, "yy": -1}),)), complete=True,
        method="paired",
    )  # fmt: skip
    assert (
        "The contrast of arms was judged by paired t (differences within seeds)." in alike.methods
    )
    assert alike.contrasts[-1].sentence.endswith("x - yy, 8 seeds in common).")


def test_what_stands_after_a_plus_minus_is_said_of_tuned_arms_too():
    once, often = tuned(study()), tuned(study())
    block = {**often.verdicts["tuning"], "repeats": 3}
    often = replace(often, verdicts={**often.verdicts, "tuning": block})
    assert asked(often, "Error bars").endswith("over seeds, of tuned arms over tunings.")
    assert asked(once, "Error bars").endswith("over seeds, everywhere.")


def test_commands_are_code_in_markdown_and_metrics_words():
    assert md_code("`run a_b | c`; commit a_b") == "`run a_b \\| c`; commit a\\_b"
    assert md_code("an odd ` sign") == "an odd \\` sign"


def test_a_spread_that_is_the_same_everywhere_has_no_sentence(tmp_path):
    same = table(tmp_path, [f"{arm},{seed},90" for arm in "ab" for seed in range(4)])
    assert spread(whole(analyze(same, Question(baseline="a")).only)) == ""
    rows = [
        f"{arm},{seed},{90 + seed * by}" for arm, by in (("a", 3.1), ("b", 1)) for seed in range(4)
    ]
    said = spread(whole(analyze(table(tmp_path, rows), Question(baseline="a")).only))
    assert said.startswith("Standard deviations over seeds run from 1.3 (b) to 4.0 (a) percentage")
    said = asked(analyze(table(tmp_path, rows), Question(baseline="a")).only, "Reproduction")
    assert said.endswith("; every run: tables/trials.csv")


def test_a_large_spread_has_two_digits_as_a_small_one_has(tmp_path):
    rows = [
        f"{arm},{seed},{2e4 + seed * by}"
        for arm, by in (("a", 3110), ("b", 1010))
        for seed in range(4)
    ]
    loss = Measure(metric="loss", unit="none", better="lower")
    found = analyze(table(tmp_path, rows), Question(baseline="a", measure=loss)).only
    told = "Standard deviations over seeds run from 1300 (b) to 4000 (a), a ratio"
    assert spread(whole(found)).startswith(told)


def test_a_mean_over_data_sets_is_said_to_be_weighted_and_a_prediction_to_be_of_one_arm():
    text = told(several(3))
    assert "counts as one" not in text
    assert "weighing more (random effects)" in text
    assert "one arm alone, so that it may be shorter than the mean's" in text
    rows = datasets.table(several(3))
    for paper in (PAGE, Paper(3.25)):
        label = datasets.draw(rows, paper).axes[0].get_xlabel().replace("\n", " ")
        assert "dashed: a new data set, for one arm alone" in label


def test_words_that_run_to_the_left_stand_by_themselves():
    assert breakable("אבג דה: -0.50 pp") == "<bdi>אבג דה</bdi>: \N{MINUS SIGN}0.50 pp"
    assert breakable("a\u202egnp") == "a\\u202egnp"
    assert breakable("<a>=b") == "&lt;a&gt;=<wbr>b"


def test_a_difference_within_seeds_is_not_called_one_of_the_means():
    note = "no difference of the means where one has others, too"
    assert note not in told(study())
    answer = study()
    arms = [{**arm, "pairs": 5} for arm in answer.verdicts["arms"]]
    paired = replace(answer, verdicts={**answer.verdicts, "arms": arms})
    assert within(paired.verdicts)
    assert note in told(paired)
    base = {**answer.verdicts["baseline"], "n": 5}
    assert not within({**paired.verdicts, "baseline": base})


def test_along_the_curve_nothing_is_undecided_that_was_not_read():
    answer = study()
    one = {"family": "curve", "name": "window=4 at equal MACs", "kind": "curve", "delta_pp": None,
           "ci_low": None, "ci_high": None, "verdict": "undecided", "negligible": False,
           "basis": "fixed"}  # fmt: skip
    two = {**one, "name": "window=4 at equal epochs", "delta_pp": 0.1, "ci_low": 0.05,
           "ci_high": 0.15, "verdict": "better", "negligible": True}  # fmt: skip
    found = {**answer.verdicts, "contrasts": [*answer.verdicts["contrasts"], two, one]}
    said = told(replace(answer, verdicts=found))
    assert "better (negligible) | no epoch ends within it |" in said


def test_of_somebody_elses_runs_it_is_not_said_what_varies(tmp_path):
    rows = [f"{arm},{fold},{90 + fold / 3}" for arm in "ab" for fold in range(4)]
    found = analyze(table(tmp_path, rows), Question(baseline="a")).only
    assert "on the same test set" not in found.verdicts["methods"]
    assert "what varies between runs" in found.verdicts["methods"]


def test_warnings_call_runs_as_the_table_does(tmp_path):
    def rows(name):
        return [
            f"{arm},{name(arm, s)},{90 + 0.1 * s - (40 if (arm, s) == ('b', 2) else 0)}"
            for arm in "ab"
            for s in range(6)
        ]

    asks = Question(baseline="a", measure=Measure(unit="percent"))
    found = analyze(table(tmp_path, rows(lambda arm, s: f"run-{arm}{s}x")), asks).only
    said = next(w["text"] for w in found.verdicts["warnings"] if w["code"] == "W7")
    assert "seed run-b2x (" in said
    # One seed with two names stays one: seeds in common are found by their numbers.
    both = analyze(table(tmp_path, rows(lambda arm, s: f"seed{'_' * (arm == 'a')}{s}")), asks).only
    said = next(w["text"] for w in both.verdicts["warnings"] if w["code"] == "W7")
    assert "seed 2 (" in said


def test_a_contrast_that_fails_to_train_says_who_diverged():
    arms = [
        BASELINE,
        Sketch(name="a", statuses=("diverged",) * 5),
        Sketch(name="b", mean=96.0),
    ]
    gap = ContrastRecord(name="gap", of={"a": 1.0, "b": -1.0})
    (one,) = [c for c in study(arms, contrasts=[gap]).verdicts["contrasts"] if c["name"] == "gap"]
    assert one["verdict"] == "fails to train"
    assert one["sentence"].startswith(
        "gap (a - b): fails to train, because a diverged on 5 of 5 seeds, b on 0 of 5"
    )


def test_no_p_is_0():
    rng = np.random.default_rng(1)
    rows = [
        {"arm": arm, "seed": seed, "value": 50 + sd * rng.normal()}
        for arm, sd in (("a", 1e-7), ("b", 10.0), ("c", 10.0))
        for seed in range(60)
    ]
    frame = pd.DataFrame(rows)
    judged = verdicts(frame, Declaration(baseline="a"), complete=True)
    (said,) = [w.text for w in judged.warnings if w.code == "W2"]
    assert "(Bartlett p < 1e-300, told" in said


def test_an_equivalence_whose_interval_leaves_the_margin_names_the_one_that_shows_it(tmp_path):
    rows = [
        f"{arm},{seed},{90 + value}"
        for arm, values in (
            ("a", (-0.2, -0.1, 0.0, 0.1, 0.2, 0.0)),
            ("b", (0.05, 0.1, 0.25, -0.05, 0.1, 0.15)),
        )
        for seed, value in enumerate(values)
    ]
    measure = Measure(unit="percent", better="higher")
    asks = Question(baseline="a", rope=0.5, measure=measure, method="shrunken")
    wide = analyze(table(tmp_path, rows), asks).only
    assert "one-sided" not in wide.verdicts["arms"][0]["sentence"]
    texts = [t.get_text() for t in forest.draw(forest.table(whole(wide))).findobj(Text)]
    assert not any("two one-sided tests" in text for text in texts)
    (arm,) = wide.verdicts["arms"]
    rope = (arm["equivalence_high"] + arm["ci_high"]) / 2
    found = analyze(table(tmp_path, rows), replace(asks, rope=rope)).only
    (arm,) = found.verdicts["arms"]
    assert arm["verdict"] == "equivalent"
    low, high = arm["equivalence_low"], arm["equivalence_high"]
    said = f"; by that of the two one-sided tests, {low:+.2f} to {high:+.2f})."
    assert said in arm["sentence"]
    texts = [t.get_text() for t in forest.draw(forest.table(whole(found))).findobj(Text)]
    assert any("two one-sided tests" in text for text in texts)


def test_no_more_than_all_of_a_percentage_is_detected(tmp_path):
    rows = [f"{arm},{seed},{v}" for arm in "ab" for seed, v in enumerate((5, 50, 95))]
    asks = Question(baseline="a", measure=Measure(unit="percent", better="higher"))
    (arm,) = analyze(table(tmp_path, rows), asks).only.verdicts["arms"]
    assert arm["detectable_pp"] > 100
    assert (
        "3 seeds detect no difference that percentages can have with power 0.8."
        in (arm["sentence"])
    )

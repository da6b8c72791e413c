"""Tables as people have them: each is read as what it says, or refused with what to say."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from swinablate.cli.app import main
from swinablate.errors import InputError
from swinablate.report.analyze import Analysis, Question, analyze
from swinablate.report.foreign.columns import Columns
from swinablate.report.foreign.measure import Measure

SEEDS = range(5)
NOISE = (0.0, 0.2, -0.1, 0.1, -0.2)
"""Of five seeds; it leaves the mean where it is."""


def table(
    header: str = "arm,seed,value",
    arms: Mapping[str, float] | None = None,
    row: str = "{arm},{seed},{value}",
    *,
    scale: float = 1.0,
    places: int = 4,
) -> str:
    """A baseline at 93 and an arm at 91, five seeds each, unless others are asked for."""
    rows = [
        row.format(arm=arm, seed=seed, value=f"{scale * (mean + NOISE[seed]):.{places}f}")
        for arm, mean in (arms or {"base": 93.0, "x": 91.0}).items()
        for seed in SEEDS
    ]
    return "\n".join([header, *rows]) + "\n"


def judged(tmp_path: Any, data: str | bytes, **asked: Any) -> Analysis:
    path = tmp_path / "results.csv"
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    columns = {key: asked.pop(key) for key in ("arm", "seed", "value", "dataset") if key in asked}
    metric = asked.get("metric")
    measure = {key: asked.pop(key) for key in ("metric", "unit", "better") if key in asked}
    question = Question(
        baseline=asked.pop("baseline", "base"),
        columns=Columns(metric=metric, **columns),
        measure=Measure(**measure),
        **asked,
    )
    return analyze(path, question)


WANDB = (
    '"Name","State","Notes","User","Tags","Created","Runtime","Sweep","arm","seed","lr","epochs",'
    '"test_acc"'
)
WANDB_ROW = '"happy-sky-{seed}","finished","-","me","","2026-01-01","61","","{arm}","{seed}",'
MLFLOW = "run_id,experiment_id,status,start_time,end_time,metrics.test_acc,params.arm,params.seed"
MLFLOW_ROW = "{arm}{seed}f0,1,FINISHED,2026-01-01 10:00,2026-01-01 11:00,{value},{arm},{seed}"


def chart(runs: Sequence[str], steps: int = 3) -> str:
    """A chart that W&B exported: a column a run, and its bounds once more."""
    ends = [f"{run} - test/acc{bound}" for run in runs for bound in ("", "__MIN", "__MAX")]
    lines = [",".join(f'"{name}"' for name in ("Step", *ends))]
    for step in range(steps):
        values = []
        for k, run in enumerate(runs):
            mean = (93.0 if run.startswith("base") else 91.0) + NOISE[k % 5] - (steps - 1 - step)
            values += [f'"{mean:.2f}"'] * 3
        lines.append(",".join([f'"{step}"', *values]))
    return "\n".join(lines) + "\n"


def booked(text: str) -> str:
    """The chart with what W&B logs beside every metric."""
    head, *rows = text.splitlines()
    runs = [name.strip('"').removesuffix(" - test/acc") for name in head.split(",") if name.endswith('acc"')]  # fmt: skip
    more = [f'"{run} - _step{bound}"' for run in runs for bound in ("", "__MIN", "__MAX")]
    lines = [",".join([head, *more]), *(",".join([row, *['"7"'] * len(more)]) for row in rows)]
    return "\n".join(lines) + "\n"


RUNS = [f"{arm}-seed{seed}" for arm in ("base", "x") for seed in SEEDS]
DECIMAL = table("arm;seed;value", row="{arm};{seed};{value}").replace(".", ",")
READ: dict[str, tuple[str | bytes, dict[str, Any]]] = {
    "plain": (table(), {}),
    "semicolons": (table("arm;seed;value", row="{arm};{seed};{value}"), {}),
    "tabs": (table("arm\tseed\tvalue", row="{arm}\t{seed}\t{value}"), {}),
    "semicolons and decimal commas": (DECIMAL, {}),
    "tabs and decimal commas": (DECIMAL.replace(";", "\t"), {}),
    "decimal commas in quotes": (table(row='{arm},{seed},"{value}"').replace(".", ","), {}),
    "a byte order mark": (b"\xef\xbb\xbf" + table().encode(), {}),
    "utf-16 with a mark": (table().encode("utf-16"), {}),
    "utf-16 big-endian without a mark": (table().encode("utf-16-be"), {}),
    "utf-16 little-endian without a mark": (table().encode("utf-16-le"), {}),
    "line ends of windows": (table().replace("\n", "\r\n"), {}),
    "capital and padded headers": (table(" Arm , SEED,Value "), {}),
    "padded cells": (table(row=" {arm} , {seed}, {value} "), {}),
    "a line for a spreadsheet": ("sep=;\n" + table("arm;seed;value", row="{arm};{seed};{value}"), {}),
    "a line for people": ("# trained in May\n" + table(), {}),
    "empty rows and columns of a spreadsheet": (
        table("arm,seed,value,,", row="{arm},{seed},{value},,") + ",,,,\n\n", {}),
    "an index of pandas": (table(",arm,seed,value", row="{seed},{arm},{seed},{value}"), {}),
    "seeds with a word": (table(row="{arm},seed{seed},{value}"), {}),
    "seeds that are words": (table(row="{arm},{seed}abc{seed},{value}"), {}),
    "seeds as decimals": (table(row="{arm},{seed}.0,{value}"), {}),
    "columns by name": (
        table("model,run,top1,lr", row="{arm},{seed},{value},0.1"),
        {"arm": "model", "seed": "run", "value": "top1"}),
    "a run's id for a seed": (
        table("run_id,arm,value", row="{arm}{seed}f,{arm},{value}"), {"seed": "run_id"}),
    "fractions": (table(scale=0.01), {"unit": "fraction"}),
    "percent signs": (table(row="{arm},{seed},{value}%"), {}),
    "one metric of several, in rows": (
        table("arm,seed,metric,value", row="{arm},{seed},loss,0.3\n{arm},{seed},acc,{value}"),
        {"metric": "acc"}),
    "one metric of several, in columns": (
        table("arm,seed,loss,acc", row="{arm},{seed},0.3,{value}"), {"metric": "acc"}),
    "one data set": (
        table("dataset,arm,seed,value", row="cifar10,{arm},{seed},{value}"), {}),
    "runs of W&B": (table(WANDB, row=WANDB_ROW + '"0.1","10","{value}"'), {"value": "test_acc"}),
    "runs of W&B, their config by prefix": (
        table("State,config/arm,config/seed,config/lr,summary/test_acc",
              row="finished,{arm},{seed},0.1,{value}"), {}),
    "a chart of W&B": (chart(RUNS), {}),
    "runs of MLflow": (table(MLFLOW, row=MLFLOW_ROW), {}),
    "runs of MLflow, from its page": (
        table("Start Time,Duration,Run ID,Name,Status,arm,seed,test_acc",
              row="2026-01-01,3.1min,{arm}{seed},calm-{seed},FINISHED,{arm},{seed},{value}"), {}),
    "a column a seed": (
        "arm,seed0,seed1,seed2,seed3,seed4\nbase,93,93.2,92.9,93.1,92.8\nx,91,91.2,90.9,91.1,90.8\n",
        {}),
    "a column an arm": (
        "seed,base,x\n" + "".join(f"{s},{93 + NOISE[s]:.1f},{91 + NOISE[s]:.1f}\n" for s in SEEDS),
        {}),
    "a column a seed, arms by another name": (
        "model,seed 0,1,2,3,4\nbase,93,93.2,92.9,93.1,92.8\nx,91,91.2,90.9,91.1,90.8\n",
        {"arm": "model"}),
    "a column an arm, seeds by another name": (
        "fold,base,x\n" + "".join(f"{s},{93 + NOISE[s]:.1f},{91 + NOISE[s]:.1f}\n" for s in SEEDS),
        {"seed": "fold"}),
    "commas between thousands of counts": (
        table("arm,seed,value,params", row='{arm},{seed},{value},"28,288,354"'), {}),
    "steps from the last to the first": (
        table("arm,seed,step,value", row="{arm},{seed},2,{value}\n{arm},{seed},1,0.9"), {}),
    "a column an arm, and one of epochs": (
        "seed,epoch,base,x,params\n" + "".join(f"{s},90,{93 + NOISE[s]:.1f},{91 + NOISE[s]:.1f},5\n" for s in SEEDS),
        {}),
    "a column an arm, and an index of pandas": (
        "Unnamed: 0,seed,base,x\n" + "".join(f"{s},{s},{93 + NOISE[s]:.1f},{91 + NOISE[s]:.1f}\n" for s in SEEDS),
        {}),
    "a chart of W&B with its own steps": (booked(chart(RUNS)), {}),
    "a chart of W&B over the steps of a trainer": (
        chart(RUNS).replace('"Step"', '"train/global_step"'), {}),
    "line breaks in names": (
        table('"a\nrm",seed,"top 1\naccuracy"'), {"arm": "a rm"}),
    "curves by epoch": (
        table("arm,seed,epoch,value", row="{arm},{seed},1,12.5\n{arm},{seed},2,{value}"), {}),
}  # fmt: skip
"""Shape -> a table of one and the same results, and what has to be said of it."""


@pytest.mark.parametrize("shape", READ)
def test_the_same_results_give_the_same_answer_in_every_shape(tmp_path, shape):
    data, asked = READ[shape]
    found = judged(tmp_path, data, rope=0.5, **asked).to_json()
    (arm,) = found["arms"]
    assert (arm["name"], arm["n"], arm["verdict"]) == ("x", 5, "worse")
    assert found["baseline"]["mean"] == pytest.approx(93.0)
    assert arm["delta_pp"] == pytest.approx(-2.0)
    assert arm["ci_low"] == pytest.approx(-2.2306, abs=1e-4)
    assert (found["unit"], found["better"], found["rope_pp"]) == ("pp", "higher", 0.5)


@pytest.mark.parametrize("name", ["None", "NA", "nan", "null", "1", "true"])
def test_arms_may_be_called_anything(tmp_path, name):
    found = judged(tmp_path, table(arms={name: 93.0, "x": 91.0}), baseline=name)
    assert found.to_json()["baseline"]["name"] == name


LOSS = {"base": 12.0, "x": 10.0}


@pytest.mark.parametrize(("better", "word"), [("lower", "better"), ("higher", "worse")])
def test_better_means_good_and_the_sign_is_the_datas(tmp_path, better, word):
    asked = {"metric": "loss", "unit": "none", "better": better, "rope": 3.0}
    (arm,) = judged(tmp_path, table(arms=LOSS), **asked).to_json()["arms"]
    assert (arm["delta_pp"], arm["verdict"]) == (pytest.approx(-2.0), word)
    assert arm["negligible"]
    assert arm["sentence"].startswith("x lowers loss by 2.00 (")
    assert arm["sentence"].endswith(f"{word}, but by less than 3.0 (negligible).")


def test_a_lower_loss_is_better_and_a_higher_one_worse(tmp_path):
    text = table(arms={"base": 12.0, "low": 10.0, "high": 14.0, "same": 12.0})
    asked = {"metric": "loss", "unit": "none", "better": "lower", "rope": 1.0}
    found = judged(tmp_path, text, **asked).to_json()
    assert {arm["name"]: (arm["verdict"], round(arm["delta_pp"], 6)) for arm in found["arms"]} == {
        "low": ("better", -2.0), "high": ("worse", 2.0), "same": ("equivalent", 0.0)
    }  # fmt: skip
    assert (found["unit"], found["better"], found["metric"]) == ("none", "lower", "loss")
    low, high, same = (arm["sentence"] for arm in found["arms"])
    assert low.startswith("low lowers loss by 2.00 (95 % simultaneous CI -2.")
    assert low.endswith("better.")
    assert high.startswith("high raises loss by 2.00 (")
    assert high.endswith("worse.")
    assert same.startswith("same: equivalent to the baseline within 1 (0.00, ")
    assert "(lower loss is better)" in found["methods"]


def test_small_differences_of_a_loss_have_the_digits_that_they_need(tmp_path):
    text = table(arms={"base": 1.2, "x": 1.0}, scale=0.001, places=7)
    found = judged(tmp_path, text, metric="loss", unit="none", better="lower").to_json()
    (arm,) = found["arms"]
    assert arm["sentence"].startswith("x: undecided (-0.00020, 95 % simultaneous CI -0.00043 to ")


@pytest.mark.parametrize("sd", [1e-3, 1e-8])
def test_a_difference_that_was_found_is_never_no_number(tmp_path, sd):
    arms = {"base": 99.9, "x": 99.9 + 10 * sd}
    rows = [f"{arm},{s},{mean + sd * NOISE[s] / 0.158:.12f}" for arm, mean in arms.items() for s in SEEDS]  # fmt: skip
    (arm,) = judged(tmp_path, many(*rows)).to_json()["arms"]
    assert arm["verdict"] == "better"
    said = arm["sentence"].removeprefix("x raises test accuracy by ")
    by, low, high = float(said.split()[0]), *(float(said[said.index("CI ") :].split()[k].strip(";")) for k in (1, 3))  # fmt: skip
    assert 0 < low <= by <= high
    assert by == pytest.approx(10 * sd, rel=0.05)


def test_several_data_sets_are_told_apart(tmp_path):
    rows = table("dataset,arm,seed,value", row="cifar10,{arm},{seed},{value}")
    more = table("", arms={"base": 80.0, "x": 83.0}, row="sv/hn,{arm},{seed},{value}")
    found = judged(tmp_path, rows + more.removeprefix("\n"))
    sets = found.to_json()["datasets"]
    assert [(name, one["arms"][0]["verdict"]) for name, one in sets.items()] == [
        ("cifar10", "worse"), ("sv/hn", "better")
    ]  # fmt: skip
    assert sets["sv/hn"]["arms"][0]["delta_pp"] == pytest.approx(3.0)
    assert "one of 2 (cifar10, sv/hn)" in sets["cifar10"]["methods"]
    folders = found.folders(tmp_path / "out")
    assert [path.relative_to(tmp_path / "out").as_posix() for path in folders.values()] == [
        "cifar10", "sv-hn"
    ]  # fmt: skip


def test_folders_of_data_sets_stay_inside_and_apart(tmp_path):
    names = ["../x", "X", "/x", "..", ""]
    found = Analysis(answers=dict.fromkeys(names)).folders(tmp_path)
    assert {path.parent for path in found.values()} == {tmp_path}
    assert len({path.name.lower() for path in found.values()}) == len(names)


@pytest.mark.parametrize(
    ("state", "failed", "diverged", "verdict"),
    [
        ("crashed", 1, 0, "undecided"),
        ("KILLED", 1, 0, "undecided"),
        ("FAILED", 1, 0, "undecided"),
        ("Diverged", 0, 1, "worse"),  # given convergence
        ("running", 0, 0, "pending"),
        ("SCHEDULED", 0, 0, "pending"),
        ("Finished", 0, 0, "worse"),
    ],
)
def test_states_are_read_in_any_programs_words(tmp_path, state, failed, diverged, verdict):
    text = table("arm,seed,value,State", row="{arm},{seed},{value},finished")
    text = text.replace("x,4,90.8000,finished", f"x,4,90.8000,{state}")
    (arm,) = judged(tmp_path, text).to_json()["arms"]
    assert (arm["failed"], arm["diverged"], arm["verdict"]) == (failed, diverged, verdict)
    assert arm["n"] == (5 if state == "Finished" else 4)


@pytest.mark.parametrize(
    ("word", "failed", "diverged"), [("OOM", 1, 0), ("diverged", 0, 1), ("Timeout", 1, 0)]
)
def test_a_word_where_a_result_should_stand_says_how_the_run_ended(
    tmp_path, word, failed, diverged
):
    text = table().replace("x,4,90.8000", f"x,4,{word}")
    (arm,) = judged(tmp_path, text).to_json()["arms"]
    assert (arm["failed"], arm["diverged"], arm["n"]) == (failed, diverged, 4)
    (named,) = judged(tmp_path, text.replace("value", "acc")).to_json()["arms"]
    assert named["n"] == 4


def test_several_columns_may_tell_arms_apart(tmp_path):
    rows = [f"{lr},{depth},{seed},{90 + depth + NOISE[seed]}" for lr in (0.1, 0.01) for depth in (2, 4) for seed in SEEDS]  # fmt: skip
    text = many(*rows, header="lr,depth,seed,value")
    found = judged(tmp_path, text, arm="lr,depth", baseline="lr=0.1, depth=2").to_json()
    assert [(arm["name"], round(arm["delta_pp"], 6)) for arm in found["arms"]] == [
        ("lr=0.1, depth=4", 2.0), ("lr=0.01, depth=2", 0.0), ("lr=0.01, depth=4", 2.0)
    ]  # fmt: skip


@pytest.mark.parametrize("row", ['{arm},{seed},"1,{value}"', "{arm};{seed};1.{value}"])
def test_marks_between_thousands_are_none_of_decimals(tmp_path, row):
    text = table(
        "arm;seed;fps" if ";" in row else "arm,seed,fps", {"base": 200.0, "x": 230.0}, row
    )
    text = text.replace(";1.", ";1T").replace(".", ",").replace("T", ".") if ";" in row else text
    found = judged(tmp_path, text).to_json()
    assert (found["baseline"]["mean"], found["unit"]) == (pytest.approx(1200.0), "none")
    assert found["arms"][0]["delta_pp"] == pytest.approx(30.0)


@pytest.mark.parametrize(
    ("metric", "unit"),
    [
        ("perplexity", "none"), ("train_s", "none"), ("latency (ms)", "none"), ("val/loss", "none"),
        ("images/s", "none"), ("test_error", "pp"), ("WER", "pp"), ("accuracy", "pp"),
        ("hd95 (mm)", "none"), ("inception", "none"), ("kid", "none"), ("snr_db", "none"),
        ("MAPE", "pp"), ("fpr95", "pp"), ("val/err", "pp"), ("rank1", "pp"),
        ("class_s_recall", "pp"), ("top1_error", "pp"), ("false_positive_rate", "pp"),
        ("testacc", "pp"), ("valAcc", "pp"), ("metrics.test_acc", "pp"), ("bleu", "none"), ("mAP50", "pp"),
    ],
)  # fmt: skip
def test_the_name_of_an_amount_is_no_percentage(tmp_path, metric, unit):
    found = judged(tmp_path, table(), metric=metric, better="lower").to_json()
    assert found["unit"] == unit


def test_one_metric_of_an_export_names_the_values(tmp_path):
    assert judged(tmp_path, table(MLFLOW, row=MLFLOW_ROW)).to_json()["metric"] == "test_acc"
    assert judged(tmp_path, chart(RUNS)).to_json()["metric"] == "test/acc"
    assert judged(tmp_path, table()).to_json()["metric"] == "test/accuracy"
    assert judged(tmp_path, table(), metric="F1").to_json()["metric"] == "F1"


def test_a_chart_has_curves(tmp_path):
    curves = judged(tmp_path, chart(RUNS)).only.curves
    assert len(curves) == 30
    assert sorted(set(curves.epoch)) == [0, 1, 2]


def test_text_seeds_are_paired_by_their_names(tmp_path):
    rows = ["arm,seed,value"]
    names = ["red", "blue", "green", "grey"]
    for arm, shift in (("base", 0.0), ("x", -0.5)):
        order = names if arm == "base" else names[::-1]
        rows += [f"{arm},{n},{90 + 3 * names.index(n) + shift + NOISE[names.index(n)] * (arm == 'x'):.2f}" for n in order]  # fmt: skip
    found = judged(tmp_path, "\n".join(rows), method="paired").to_json()
    (arm,) = found["arms"]
    assert (arm["pairs"], arm["delta_pp"]) == (4, pytest.approx(-0.45))
    assert arm["ci_high"] - arm["ci_low"] < 1


def many(*rows: str, header: str = "arm,seed,value") -> str:
    return "\n".join([header, *rows]) + "\n"


LONG = "arm,seed,step,value"
CUT = table(LONG, row="{arm},{seed},1,50\n{arm},{seed},2,{value}").replace("x,3,2,91.1000\n", "")
REFUSED: dict[str, tuple[str | bytes, dict[str, Any], list[str]]] = {
    "fractions that nobody named": (
        table(scale=0.01), {},
        ["all values lie in 0 to 1 (from 0.908 to 0.932)", "--unit fraction", "--unit none"]),
    "more than all": (
        table().replace("91.2000", "101.5"), {},
        ["results.csv: line 8", "101.5 % of x is not a percentage", "0 to 100", "--unit none"]),
    "less than nothing": (
        table().replace("91.2000", "-3"), {}, ["line 8", "-3 % of x is not a percentage"]),
    "percent called fractions": (
        table(), {"unit": "fraction"}, ["line 2", "93 of base is not a fraction of 1"]),
    "arms in two units": (
        table(arms={"base": 93.0}) + table("", arms={"x": 91.0}, scale=0.01).removeprefix("\n"), {},
        ["line 7", "values in two units: 0.91 (x, line 7), 93 (base, line 2)", "--unit percent"]),
    "seeds of one arm in two units": (
        table().replace("91.1000", "0.911"), {}, ["line 10", "values in two units: 0.911 (x"]),
    "a loss without a direction": (
        table(), {"metric": "val_loss", "unit": "none"},
        ["'val_loss' sounds as if lower were better", "--better lower"]),
    "a loss by its column": (
        table("arm,seed,eval/loss"), {"unit": "none"}, ["'eval/loss' sounds", "--better lower"]),
    "a killed run": (
        CUT, {},
        ["runs of unequal length: x, seed 3 ends at step 1, others at 2", "no replicate", "'status'"]),
    "seeds that are not whole": (
        many("base,1.2,93", "base,1.7,94"), {}, ["line 2", "no whole number below 2**53: 1.2"]),
    "a column that is not there": (
        table("model,seed,value"), {}, ["column 'arm' is missing; found 'model'", "--arm model"]),
    "three columns by other names": (
        table("group,replicate,lr,test auc", row="{arm},{seed},0.1,{value}"), {},
        ["columns 'arm', 'seed' and 'value' are missing", "numbers are in test auc, lr",
         "--arm group --seed replicate --value 'test auc'"]),
    "a column a seed without a word of arms": (
        many("base,93,94", "x,91,92", header="model,seed 0,seed 1"), {},
        ["column 'arm' is missing", "other columns: --arm model"]),
    "one row an arm": (
        many("base,93", "x,91", header="arm,acc"), {},
        ["column 'seed' is missing", "--seed COLUMN", "one row for every seed"]),
    "a table of a text": (
        many("| base | 0 | 93 |", header="| arm | seed | value |"), {},
        ["one column only, '| arm | seed | value |'", "separate cells by commas"]),
    "no baseline": (table(), {"baseline": ""}, ["--baseline", "arms: base, x", "--baseline base"]),
    "a row of means below the runs": (
        table() + "base,mean,93\nx,Mean,91\n", {}, ["line 12", "'mean' sums up others", "leave such rows out"]),
    "a row of means below a column an arm": (
        "seed,base,x\n0,93,91\n1,93.1,91.2\n2,93.2,90.9\nAvg.,93.1,91.03\n", {},
        ["line 5", "'Avg.' sums up others"]),
    "thousands or decimals": (
        many('base,0,"998"', 'base,1,"1,002"'), {"unit": "none"},
        ["line 3", "'1,002': the comma may stand for thousands or for decimals", "decimal point"]),
    "thousands or decimals, between semicolons": (
        many("base;0;998", "base;1;1,002", header="arm;seed;value"), {"unit": "none"},
        ["line 3", "'1,002': the comma may stand"]),
    "parameters in millions": (
        table("arm,seed,value,params", row="{arm},{seed},{value},28.3"), {},
        ["line 2", "params is no whole number: 28.3", "28300000, not 28.3"]),
    "fewer than no operations": (
        table("arm,seed,value,macs", row="{arm},{seed},{value},-1"), {}, ["macs is no whole number: -1"]),
    "a loss by another name": (
        table("arm,seed,test_loss"), {"metric": "accuracy"}, ["'test_loss' sounds as if lower", "--better lower"]),
    "a loss in rows by another name": (
        table("arm,seed,metric,value", row="{arm},{seed},val_loss,{value}"), {"metric": "accuracy"},
        ["'val_loss' sounds as if lower"]),
    **{f"less of {name} is better": (table(), {"metric": name}, [f"'{name}' sounds as if lower were better"])
       for name in ("mape", "brier_score", "FPR95", "hd95", "Hausdorff", "chamfer_l1", "kid", "MPJPE", "kl_div",
                    "miss_rate")},
    "a margin that holds everything": (
        table(), {"rope": float("inf")}, ["--rope: inf is more than any difference", "percentage points"]),
    "a margin of more than all": (
        table(), {"rope": 150.0}, ["--rope: 150 is more than any difference"]),
    "an error rate of nothing": (
        table(), {"alpha": 1e-300}, ["--alpha: 1e-300 is no error rate", "1e-09"]),
    "an arm of two sizes": (
        table("arm,seed,value,params", row="{arm},{seed},{value},10{seed}"), {},
        ["line 3: params of base are 10", "an arm is one network"]),
    "a margin of nothing": (
        table(), {"rope": 0.0}, ["--rope: 0 is no difference", "percentage points"]),
    **{name: (
        table(), {"metric": name}, [f"which way is good of {name!r}", "--better lower"])
       for name in ("accuracy drop", "acc_std", "generalization_gap")},
    "what is no accuracy": (
        table(), {"metric": "inaccuracy"}, ["'inaccuracy' sounds as if lower", "--better higher"]),
    "an error that may be pixels": (
        table(), {"metric": "reprojection_error"},
        ["'reprojection_error' sounds as if lower", "--unit none"]),
    "a score between -1 and 1": (
        "arm,seed,acc\nbase,0,0.5\nbase,1,-0.2\nx,0,0.3\n", {}, ["-0.2 % of base is not a percentage"]),
    "a latency": (
        table("arm,seed,latency_ms"), {}, ["'latency_ms' sounds as if lower", "--better higher"]),
    "a comma in one number of many": (
        table().replace("91.2000", '"1,23.5"'), {}, ["'1,23.5' is no number"]),
    "a column misspelt": (
        table(), {"value": "valeu"}, ["--value: no column is called 'valeu'", "mean 'value'?"]),
    "two columns of a name": (
        table("arm,seed,value,Value", row="{arm},{seed},{value},1"), {},
        ["two columns could be 'value': 'value' and 'Value'", "--value COLUMN"]),
    "several columns of numbers": (
        table("arm,seed,acc,f1", row="{arm},{seed},{value},80"), {},
        ["column 'value' is missing; found 'arm', 'seed', 'acc', 'f1'", "acc, f1: --value acc"]),
    "several metrics in rows": (
        table("arm,seed,metric,value", row="{arm},{seed},loss,0.3\n{arm},{seed},acc,{value}"), {},
        ["2 metrics in column 'metric': loss, acc", "--metric loss"]),
    "several data sets by another name": (
        table("corpus,arm,seed,value", row="a,{arm},{seed},{value}\nb,{arm},{seed},80"), {},
        ["line 3", "twice: base, 0 (first in line 2)", "'corpus' (a, b)", "--dataset COLUMN",
         "--arm arm,corpus"]),
    "several data sets numbered as steps": (
        table("corpus,arm,seed,step,value", row="a,{arm},{seed},1,{value}\nb,{arm},{seed},2,80"), {},
        ["column 'corpus' changes within runs: a, b", "--dataset 'corpus'"]),
    "a data set without the baseline": (
        table("dataset,arm,seed,value", row="a,{arm},{seed},{value}") + "b,x,0,80\n", {},
        ["--baseline", "no arm is called 'base' in data set 'b'", "known: x"]),
    "some rows without a data set": (
        table("dataset,arm,seed,value", row="a,{arm},{seed},{value}") + ",x,9,80\n", {},
        ["line 12", "no data set", "fill it in"]),
    "a decimal comma between commas": (
        many("base,0,93,4"), {}, ["line 2", "4 cells in a row of 3 columns", "semicolons"]),
    "points and commas": (
        many("base;0;93,4", "base;1;93.1", header="arm;seed;value"), {},
        ["line 3", "value has decimal commas, and a point in '93.1'"]),
    "mean and sd in a cell": (
        many("base,0,93.1 +- 0.2"), {}, ["line 2", "value = '93.1 +- 0.2' is no number", "one row for every seed"]),
    "some percent signs": (
        table().replace("91.2000", "91.2%"), {}, ["'93.0000' has no percent sign", "one unit"]),
    "a state that nobody knows": (
        table("arm,seed,value,status", row="{arm},{seed},{value},early"), {},
        ["status 'early' is none of done, failed", "no replicate"]),
    "nothing but a header": ("arm,seed,value\n", {}, ["no rows below its header"]),
    "a header without a name": (b",,,\nbase,0,93\n", {}, ["3 cells in a row of 0 columns"]),
    "nothing at all": (b"", {}, ["not a CSV table: it is empty"]),
    "latin-1": (table(arms={"base": 93, "größe": 91}).encode("latin-1"), {}, ["not UTF-8", "UTF-8"]),
    "one arm": (table(arms={"base": 93.0}), {}, ["'base' is the only arm"]),
    "a quote without an end": (table() + '"x,9,90\n', {}, ["not a CSV table"]),
    "runs of a chart without seeds": (
        chart(["base", "x"]), {}, ["run 'base' does not say which seed", "ARM-seed0"]),
}  # fmt: skip
"""What cannot be meant -> a table, what is said of it, and what the answer names."""


@pytest.mark.parametrize("shape", REFUSED)
def test_what_cannot_be_meant_is_refused_with_what_was_found(tmp_path, shape):
    data, asked, says = REFUSED[shape]
    with pytest.raises(InputError) as caught:
        judged(tmp_path, data, **asked)
    assert caught.value.at.startswith(str(tmp_path / "results.csv"))
    assert caught.value.hint
    for part in says:
        assert part in str(caught.value)


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        (table(scale=0.01), {"unit": "percent"}),
        (table(scale=0.01), {"unit": "none", "better": "higher"}),
        (table(), {"metric": "chloride", "unit": "percent", "better": "lower"}),
        (table().replace("91.2000", "0.9"), {"unit": "percent"}),
        (table().replace("91.2000", "101"), {"unit": "none", "better": "lower"}),
        (table().replace("91.2000", "0"), {}),
        (table(), {"metric": "error", "better": "higher"}),
    ],
)
def test_what_was_said_is_believed(tmp_path, text, asked):
    assert judged(tmp_path, text, **asked).to_json()["arms"][0]["n"] == 5


def test_lost_runs_do_not_have_to_be_as_long_or_in_the_unit(tmp_path):
    text = CUT.replace("value", "value,status").replace("\n", ",done\n")
    text = text.replace("status,done", "status").replace("x,3,1,50,done", "x,3,1,-7e30,diverged")
    (arm,) = judged(tmp_path, text).to_json()["arms"]
    assert (arm["n"], arm["diverged"]) == (4, 1)


def test_paired_and_another_method_contradict_each_other(tmp_path, capsys):
    path = tmp_path / "results.csv"
    path.write_text(table())
    words = ["analyze", str(path), "--baseline", "base", "--json", "--paired"]
    assert main([*words, "--method", "dunnett"]) == 2
    assert "--paired contradicts --method dunnett" in capsys.readouterr().err
    assert main(words) == 0
    assert '"pairs": 5' in capsys.readouterr().out


@pytest.mark.parametrize(("better", "verdict"), [("lower", "worse"), ("higher", "better")])
def test_a_loss_has_no_worst_case_and_collapses_upwards(tmp_path, better, verdict):
    arms = {"base": 1.0, "x": 3.0, "y": 1.0}
    text = table("arm,seed,value,status", arms, "{arm},{seed},{value},done")
    rows = text.splitlines()
    rows[6] = "x,0,,diverged"
    rows[11] = "y,0,90,done"  # one seed far above the others
    found = judged(tmp_path, "\n".join(rows), metric="loss", unit="none", better=better)
    x, y = found.to_json()["arms"]
    assert (x["given_convergence"], x["diverged"], x["verdict"]) == (True, 1, verdict)
    assert not {"worst_low", "worst_high"} & x.keys()
    assert y.get("collapsed", 0) == (1 if better == "lower" else 0)
    (seed,) = [w["text"] for w in found.to_json()["warnings"] if w["code"] == "W7"]
    assert seed.startswith("y: 1 of 5 seeds lies farther")
    assert "pp" not in seed
    assert "%" not in seed


def test_what_nobody_said_is_taken_aloud(tmp_path, capsys):
    path = tmp_path / "results.csv"
    path.write_text(table())
    words = ["analyze", str(path), "--baseline", "base", "--json"]
    assert main(words) == 0
    said = capsys.readouterr()
    taken = "the values for test accuracy in percent and higher for better"
    assert f"took {taken}" in said.err
    assert f"this took {taken}." in json.loads(said.out)["methods"]
    for more in (["--unit", "percent", "--better", "higher"], ["--metric", "acc"]):
        assert main([*words, *more]) == 0
        said = capsys.readouterr()
        assert "took" not in said.err
        assert "took" not in json.loads(said.out)["methods"]
    assert main([*words, "--unit", "none", "--better", "higher"]) == 0
    said = capsys.readouterr()
    assert (json.loads(said.out)["metric"], "took" in said.err) == ("value", False)


@pytest.mark.parametrize(
    ("more", "taken"),
    [
        (["--metric", "chloride"], "'chloride' for numbers without a unit and higher for better"),
        (["--metric", "score", "--unit", "none"], "'score' for higher for better"),
        (["--metric", "score", "--better", "lower"], "'score' for numbers without a unit"),
        (["--unit", "none"], "higher for better"),
    ],
)
def test_what_a_name_does_not_say_is_taken_aloud(tmp_path, capsys, more, taken):
    """Never for percentage points."""
    path = tmp_path / "results.csv"
    path.write_text(table())
    assert main(["analyze", str(path), "--baseline", "base", "--json", *more]) == 0
    told = capsys.readouterr()
    found = json.loads(told.out)
    assert f"took {taken} (" in told.err
    assert f"this took {taken}." in found["methods"]
    assert found["unit"] == "none"


def test_runs_of_somebody_else_cannot_be_retried_here(tmp_path):
    text = table("arm,seed,value,status", row="{arm},{seed},{value},done")
    lines = text.splitlines()
    lines[-1] = lines[-1].replace(",done", ",failed")
    found = judged(tmp_path, "\n".join(lines)).to_json()
    (warned,) = [one["text"] for one in found["warnings"] if one["code"] == "W4"]
    assert found["arms"][0]["reason"] == (
        "x failed on 1 of 5 seeds: run them again where they were trained"
    )
    assert warned == "failed trials: 1 of x. No verdict before they are run again."


def test_numbers_as_large_as_they_may_be_are_judged(tmp_path):
    """The square of a variance is a number, too; pytest turns warnings into errors."""
    text = table(scale=1e67, places=0)
    found = judged(tmp_path, text, unit="none", better="higher").to_json()["arms"][0]
    assert found["verdict"] == "worse"
    assert found["delta_pp"] == pytest.approx(-2e67, rel=1e-9)
    with pytest.raises(InputError, match="beyond anything that is measured"):
        judged(tmp_path, table(scale=1e70, places=0), unit="none", better="higher")

import base64
import hashlib
import json
import math
import os
import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest

from swinablate.errors import EnvironmentFault, InputError
from swinablate.records.plan import (
    ArmRecord,
    ChangeRecord,
    HypothesisRecord,
    ImagesRecord,
    MatchRecord,
    PlanRecord,
    ProofRecord,
    RefusalRecord,
)
from swinablate.records.report_folder import MARKER
from swinablate.records.tuning import Ledger, TryRecord
from swinablate.report import contents, render
from swinablate.report.analyze import Question, analyze
from swinablate.report.drawing import numbers
from swinablate.report.drawing.numbers import PM
from swinablate.report.drawing.stack import stacked
from swinablate.report.latex import MARKS, WIDE, arms_tex, check_columns, escape
from swinablate.report.page import breakable, coded, evidence, md, minus, shortened
from swinablate.report.results import StudyResults
from swinablate.report.tables import arms_table, changes, flat, origins, whole
from tests.answers import BASELINE, QUICKSTART, Sketch, elsewhere, many, study
from tests.report.conftest import Drawn

DASH = "\N{EN DASH}"
HOSTILE = "<script>alert('x')</script> & \"q\" |`*_ $x_2$ \\end{tabular} 100% 窗口"
REFUSED = (RefusalRecord(name="window=3", reason="stage 0: window 3 does not tile grid 8"),)
CLAIMS = (
    HypothesisRecord(arm="shift=false", expect="worse", by=1.0, source="Swin, Table 4"),
    HypothesisRecord(arm="window=3", expect="better"),
)
FILES = [
    "tables/trials.csv", "tables/arms.csv", "tables/arms.tex", "tables/arms_wide.tex",
    "tables/forest.csv", "figures/forest.svg", "tables/cost.csv", "figures/cost.svg",
    "tables/curves.csv", "figures/curves.svg", "tables/seeds.csv", "figures/seeds.svg",
    "tables/components.csv", "figures/components.svg", "tables/families.csv",
    "figures/families.svg", "verdicts.json", "plan.json", "provenance.json", "report.md", "index.html",
]  # fmt: skip


class Page(HTMLParser):
    """What a browser would see: tags, attributes, text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag in ("td", "th", "dd", "dt", "li", "p", "h2"):
            self.words.append(" ")
        self.attributes += [(tag, key, value or "") for key, value in attrs]

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join("".join(self.words).split())


@pytest.fixture(scope="module")
def quick() -> dict[str, bytes]:
    return contents(study(refusals=REFUSED, hypotheses=CLAIMS))


@pytest.fixture(scope="module")
def hostile() -> dict[str, bytes]:
    arms = [BASELINE, Sketch(name=HOSTILE, mean=96.0, changes={HOSTILE: HOSTILE})]
    claims = [HypothesisRecord(arm=HOSTILE, expect="worse", source=HOSTILE)]
    refusals = [RefusalRecord(name=HOSTILE, reason=HOSTILE)]
    answer = study(arms, hypotheses=claims, refusals=refusals, name=HOSTILE)
    provenance = {"command": HOSTILE, HOSTILE: {"x": [HOSTILE]}}
    return contents(replace(answer, provenance=provenance))


def test_every_file_is_written_the_page_last(tmp_path: Path) -> None:
    paths = render(study(), tmp_path / "out")
    assert [str(p.relative_to(tmp_path / "out")) for p in paths] == FILES
    found = [p for p in (tmp_path / "out").rglob("*") if p.is_file()]
    assert sorted(found) == sorted([*paths, tmp_path / "out" / MARKER])


def test_the_same_answer_gives_the_same_bytes(quick: dict[str, bytes], drawings: Drawn) -> None:
    drawings.clear()
    assert contents(study(refusals=REFUSED, hypotheses=CLAIMS)) == quick


def test_foreign_files_stay_and_old_figures_go(tmp_path: Path) -> None:
    render(study(), tmp_path)
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "figures/mine.svg").write_text("mine")
    assert (tmp_path / "figures/cost.svg").exists()
    render(study(QUICKSTART[:2]), tmp_path)
    assert not (tmp_path / "figures/cost.svg").exists()
    assert not (tmp_path / "tables/cost.csv").exists()
    assert (tmp_path / "notes.txt").read_text() == "mine"
    assert (tmp_path / "figures/mine.svg").read_text() == "mine"


def test_a_crash_while_drawing_leaves_the_old_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    render(study(QUICKSTART[:2]), tmp_path)
    before = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    write = Path.write_bytes

    def full(path: Path, data: bytes) -> int:
        if path.name == "report.md":
            raise OSError(28, "No space left on device", str(path))
        return write(path, data)

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(EnvironmentFault, match="No space left on device"):
        render(study(), tmp_path)
    assert {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()} == before


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(EnvironmentFault) as caught:
        render(study(QUICKSTART[:2]), tmp_path / "out")
    assert str(caught.value) == (
        f"{tmp_path / 'out'}: cannot write the report: Permission denied\n\n"
        "hint: choose another folder with --out"
    )


def test_a_file_where_the_folder_should_be(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("")
    with pytest.raises(InputError) as caught:
        render(study(QUICKSTART[:2]), tmp_path / "out")
    assert str(caught.value) == (
        f"{tmp_path / 'out'}: this is a file, and a report is a folder\n\n"
        "hint: choose another name with --out"
    )


def test_page_is_one_file_whose_only_script_is_its_own_and_asks_for_nothing(
    quick: dict[str, bytes],
) -> None:
    page = Page(quick["index.html"].decode())
    assert page.tags.count("script") == 1
    (script,) = re.findall(r"<script>(.*?)</script>", quick["index.html"].decode(), re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert not {"link", "img", "iframe", "object", "base", "form"} & set(page.tags)
    policy = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
    policy += f"script-src 'sha256-{digest}'"
    assert ("meta", "content", policy) in page.attributes
    links = [v for _, key, v in page.attributes if key in ("href", "src", "xlink:href", "action")]
    assert links
    assert all(link.startswith(("#", "data:text/csv;base64,")) for link in links)
    assert ("html", "lang", "en") in page.attributes
    assert not re.search(r"url\((?!#)|@import", quick["index.html"].decode())


def test_page_is_accessible(quick: dict[str, bytes]) -> None:
    text = quick["index.html"].decode()
    page = Page(text)
    tables = re.split("<table[^>]*>", text)[1:]
    assert tables
    assert all("<caption>" in t and 'scope="col"' in t and 'scope="row"' in t for t in tables)
    ids = [v for _, key, v in page.attributes if key == "id"]
    assert len(ids) == len(set(ids))
    targets = [v[1:] for tag, key, v in page.attributes if tag == "a" and key == "href"]
    assert {t for t in targets if not t.startswith("ata:")} <= set(ids)
    drawn = re.findall(r'<svg [^>]*role="img" aria-labelledby="([^"]*)"', text)
    assert [label.split() for label in drawn] == [
        [f"{n}-title", f"{n}-desc"]
        for n in ("forest", "cost", "curves", "seeds", "components", "families")
    ]


def test_page_says_what_the_statistics_say(quick: dict[str, bytes]) -> None:
    answer = study(refusals=REFUSED, hypotheses=CLAIMS)
    page = Page(quick["index.html"].decode())
    for arm in answer.verdicts["arms"]:
        assert minus(evidence(arm)) in page.text
        assert numbers.interval(arm["ci_low"], arm["ci_high"]) in page.text
        assert numbers.mean_sd(arm["mean"], arm["sd"]) in page.text
    for warning in answer.verdicts["warnings"]:
        assert minus(warning["text"]) in page.text
    assert answer.verdicts["methods"] in page.text
    assert "stage 0: window 3 does not tile grid 8" in page.text
    assert "not run: stage 0: window 3 does not tile grid 8 unresolved" in page.text
    given = answer.verdicts["arms"][0]["hypothesis"]["answer"]
    assert "shift=false worse by at least 1 pp Swin, Table 4 " in page.text
    assert given in ("supported", "contradicted", "unresolved")
    assert "INTERIM" not in page.text
    assert "45 trials done." in page.text


def test_hostile_names_stay_text_everywhere(hostile: dict[str, bytes]) -> None:
    text = hostile["index.html"].decode()
    page = Page(text)
    assert page.tags.count("script") == 1  # the page's own
    assert page.text.count("<script>alert('x')</script> & \"q\"") >= 8
    assert not re.search(r"\son\w+=", re.sub(r">[^<]*<", "><", text))
    markdown = hostile["report.md"].decode()
    assert "<script" not in markdown
    row = next(line for line in markdown.splitlines() if line.startswith("| &lt;script"))
    header = next(line for line in markdown.splitlines() if line.startswith("| arm | n"))
    assert len(re.findall(r"(?<!\\)\|", row)) == len(re.findall(r"(?<!\\)\|", header))
    frame = pd.read_csv(__import__("io").BytesIO(hostile["tables/arms.csv"]))
    assert frame.arm.tolist() == ["baseline", HOSTILE]


def test_every_markdown_table_has_one_width(quick: dict[str, bytes]) -> None:
    blocks = re.findall(r"(?:^\|.*\n)+", quick["report.md"].decode(), re.MULTILINE)
    assert len(blocks) == 5
    for block in blocks:
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}) == 1


def test_markdown_links_exist(quick: dict[str, bytes]) -> None:
    links = re.findall(r"\]\(([^)]*)\)", quick["report.md"].decode())
    assert len(links) == 13
    assert set(links) <= set(quick)


def test_interim_has_intervals_and_no_verdicts() -> None:
    arms = [
        replace(BASELINE, statuses=("done",) * 4 + ("waiting",)),
        Sketch(name="a", mean=80.0, statuses=("done",) * 4 + ("waiting",)),
    ]
    answer = study(arms)
    page = Page(contents(answer)["index.html"].decode())
    assert "INTERIM: quickstart" in page.text
    arm = answer.verdicts["arms"][0]
    assert numbers.interval(arm["ci_low"], arm["ci_high"]) in page.text
    verdicts = [v for tag, key, v in page.attributes if key == "class" and "verdict" in v.split()]
    assert set(verdicts) == {"verdict pending"}
    assert "4/5" in page.text


def test_lost_trials_are_never_silent() -> None:
    lost = Sketch(name="half", statuses=("done", "done", "failed", "diverged", "done"))
    files = contents(study([BASELINE, lost]))
    page = Page(files["index.html"].decode())
    assert "2 of 15 trials failed or diverged." in page.text
    assert "3/5" in page.text
    assert "1 diverged" in page.text
    assert "1 failed" in page.text
    assert "half 2 failed out of memory lost in <step> 2 1" in page.text
    said = "- failed: half, seed 2 (out of memory): lost in &lt;step&gt; 2\n"
    assert said in files["report.md"].decode()
    assert ",out of memory,lost in <step> 2\n" in files["tables/trials.csv"].decode()


def test_an_arm_that_fails_to_train_is_told_wherever_verdicts_are() -> None:
    files = contents(study([BASELINE, Sketch(name="wild", statuses=("diverged",) * 5)]))
    page = Page(files["index.html"].decode())
    said = "wild: it diverged on 5 of 5 seeds, the baseline on 0 of 10"
    assert said in page.text
    assert "1 fails to train" in page.text
    classes = [v for tag, key, v in page.attributes if key == "class"]
    assert classes.count("verdict fails-to-train") == 3  # counted, found, in the table
    assert said in files["report.md"].decode()
    assert "| fails to train |" in files["report.md"].decode()
    assert "fails to train" in files["tables/arms_wide.tex"].decode()
    assert "given convergence" not in page.text.split("Methods")[0]  # there is no number to label
    (arm,) = json.loads(files["verdicts.json"])["arms"]
    assert (arm["verdict"], arm["divergence"]["diverged"]) == ("fails to train", 5)


def test_what_is_judged_given_convergence_has_its_worst_case_beside_it() -> None:
    odd = Sketch(name="odd", mean=80.0, statuses=("done", "diverged", *("done",) * 3))
    answer = study([BASELINE, odd])
    files = contents(answer)
    page = Page(files["index.html"].decode())
    (arm,) = answer.verdicts["arms"]
    assert arm["verdict"] == "worse"
    worst = numbers.interval(arm["worst_low"], arm["worst_high"])
    assert f"worst case {worst}" in page.text
    assert "worsegiven convergence" in page.text  # two lines of a cell
    assert "the worst case counts those seeds as anything from 0" in page.text
    assert f"(given convergence; worst case {worst}" in files["report.md"].decode().replace(
        "\\", ""
    )
    calm = Page(contents(study([BASELINE, Sketch(name="odd")]))["index.html"].decode())
    assert "given convergence" not in calm.text
    assert "worst case" not in calm.text


def test_median_and_collapsed_seeds_stand_beside_a_mean_that_they_draw_down() -> None:
    answer = study([BASELINE, Sketch(name="odd")])
    answer.verdicts["arms"][0] |= {"median": 93.12, "collapsed": 1}
    files = contents(answer)
    assert "median 93.12; 1 of 5 collapsed" in Page(files["index.html"].decode()).text
    assert "(median 93.12; 1 collapsed)" in files["report.md"].decode()


def test_attempts_beyond_the_first_stand_beside_a_lost_trial() -> None:
    answer = study([BASELINE, Sketch(name="half", statuses=("done",) * 4 + ("failed",))])
    answer.trials.loc[answer.trials.status == "failed", "attempts"] = 3
    files = contents(answer)
    assert (
        "half 4 failed out of memory lost in <step> 4 3" in Page(files["index.html"].decode()).text
    )
    assert "(out of memory), 3 attempts: lost in" in files["report.md"].decode()


def test_a_lost_trial_without_a_message_has_none() -> None:
    answer = study([BASELINE, Sketch(name="half", statuses=("done",) * 4 + ("failed",))])
    answer.trials["message"] = math.nan
    files = contents(answer)
    assert "half 4 failed out of memory 1" in Page(files["index.html"].decode()).text
    assert "seed 4 (out of memory)\n" in files["report.md"].decode()


def test_lost_trials_stand_in_the_latex_table() -> None:
    lost = Sketch(name="half", statuses=("done", "done", "failed", "diverged", "done"))
    files = contents(study([BASELINE, lost]))
    assert r"half & 3/5 &" in files["tables/arms_wide.tex"].decode()


def test_labels_name_arms_for_readers_and_not_for_programs() -> None:
    answer = study([BASELINE, Sketch(name="shift=false", mean=93.0)])
    plan = answer.plan.model_copy(update={"labels": {"shift=false": "no shift"}})
    files = contents(replace(answer, plan=plan))
    page = Page(files["index.html"].decode()).text
    assert "no shift" in page
    assert "test accuracy (%)" in page
    assert "test/accuracy (" not in page
    for name in ("report.md", "tables/arms.tex"):
        text = files[name].decode()
        assert "no shift" in text, name
        assert "shift=" not in text.replace("model.shift = false", ""), name
    assert "shift=false" in files["tables/arms.csv"].decode()
    assert "shift=false" in files["verdicts.json"].decode()


@pytest.mark.parametrize(
    "make",
    [
        lambda: study([replace(s, statuses=("waiting",) * 3) for s in QUICKSTART]),
        lambda: study([replace(s, statuses=("failed",) * 3) for s in QUICKSTART]),
        lambda: study([replace(s, statuses=("diverged",) * 3) for s in QUICKSTART]),
        lambda: study(QUICKSTART[:2]),
        lambda: study([BASELINE, Sketch(name="a", mean=float("nan")), Sketch(name="b", sd=0.0)]),
        elsewhere,
        lambda: many(30),
    ],
    ids=[
        "nothing done",
        "all failed",
        "all diverged",
        "one arm",
        "not a number",
        "elsewhere",
        "thirty arms",
    ],
)
def test_every_study_can_be_reported(make: Callable[[], StudyResults]) -> None:
    answer = make()
    files = contents(answer)
    page = Page(files["index.html"].decode())
    for heading in ("Findings", "Effects", "Arms", "Seeds", "Warnings", "Methods", "Trials"):
        assert heading in page.text
    for word in ("nan", "inf", "None"):
        assert not re.search(rf"(?<![\w\"]){word}(?![\w\"])", page.text.replace("None.", ""))
    drawn = {name[8:-4] for name in files if name.endswith(".svg")}
    absent = page.text.count("No figure here: ")
    usual = {"forest", "cost", "curves", "seeds"}
    assert len(drawn & usual) + absent >= len(usual)
    assert absent or drawn >= usual  # what is not drawn is said
    json.loads(files["verdicts.json"])


def test_results_from_elsewhere_need_three_columns() -> None:
    answer = study(QUICKSTART[:2])
    bare = answer.trials[["arm", "seed", "test_acc"]].rename(columns={"test_acc": "value"})
    plan = PlanRecord(study="results")
    found = contents(
        StudyResults(
            plan=plan, trials=bare, curves=pd.DataFrame(), verdicts=answer.verdicts, provenance={}
        )
    )
    page = Page(found["index.html"].decode())
    assert minus(evidence(answer.verdicts["arms"][0])) in page.text
    assert "No figure here: no curve was recorded." in page.text
    assert json.loads(found["plan.json"]) == plan.to_json()


def test_the_plan_of_a_tuned_study_says_what_was_tried() -> None:
    answer = study(QUICKSTART[:2])
    entry = TryRecord(number=0, params={"train.lr": 0.01}, trials=("a",), finals=("b",))
    ledger = Ledger(arms={"baseline": (entry,)})
    tuned = replace(answer, plan=answer.plan.model_copy(update={"ledger": ledger}))
    written = contents(tuned)["plan.json"]
    assert PlanRecord.model_validate_json(written) == tuned.plan
    assert "ledger" not in json.loads(contents(answer)["plan.json"])


def test_arms_table_holds_costs_and_counts() -> None:
    answer = study()
    arms = arms_table(whole(answer)).set_index("arm")
    mine = answer.trials[answer.trials.arm == "window=4"]
    assert arms.loc["window=4", "macs"] == 2_300_000
    assert arms.loc["window=4", "train_s"] == pytest.approx(mine.train_s.median())
    assert arms.loc["window=4", "images_per_s"] == pytest.approx(mine.images_per_s.median())
    assert arms.loc["no shift, no bias", "changes"] == (
        'model.shift = false, model.position_bias = "none"'
    )
    assert arms.loc["baseline", "n"] == 10


def test_memory_of_an_arm_is_the_highest_over_its_seeds() -> None:
    answer = study(QUICKSTART[:2])
    peaks = [400.0, 412.0, 403.0, float("nan"), 399.0]
    trials = answer.trials.copy()
    trials.loc[trials.arm == "shift=false", "peak_mib"] = peaks
    arms = arms_table(whole(replace(answer, trials=trials))).set_index("arm")
    assert arms.loc["shift=false", "peak_mib"] == 412.0


def test_latex_escapes_what_it_must() -> None:
    assert escape('a_b & 5% $x$ #1 {z} ~^\\ <>|"') == (
        r"a\_b \& 5\% \$x\$ \#1 \{z\} \textasciitilde{}\textasciicircum{}\textbackslash{} "
        r"\textless{}\textgreater{}\textbar{}\textquotedbl{}"
    )
    assert escape("\N{MINUS SIGN}1 \N{PLUS-MINUS SIGN} 2\x00") == r"$-$1 $\pm$ 2?"
    # Of two of these T1 makes another character: a dash, a low quote, a quote.
    assert escape("--no-x ,, '' \N{EN DASH}") == "-{}-no-x ,{}, '{}' --"
    assert escape("?`") == r"?\textasciigrave{}"


@pytest.mark.parametrize("name", ["arms", "arms_wide"])
def test_latex_table_is_well_formed(hostile: dict[str, bytes], name: str) -> None:
    lines = hostile[f"tables/{name}.tex"].decode().splitlines()
    (head,) = [line for line in lines if line.startswith("arm &")]
    cells = len(re.findall(r"(?<!\\)&", head)) + head.count(r"\multicolumn{2}")
    rows = [line for line in lines if line.endswith(r" \\") and r"\multicolumn" not in line]
    assert len(rows) == 2
    for row in rows:
        assert len(re.findall(r"(?<!\\)&", row)) == cells
        bare = re.sub(r"\\[{}\\$&%#_]", "", row)
        assert bare.count("{") == bare.count("}")
        assert bare.count("$") % 2 == 0
        # An optional argument of \\ would swallow it.
        assert not row.lstrip().startswith("[")
    assert sum(line.startswith(r"\end{tabularx}") for line in lines) == 1


def test_latex_numbers_are_the_verdicts() -> None:
    answer = study(QUICKSTART[:2])
    text = arms_tex(answer, arms_table(whole(answer)), WIDE)
    arm = answer.verdicts["arms"][0]
    (row,) = [line for line in text.splitlines() if "false" in line]
    cells = row.removesuffix(r" \\").split(" & ")
    assert cells[0].replace(r"\textbf{", "").rstrip("}") == r"shift=\allowbreak{}false"
    mean, sd = (cell.removeprefix(r"\bfseries ") for cell in cells[2:4])
    assert f"{mean} {PM} {sd}" == numbers.mean_sd(arm["mean"], arm["sd"])
    assert cells[4] == f"{arm['delta_pp']:+.2f}"
    assert cells[5].replace("$-$", "-") == f"{{[{arm['ci_low']:+.2f}, {arm['ci_high']:+.2f}]}}"


@pytest.mark.parametrize(("mean", "shown"), [(92.997, "0.00"), (93.003, "0.00"), (92.99, "-0.01")])
def test_latex_has_no_sign_before_nothing(tmp_path: Path, mean: float, shown: str) -> None:
    path = tmp_path / "r.csv"
    rows = [f"{arm},{s},{m + 0.1 * (s - 1):.4f}" for arm, m in (("a", 93.0), ("b", mean)) for s in range(3)]  # fmt: skip
    path.write_text("\n".join(['arm,seed,"top 1\nof ""five"""', *rows]) + "\n")
    answer = analyze(path, Question(baseline="a")).only
    lines = arms_tex(answer, arms_table(whole(answer)), ("delta",)).splitlines()
    assert [line for line in lines if line.startswith("b")] == [rf"b & {shown} \\"]
    assert lines[1] == '% r.csv: top 1 of "five", mean +- sd over seeds; 95 % simultaneous intervals; the best mean is bold where verdicts say that it is'  # fmt: skip


def test_latex_has_the_columns_that_were_asked_for_and_the_best_is_bold() -> None:
    answer = study()
    arms = arms_table(whole(answer))
    text = arms_tex(answer, arms, check_columns("verdict, params"))
    assert "\narm & verdict & {params} \\\\" in text
    assert r"\textbf{ResNet} & better & 33.9 k" in text
    best = arms_tex(answer, arms)
    assert r"\textbf{ResNet} & \bfseries " in best
    assert best.count(r"\bfseries") == 1
    with pytest.raises(InputError, match="mean stands there twice"):
        check_columns("mean, p, mean")
    with pytest.raises(InputError, match="no column is called 'vredict'") as caught:
        check_columns("mean,vredict")
    assert "did you mean 'verdict'?" in str(caught.value)


def test_latex_says_which_mark_is_which_verdict() -> None:
    answer = study()
    text = arms_tex(answer, arms_table(whole(answer)))
    words = {arm["verdict"] for arm in answer.verdicts["arms"]}
    assert words
    for word in MARKS:
        assert (f"{MARKS[word]} {word}" in text) == (word in words)


@pytest.mark.parametrize(
    ("mean", "sd", "expected"),
    [
        (97.3111, 0.4213, "97.31 ± 0.42"), (97.3, 12.34, "97 ± 12"), (97.3, 1.234, "97.3 ± 1.2"),
        (97.3, 0.0123, "97.300 ± 0.012"), (97.3, 0.0, "97.30 ± 0.00"), (97.3, None, "97.30"),
        (None, None, DASH), (float("nan"), 1.0, DASH), (97.3, 0.0999, "97.30 ± 0.10"),
        (1.23e-5, 3e-6, "0.0000123 ± 0.0000030"), (149118.93, 1234.5, "149100 ± 1200"),
        (1234.5, 123.4, "1230 ± 120"), (1234.5, 99.6, "1230 ± 100"), (1234.5, 99.4, "1234 ± 99"),
        (-12.3, 345.6, "\N{MINUS SIGN}10 ± 350"), (-1.2, 345.6, "0 ± 350"),
    ],
)  # fmt: skip
def test_mean_and_sd(mean: float | None, sd: float | None, expected: str) -> None:
    assert numbers.mean_sd(mean, sd) == expected


def test_numbers_as_text() -> None:
    assert numbers.signed(-0.126) == "\N{MINUS SIGN}0.13"
    assert numbers.signed(0.0) == "0.00"
    assert numbers.signed(float("inf")) == DASH
    assert numbers.interval(-1.0, 0.5) == "[\N{MINUS SIGN}1.00, +0.50]"
    assert numbers.interval(None, 0.5) == DASH
    # Below alpha, and not to be read as if it were alpha.
    assert [numbers.p_value(p) for p in (0.0497, 0.0502, 0.04999999)] == [
        "0.0497", "0.050", "0.050000",
    ]  # fmt: skip
    assert [numbers.p_value(0.196, alpha) for alpha in (0.05, 0.2)] == ["0.20", "0.196"]
    assert [numbers.p_value(p) for p in (0.0, 0.0123, 0.5, 1.0, None)] == [
        "< 0.001", "0.012", "0.50", "1.00", DASH,
    ]  # fmt: skip
    assert [numbers.count(v) for v in (34_710, 28_288_354, 999, 4.5e9, None)] == [
        "34.7 k", "28.3 M", "999", "4.5 G", DASH,
    ]  # fmt: skip
    assert [numbers.duration(s) for s in (12.34, 90, 7200, None)] == [
        "12.3 s", "1.5 min", "2 h", DASH,
    ]  # fmt: skip
    assert [numbers.share(*v) for v in ((5, 5), (2, 3), (None, 4))] == ["5", "2/3", "0/4"]


def test_text_helpers() -> None:
    assert md("~~a~~ $x$") == r"\~\~a\~\~ \$x\$"
    assert minus("CI -1.20 to -0.3; e-3 stays, s-2 too") == (
        "CI \N{MINUS SIGN}1.20 to \N{MINUS SIGN}0.3; e-3 stays, s-2 too"
    )
    assert breakable("model.shift=<b> 0.25") == "model.<wbr>shift=&lt;b&gt; 0.25"
    assert md("a|b_c <i>\n`x`") == r"a\|b\_c &lt;i&gt; \`x\`"


def test_long_changes_are_cut_at_a_change() -> None:
    text = ", ".join(f"model.switch_{i} = {i}" for i in range(9))
    assert shortened(text).endswith("model.switch_3 = 3, ...")
    assert shortened("model.shift = false") == "model.shift = false"
    arm = ArmRecord(name="vit", changes={"model.family": "vit", "model.window": None})
    assert changes(arm) == 'model.family = "vit"'


def test_nested_values_become_lines() -> None:
    nested = {
        "a": 1,
        "b": {"c": [1, 2], "d": {"e": True}},
        "f": [{"g": None}, {"g": "x"}],
        "h": "",
    }
    assert flat(nested) == [("a", "1"), ("b.c", "1, 2"), ("b.d.e", "yes"), ("f 2.g", "x")]


def test_what_trials_and_report_share_stands_once() -> None:
    found = origins(
        {
            "report": {"swinablate": "0.2", "versions": {"torch": "2"}, "cores": 2},
            "trials": [
                {"swinablate": "0.1", "versions": {"torch": "2"}, "cores": 2},
                {"swinablate": "0.2", "versions": {"torch": "2"}, "cores": 4},
            ],
            "execution": [{"torch": "2", "device": "a"}, {"torch": "2", "device": "b"}],
            "hours": 1.5,
        }
    )
    assert found == [
        ("swinablate", "0.1; 0.2", "0.2"),
        ("versions.torch", "2", ""),
        ("cores", "2; 4", "2"),
        ("device", "a; b", ""),
        ("hours", "1.5", ""),
    ]


@pytest.mark.parametrize(
    ("word", "said", "told"),
    [
        ("undecided", "x: undecided (+0.4 pp, 95 % CI -1 to +2; 3 seeds); 9 more would show it.",
         "x: +0.4 pp (95 % CI -1 to +2; 3 seeds); 9 more would show it."),
        ("undecided", "x: undecided against y given convergence (+0.4 pp, CI); 9 more.",
         "x: against y given convergence +0.4 pp (CI); 9 more."),
        ("undecided", "x: undecided, because x diverged on 1 of 3 seeds.", "x: x diverged on 1 of 3 seeds."),
        ("better", "x raises accuracy by 2 pp (95 % CI +1 to +3): better.",
         "x raises accuracy by 2 pp (95 % CI +1 to +3)."),
        ("worse", "x lowers accuracy by 0.2 pp (CI): worse, but by less than 1 pp (negligible).",
         "x lowers accuracy by 0.2 pp (CI), but by less than 1 pp (negligible)."),
        ("fails to train", "x fails to train: it diverged on 3 of 3 seeds.", "x: it diverged on 3 of 3 seeds."),
        ("not tested", "x: not tested (x has 2 seeds, needs 3).", "x: x has 2 seeds, needs 3."),
        ("equivalent", "x: equivalent to the baseline within 1 pp (+0.1 pp, CI).",
         "x: equivalent to the baseline within 1 pp (+0.1 pp, CI)."),  # a sentence without it is none
    ],
)  # fmt: skip
def test_a_finding_says_its_word_once(word: str, said: str, told: str) -> None:
    assert evidence({"name": "x", "verdict": word, "sentence": said}) == told


def test_arms_are_stacked_on_one_axis_for_a_telephone() -> None:
    arms = [
        {"name": n, "delta_pp": d, "ci_low": low, "ci_high": high}
        for n, d, low, high in (("a", 1.0, 0.0, 2.0), ("b", -2.0, -3.0, -1.0), ("c", -90.0, -95.0, -85.0),
                                ("d", None, None, None))
    ]  # fmt: skip
    found = stacked({"rope_pp": 0.5}, arms)
    assert found["zero"] == 50.0
    a, b, c, d = found["rows"]
    assert a["dot"] > 50 > b["dot"]
    assert a["bar"][0] == 50.0  # its lower end is 0
    assert b["bar"][0] + b["bar"][1] < 50
    assert c["dot"] == 0.0  # beyond the axis, which it does not stretch
    assert (d["dot"], d["bar"]) == (None, None)


PROOF = ProofRecord(
    modules=ChangeRecord(removed=("a.0.roll",), changed=("a.0.bias",)),
    buffers=ChangeRecord(removed=("a.0.bias.mask",)),
    where={"a.*.roll": 1, "a.*.bias": 1},
    output=0.0042,
    output_train=0.0042,
)
MATCH = MatchRecord(
    by="params",
    tolerance=0.02,
    solved={"model.width": (32, 30)},
    target=34710,
    found=34568,
    off=-0.0041,
)


def test_the_page_says_what_was_switched():
    answer = study()
    base, *arms = answer.plan.arms
    switched = {"proof": PROOF, "differs": {"model.shift": (True, False)}}
    other = {"proof": PROOF, "match": MATCH, "differs": {"model.family": ("a", "b")}}
    proved = (arms[0].model_copy(update=switched), arms[1].model_copy(update=other))
    plan = answer.plan.model_copy(update={"arms": (base, *proved, *arms[2:])})
    files = contents(replace(answer, plan=plan))
    page = Page(files["index.html"].decode()).text
    assert f"{arms[0].name} 2 0 1 0 0.42 a.*.roll, a.*.bias" in page
    assert (
        f"{arms[1].name}matched in params (\u22120.4 %): model.width 32 to 30 2 0 1 0 \u2013 another family"
        in page
    )
    text = files["report.md"].decode()
    assert "| 2 | 0 | 1 | 0 | 0.42 | a.\\*.roll, a.\\*.bias |" in text
    assert "another family; matched in params (-0.4 %): model.width 32 to 30 |" in text


def test_a_plan_without_proofs_has_no_table_of_them(quick: dict[str, bytes]) -> None:
    assert b"What was switched" not in quick["index.html"] + quick["report.md"]


def test_a_report_says_how_many_images_of_each_class_there_are(tmp_path: Path) -> None:
    few = ImagesRecord(
        arms=("baseline",),
        data="folder",
        size="8x8x3",
        sizes={"train": 30, "test": 7},
        per_class={"train": (10, 20), "test": (3, 4)},
        classes=("cat", "<dog>"),
        converted={"grey made colour": 2},
    )
    counts = tuple(range(100, 130))
    many = few.model_copy(update={"arms": ("a",), "classes": (), "sizes": {"train": sum(counts)},
                                  "per_class": {"train": counts}, "converted": {}})  # fmt: skip
    answer = study()
    plan = answer.plan.model_copy(update={"images": (few, many)})
    render(replace(answer, plan=plan), tmp_path)
    page = (tmp_path / "index.html").read_text("utf-8")
    section = page[page.index('<h2 id="data">') : page.index('<h2 id="warnings">')]
    text = " ".join(re.sub("<[^>]*>", " ", section).split())
    assert "folder, 8x8x3 as networks see them: images of each class, for baseline." in text
    assert "Converted when they were read: 2 grey made colour." in text
    assert "class training test all 30 7 cat 10 3 &lt;dog&gt; 20 4" in text
    assert "all 3,435 each of 30 classes 100 to 129" in text
    assert 'href="#data"' in page
    render(answer, tmp_path)
    assert 'id="data"' not in (tmp_path / "index.html").read_text("utf-8")


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("run `a <b>` twice", "run <code>a &lt;b&gt;</code> twice"),
        ("`a` and `b`", "<code>a</code> and <code>b</code>"),
        ("one ` alone", "one ` alone"),
    ],
)
def test_what_markdown_shows_as_code_is_code_on_the_page(said, shown):
    assert coded(said) == shown

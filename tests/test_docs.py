"""Generated pages say what the code does; `just docs` writes them."""

import ast
import dataclasses
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from swinablate.config.family import Family
from swinablate.data.dataset import Dataset
from swinablate.execution.executor import Executor
from swinablate.models.catalogue import catalogue
from swinablate.report.drawing import Figure
from swinablate.study.files import load_study
from swinablate.study.planner import plan
from tests.docs import MAP, MODELS, SWITCHES, models_page, read, switches_page
from tests.map import with_map
from tests.models.parity import GRADIENTS, LOGITS, PAIRS

ROOT = Path(__file__).parent.parent
PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("benchmarks/*.md")]
LINK = re.compile(r"\[`?([^]`]*)`?\]\(([^)#:]+)(?:#[^)]*)?\)")
"""A link to a file of ours: what it is called, and where it leads."""
PATH = re.compile(r"`((?:swinablate|tests|docs|studies|experiments|benchmarks)/[\w./-]*)`")
"""A path in backticks, from the root."""
STEP = re.compile(r"^\| \d+ \| [^|]+ \| ([^|]+) \| ([^|]+) \|$", re.MULTILINE)
"""A step of a study's way: its files, and the names that are in them."""


def defined(path: Path) -> Iterator[str]:
    """The functions and classes of a module, and the methods as `Class.method`."""
    for node in ast.parse(path.read_text("utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name
        if isinstance(node, ast.ClassDef):
            methods = (part for part in node.body if isinstance(part, ast.FunctionDef))
            yield from (f"{node.name}.{method.name}" for method in methods)


def test_the_page_of_switches_is_what_the_code_says():
    assert SWITCHES.read_text() == switches_page(), "stale: run `just docs`"


@pytest.mark.integration  # it builds every family
def test_the_page_of_models_is_what_the_code_says():
    """All but the versions and differences, which are measured."""
    page = MODELS.read_text()
    assert page == models_page(read(page)), "stale: run `just docs`"


def test_the_map_of_the_packages_is_what_the_code_says():
    page = MAP.read_text()
    assert page == with_map(page), "stale: run `just docs`"


def test_the_front_page_counts_the_studies():
    found = re.search(r"has (\d+) questions of papers", (ROOT / "README.md").read_text("utf-8"))
    assert found, "the sentence changed"
    assert int(found[1]) == len([*ROOT.glob("studies/*.toml")])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_file_that_a_page_names_is_there(page):
    text = page.read_text("utf-8")
    named = [page.parent / target for _, target in LINK.findall(text)]
    named += [ROOT / path for path in PATH.findall(text)]
    assert [path for path in named if not path.exists()] == []


def test_links_of_the_map_are_called_what_they_lead_to():
    links = LINK.findall(MAP.read_text("utf-8"))
    assert len(links) > 50
    assert [name for name, target in links if not target.endswith(f"/{name}")] == []


def test_every_name_on_the_way_of_a_study_is_defined_in_a_file_of_its_step():
    steps = STEP.findall(MAP.read_text("utf-8"))
    assert len(steps) >= 15
    for files, names in steps:
        there = [list(defined(MAP.parent / target)) for _, target in LINK.findall(files)]
        wanted = re.findall(r"`([^`]+)`", names)
        assert set(wanted) <= {name for found in there for name in found}
        assert all(set(wanted) & set(found) for found in there), "a file without a name"


def test_what_is_named_where_something_is_added_is_in_a_file_that_is_linked():
    _, added = MAP.read_text("utf-8").split("## Where to add something\n")
    paragraphs = added.strip().split("\n\n")
    assert [text.split("**")[1].split()[-1] for text in paragraphs] == [
        "switch", "family", "figure", "executor", "set",
    ]  # fmt: skip
    for text in paragraphs:
        files = "".join((MAP.parent / file).read_text("utf-8") for _, file in LINK.findall(text))
        missing = [
            name for name in re.findall(r"`(\w+)`", text) if not re.search(rf"\b{name}\b", files)
        ]
        assert missing == []


@pytest.mark.parametrize(
    "kind", [Family, Figure, Executor, Dataset], ids=lambda kind: kind.__name__
)
def test_what_a_plugin_ends_in_has_the_fields_that_the_page_says(kind):
    call = re.compile(rf"`{kind.__name__.upper()} = {kind.__name__}\(([^)]+)\)`")
    (said,) = call.findall(MAP.read_text("utf-8"))
    fields = {field.name: field.default for field in dataclasses.fields(kind)}
    assert set(said.split(", ")) <= set(fields)
    needed = {name for name, default in fields.items() if default is dataclasses.MISSING}
    assert needed <= set(said.split(", "))


def test_measured_differences_are_within_their_bounds():
    measured = read(MODELS.read_text())
    assert [found.package.split()[0] for found in measured] == [pair.against for pair in PAIRS]
    assert max(float(found.logits) for found in measured) <= LOGITS
    assert max(float(found.gradients) for found in measured) <= GRADIENTS


def test_a_page_without_measurements_is_stale():
    with pytest.raises(ValueError, match="zip"):
        models_page([])


def test_the_study_file_that_is_explained_can_be_planned(tmp_path):
    """Every block of TOML: another metric, seeds that add themselves, tuning, and splits."""
    text = (ROOT / "docs" / "study-files.md").read_text()
    whole, compared, adaptive, tune, noise = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
    path = tmp_path / "study.toml"
    path.write_text(whole.replace("../experiments", str(ROOT / "experiments")))
    arms = [arm.name for arm in plan(load_study(path)).arms]
    assert arms == [
        "baseline", "shift=false", "position_bias=none", "position_bias=log_cpb",
        "depths=(2,4)", "no shift, no bias", "ViT, same parameters",
    ]  # fmt: skip
    seeded = path.read_text()
    path.write_text(re.sub(r"\[compare\].*?\n\n", compared + "\n", seeded, flags=re.DOTALL))
    assert load_study(path).compare.secondary == ("test/accuracy", "test/ece")
    path.write_text(seeded + tune)
    assert load_study(path).tune.trials == 12
    path.write_text(seeded + noise)
    assert load_study(path).seeds == tuple(range(40))
    path.write_text(re.sub(r"seeds    = 8.*", "", seeded) + adaptive)
    assert load_study(path).looks == (3, 5, 8, 12, 16)


def test_levels_of_a_choice_that_may_be_a_number_are_those_worth_comparing():
    rows = {row["switch"]: row["levels"] for row in catalogue("swin")}
    assert rows["model.shift_by"] == "half, 1, 3"
    assert rows["model.band"] == "none, 1"
    assert rows["model.pad"] == "refuse, masked"
    assert rows["train.compile"] == "false, true, auto"


@pytest.mark.integration  # MLflow makes its tables
def test_the_lines_of_the_page_about_python_run(tmp_path, monkeypatch, capsys):
    """On a home where everything is recorded: nothing is trained."""
    folder = shutil.copytree(ROOT / "tests/golden/home-0.1", tmp_path / "frozen")
    monkeypatch.chdir(folder)
    page = (ROOT / "docs" / "from-python.md").read_text("utf-8")
    lines = "\n".join(re.findall(r"```python\n(.*?)```", page, re.DOTALL))
    lines = lines.replace("studies/quickstart.toml", "grid.toml").replace(
        '".swinablate"', '"home"'
    )
    known: dict[str, Any] = {}
    exec(compile(lines, "docs/from-python.md", "exec"), known)
    said = capsys.readouterr().out
    assert "0 at a time" in said
    assert said.count(known["first"]) >= 4
    assert known["gap"].verdict.tolist() == [known["judged"][0].verdict]
    assert len(known["trials"]) == len(known["planned"].trials)

"""`swinablate figure`: one file, its name, what it refuses; on a home of an earlier version."""

import json
import shutil
from pathlib import Path

import pytest

from swinablate.api import load_study
from swinablate.cli.app import main
from swinablate.study.planner import plan
from tests.conftest import STUDY

GOLDEN = Path(__file__).parents[1] / "golden/home-0.1"


LINK = "link: this is a link that leads nowhere"


@pytest.mark.parametrize(
    "words",
    [
        ["figure", "grid", "forest", "--out", "link"],
        ["export", "grid", "link"],
        ["export", "grid", "link", "--force"],
        ["report", "grid", "--out", "link"],
    ],
    ids=" ".join,
)
def test_nothing_is_written_in_the_place_of_a_link_to_nothing(frozen, words, capsys):
    """It may mean a disk that is not there; an archive was written in its place."""
    Path("link").symlink_to("/nowhere/archive")
    assert main([*words, "--home", str(frozen / "home")]) == 2
    assert LINK in capsys.readouterr().err
    assert Path("link").is_symlink()


@pytest.fixture
def frozen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = shutil.copytree(GOLDEN, tmp_path / "frozen")
    monkeypatch.chdir(tmp_path)
    return folder


def test_one_figure_is_one_file_in_this_folder_or_another(frozen, tmp_path, capsys):
    given = ["--home", str(frozen / "home")]
    assert main(["figure", "grid", "forest", "--width", "3.25", *given]) == 0
    assert (tmp_path / "grid-forest.pdf").read_bytes().startswith(b"%PDF")
    words = ["figure", "grid", "cost", "--by", "seconds", "--format", "png", "--out", "fig"]
    capsys.readouterr()
    assert main([*words, "--json", *given]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (tmp_path / said["file"]).read_bytes().startswith(b"\x89PNG")
    assert said["file"] == "fig/grid-cost-seconds.png"


def test_the_list_says_what_is_missing_and_why(frozen, capsys):
    assert main(["figure", "grid", "--list", "--json", "--home", str(frozen / "home")]) == 0
    found = {one["name"]: one for one in json.loads(capsys.readouterr().out)["figures"]}
    assert found["interactions"]["missing"] is None
    assert found["waterfall"]["missing"] == 'only the design "path" has it'
    assert found["cost"]["by"] == ["macs", "params", "seconds"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["grid", "forrest"], "did you mean 'forest'?"),
        (["grid", "waterfall"], 'this study has no waterfall: only the design "path" has it'),
        (["grid"], "which figure?"),
        (["grid", "forest", "--width", "0.2"], "0.2 inches is no width"),
        (["grid", "forest", "--out", "fig.png"], "--out . --format png"),
        (["grid", "forest", "--out", "frozen/grid.toml"], "a figure goes into a folder"),
    ],
)
def test_what_cannot_be_drawn_is_refused_and_writes_nothing(frozen, tmp_path, capsys, words, said):
    before = sorted(tmp_path.iterdir())
    assert main(["figure", *words, "--home", str(frozen / "home")]) == 2
    assert said in capsys.readouterr().err
    assert sorted(tmp_path.iterdir()) == before


def test_labels_are_read_from_the_file_as_it_is_and_are_no_part_of_the_study(
    frozen, tmp_path, capsys
):
    study = frozen / "grid.toml"
    arm = json.loads((GOLDEN / "answers/grid.json").read_text())["arms"][0]["name"]
    text = study.read_text()
    given = ["forest", "--format", "svg", "--home", str(frozen / "home")]
    study.write_text(f'{text}\n[labels]\n"{arm}" = "our change"\n')
    assert main(["figure", str(study), *given]) == 0
    assert "our change" in (tmp_path / "grid-forest.svg").read_text()
    study.write_text(f'{text}\n[labels]\n"{arm}x" = "our change"\n')
    assert main(["figure", str(study), *given]) == 2
    assert f"did you mean '{arm}'?" in capsys.readouterr().err


def test_labels_change_neither_declaration_nor_trials(write):
    plain = plan(load_study(write()))
    named = plan(load_study(write(STUDY + '\n[labels]\n"baseline" = "ours"\n')))
    assert named.study.labels == {"baseline": "ours"}
    assert named.declaration == plain.declaration
    assert [t.id for t in named.trials] == [t.id for t in plain.trials]


def test_a_study_in_python_draws_what_its_home_holds(frozen):
    drawn = load_study(frozen / "grid.toml").figure("forest", home=frozen / "home", width=3.25)
    assert drawn.get_figwidth() == pytest.approx(3.25)

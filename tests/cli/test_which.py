"""Commands answer for the file that they are given, and print commands that do the same again."""

import json
import shlex
from collections import Counter
from pathlib import Path

import pytest

import swinablate
from swinablate.cli.app import main
from swinablate.errors import TrialError
from swinablate.execution.run import Run, Summary
from swinablate.records.home import Home
from swinablate.records.launch import Launch, keep_launch, launch_of
from swinablate.tracking import mirror
from tests.conftest import RECIPE, STUDY

FOLDER = "it's mine"


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """A folder with a blank and a quote in its name, and no variables of our own."""
    folder = tmp_path / FOLDER
    folder.mkdir()
    monkeypatch.chdir(folder)
    for name in ("SWINABLATE_HOME", "SWINABLATE_STORAGE", "SWINABLATE_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)
    return folder


@pytest.fixture(autouse=True)
def ended(monkeypatch):
    """Studies are declared as ever, and trained by nobody; the list says how runs end.

    Nor is MLflow told, whose tables take longer to make than all the rest.
    """
    ends = [Summary(counts=Counter(), missing=1, unmirrored=0, exit_code=3)]

    def run(self):
        self._home.declare(self._record)
        keep_launch(self._home, self._record, self._options.launch)
        return ends[-1]

    monkeypatch.setattr(Run, "run", run)
    monkeypatch.setattr(mirror, "publish", lambda *_: None)
    monkeypatch.setattr(mirror, "publish_trials", lambda *_: None)
    return ends


def written(folder="studies", name="a", swap=("", ""), base=("", "")):
    """A study and its recipe in a folder."""
    Path(folder).mkdir(exist_ok=True)
    (Path(folder) / "base.toml").write_text(RECIPE.replace(*base) if base[0] else RECIPE)
    file = Path(folder) / f"{name}.toml"
    file.write_text(STUDY.replace(*swap) if swap[0] else STUDY)
    return file


def run(study, *words):
    assert main(["run", str(study), "--no-report", *words]) == 3


def said(capsys, *words, code=0):
    """What a command says, on stdout and stderr together."""
    capsys.readouterr()
    assert main([str(word) for word in words]) == code
    return "".join(capsys.readouterr())


def status(capsys, *words):
    return json.loads(said(capsys, "status", *words, "--json"))


def recorded(name, home=".swinablate"):
    where = Home(Path(home))
    return launch_of(where, where.declared(name))


def hint(text):
    """The commands in backticks behind `hint:`."""
    return [shlex.split(part) for part in text.partition("hint: ")[2].split("`")[1::2]]


def test_a_run_keeps_its_file_settings_arms_home_and_command(here):
    file = written("my studies")
    words = [
        *("--set", "study.question=Is it 'so'?", "--set", "train.epochs=3"),
        *("--only", "shift=false", "--home", "a home", "--slots", "1"),
    ]
    run(file, *words)
    (name,) = (path.name for path in Path("a home/studies").iterdir())
    kept = recorded(name, "a home")
    assert (kept.study, kept.file) == ("my studies/a.toml", str(here / "my studies/a.toml"))
    assert kept.settings == ("study.question=Is it 'so'?", "train.epochs=3")
    assert (kept.only, kept.home) == (("shift=false",), "a home")
    assert shlex.split(kept.command) == [
        *("swinablate", "run", "my studies/a.toml", "--no-report", *words),
    ]
    assert kept.digests.keys() == {"", "base.toml"}


def test_the_kept_command_pasted_does_exactly_the_same_again():
    file = written("it's")
    run(file, "--set", "study.question=Is it 'so'?", "--only", "shift=false", "--home", "a home")
    (name,) = (path.name for path in Path("a home/studies").iterdir())
    before = recorded(name, "a home")
    program, *words = shlex.split(before.again)
    assert (program, main(words)) == ("swinablate", 3)
    assert [path.name for path in Path("a home/studies").iterdir()] == [name]
    assert recorded(name, "a home") == before


def test_a_home_that_a_variable_names_stands_in_the_command(monkeypatch):
    monkeypatch.setenv("SWINABLATE_HOME", "its home")
    run(written())
    assert recorded("a", "its home").again == (
        "swinablate run studies/a.toml --no-report --home 'its home'"
    )


@pytest.mark.parametrize(
    ("end", "command"),
    [
        (Summary(counts=Counter(), missing=6, unmirrored=0, exit_code=3), "run"),
        (Summary(counts=Counter(failed=6), missing=0, unmirrored=0, exit_code=3), "retry"),
        (Summary(counts=Counter(done=6), missing=0, unmirrored=2, exit_code=0), "sync"),
    ],
)
def test_hints_at_the_end_can_be_pasted(end, command, ended, capsys):
    ended.append(end)
    file = written("my studies")
    words = ["--set", "train.epochs=3", "--home", "a home"]
    text = said(capsys, "run", file, "--no-report", *words, code=end.exit_code)
    (line,) = (line for line in text.splitlines() if ": swinablate " in line)
    found = shlex.split(line.partition(": ")[2])
    assert found[:3] == ["swinablate", command, str(file)]
    assert [word for word in found[3:] if word != "--no-report"] == words


def test_another_file_of_the_same_name_is_refused_with_what_differs(capsys):
    ran = written("one")
    run(ran)
    other = written(
        "two", swap=("[false]", '[false]\n"model.norm" = ["batch"]'), base=("2\nb", "5\nb")
    )
    for command, *words in (
        ["status", other], ["report", other], ["sync", other], ["retry", other], ["ui", other],
        ["weights", other, "baseline", "w.pt"],
    ):  # fmt: skip
        text = said(capsys, command, *words, code=2)
        assert f"error: two/a.toml: is not {ran.absolute()}, which was run as 'a' in" in text
        assert 'axes.model.norm: - -> ["batch"]; new: norm=batch' in text
        assert "all arms: train.epochs: 2 -> 5" in text
        assert hint(text)[0] == ["swinablate", "run", "two/a.toml"]
        assert hint(text)[1][:3] == ["swinablate", command, "a"]
    assert status(capsys, "one/a.toml")["waiting"] == 6


def test_a_run_says_whose_name_it_takes_and_what_differs(capsys):
    ran, copy = written("one"), written("two")
    run(ran)
    assert "before" not in said(capsys, "run", copy, "--no-report", code=3)
    run(ran)
    other = written("three", base=("2\nb", "5\nb"))
    text = said(capsys, "run", other, "--no-report", code=3)
    assert text.removeprefix("planning three/a.toml\n").startswith(
        f"a was run from {ran.absolute()} before, and from now on is {other.absolute()}, "
        "which differs: all arms: train.epochs: 2 -> 5\n"
    )
    assert "before" not in said(capsys, "run", other, "--no-report", code=3)


def test_a_copy_that_declares_the_same_is_the_same_study(capsys):
    run(written("one"))
    assert status(capsys, written("two"))["study"] == "a"


def test_comments_and_defaults_that_are_written_out_change_nothing(capsys):
    run(written())
    file = written(swap=("[axes]", "# why\n[axes]"))
    assert status(capsys, file)["study"] == "a"
    file = written(swap=("seeds = 3\nb", 'design = "one_at_a_time"\nseeds = [0, 1, 2]\nb'))
    assert status(capsys, file)["study"] == "a"


@pytest.mark.parametrize(
    ("swap", "base", "what"),
    [
        (("matter?", "help?"), ("", ""),
         'question: "Does the shift matter?" -> "Does the shift help?"'),
        (("baseline_seeds = 3", "baseline_seeds = 4"), ("", ""), "baseline: seeds 3 -> 4"),
        (('"model.shift" = [false]', '"model.norm" = ["batch"]'), ("", ""),
         ('axes.model.shift: [false] -> -; axes.model.norm: - -> ["batch"]; '
          "gone: shift=false; new: norm=batch")),
        (("[axes]", "[compare]\nrope = 0.5\n[axes]"), ("", ""), "compare.rope: null -> 0.5"),
        (("", ""), ("width = 8", "width = 16"), "all arms: model.width: 8 -> 16"),
    ],
)  # fmt: skip
def test_an_edited_file_is_refused_with_what_was_changed(swap, base, what, capsys):
    file = written()
    run(file)
    written(swap=swap, base=base)
    text = said(capsys, "status", file, code=2)
    assert text.startswith("error: studies/a.toml: was edited since it was run as 'a' in ")
    assert text.partition("\n")[0].endswith(f": {what}")
    declare, show = hint(text)
    assert json.loads(said(capsys, *show[1:], "--json"))["waiting"] == 6
    assert main(declare[1:]) in {0, 3}
    assert status(capsys, file)["study"] == "a"


def test_hints_of_a_refusal_keep_home_and_settings_and_can_be_pasted(capsys):
    file = written("my studies")
    words = ["--set", "study.question=Why?", "--home", "a home"]
    run(file, *words)
    written("my studies", swap=("[false]", '[false]\n"model.norm" = ["batch"]'))
    declare, show = hint(said(capsys, "status", file, *words, code=2))
    (name,) = (path.name for path in Path("a home/studies").iterdir())
    assert declare == ["swinablate", "run", str(file), *words]
    assert show == ["swinablate", "status", name, "--home", "a home"]
    assert json.loads(said(capsys, *show[1:], "--json"))["study"] == name


def test_a_file_that_does_not_exist_is_refused_and_a_name_is_answered(capsys):
    file = written()
    run(file)
    file.unlink()
    text = said(capsys, "status", file, code=2)
    assert text.startswith("error: studies/a.toml: no such file\n")
    assert hint(text) == [["swinablate", "status", "a"]]
    assert status(capsys, "a")["waiting"] == 6
    for unknown in ("a.toml", "nowhere/a"):
        assert "no such file" in said(capsys, "status", unknown, code=2)
    text = said(capsys, "status", "b", code=2)
    assert text.startswith("error: study 'b' has not been run in ")


def test_a_study_that_was_not_run_says_by_what_it_is(capsys):
    file = written("my studies")
    for command in ("status", "report", "sync", "retry", "ui"):
        text = said(capsys, command, file, "--home", "a home", code=2)
        assert "study 'a' has not been run in " in text
        assert hint(text) == [["swinablate", "run", str(file), "--home", "a home"]]
    assert not Path("a home").exists()


def test_a_study_retried_by_its_name_is_that_of_its_file(capsys, ended):
    file = written("my studies")
    run(file, "--set", "train.epochs=3")
    before = recorded("a@train.epochs=3")
    ended.append(Summary(counts=Counter(), missing=1, unmirrored=0, exit_code=75))
    assert main(["retry", "a@train.epochs=3"]) == 75
    assert recorded("a@train.epochs=3") == before
    assert [path.name for path in Path(".swinablate/studies").iterdir()] == ["a@train.epochs=3"]
    written("my studies", swap=("[false]", '[false]\n"model.norm" = ["batch"]'))
    assert "was edited since" in said(capsys, "retry", "a@train.epochs=3", code=2)
    file.unlink()
    text = said(capsys, "retry", "a@train.epochs=3", code=2)
    assert f"its file is gone: {file.absolute()}" in text


def test_a_variant_has_a_name_of_its_own_and_leaves_the_study_alone(capsys):
    file = written()
    run(file)
    before = Home(Path(".swinablate")).declared("a")
    run(file, "--set", "train.epochs=3")
    assert Home(Path(".swinablate")).declared("a") == before
    assert status(capsys, file)["variants"] == ["a@train.epochs=3"]
    for words in ([file, "--set", "train.epochs=3"], ["a@train.epochs=3"],
                  ["a", "--set", "train.epochs=3"]):  # fmt: skip
        now = status(capsys, *words)
        assert (now["study"], now["variants"]) == ("a@train.epochs=3", [])
    text = said(capsys, "status", file, "--set", "train.epochs=4", code=2)
    assert "study 'a@train.epochs=4' has not been run in" in text


@pytest.mark.parametrize("by_name", [True, False])
def test_where_only_variants_ran_the_study_waits(by_name, capsys):
    file = written()
    run(file, "--set", "train.epochs=3")
    run(file, "--set", "study.baseline_seeds=4")
    now = status(capsys, "a" if by_name else file)
    assert (now["study"], now["planned"], now["waiting"]) == ("a", 6, 6)
    assert now["arms"] == {"baseline": {"waiting": 3}, "shift=false": {"waiting": 3}}
    assert now["variants"] == ["a@study.baseline_seeds=4", "a@train.epochs=3"]
    text = said(capsys, "status", file)
    assert "Variants that were run: a@study.baseline_seeds=4, a@train.epochs=3" in text
    text = said(capsys, "report", file, code=2)
    assert "has not been run in" in text
    assert "of its variants, a@study.baseline_seeds=4, a@train.epochs=3" in text
    assert hint(text)[1] == ["swinablate", "report", "a@study.baseline_seeds=4"]


def test_a_file_that_was_not_edited_is_known_without_planning_it(monkeypatch, capsys):
    file = written()
    run(file)
    monkeypatch.setattr("swinablate.cli.which.plan_of", None)
    assert status(capsys, file)["study"] == "a"


def test_a_home_without_launches_answers_for_the_file_all_the_same(capsys):
    file = written()
    run(file)
    (path,) = Path(".swinablate/studies/a").glob("*/launch.json")
    path.unlink()
    assert status(capsys, file)["waiting"] == 6
    written(swap=("[false]", '[false]\n"model.norm" = ["batch"]'))
    assert "was edited since it was run" in said(capsys, "status", file, code=2)
    text = said(capsys, "retry", "a", code=2)
    assert "error: a: its file was not recorded" in text


def test_where_only_variants_ran_and_the_file_is_gone_the_variants_are_named(capsys):
    file = written()
    run(file, "--set", "train.epochs=3")
    file.unlink()
    text = said(capsys, "status", "a", code=2)
    assert "study 'a' has not been run in" in text
    assert "of its variants, a@train.epochs=3" in text
    assert status(capsys, "a@train.epochs=3")["waiting"] == 6


def test_ui_opens_what_a_server_has_from_elsewhere_but_no_other_study(monkeypatch, capsys):
    opened = []

    def table(pages, name):
        opened.append((pages.base, name))
        raise KeyboardInterrupt

    monkeypatch.setattr("swinablate.tracking.server.Pages.table", table)
    file, server = written(), ["--tracking-uri", "http://mlflow:5000"]
    assert main(["ui", str(file), "--set", "train.epochs=3", *server, "--port", "0"]) == 130
    assert opened == [("http://mlflow:5000", "a@train.epochs=3")]
    assert "no such file" in said(capsys, "ui", "gone.toml", *server, code=2)
    run(file)
    written(swap=("[false]", '[false]\n"model.norm" = ["batch"]'))
    assert "was edited since" in said(capsys, "ui", file, *server, code=2)
    assert len(opened) == 1


def test_a_study_run_from_python_says_the_command_that_does_the_same(capsys):
    file = written("my studies")
    with pytest.raises(TrialError):
        swinablate.run(file, home="a home")
    assert recorded("a", "a home").again == "swinablate run 'my studies/a.toml' --home 'a home'"
    with pytest.raises(TrialError):
        swinablate.run(swinablate.load_study(file))
    assert recorded("a") == Launch()  # made in Python: no command is known
    assert status(capsys, file)["waiting"] == 6

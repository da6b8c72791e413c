"""The first file for somebody's own command: it can be planned, and nothing is written over."""

import pytest

from swinablate.errors import InputError
from swinablate.study.files import load_study
from swinablate.study.planner import plan
from swinablate.study.starters.command import read, write_command


@pytest.mark.parametrize(
    ("typed", "words", "switches"),
    [
        ("python t.py --lr 0.1 --n=3", ["--lr", "{lr}", "--n={n}"], {"lr": 0.1, "n": 3}),
        ("python t.py --seed 1 --out o", ["--seed", "{seed}", "--out", "{out}"], {}),
        ("python t.py --amp --lr -1", ["--amp", "--lr", "{lr}"], {"lr": -1}),
        ("python t.py --drop-path 1e-3", ["--drop-path", "{drop_path}"], {"drop_path": 0.001}),
        ("python t.py --shift=True", ["--shift={shift}"], {"shift": True}),
        ("python t.py --note '{x}' a{b", ["--note", "{{x}}", "a{{b"], {}),
        ("python t.py --size 3 --size 4", ["--size", "{size}", "--size", "4"], {"size": 3}),
    ],
)
def test_levels_of_flags_become_switches(typed, words, switches):
    import shlex

    found = read(shlex.split(typed))
    rest = [word for word in found.words[2:] if word != "--seed={seed}"]
    assert (rest, found.switches) == (words, switches)
    assert any("{seed}" in word for word in found.words)


@pytest.mark.parametrize(
    "typed",
    [
        "python train.py --width 32 --shift=True --name='a \"b\"' --lr 1e-3",
        "python train.py --width=32 --out somewhere --seed 3",
        "bash -c 'echo ${HOME} {1,2}' train.py --depth 4",
    ],
)
def test_what_is_written_can_be_planned(tmp_path, monkeypatch, typed):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train.py").touch()
    study, recipe = write_command("", typed, tmp_path)
    assert max(map(len, recipe.read_text().splitlines())) < 100
    made = plan(load_study(study))
    assert len(made.arms) == 2
    assert made.arms[0].recipe.command.folder == ".."


def test_nothing_is_written_over_and_a_command_is_needed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_command("mine", "python t.py", tmp_path)
    with pytest.raises(InputError, match="the file exists"):
        write_command("mine", "python t.py", tmp_path)
    with pytest.raises(InputError, match="cannot be split"):
        write_command("b", "python 't.py", tmp_path)
    with pytest.raises(InputError, match="no command"):
        write_command("b", "  ", tmp_path)

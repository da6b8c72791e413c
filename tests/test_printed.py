"""What the product tells people to type can be typed."""

import re

import pytest

from swinablate.cli.app import main
from swinablate.records.launch import Launch
from tests.printed import (
    ROOT,
    Printed,
    commands,
    in_markdown,
    in_message,
    in_page,
    in_python,
    problem,
    unrouted,
)

MODULES = [*(ROOT / "swinablate").rglob("*.py"), *(ROOT / "benchmarks").rglob("*.py")]
MODULES += [ROOT / "dev.py", ROOT / "tests" / "docs.py"]
PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("benchmarks/*.md")]
TEMPLATES = [p for p in (ROOT / "swinablate/report/templates").iterdir() if p.is_file()]
FILES = [*ROOT.glob("studies/*.toml"), *ROOT.glob("experiments/*.toml"), ROOT / "justfile"]
FILES += [*ROOT.glob(".github/**/*.*"), ROOT / ".ci" / "run", ROOT / ".pre-commit-config.yaml"]


def printed(paths, find) -> list[Printed]:
    return [
        found
        for path in paths
        if path.exists()
        for found in find(path.read_text("utf-8"), str(path.relative_to(ROOT)))
    ]


@pytest.mark.parametrize(
    ("paths", "find", "least"),
    [
        (MODULES, in_python, 60),
        (PAGES, in_markdown, 50),
        (TEMPLATES, in_page, 0),
        (FILES, in_message, 3),
    ],
    ids=["source", "pages", "templates", "files"],
)
def test_every_command_that_is_printed_can_be_given(paths, find, least):
    found = printed(paths, find)
    assert len(found) >= least, "the commands were not found"
    wrong = [f"{one.where}: {one.command}: {why}" for one in found if (why := problem(one))]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ('hint = "again: swinablate repeat abc"', "no command 'repeat'"),
        ('hint = f"`swinablate reproduce {trial[:12]}`"', "a placeholder"),
        ('hint = f"swinablate run {study}"', ""),
        ('hint = f"swinablate run {study} --slot 2"', "No such option: --slot"),
        ('hint = "run `swinablate sync`"', "Missing argument"),
        ('hint = "first: swinablate run studies/nothing.toml, then look"', "no such file"),
        ('"""What `swinablate sync` writes."""', ""),
        ('"""What `swinablate sink` writes."""', "no command 'sink'"),
        ('"""Do:\n\n        $ swinablate sync\n"""', "Missing argument"),
        ('print("images made by swinablate itself")', None),
        ('print("#  just chek   all of it")', "no recipe 'chek'"),
        ('print("python3 dev.py just check now")', "check takes no words"),
        ('print("python3 dev.py tests")', "no command 'tests'"),
        ('print("just bench step --round 2")', "No such option: --round"),
    ],
)
def test_a_command_that_cannot_be_given_is_found(source, why):
    """None: there is no command. Empty: there is one, and it can be given."""
    found = list(in_python(source, "here"))
    assert len(found) == (0 if why is None else 1)
    for one in found:
        said = problem(one)
        assert said.startswith(why), said
        assert bool(said) == bool(why)


def test_blocks_of_pages_are_whole_and_sentences_name():
    text = "Use `swinablate\nsync`:\n\n```console\n$ swinablate plan x.toml   # look\n```\n"
    assert [(one.command, one.whole) for one in in_markdown(text, "here")] == [
        ("swinablate sync", False),
        ("swinablate plan x.toml", True),
    ]
    assert [one.command for one in in_page("<p>again: <code>swinablate run x</code></p>", "")] == [
        "swinablate run x"
    ]


PACKAGE = [path for path in MODULES if path.is_relative_to(ROOT / "swinablate")]


def test_no_message_names_the_program_otherwise_than_it_was_typed():
    """A literal `swinablate run` is "command not found" for whoever typed `python3 dev.py`."""
    found = [
        f"{path.relative_to(ROOT)}:{line}"
        for path in PACKAGE
        for line in unrouted(path.read_text())
    ]
    assert found == []


@pytest.mark.parametrize(
    ("source", "lines"),
    [
        ('said = f"next: swinablate plan {study}"', [1]),
        ('"""A module."""\nHINT = "swinablate run STUDY"', [2]),
        ('shlex.join(["swinablate", "run", study])', [1]),
        ('hint = "`swinablate run STUDY` trains it"', []),
        ('@commands.command(epilog="Example: swinablate demo")\ndef demo(): ...', []),
        ('print("images made by swinablate itself")', []),
    ],
)
def test_a_message_that_names_the_program_itself_is_found(source, lines):
    assert list(unrouted(source)) == lines


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["show", "no-such-arm", "--home", "home"], "PROGRAM list` shows"),
        (["new", "mine"], "next: PROGRAM plan studies/mine.toml"),
        (["run", "--help"], "Example: PROGRAM run studies/quickstart.toml"),
        (["run", "--help"], "Usage: PROGRAM run"),
        (["verify", "--help"], "`PROGRAM export STUDY FILE`"),
    ],
)
@pytest.mark.parametrize("typed", ["", "python3 '/my clone/dev.py'"])
def test_what_is_shown_begins_as_it_was_typed(words, said, typed, monkeypatch, capsys, here):  # noqa: PLR0917  pytest passes them by name
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("SWINABLATE_TYPED", typed)
    monkeypatch.setattr("sys.argv", ["swinablate"])
    main(words)
    shown = " ".join("".join(capsys.readouterr()).split())
    assert said.replace("PROGRAM", typed or "swinablate") in shown
    if words[0] == "new":
        program = typed or "swinablate"
        assert f"{program} run studies/mine.toml" in (here / "studies/mine.toml").read_text()


def test_commands_about_a_study_begin_as_the_one_that_ran_it():
    ran = Launch(study="a.toml", command="python3 '/my clone/dev.py' run a.toml --more 3")
    assert ran.again == "python3 '/my clone/dev.py' run a.toml"
    assert ran.says("retry") == "python3 '/my clone/dev.py' retry a.toml"
    assert ran.of_home("list") == "python3 '/my clone/dev.py' list"
    assert Launch(study="a.toml", command="swinablate run a.toml").of_home("list") == (
        "swinablate list"
    )


def test_every_command_has_an_example_of_itself():
    examples = {words: command.epilog or "" for words, command in commands().items()}
    assert ("stats", "selftest") in examples
    wrong = [e for words, e in examples.items() if not re.match(_example(words), e)]
    assert not wrong


def _example(words):
    return rf"Example: swinablate {' '.join(words)}( |$)"


def test_the_table_of_commands_is_complete_and_each_row_can_be_given():
    table = (
        (ROOT / "README.md").read_text("utf-8").partition("## Commands")[2].partition("\n\n")[2]
    )
    rows = re.findall(r"^\| (`.*?`) \|", table.partition("\n\n")[0], re.MULTILINE)
    spans = [s.removeprefix("swinablate ") for row in rows for s in re.findall(r"`([^`]+)`", row)]
    wrong = {
        span: why
        for span in spans
        if (why := problem(Printed(where="README", command=f"swinablate {span}", whole=False)))
    }
    assert not wrong
    named = [
        words
        for words in commands()
        if any(f"{s} ".startswith(f"{' '.join(words)} ") for s in spans)
    ]
    assert sorted(commands()) == sorted(named)


SBATCH = {"--partition", "--account", "--mem", "--constraint", "--gres"}
"""Options of Slurm's, which docs/clusters.md names as examples of what `--sbatch` takes."""


OWN = {"--window", "--shift", "--no-shift"}
"""Flags of the reader's own script, in docs/command.md."""


def test_options_that_are_named_alone_exist():
    """In backticks in pages, and in hints: `--home`."""
    known = {name for command in commands().values() for p in command.params for name in p.opts}
    known |= {"--version", "--help"}
    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
    named = {name for page in pages for name in re.findall(r"`(--[a-z-]+)", page.read_text())}
    named -= SBATCH | OWN
    for path in MODULES:
        named |= set(re.findall(r'hint=f?"[^"]*?(--[a-z-]+)', path.read_text("utf-8")))
    assert {"--home", "--fuse"} < named
    assert named <= known

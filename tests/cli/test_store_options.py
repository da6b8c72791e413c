"""`--storage` and `--tracking-uri`: options, variables, and what nobody gets to read."""

import logging
import sys
from pathlib import Path

import pytest
import typer

from swinablate.cli.app import main
from swinablate.cli.commands import start
from swinablate.cli.typed import command_of
from swinablate.execution.run import Options
from swinablate.records.home import Home

QUEUE = "postgresql://me:s3%40cret@db/optuna"
SERVER = "http://bob:hunter2@mlflow:5000"
SECRETS = ("s3%40cret", "s3@cret", "hunter2")


@pytest.fixture
def asked(monkeypatch):
    """What commands were about to do, without variables of our own; nothing is done."""
    found = []

    def execute(made, home, options, watcher):
        found.append(options)
        raise KeyboardInterrupt

    def sync(home, name, storage, tracking, **_):
        found.append(Options(storage=storage, tracking=tracking))
        return 0

    # First: this imports modules, which must not find what stands in for `execute`.
    monkeypatch.setattr("swinablate.report.answer.gather", lambda home, name: None)
    monkeypatch.setattr("swinablate.api.show", lambda answer, home, uri: None)
    monkeypatch.setattr("swinablate.execution.run.execute", execute)
    monkeypatch.setattr("swinablate.execution.sync.sync", sync)
    monkeypatch.setattr("swinablate.cli.which.Asked.recorded", lambda self: self.study.stem)
    for name in ("SWINABLATE_STORAGE", "SWINABLATE_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)
    return found


def test_variables_name_the_stores_and_options_win(asked, monkeypatch, capsys):
    assert main(["sync", "a.toml"]) == 0
    monkeypatch.setenv("SWINABLATE_STORAGE", QUEUE)
    monkeypatch.setenv("SWINABLATE_TRACKING_URI", SERVER)
    assert main(["sync", "a.toml"]) == 0
    assert main(["sync", "a.toml", "--storage", "sqlite:////a.db"]) == 0
    assert main(["sync", "a.toml", "--tracking-uri=http://mlflow"]) == 0
    assert [(one.storage, one.tracking) for one in asked] == [
        (None, None),
        (QUEUE, SERVER),
        ("sqlite:////a.db", SERVER),
        (QUEUE, "http://mlflow"),
    ]
    assert "warning" not in capsys.readouterr().err


def test_an_empty_variable_is_none_and_an_empty_option_is_refused(asked, monkeypatch, capsys):
    monkeypatch.setenv("SWINABLATE_STORAGE", "")
    assert main(["sync", "a.toml"]) == 0
    assert [one.storage for one in asked] == [None]
    assert main(["sync", "a.toml", "--storage", ""]) == 2
    assert capsys.readouterr().err.endswith(
        "error: --storage: not the address of a store\n\n"
        "hint: write sqlite:////absolute/path.db or postgresql://user@host/name\n"
    )


@pytest.mark.parametrize("command", ["run", "retry", "sync"])
@pytest.mark.parametrize(
    ("option", "variable", "url"),
    [("--storage", "SWINABLATE_STORAGE", QUEUE), ("--tracking-uri", "SWINABLATE_TRACKING_URI", SERVER)],
)  # fmt: skip
@pytest.mark.parametrize("joined", [True, False])
def test_a_password_on_the_command_line_is_warned_of_once(
    *, command, option, variable, url, joined, asked, write, capsys
):
    words = [f"{option}={url}"] if joined else [option, url]
    main([command, str(write()), *words])
    out, err = capsys.readouterr()
    assert err.count("warning: ") == 1
    assert f"warning: {option} holds a password or token" in err
    assert f"in the variable {variable} instead\n" in err
    assert not any(secret in out + err for secret in SECRETS)
    assert [one.storage or one.tracking for one in asked] == [url]  # the stores get it as it is


def test_an_address_without_a_password_is_not_warned_of(asked, capsys):
    words = ["--storage", "postgresql://me@db/d", "--tracking-uri", "http://mlflow:5000"]
    assert main(["sync", "a.toml", *words]) == 0
    assert "warning" not in capsys.readouterr().err


@pytest.mark.parametrize("command", ["run", "retry"])
def test_the_recorded_command_holds_no_secret_and_can_be_pasted(command, asked, write):
    study = str(write())
    words = ["--storage", QUEUE, "--set", "study.question=What is it?", f"--tracking-uri={SERVER}"]
    main([command, study, *words])
    (options,) = asked
    assert (
        options.launch.command
        == f"swinablate {command} {study} --set 'study.question=What is it?'"
    )
    assert options.launch.variables == ("SWINABLATE_STORAGE", "SWINABLATE_TRACKING_URI")


def test_stores_without_a_secret_stay_in_the_command(asked, write, monkeypatch):
    study = str(write())
    monkeypatch.setenv("SWINABLATE_TRACKING_URI", "http://mlflow")
    main(["run", study, "--storage", "sqlite:////a.db"])
    assert asked[0].launch.command == f"swinablate run {study} --storage sqlite:////a.db"
    assert asked[0].launch.variables == ("SWINABLATE_TRACKING_URI",)


def test_the_quick_start_obeys_the_variables(asked, monkeypatch):
    monkeypatch.setenv("SWINABLATE_STORAGE", QUEUE)
    main(["demo"])
    assert (asked[0].storage, asked[0].tracking, asked[0].launch.command) == (
        QUEUE,
        None,
        "swinablate demo",
    )


@pytest.mark.parametrize("typed", ["", "python3 dev.py"])
def test_the_quick_start_leaves_the_shipped_report_alone_and_says_what_is_next(
    typed, monkeypatch, capsys
):
    found = []

    def run(study, home, options, settings, *, smoke, report, as_json):
        found.append(report.folder(Home(home), "quickstart"))
        raise typer.Exit(0)

    monkeypatch.setattr(start, "run_study", run)
    monkeypatch.setenv("SWINABLATE_TYPED", typed)
    assert main(["demo", "--home", "my home"]) == 0
    program = typed or "swinablate"
    assert capsys.readouterr().err.splitlines()[1:] == [
        f"next, every trial in a browser: {program} ui quickstart --home 'my home'",
        f"next, what is recorded: {program} list --home 'my home'",
        f"next, a study of your own: {program} new my_study",
    ]
    assert found == [Path("reports/demo")]
    ignored = (Path(__file__).parents[2] / ".gitignore").read_text().splitlines()
    assert f"/{found[0]}/" in ignored
    main(["demo", "--out", "other", "--json"])
    assert found[-1] == Path("other")
    assert "next" not in capsys.readouterr().err


def test_any_other_word_loses_the_secret_of_an_address_in_it():
    words = ["run", "a.toml", "--set", f"data.root={SERVER}/x", f"--storage={QUEUE}"]
    assert command_of(words) == (
        "swinablate run a.toml --set 'data.root=http://bob:***@mlflow:5000/x'"
    )


IMPOSSIBLE = {
    ("--storage", "SWINABLATE_STORAGE"): [
        "postgresql://me:hunter2@db:x/d",
        "oops://me:hunter2@db/d",
        "postgresql://me:hunter2@hunter2@db/d",
    ],
    ("--tracking-uri", "SWINABLATE_TRACKING_URI"): [
        "foo://bob:hunter2@bar",
        "file:///mlruns",
        "http://bob:hunter2@:5000",
        "http://mlflow?token=hunter2",
    ],
}
TAKES = {"--storage": ("run", "retry", "sync"), "--tracking-uri": ("run", "retry", "sync", "ui")}


@pytest.mark.parametrize(
    ("command", "option", "variable", "url"),
    [
        (command, *names, url)
        for names, urls in IMPOSSIBLE.items()
        for url in urls
        for command in TAKES[names[0]]
    ],
)
def test_what_can_be_no_store_ends_the_command_before_it_starts(
    *, command, option, variable, url, asked, write, monkeypatch, tmp_path, capsys
):
    home = ["--home", str(tmp_path / "home")]
    typed = main([command, str(write()), option, url, *home]), capsys.readouterr().err
    monkeypatch.setenv(variable, url)
    set_ = main([command, str(write()), *home]), capsys.readouterr().err
    for (code, err), source in ((typed, option), (set_, variable)):
        assert code == 2
        assert err.startswith(f"error: {source}: ")
        assert "\n\nhint: " in err
        assert "hunter2" not in err
    assert asked == []
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize(
    "words",
    [
        ["run", QUEUE],
        ["run", "--strage", QUEUE],
        ["run", "a.toml", QUEUE],
        ["run", "a.toml", f"--slots={QUEUE}"],
        ["run", "a.toml", "--slots", "postgresql://me:s3@cret or so@db"],
        ["status", "a.toml", "--home", QUEUE],
    ],
)
def test_an_address_in_the_wrong_place_is_not_repeated_with_its_secret(words, capsys):
    assert main(words) == 2
    out, err = capsys.readouterr()
    assert err.startswith("error: ")
    assert not any(secret in out + err for secret in (*SECRETS, "cret or so"))


def test_options_of_stores_are_not_abbreviated(capsys):
    assert main(["run", "a.toml", "--stor", QUEUE]) == 2
    err = capsys.readouterr().err
    assert "No such option: --stor" in err
    assert "cret" not in err


def test_help_names_the_variables_and_shows_no_value(monkeypatch, capsys):
    monkeypatch.setenv("SWINABLATE_STORAGE", QUEUE)
    assert main(["run", "--help"]) == 0
    out = capsys.readouterr().out
    assert "SWINABLATE_STORAGE" in out
    assert "cret" not in out


def test_a_bug_and_the_log_show_no_secret(asked, monkeypatch, capsys, caplog):
    """Of an option, a variable, or an address in the message, in whatever encoding."""

    def broken(home, name, storage, tracking, **_):
        logging.getLogger("somebody").warning("asked %s of %s", storage, "hunter2")
        try:
            int("s3@cret")
        except ValueError:
            logging.getLogger("somebody").exception("it broke")
        raise RuntimeError(f"it holds s3@cret, {QUEUE!r}, hunter2 and mysql://a:other@b")

    monkeypatch.setattr("swinablate.execution.sync.sync", broken)
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "hunter2")
    factory = logging.getLogRecordFactory()
    assert main(["sync", "a.toml", f"--storage={QUEUE}"]) == 1
    assert logging.getLogRecordFactory() is factory
    err = capsys.readouterr().err
    assert "RuntimeError: it holds ***, 'postgresql://me:***@db/optuna', *** and" in err
    assert "This is a bug in swinablate" in err
    assert "asked postgresql://me:***@db/optuna of ***" in caplog.text
    assert "ValueError: invalid literal for int() with base 10: '***'" in caplog.text
    for secret in (*SECRETS, "other"):
        assert secret not in err + caplog.text


def test_the_command_is_that_of_the_process_where_none_is_given(asked, write, monkeypatch):
    study = str(write())
    monkeypatch.setattr(sys, "argv", ["swinablate", "run", study, "--storage", QUEUE])
    main()
    assert asked[0].launch.command == f"swinablate run {study}"


def test_a_study_in_such_a_home_is_refused_before_anything_is_made(write, tmp_path, capsys):
    home = tmp_path / "what?"
    stores = ["--storage", "sqlite:////dev/null/a", "--tracking-uri", "sqlite:////dev/null/b"]
    for words in ([], stores[:2], stores[2:]):
        assert main(["run", str(write()), "--home", str(home), *words]) == 2
        assert f"error: {home}: no address can name" in capsys.readouterr().err
    assert not home.exists()


def test_a_command_is_named_as_it_was_typed(monkeypatch):
    assert command_of(["run", "a b.toml"]) == "swinablate run 'a b.toml'"
    monkeypatch.setenv("SWINABLATE_TYPED", "python3 '/my clone/dev.py'")
    assert command_of(["run", "x"]) == "python3 '/my clone/dev.py' run x"

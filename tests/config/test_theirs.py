"""Code that is not ours runs: whatever it does, the program neither ends nor hangs."""

import signal
import subprocess
import sys

import pytest

from swinablate.cli.app import main
from swinablate.config.code.theirs import Ended, named, theirs
from tests.conftest import RECIPE, STUDY
from tests.models.test_external import home  # noqa: F401  a folder and modules of its own

NET = """
import sys, torch
from torch import nn
class Net(nn.Module):
    def __init__(self, width: int = 4, num_classes: int = 10):
        super().__init__()
        {init}
        self.line = nn.Sequential(nn.Linear(64, width), nn.Linear(width, num_classes))
    def forward(self, x):
        {forward}
        return self.line(x.flatten(1))
    {more}
"""
BAD = {
    # name: (the module's source, what the message says)
    "it exits": ("import sys\nsys.exit(3)", "importing nets failed: SystemExit: 3"),
    "it says Ctrl-C": ("raise KeyboardInterrupt", "importing nets failed: KeyboardInterrupt"),
    "it has an exception of its own": (
        "class End(BaseException): pass\nraise End('x')", "importing nets failed: End: x",
    ),
    "it asks": ("input('really?')", "importing nets failed: RuntimeError: input(): lost sys.stdin"),
    "its attributes exit": ("def __getattr__(name):\n    raise SystemExit(1)", "SystemExit: 1"),
    "its constructor exits": (NET.format(init="sys.exit(4)", forward="pass", more=""), "SystemExit: 4"),
    "its forward exits": (NET.format(init="pass", forward="sys.exit(5)", more=""), "SystemExit: 5"),
    "its weights exit": (
        NET.format(init="pass", forward="pass", more="def init(self, generator_for): sys.exit(6)"), "SystemExit: 6",
    ),
    "its weights fail": (
        NET.format(init="pass", forward="pass", more="def init(self, generator_for): 1 / 0"), "ZeroDivisionError",
    ),
    "its annotations fail": (
        "from torch import nn\nclass Net(nn.Module):\n    def __init__(self, n: '1 / 0' = 1): pass",
        "no family can be made of nets:Net: ZeroDivisionError",
    ),
    "it is no family": (
        "from swinablate import Family\nNet = Family(None, None, None, None)", "no family can be made of nets:Net",
    ),
}  # fmt: skip


def study_of(family: str, write):
    _, _, tail = RECIPE.partition("[data]")
    return write(
        STUDY.replace('"model.shift" = [false]', '"model.width" = [8]'),
        f'[model]\nfamily = "{family}"\n[data]{tail}',
    )


def errors(path, capsys) -> str:
    assert main(["plan", str(path)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "hint: " in err
    assert "Traceback" not in err
    return err


@pytest.mark.parametrize("case", BAD)
def test_a_network_may_do_what_it_likes(case, write, tmp_path, capsys):
    source, says = BAD[case]
    (tmp_path / "nets.py").write_text(source)
    assert says in errors(study_of("nets:Net", write), capsys)


@pytest.mark.parametrize(
    "name", ["sys:exit", "os:abort", "signal:pause", "os:fork", "builtins:exit", "sys:path.x"]
)
def test_functions_of_python_itself_are_neither_networks_nor_data(name, write, capsys):
    errors(study_of(name, write), capsys)
    if name in {"sys:exit", "os:abort", "signal:pause", "os:fork"}:
        base = RECIPE.replace('"digits"', f'"{name}"')
        assert "not a function that returns images" in errors(write(base=base), capsys)


def test_the_running_program_is_no_module_to_import_from(write, capsys):
    assert "'__main__' is the program that runs" in errors(study_of("__main__:x", write), capsys)


def test_what_a_module_prints_is_no_output_of_the_command(write, tmp_path, capsys):
    more = "print('loud')\n" + NET.format(
        init="print('louder')", forward="print('loudest')", more=""
    )
    (tmp_path / "nets.py").write_text(more)
    assert main(["plan", str(study_of("nets:Net", write)), "--json"]) == 0
    out, err = capsys.readouterr()
    assert "loud" not in out
    assert "loudest" in err


def test_code_is_named_before_it_runs_and_in_the_plan(write, tmp_path, capsys, caplog):
    source = "import logging\nlogging.getLogger('x').warning('I run')\n"
    (tmp_path / "nets.py").write_text(source + NET.format(init="pass", forward="pass", more=""))
    assert main(["plan", str(study_of("nets:Net", write))]) == 0
    found = [record.getMessage() for record in caplog.records]
    assert found.index("imports: nets") < found.index("I run")
    assert "imports: nets:Net\n" in capsys.readouterr().out
    assert main(["plan", str(write())]) == 0
    assert "imports" not in capsys.readouterr().out


@pytest.fixture
def heard():
    """Ctrl-C, as a program begins with it; a worker that ran in this process hears none."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("heard")
def test_ctrl_c_stays_ctrl_c_and_theirs_does_not():
    with pytest.raises(KeyboardInterrupt), theirs():
        signal.raise_signal(signal.SIGINT)
    handler, stdin = signal.getsignal(signal.SIGINT), sys.stdin
    with pytest.raises(Ended) as caught, theirs():
        raise KeyboardInterrupt
    assert named(caught.value) == "KeyboardInterrupt"
    assert (signal.getsignal(signal.SIGINT), sys.stdin) == (handler, stdin)
    with pytest.raises(ValueError, match="as it is"), theirs():
        raise ValueError("as it is")


def test_a_signal_that_ends_the_program_passes_through_their_code(write):
    """Else a preempted `plan` would call it a failed import, and exit with 2."""
    program = (
        "import os, signal, sys\nfrom swinablate.cli import main\nsys.exit(main(sys.argv[1:]))"
    )
    nets = "import os, signal\nos.kill(os.getpid(), signal.SIGTERM)\nimport time\ntime.sleep(1)\n"
    study = study_of("nets:Net", write)
    (study.parent / "nets.py").write_text(nets)
    done = subprocess.run(
        [sys.executable, "-c", program, "plan", str(study)],
        capture_output=True,
        text=True,
        check=False,
        cwd=study.parent,
    )
    assert done.returncode == 75, done.stderr

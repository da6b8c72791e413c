"""Commands that need nothing heavy import nothing heavy."""

import subprocess
import sys

import pytest

HEAVY = {"torch", "torchvision", "mlflow", "optuna", "pandas", "matplotlib", "seaborn", "sklearn"}


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["--version"], 0),
        (["--help"], 0),
        (["plan", "--help"], 0),
        (["run", "--help"], 0),
        (["power", "--arms", "6", "--sd", "0.8", "--rope", "0.5"], 0),
        (["status", "nothing-was-run", "--home", "/nonexistent"], 2),
    ],
)
def test_nothing_heavy_is_imported(words, code):
    program = (
        "import sys\n"
        "from swinablate.cli import main\n"
        f"code = main({words!r})\n"
        f"print(sorted({HEAVY!r} & set(sys.modules)), code, file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stderr.splitlines()[-1] == f"[] {code}"


def test_worker_imports_torch_and_nothing_else_heavy():
    program = (
        "import sys\nimport swinablate.execution.worker\n"
        f"print(sorted(({HEAVY!r} | {{'scipy'}}) & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "['torch']"

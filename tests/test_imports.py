"""Commands that need nothing heavy import nothing heavy."""

import subprocess
import sys

import pytest

from tests.conftest import RECIPE, STUDY

FOLDER = "FOLDER"
HEAVY = {"torch", "torchvision", "mlflow", "optuna", "pandas", "matplotlib", "seaborn", "sklearn"}


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["--version"], 0),
        (["--help"], 0),
        (["plan", "--help"], 0),
        (["run", "--help"], 0),
        (["new", "mine", "--in", FOLDER], 0),
        (["power", "--arms", "6", "--sd", "0.8", "--rope", "0.5"], 0),
        (["status", "nothing-was-run", "--home", "/nonexistent"], 2),
    ],
)
def test_nothing_heavy_is_imported(words, code, tmp_path):
    words = [str(tmp_path) if word == FOLDER else word for word in words]
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


@pytest.mark.parametrize(
    "words",
    [
        ["schema", "study"],
        ["analyze", "results.csv", "--baseline", "a", "--out", "report"],
    ],
)
def test_what_is_judged_and_drawn_needs_no_network(words, tmp_path):
    """torch would take longer than a small report."""
    rows = [f"{arm},{seed},{seed + mean}" for arm, mean in (("a", 90), ("b", 80)) for seed in (1, 2, 4)]  # fmt: skip
    (tmp_path / "results.csv").write_text("\n".join(["arm,seed,value", *rows, ""]))
    program = (
        "import sys\n"
        "from swinablate.cli import main\n"
        f"code = main({words!r})\n"
        "print(sorted({'torch', 'torchvision', 'mlflow', 'optuna'} & set(sys.modules)), code, file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=tmp_path, check=True
    )
    assert done.stderr.splitlines()[-1] == "[] 0"


def test_worker_imports_torch_and_nothing_else_heavy():
    program = (
        "import sys\nimport swinablate.execution.worker\n"
        f"print(sorted(({HEAVY!r} | {{'scipy'}}) & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "['torch']"


def test_a_study_starts_its_first_trial_before_what_its_report_needs_is_imported(tmp_path):
    """Figures, scipy's distributions and scikit-learn are the end's affair."""
    late = ["mlflow", "pandas", "matplotlib", "seaborn", "sklearn", "scipy.stats"]
    program = (
        "import sys\n"
        "from pathlib import Path\n"
        "from swinablate.execution import run\n"
        "from swinablate.records.home import Home\n"
        "from swinablate.study.files import load_study\n"
        "from swinablate.study.planner import plan\n"
        "from swinablate.tracking import mirror\n"
        "class Started(Exception): pass\n"
        "def started(*_): raise Started\n"
        "made = plan(load_study(Path('study.toml')))\n"
        "run.Coordinator.run = started\n"
        "run.mirror = lambda *_: __import__('unittest.mock').mock.Mock()\n"
        "try: run.execute(made, Home(Path('home')), run.Options(slots=1), WATCH)\n"
        f"except Started: print(sorted(set({late!r}) & set(sys.modules)))"
    ).replace("WATCH", "__import__('unittest.mock').mock.Mock()")
    noise = RECIPE.replace('name = "digits"', 'name = "noise"\nimage = { height = 8, width = 8, channels = 1, classes = 10 }')  # fmt: skip
    (tmp_path / "base.toml").write_text(noise)
    (tmp_path / "study.toml").write_text(STUDY)
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=tmp_path, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"

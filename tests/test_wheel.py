"""What `pip install` gives: the built wheel, not this checkout."""

import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
USER = """\
from pathlib import Path
from swinablate import effects, load_study, plan, run
study = load_study(Path("study.toml"))
reveal_type(study)
reveal_type(plan(study))
reveal_type(run(study))
reveal_type(effects)
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    (built,) = folder.iterdir()
    return built


def test_the_wheel_holds_the_package_its_examples_and_the_marker_of_its_types(wheel):
    def below(folder: str, into: str = "") -> set[str]:
        files = [path for path in (ROOT / folder).rglob("*") if path.is_file()]
        return {
            f"{into}{path.relative_to(ROOT).as_posix()}"
            for path in files
            if "__pycache__" not in path.parts
        }

    held = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    shipped = ("studies", "experiments", "packs")
    examples = set().union(*(below(folder, "swinablate/examples/") for folder in shipped))
    assert held == below("swinablate") | examples
    assert "swinablate/py.typed" in held


@pytest.mark.integration
@pytest.mark.slow  # mypy reads torch, pandas and the package: half a minute
def test_a_users_mypy_knows_the_types_of_the_installed_package(wheel, tmp_path):
    environment = tmp_path / "environment"
    venv.create(environment)
    site = Path(sysconfig.get_path("purelib", "venv", {"base": str(environment)}))
    with zipfile.ZipFile(wheel) as file:
        file.extractall(site)
    # The other packages are those of this environment; not its link to the checkout, because
    # the .pth files of a folder that a .pth file names are not read.
    (site / "rest.pth").write_text(sysconfig.get_path("purelib"))
    (tmp_path / "use.py").write_text(USER)
    words = ["--strict", "--config-file=", "--cache-dir", str(tmp_path / "cache"), "use.py"]
    python = ["--python-executable", str(environment / "bin" / "python")]
    done = subprocess.run(
        [sys.executable, "-m", "mypy", *python, *words],
        cwd=tmp_path,
        env={name: value for name, value in os.environ.items() if name != "MYPYPATH"},
        capture_output=True,
        text=True,
        check=False,
    )
    *revealed, last = done.stdout.splitlines()
    assert last == "Success: no issues found in 1 source file", done.stdout + done.stderr
    study, planned, results, effects = (line.split('"')[1] for line in revealed)
    assert study == "swinablate.api.StudyInHand"  # a Study that draws and tells
    assert planned == "swinablate.study.plan.Plan"
    assert results == "swinablate.report.results.StudyResults"
    assert effects.startswith("def (frame: pandas.core.frame.DataFrame, ")
    assert effects.endswith("Judgements[swinablate.stats.declaration.ArmVerdict]")

"""Studies of a script in every way that studies are run: designs, looks, more, retry, clusters.

The script's numbers are known: 60, 4 more at width 16, 2 more at depth 3, 1 more of both, and what
is drawn for the seed. The coordinator runs in this process, as in `test_more`.
"""

import json
import os
import random
import signal
import sys

import pytest

from swinablate.cli.app import main
from swinablate.records.home import Home
from swinablate.report.answer import gather
from tests import ray as rays
from tests.integration.clusters import TWO, attempts, gone
from tests.integration.conftest import alive, until

pytestmark = pytest.mark.integration

SCRIPT = """\
import os, pathlib, random, sys, time

seed, width, depth = map(int, sys.argv[1:4])
lost = pathlib.Path(__file__).with_name("lost")
if lost.exists() and (seed, width) == (1, 16):
    sys.exit("no data here")
own = random.Random(seed).gauss(0, 0.2) + random.Random(f"{seed} {width}").gauss(0, 0.05)
wide, deep = width == 16, depth == 3
for epoch in (1, 2, 3):
    time.sleep(float(os.environ.get("NAP", "0")))
    print("accuracy", 60 * epoch / 3 + own, flush=True)
print("accuracy", 60 + 4 * wide + 2 * deep + wide * deep + own, flush=True)
"""
WORDS = [sys.executable, "train.py", "{seed}", "{width}", "{depth}"]
RECIPE = f"""\
[command]
run = {json.dumps(WORDS)}
metric = {{ pattern = "accuracy (.*)", name = "accuracy" }}
[switches]
width = 8
depth = 2
"""
STUDY = """\
question = "What does the script say?"
baseline = "base.toml"
"""
NO_REPORT = {"run": ("--no-report",), "retry": ()}  # it takes longer than the study
SEEDS = "seeds = 3\nbaseline_seeds = 3\n"


def placed(folder, more):
    (folder / "train.py").write_text(SCRIPT)
    (folder / "base.toml").write_text(RECIPE)
    (folder / "study.toml").write_text(STUDY + more)


def said(seed, width):
    """What the script prints last at depth 2."""
    own = random.Random(seed).gauss(0, 0.2) + random.Random(f"{seed} {width}").gauss(0, 0.05)
    return 60 + 4 * (width == 16) + own


@pytest.fixture
def ran(tmp_path, capsys, monkeypatch):
    """Run a verb on the study: the exit code, the verdicts, and what was said on stderr."""
    monkeypatch.chdir(tmp_path)

    def run(verb, *words):
        code = main([verb, "study.toml", *NO_REPORT[verb], "--home", "home", *words])
        return code, gather(Home(tmp_path / "home"), "study").verdicts, capsys.readouterr().err

    return run


@pytest.mark.slow  # CI's integration keeps one of each kind
def test_a_factorial_design_finds_what_the_script_does_one_after_the_other(ran, tmp_path):
    placed(
        tmp_path,
        SEEDS + 'design = "factorial"\n[axes]\n"switches.width" = [16]\n"switches.depth" = [3]\n',
    )
    code, answer, err = ran("run", "--executor", "serial")
    assert code == 0, err
    effects = {
        (one["kind"], one["name"]): one["delta_pp"]
        for one in answer["contrasts"]
        if one["kind"] != "arm"
    }
    assert {arm["name"]: round(arm["delta_pp"]) for arm in answer["arms"]} == {
        "width=16": 4,
        "depth=3": 2,
        "width=16, depth=3": 7,
    }
    # On average over the other's levels: 4 and 4 + 1; 2 and 2 + 1; their difference is 1.
    assert effects == {
        ("main effect", "width=16"): pytest.approx(4.5, abs=0.2),
        ("main effect", "depth=3"): pytest.approx(2.5, abs=0.2),
        ("interaction", "width=16 x depth=3"): pytest.approx(1, abs=0.2),
    }


@pytest.mark.slow
def test_looks_end_early_where_the_script_is_clear(ran, tmp_path):
    placed(tmp_path, '[adaptive]\nlooks = [3, 4]\n[axes]\n"switches.width" = [16, 9]\n')
    code, answer, err = ran("run", "--executor", "serial")
    assert code == 0, err
    arms = {arm["name"]: arm for arm in answer["arms"]}
    assert (arms["width=16"]["verdict"], arms["width=16"]["n"]) == ("better", 3)
    assert arms["width=9"]["n"] == 4
    assert answer["baseline"]["n"] == 8


def test_what_failed_is_run_again_and_more_seeds_are_added(ran, tmp_path):
    placed(tmp_path, SEEDS + '[axes]\n"switches.width" = [9, 16]\n')
    (tmp_path / "lost").touch()
    code, _, err = ran("run")
    assert code == 3
    assert "width=16 s1: failed: exit code 1; it said last: no data here" in err
    (tmp_path / "lost").unlink()
    code, answer, err = ran("retry")
    assert code == 0, err
    assert "8 recorded before" in err
    assert [arm["n"] for arm in answer["arms"]] == [3, 3]
    code, answer, err = ran("run", "--more", "1")
    assert code == 0, err
    assert "more seeds: baseline 3 -> 4, width=9 3 -> 4" in err  # the other one is decided
    n = {arm["name"]: (arm["n"], arm["verdict"]) for arm in answer["arms"]}
    assert n["width=16"] == (3, "better")
    assert n["width=9"][0] == 4


READ = "seed, width, depth = map(int, sys.argv[1:4])\n"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        pytest.param("width = 8", "width=16 gave the baseline's numbers", id="a dead switch"),
        pytest.param(
            "seed = 0",
            "seeds 0 and 1 gave the same numbers",
            id="a dead seed",
            marks=pytest.mark.slow,
        ),
        pytest.param("", "", id="all is well", marks=pytest.mark.slow),
        pytest.param(
            "seed += time.time_ns()",
            "the same seed gave accuracy",
            id="more than the seed",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            "assert width == 8",
            "a trial of the first round failed (width=16 s0: exit code 1",
            id="an arm that fails",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_a_check_stops_before_the_bulk_of_the_study(ran, tmp_path, line, said):
    placed(tmp_path, SEEDS + '[axes]\n"switches.width" = [16]\n')
    (tmp_path / "train.py").write_text(SCRIPT.replace(READ, f"{READ}{line}\n"))
    base = tmp_path / "base.toml"
    base.write_text(RECIPE.replace("[switches]", 'check = "first"\n[switches]'))
    code, answer, err = ran("run", "--executor", "serial")
    assert said in err
    found = results(tmp_path)
    twins = [one for one in found if "again/accuracy" in one["metrics"]]
    assert [one["seed"] for one in twins] == [0]
    if line in {"", "seed += time.time_ns()"}:
        assert (code, len(found)) == (0, 6)
        assert ("W29" in [w["code"] for w in answer["warnings"]]) == bool(line)
        return
    assert (code, len(found)) == (3, 3), "the baseline's first two, the arm's first, and no more"
    assert "stopped after the first trials: " in err
    base.write_text(RECIPE)  # as it is, then; and what was trained counts
    code, _, err = ran("run", "--executor", "serial")
    assert "3 recorded before" in err
    fails = "assert" in line
    assert (code, len(results(tmp_path))) == (3 if fails else 0, 6)


CHECKED = RECIPE.replace("[switches]", 'check = "first"\n[switches]')


@pytest.mark.slow
@pytest.mark.parametrize(("line", "code"), [("", 0), ("width = 8", 3)])
def test_a_check_goes_before_the_first_look(ran, tmp_path, line, code):
    placed(tmp_path, '[adaptive]\nlooks = [3, 4]\n[axes]\n"switches.width" = [16, 9]\n')
    (tmp_path / "base.toml").write_text(CHECKED)
    (tmp_path / "train.py").write_text(SCRIPT.replace(READ, f"{READ}{line}\n"))
    found, _, err = ran("run", "--executor", "serial")
    assert found == code, err
    assert len(results(tmp_path)) == (15 if not code else 4)


def test_of_arms_that_run_alone_the_check_judges_by_what_is_there(ran, tmp_path):
    placed(tmp_path, SEEDS + '[axes]\n"switches.width" = [16, 9]\n')
    (tmp_path / "base.toml").write_text(CHECKED)
    (tmp_path / "train.py").write_text(SCRIPT.replace(READ, f"{READ}width = 8\n"))
    code, _, _ = ran("run", "--executor", "serial", "--only", "baseline")
    assert (code, len(results(tmp_path))) == (0, 3), "its seeds differ"
    code, _, err = ran("run", "--executor", "serial", "--only", "width=9")
    assert (code, len(results(tmp_path))) == (3, 4), "one seed of the arm, and no more"
    assert "width=9 gave the baseline's numbers" in err


def results(folder):
    return [json.loads(one.read_text()) for one in folder.glob("home/trials/*/result.json")]


def check_all(command):
    """Every trial says what the script says, wherever it ran."""
    found = [(one["recipe"]["switches"]["width"], one["seed"], one) for one in command.results().values()]  # fmt: skip
    assert len(found) == 6
    for width, seed, one in found:
        assert one["status"] == "done"
        assert one["metrics"]["command/accuracy"] == pytest.approx(said(seed, width))
        assert len(one["curve"]) == 4


def scripts(command):
    """Keepers and scripts of a study that still run."""
    words = str(command.folder / "home"), "train.py"
    return [pid for pid in rays.processes() if all(one in rays.command(pid) for one in words)]


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_on_slurm_a_cancelled_step_takes_its_script_along(slurm, command):
    placed(command.folder, SEEDS + '[axes]\n"switches.width" = [16]\n')
    text = (command.folder / "base.toml").read_text()
    (command.folder / "base.toml").write_text(text.replace('"{depth}"', '"{depth}", "{out}"'))
    process = command.start(*TWO, NAP="2")
    command.wait_for("epoch", 3)
    began = scripts(command)
    assert began
    for step in slurm.steps():
        slurm.ask("scancel", step)
    until(lambda: not any(map(alive, began)))
    _, err = process.communicate(timeout=400)
    assert process.returncode == 0, err
    check_all(command)
    assert max(attempts(command).values()) == 2
    until(lambda: gone(slurm, command))
    assert not scripts(command)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_on_ray_an_actor_that_is_killed_takes_its_script_along(ray, command):
    ray.whole()
    placed(command.folder, SEEDS + '[axes]\n"switches.width" = [16]\n')
    (command.folder / "base.toml").write_text(CHECKED.replace('"{depth}"', '"{depth}", "{out}"'))
    process = command.start("--executor", "ray", "--no-report", NAP="2")
    began = until(lambda: scripts(command))
    keeper = rays.parent(began[0])
    worker = rays.parent(keeper)
    assert "workers.remote" in rays.command(worker)
    began = [pid for pid in began if rays.parent(pid) == keeper]
    os.kill(rays.parent(worker), signal.SIGKILL)
    until(lambda: not any(map(alive, began)))
    _, err = process.communicate(timeout=400)
    assert process.returncode == 0, err
    check_all(command)
    assert max(attempts(command).values()) == 2
    assert sum("again/accuracy" in one["metrics"] for one in command.results().values()) == 1
    until(lambda: not (rays.actors() or rays.drivers() or scripts(command)))


def test_what_is_no_text_reaches_mlflow_and_a_bundle_of_commands_is_whole(
    tmp_path, capsys, monkeypatch
):
    """A name that is not UTF-8 and a NUL in what a script leaves and says."""
    monkeypatch.chdir(tmp_path)
    placed(tmp_path, 'seeds = 2\nbaseline_seeds = 2\n[axes]\n"switches.width" = [16]\n')
    (tmp_path / "train.py").write_text(
        "import os, sys\n"
        "if sys.argv[2] == '16': os.write(2, b'\\0 \\xff \\x1b[31m'), sys.exit(1)\n"
        "open(os.fsencode(os.environ['SWINABLATE_OUT']) + b'/\\xff', 'w')\n"
    )
    pattern, file = 'pattern = "accuracy (.*)"', 'file = "log.jsonl", key = "accuracy"'
    (tmp_path / "base.toml").write_text(RECIPE.replace(pattern, file))
    words = ["--home", "home"]
    assert main(["run", "study.toml", *words]) == 3
    told = capsys.readouterr().err
    assert "MLflow" not in told
    found = Home(tmp_path / "home").outcomes(
        path.name for path in (tmp_path / "home/trials").iterdir()
    )
    said = {one.failure["message"] for one in found.values()}
    assert len(said) == 2
    assert all("\\x" in one or "\\udcff" in one for one in said)
    assert main(["export", "study", "b.tar", *words]) == 0
    assert main(["verify", "b.tar"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "what its commands are made of is not in the bundle" in out
    assert main(["import", "b.tar", "--home", "other"]) == 0

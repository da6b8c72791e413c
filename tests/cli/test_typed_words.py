"""Words of a command line that nobody means as they are: refused, or understood, and never obeyed."""

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from swinablate.cli.app import main
from swinablate.cli.commands.compare import LONG, _called
from swinablate.cli.commands.verbs import again as verb
from swinablate.cli.differences import differences
from swinablate.cli.elsewhere import called
from swinablate.cli.which import named
from swinablate.errors import InputError
from swinablate.records.launch import Launch, home_folder, keep_launch
from swinablate.records.plan import PlanRecord
from swinablate.records.tuning import NoiseRecord
from swinablate.stats import selftest
from swinablate.training.fused.verify import Verification
from tests.conftest import RECIPE, STUDY
from tests.records.homes import sealed

CSV = "arm,seed,value\na,0,50\na,1,51\na,2,52\nb,0,53\nb,1,54\nb,2,55\n"
RESULTS = 'question = "q"\nbaseline = "a"\n[results]\nfile = "r.csv"\n'


@pytest.fixture
def study(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return sealed(tmp_path)


def refused(words, capsys, code=2):
    assert main([str(word) for word in words]) == code
    out, err = capsys.readouterr()
    assert "Traceback" not in err
    assert "\n\nhint: " in err
    return out, err


@pytest.mark.parametrize("name", ["", ".", ".."])
def test_no_name_removes_nothing(name, study, capsys):
    """An unset variable, in quotes, is the folder of all studies."""
    root = study.home.root
    before = sorted(path for path in root.rglob("*") if "locks" not in path.parts)
    _, err = refused(["rm", name, "--yes", "--home", root], capsys)
    assert "has not been run" in err
    assert sorted(path for path in root.rglob("*") if "locks" not in path.parts) == before


def test_a_file_names_a_study_only_if_it_is_what_was_run(study, tmp_path, capsys):
    root, home = study.home.root, study.home
    _, err = refused(["rm", "nofolder/plain.toml", "--yes", "--home", root], capsys)
    assert "nofolder/plain.toml: no such file" in err
    assert "give the name: plain" in err
    _, err = refused(["compare", "nofolder/plain.toml", "grid", "--home", root], capsys)
    assert "nofolder/plain.toml: no such file" in err
    mine, other = (tmp_path / folder / "plain.toml" for folder in ("mine", "other"))
    for file, text in ((mine, STUDY), (other, STUDY.replace("seeds = 3", "seeds = 4"))):
        file.parent.mkdir()
        file.write_text(text)
        (file.parent / "base.toml").write_text(RECIPE)
    from swinablate.config.variants import digests

    ran = Launch(study="plain.toml", file=str(mine), digests=digests(mine))
    keep_launch(home, home.declared("plain"), ran)
    assert named("plain", home) == named(str(mine), home) == "plain"
    _, err = refused(["rm", other, "--yes", "--home", root], capsys)
    assert "it is not what was run as 'plain'" in err
    mine.write_text(STUDY.replace("seeds = 3", "seeds = 5"))  # edited since
    assert named(str(mine), home, edited=True) == "plain"
    with pytest.raises(InputError, match="it is not what was run"):
        named(str(mine), home)


@pytest.mark.parametrize("file", ["res.TOML", "my res.toml", "res"])
def test_a_study_of_results_is_judged_whatever_its_file_is_called(
    file, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    Path("r.csv").write_text(CSV)
    Path(file).write_text(RESULTS)
    assert main(["report", f"./{file}", "--json"]) == 0
    assert [arm["name"] for arm in json.loads(capsys.readouterr().out)["arms"]] == ["b"]
    _, err = refused(["run", file], capsys)
    name = f"'{file}'" if " " in file else file
    assert f"hint: `swinablate report {name}` judges them" in err


def test_a_study_of_results_was_never_run(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("r.csv").write_text(CSV)
    Path("res.toml").write_text(RESULTS)
    for words in (["compare", "res.toml", "x"], ["rm", "res.toml", "--yes"]):
        assert "this study trains nothing" in refused(words, capsys)[1]


def test_reports_of_different_names_have_different_folders(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("lr0.1").mkdir()
    Path("a.b.csv").touch()
    assert [called(Path(name)) for name in ("lr0.1", "a.b.csv", "exp 0.3")] == [
        "lr0.1",
        "a.b",
        "exp 0.3",
    ]
    assert called(Path()) == tmp_path.name
    names = ["a" * 60, "b" * 60]
    folders = {_called([*names, last]) for last in ("c", "d")}
    assert len(folders) == 2
    assert max(map(len, folders)) <= LONG
    assert _called(["one", "two"]) == "compare-one-two"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["analyze", "r.csv", "--baseline", "a", "--rope", "inf"], "inf is more than any difference"),
        (["analyze", "r.csv", "--baseline", "a", "--rope", "1e308"], "is more than any difference"),
        (["analyze", "r.csv", "--baseline", "a", "--alpha", "1e-300"], "--alpha: 1e-300 is no error rate"),
        (["analyze", "wild.csv", "--baseline", "a", "--unit", "none", "--better", "higher"], "is beyond anything that is measured"),
        (["analyze", "e", "--baseline", "a", "--tracking-uri", "foo://bar"], "'foo' is no kind of database"),
        (["power", "--arms", "6", "--sd", "1", "--rope", "1e-300"], "is no size of a difference"),
        (["power", "--arms", "6", "--sd", "1e308", "--rope", "1"], "an sd of 1e+308 cannot be planned"),
        (["power", "--arms", "6", "--sd", "1", "--alpha", "1e-300"], "alpha = 1e-300 cannot be planned"),
        (["power", "--arms", "6", "--sd", "1", "--trials", "9" * 30], "1e+30 trials cannot be planned"),
        (["power", "--arms", "6", "--sd", "1", "--hours", "1e300", "--hours-per-trial", "1"], "trials cannot be planned"),
        (["stats", "selftest", "--sd", "inf"], "has no end"),
        (["stats", "selftest", "--effect", "nan"], "has no end"),
        (["stats", "selftest", "--arms", "1000000"], "more than can be simulated"),
        (["stats", "selftest", "--seeds", "1000000"], "more than can be simulated"),
        (["run", "s.toml", "--fuse", "9" * 5000], "expected auto, off or a number"),
        (["run", "s.toml", "--per-gpu", "9" * 5000], "expected auto or a number"),
        (["new", "my.toml"], "'my.toml' names a file"),
        (["new", "x", "--command", "python t.py --x=\udcff"], "is not UTF-8"),
    ],
)  # fmt: skip
def test_numbers_and_names_beyond_sense_are_one_error(words, said, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("r.csv").write_text(CSV)
    Path("wild.csv").write_text(CSV.replace(",50", ",1e308").replace(",53", ",-1e308"))
    Path("s.toml").write_text(STUDY)
    Path("base.toml").write_text(RECIPE)
    more = [] if words[0] == "new" else ["--json"]
    out, err = refused([*words, *more], capsys)
    assert said in err
    assert out == ""
    assert not Path("studies").exists()


def test_a_simulation_of_ordinary_numbers_goes_on():
    assert len(selftest(1, 3, 0.4)) > 1


def test_a_table_whose_name_is_not_utf8_is_judged(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("r\udcff.csv").write_text(CSV)
    assert main(["analyze", "r\udcff.csv", "--baseline", "a", "--out", "o"]) == 0
    assert json.loads(Path("o/provenance.json").read_text())["file"] == "r\udcff.csv"


def test_a_command_of_ones_own_is_written_as_toml_whatever_is_in_it(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("t.py").touch()
    typed = "python t.py --lr=1e999 --big=1e308 --x='a\x7fb' --note 'c\nd'"
    assert main(["new", "my study", "--command", typed]) == 0
    study, recipe = (
        Path(folder, "my study.toml").read_text() for folder in ("studies", "experiments")
    )
    switches = tomllib.loads(recipe)["switches"]
    assert switches == {"lr": "1e999", "big": 1e308, "x": "a\x7fb", "note": "c\nd"}
    assert tomllib.loads(study)["axes"]
    assert "swinablate plan 'studies/my study.toml'" in study


def test_a_tilde_that_the_shell_left_is_ones_own_folder(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert home_folder("~/h") == tmp_path / "h"
    assert home_folder("./~/h") == Path("./~/h")
    assert main(["list", "--home=~/h", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["home"] == str(tmp_path / "h")
    Path("r.csv").write_text(CSV)
    assert main(["analyze", "r.csv", "--baseline", "a", "--out=~/o"]) == 0
    assert (tmp_path / "o/index.html").exists()
    assert not Path("~").exists()


def test_help_without_a_word_is_no_error(capsys):
    assert main([]) == 2
    out, err = capsys.readouterr()
    assert "Usage:" in out
    assert err == ""


def test_a_bundle_is_no_folder(study, capsys):
    Path("d").mkdir()
    for force in ([], ["--force"]):
        _, err = refused(["export", "plain", "d", "--home", study.home.root, *force], capsys)
        assert "this is a folder, and a bundle is a file" in err


def test_a_bundle_replaces_no_device_and_no_pipe(study, capsys):
    os.mkfifo("pipe")
    Path("link").symlink_to("/dev/null")
    for name in ("pipe", "link"):
        for force in ([], ["--force"]):
            _, err = refused(["export", "plain", name, "--home", study.home.root, *force], capsys)
            assert "this is a device or a pipe, and a bundle is a file of its own" in err
    assert Path("pipe").is_fifo()
    assert Path("link").is_symlink()


@pytest.mark.parametrize("words", [["--params-only"], ["--seeds", "5"], ["--devices", "cpu"]])
def test_options_of_a_recipe_are_refused_of_a_study(words, capsys, tmp_path):
    report = Path(__file__).parents[2] / "reports" / "quickstart"
    _, err = refused(["verify", report, *words, "--home", tmp_path / "home"], capsys)
    assert err.startswith(f"error: {words[0]}: {words[0]} is about a recipe")


CLOSED = """
import os, sys
for number in {closed}:
    os.close(number)
os.execv(sys.executable, [sys.executable, "-m", "swinablate", *{words}])
"""


@pytest.mark.integration
@pytest.mark.parametrize("closed", [(0,), (1,), (2,), (0, 1, 2)])
def test_streams_that_are_closed_lead_nowhere(closed, tmp_path):
    program = CLOSED.format(closed=closed, words=["schema", "pack"])
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert bool(done.stdout) == (1 not in closed)
    assert not done.stdout or json.loads(done.stdout)


@pytest.mark.integration
def test_nobody_is_asked_where_there_is_no_input(study):
    words = ["rm", "plain", "--home", str(study.home.root)]
    program = CLOSED.format(closed=(0,), words=words)
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "there is no terminal" in done.stderr
    assert "Traceback" not in done.stderr


INTERRUPTED = """
import os, signal, sys
class Slow:
    def find_spec(self, name, path=None, target=None):
        if name == "swinablate.{module}":
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Slow())
signal.signal(signal.SIGINT, signal.default_int_handler)
from swinablate.cli import main
sys.exit(main(["list"]))
"""


@pytest.mark.integration
@pytest.mark.parametrize("module", ["cli.ending", "execution.stop", "cli.app"])
def test_a_ctrl_c_while_it_starts_is_one_word(module):
    program = INTERRUPTED.format(module=module)
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "interrupted\n")


def test_sources_of_noise_are_declared():
    was, now = PlanRecord(), PlanRecord(noise=NoiseRecord(sources=("training",), splits=1))
    assert differences(was, was) == []
    assert differences(was, now) == ['noise.sources: - -> ["training"]', "noise.splits: - -> 1"]


def test_a_device_that_is_not_there_is_told_before_images_are_looked_for(study, monkeypatch):
    def prepared(*_):
        raise AssertionError

    monkeypatch.setattr(verb, "_images", prepared)
    (one, *_) = study.home.outcomes(path.name for path in study.home.trials.iterdir()).values()
    with pytest.raises(InputError, match="there is no device 'bogus'"):
        verb.again(study.home, one, device="bogus")


def test_a_floor_of_nothing_has_no_ratio():
    same = {"replicas": 2, "steps": 2, "precision": "fp32", "device": "cpu", "gate": 2.0}
    found = Verification(**same, fused=0.0, floor=0.0).to_json()
    assert (found["ratio"], found["ok"]) == (None, True)


def test_a_command_is_not_fused(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("t.py").touch()
    run = 'run = ["python", "t.py", "{seed}"]\nmetric = { pattern = "a: (.)" }\n'
    Path("mine.toml").write_text(f"[command]\n{run}")
    assert "a command trains itself" in refused(["verify-fusion", "mine.toml"], capsys)[1]

"""Studies of more arms, seeds or trials than anybody means: refused before they are expanded."""

import io
import itertools

import pytest
from rich.console import Console

from swinablate.cli import terminal
from swinablate.cli.app import main
from swinablate.errors import InputError
from swinablate.study.arms.designs import GENERATORS, cells
from swinablate.study.files import load_study
from swinablate.study.limits import ARMS, TRIALS, cells_of, check_size
from swinablate.study.planner import plan
from tests.conftest import RECIPE, STUDY

AXES = '"model.shift" = [false]'
BASE = "seeds = 3\nbaseline_seeds = 3\n"
SWITCHES = [f'"train.{name}" = [{level}]' for name, level in (
    ("lr", 0.1), ("eps", 0.1), ("ema", 0.1), ("clip", 0.1), ("warmup", 0.2), ("weight_decay", 0.1), ("batch", 16),
    ("label_smoothing", 0.1), ("momentum", 0.1), ("step_factor", 0.2),
)] + [f'"data.{name}" = [0.1]' for name in (
    "mixup", "cutmix", "hue", "contrast", "saturation", "brightness", "erase", "mix_share", "train_fraction",
    "resized_crop",
)]  # fmt: skip
TUNED_OFTEN = """[tune]
trials = 1000
seeds = 20
repeats = "seed"
space = { "train.lr" = { low = 1e-4, high = 1.0 } }
[axes]"""
LARGE = {
    "thousands of levels": (AXES, f'"train.lr" = [{", ".join(f"{i}e-5" for i in range(1, 3002))}]', "3,001 arms"),
    "a factorial of 20": (
        f'{BASE}\n[axes]\n{AXES}', f'design = "factorial"\n{BASE}\n[axes]\n' + "\n".join(SWITCHES), "1,048,575 arms",
    ),
    "thousands of arms": (
        "[axes]", "".join(f'[[arms]]\nname = "a{i}"\nchanges = {{ "train.lr" = {i}e-5 }}\n' for i in range(1, 1001))
        + "[axes]", "1,001 arms",
    ),
    "tries without end": (
        "[axes]", "[tune]\ntrials = 1000\nseeds = 100\nspace = { 'train.lr' = { low = 1e-4, high = 1.0 } }\n[axes]",
        "200,006 trials",
    ),
    "tunings without end": (
        "[axes]", TUNED_OFTEN, "120,006 trials",
    ),
    "thousands of seeds": ("seeds = 3\nbaseline_seeds = 3", "seeds = 1001", "study.toml: seeds"),
    "a list of them": ("seeds = 3\nbaseline_seeds = 3", f"seeds = [{'0, ' * 100_000}]", "study.toml: seeds"),
    "looks without end": (
        BASE, f"[adaptive]\nlooks = [{', '.join(map(str, range(3, 900)))}]\n", "study.toml: adaptive.looks",
    ),
    "a seed of 2**53": (BASE, "seeds = [9007199254740992, 1]\n", "study.toml: seeds"),
    "a seed of 2**63": (BASE, "seeds = [9223372036854775807, 1]\n", "study.toml: seeds"),
    "a seed of 10**20": (BASE, "seeds = [100000000000000000000, 1]\n", "64 bits"),
    "seeds that reach 2**53": (BASE, "seeds = [9007199254740991, 1]\n", "follow 9007199254740991"),
    "an alpha of nothing": ("[axes]", "[compare]\nalpha = 1e-300\n[axes]", "study.toml: compare.alpha"),
}  # fmt: skip


@pytest.mark.parametrize("case", LARGE)
@pytest.mark.timeout(20)
def test_a_study_too_large_is_refused_at_once(case, write, capsys):
    old, new, says = LARGE[case]
    path = write(STUDY.replace(old, new))
    assert path.read_text() != STUDY
    assert main(["plan", str(path)]) == 2
    err = capsys.readouterr().err
    assert says in err
    assert "\n\nhint: " in err
    assert len(err) < 1000


def test_a_factorial_too_large_is_offered_a_fraction(write, capsys):
    axes = "\n".join(SWITCHES[:10])
    path = write(
        STUDY.replace(f"{BASE}\n[axes]\n{AXES}", f'design = "factorial"\n{BASE}\n[axes]\n{axes}')
    )
    assert main(["plan", str(path)]) == 2
    assert 'hint: ask with design = "fraction" and one level a switch' in capsys.readouterr().err


@pytest.mark.parametrize("design", ["one_at_a_time", "factorial", "path", "fraction"])
def test_what_is_counted_is_what_is_expanded(design):
    one = design in {"path", "fraction"}
    for count in GENERATORS if design == "fraction" else range(2, 6):
        levels = [1] * count if one else [1 + i % 3 for i in range(count)]
        axes = {f"x{i}": tuple(range(n)) for i, n in enumerate(levels)}
        assert cells_of(design, levels) == len(list(cells(design, axes, "")))


@pytest.mark.parametrize(("arm", "baseline"), [(1, 1), (99, 0), (99, 100)])
def test_the_bounds_themselves_are_allowed(arm, baseline):
    def check(arms, more):
        runs = {"arm": arm, "baseline": baseline + more}
        check_size("one_at_a_time", {"x": range(arms)}, 0, runs, "s.toml")

    check(ARMS, 0)
    with pytest.raises(InputError, match="1,001 arms, and 1,000 can be planned"):
        check(ARMS + 1, 0)
    left = TRIALS - ARMS * arm - baseline
    check(ARMS, left)
    with pytest.raises(InputError, match="100,001 trials, and 100,000 can be planned"):
        check(ARMS, left + 1)


def test_the_largest_seeds_are_planned(write):
    study = load_study(
        write(STUDY.replace(BASE, "seeds = [0, 9007199254740989]\nbaseline_seeds = 4\n"))
    )
    assert study.baseline_seeds[2:] == (2**53 - 2, 2**53 - 1)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ('{ "model.width" = 1000000 }', "arm: the network needs about"),
        ('{ "model.depths" = [4000] }', "4,000 blocks one after the other"),
        ('{ "data.name" = "noise", "data.image" = { height = 1000000, width = 1000000, channels = 1, classes = 10 } }',
         "images of 1x1000000x1000000 need about"),
    ],
)  # fmt: skip
@pytest.mark.timeout(60)
def test_an_arm_too_large_is_refused_and_the_others_are_planned(changes, says, write, capsys):
    path = write(f'{STUDY}\n[[arms]]\nname = "arm"\nchanges = {changes}\n')
    made = plan(load_study(path))
    assert [arm.name for arm in made.arms] == ["baseline", "shift=false"]
    (refusal,) = made.refusals
    assert says in f"{refusal.name}: {refusal.reason}"


@pytest.mark.parametrize(
    "line",
    ["width = 1000000000000", "depths = [1000000000]", "mlp_ratio = 1e9", "mlp_ratio = 1e308"],
)
@pytest.mark.timeout(60)
def test_a_baseline_too_large_is_exit_2(line, write, capsys):
    key = line.partition(" ")[0]
    lines = [row for row in RECIPE.splitlines() if not row.startswith(f"{key} ")]
    path = write(base="\n".join(lines).replace("[model]", f"[model]\n{line}"))
    assert main(["plan", str(path)]) == 2
    err = capsys.readouterr().err
    assert "hint: " in err
    assert "needs about" in err or "whole number of channels" in err


def test_a_check_of_a_network_too_large_is_exit_2(capsys):
    assert main(["check", "swin", "--set", "width=3000000000"]) == 2
    assert "needs about" in capsys.readouterr().err
    assert main(["check", "swin", "--image", "1000000x1000000x3"]) == 2
    assert "need about" in capsys.readouterr().err


def test_a_long_plan_says_where_it_is(monkeypatch):
    stream = io.StringIO()
    monkeypatch.setattr(terminal, "err", Console(file=stream, width=200))
    times = itertools.chain([0.0], [1.0], [4.9], [6.0, 6.0], [7.0], [12.0, 12.0])
    step = terminal.patience("planning arm", lambda: next(times))
    for number, name in enumerate(["a", "b", "[red]c", "d", "e"]):
        step(number, name)
    assert stream.getvalue() == "planning arm 2: [red]c\nplanning arm 4: e\n"

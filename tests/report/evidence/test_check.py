"""A forger who mends the digests: what the records say must still fit together."""

import json

import pytest

from swinablate.report.evidence.check import check
from swinablate.report.evidence.identity import declarations_of
from tests.records.homes import first
from tests.report.evidence.bundles import bundle, forged, resealed, study


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bundle")
    return study(folder), bundle(study(folder / "again"), folder / "b.tar")


def faults(whole, path, changed):
    found = check(forged(whole, path, changed))
    return dict(found.faults)


def test_a_better_accuracy_is_found(made, tmp_path):
    home, whole = made
    name = f"trials/{home.done[0]}/result.json"
    metrics = {**json.loads(whole.read(name))["metrics"], "test/accuracy": 99.0}
    found = faults(whole, tmp_path / "f.tar", {name: resealed(whole.read(name), metrics=metrics)})
    assert {"report/verdicts.json", "report/trials.csv"} <= found.keys()
    assert "the records give something else: baseline.mean is" in found["report/verdicts.json"]


def test_a_record_that_is_edited_is_found(made, tmp_path):
    home, whole = made
    name = f"trials/{home.done[0]}/result.json"
    data = whole.read(name).replace(b'"seed": 0', b'"seed": 7')
    assert faults(whole, tmp_path / "f.tar", {name: data}) == {
        name: "damaged record: its digest is another's"
    }


@pytest.mark.parametrize("change", [{"seed": 7}, {"recipe": {"train": {"epochs": 99}}}])
def test_a_record_of_another_training_is_found(made, tmp_path, change):
    home, whole = made
    name = f"trials/{home.done[0]}/result.json"
    recipe = json.loads(whole.read(name))["recipe"]
    if "recipe" in change:
        change = {"recipe": {**recipe, "train": {**recipe["train"], "epochs": 99}}}
    data = resealed(whole.read(name), **change)
    problem = "its recipe and seed are those of another trial"
    assert faults(whole, tmp_path / "f.tar", {name: data}) == {name: problem}


def test_a_trial_of_no_plan_is_found(made, tmp_path):
    home, whole = made
    data = resealed(whole.read(f"trials/{home.done[0]}/result.json"), trial="0" * 64)
    name = f"trials/{'0' * 64}"
    found = faults(whole, tmp_path / "f.tar", {f"{name}/result.json": data})
    assert found[name] == "no declaration of the study names it"


def test_events_of_another_trial_are_found(made, tmp_path):
    home, whole = made
    one, other = (f"trials/{trial}/attempts/1/events.jsonl" for trial in home.done[:2])
    found = faults(whole, tmp_path / "f.tar", {one: whole.read(other)})
    assert found == {one: "it holds events of another trial"}


def test_a_plan_with_another_arm_is_found(made, tmp_path):
    _, whole = made
    (name,) = (name for name in whole.entries if name.endswith("plan.json"))
    plan = json.loads(whole.read(name))
    plan["arms"][1]["recipe"]["train"]["lr"] = 1.0
    found = check(forged(whole, tmp_path / "f.tar", {name: resealed(whole.read(name), **plan)}))
    problems = [problem for where, problem in found.faults if where.startswith("study/")]
    assert problems[0] == "its arms, seeds and comparisons have another digest"
    assert "are those of other recipes" in problems[1]


def test_a_plan_with_another_question_is_found(made, tmp_path):
    _, whole = made
    (name,) = (name for name in whole.entries if name.endswith("plan.json"))
    compare = {**json.loads(whole.read(name))["compare"], "alpha": 0.2}
    found = faults(whole, tmp_path / "f.tar", {name: resealed(whole.read(name), compare=compare)})
    assert "its arms, seeds and comparisons have another digest" in found.values()


def test_another_verdict_is_found(made, tmp_path):
    _, whole = made
    name = "report/verdicts.json"
    data = whole.read(name).replace(b'"pending"', b'"better"', 1)
    found = faults(whole, tmp_path / "f.tar", {name: data})
    assert "arms.0.verdict is 'better', and now 'pending'" in found[name]


def test_a_number_that_rounding_explains_is_none(made, tmp_path):
    _, whole = made
    said = json.loads(whole.read("report/verdicts.json"))
    said["baseline"]["mean"] += 1e-9
    data = json.dumps(said).encode()
    assert faults(whole, tmp_path / "f.tar", {"report/verdicts.json": data}) == {}


@pytest.mark.parametrize("name", ["report/arms.csv", "environment.json"])
def test_what_is_left_out_is_missed(made, tmp_path, name):
    assert faults(made[1], tmp_path / "f.tar", {name: None}) == {name: "it is missing"}


def test_another_study_file_is_found(made, tmp_path):
    _, whole = made
    data = whole.read("files/plain.toml").replace(b"seeds = 3", b"seeds = 4")
    assert data != whole.read("files/plain.toml")
    found = faults(whole, tmp_path / "f.tar", {"files/plain.toml": data})
    assert found == {"files/plain.toml": "it declares something else than what was run"}


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        (b"base.toml", b"/etc/passwd", "it names recipes that are not in the bundle"),
        (b"base.toml", b"../base.toml", "it names recipes that are not in the bundle"),
        (b"[axes]", b'[axes]\n"model.family" = ["evil:Net"]', "it names code that is not ours"),
        (b"[axes]", b"[axes", "it cannot be planned here: not valid TOML"),
    ],
)
def test_nothing_that_a_study_names_is_read_or_run(made, tmp_path, old, new, why):
    _, whole = made
    data = whole.read("files/plain.toml").replace(old, new)
    assert data != whole.read("files/plain.toml")
    found = check(forged(whole, tmp_path / "f.tar", {"files/plain.toml": data}))
    assert found.whole
    assert found.unchecked[0].startswith(f"whether the study's file declares what was run: {why}")


def test_code_that_a_record_names_is_not_run(made, tmp_path):
    home, whole = made
    name = f"trials/{home.done[0]}/result.json"
    recipe = json.loads(whole.read(name))["recipe"]
    recipe["model"]["family"] = "evil:Net"
    data = resealed(whole.read(name), recipe=recipe)
    found = check(forged(whole, tmp_path / "f.tar", {name: data}))
    assert any(
        "it needs the code of evil:Net, which is not run for it" in x for x in found.unchecked
    )


@pytest.mark.parametrize("name", ["plain", "looks", "tuned"])
def test_declarations_are_those_of_version_0_1(tmp_path, name):
    plan = first(tmp_path).home.declared(name)
    assert plan.declaration in declarations_of(plan)


def test_records_without_digests_are_named(tmp_path):
    found = check(bundle(first(tmp_path), tmp_path / "b.tar"))
    assert found.whole
    assert sum("has no digest of its own" in line for line in found.unchecked) == 12

"""Starting from weights: what is taken, what is refused, what is frozen."""

import hashlib
import json
import re
import shlex
import shutil
from pathlib import Path

import pytest
import torch
import typer
from torch import nn

from swinablate.api import keep_each, keep_weights
from swinablate.cli.app import app, main
from swinablate.config import plugins
from swinablate.config.data import DataConfig
from swinablate.config.family import ImageSpec
from swinablate.config.recipe import StartConfig, trial_id
from swinablate.config.train import TrainConfig
from swinablate.data import image_spec
from swinablate.errors import EnvironmentFault, InputError
from swinablate.models import transfer
from swinablate.models.registry import load_family
from swinablate.records.home import Home
from swinablate.records.outcome import Outcome
from swinablate.records.plan import ArmRecord, PlanRecord, Row
from swinablate.report.answer import gather
from swinablate.report.prose import checklist
from swinablate.study.arms.recipes import load_recipe
from swinablate.study.files import load_study, smoke
from swinablate.study.noise.expected import Noise
from swinablate.study.plan import Trial
from swinablate.study.plan_record import plan_record
from swinablate.study.planner import plan
from swinablate.tracking.cards import trial_card
from swinablate.training import checkpoint, fit
from swinablate.training.optim import make_optimizer
from tests.conftest import RECIPE, STUDY
from tests.scheduling.test_ledger import play
from tests.scheduling.test_suggest import outcome
from tests.training.test_fit import make_job, run

ROOT = Path(__file__).parents[2]
CPU = torch.device("cpu")
DIGITS = ImageSpec(height=8, width=8, channels=1, classes=10, top=16)


def network(classes=10, **changes):
    family = load_family("swin", "")
    config = family.config(
        **({"patch": 1, "width": 8, "depths": (1, 1), "heads": (2, 2), "window": 2} | changes)
    )
    model = family.build(config, DIGITS.model_copy(update={"classes": classes}))
    family.init(model, config, lambda name: torch.Generator().manual_seed(len(name)))
    return model


def test_head_is_the_last_part_of_every_family():
    image = ImageSpec(height=32, width=32, channels=3, classes=10)
    for name in plugins.names("swinablate.models.families"):
        family = load_family(name, "")
        with torch.device("meta"):
            model = family.build(family.config(), image)
        part = {"post001": "fc2", "nin": "head.4", "vgg": "head.2"}.get(name, "head")
        assert transfer.head(model) == part, name
    assert transfer.head(torch.nn.ModuleDict({"net": model})) == "net.head"


@pytest.mark.parametrize(
    ("parts", "part"),
    [
        ([nn.Flatten(), nn.Linear(8, 4), nn.ReLU(), nn.Linear(4, 2), nn.Softmax(1)], ".3"),
        ([nn.Dropout(), nn.Conv2d(8, 2, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1)], ".1"),
        ([nn.Linear(8, 4), nn.Sequential(nn.ReLU(), nn.Linear(4, 2))], ".1.1"),
        ([nn.Linear(8, 4), nn.Linear(4, 2), nn.BatchNorm1d(2)], ""),
        ([nn.ModuleList([nn.Linear(8, 4), nn.Linear(4, 2)])], ".0"),
    ],
)
def test_of_a_sequence_the_last_layer_that_has_a_matrix_is_the_head(parts, part):
    model = nn.ModuleDict({"features": nn.Linear(8, 8), "classifier": nn.Sequential(*parts)})
    assert transfer.head(model) == f"classifier{part}"


@pytest.mark.parametrize(
    ("name", "layers"), [("alexnet", 3), ("vgg11", 3), ("convnext_tiny", 1), ("vit_b_32", 1)]
)
def test_a_new_head_of_torchvisions_is_its_last_layer(name, layers):
    family = load_family(f"torchvision:{name}", "")
    side = 64 if name != "vit_b_32" else 224
    image = ImageSpec(height=side, width=side, channels=3, classes=10)
    with torch.device("meta"):
        model = family.build(family.config(), image)
        source = family.build(family.config(), image.model_copy(update={"classes": 7}))
    taken = transfer.fitting(model, StartConfig(head="new"), source.state_dict())
    drawn = [n for n, p in model.named_parameters() if n not in taken]
    matrices = [n for n, p in model.named_parameters() if p.ndim == 2 and n.startswith("class")]
    assert drawn == [n for n, _ in model.named_parameters()][-2:]
    assert layers == 1 or len(matrices) == layers


def test_weights_of_other_classes_are_taken_but_for_the_head():
    model, source = network(10), network(7)
    before = model.head.weight.clone()
    with torch.no_grad():
        for p in source.parameters():
            p.add_(1.0)
    kept = transfer.fitting(model, StartConfig(head="new"), source.state_dict())
    model.load_state_dict(kept, strict=False)
    assert torch.equal(model.head.weight, before)
    for name, value in model.named_parameters():
        if not name.startswith("head."):
            assert torch.equal(value, source.get_parameter(name)), name


@pytest.mark.parametrize(
    ("head", "source", "message"),
    [
        ("keep", {"classes": 7}, "'head.weight' is [7, 16] there and [10, 16] here; HEAD"),
        ("new", {"width": 16},
         "'embed.project.weight' is [16, 1, 1, 1] there and [8, 1, 1, 1] here; OTHER"),
        ("keep", {"position_bias": "none"},
         "they lack 'stages.0.blocks.0.attention.mix.bias.position.table' and 1 more; OTHER"),
        ("new", {"depths": (1, 2)},
         "the network lacks 'stages.1.blocks.1.attention.mix.bias.position.table' and 12 more; OTHER"),
    ],
)  # fmt: skip
def test_shapes_that_differ_are_never_skipped(head, source, message):
    with pytest.raises(ValueError, match="the weights do not fit") as refusal:
        transfer.fitting(network(), StartConfig(head=head), network(**source).state_dict())
    message = message.replace("HEAD", 'start.head = "new" draws the head anew')
    message = message.replace("OTHER", "take weights of the same network")
    assert str(refusal.value) == f"the weights do not fit: {message}"


def test_frozen_stages_train_nothing(tmp_path):
    model = network()
    parts = transfer.freeze(model, 1)
    still = {name for name, p in model.named_parameters() if not p.requires_grad}
    assert {name.partition(".")[0] for name in still} == {"embed", "embed_norm", "stages"}
    assert {n.split(".")[1] for n in still if n.startswith("stages")} == {"0"}
    held = [p for g in make_optimizer(model, TrainConfig()).param_groups for p in g["params"]]
    assert len(held) == sum(1 for _ in model.parameters()) - len(still)
    assert model.stages[0] in parts
    assert model.stages[1] not in parts
    with pytest.raises(
        ValueError, match=r"start\.freeze = 3, and the network has stages: 2; lower it"
    ):
        transfer.freeze(network(), 3)


def test_head_has_its_own_rate():
    model = network()
    optimizer = make_optimizer(model, TrainConfig(), ("head", 10.0))
    fit.set_rate(optimizer, 0.5)
    names = {id(p): name for name, p in model.named_parameters()}
    rates = {names[id(p)]: g["lr"] for g in optimizer.param_groups for p in g["params"]}
    assert len(rates) == len(names)
    assert {n for n, lr in rates.items() if lr == 5.0} == {"head.weight", "head.bias"}
    assert {lr for n, lr in rates.items() if not n.startswith("head.")} == {0.5}
    decay = {names[id(p)]: g["weight_decay"] for g in optimizer.param_groups for p in g["params"]}
    assert (decay["head.weight"], decay["head.bias"]) == (0.05, 0.0)


@pytest.fixture(scope="module")
def trained(datasets, tmp_path_factory):
    """A folder with a trained trial with batch norm."""
    folder = tmp_path_factory.mktemp("source")
    run(make_job(datasets, folder, model=MODEL, ema=0.5))
    return folder


@pytest.fixture
def weights(trained, tmp_path):
    """Its weights, as `swinablate weights` writes them, beside a copy of its folder."""
    shutil.copytree(trained, tmp_path / "source")
    checkpoint.export([tmp_path / "source"], tmp_path / "source.pt")
    return tmp_path / "source.pt"


MODEL = {"norm": "batch", "drop_path": 0.2, "depths": (2, 2), "heads": (2, 2), "patch": 1}


def start(weights: Path, **changes):
    digest = hashlib.sha256(weights.read_bytes()).hexdigest()
    return StartConfig(**({"weights": str(weights), "sha256": digest} | changes))


def test_exported_weights_are_those_that_were_judged(weights):
    saved = torch.load(weights, weights_only=True)
    state = checkpoint.load_checkpoint([weights.parent / "source"], CPU)
    assert all(torch.equal(v, state["ema"][f"module.{n}"]) for n, v in saved.items())
    assert saved.keys() == state["model"].keys()


def test_weights_of_a_recorded_trial_are_kept(datasets, tmp_path):
    home = Home(tmp_path / "home")
    arm = ArmRecord(name="baseline", seeds=(0, 3), trials=("t0", "t3"))
    home.declare(PlanRecord(study="study", declaration="d", arms=(arm,)))
    home.begin("t3")
    run(make_job(datasets, home.attempt("t3", 1), epochs=1))
    with pytest.raises(InputError, match="study: baseline s3 has not finished"):
        keep_weights(home, "study", "baseline", 3, tmp_path / "w.pt")
    outcome = Outcome(
        trial="t3", seed=3, kind="final", recipe={}, image={}, status="done", attempt=1
    )
    home.commit(outcome)
    assert keep_weights(home, "study", "baseline", 3, tmp_path / "new" / "w.pt") == "t3"
    saved = torch.load(tmp_path / "new" / "w.pt", weights_only=True)
    state = checkpoint.load_checkpoint([home.attempt("t3", 1)], CPU)
    assert all(torch.equal(value, state["model"][name]) for name, value in saved.items())
    with pytest.raises(InputError, match="study: baseline s1 is not planned; seeds: 0, 3"):
        keep_weights(home, "study", "baseline", 1, tmp_path / "w.pt")
    with pytest.raises(InputError, match="no arm is called 'baselin'"):
        keep_weights(home, "study", "baselin", 3, tmp_path / "w.pt")
    for path in home.attempt("t3", 1).glob("*.pt"):
        path.unlink()
    with pytest.raises(EnvironmentFault, match="no checkpoint of this trial is left"):
        keep_weights(home, "study", "baseline", 3, tmp_path / "w.pt")


def test_frozen_stage_keeps_every_bit_and_the_rest_trains(datasets, tmp_path, weights):
    """Its batch norms keep their statistics; a resumed run freezes as well."""
    job = {"model": MODEL, "start": start(weights, freeze=1, head="new", head_lr=10.0)}
    run(make_job(datasets, tmp_path / "a", **job))
    with pytest.raises(fit.Stopped):
        run(make_job(datasets, tmp_path / "b1", **job), stop_after=7)
    run(make_job(datasets, tmp_path / "b2", resume=(str(tmp_path / "b1"),), **job))
    source = torch.load(weights, weights_only=True)
    a, b = (checkpoint.load_checkpoint([tmp_path / name], CPU)["model"] for name in ("a", "b2"))
    for name, value in source.items():
        assert torch.equal(a[name], b[name]), name
        frozen = name.startswith(("embed", "stages.0"))
        assert torch.equal(a[name], value) is frozen, name


def test_changed_file_is_found_out_before_training(datasets, tmp_path, weights):
    job = make_job(datasets, tmp_path / "a", model=MODEL, start=start(weights))
    weights.write_bytes(weights.read_bytes() + b"!")
    with pytest.raises(EnvironmentFault, match="the weights are others than when the plan"):
        run(job)


def write_weights(path, **changes):
    torch.save(
        network(**{"patch": 2, "depths": (2,), "heads": (2,), **changes}).state_dict(), path
    )


@pytest.mark.parametrize(
    ("model", "rest", "wanted"),
    [
        ('family = "vgg"\nhead = "fc"', "head_lr = 10.0", {"start.head_lr": 2}),
        ('family = "vgg"\nhead = "fc"', 'head = "new"\nweights = "a.pt"', {"start.head": 2}),
        ('family = "vgg"\nhead = "fc"', 'head = "new"', {}),
        ('family = "vgg"\nhead = "fc"', '[train]\noptimizer = "muon"', {"train.optimizer": 2}),
        ('family = "torchvision:mobilenet_v2"', "head_lr = 10.0", {}),
        ('family = "torchvision:alexnet"', "head_lr = 10.0", {"start.head_lr": 2}),
        ('family = "resnet"', "head_lr = 10.0", {}),
        ('family = "vgg"', "head_lr = 10.0", {}),
    ],
)
def test_only_where_the_head_was_a_sequence_have_trials_new_ids(model, rest, wanted, tmp_path):
    write_weights(tmp_path / "a.pt")
    data = '[data]\nname = "digits"\nsize = 64\n'
    (tmp_path / "r.toml").write_text(f"[model]\n{model}\n{data}[start]\n{rest}\n")
    recipe = load_recipe(tmp_path / "r.toml")
    found = Trial(arm="baseline", recipe=recipe, seed=0)
    assert dict(found.revised) == wanted
    assert found.id == trial_id(recipe, 0, wanted)


def test_identity_is_the_files_content_and_not_its_path(write, tmp_path):
    write_weights(tmp_path / "a.pt")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "b.pt").write_bytes((tmp_path / "a.pt").read_bytes())
    write_weights(tmp_path / "c.pt", norm="batch")
    ids = []
    for name in ("a.pt", "sub/b.pt", "c.pt"):
        (tmp_path / "r.toml").write_text(RECIPE + f'[start]\nweights = "{name}"\n')
        ids.append(trial_id(load_recipe(tmp_path / "r.toml"), 0))
    assert ids[0] == ids[1] != ids[2]
    (tmp_path / "r.toml").write_text(RECIPE)
    assert trial_id(load_recipe(tmp_path / "r.toml"), 0) not in ids


def test_study_of_transfer_plans_and_refuses_what_cannot_be(write, tmp_path):
    write_weights(tmp_path / "a.pt")
    write_weights(tmp_path / "other.pt", norm="batch")
    text = STUDY.replace('"model.shift" = [false]\n', (
        '"start.weights" = ["", "other.pt"]\n"start.freeze" = [1, 2]\n"start.head_lr" = [10.0]\n'
        '"start.head" = ["new"]\n'
    ))  # fmt: skip
    base = RECIPE + '[start]\nweights = "a.pt"\n'
    found = plan(load_study(write(text, base)))
    assert [arm.name for arm in found.arms] == [
        "baseline", "weights=", "freeze=1", "head_lr=10.0", "head=new",
    ]  # fmt: skip
    assert len({trial.id for trial in found.trials}) == len(found.trials)
    assert found.arms[1].recipe == load_study(write()).baseline
    assert {r.name: r.reason for r in found.refusals} == {
        "weights=other.pt": "the weights do not fit: the network lacks "
        "'embed_norm.num_batches_tracked' and 17 more; take weights of the same network",
        "freeze=2": "start.freeze = 2, and the network has stages: 1; lower it",
    }
    scratch = plan(load_study(write(text.replace('"start.weights" = ["", "other.pt"]\n', ""))))
    assert [(r.name, r.same_as) for r in scratch.refusals if r.same_as] == [
        ("head=new", "baseline")
    ]


def test_missing_weights_and_a_wrong_digest_are_input_errors(write, tmp_path):
    with pytest.raises(InputError, match=r"no weights can be read from .*/gone.pt: No such file"):
        load_study(write(base=RECIPE + '[start]\nweights = "gone.pt"\n'))
    write_weights(tmp_path / "a.pt")
    with pytest.raises(InputError, match="the weights are others than those the recipe names"):
        load_study(write(base=RECIPE + '[start]\nweights = "a.pt"\nsha256 = "12"\n'))
    (tmp_path / "junk.pt").write_bytes(b"junk")
    with pytest.raises(
        InputError, match=r"the baseline is impossible: .*junk\.pt holds no weights"
    ):
        plan(load_study(write(base=RECIPE + '[start]\nweights = "junk.pt"\n')))
    assert image_spec(DataConfig(name="digits")) == DIGITS


@pytest.mark.parametrize(
    "axis", ['"start.sha256" = ["ab"]', '"start" = [{ sha256 = "ab", freeze = 1 }]']
)
def test_a_digest_cannot_be_chosen(axis, write, tmp_path):
    path = write(STUDY + axis + "\n")
    with pytest.raises(InputError, match="a digest follows from the weights") as caught:
        plan(load_study(path))
    assert "start.weights" in caught.value.hint
    with pytest.raises(InputError, match=r"--set start.sha256: start.sha256: a digest follows"):
        load_study(write(), ["start.sha256=ab"])


EACH = RECIPE + '[start]\nweights = "a-{seed}.pt"\n'
TUNE = '[tune]\ntrials = 3\nseeds = 2\nspace = { "train.lr" = { low = 1e-3, high = 1e-2 } }\n'


def write_each(folder, seeds):
    """A file of weights for each seed, no two alike; their digests."""
    digests = {}
    for seed in seeds:
        model = network(patch=2, depths=(2,), heads=(2,))
        with torch.no_grad():
            model.head.bias.fill_(seed)
        torch.save(model.state_dict(), folder / f"a-{seed}.pt")
        digests[seed] = hashlib.sha256((folder / f"a-{seed}.pt").read_bytes()).hexdigest()
    return digests


def started(trials, kind="final"):
    """Seed -> digests of what its trials start from."""
    found = {}
    for trial in trials:
        if trial.kind == kind:
            found.setdefault(trial.seed, set()).add(trial.recipe.start.sha256)
    return found


def codes(declared, code="W17"):
    warnings = (
        declared["warnings"] if isinstance(declared, dict) else declared.to_json()["warnings"]
    )
    return [w["text"] for w in warnings if w["code"] == code]


def test_every_seed_starts_from_a_file_of_its_own(write, tmp_path):
    digests = write_each(tmp_path, range(3))
    before = plan(load_study(write(base=EACH)))
    assert started(before.trials) == {seed: {digest} for seed, digest in digests.items()}
    assert {Path(t.recipe.start.weights).name for t in before.trials if t.seed == 2} == {"a-2.pt"}
    declared = plan_record(before, {}, Noise(None, ""))
    others = tuple(t.id for t in before.trials if t.arm != "baseline")
    assert declared.arms[1].trials == others
    for seed in digests:  # a trial is what it computes, however its file was named
        (tmp_path / "r.toml").write_text(EACH.replace("{seed}", str(seed)))
        assert trial_id(load_recipe(tmp_path / "r.toml"), seed) == before.trials[2 * seed].id
    write_weights(tmp_path / "a-1.pt")
    after = plan(load_study(write(base=EACH)))
    changed = [
        (a.arm, a.seed) for a, b in zip(after.trials, before.trials, strict=True) if a.id != b.id
    ]
    assert changed == [("baseline", 1), ("shift=false", 1)]
    assert after.declaration != before.declaration


def test_a_seed_without_a_file_is_one_error_before_anything_runs(write, tmp_path, capsys):
    write_each(tmp_path, [0, 3])
    path = write(base=EACH)
    assert main(["run", str(path), "--home", str(tmp_path / "home")]) == 2
    said = "".join(capsys.readouterr().err.split("\n"))
    assert (
        f"{path}: baseline: start.weights: no weights can be read from {tmp_path}/a-1.pt" in said
    )
    assert "No such file or directory; nor the files of seeds 2" in said
    assert f'`swinablate weights STUDY ARM "{tmp_path}/a-{{seed}}.pt"` writes a file' in said
    assert "`--seed 1` this one; baseline runs 3 seeds" in said
    assert not (tmp_path / "home").exists()
    one = smoke(load_study(path, smoke=True))
    assert [t.seed for t in plan(one).trials] == [0, 0]  # a quick check needs the first alone


def test_only_the_seeds_that_an_arm_can_run_need_files(write, tmp_path):
    """Every look's seeds count, and the baseline's; an arm's path only for the arm's own."""
    looks = STUDY.replace("seeds = 3\nbaseline_seeds = 3", "[adaptive]\nlooks = [3, 4]")
    write_each(tmp_path, range(7))
    with pytest.raises(InputError, match=r"a-7\.pt: .*"):
        plan(load_study(write(looks, EACH)))
    write_each(tmp_path, range(8))
    assert sorted(started(plan(load_study(write(looks, EACH))).trials)) == list(range(8))
    level = looks.replace('"model.shift" = [false]', '"start.weights" = ["a-{seed}.pt"]')
    for seed in range(4, 8):
        (tmp_path / f"a-{seed}.pt").unlink()
    found = plan(load_study(write(level)))
    assert [len(arm.starts) for arm in found.arms] == [0, 4]


def test_tries_of_tuning_start_from_files_that_no_final_trial_starts_from(write, tmp_path):
    digests = write_each(tmp_path, range(4))
    text = STUDY + TUNE
    with pytest.raises(InputError) as refusal:
        plan(load_study(write(text, EACH)))
    assert f"no weights can be read from {tmp_path}/a-4.pt" in str(refusal.value)
    assert "tries of tuning start from files of their own, those after the last" in str(
        refusal.value
    )
    digests |= write_each(tmp_path, [4])
    made = plan(load_study(write(text, EACH)))
    declared, recorded = play(made)
    ran = {trial: found.recipe["start"]["sha256"] for trial, found in recorded.items()}
    entries = [e for arm in declared.ledger.arms.values() for e in arm]
    tried = [[ran[trial] for trial in entry.trials] for entry in entries]
    assert tried == [[digests[3], digests[4]]] * 6
    finals = [[ran[t] for t in entry.finals if t in ran] for entry in entries]
    assert [f for f in finals if f] == [[digests[0], digests[1], digests[2]]] * len(
        [f for f in finals if f]
    )
    assert any(finals)
    card = trial_card(Row(declared.arms[0], 1, "t", "try", 0), reused=False)
    assert card.recipe["start"]["sha256"] == digests[4]
    card = trial_card(Row(declared.arms[1], 1, "t", "tuned", 0), reused=False)
    assert card.recipe["start"]["weights"] == f"{tmp_path}/a-1.pt"
    assert card.recipe["start"]["sha256"] == digests[1]


def test_a_file_that_does_not_fit_is_named(write, tmp_path):
    write_each(tmp_path, range(3))
    write_weights(tmp_path / "a-2.pt", norm="batch")
    level = STUDY.replace(
        '"model.shift" = [false]', '"start.weights" = ["a-{seed}.pt"]\n"train.lr" = [1e-3]'
    )
    (refused,) = plan(load_study(write(level))).refusals
    assert refused.reason.startswith("a-2.pt: the weights do not fit: the network lacks")
    with pytest.raises(InputError, match=r"the baseline is impossible: a-2\.pt: the weights do"):
        plan(load_study(write(base=EACH)))


def test_the_same_files_under_other_names_are_the_same_arm(write, tmp_path):
    write_each(tmp_path, range(3))
    for seed in range(3):
        (tmp_path / f"b-{seed}.pt").write_bytes((tmp_path / f"a-{seed}.pt").read_bytes())
    text = STUDY.replace(
        '"model.shift" = [false]', '"start.weights" = ["", "a-0.pt", "b-{seed}.pt", "c.pt"]'
    )
    write_each(tmp_path, [7])
    (tmp_path / "a-7.pt").rename(tmp_path / "c.pt")
    found = plan(load_study(write(text, EACH)))
    shared = (
        "at seed 0 it is 'baseline': both start from what is in a-0.pt; "
        "take weights that no seed of 'baseline' starts from"
    )
    assert [(r.name, r.same_as, r.reason) for r in found.refusals] == [
        ("weights=a-0.pt", None, shared),
        ("weights=b--seed-.pt", "baseline", "the same network and training as 'baseline'"),
    ]
    assert [arm.name for arm in found.arms] == ["baseline", "weights=", "weights=c.pt"]
    assert len({trial.id for trial in found.trials}) == len(found.trials) == 9
    with pytest.raises(InputError, match="names one file a seed, and sha256 is the digest of one"):
        load_study(write(base=EACH + 'sha256 = "12"\n'))


def test_seeds_that_share_a_file_are_warned_about(write, tmp_path):
    write_each(tmp_path, range(3))
    rest = "so the intervals do not contain the spread over pre-trainings."
    own = plan_record(plan(load_study(write(base=EACH))), {}, Noise(None, ""))
    assert not codes(own)
    assert not codes(plan_record(plan(load_study(write())), {}, Noise(None, "")))
    one = STUDY.replace(
        '"model.shift" = [false]', '"start.weights" = ["", "a-0.pt"]\n"train.lr" = [1e-3]'
    )
    found = plan_record(
        plan(load_study(write(one, EACH.replace("{seed}", "1")))), {}, Noise(None, "")
    )
    assert codes(found) == [
        f"baseline, weights=a-0.pt, lr=0.001: all seeds start from the same file of weights, {rest}"
    ]
    (tmp_path / "a-1.pt").write_bytes((tmp_path / "a-0.pt").read_bytes())
    some = plan_record(plan(load_study(write(base=EACH))), {}, Noise(None, ""))
    assert codes(some) == [
        f"baseline, shift=false: some seeds start from the same file of weights, {rest}"
    ]


def told(home, made):
    """What the report of a study says whose every trial came to the same."""
    home.create()
    declared = plan_record(made, {}, Noise(None, ""))
    home.declare(declared)
    for trial in made.trials:
        if home.outcome(trial.id) is None:
            home.begin(trial.id)
            home.commit(outcome(trial, 90.0 + trial.seed))
    return gather(home, made.study.name)


def test_report_says_which_weights_vary(write, tmp_path):
    write_each(tmp_path, range(3))
    said = {}
    for name in ("1", "{seed}"):
        base = EACH.replace("{seed}", name)
        answer = told(Home(tmp_path / name), plan(load_study(write(base=base))))
        said[name] = (
            len(codes(answer.verdicts)),
            {q: said for q, said, _ in checklist(answer)}["What varies between repetitions"],
        )
    order = "order of the images, augmentation and drop masks where there are any; train/validation split fixed; "
    assert said["1"] == (1, f"the seed: {order}trained weights fixed; test set fixed")
    own = "the seed: the trained weights it starts from, "
    assert said["{seed}"] == (0, f"{own}{order}test set fixed")


def test_more_seeds_on_other_files_are_no_extension(write, tmp_path):
    home, more = (
        Home(tmp_path / "home"),
        ("seeds = 3\nbaseline_seeds = 3", "seeds = 4\nbaseline_seeds = 4"),
    )
    write_each(tmp_path, range(5))
    told(home, plan(load_study(write(base=EACH))))
    found = told(home, plan(load_study(write(base=EACH, swap=more))))
    assert (len(codes(found.verdicts, "W9")), len(codes(found.verdicts, "W8"))) == (1, 0)
    write_weights(tmp_path / "a-1.pt")
    again = more[0], more[1].replace("4", "5")
    found = told(home, plan(load_study(write(base=EACH, swap=again))))
    assert (len(codes(found.verdicts, "W9")), len(codes(found.verdicts, "W8"))) == (0, 1)


def test_weights_of_every_recorded_seed_are_kept_and_none_written_over(datasets, tmp_path, capsys):
    home = Home(tmp_path / "home")
    arm = ArmRecord(name="arm", seeds=(0, 3, 4), trials=("t0", "t3", "t4"))
    home.declare(PlanRecord(study="study", declaration="d", arms=(arm,)))
    path = tmp_path / "new" / "w-{seed}.pt"
    with pytest.raises(InputError, match="study: no trial of arm has finished"):
        list(keep_each(home, "study", "arm", path))
    for seed in (0, 3):
        home.begin(f"t{seed}")
        run(make_job(datasets, home.attempt(f"t{seed}", 1), epochs=1, seed=seed))
        home.commit(Outcome(
            trial=f"t{seed}", seed=seed, kind="final", recipe={}, image={}, status="done", attempt=1
        ))  # fmt: skip
    assert [
        (k.seed, k.trial, k.file.name, k.status) for k in keep_each(home, "study", "arm", path, 3)
    ] == [(3, "t3", "w-3.pt", "written")]
    words = ["weights", "study", "arm", str(path), "--home", str(home.root)]
    assert main(words) == 0
    assert capsys.readouterr().err.splitlines() == [
        f"{tmp_path}/new/w-3.pt: already there, weights of arm s3",
        f"{tmp_path}/new/w-0.pt: weights of arm s0",
        f"{tmp_path}/new/w-4.pt: not written, no result of arm s4",
    ]
    for seed in (0, 3):
        saved = torch.load(tmp_path / "new" / f"w-{seed}.pt", weights_only=True)
        state = checkpoint.load_checkpoint([home.attempt(f"t{seed}", 1)], CPU)
        assert all(torch.equal(value, state["model"][name]) for name, value in saved.items())
    (tmp_path / "new" / "w-0.pt").unlink()
    (tmp_path / "new" / "w-3.pt").write_bytes(b"mine")
    assert main(words) == 2
    assert "another file is there, and is not written over" in capsys.readouterr().err
    assert (tmp_path / "new" / "w-3.pt").read_bytes() == b"mine"
    assert not (tmp_path / "new" / "w-0.pt").exists()
    with pytest.raises(InputError, match="study: arm s4 has not finished"):
        list(keep_each(home, "study", "arm", path, 4))
    plain = [*words[:3], str(tmp_path / "w.pt"), *words[4:]]
    assert main([*plain, "--json"]) == 0  # as before: seed 0, one file
    assert json.loads(capsys.readouterr().out) == {
        "schema": 1, "trial": "t0", "file": str(tmp_path / "w.pt")
    }  # fmt: skip


def test_the_guide_plans_once_the_weights_are_there(tmp_path, monkeypatch):
    """Its recipe and study as written, and its commands as far as their arguments."""
    guide = (ROOT / "docs" / "transfer.md").read_text()
    for name, text in re.findall(r"```toml\n# (\S+)\n(.*?)```", guide, re.DOTALL):
        (tmp_path / name).write_text(text)
    recipe = load_recipe(ROOT / "experiments" / "resnet20_fashion.toml")
    source = load_family("resnet", "").build(recipe.model, image_spec(recipe.data))
    for seed in range(10):
        torch.save(source.state_dict(), tmp_path / f"fashion-{seed}.pt")
    found = plan(load_study(tmp_path / "transfer.toml"))
    assert [arm.name for arm in found.arms] == [
        "baseline",
        "freeze=1",
        "freeze=2",
        "head_lr=10.0",
        "from scratch",
    ]
    assert [len(arm.starts) for arm in found.arms] == [10, 5, 5, 5, 0]
    assert not found.refusals
    monkeypatch.chdir(ROOT)
    group = typer.main.get_command(app)
    assert isinstance(group, typer.core.TyperGroup)
    commands = re.findall(r"^\$ swinablate (.*)$", guide, re.MULTILINE)
    assert [command.split()[0] for command in commands] == [
        "run", "weights", "plan", "run", "weights",
    ]  # fmt: skip
    for command in commands:
        name, *arguments = shlex.split(command)
        group.commands[name].make_context(name, arguments)

"""Starting from weights: what is taken, what is refused, what is frozen."""

import hashlib
import re
import shlex
from pathlib import Path

import pytest
import torch
import typer

from swinablate import checkpoint, plugins, train, transfer
from swinablate.api import keep_weights
from swinablate.cli import app
from swinablate.data import image_spec
from swinablate.errors import EnvironmentFault, InputError
from swinablate.optim import make_optimizer
from swinablate.planning import plan
from swinablate.recipe import DataConfig, ImageSpec, StartConfig, TrainConfig, trial_id
from swinablate.records import Home, Outcome
from swinablate.study import load_family, load_recipe, load_study
from tests.conftest import RECIPE, STUDY
from tests.test_train import make_job, run

ROOT = Path(__file__).parent.parent
CPU = torch.device("cpu")
DIGITS = ImageSpec(height=8, width=8, channels=1, classes=10)


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
    for name in plugins.names("models"):
        family = load_family(name, "")
        with torch.device("meta"):
            model = family.build(family.config(), image)
        assert transfer.head(model) == ("fc2" if name == "post001" else "head"), name
    assert transfer.head(torch.nn.ModuleDict({"net": model})) == "net.head"


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
    train.set_rate(optimizer, 0.5)
    names = {id(p): name for name, p in model.named_parameters()}
    rates = {names[id(p)]: g["lr"] for g in optimizer.param_groups for p in g["params"]}
    assert len(rates) == len(names)
    assert {n for n, lr in rates.items() if lr == 5.0} == {"head.weight", "head.bias"}
    assert {lr for n, lr in rates.items() if not n.startswith("head.")} == {0.5}
    decay = {names[id(p)]: g["weight_decay"] for g in optimizer.param_groups for p in g["params"]}
    assert (decay["head.weight"], decay["head.bias"]) == (0.05, 0.0)


@pytest.fixture
def weights(datasets, tmp_path):
    """Weights of a trained trial with batch norm, as `swinablate weights` writes them."""
    run(make_job(datasets, tmp_path / "source", model=MODEL, ema=0.5))
    checkpoint.export([tmp_path / "source"], tmp_path / "source.pt")
    return tmp_path / "source.pt"


MODEL = {"norm": "batch", "drop_path": 0.2, "depths": (2, 2), "heads": (2, 2), "patch": 1}


def start(weights: Path, **changes):
    digest = hashlib.sha256(weights.read_bytes()).hexdigest()
    return StartConfig(**({"weights": str(weights), "sha256": digest} | changes))


def test_exported_weights_are_those_that_were_judged(weights):
    saved = torch.load(weights, weights_only=True)
    state = checkpoint.load([weights.parent / "source"], CPU)
    assert all(torch.equal(v, state["ema"][f"module.{n}"]) for n, v in saved.items())
    assert saved.keys() == state["model"].keys()


def test_weights_of_a_recorded_trial_are_kept(datasets, tmp_path):
    home = Home(tmp_path / "home")
    arm = {"name": "baseline", "seeds": [0, 3], "trials": ["t0", "t3"]}
    home.declare("study", "d", {"arms": [arm]})
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
    state = checkpoint.load([home.attempt("t3", 1)], CPU)
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
    with pytest.raises(train.Stopped):
        run(make_job(datasets, tmp_path / "b1", **job), stop_after=7)
    run(make_job(datasets, tmp_path / "b2", resume=(str(tmp_path / "b1"),), **job))
    source = torch.load(weights, weights_only=True)
    a, b = (checkpoint.load([tmp_path / name], CPU)["model"] for name in ("a", "b2"))
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


def test_the_guide_plans_once_the_weights_are_there(tmp_path, monkeypatch):
    """Its recipe and study as written, and its commands as far as their arguments."""
    guide = (ROOT / "docs" / "transfer.md").read_text()
    for name, text in re.findall(r"```toml\n# (\S+)\n(.*?)```", guide, re.DOTALL):
        (tmp_path / name).write_text(text)
    recipe = load_recipe(ROOT / "experiments" / "resnet20_fashion.toml")
    source = load_family("resnet", "").build(recipe.model, image_spec(recipe.data))
    torch.save(source.state_dict(), tmp_path / "fashion.pt")
    found = plan(load_study(tmp_path / "transfer.toml"))
    assert [arm.name for arm in found.arms] == [
        "baseline",
        "freeze=1",
        "freeze=2",
        "head_lr=10.0",
        "from scratch",
    ]
    assert [bool(arm.recipe.start.sha256) for arm in found.arms] == [True] * 4 + [False]
    assert not found.refusals
    monkeypatch.chdir(ROOT)
    group = typer.main.get_command(app)
    assert isinstance(group, typer.core.TyperGroup)
    commands = re.findall(r"^\$ swinablate (.*)$", guide, re.MULTILINE)
    assert [command.split()[0] for command in commands] == ["run", "weights", "plan", "run"]
    for command in commands:
        name, *arguments = shlex.split(command)
        group.commands[name].make_context(name, arguments)

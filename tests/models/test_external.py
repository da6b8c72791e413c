"""Networks of one's own: arguments, errors, source digests, initial weights, `check`."""

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from swinablate.cli.app import main
from swinablate.config.code import imports
from swinablate.config.family import ImageSpec
from swinablate.config.recipe import trial_id
from swinablate.config.schema import validate
from swinablate.config.train import TrainConfig
from swinablate.errors import InputError
from swinablate.execution import worker
from swinablate.models.build import hidden_matrices, start, tables
from swinablate.models.case import Case, case_of
from swinablate.models.conformance import examine
from swinablate.models.cost import cost
from swinablate.models.external import lookup
from swinablate.models.registry import load_family
from swinablate.records.events import Batch, Event, Job
from swinablate.study.arms.recipes import load_recipe
from swinablate.study.files import load_study
from swinablate.study.plan import Trial
from swinablate.study.planner import plan
from swinablate.training.optim import make_optimizer

IMAGE = ImageSpec(height=8, width=8, channels=1, classes=10)
GUIDE = Path(__file__).parents[2] / "docs" / "your-own-model.md"
HEAD = "import torch\nfrom torch import nn\nfrom typing import Literal\n"
NET = """
class Net(nn.Module):
    def __init__(self, {arguments}):
        super().__init__()
        self.line = nn.Linear(64, 10)
        {body}

    def forward(self, x):
        {forward}
"""
RECIPE = '[model]\nfamily = "{}"\n[data]\nname = "digits"\n'


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """A current folder of its own, and nothing of it left in the interpreter."""
    modules, places = set(sys.modules), list(sys.path)
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    sys.path[:] = places
    for name in set(sys.modules) - modules:
        file = getattr(sys.modules[name], "__file__", None) or ""
        if file.startswith(str(tmp_path)):
            del sys.modules[name]
    imports.code.cache_clear()


def net(arguments="", body="pass", forward="return self.line(x.flatten(1))"):
    return HEAD + NET.format(arguments=arguments, body=body, forward=forward)


def family(text: str, attribute="Net", module="mine"):
    Path(f"{module}.py").write_text(text)
    return load_family(f"{module}:{attribute}", "r.toml: model")


def config(made, **fields: Any):
    return validate(made.config, fields, "r.toml: model")


def refused(text: str, attribute="Net") -> str:
    with pytest.raises(InputError) as caught:
        family(text, attribute)
    return str(caught.value)


def wrong(made, image=IMAGE, **fields: Any) -> str:
    with pytest.raises(ValueError, match="mine:Net") as caught:
        made.geometry(config(made, **fields), image)
    return str(caught.value)


# ---- arguments


def test_arguments_become_fields_with_their_types_and_defaults():
    made = family(
        net('depth: int, rate: float = 0.5, norm: bool = True, kind="a", *, n=3, **more')
    )
    chosen = config(made, depth=2)
    assert chosen.model_dump(exclude={"code"}) == {
        "family": "mine:Net", "depth": 2, "rate": 0.5, "norm": True, "kind": "a", "n": 3,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"dept": 2}, "r.toml: model: unknown key 'dept'\n\nhint: did you mean 'depth'?"),
        ({"more": 2}, "r.toml: model: unknown key 'more'\n\nhint: known: "),
        ({}, "r.toml: model: key 'depth' is missing\n\nhint: add depth = ..."),
        ({"depth": "2"}, "r.toml: model: depth: expected a whole number, got '2'"),
        ({"depth": 2, "norm": 1}, "r.toml: model: norm: expected true or false, got 1"),
        ({"depth": 2, "act": 1}, ("r.toml: model: 'act' cannot be set: it is of a type that a "
         "recipe cannot write: type[torch.nn.modules.module.Module]\n\nhint: annotate it with ")),
        ({"depth": 2, "any": 1}, "r.toml: model: 'any' cannot be set: it has no type\n\nhint: "),
        ({"depth": 2, "code": "abc"}, "r.toml: model: code: the code of mine:Net is "),
    ],
)  # fmt: skip
def test_what_an_argument_does_not_take_is_refused(fields, message):
    text = "depth: int, norm: bool = True, act: type[nn.Module] = nn.ReLU, any=None, **more"
    with pytest.raises(InputError) as caught:
        config(family(net(text)), **fields)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("act: nn.Module", "argument 'act' of mine:Net is of a type that a recipe cannot write: "),
        ("act", "argument 'act' of mine:Net has no type"),
        ("copy: int = 1", "argument 'copy' of mine:Net has a name that recipes use themselves"),
        ("code: int = 1", "argument 'code' of mine:Net has a name that recipes use themselves"),
        ('act: "Unknown" = 1', "the signature of mine:Net cannot be read: name 'Unknown' is not"),
    ],
)
def test_signatures_that_no_recipe_can_fill_are_refused(arguments, message):
    told = refused(net(arguments))
    assert told.startswith(f"r.toml: model: {message}")
    assert "\n\nhint: " in told


def test_values_arrive_as_they_are_annotated():
    kept = "self.kept = (a, b, c, d, e)"
    made = family(
        net(
            "a: list[int] = [1], b: tuple[int, ...] = (1,), c: int = None, d=[1, [2]], e=1.5", kept
        )
    )
    assert made.build(config(made), IMAGE).kept == ([1], (1,), None, [1, [2]], 1.5)
    given = config(made, a=[3, 4], b=[5], c=6, d=[7, [8]], e=2)
    assert made.build(given, IMAGE).kept == ([3, 4], (5,), 6, [7, [8]], 2.0)
    assert validate(made.config, json.loads(given.model_dump_json()), "") == given


@pytest.mark.parametrize(
    ("arguments", "image", "kept"),
    [
        ("num_classes, in_chans=3", (8, 8), "(10, 1)"),
        ("classes: int, channels: int = 64", (8, 8), "(10, 1)"),
        ("img_size, in_channels: int", (8, 8), "(8, 1)"),
        ("img_size, in_channels: int", (4, 16), "((4, 16), 1)"),
        ("image_size: tuple[int, int], classes", (8, 8), "((8, 8), 10)"),
        ("spec: ImageSpec, b=0", (8, 8), "(ImageSpec(height=8, width=8, channels=1, classes=10, top=255), 0)"),
        ("channels: int = 64, in_channels: int = 3", (8, 8), "(64, 1)"),
    ],
)  # fmt: skip
def test_the_data_fill_well_known_arguments(arguments, image, kept):
    names = ", ".join(
        re.findall(
            r"(\w+)(?=[:=,]|$)(?![^\[]*\])", re.sub(r"[:=][^,\[]*(\[[^]]*\])?", "", arguments)
        )
    )
    text = "from swinablate import ImageSpec\n" + net(arguments, f"self.kept = ({names})")
    made = family(text)
    height, width = image
    spec = ImageSpec(height=height, width=width, channels=1, classes=10)
    assert repr(made.build(config(made), spec).kept) == kept


@pytest.mark.parametrize(
    "arguments",
    ["channels: tuple[int, ...] = (8, 16), in_chans=3", "channels=(8, 16), in_chans=3"],
)
def test_a_list_of_channels_is_no_number_of_the_images(arguments):
    made = family(net(arguments, "self.kept = (channels, in_chans)"))
    assert made.build(config(made), IMAGE).kept == ((8, 16), 1)
    assert made.build(config(made, channels=[4]), IMAGE).kept == ((4,), 1)


@pytest.mark.parametrize(("name", "ending"), [("channels", True), ("width", False)])
def test_channels_beside_those_of_the_images_rename_the_trials_that_once_lost_them(name, ending):
    """Both were given the images' once; the same source is another network since."""
    made = family(net(f"in_channels: int = 3, {name}: int = 64"))
    assert config(made).code.endswith("-2") is ending


def test_the_recipe_may_set_what_the_data_would_fill():
    made = family(net("width: int = 2, in_chans: int = 3", "self.kept = in_chans"))
    assert made.build(config(made, in_chans=5), IMAGE).kept == 5
    assert "in_chans" not in validate(made.config, {}, "").model_dump(exclude_defaults=True)


def test_one_number_cannot_be_the_size_of_an_oblong_image():
    made = family(net("img_size: int"))
    told = wrong(made, ImageSpec(height=4, width=16, channels=1, classes=10))
    assert told == (
        "mine:Net takes one number as img_size, the images are 4x16; "
        "annotate it int | tuple[int, int]"
    )


def test_functions_partials_and_families_are_taken_too():
    made = family(
        net("width: int = 2") + "import functools\ndef small(width: int = 3): return Net(width)\n"
        "half = functools.partial(Net, width=4)\n",
        "small",
    )
    assert config(made).width == 3
    assert config(load_family("mine:half", "")).width == 4
    own = """
from swinablate.models.families.resnet import FAMILY
OURS = FAMILY
"""
    ours = family(own, "OURS", "owned")
    assert config(ours).family == "owned:OURS"
    assert len(config(ours).code) == 64
    model = start(ours, config(ours), IMAGE, lambda n: torch.Generator().manual_seed(len(n)))
    assert len(ours.geometry(config(ours), IMAGE)) > 1
    assert type(model).__module__ == "swinablate.models.families.resnet"


# ---- what cannot be imported


@pytest.mark.parametrize(
    ("text", "attribute", "message"),
    [
        (net(), "Nett", "mine has no 'Nett'\n\nhint: did you mean 'Net'?"),
        ("one = 1", "one", "mine:one is a int\n\nhint: name an nn.Module class, a function "),
        ("class One: pass", "One", "mine:One is a class, but not a torch.nn.Module\n\nhint: "),
        (HEAD + "net = nn.Linear(1, 1)", "net", "mine:net is a Linear\n\nhint: name an nn.Mod"),
        ("import nowhere_at_all", "Net", ("importing mine failed: ModuleNotFoundError: No module "
         "named 'nowhere_at_all' (")),
        ("\n1 / 0", "Net", "importing mine failed: ZeroDivisionError: division by zero ("),
        ("raise SystemExit(3)", "Net", "importing mine failed: SystemExit: 3 ("),
        ("def (", "Net", "importing mine failed: SyntaxError: "),
        (net(), "Net:x", "'mine:Net:x' is no import path\n\nhint: write it like "),
    ],
)  # fmt: skip
def test_what_a_path_cannot_mean(text, attribute, message, home):
    told = refused(text, attribute)
    assert told.startswith(f"r.toml: model: {message}")
    if "ZeroDivision" in message:
        assert f"{home}/mine.py:2)\n\nhint: make `python -c 'import mine'` work" in told


def test_a_module_that_is_nowhere_says_where_it_was_looked_for(home):
    (home / "deep").mkdir()
    path = home / "deep" / "r.toml"
    path.write_text(RECIPE.format("nosuch.nets:Net"))
    with pytest.raises(InputError) as caught:
        load_recipe(path)
    assert str(caught.value) == (
        f"{path}: model: no module is called 'nosuch'\n\n"
        f"hint: put it into one of {home}/deep, {home}, or install it"
    )


def test_the_recipes_folder_comes_before_the_current_one(home):
    (home / "deep").mkdir()
    (home / "deep" / "twin.py").write_text(net("here: int = 1"))
    (home / "twin.py").write_text(net("there: int = 2"))
    path = home / "deep" / "r.toml"
    path.write_text(RECIPE.format("twin:Net"))
    assert load_recipe(path).model.here == 1
    assert imports.folders("twin:Net") == (f"{home}/deep",)
    assert imports.folders("timm:x") == imports.folders("swin") == ()
    other = home / "r.toml"
    other.write_text(RECIPE.format("twin:Net"))
    with pytest.raises(InputError, match=r"'twin' is in .*, but was imported from .*/deep before"):
        load_recipe(other)
    assert load_family("twin:Net", "").config().here == 1


# ---- what a network must do


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (net(forward="return self.line(x.flatten(1))[:, :3]"),
         ("mine:Net returns torch.float32 of shape (4, 3) in evaluation mode; it must return "
         "logits of shape (4, 10) for 4 images of 1x8x8")),
        (net(forward="return x, x"), "mine:Net returns a tuple in evaluation mode; it must "),
        (net(forward="y = self.line(x.flatten(1)); return (y, y) if self.training else y"),
         "mine:Net returns a tuple in training mode; it must "),
        (net(forward="return self.line(x.flatten(1)) / 0 * 0"),
         "mine:Net returns NaN or infinite logits in evaluation mode; it must "),
        (net(forward="return self.line(x)"), ("mine:Net fails on images of 1x8x8 in evaluation "
         "mode: RuntimeError: ")),
        (net("depth: int = 2", "raise TypeError('no\\nsuch thing')"),
         "mine:Net() failed: TypeError: no; change its arguments"),
        (HEAD + "def Net(): return 3", "mine:Net() returned a int; return an nn.Module"),
        (HEAD + "def Net(): return nn.ReLU()", "mine:Net() has no parameters to train; "),
        (HEAD + "def Net(): return nn.LazyLinear(10)", "mine:Net() has lazy layers; give every"),
        (net(body="self.late = None", forward="self.late = self.late or nn.Linear(10, 10); "
         "return self.late(self.line(x.flatten(1)))"),
         ("mine:Net makes parameters while it answers, and they would never train: late.weight; "
          "make them in its constructor, and keep them")),
        (net(forward="self.line.weight = nn.Parameter(self.line.weight.clamp(-1, 1)); "
         "return self.line(x.flatten(1))"),
         "mine:Net makes parameters while it answers, and they would never train: line.weight; "),
    ],
)  # fmt: skip
def test_what_is_no_classifier_is_refused(text, message):
    assert wrong(family(text)).startswith(message)


def test_a_network_that_asks_for_values_is_counted_on_the_cpu():
    made = family(net("n: int = 3", "self.n = int(torch.ones(n).sum().item())"))
    assert cost(made, config(made), IMAGE).params == 650
    assert cost(made, config(made), IMAGE).macs == 640


# ---- which code it is


def package(**changed: str) -> str:
    """The digest of `pack.nets:Net`, freshly imported."""
    files = {
        "pack/__init__.py": "",
        "pack/nets.py": "from .parts import head\nimport beside\n" + net(),
        "pack/parts/__init__.py": "from ..deep import head\n",
        "pack/deep.py": "def head(): return 1\n",
        "pack/unused.py": "",
        "beside.py": "ONE = 1\n",
        "stranger.py": "",
    }
    for name, text in {
        **files,
        **{k.replace("__DOT__", "."): v for k, v in changed.items()},
    }.items():
        Path(name).parent.mkdir(exist_ok=True, parents=True)
        Path(name).write_text(text)
    for name in [n for n in sys.modules if n.partition(".")[0] in {"pack", "beside"}]:
        del sys.modules[name]
    imports.code.cache_clear()
    imports.attribute_of("pack.nets:Net", (Path(),), "")
    return imports.code("pack.nets:Net")


def test_the_digest_sees_what_is_imported_and_nothing_else():
    first = package()
    assert re.fullmatch("[0-9a-f]{64}", first)
    assert package() == first
    assert package(**{"pack/unused.py": "1", "stranger.py": "1"}) == first
    for name in ["pack/__init__.py", "pack/deep.py", "beside.py"]:
        assert package(**{name: "def head(): return 2\n"}) != first, name
    assert package(**{"pack/deep.py": "def head(): return 1\r\n"}) == first


def test_an_installed_package_is_its_version():
    imports.attribute_of("torchvision.models:resnet18", (), "")
    version = imports.package_version("torchvision")
    assert imports.code("torchvision.models:resnet18") == f"torchvision {version}"
    assert re.fullmatch(r"\d+\.\d+\.\d+", version)


def test_changed_code_is_another_trial_and_a_worker_with_other_code_refuses(home):
    (home / "r.toml").write_text(RECIPE.format("mine:Net"))
    (home / "mine.py").write_text(net("depth: int = 1"))
    before = load_recipe(home / "r.toml")
    del sys.modules["mine"]
    imports.code.cache_clear()
    (home / "mine.py").write_text(net("depth: int = 1", "self.extra = 1"))
    after = load_recipe(home / "r.toml")
    assert trial_id(before, 0) != trial_id(after, 0)
    job = before.model.model_dump(mode="json")
    with pytest.raises(InputError) as caught:
        validate(type(after.model), job, "job: model")
    assert str(caught.value) == (
        f"job: model: code: the code of mine:Net is {after.model.code[:20]} here, "
        f"not {before.model.code[:20]}\n\nhint: it changed under way, or the key was written by "
        "hand: start again, without it"
    )


def test_a_worker_that_finds_other_code_fails_and_trains_nothing(home):
    (home / "nets").mkdir()
    (home / "nets" / "mine.py").write_text(net("depth: int = 1"))
    model = {"family": "mine:Net", "depth": 1, "code": "0" * 64}
    recipe = {"model": model, "data": {"name": "digits"}, "train": {}, "start": {}}
    job = Job(
        trial="t", attempt=1, recipe=recipe, image=IMAGE.model_dump(), seed=0, kind="final",
        folder=str(home), resume=(), data=str(home / "nowhere"), folders=(str(home / "nets"),),
    )  # fmt: skip
    events: list[Event] = []
    batch = Batch.loads(Batch(jobs=(job,)).dumps())
    assert not worker.execute(batch, events.append, lambda: False)
    assert [one.kind for one in events] == ["started", "failed"]
    other = f"job: model: code: the code of mine:Net is {imports.code('mine:Net')[:20]} here"
    assert other in events[1].data["message"]


# ---- initial weights


def weights(made, seed=0, **fields):
    def generator_for(name):
        return torch.Generator().manual_seed(hash((seed, name)) % 2**31)

    return start(made, config(made, **fields), IMAGE, generator_for).state_dict()


def test_the_constructor_draws_from_the_trials_seed():
    made = family(net("first: bool = False", "self.second = nn.Linear(2, 2)"))
    torch.manual_seed(1)
    ours = weights(made)
    state = torch.random.get_rng_state()
    theirs, others = weights(made), weights(made, seed=1)
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert not any(torch.equal(ours[name], others[name]) for name in ours)
    assert torch.equal(torch.random.get_rng_state(), state)


def test_a_network_that_offers_init_draws_by_name():
    hook = """
    def init(self, generator_for):
        with torch.no_grad():
            for name, p in self.named_parameters():
                p.normal_(generator=generator_for(name))
"""
    body = "self.early = nn.Linear(3, 3) if early else None; self.line = nn.Linear(64, 10)"
    by_order = family(net("early: bool = False", body), module="order")
    by_name = family(net("early: bool = False", body) + hook, module="named")
    for made, same in [(by_order, False), (by_name, True)]:
        ours, theirs = weights(made), weights(made, early=True)
        assert torch.equal(ours["line.weight"], theirs["line.weight"]) is same


# ---- the optimizer


def test_tables_and_tokens_are_not_decayed():
    class Own(nn.Module):
        def __init__(self):
            super().__init__()
            self.words, self.line = nn.Embedding(3, 4), nn.Linear(4, 4)
            self.pos_embed = nn.Parameter(torch.ones(1, 3, 4))
            self.cls_token = nn.Parameter(torch.ones(1, 1, 4))
            self.relative_position_bias_table = nn.Parameter(torch.ones(9, 2))
            self.odd, self.matrix = nn.Parameter(torch.ones(2, 2)), nn.Parameter(torch.ones(2, 2))

        def no_weight_decay(self):
            return {"odd"}

    model = nn.Sequential(Own())
    assert tables(model) == {
        f"0.{name}" for name in
        ["words.weight", "pos_embed", "cls_token", "relative_position_bias_table", "odd"]
    }  # fmt: skip
    names = {id(p): name for name, p in model.named_parameters()}
    groups = make_optimizer(model, TrainConfig(weight_decay=0.1)).param_groups
    decayed = {names[id(p)] for g in groups for p in g["params"] if g["weight_decay"]}
    assert decayed == {"0.line.weight", "0.matrix"}


NORMED = (
    HEAD
    + """
class LayerNorm2d(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight, self.skew = nn.Parameter(torch.ones(1, 1, 1)), nn.Linear(8, 8)

    def forward(self, x):
        return self.weight * self.skew(x - x.mean((1, 2, 3), keepdim=True))

class Mine(nn.LayerNorm):
    pass

class Net(nn.Module):
    def __init__(self, several: bool = True):
        super().__init__()
        self.norm = nn.Sequential(LayerNorm2d(), Mine((8, 8))) if several else nn.LayerNorm(8)
        self.line = nn.Linear(64, 10)

    def forward(self, x):
        return self.line(self.norm(x).flatten(1))
"""
)


def test_norms_over_several_axes_are_not_decayed_and_muon_leaves_them_alone(home):
    made = family(NORMED)
    model = made.build(config(made), IMAGE)
    names = {id(p): name for name, p in model.named_parameters()}
    (first, *_) = make_optimizer(model, TrainConfig(weight_decay=0.1)).param_groups
    assert {names[id(p)] for p in first["params"]} == {"norm.0.skew.weight", "line.weight"}
    assert not hidden_matrices(model)


@pytest.mark.parametrize(
    ("train", "several", "wanted"),
    [
        ("", True, {"train.weight_decay": 3}),
        ('optimizer = "adam"', True, {"train.weight_decay": 3}),
        ('optimizer = "adam"', False, {"train.weight_decay": 2}),
        ("weight_decay = 0.0\nl2 = 0.1", True, {"train.l2": 2}),
        ('optimizer = "muon"\nweight_decay = 0.0', True, {"train.optimizer": 2}),
        ("weight_decay = 0.0", True, {}),
        ("", False, {}),
    ],
)
def test_only_where_they_decayed_have_trials_new_ids(train, several, wanted, home):
    family(NORMED)
    text = RECIPE.format("mine:Net").replace("[data]", f"several = {str(several).lower()}\n[data]")
    (home / "r.toml").write_text(f"{text}[train]\n{train}\n")
    recipe = load_recipe(home / "r.toml")
    found = Trial(arm="baseline", recipe=recipe, seed=0)
    assert dict(found.revised) == wanted
    assert found.id == trial_id(recipe, 0, wanted)


# ---- plan and check

DEAD = net('norm: bool = True, kind: Literal["a", "b", "c"] = "a"', "self.kind = kind == 'b'",
           "return self.line(x.flatten(1)) * (2 if self.kind else 1)")  # fmt: skip


def test_a_dead_switch_is_refused_by_plan_and_reported_by_check(home, capsys):
    (home / "mine.py").write_text(DEAD)
    (home / "r.toml").write_text(RECIPE.format("mine:Net"))
    axes = '[axes]\n"model.norm" = [false]\n"model.kind" = ["b", "c"]\n'
    (home / "s.toml").write_text('question = "?"\nbaseline = "r.toml"\nseeds = 2\n' + axes)
    found = plan(load_study(home / "s.toml"))
    assert [arm.name for arm in found.arms] == ["baseline", "kind=b"]
    assert [(r.name, r.same_as) for r in found.refusals] == [
        ("norm=false", "baseline"), ("kind=c", "baseline"),
    ]  # fmt: skip
    assert main(["check", "mine:Net", "--image", "8x8x1"]) == 3
    out = capsys.readouterr().out
    assert (
        "failed  no switch is dead: norm (True is False), kind (a is c)\n        hint: use" in out
    )
    assert out.count("failed") == 1


def test_an_arm_of_another_family_does_not_vary_its_code(home):
    (home / "mine.py").write_text(net("depth: int = 1"))
    (home / "other.py").write_text(net("width: int = 1", "self.more = nn.Linear(2, 2)",
                                       "return self.line(x.flatten(1)) + self.more.weight.sum()"))  # fmt: skip
    for name in ("mine", "other"):
        (home / f"{name}.toml").write_text(RECIPE.format(f"{name}:Net"))
    arm = '[[arms]]\nname = "other"\nrecipe = "other.toml"\n'
    (home / "s.toml").write_text('question = "?"\nbaseline = "mine.toml"\nseeds = 2\n' + arm)
    found = plan(load_study(home / "s.toml"))
    assert sorted(found.arms[1].differs) == ["model.depth", "model.family", "model.width"]


def findings(text: str, **image):
    made = family(text)
    case = Case(made, config(made), IMAGE)
    return {one.check: (one.status, one.found) for one in examine(case)}


PASSED = ("passed", "")


@pytest.mark.parametrize(
    ("check", "text", "found"),
    [
        ("every parameter learns", net(body="self.idle = nn.Linear(2, 2)"),
         "idle.weight, idle.bias"),
        ("every parameter learns",
         net("on: bool = False", "self.idle = nn.Linear(2, 2) if on else None"),
         "on=True: idle.weight, idle.bias"),
        ("images stay apart in evaluation mode",
         net(forward="y = self.line(x.flatten(1)); return y - y.mean(0)"), "its logits move by "),
        ("images stay apart in evaluation mode",
         net(forward="return self.line(x.flatten(1)).squeeze()"),
         "an image by itself gets logits of shape (10,)"),
        ("its answers are logits", net(forward="return self.line(x.flatten(1)).softmax(1)"),
         "they are probabilities in training and evaluation mode"),
        ("its answers are logits", net(forward="y = self.line(x.flatten(1)); "
         "return y if self.training else y.softmax(1)"),
         "they are probabilities in evaluation mode"),
        ("evaluation knows no chance",
         net(forward="return self.line(nn.functional.dropout(x.flatten(1)))"),
         "its logits move by "),
        ("one seed gives one network",
         net(body="import random; self.line.weight.data[0] = random.random()"), "line.weight"),
        ("two seeds differ", net(body="[p.data.fill_(0.1) for p in self.parameters()]"),
         "seeds 0 and 1 start the same"),
        ("state survives saving",
         net(body="self.line.weight.data.normal_(); self.w = torch.randn(10)",
             forward="return self.line(x.flatten(1)) * self.w"),
         "the loaded network answers differently"),
        ("the same step gives the same bits",
         net(body="self.g = torch.Generator(); self.g.seed()",
             forward="return self.line(x.flatten(1)) * torch.rand(1, generator=self.g)"),
         "line.weight, line.bias"),
        ("it trains", net(body="self.line.weight.register_hook(lambda g: g * 0); "
         "self.line.weight.data.zero_()"), "line.weight"),
        ("it builds and returns logits", net(forward="return x"), "mine:Net returns torch.float32"),
    ],
)  # fmt: skip
def test_check_finds(check, text, found):
    status, told = findings(text)[check]
    assert status == "failed"
    assert told.startswith(found)


def test_check_of_a_good_network_says_so_and_what_is_worth_knowing(capsys):
    body = "self.early = nn.Linear(10, 10) if early else nn.Identity()\n        self.line = nn.Linear(64, 10)"
    text = net("early: bool = False", body, "return self.early(self.line(x.flatten(1)))")
    found = findings("print('hello')\n" + text)
    notes = {name: told for name, (status, told) in found.items() if status == "note"}
    assert notes["arms start from the same weights"] == "other values: early=True (2 of 2 tensors)"
    assert notes["images of 1 channel, 16x32"].startswith("RuntimeError: ")
    assert {v for k, v in found.items() if k not in notes} == {PASSED}
    capsys.readouterr()
    assert main(["check", "mine:Net", "--image", "8x8x1", "--set", "early=true", "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert [one["status"] for one in printed["checks"]].count("passed") == len(
        printed["checks"]
    ) - 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["mine:Net", "--image", "8by8"], "error: --image: '8by8' is no image format\n\nhint: "),
        (
            ["mine:Net", "--image", "0x8x1"],
            "error: --image: height: expected a number greater than or",
        ),
        (["mine:Net", "--set", "dept=1"], "error: --set: unknown key 'dept'\n\nhint: did you "),
        (["swim"], "error: check: no family is called 'swim'\n\nhint: did you mean 'swin'?"),
    ],
)
def test_check_refuses_bad_input(arguments, message, home, capsys):
    (home / "mine.py").write_text(net("depth: int = 1"))
    assert main(["check", *arguments]) == 2
    assert capsys.readouterr().err.startswith(message)


def test_what_a_network_prints_does_not_end_up_among_the_data(home, capsys):
    (home / "mine.py").write_text(
        "print('imported')\n"
        + net("on: bool = False", "print('built'); self.on = on",
              "print('called'); return self.line(x.flatten(1)) * (2 if self.on else 1)")
    )  # fmt: skip
    (home / "r.toml").write_text(RECIPE.format("mine:Net"))
    (home / "s.toml").write_text(
        'question = "?"\nbaseline = "r.toml"\nseeds = 2\n[axes]\n"model.on" = [true]\n'
    )
    assert main(["plan", "s.toml", "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert [len(data["arms"][0]["recipe"]["model"]["code"]), len(data["arms"])] == [64, 2]


def test_switches_lists_the_arguments(home, capsys):
    (home / "mine.py").write_text(guide()["mynets.py"])
    assert main(["switches", "mine:MyNet", "--json"]) == 0
    rows = {row["switch"]: row for row in json.loads(capsys.readouterr().out)["switches"]}
    ours = {name: (row["default"], row["levels"], row["what"]) for name, row in rows.items()
            if row["family"] == "mine:MyNet"}  # fmt: skip
    assert ours == {
        "model.width": (8, "int", "argument width"),
        "model.depth": (2, "int", "number of blocks"),
        "model.norm": ("true", "true, false", "batch norm after each convolution"),
        "model.pool": ("mean", "mean, max", "how the map becomes a vector"),
    }


def guide() -> dict[str, str]:
    """The files of the guide, by the name in their first line."""
    blocks = re.findall(r"```\w+\n# (\S+)\n(.*?)```", GUIDE.read_text("utf-8"), re.DOTALL)
    return dict(blocks)


def test_the_guides_files_make_a_plan(home):
    for name, text in guide().items():
        (home / name).write_text(text)
    found = plan(load_study(home / "norm.toml"))
    assert [(arm.name, arm.params) for arm in found.arms] == [
        ("baseline", 5034), ("norm=false", 4970), ("depth=1", 2682),
    ]  # fmt: skip
    assert [row["child"] for row in found.arms[0].geometry] == ["stem", "blocks", "pool", "head"]
    assert found.arms[0].geometry[1]["shape"] == (16, 8, 8)
    assert found.refusals == ()
    assert all(arm.proof.outside == () for arm in found.arms[1:])
    status = {one.status for one in examine(case_of("mynets:MyNet", [], "8x8x1", 10))}
    assert status == {"passed"}


def test_the_schema_of_recipes_knows_names_and_paths(capsys):
    assert main(["schema", "recipe"]) == 0
    model = json.loads(capsys.readouterr().out)["properties"]["model"]
    assert model["required"] == ["family"]
    names, path = model["properties"]["family"]["anyOf"]
    assert "swin" in names["enum"]
    assert re.search(path["pattern"], "mine.nets:Net")
    assert not re.search(path["pattern"], "swim")


def test_weights_of_others_are_never_asked_for():
    assert set(lookup.WEIGHTS) == {"pretrained", "pretrained_cfg", "checkpoint_path", "weights"}

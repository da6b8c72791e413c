"""Networks of one's own that do what nobody expects: what a plan says of them, or makes good."""

import sys
from pathlib import Path

import pytest
import torch

from swinablate.config.code import imports
from swinablate.config.train import TrainConfig
from swinablate.errors import InputError
from swinablate.study.cautions import cautions
from swinablate.study.files import load_study
from swinablate.study.planner import plan
from swinablate.training.optim import Averaged
from swinablate.training.precision import settle
from tests.models.test_external import HEAD, RECIPE, home, net

__all__ = ["home"]  # a fixture
STUDY = """question = "?"
baseline = "r.toml"
seeds = 2
[axes]
"train.lr" = [1e-3]
"""


def planned(text: str, start: str = ""):
    Path("mine.py").write_text(text)
    Path("r.toml").write_text(RECIPE.format("mine:Net") + start)
    Path("s.toml").write_text(STUDY)
    return plan(load_study(Path("s.toml")))


def told(text: str, start: str = "") -> list[str]:
    return [one["text"] for one in cautions(planned(text, start)) if one["code"] == "W32"]


LINE = "self.line(x.flatten(1))"
SEEDED = net(body="torch.manual_seed(3); self.line = nn.Linear(64, 10)")


@pytest.mark.parametrize(
    "forward",
    [
        LINE,
        f"{LINE}.log_softmax(1)",
        f"{LINE}.sigmoid()",
        f"nn.functional.dropout({LINE}, training=self.training)",
    ],
)
def test_of_a_usual_network_nothing_is_said(forward, home):
    assert told(net(forward=f"return {forward}")) == []


@pytest.mark.parametrize(
    ("forward", "where"),
    [
        (f"return {LINE}.softmax(1)", ""),
        (f"return {LINE} if self.training else {LINE}.softmax(1)", " in evaluation mode"),
    ],
)
def test_probabilities_in_place_of_logits_are_named(forward, where, home):
    (text,) = told(net(forward=forward))
    assert text.startswith(
        f"every arm: mine:Net returns probabilities{where}, and they are taken for logits, so "
    )


ZERO = "nn.init.zeros_(self.line.weight)"


@pytest.mark.parametrize(
    ("body", "forward"),
    [
        ("pass", f"nn.functional.dropout({LINE})"),
        ("pass", f"{LINE} + __import__('random').random()"),
        (ZERO, "self.line(nn.functional.dropout(x.flatten(1)))"),
    ],
)
def test_chance_in_evaluation_is_named(body, forward, home):
    (text,) = told(net(body=body, forward=f"return {forward}"))
    assert "answers the same images otherwise each time in evaluation mode" in text


def test_a_constructor_that_sets_a_seed_is_named_where_its_weights_are_the_ones(home):
    (text,) = told(SEEDED)
    assert "mine:Net starts from the same weights for every seed: its constructor sets" in text
    torch.save(torch.nn.Linear(64, 10).state_dict(), "given.pt")
    state = torch.load("given.pt")
    torch.save({f"line.{name}": value for name, value in state.items()}, "given.pt")
    assert told(SEEDED, '[start]\nweights = "given.pt"\n') == []


def headed(order: str, forward="return self.head(self.body(x.flatten(1)))") -> str:
    made = {"head": "self.head = nn.Linear(5, 10)", "body": "self.body = nn.Linear(64, 5)"}
    body = "del self.line; " + "; ".join(made[name] for name in order.split())
    return net(body=body, forward=forward)


@pytest.mark.parametrize(
    ("start", "said"),
    [
        ("head_lr = 10.0", "start.head_lr = 10"),
        ('weights = "given.pt"\nhead = "new"', 'start.head = "new"'),
    ],
)
def test_a_head_that_is_not_made_last_is_not_taken_for_another_part(
    start, said, home, monkeypatch
):
    # Both files have one size, and may have one second: Python would take the first one's code.
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    given = {"head": torch.nn.Linear(5, 10), "body": torch.nn.Linear(64, 5)}
    torch.save(torch.nn.ModuleDict(given).state_dict(), "given.pt")
    assert planned(headed("body head"), f"[start]\n{start}\n").refusals == ()
    del sys.modules["mine"]
    imports.code.cache_clear()
    with pytest.raises(InputError) as error:
        planned(headed("head body"), f"[start]\n{start}\n")
    assert str(error.value) == (
        f"s.toml: the baseline is impossible: {said} would be of 'body', which has the last "
        "parameters, and 'head' runs last\n\nhint: make 'head' last in the constructor"
    )


def test_a_head_of_which_the_weights_alone_are_read_is_taken_for_one(home):
    forward = "return nn.functional.linear(self.body(x.flatten(1)), self.head.weight)"
    start = "[start]\nhead_lr = 10.0\n"
    assert planned(headed("body head", forward), start).refusals == ()


@pytest.mark.parametrize("forward", [f"{LINE}.detach()", "no_grad"])
def test_a_network_without_gradients_is_refused(forward, home):
    body = f"return {forward}"
    if forward == "no_grad":
        body = f"with torch.no_grad():\n            return {LINE}"
    with pytest.raises(InputError) as error:
        planned(net(forward=body))
    assert str(error.value) == (
        "s.toml: the baseline is impossible: mine:Net answers without gradients in training mode, "
        "so that nothing would train\n\nhint: take torch.no_grad and detach out of its forward"
    )


def test_a_batch_norm_of_a_class_of_ones_own_is_one(home):
    body = "self.norm = type('Own', (nn.BatchNorm1d,), {})(64)"
    text = net(body=body, forward="return self.line(self.norm(x.flatten(1)))")
    with pytest.raises(InputError, match=r"leaves batch norm \(norm\) one image to take its"):
        planned(text, "[train]\nbatch = 4\naccumulate = 4\n")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("channels: int = 64", True),
        ("channels=64", True),
        ("channels: int = 3", False),
        ("channels: int = 64, in_chans: int = 3", False),
        ("in_channels: int = 64", False),
    ],
)
def test_a_width_that_would_be_the_channels_of_the_images_is_named(arguments, said, home):
    text = (
        "every arm: mine:Net is given the 1 of the images as channels, and 64 is its default; if "
        "that is a width, write channels = 64 in [model], or rename it."
    )
    assert told(net(arguments)) == ([text] if said else [])


def test_a_width_that_is_written_is_what_it_says(home):
    Path("mine.py").write_text(net("channels: int = 64"))
    Path("s.toml").write_text(STUDY)
    recipe = RECIPE.format("mine:Net").replace("[data]", "channels = 64\n[data]", 1)
    Path("r.toml").write_text(recipe)
    assert [*cautions(plan(load_study(Path("s.toml"))))] == []


def test_formats_that_numpy_has_not_and_parameters_that_are_no_weights_are_planned(home):
    body = """
        self.index = nn.Parameter(torch.arange(64), requires_grad=False)
        self.none = nn.Parameter(torch.zeros(0, 3))
        self.register_buffer("grain", torch.ones(64, dtype=torch.bfloat16))"""
    forward = "return self.line((x.flatten(1) * self.grain)[:, self.index]).bfloat16()"
    found = planned(net(body=body, forward=forward))
    assert [arm.name for arm in found.arms] == ["baseline", "lr=0.001"]


def test_what_a_module_chooses_for_the_whole_process_is_undone(home):
    choose = "torch.set_default_dtype(torch.float64)\ntorch.backends.cudnn.benchmark = True\n"
    try:
        found = planned(HEAD + choose + net())
        assert len(found.arms) == 2
        assert torch.get_default_dtype() == torch.float32
        assert not torch.backends.cudnn.benchmark
        torch.set_default_dtype(torch.float64)
        torch.backends.cudnn.benchmark = True
        settle(TrainConfig())
        assert torch.get_default_dtype() == torch.float32
        assert not torch.backends.cudnn.benchmark
    finally:
        torch.set_default_dtype(torch.float32)
        torch.backends.cudnn.benchmark = False


def test_averaged_weights_of_a_network_that_cannot_be_copied_are_refused(home):
    kept = net(body="self.rows = (row for row in range(3))")
    assert planned(kept).arms
    with pytest.raises(InputError, match=r"mine:Net cannot be copied: .*generator") as error:
        planned(kept, "[train]\nema = 0.9\n")
    assert error.value.hint.endswith("or choose train.ema = 0.0")


@pytest.mark.filterwarnings("ignore:.*weight_norm. is deprecated:FutureWarning")
@pytest.mark.parametrize("how", ["weight_norm", "spectral_norm"])
def test_older_norms_of_weights_are_averaged_as_newer_ones_are(how, home):
    """Torch's older ones keep a weight that it does not copy."""
    normed = net(body=f"nn.utils.{how}(self.line)")
    assert planned(normed, "[train]\nema = 0.9\n").arms
    answers = []
    x = torch.randn(3, 8, generator=torch.Generator().manual_seed(0))
    for make in (getattr(torch.nn.utils, how), getattr(torch.nn.utils.parametrizations, how)):
        torch.manual_seed(0)
        model = torch.nn.Sequential(make(torch.nn.Linear(8, 4)))
        kept = vars(model[0]).get("weight")
        averaged = Averaged(model, 0.5)
        assert vars(model[0]).get("weight") is kept
        optimizer = torch.optim.SGD(model.parameters(), 0.1)
        for _ in range(3):
            optimizer.zero_grad()
            model(x).square().sum().backward()
            optimizer.step()
            averaged.update_parameters(model)
        answers.append(averaged.module.eval()(x).detach())
        assert not torch.equal(answers[-1], model.eval()(x))
    if how == "weight_norm":  # the other iterates from directions that both draw otherwise
        torch.testing.assert_close(*answers, atol=1e-6, rtol=0)

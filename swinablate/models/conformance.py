"""What every network must do before an ablation of it means anything.

The built-in families pass all of it (`tests/conformance`); `swinablate check` asks the same of
anybody's network. Each check returns what is wrong, in words, or an empty string.
"""

import io
import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from swinablate.config import plugins
from swinablate.config.code.theirs import prints_aside
from swinablate.config.family import ImageSpec
from swinablate.models.case import Case
from swinablate.models.catalogue import switches
from swinablate.models.cost import cost
from swinablate.models.external.conduct import probable
from swinablate.models.external.lookup import PRESET, ZOOS


@dataclass(frozen=True)
class Finding:
    """What one check saw.

    Attributes:
        status: a note is worth knowing and nothing to mend.
        found: what was seen.
        hint: the remedy, where the check failed.
    """

    check: str
    status: Literal["passed", "failed", "note"]
    found: str
    hint: str


def builds(case: Case) -> str:
    """It is built, takes the images, and returns a finite logit a class in both modes."""
    try:
        case.family.geometry(case.config, case.image)
        model, x = case.start(), case.images()
        with torch.no_grad():
            answers = [model.train()(x), model.eval()(x)]
    except ValueError as error:
        return str(error)
    wanted = (len(x), case.image.classes)
    wrong = [str(tuple(a.shape)) for a in answers if a.shape != wanted or not a.isfinite().all()]
    return f"logits of shape {wrong[0]}, or not finite; wanted {wanted}" if wrong else ""


def dead_switches(case: Case) -> str:
    """Every two levels of a switch mean different networks.

    Where the baseline's level is decided by a model's name, it is another level's equal.
    """
    same = []
    for name, switch, _ in switches(case.family.config):
        base = case.at(**case.where(name))
        levels = [level for level in switch.levels if level != PRESET]
        if PRESET not in switch.levels and getattr(base.config, name) not in levels:
            levels.append(getattr(base.config, name))
        signs = [base.meaning(**{name: level}) for level in levels] if levels[1:] else []
        pairs = itertools.combinations(zip(levels, signs, strict=False), 2)
        same += [f"{name} ({a} is {b})" for (a, x), (b, y) in pairs if x == y]
    return ", ".join(same)


def parameters_learn(case: Case) -> str:
    """Every parameter that can be trained gets a gradient.

    Weights that start at 0, as the last layer's often do, are drawn first: they would hide
    what stands before them. Two passes, as what fades in has no share of the first.
    """
    model = case.start()
    chance = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for p in model.parameters():
            if not p.any():
                p.normal_(std=0.1, generator=chance)  # any values but 0
    for _ in range(2):
        model(case.images()).square().sum().backward()
    idle = [
        name
        for name, p in model.named_parameters()
        if p.requires_grad and (p.grad is None or not p.grad.any())
    ]
    return _some(idle)


def parameters_learn_at_every_level(case: Case) -> str:
    """Whatever a switch adds is used, too; levels that cannot be built are passed over."""
    found = []
    for name, flipped in [("", case), *case.flips()]:
        try:
            idle = parameters_learn(flipped)
        except ValueError:
            continue
        found += [f"{name}: {idle}" if name else idle] if idle else []
        if not name and idle:
            break  # it would be told again at every level
    return "; ".join(found)


def answers_are_logits(case: Case) -> str:
    """In neither mode the network returns probabilities, which training takes for logits."""
    model, x = case.start(), case.images()
    with torch.no_grad():
        modes = {"training": model.train()(x), "evaluation": model.eval()(x)}
    found = [mode for mode, answers in modes.items() if probable(answers.float())]
    return f"they are probabilities in {' and '.join(found)} mode" if found else ""


def no_chance_in_evaluation(case: Case) -> str:
    """In evaluation mode the same images get the same answers, whatever was drawn before."""
    model, x, answers = case.start().eval(), case.images(), []
    for seed in range(2):
        torch.manual_seed(seed)
        with torch.no_grad():
            answers.append(model(x))
    move = (answers[0] - answers[1]).abs().max()
    return f"its logits move by {move:.2g} from one time to the next" if move > 0 else ""


def images_stay_apart(case: Case) -> str:
    """In evaluation mode an image's logits do not depend on the other images."""
    model, x = case.start().eval(), case.images()
    with torch.no_grad():
        together, alone = model(x)[:1], model(x[:1])
    if alone.shape != together.shape:
        return f"an image by itself gets logits of shape {tuple(alone.shape)}"
    # Products of another shape add up in another order: fp32 differs by less than 1e-5 then.
    if torch.allclose(together, alone, atol=1e-5, rtol=1e-5):
        return ""
    return f"its logits move by {(together - alone).abs().max():.2g} with the batch"


def one_seed_one_network(case: Case) -> str:
    """One seed gives the same weights and answers, whatever was drawn before."""
    torch.manual_seed(1)
    first = case.start()
    torch.manual_seed(2)
    second = case.start()
    moved = _moved(first, second)
    if not moved:
        torch.manual_seed(0)
        ours = first(case.images())
        torch.manual_seed(0)
        if not torch.equal(ours, second(case.images())):
            return "the same weights answer differently"
    return _some(moved)


def two_seeds_two_networks(case: Case) -> str:
    """Another seed gives other initial weights."""
    return "" if _moved(case.start(), case.start(seed=1)) else "seeds 0 and 1 start the same"


def state_survives(case: Case) -> str:
    """Weights and statistics that were saved and loaded give the same answers."""
    model, file = case.start(), io.BytesIO()
    with torch.no_grad():
        model(case.images())  # running statistics
    torch.save(model.state_dict(), file)
    file.seek(0)
    again = case.start(seed=1)
    again.load_state_dict(torch.load(file), strict=True)
    with torch.no_grad():
        ours, theirs = model.eval()(case.images()), again.eval()(case.images())
    return "" if torch.equal(ours, theirs) else "the loaded network answers differently"


def same_step_same_bits(case: Case) -> str:
    """Two forward and backward passes from one state give the same gradients."""

    def gradients() -> dict[str, Tensor]:
        model = case.start()
        torch.manual_seed(0)
        model(case.images()).logsumexp(1).sum().backward()  # every logit has a part in it
        return {n: p.grad for n, p in model.named_parameters() if p.grad is not None}

    first, second = gradients(), gradients()
    return _some([name for name, grad in first.items() if not torch.equal(grad, second[name])])


def odd_images(case: Case) -> str:
    """Images of one channel that are not square give logits, and their cost is known."""
    x = case.images()
    with torch.no_grad():
        shape = tuple(case.start()(x).shape)
    if shape != (len(x), case.image.classes):
        return f"logits of shape {shape}"
    return "" if cost(case.family, case.config, case.image).macs > 0 else "no MACs are counted"


def trains(case: Case) -> str:
    """Two steps of the optimizer move every weight that learns, and the loss stays finite."""
    model, x = case.start().train(), case.images(8)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    y = torch.arange(len(x)) % case.image.classes
    learning = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(learning, lr=1e-3)  # its default; no weight is too small to move
    torch.manual_seed(0)
    for _ in range(2):
        loss = F.cross_entropy(model(x).float(), y)
        optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        optimizer.step()
    if not loss.isfinite():
        return f"the loss is {loss.item()}"
    still = [
        name
        for name, p in model.named_parameters()
        if p.grad is not None and torch.equal(before[name], p)
    ]
    return _some(still)


def not_shared(case: Case) -> str:
    """Which levels start tensors that they share with the baseline at other values.

    Only of those that are drawn: what starts constant may start at another constant.
    """
    base, found = dict(case.start().named_parameters()), []
    for name, flipped in case.flips():
        try:
            other = dict(flipped.start().named_parameters())
        except ValueError:
            continue
        shared = [
            key
            for key, value in base.items()
            if key in other
            and other[key].shape == value.shape
            and bool((value != value.flatten()[0]).any())
        ]
        moved = sum(not torch.equal(base[key], other[key]) for key in shared)
        found += [f"{name} ({moved} of {len(shared)} tensors)"] if moved else []
    return ", ".join(found)


@dataclass(frozen=True)
class Check:
    """One check: what it is called, and what to do where it fails."""

    name: str
    run: Callable[[Case], str]
    hint: str


CHECKS = (
    Check(
        "no switch is dead",
        dead_switches,
        "use the argument, or drop it: `plan` refuses an arm that changes nothing; if it acts "
        "only together with another, set that one with --set",
    ),
    Check(
        "every parameter learns",
        parameters_learn_at_every_level,
        "use them in forward, drop them, or set requires_grad = False",
    ),
    Check(
        "its answers are logits",
        answers_are_logits,
        "return what goes into softmax: training takes the cross-entropy of that",
    ),
    Check(
        "evaluation knows no chance",
        no_chance_in_evaluation,
        "draw nothing in evaluation mode: F.dropout has to be told training=self.training",
    ),
    Check(
        "images stay apart in evaluation mode",
        images_stay_apart,
        "compute nothing over the batch axis in evaluation mode, and name the axes to squeeze",
    ),
    Check(
        "one seed gives one network",
        one_seed_one_network,
        "draw from torch's generator only, in the constructor, not from numpy's or random's",
    ),
    Check("two seeds differ", two_seeds_two_networks, "draw the weights, do not fix them"),
    Check(
        "state survives saving",
        state_survives,
        "register what it learns as parameters, what it counts as buffers",
    ),
    Check("the same step gives the same bits", same_step_same_bits, "draw nothing on your own"),
    Check("it trains", trains, "look at the loss of one batch"),
)


_OF_THE_CASE: Mapping[Callable[[Case], str], str] = {
    dead_switches: "here without effect",
    parameters_learn_at_every_level: "here without gradient",
}
"""What depends on the image and on the other switches: of a network that others have proven (the
built-in families by their tests), worth knowing and nothing to mend."""


def examine(case: Case) -> Iterator[Finding]:
    """Run every check; what the network itself raises is what was found."""
    problem = _attempt(builds, case)
    hint = "take b c h w float images, return b k logits; see docs/your-own-model.md"
    yield _finding("it builds and returns logits", problem, hint)
    if problem:
        return
    family = case.config.family
    known = family.partition(":")[0] in ZOOS or family in plugins.names(
        "swinablate.models.families"
    )
    for check in CHECKS:
        found = _attempt(check.run, case)
        one = _finding(check.name, found, check.hint)
        if known and found and check.run in _OF_THE_CASE:
            one = Finding(check.name, "note", f"{_OF_THE_CASE[check.run]}: {found}", "")
        yield one
    odd = replace(
        case, image=ImageSpec(height=16, width=32, channels=1, classes=case.image.classes)
    )
    refused = _attempt(odd_images, odd)
    name = "images of 1 channel, 16x32"
    yield Finding(name, "note" if refused else "passed", refused, "")
    moved = _attempt(not_shared, case)
    name = "arms start from the same weights"
    yield Finding(name, "note" if moved else "passed", moved and f"other values: {moved}", "")


def _attempt(run: Callable[[Case], str], case: Case) -> str:
    try:
        with prints_aside():
            return run(case)
    except Exception as error:  # noqa: BLE001  the network is anybody's
        text = str(error).strip().partition("\n")[0]
        return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _finding(name: str, problem: str, hint: str) -> Finding:
    return Finding(name, "failed" if problem else "passed", problem, hint if problem else "")


def _moved(first: nn.Module, second: nn.Module) -> list[str]:
    theirs = second.state_dict()
    return [n for n, value in first.state_dict().items() if not torch.equal(value, theirs[n])]


def _some(names: list[str]) -> str:
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(names[:5]) + more

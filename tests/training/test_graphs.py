"""Steps that a GPU records: the logic around it, with a device that repeats as a graph does."""

import gc
import weakref
from contextlib import contextmanager, nullcontext
from dataclasses import replace

import pytest
import torch
from torch import nn

from swinablate.config.train import TrainConfig
from swinablate.data import image_spec
from swinablate.models.catalogue import examples
from swinablate.study.arms.recipes import load_recipe
from swinablate.training import graphs
from swinablate.training.fit import build
from swinablate.training.fused import stack
from swinablate.training.fused.stack import Stack
from swinablate.training.graphs import EAGER, SETTLED, recorder, steady, warm
from swinablate.training.step import Gradients, make_learner, recorded

CPU = torch.device("cpu")
STEPS = SETTLED + 3


class Repeats:
    """Keeps where a step left its tensors, and writes to these places at every repetition."""

    def __init__(self, *networks, off=0.0, fails=""):
        self.networks, self.off, self.fails = networks, off, fails
        self.buffers = [b for n in networks for b in n.buffers()]
        self.replays = 0
        self.watching = self.busy = self.holds = False

    def stream(self):
        return nullcontext()

    @contextmanager
    def watched(self):
        self.watching = True
        try:
            yield
        finally:
            self.watching = False

    def forked(self):
        return torch.random.fork_rng(devices=[])

    def record(self, work, given):
        self.holds = self.busy = True
        if self.fails:
            self.holds = self.busy = False
            raise RuntimeError(f"{self.fails}\nmore of it")
        kept = [(b, b.clone()) for b in self.buffers]
        with self.forked():
            answer = work(*given)
        parameters = [p for n in self.networks for p in n.parameters() if p.grad is not None]
        places = [p.grad for p in parameters]
        for buffer, before in kept:
            buffer.copy_(before)
        self.busy = False

        def replay():
            self.replays += 1
            self.busy = True
            answer.copy_(work(*given) + self.off)
            self.busy = False
            for parameter, place in zip(parameters, places, strict=True):
                place.copy_(parameter.grad)
                parameter.grad = torch.full_like(place, torch.nan)  # nobody reads this one

        return replay, answer


def network(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Flatten(), nn.Linear(12, 8), nn.BatchNorm1d(8), nn.Dropout(0.2), nn.Linear(8, 3)
    )


def batches(count, images=5):
    chance = torch.Generator().manual_seed(0)
    for _ in range(count):
        x = torch.randn(images, 3, 2, 2, generator=chance)
        yield x, torch.randint(3, (images,), generator=chance)


def trained(learner, given):
    found = []
    for step, (x, y) in enumerate(given):
        torch.manual_seed(step)
        found.append(learner.step(x, y))
    return [*found, *learner.model.state_dict().values()]


def learners(**how):
    train = TrainConfig(lr=1e-2, clip=0.5)
    plain, other = (make_learner(network(), train, CPU) for _ in range(2))
    device = Repeats(other.model, **how)
    return plain, replace(other, gradients=recorded(other.gradients, device)), device


def same(some, others):
    return all(torch.equal(a, b) for a, b in zip(some, others, strict=True))


def test_steps_that_are_repeated_are_those_that_are_computed_bit_for_bit():
    plain, other, device = learners()
    assert same(trained(plain, batches(STEPS)), trained(other, batches(STEPS)))
    assert other.gradients.why is None
    assert other.gradients.steps == STEPS - SETTLED
    assert device.replays == other.gradients.steps + 1  # and the one that was compared


@pytest.mark.parametrize(
    ("how", "why"),
    [
        ({"off": 1e-3}, "a graph gave other numbers"),
        ({"off": float("nan")}, "a graph gave other numbers"),
        ({"fails": "operation not permitted"}, "operation not permitted"),
    ],
)
def test_a_graph_that_fails_or_is_wrong_changes_no_number(how, why):
    plain, other, _ = learners(**how)
    assert same(trained(plain, batches(STEPS)), trained(other, batches(STEPS)))
    assert (other.gradients.why, other.gradients.steps) == (why, 0)


class Waits(nn.Module):
    """Asks for a number, which a graph cannot hold."""

    def __init__(self, device):
        super().__init__()
        self.device = device

    def forward(self, x):
        if self.device.watching:
            raise RuntimeError("called a synchronizing CUDA operation")
        return x


def test_what_waits_for_the_device_is_never_recorded_and_changes_no_number():
    """Torch cleans nothing up behind a recording that is broken off."""
    plain, other, device = learners(fails="it was tried")
    other.model.append(Waits(device))  # behind the statistics and the draws
    assert same(trained(plain, batches(STEPS)), trained(other, batches(STEPS)))
    assert other.gradients.why == "called a synchronizing CUDA operation"


def test_a_step_is_done_before_its_graph_takes_the_memory_of_another(monkeypatch):
    """What fits once, and not beside the graph of it, trains on."""
    plain, other, device = learners()
    real = Gradients.__call__

    def work(self, x, y):
        if self.model is other.model and device.holds and not device.busy:
            raise torch.OutOfMemoryError("tried to allocate 40 GiB")
        return real(self, x, y)

    monkeypatch.setattr(Gradients, "__call__", work)
    assert same(trained(plain, batches(STEPS)), trained(other, batches(STEPS)))
    assert (other.gradients.why, other.gradients.steps) == (None, STEPS - SETTLED)


@pytest.fixture
def gpu(monkeypatch):
    """A GPU of 80 GiB, on which a step took so many of them."""
    asked = []
    monkeypatch.setattr(graphs.Device, "__init__", lambda self, device: vars(self).update(
        device=device, _side=None))  # fmt: skip

    class Graph:
        def replay(self):
            pass

    def made(gib):
        whole = type("Properties", (), {"total_memory": 80 << 30})
        monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda _: (5 + gib) << 30)
        monkeypatch.setattr(torch.cuda, "memory_allocated", lambda _: 5 << 30)
        monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: whole)
        monkeypatch.setattr(torch.cuda, "CUDAGraph", Graph)
        monkeypatch.setattr(torch.cuda, "graph", lambda *_, **__: nullcontext())
        monkeypatch.setattr(torch.cuda, "get_sync_debug_mode", lambda: 0)
        monkeypatch.setattr(torch.cuda, "set_sync_debug_mode", asked.append)
        return graphs.Device(torch.device("cuda", 0)), asked

    return made


def test_a_step_that_takes_more_than_a_quarter_of_a_gpu_is_not_recorded(gpu):
    device, _ = gpu(20)
    _, answer = device.record(lambda: torch.ones(2), [])
    assert answer.tolist() == [1.0, 1.0]
    device, _ = gpu(21)
    with pytest.raises(RuntimeError, match="a step takes 21504 MiB, too much for a graph to keep"):
        device.record(lambda: pytest.fail("it was recorded"), [])


def test_a_gpu_is_watched_for_as_long_as_is_asked(gpu):
    device, asked = gpu(1)
    watched = device.watched()
    watched.__enter__()
    assert asked == ["error"]
    watched.__exit__(ValueError, ValueError(), None)
    assert asked == ["error", 0]


def test_a_batch_of_another_shape_ends_the_repetition_and_changes_no_number():
    plain, other, _ = learners()
    given = [*batches(SETTLED + 1), *batches(2, images=4), *batches(2)]
    assert same(trained(plain, given), trained(other, given))
    assert other.gradients.why == "its batches differ in shape"
    assert other.gradients.steps == 1


def test_a_loss_stays_what_it_was_when_the_next_step_is_taken():
    _, other, _ = learners()
    losses = [other.step(x, y) for x, y in batches(STEPS)]
    told = [loss.item() for loss in losses]
    assert len(set(told)) == STEPS


def test_seeds_trained_as_one_are_repeated_too(monkeypatch):
    def run(device):
        monkeypatch.setattr(stack, "recorder", lambda *_: device)
        train = TrainConfig(lr=1e-2, clip=0.5)
        x = torch.zeros(5, 3, 2, 2)
        made = Stack([network(k) for k in range(2)], [train] * 2, x)
        if device:
            device.buffers = list(made._buffers.values())
        found = []
        for step, (x, y) in enumerate(batches(STEPS)):
            masks = made.draw([step, step + 100])
            images = torch.stack([x, x.flip(0)])
            found.append(made.gradients(images, y.expand(2, -1), masks))
            made.step(1.0)
        return [*found, made.flat, *made._buffers.values()], made.recorded

    device = Repeats()
    (plain, _), (repeated, kept) = run(None), run(device)
    assert same(plain, repeated)
    assert (kept.why, kept.steps) == (None, STEPS - SETTLED)


class Fickle(nn.Module):
    def forward(self, x):
        return x


@pytest.mark.parametrize(
    "path", sorted((examples() / "experiments").glob("*digits*.toml")), ids=lambda p: p.stem
)
def test_our_own_networks_may_be_recorded(path):
    made = load_recipe(path)
    assert steady(build(made, image_spec(made.data), 0))


def test_layers_that_nobody_knows_and_processors_record_nothing(monkeypatch):
    gpu = torch.device("cuda", 0)
    monkeypatch.setattr(graphs.Device, "__init__", lambda self, device: None)
    assert recorder(gpu, network()) is not None
    assert recorder(gpu, nn.Sequential(network(), Fickle())) is None
    assert recorder(CPU, network()) is None
    monkeypatch.setenv("SWINABLATE_CUDA_GRAPHS", "0")
    assert recorder(gpu, network()) is None


def test_a_clock_starts_when_steps_are_recorded():
    assert warm(torch.device("cuda", 0), 2) == EAGER + 1
    assert warm(CPU, 2) == 2


@pytest.mark.parametrize("device", [None, Repeats()])
def test_a_stack_is_gone_when_nobody_has_it(device, monkeypatch):
    """A warm worker trains many: none may wait for Python to look for circles."""
    monkeypatch.setattr(stack, "recorder", lambda *_: device)
    made = Stack([network(k) for k in range(2)], [TrainConfig()] * 2, torch.zeros(5, 3, 2, 2))
    if device:
        device.buffers = list(made._buffers.values())
    for x, y in batches(SETTLED + 1):
        made.gradients(torch.stack([x, x]), y.expand(2, -1), made.draw([0, 1]))
        made.step(1.0)
    gone = weakref.ref(made)
    gc.disable()
    try:
        del made
        assert gone() is None
    finally:
        gc.enable()


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ([torch.nan, 1.0], [torch.nan, 1.0], True),
        ([torch.nan, 1.0], [0.0, 1.0], False),
        ([torch.inf], [torch.finfo(torch.float32).max], False),
        ([1.0], [1.0 + 2**-23], False),
    ],
)
def test_what_is_no_number_is_compared_as_that(one, other, same):
    assert graphs._same_bits(torch.tensor(one), torch.tensor(other)) is same
    assert graphs._same_bits(torch.tensor([3]), torch.tensor([3]))
    assert not graphs._same_bits(torch.tensor([3]), torch.tensor([4]))

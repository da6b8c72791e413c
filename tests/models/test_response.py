"""What a network costs, and when two are the same."""

import subprocess
import sys
from collections.abc import Iterator

import pytest
import torch
from torch import nn

from swinablate.config import plugins
from swinablate.config.family import Family, ImageSpec, ModelConfig, Switch
from swinablate.models import cost as costs
from swinablate.models.build import one_thread
from swinablate.models.cost import activation_bytes, cost, macs, measured, own_macs
from swinablate.models.families import resnet, swin, vit
from swinablate.models.fingerprint import signature
from swinablate.models.registry import load_family

DIGITS = ImageSpec(height=8, width=8, channels=1, classes=10)
CIFAR = ImageSpec(height=32, width=32, channels=3, classes=10)


def size(family, config, image) -> tuple[int, int]:
    """Without what a training step keeps, which takes longer than both."""
    return tuple(costs.size(family, config, image, by) for by in ("params", "macs"))


def test_costs_of_the_matched_set():
    """MODELS: 46.4, 82.2, 40.6, 125.5 million multiply-accumulates."""
    config = swin.SwinConfig(depths=(2, 2, 2), heads=(3, 6, 12))
    assert size(swin.FAMILY, config, CIFAR) == (1_268_356, 46_352_256)
    wide = vit.ViTConfig(width=128, depth=6, heads=4)
    assert size(vit.FAMILY, wide, CIFAR) == (1_205_642, 82_183_424)
    assert size(resnet.FAMILY, resnet.ResNetConfig(), CIFAR) == (269_722, 40_551_040)
    found = cost(resnet.FAMILY, resnet.ResNetConfig(), CIFAR)
    assert (found.params, found.macs) == (269_722, 40_551_040)
    deep = resnet.ResNetConfig(depth=56)
    assert size(resnet.FAMILY, deep, CIFAR) == (853_018, 125_485_696)


def test_published_sizes():
    """Swin tab. 1 and torchvision: parameters, and 4.5, 8.7, 15.4 G."""
    image = ImageSpec(height=224, width=224, channels=3, classes=1000)
    for width, heads, deep, expected in (
        (96, (3, 6, 12, 24), 6, (28_288_354, 4_490_566_656)),
        (96, (3, 6, 12, 24), 18, (49_606_258, 8_740_875_264)),
        (128, (4, 8, 16, 32), 18, (87_768_224, 15_430_946_816)),
    ):
        config = swin.SwinConfig(
            patch=4, width=width, heads=heads, depths=(2, 2, deep, 2), window=7
        )
        assert size(swin.FAMILY, config, image) == expected


def test_window_attention_costs_what_post_004_says():
    """h = w = 64, C = 96: global 3,372,220,416, windows of 4 163,577,856."""
    for window, expected in ((64, 3_372_220_416), (4, 163_577_856)):
        config = swin.SwinConfig(patch=1, width=96, depths=(1,), heads=(3,), window=window)
        image = ImageSpec(height=64, width=64, channels=1, classes=2)
        whole = cost(swin.FAMILY, config, image).macs
        rest = 64 * 64 * (96 + 2 * 4 * 96 * 96) + 2 * 96  # patches, MLP, head
        assert whole - rest == expected


def test_attention_without_matrix_products_is_counted():
    """4hwC^2 + 2M^2hwC, with sums of products (window 2) as with products (window 4)."""
    for window in (1, 2, 4):
        config = swin.SwinConfig(patch=1, width=16, depths=(1,), heads=(2,), window=window)
        linear = 64 * (16 + 4 * 16 * 16 + 2 * 4 * 16 * 16) + 160
        expected = linear + 2 * window**2 * 64 * 16
        assert cost(swin.FAMILY, config, DIGITS).macs == expected


def test_counting_leaves_no_trace():
    model = swin.Swin(swin.SwinConfig(patch=1, window=2), DIGITS).eval()
    state = torch.get_rng_state()
    assert macs(model, DIGITS) == macs(model, DIGITS)
    cost(swin.FAMILY, swin.SwinConfig(patch=1, window=2), DIGITS)
    signature(swin.FAMILY, swin.SwinConfig(patch=1, window=2), DIGITS)
    assert torch.equal(state, torch.get_rng_state())
    assert not any(module._forward_hooks for module in model.modules())


def test_a_signature_knows_the_function_and_the_start():
    def sign(**fields):
        return signature(swin.FAMILY, swin.SwinConfig(patch=1, window=2, **fields), DIGITS)

    assert sign() == sign()
    assert sign() == sign(pad="masked")
    different = [sign(), sign(shift=False), sign(norm="batch"), sign(init="xavier")]
    assert len(set(different)) == 4
    assert sign(shift=False) == sign(shift=False, shift_mask="none")


class Tracked(nn.Module):
    """Answers from batch statistics in training; in evaluation perhaps from running ones."""

    def __init__(self, *, tracked: bool) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(1, track_running_stats=tracked)
        self.head = nn.Linear(64, 10)

    def forward(self, x):
        return self.head(self.norm(x).flatten(1))


def zero(model, config, generator_for):
    for parameter in model.parameters():
        nn.init.zeros_(parameter)


def test_what_was_trained_in_a_process_leaves_signatures_alone():
    """They are compared bit for bit, also with those from before."""
    image = ImageSpec(height=16, width=16, channels=3, classes=10)
    config = swin.SwinConfig(width=48, window=4)
    before = signature(swin.FAMILY, config, image)
    torch.set_float32_matmul_precision("medium")
    torch.use_deterministic_algorithms(mode=True, warn_only=True)
    try:
        assert signature(swin.FAMILY, config, image) == before
        assert torch.get_float32_matmul_precision() == "medium"
        assert torch.is_deterministic_algorithms_warn_only_enabled()
    finally:
        torch.set_float32_matmul_precision("highest")
        torch.use_deterministic_algorithms(mode=False)


def test_a_signature_knows_what_evaluation_alone_shows():
    def sign(*, tracked: bool) -> str:
        family = Family(swin.SwinConfig, lambda *_: Tracked(tracked=tracked), zero, swin.geometry)
        return signature(family, swin.SwinConfig(), DIGITS)

    assert sign(tracked=True) == sign(tracked=True) != sign(tracked=False)


def test_logits_that_overflow_are_told_apart_by_their_configs():
    class Huge(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head = nn.Linear(64, 10)

        def forward(self, x):
            return self.head(x.flatten(1)) * float("inf")

    family = Family(swin.SwinConfig, lambda *_: Huge(), zero, swin.geometry)
    signs = [signature(family, swin.SwinConfig(window=w), DIGITS) for w in (2, 4)]
    assert signs[0] != signs[1]


@pytest.mark.parametrize("name", plugins.names("swinablate.models.families"))
def test_activations_are_those_of_a_real_training_step(name):
    """On the meta device as on a CPU, where the tensors exist."""
    family = load_family(name, "")
    config = family.config()
    real = activation_bytes(family.build(config, CIFAR), CIFAR)
    assert cost(family, config, CIFAR).activation_bytes == real > 0
    assert measured(family, config, CIFAR, lambda model: activation_bytes(model, CIFAR)) == real


@pytest.mark.parametrize("name", plugins.names("swinablate.models.families"))
def test_of_every_level_of_every_switch_the_functions_say_what_the_operators_do(name):
    """Networks of ours are counted by the functions of torch that they call."""
    family = load_family(name, "")
    for config in at_every_level(family.config()):
        try:
            model = family.build(config, DIGITS).eval()
        except ValueError:
            continue
        with one_thread():  # others would only wait for each other
            assert own_macs(model, DIGITS) == macs(model, DIGITS) > 0, config


def at_every_level(config: ModelConfig) -> Iterator[ModelConfig]:
    """The config, and it with one switch at another level."""
    yield config
    for name, field in type(config).model_fields.items():
        for switch in (mark for mark in field.metadata if isinstance(mark, Switch)):
            for level in switch.levels:
                yield config.model_copy(update={name: level})


def test_a_large_network_is_never_built_to_be_counted():
    """Its weights alone would be more than there is, on any device but the meta device."""
    seen = []

    def build(config, image):
        seen.append(torch.empty(0).device.type)
        return swin.Swin(config, image)

    family = Family(swin.SwinConfig, build, zero, swin.geometry)
    for width, device in ((24, "cpu"), (1536, "meta")):
        cost(family, swin.SwinConfig(width=width, window=2, patch=1), DIGITS)
        assert seen.pop() == device


def test_counting_a_small_network_imports_no_compiler_and_uses_one_thread():
    """torch's compiler takes longer to import than all arms of a small study to plan."""
    code = (
        "import sys, torch\n"
        "from swinablate.config.family import Family, ImageSpec\n"
        "from swinablate.models.cost import cost\n"
        "from swinablate.models.families import swin\n"
        "from swinablate.models.fingerprint import signature\n"
        "image = ImageSpec(height=8, width=8, channels=1, classes=10)\n"
        "config = swin.SwinConfig(patch=1, window=2)\n"
        "torch.set_num_threads(3)\n"
        "seen = set()\n"
        "def build(*args):\n"
        "    model = swin.Swin(*args)\n"
        "    model.register_forward_hook(lambda *_: seen.add(torch.get_num_threads()))\n"
        "    return model\n"
        "family = Family(swin.SwinConfig, build, swin.FAMILY.init, swin.geometry)\n"
        "cost(family, config, image), signature(family, config, image)\n"
        "print(seen, torch.get_num_threads())\n"
        "print([name for name in ('torch._dynamo', 'sympy', 'triton') if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "{1} 3\n[]\n"


def test_activations_by_hand():
    """A linear map keeps its input, ReLU its output, cross-entropy log-probabilities, a class."""
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 5), nn.ReLU(), nn.Linear(5, 10))
    kept = 64 + 5 + 10
    assert activation_bytes(model, DIGITS) == 4 * kept + 8

"""What a training step keeps of an image, and that keeping less changes no number."""

import copy
import inspect
from typing import Any

import jaxtyping
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from swinablate.config.family import ImageSpec
from swinablate.models.cost import activation_bytes
from swinablate.models.families import swin, vit
from swinablate.models.layers import mlp as mlps
from swinablate.models.layers.mlp import DepthwiseMlp, Hidden, Mlp
from swinablate.models.layers.window import Windows

LARGE = ImageSpec(height=224, width=224, channels=3, classes=1000)
SWIN_T = swin.SwinConfig(patch=4, width=96, depths=(2, 2, 6, 2), heads=(3, 6, 12, 24), window=7)
VIT_S = vit.ViTConfig(patch=16, width=384, depth=12, heads=6)
FORMATS = pytest.mark.parametrize("short", [False, True], ids=["fp32", "bf16"])


def ours(name: str) -> nn.Module:
    return swin.Swin(SWIN_T, LARGE) if name == "swin" else vit.ViT(VIT_S, LARGE)


def timms(name: str) -> nn.Module:
    if name == "swin":
        module = pytest.importorskip("timm.models.swin_transformer")
        return module.SwinTransformer(drop_path_rate=0.0)
    module = pytest.importorskip("timm.models.vision_transformer")
    return module.VisionTransformer(
        embed_dim=384, num_heads=6, class_token=False, global_pool="avg", fc_norm=False
    )


def kept(model: nn.Module, batch: int, *, short: bool) -> int:
    """Bytes that autograd keeps of a batch, every storage once."""
    own = {p.untyped_storage().data_ptr() for p in (*model.parameters(), *model.buffers())}
    found: dict[int, torch.UntypedStorage] = {}

    def pack(saved: Tensor) -> Tensor:
        found[saved.untyped_storage().data_ptr()] = saved.untyped_storage()
        return saved

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda x: x):
        x = torch.zeros(batch, 3, 224, 224)
        with torch.autocast("cpu", torch.bfloat16, enabled=short):
            answer = model(x)
        F.cross_entropy(answer.float(), torch.zeros(batch, dtype=torch.long))
    return sum(storage.nbytes() for key, storage in found.items() if key not in own)


@pytest.mark.parametrize("name", ["swin", "vit"])
def test_an_image_of_224_pixels_takes_no_more_memory_than_in_timms_network(name):
    """Swin-T and ViT-S/16, alike in everything that trains."""
    mine, theirs = ours(name).train(), timms(name).train()
    assert sum(map(Tensor.numel, mine.parameters())) == sum(map(Tensor.numel, theirs.parameters()))
    for short in (False, True):
        mib = [
            (kept(model, 2, short=short) - kept(model, 1, short=short)) / 2**20
            for model in (mine, theirs)
        ]
        assert mib[0] < mib[1], (short, mib)


def test_published_figures_of_what_an_image_takes():
    """benchmarks/results/2026-11-26-memory-at-224.md, in MiB of fp32."""
    for name, expected in (("swin", 79.9), ("vit", 52.8)):
        with torch.device("meta"):
            model = ours(name)
        assert activation_bytes(model, LARGE) / 2**20 == pytest.approx(expected, abs=0.05)


def mlp(kind: type[Mlp], **words: Any) -> Mlp:
    torch.manual_seed(0)
    return kind(6, Hidden(4.0, "layer", **words))


def by_the_book(net: Mlp, x: Tensor) -> Tensor:
    """The same modules, one after the other, as autograd has them."""
    y = net.norm(net.fc1(x))
    if isinstance(net, DepthwiseMlp):
        y = net.conv(y.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
    return net.drop2(net.fc2(net.drop1(net.act(y))))


def step(net: Mlp, x: Tensor, *, short: bool, plain: bool) -> list[Tensor]:
    """The answer, and gradients of the input and of every parameter."""
    net.zero_grad()
    x = x.clone().requires_grad_()
    torch.manual_seed(1)  # where something drops
    with torch.autocast("cpu", torch.bfloat16, enabled=short):
        y = by_the_book(net, x) if plain else net(x)
    (y.float() ** 2).sum().backward()
    assert x.grad is not None
    return [y, x.grad, *(p.grad.clone() for p in net.parameters() if p.grad is not None)]


@FORMATS
@pytest.mark.parametrize("kind", [Mlp, DepthwiseMlp])
@pytest.mark.parametrize(
    "words", [{}, {"drop": 0.5}, {"activation": "relu"}, {"shared": True}], ids=str
)
def test_an_mlp_answers_and_learns_as_its_modules_do_bit_for_bit(kind, words, short):
    net, x = (
        mlp(kind, **words),
        torch.randn(5, 4, 3, 6, generator=torch.Generator().manual_seed(2)),
    )
    found = step(net, x, short=short, plain=False)
    expected = step(net, x, short=short, plain=True)
    assert len(found) == 2 + len(list(net.parameters()))
    for a, b in zip(found, expected, strict=True):
        assert a.dtype == b.dtype
        assert torch.equal(a, b)


@FORMATS
def test_weights_that_blocks_share_learn_as_autocast_has_it(short):
    """Its cast of a shared weight is one for all uses; gradients are added up behind it."""
    net = mlp(Mlp, shared=True)
    x = torch.randn(5, 6, generator=torch.Generator().manual_seed(2))
    grads = []
    for call in (net, lambda y: by_the_book(net, y)):
        net.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=short):
            y = call(call(call(x)))
        y.float().square().sum().backward()
        assert net.fc2.weight.grad is not None
        grads.append(net.fc2.weight.grad.clone())
    assert torch.equal(*grads)


def hidden_kept(net: Mlp, x: Tensor) -> int:
    """Tensors of hidden numbers that autograd keeps, every storage once."""
    sizes: list[int] = []
    storages: set[int] = set()

    def pack(saved: Tensor) -> Tensor:
        if saved.untyped_storage().data_ptr() not in storages:
            sizes.append(saved.numel())
        storages.add(saved.untyped_storage().data_ptr())
        return saved

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda y: y):
        out = net(x)
    assert out.shape == x.shape
    return sizes.count(7 * 24)


def test_an_mlp_keeps_what_gelu_takes_and_not_what_it_gives():
    assert hidden_kept(mlp(Mlp).train(), torch.randn(7, 6)) == 1


def test_where_it_trains_on_a_cpu_a_small_image_is_not_activated_again(monkeypatch):
    net, x = mlp(Mlp).train(), torch.randn(7, 6)
    before = net(x)
    torch.autograd.backward(before.square().sum())
    grads = [p.grad.clone() for p in net.parameters() if p.grad is not None]
    net.zero_grad()
    mlps.keep_few(nn.Sequential(net))
    monkeypatch.setattr(mlps, "FEW", 24)  # of an image
    assert hidden_kept(net, x) == 2
    after = net(x)
    torch.autograd.backward(after.square().sum())
    found = [before, *grads], [after, *(p.grad for p in net.parameters())]
    assert len(grads) == 4
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))
    monkeypatch.setattr(mlps, "FEW", 23)
    assert hidden_kept(net, x) == 1
    monkeypatch.undo()
    # Hidden numbers: of post 000's network at width 96; of a ViT-Ti, and a Swin-T's last stage.
    assert 256 * 4 * 96 <= mlps.FEW < min(197 * 4 * 192, 49 * 4 * 768)


def test_replicas_in_one_graph_learn_what_each_learns_alone():
    nets = [mlp(Mlp) for _ in range(3)]
    for k, net in enumerate(nets):
        for p in net.parameters():
            nn.init.normal_(p, std=0.3, generator=torch.Generator().manual_seed(k))
    x = torch.randn(3, 5, 6, generator=torch.Generator().manual_seed(2))
    names = [name for name, _ in nets[0].named_parameters()]
    leaves = {
        n: torch.stack([net.get_parameter(n).detach() for net in nets]).requires_grad_()
        for n in names
    }
    frame = copy.deepcopy(nets[0]).to("meta")
    found = torch.vmap(lambda w, part: functional_call(frame, w, (part,)))(leaves, x)
    grads = torch.autograd.grad(found.square().sum(), list(leaves.values()))
    for k, net in enumerate(nets):
        y = net(x[k])
        alone = torch.autograd.grad(y.square().sum(), [net.get_parameter(n) for n in names])
        torch.testing.assert_close(found[k], y)
        for together, own in zip(grads, alone, strict=True):
            torch.testing.assert_close(together[k], own)


@pytest.mark.filterwarnings("ignore:.*should not be instantiated")  # dynamo's own, of torch 2.11
def test_a_compiled_mlp_is_one_graph_with_the_same_gradients(monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # checks do not compile
    for name in ("forward", "setup_context", "backward"):  # nor, with torch 2.11, what skips them
        plain = staticmethod(inspect.unwrap(getattr(mlps.LinearOfGelu, name)))
        monkeypatch.setattr(mlps.LinearOfGelu, name, plain)
    net, x = mlp(Mlp), torch.randn(5, 6, generator=torch.Generator().manual_seed(2))
    torch.compiler.reset()
    whole = torch.compile(net, backend="aot_eager", fullgraph=True)
    grads = []
    for call in (whole, net):
        net.zero_grad()
        call(x).square().sum().backward()
        grads.append([p.grad.clone() for p in net.parameters() if p.grad is not None])
    assert len(grads[0]) == 4
    for a, b in zip(*grads, strict=True):
        torch.testing.assert_close(a, b)


def test_queries_keys_and_values_lie_apart_so_that_each_lives_as_long_as_it_is_needed():
    windows = Windows((8, 8), (4, 4), heads=2, width=6)
    parts = windows.split(torch.randn(3, 8, 8, 18))
    assert len({part.untyped_storage().data_ptr() for part in parts}) == 3
    assert all(part.is_contiguous() for part in parts)

"""Networks put together from torch's and torchvision's own parts, to compare ours with."""

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models import resnet as vision_resnet
from torchvision.models import vgg as vision_vgg
from torchvision.models.densenet import DenseNet
from torchvision.models.googlenet import BasicConv2d, Inception

# ours, by row: 1x1; 3x3 reduced, 3x3; 5x5 reduced, 5x5; pooled: table 1 of the paper
TABLE_1 = (
    ((64, 96, 128, 16, 32, 32), (128, 128, 192, 32, 96, 64)),
    (
        (192, 96, 208, 16, 48, 64),
        (160, 112, 224, 24, 64, 64),
        (128, 128, 256, 24, 64, 64),
        (112, 144, 288, 32, 64, 64),
        (256, 160, 320, 32, 128, 128),
    ),
    ((256, 160, 320, 32, 128, 128), (384, 192, 384, 48, 128, 128)),
)


class Encoder(nn.Module):
    """Patches of the digits through torch's encoder: width 32, 3 layers, 4 heads, post-norm."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Conv2d(1, 32, 2, 2)
        layer = nn.TransformerEncoderLayer(32, 4, 64, 0.0, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 3, enable_nested_tensor=False)
        self.head = nn.Linear(32, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Classify by the mean: behind a post-norm encoder there is no norm (Vaswani 2017)."""
        x = self.embed(x).flatten(2).transpose(1, 2)
        at = torch.arange(16)[:, None] / 10_000 ** (torch.arange(0, 32, 2) / 32)
        code = torch.zeros(16, 32)
        code[:, 0::2], code[:, 1::2] = at.sin(), at.cos()
        return self.head(self.encoder(x + code).mean(1))


class OptionA(nn.Module):
    """Every second pixel, and zeros for as many channels again."""

    def forward(self, x: Tensor) -> Tensor:
        """Subsample."""
        half = F.avg_pool2d(x, 1, 2)
        return torch.cat((half, torch.zeros_like(half)), 1)


class ResNet(nn.Module):
    """The CIFAR ResNet, from torchvision's blocks."""

    def __init__(self, depth: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16))
        blocks: list[nn.Module] = []
        for width in (16, 32, 64):
            for i in range((depth - 2) // 6):
                halved = i == 0 and width > 16
                blocks.append(
                    vision_resnet.BasicBlock(
                        width // 2 if halved else width,
                        width,
                        2 if halved else 1,
                        OptionA() if halved else None,
                    )
                )
        self.blocks = nn.Sequential(*blocks)
        self.head = nn.Linear(64, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Classify."""
        x = self.blocks(F.relu(self.stem(x)))
        return self.head(F.adaptive_avg_pool2d(x, 1).flatten(1))


def _conv(c_in: int, c_out: int, kernel: int = 3, stride: int = 1) -> list[nn.Module]:
    conv = nn.Conv2d(c_in, c_out, kernel, stride, kernel // 2, bias=False)
    return [conv, nn.BatchNorm2d(c_out), nn.ReLU()]


def plain(depth: int) -> nn.Module:
    """The same without shortcuts is a sequence."""
    steps, before = _conv(3, 16), 16
    for width in (16, 32, 64):
        for _ in range((depth - 2) // 3):
            steps += _conv(before, width, 3, 1 if width == before else 2)
            before = width
    return nn.Sequential(*steps, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))


def vgg(layers: list[str | int], *, batch_norm: bool = False) -> nn.Module:
    """torchvision's features and its three linear maps, without biases before batch norms."""
    features = vision_vgg.make_layers(layers, batch_norm=batch_norm)
    for module in features:
        if batch_norm and isinstance(module, nn.Conv2d):
            module.bias = None
    maps = [nn.Linear(32, 16), nn.ReLU(), nn.Dropout(0.0), nn.Linear(16, 16), nn.ReLU()]
    return nn.Sequential(features, nn.Flatten(), *maps, nn.Dropout(0.0), nn.Linear(16, 10))


def googlenet(width: int) -> nn.Module:
    """torchvision's inception blocks; its 3x3 in the place of the paper's 5x5 put right."""
    before = 192 * width // 64
    steps: list[nn.Module] = [BasicConv2d(3, before, kernel_size=3, padding=1)]
    for i, rows in enumerate(TABLE_1):
        steps += [nn.MaxPool2d(3, 2, 1)] * bool(i)
        for row in rows:
            sizes = [n * width // 64 for n in row]
            block = Inception(before, *sizes)
            block.branch3[1] = BasicConv2d(sizes[3], sizes[4], kernel_size=5, padding=2)
            steps.append(block)
            before = sizes[0] + sizes[2] + sizes[4] + sizes[5]
    return nn.Sequential(*steps, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(before, 10))


def nin() -> nn.Module:
    """Two blocks, and one whose last map has neither norm nor ReLU."""
    steps, before = [], 3
    for width in (64, 128):
        steps += [*_conv(before, width, 5), *_conv(width, width, 1), *_conv(width, width, 1)]
        steps.append(nn.MaxPool2d(3, 2, 1))
        before = width
    votes = [*_conv(before, 10), *_conv(10, 10, 1), nn.Conv2d(10, 10, 1)]
    return nn.Sequential(*steps, *votes, nn.AdaptiveAvgPool2d(1), nn.Flatten())


def post001() -> nn.Module:
    """The layers of the post, and an activation after each."""
    steps: list[nn.Module] = []
    for c_in, c_out in ((3, 32), (32, 32), (32, 64)):
        steps += [nn.Conv2d(c_in, c_out, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2)]
    return nn.Sequential(*steps, nn.Flatten(), nn.Linear(1024, 64), nn.ReLU(), nn.Linear(64, 10))


def lenet(*, batch_norm: bool = False) -> nn.Module:
    """The layers of "Dive into Deep Learning" sec. 7.6; with batch norm, those of sec. 8.5."""

    def norm(kind: type[nn.Module], width: int) -> list[nn.Module]:
        return [kind(width)] * batch_norm

    steps: list[nn.Module] = []
    for c_in, c_out, margin in ((3, 6, 2), (6, 16, 0)):
        conv = nn.Conv2d(c_in, c_out, 5, padding=margin)
        steps += [conv, *norm(nn.BatchNorm2d, c_out), nn.Sigmoid(), nn.AvgPool2d(2)]
    steps.append(nn.Flatten())
    for c_in, c_out in ((16 * 6 * 6, 120), (120, 84)):
        steps += [nn.Linear(c_in, c_out), *norm(nn.BatchNorm1d, c_out), nn.Sigmoid()]
    return nn.Sequential(*steps, nn.Linear(84, 10))


class Recurrent(nn.Module):
    """Patches of 4x4 in reading order through torch's LSTM; its second bias is held at 0."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Conv2d(3, 48, 4, 4)
        self.lstm = nn.LSTM(48, 48, 2, batch_first=True)
        self.norm = nn.LayerNorm(48)
        self.head = nn.Linear(48, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Classify by the last state."""
        with torch.no_grad():
            self.lstm.bias_hh_l0.zero_()
            self.lstm.bias_hh_l1.zero_()
        states, _ = self.lstm(self.embed(x).flatten(2).transpose(1, 2))
        return self.head(self.norm(states[:, -1]))


def recurrent(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Its weights under our names."""
    found = {}
    for theirs, value in state.items():
        name = theirs.replace("embed.", "embed.project.")
        for i in (0, 1):
            name = name.replace(f"lstm.weight_ih_l{i}", f"layers.{i}.read.weight")
            name = name.replace(f"lstm.weight_hh_l{i}", f"layers.{i}.recur.weight")
            name = name.replace(f"lstm.bias_ih_l{i}", f"layers.{i}.read.bias")
        if "bias_hh" not in name:
            found[name] = value
    return found


def densenet(layers: int, growth: int) -> nn.Module:
    """torchvision's DenseNet-BC, with the first layer that the paper has for small images."""
    model = DenseNet(growth, (layers,) * 3, 2 * growth, num_classes=10)
    model.features.conv0 = nn.Conv2d(3, 2 * growth, 3, padding=1, bias=False)
    for name in ("norm0", "relu0", "pool0"):
        setattr(model.features, name, nn.Identity())
    return model

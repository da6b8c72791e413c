"""What a trained network answers on some images, and the metrics that follow; one pass.

Logits are read as float32 and the rest is computed in float64, so that a loss is the same number
whatever precision the network was trained in.

Shapes: n images, b of them in a batch, k classes.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from swinablate.config.metrics import BINS, TOP, translation
from swinablate.config.train import TrainConfig
from swinablate.data import Images, Splits, eval_batches, eval_size
from swinablate.errors import Diverged
from swinablate.training.precision import autocast
from swinablate.training.ranks import ALONE, Ranks

CONFUSED = 100
"""Classes of which a trial records what it took for what: the square of that many small numbers is
some 25 kB, as much as a curve of a hundred epochs; of a thousand classes it would be megabytes."""
NOTHING = -1
"""Said of an image to which a network answers with what is no number: it is of no class, and so
never right. `argmax` would say the class where the first of them stands."""
# Written out as in `data.dataset`.
Numbers = np.ndarray[tuple[Any, ...], np.dtype[np.float64]]
Truths = np.ndarray[tuple[Any, ...], np.dtype[np.bool_]]


@dataclass(frozen=True, kw_only=True)
class Answers:
    """Of every image, in the images' order.

    Attributes:
        predicted: the most probable class.
        loss: cross-entropy, nats.
        confidence: probability of the predicted class.
        first: whether the true class is among the first five; None with five classes or fewer.
    """

    predicted: Int[Tensor, " n"]
    loss: Float[Numbers, " n"]
    confidence: Float[Numbers, " n"]
    first: Bool[Truths, " n"] | None


def most_probable(logits: Float[Tensor, "*k b classes"]) -> Int[Tensor, "*k b"]:
    """The most probable class of every image, in the format that they were computed in."""
    return logits.argmax(-1).masked_fill_(logits.isnan().any(-1), NOTHING)


@torch.no_grad()  # in inference mode, buffers that a network makes anew could not be loaded
def predict(
    model: nn.Module, images: Images, train: TrainConfig, ranks: Ranks = ALONE
) -> Int[Tensor, " {len(images)}"]:
    """The most probable class of every image, in evaluation mode; several processes share them."""
    model.eval()
    ranks.agree(model)
    mine = ranks.share(len(images), eval_size(images)).to(images.rows.device)
    own = replace(images, rows=images.rows[mine], labels=images.labels[mine])
    found = torch.zeros(len(images), dtype=torch.int64, device=images.device)
    if len(mine):  # there may be fewer batches than processes
        with autocast(train, images.device):
            found[mine] = torch.cat([most_probable(model(x)) for x in eval_batches(own)])
    return ranks.total(found)


def correct(
    model: nn.Module, images: Images, train: TrainConfig, ranks: Ranks = ALONE
) -> Bool[Tensor, " {len(images)}"]:
    """Which images are classified correctly."""
    return predict(model, images, train, ranks) == images.labels


@torch.no_grad()  # likewise
def answers(
    model: nn.Module, images: Images, train: TrainConfig, move: tuple[int, int] = (0, 0)
) -> Answers:
    """Ask a network in evaluation mode, about images without random changes.

    Args:
        model: the network.
        images: what it is asked about.
        train: the number format.
        move: by how many pixels the images are moved downwards and to the right.

    Raises:
        Diverged: it answers with what is no number, as after a last step that was too long: the
            loss of a step is that of the weights before it.
    """
    model.eval()
    predicted, losses, confidences, firsts = [], [], [], []
    start = 0
    for x in eval_batches(images, move=move):
        with autocast(train, images.device):
            answer = model(x)
        labels = images.labels[start : start + len(x)][:, None]
        start += len(x)
        predicted.append(most_probable(answer))
        logits = answer.float()
        logs = logits.double().log_softmax(1)
        losses.append(-logs.gather(1, labels)[:, 0])
        confidences.append(logs.amax(1).exp())
        # Of equals the first counts, as `argmax` has it. Logits that overflow still have an order.
        mine, places = logits.gather(1, labels), torch.arange(logs.shape[1], device=logs.device)
        before = (logits > mine) | ((logits == mine) & (places < labels))
        firsts.append(before.sum(1) < TOP)
        classes = logs.shape[1]
    every = torch.cat(predicted)
    if lost := int((every == NOTHING).sum()):
        raise Diverged(f"the trained network answers {lost} of {len(every)} images with nan")
    return Answers(
        predicted=every,
        loss=torch.cat(losses).cpu().numpy(),
        confidence=torch.cat(confidences).cpu().numpy(),
        first=torch.cat(firsts).cpu().numpy() if classes > TOP else None,
    )


def final_metrics(found: Answers, labels: Int[Tensor, " n"]) -> dict[str, float]:
    """The metrics of the test images besides the accuracy; percent, but for the loss.

    A class without test images has no recall. What is no finite number is left out: a network
    whose logits overflow has no loss.
    """
    truth, said = labels.cpu().numpy(), found.predicted.cpu().numpy()
    right = truth == said
    classes = np.unique(np.concatenate([truth, said]))
    recalls, f1 = {}, []
    for k in classes.tolist():
        hits = int((right & (truth == k)).sum())
        real, claimed = int((truth == k).sum()), int((said == k).sum())
        f1.append(2 * hits / (real + claimed))
        if real:
            recalls[k] = hits / real
    metrics = {
        "test/loss": float(found.loss.mean()),
        "test/balanced_accuracy": 100 * float(np.mean(list(recalls.values()))),
        "test/f1_macro": 100 * float(np.mean(f1)),
        "test/ece": 100 * calibration_error(found.confidence, right),
        **{f"test/recall/{k}": 100 * recall for k, recall in recalls.items()},
    }
    if found.first is not None:
        metrics["test/top5"] = 100 * float(found.first.mean())
    return finite(metrics)


def confusion(
    found: Answers, labels: Int[Tensor, " n"], classes: int
) -> dict[str, list[list[int]]]:
    """How many test images of each class (a row) were taken for each class (a column).

    Args:
        found: what the network answers.
        labels: the true classes.
        classes: how many there are; of too many nothing is recorded.
    """
    if classes > CONFUSED:
        return {}
    truth, said = labels.cpu().numpy(), found.predicted.cpu().numpy()
    counts = np.bincount(truth * classes + said, minlength=classes * classes)
    return {"confusion": counts.reshape(classes, classes).tolist()}


def train_metrics(found: Answers, labels: Int[Tensor, " n"]) -> dict[str, float]:
    """The metrics of training images, as the test images are looked at."""
    right = (found.predicted == labels).float().mean().item()
    return finite({
        "train/eval_accuracy": 100 * right,
        "train/eval_loss": float(found.loss.mean()),
    })  # fmt: skip


def besides_accuracy(
    found: Answers, model: nn.Module, parts: Splits, train: TrainConfig, asked: Iterable[str]
) -> dict[str, float]:
    """All that a final trial records beside its accuracy.

    Args:
        found: what the network answers on the test images.
        model: the network.
        parts: the trial's images.
        train: the number format.
        asked: metrics that only some studies ask for.
    """
    known = as_many(parts.train, parts.test)
    return (
        final_metrics(found, parts.test.labels)
        | train_metrics(answers(model, known, train), known.labels)
        | requested(asked, model, parts.test, train)
    )


def requested(
    names: Iterable[str], model: nn.Module, images: Images, train: TrainConfig
) -> dict[str, float]:
    """Metrics that only some studies ask for, of the test images.

    Accuracy under translation is the mean over images moved up, down, left and right, one after
    the other (as Zhang 2019, arXiv:1904.11486, sec. 4.2, shifts images to see what an
    architecture makes of it; there random diagonal shifts of up to 32 of 224 pixels).
    """
    found = {}
    for name in names:
        if pixels := translation(name):
            moves = ((-pixels, 0), (pixels, 0), (0, -pixels), (0, pixels))
            right = [
                (answers(model, images, train, move).predicted == images.labels).float().mean()
                for move in moves
            ]
            found[name] = 100 * torch.stack(right).mean().item()
    return found


def calibration_error(confidence: Float[Numbers, " n"], right: Bool[Truths, " n"]) -> float:
    """Mean distance of confidence and accuracy over bins of equal width, by their images.

    Source: Guo et al. 2017, arXiv:1706.04599, eq. 3: bin m is ((m - 1) / M, m / M].
    """
    if not np.isfinite(confidence).all():
        return math.nan
    at = np.clip(np.ceil(confidence * BINS).astype(int) - 1, 0, BINS - 1)
    gaps = np.bincount(at, weights=right - confidence, minlength=BINS)
    return float(np.abs(gaps).sum() / len(confidence))


def as_many(train: Images, test: Images) -> Images:
    """The training images that are evaluated: the first ones, as many as there are test images.

    Their order is stratified and the same for all arms, so they are the same images for all.
    More would make the end of a trial cost more than an epoch's validation does, and would tell
    the accuracy no better than the test set tells its own.
    """
    return replace(train, rows=train.rows[: len(test)], labels=train.labels[: len(test)])


def finite(metrics: Mapping[str, float]) -> dict[str, float]:
    """Those that are numbers; a record holds no others."""
    return {name: value for name, value in metrics.items() if math.isfinite(value)}

"""Metrics of a trained network: by hand, against scikit-learn, alone and fused."""

import base64
import dataclasses

import numpy as np
import pytest
import torch
from sklearn import metrics as reference
from torch import Tensor, nn

from swinablate.config.metrics import METRICS
from swinablate.config.train import TrainConfig
from swinablate.data import Images
from swinablate.errors import Diverged
from swinablate.records.tables import MEASURED
from swinablate.text import column_of
from swinablate.training import fit
from swinablate.training.evaluation import (
    CONFUSED,
    Answers,
    answers,
    as_many,
    calibration_error,
    confusion,
    final_metrics,
    most_probable,
    predict,
    requested,
    train_metrics,
)
from tests.training.test_fit import make_job, run


class Table(nn.Module):
    """Answers the image of pixel value i with the i-th row of its table."""

    def __init__(self, logits: torch.Tensor) -> None:
        super().__init__()
        self.logits = logits

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.logits[x[:, 0, 0, 0].long()]


def numbered(labels: torch.Tensor) -> Images:
    """Images of one pixel, whose value is their number."""
    n = len(labels)
    return Images(
        pixels=torch.arange(n, dtype=torch.uint8)[:, None, None, None],
        rows=torch.arange(n), labels=labels, scale=torch.ones(1, 1, 1), shift=torch.zeros(1, 1, 1),
    )  # fmt: skip


def asked(logits: torch.Tensor, labels: torch.Tensor) -> dict[str, float]:
    return final_metrics(answers(Table(logits), numbered(labels), TrainConfig()), labels)


def test_two_classes_by_hand():
    logits = torch.tensor([[2.0, 0.0], [0.0, 1.0], [3.0, 0.0], [0.0, 0.0]])
    found = asked(logits, torch.tensor([0, 0, 0, 1]))
    # Softmax of a gap g is 1 / (1 + exp(-g)): the losses are log(1 + exp(-+g)).
    losses = [np.log1p(np.exp(-2)), np.log1p(np.exp(1)), np.log1p(np.exp(-3)), np.log(2)]
    assert found["test/loss"] == pytest.approx(np.mean(losses), abs=1e-12)
    assert found["test/recall/0"] == pytest.approx(200 / 3)
    assert found["test/recall/1"] == 0  # of equal logits the first class is said
    assert found["test/balanced_accuracy"] == pytest.approx(100 / 3)
    # Class 0: 2 hits, 3 real, 3 claimed; class 1: none.
    assert found["test/f1_macro"] == pytest.approx(100 * (2 * 2 / 6 + 0) / 2)
    # Confidences .881, .731, .953, .5: bins 14, 11, 15, 8; each alone in its bin.
    gaps = [1 - 1 / (1 + np.exp(-2)), 1 / (1 + np.exp(-1)), 1 - 1 / (1 + np.exp(-3)), 0.5]
    assert found["test/ece"] == pytest.approx(100 * np.mean(gaps), abs=1e-9)
    assert "test/top5" not in found


@pytest.mark.filterwarnings("ignore:y_pred contains classes")  # as wanted: they do not count
@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("classes", [2, 7, 12])
def test_all_agree_with_scikit_learn(seed, classes):
    chance = torch.Generator().manual_seed(seed)
    labels = torch.randint(max(2, classes - 3), (200,), generator=chance)  # some classes lack
    logits = 3 * torch.randn(200, classes, generator=chance)
    logits[torch.arange(200), labels] += 2
    found = asked(logits, labels)
    truth, said = labels.numpy(), logits.argmax(1).numpy()
    shares = logits.double().softmax(1).numpy()
    every = list(range(classes))
    near = {"rel": 1e-12, "abs": 1e-12}
    assert found["test/loss"] == pytest.approx(
        reference.log_loss(truth, shares, labels=every), **near
    )
    balanced = reference.balanced_accuracy_score(truth, said)
    assert found["test/balanced_accuracy"] == pytest.approx(100 * balanced, **near)
    f1 = reference.f1_score(truth, said, average="macro", zero_division=0)
    assert found["test/f1_macro"] == pytest.approx(100 * f1, **near)
    recalls = reference.recall_score(truth, said, average=None, labels=np.unique(truth))
    for k, recall in zip(np.unique(truth), recalls, strict=True):
        assert found[f"test/recall/{k}"] == pytest.approx(100 * recall, **near)
    assert f"test/recall/{classes - 1}" not in found or classes == 2
    if classes > 5:
        top = reference.top_k_accuracy_score(truth, shares, k=5, labels=every)
        assert found["test/top5"] == pytest.approx(100 * top, **near)


def test_calibration_error_of_a_table_by_hand():
    # The paper's eq. 3 with M = 15: .60 closes bin 9, .61 opens bin 10.
    confidence = np.array([0.60, 0.60, 0.61, 0.99])
    right = np.array([True, False, True, True])
    by_bin = [abs(1 - 1.2) / 4, abs(1 - 0.61) / 4, abs(1 - 0.99) / 4]
    assert calibration_error(confidence, right) == pytest.approx(sum(by_bin), abs=1e-12)
    assert calibration_error(np.array([1.0, 1.0]), np.array([True, True])) == 0


def test_logits_that_overflow_have_no_loss_and_no_number_is_made_up():
    found = asked(torch.tensor([[torch.inf, 0.0], [0.0, 1.0]]), torch.tensor([0, 1]))
    assert not {"test/loss", "test/ece"} & found.keys()
    assert all(np.isfinite(value) for value in found.values())
    above = torch.tensor([torch.inf, 6.0, 5.0, 4.0, 3.0, 2.0, 1.0]).repeat(7, 1)
    assert asked(above, torch.arange(7))["test/top5"] == pytest.approx(500 / 7)


def test_a_network_that_answers_with_no_numbers_is_right_in_nothing():
    logits = torch.tensor([[0.0, torch.nan], [torch.nan, torch.nan], [0.0, 1.0]])
    with pytest.raises(Diverged, match=r"^the trained network answers 2 of 3 images with nan$"):
        asked(logits, torch.tensor([1, 0, 1]))
    assert most_probable(logits).tolist() == [-1, -1, 1]


@pytest.mark.parametrize("ask", [predict, answers])
def test_a_buffer_that_a_network_makes_anew_trains_and_loads_afterwards(ask):
    """As the best epoch's weights are loaded, and as a network trains on after an epoch."""

    class Counting(Table):
        def __init__(self) -> None:
            super().__init__(torch.eye(3))
            self.weight = nn.Parameter(torch.ones(()))
            self.register_buffer("seen", torch.ones(()))

        def forward(self, x: Tensor) -> Tensor:
            self.seen = self.seen + len(x)
            return super().forward(x) * self.weight * self.seen

    model = Counting()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    ask(model, numbered(torch.arange(3)), TrainConfig())
    (model.weight * model.seen).backward()
    model.load_state_dict(before)
    assert model.seen == 1


def test_of_equal_logits_the_first_are_among_five():
    for label, share in ((0, 100), (4, 100), (5, 0), (6, 0)):
        assert asked(torch.zeros(3, 7), torch.full((3,), label))["test/top5"] == share


def test_training_images_are_as_many_as_test_images_and_the_same_for_all_seeds(datasets, tmp_path):
    seen = []
    for seed in (0, 1):
        job = make_job(datasets, tmp_path / str(seed), data={"limit": None}, seed=seed)
        parsed, _ = fit.read_job(job)
        parts = fit.load_splits(parsed.data, datasets, seed, "main", torch.device("cpu"))
        seen.append(as_many(parts.train, parts.test))
    assert len(seen[0]) == len(parts.test) < len(parts.train)
    assert torch.equal(seen[0].rows, seen[1].rows)
    assert torch.equal(seen[0].labels, parts.train.labels[: len(parts.test)])


def test_rows_of_a_confusion_are_true_classes_and_columns_what_was_said():
    found = Answers(
        predicted=torch.tensor([1, 1, 0, 2]), loss=np.zeros(4), confidence=np.ones(4), first=None
    )
    truth = torch.tensor([0, 0, 0, 2])
    assert confusion(found, truth, 3) == {"confusion": [[1, 2, 0], [0, 0, 0], [0, 0, 1]]}
    assert confusion(found, truth, CONFUSED + 1) == {}


def test_a_final_trial_records_them_all_and_a_trial_of_tuning_none(datasets, tmp_path):
    final, _ = run(make_job(datasets, tmp_path / "final"))
    tune, _ = run(make_job(datasets, tmp_path / "tune", kind="tune"))
    names = {row.name for row in METRICS}
    assert names <= final["metrics"].keys()
    assert {f"test/recall/{k}" for k in range(10)} <= final["metrics"].keys()
    assert not (names | {"test/recall/0"}) & tune["metrics"].keys()
    bits = np.frombuffer(base64.b64decode(final["predictions"]["correct"]), dtype=np.uint8)
    right = np.unpackbits(bits)[:96].mean()
    assert final["metrics"]["test/accuracy"] == pytest.approx(100 * right, rel=1e-6)
    counts = np.array(final["predictions"]["confusion"])
    assert counts.shape == (10, 10)
    assert counts.trace() / counts.sum() == pytest.approx(right)
    for k, row in enumerate(counts):
        recall = final["metrics"][f"test/recall/{k}"]
        assert recall == pytest.approx(100 * row[k] / row.sum())
    assert tune["predictions"] == {}
    assert 0 < final["metrics"]["train/eval_loss"] < 3  # ln 10 is what guessing costs


class Middle(nn.Module):
    """Says which of the four middle pixels of an image is the largest."""

    def forward(self, x: Tensor) -> Tensor:
        return x[:, 0, 1:3, 1:3].flatten(1)


def test_accuracy_under_translation_is_the_mean_of_four_directions():
    """An image is bright in one pixel, which only two moves keep among the four in the middle."""
    pixels = torch.zeros(4, 1, 4, 4, dtype=torch.uint8)
    for k in range(4):
        pixels[k, 0, 1 + k // 2, 1 + k % 2] = 200
    images = Images(
        pixels=pixels, rows=torch.arange(4), labels=torch.arange(4),
        scale=torch.ones(1, 1, 1), shift=torch.full((1, 1, 1), -3.0),
    )  # fmt: skip
    train, model = TrainConfig(), Middle()
    assert (answers(model, images, train).predicted == images.labels).all()
    up, down, left, right = (
        answers(model, images, train, move).predicted.tolist()
        for move in ((-1, 0), (1, 0), (0, -1), (0, 1))
    )
    assert (up, down) == ([0, 0, 0, 1], [2, 3, 0, 0])  # what has left the middle looks black: 0
    assert (left, right) == ([0, 0, 0, 2], [1, 0, 3, 0])
    asked = ("test/translated/1", "test/loss")
    found = requested(asked, model, images, train)
    assert found == {"test/translated/1": 100 * (1 + 0 + 1 + 0) / 16}
    assert requested(("test/translated/3",), model, images, train) == {"test/translated/3": 25.0}


def test_a_trial_measures_what_its_study_asks_for(datasets, tmp_path):
    job = dataclasses.replace(make_job(datasets, tmp_path / "a"), asked=("test/translated/1",))
    found, _ = run(job)
    plain, _ = run(make_job(datasets, tmp_path / "b"))
    assert found["metrics"].keys() - plain["metrics"].keys() == {"test/translated/1"}
    assert found["predictions"] == plain["predictions"]


def test_training_metrics_by_hand():
    found = Answers(
        predicted=torch.tensor([0, 1, 1, 0]), loss=np.array([0.1, 0.2, 0.3, 0.6]),
        confidence=np.ones(4), first=None,
    )  # fmt: skip
    assert train_metrics(found, torch.tensor([0, 1, 1, 1])) == {
        "train/eval_accuracy": 75.0, "train/eval_loss": pytest.approx(0.3),
    }  # fmt: skip


def test_every_metric_has_its_column():
    columns = {row.column: row.key for row in METRICS}
    assert columns == {column_of(key): key for key in ("test/accuracy", *MEASURED)}

"""Code with one fault put into it, and the tests that must see it: every newer switch has some.

`python -m tests.mutated [WORDS]` copies the package, changes one line of the copy, runs the tests
that are named beside it, and prints what nobody saw; of WORDS, those whose name has one. Mutants of
studies, which `plan` must survive, are in `tests/mutants.py`.
"""

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
SEEN, MISSED = 1, 0
"""Exit codes of pytest: a test failed; all passed."""
ROTARY, MIXTURES, CLASSICS = (
    f"models/test_{name}.py" for name in ("rotary", "mixtures", "classics")
)
OPTIM, EVALUATION = "training/test_optim.py", "training/test_evaluation.py"
PADDING = "models/test_padding.py"


@dataclass(frozen=True)
class Fault:
    """One line that is wrong.

    Attributes:
        file: below the package.
        right: what stands there, once.
        wrong: what is put in its place.
        tests: of which one fails at least, as `FILE::TEST` below `tests`.
    """

    file: str
    right: str
    wrong: str
    tests: tuple[str, ...]


LAYERS, FAMILIES = "models/layers", "models/families"
FAULTS = {
    # ---- positions that turn queries and keys
    "rope2d: columns in the order of rows": Fault(
        f"{LAYERS}/position.py",
        "columns.repeat(grid[0], 1)",
        "columns.repeat_interleave(grid[0], 0)",
        (f"{ROTARY}::test_turns_are_timms",),
    ),
    "rope2d: the base of texts": Fault(
        f"{LAYERS}/position.py",
        "BASE = 100.0",
        "BASE = 10_000.0",
        (f"{ROTARY}::test_turns_are_timms",),
    ),
    "rope2d: keys turned the other way": Fault(
        f"{LAYERS}/position.py",
        "self.similarity(self._turned(q), self._turned(k))",
        "self.similarity(self._turned(q), k)",
        (f"{ROTARY}::test_scores_depend_on_the_offset_alone",),
    ),
    "rope2d: the class token turns": Fault(
        f"{LAYERS}/position.py",
        "torch.zeros(prefix, depth // 2)",
        "torch.ones(prefix, depth // 2)",
        (f"{ROTARY}::test_a_prefix_is_not_turned",),
    ),
    "rope2d of ViT: not there": Fault(
        f"{FAMILIES}/vit.py",
        "kind = Rotary(grid, depth, kind, LAST, prefix=prefix(config))",
        "pass",
        (f"{ROTARY}::test_vit_turns_what_it_multiplies",),
    ),
    "rope of Swin: rows for columns": Fault(
        f"{FAMILIES}/swin.py",
        "kind = Rotary(stage.window, depth, kind, axes)",
        "kind = Rotary((stage.window[0] * stage.window[1], 1), depth, kind, axes)",
        (f"{ROTARY}::test_swin_turns_inside_windows",),
    ),
    # ---- gated MLPs
    "swiglu: added, not multiplied": Fault(
        f"{LAYERS}/mlp.py",
        "y = y * mlp.value(x)",
        "y = y + mlp.value(x)",
        ("models/test_small_parts.py::test_a_gated_mlp_equals_timms",),
    ),
    "swiglu: GELU in SiLU's place": Fault(
        f"{LAYERS}/mlp.py",
        '"swiglu": nn.SiLU',
        '"swiglu": nn.GELU',
        ("models/test_small_parts.py::test_a_gated_mlp_equals_timms",),
    ),
    "swiglu: as wide as without a gate": Fault(
        f"{LAYERS}/mlp.py",
        "max(1, round(2 * hidden / 3))",
        "hidden",
        ("models/test_small_parts.py::test_two_thirds_of_the_channels_are_rounded",),
    ),
    # ---- optimizers
    "muon: of all parameters but those": Fault(
        "training/optim.py",
        "parameter.requires_grad and name in hidden",
        "parameter.requires_grad and parameter.ndim == 2",
        (f"{OPTIM}::test_muon_moves_the_matrices_of_hidden_layers_and_adamw_the_rest",),
    ),
    "muon: Jordan's length of a step": Fault(
        "training/optim.py",
        'adjust_lr_fn="match_rms_adamw"',
        'adjust_lr_fn="original"',
        (f"{OPTIM}::test_muons_steps_are_near_a_rotation_of_the_length_that_adamw_has",),
    ),
    "muon: no decay": Fault(
        "training/optim.py",
        "weight_decay=train.weight_decay,",
        "weight_decay=0.0,",
        (
            f"{OPTIM}::test_muon_decays_hidden_matrices_by_their_rate_and_nothing_that_is_spared",
        ),
    ),
    "rmsprop: Adagrad": Fault(
        "training/optim.py",
        "torch.optim.RMSprop(settings",
        "torch.optim.Adagrad(settings",
        (f"{OPTIM}::test_optimizer_is_the_one_asked_for",),
    ),
    "adagrad: RMSProp": Fault(
        "training/optim.py",
        "torch.optim.Adagrad(settings",
        "torch.optim.RMSprop(settings",
        (f"{OPTIM}::test_optimizer_is_the_one_asked_for",),
    ),
    "weight_decay: coupled where torch's is": Fault(
        "training/optim.py",
        '{"weight_decay": train.l2, "decay": train.weight_decay}',
        '{"weight_decay": train.l2 + train.weight_decay}',
        (f"{OPTIM}::test_decay_is_decoupled_and_l2_is_not_in_every_optimizer",),
    ),
    "lr_scale: square for root": Fault(
        "config/train.py",
        '"sqrt": 0.5',
        '"sqrt": 2.0',
        (f"{OPTIM}::test_the_rate_follows_the_batch_as_it_is_asked_to",),
    ),
    "lr_scale: upside down": Fault(
        "config/train.py",
        "(self.batch / self.lr_batch)",
        "(self.lr_batch / self.batch)",
        (f"{OPTIM}::test_the_rate_follows_the_batch_as_it_is_asked_to",),
    ),
    # ---- what attends to what
    "causal: what comes later": Fault(
        f"{FAMILIES}/vit.py",
        "order[None, :] <= order[:, None]",
        "order[None, :] >= order[:, None]",
        (f"{MIXTURES}::test_no_patch_is_reached_by_one_that_comes_later",),
    ),
    "causal: the class token first": Fault(
        f"{FAMILIES}/vit.py",
        "patches + 1)\n    order",
        "0)\n    order",
        (f"{MIXTURES}::test_registers_are_read_first_and_the_class_token_last",),
    ),
    "additive: without its tanh": Fault(
        f"{LAYERS}/attention.py",
        "(q.unsqueeze(-2) + k.unsqueeze(-3)).tanh()",
        "q.unsqueeze(-2) + k.unsqueeze(-3)",
        (
            f"{MIXTURES}::test_additive_attention_of_vit",
            f"{MIXTURES}::test_additive_attention_of_swin_has_position_and_mask",
        ),
    ),
    "additive: no bias and no mask": Fault(
        f"{LAYERS}/attention.py",
        "self.drop(self.bias(scores).softmax(self.over)) @ v",
        "self.drop(scores.softmax(self.over)) @ v",
        (f"{MIXTURES}::test_additive_attention_of_swin_has_position_and_mask",),
    ),
    "pool = layers: shares that do not sum to 1": Fault(
        f"{LAYERS}/pool.py",
        "self.gamma * self.weights.softmax(0)",
        "self.gamma * self.weights.sigmoid()",
        (
            f"{MIXTURES}::test_the_sum_of_layers_is_elmos",
            f"{MIXTURES}::test_layers_start_at_equal_shares",
        ),
    ),
    "pool = layers: no factor": Fault(
        f"{LAYERS}/pool.py",
        "self.gamma * self.weights.softmax(0)",
        "self.weights.softmax(0)",
        (f"{MIXTURES}::test_the_sum_of_layers_is_elmos",),
    ),
    # ---- recurrent networks, LeNet
    "gru: the gate the other way round": Fault(
        f"{FAMILIES}/rnn.py",
        "keep * state + (1 - keep) * new",
        "(1 - keep) * state + keep * new",
        (f"{CLASSICS}::test_cells_equal_those_of_torch",),
    ),
    "gru: the reset gate before the matrix": Fault(
        f"{FAMILIES}/rnn.py",
        "(new + (reset + reset_too).sigmoid() * new_too).tanh()",
        "((reset + reset_too).sigmoid() * (new + new_too)).tanh()",
        (f"{CLASSICS}::test_cells_equal_those_of_torch",),
    ),
    "bidirectional: states in the order they were read": Fault(
        f"{FAMILIES}/rnn.py",
        "self.back(x.flip(1)).flip(1)",
        "self.back(x.flip(1))",
        (f"{CLASSICS}::test_reading_both_ways_equals_torchs",),
    ),
    "bidirectional: the last place of both": Fault(
        f"{FAMILIES}/rnn.py",
        "x[:, 0, half:]",
        "x[:, -1, half:]",
        (f"{CLASSICS}::test_reading_both_ways_equals_torchs",),
    ),
    "lenet: no margin": Fault(
        f"{FAMILIES}/lenet.py",
        "padding=KERNEL // 2",
        "padding=0",
        (f"{CLASSICS}::test_lenet_geometry_is_what_runs",),
    ),
    "lenet: pooled before it is activated": Fault(
        f"{FAMILIES}/lenet.py",
        "self.pool(self.act(self.norm1(self.conv1(x))))",
        "self.act(self.pool(self.norm1(self.conv1(x))))",
        ("models/test_parity.py::test_equal_under_the_same_weights[LeNet-5-torch]",),
    ),
    "lenet: the norm of the first map after it": Fault(
        f"{FAMILIES}/lenet.py",
        "self.act(self.norm3(self.fc1(x)))",
        "self.norm3(self.act(self.fc1(x)))",
        (
            "models/test_parity.py::test_equal_under_the_same_weights[LeNet-5_with_batch_norm-torch]",
        ),
    ),
    # ---- accuracy under translation
    "translated: down alone": Fault(
        "training/evaluation.py",
        "moves = ((-pixels, 0), (pixels, 0), (0, -pixels), (0, pixels))",
        "moves = ((pixels, 0),) * 4",
        (f"{EVALUATION}::test_accuracy_under_translation_is_the_mean_of_four_directions",),
    ),
    "translated: what leaves comes in again": Fault(
        "data/batches.py",
        "F.pad(pixels, (right, -right, down, -down)) if any(move) else pixels",
        "pixels.roll((down, right), (2, 3))",
        (f"{EVALUATION}::test_accuracy_under_translation_is_the_mean_of_four_directions",),
    ),
    # ---- what was mended
    "crop_margin: four pixels of every image": Fault(
        "data/augment/pipeline.py",
        "min(MARGIN, min(image.height, image.width) // SHARE)",
        "MARGIN",
        ("data/test_range.py::test_an_eighth_of_digits_keeps_their_ink",),
    ),
    "norm_fade: of the batch's steps": Fault(
        f"{LAYERS}/norm.py",
        "max(0.0, 1 - done / self.over)",
        "max(0.0, 1 - done * 0.5 / self.over)",
        ("training/test_fading.py::test_in_the_end_only_the_batch_norm_is_left",),
    ),
    "shift_mask = post000: behind the middle of odd windows": Fault(
        f"{LAYERS}/window.py",
        "at % window >= window // 2",
        "at % window >= window - window // 2",
        ("models/test_post000.py::test_its_mask_is_the_posts_at_odd_windows_too",),
    ),
    "pad = masked: zeros above an odd grid": Fault(
        f"{LAYERS}/merge.py",
        "F.pad(x, (0, 0, 0, columns, 0, rows))",
        "F.pad(x, (0, 0, columns, 0, rows, 0))",
        (f"{PADDING}::test_an_odd_grid_is_merged_as_torchvision_merges_it",),
    ),
    "window: rows and columns of a pair exchanged": Fault(
        f"{LAYERS}/window.py",
        "down * (2 * wide - 1) + right",
        "down * (2 * high - 1) + right",
        (f"{PADDING}::test_windows_with_unequal_sides_are_torchvisions",),
    ),
    "flip_vertical: left and right": Fault(
        "data/augment/turning.py",
        "pixels.flip(2)",
        "pixels.flip(3)",
        ("data/test_turning.py::test_a_share_of_the_images_is_upside_down",),
    ),
    "rotate: the other way": Fault(
        "data/augment/turning.py",
        "turn.cos() * x - turn.sin() * y",
        "turn.cos() * x + turn.sin() * y",
        ("data/test_turning.py::test_rotations_are_torchvisions",),
    ),
}  # fmt: skip
"""What is wrong -> the fault."""


def main(words: Sequence[str]) -> int:
    """Try all whose names have one of the words; prints those that nobody sees.

    Returns: 0 where all are seen.
    """
    chosen = {
        name: fault
        for name, fault in FAULTS.items()
        if any(word in name for word in words or [""])
    }
    with copied() as copy:
        everything = sorted({test for fault in chosen.values() for test in fault.tests})
        if (code := run(copy, everything)) != MISSED:
            print(f"without a fault: exit code {code}")
            return 1
        ends = {name: tried(copy, fault) for name, fault in chosen.items()}
    unseen = {name: code for name, code in ends.items() if code != SEEN}
    for name, code in unseen.items():
        print(f"not seen: {name}" if code == MISSED else f"{name}: exit code {code}")
    return len(unseen) > 0


@contextmanager
def copied() -> Iterator[Path]:
    """A copy of package and tests; what they read beside them is linked."""
    with tempfile.TemporaryDirectory() as folder:
        copy, skip = Path(folder), shutil.ignore_patterns("__pycache__", "home-*")
        for name in ("swinablate", "tests"):
            shutil.copytree(ROOT / name, copy / name, ignore=skip)
        for name in ("experiments", "studies", "pyproject.toml"):
            (copy / name).symlink_to(ROOT / name)
        yield copy


def tried(copy: Path, fault: Fault) -> int:
    """The exit code of a fault's tests with it."""
    path = copy / "swinablate" / fault.file
    text = path.read_text("utf-8")
    path.write_text(text.replace(fault.right, fault.wrong), "utf-8")
    try:
        return run(copy, fault.tests)
    finally:
        path.write_text(text, "utf-8")


def run(copy: Path, tests: Sequence[str]) -> int:
    """Run tests of the copy in a process of its own, which has the libraries already."""
    child = os.fork()
    if not child:
        code = 255
        try:
            code = _inside(copy, tests)
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _inside(copy: Path, tests: Sequence[str]) -> int:
    """In the child: the copy's code in place of ours, and nothing that is printed."""
    import pytest

    os.chdir(copy)
    sys.path.insert(0, str(copy))
    for name in [
        name for name in sys.modules if name.partition(".")[0] in {"tests", "swinablate"}
    ]:
        del sys.modules[name]
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 1)
    os.dup2(quiet, 2)
    words = [f"tests/{test}" for test in tests]
    # Its plugins' libraries were imported before it, which matters to their own assertions alone.
    quiet_too = ["-W", "ignore:Module already imported:pytest.PytestAssertRewriteWarning"]
    return int(pytest.main(["-q", "-x", "-p", "no:cacheprovider", *quiet_too, *words]))


if __name__ == "__main__":
    import timm  # noqa: F401  # what the tests import is imported once, and no file of ours
    import torch
    import torchvision  # noqa: F401

    sys.dont_write_bytecode = True  # a copy's line changes within the second that Python looks at
    torch.set_num_threads(1)  # a thread would be missing in the children
    sys.exit(main(sys.argv[1:]))

"""What the comments of shipped studies name: commands, and the files of weights that they make."""

import re
import shlex
import shutil
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import torch

from swinablate.config.recipe import derive
from swinablate.models.registry import load_family
from swinablate.study.files import load_study
from swinablate.study.plan import Arm
from swinablate.study.planner import plan

ROOT = Path(__file__).parents[2]
LINE = re.compile(r"^# {5}(swinablate .*)$", re.MULTILINE)
"""A command of a comment stands on a line of its own."""
TUNED = "fine_tuning"
"""The study that starts from weights which two commands of its comment make."""


@dataclass(frozen=True)
class Command:
    """A command of a comment.

    Attributes:
        words: what is typed after the study, but for `--set` and its values.
        settings: of `--set`.
    """

    name: str
    study: Path
    words: tuple[str, ...]
    settings: tuple[str, ...]


def commands(study: Path) -> list[Command]:
    """The commands of a study's comments, in their order."""
    found = []
    for line in LINE.findall(study.read_text("utf-8")):
        _, name, path, *rest = shlex.split(line)
        settings = [after for flag, after in pairwise(rest) if flag == "--set"]
        words = tuple(word for word in rest if word != "--set" and word not in settings)
        found.append(Command(name, ROOT / path, words, tuple(settings)))
    return found


def initial(arm: Arm) -> torch.nn.Module:
    """The network of an arm with its initial weights."""
    family, config = load_family(arm.recipe.model.family, ""), arm.recipe.model
    model = family.build(config, arm.image)
    family.init(model, config, lambda name: torch.Generator().manual_seed(derive(0, name)))
    return model


def placed(study: Path, folder: Path) -> Path:
    """The study as it stands, or where it needs files of weights, a copy of all with such files.

    The files are those that the comment's two commands would write, of untrained networks.
    """
    if study.stem != TUNED:
        return study
    for name in ("studies", "experiments"):
        shutil.copytree(ROOT / name, folder / name)
    train, keep = commands(study)[:2]
    source = plan(load_study(train.study, train.settings))
    arm, pattern = keep.words
    (trained,) = [found for found in source.arms if found.name == arm]
    weights = initial(trained).state_dict()
    for seed in range(2 * len(source.study.seeds)):
        torch.save(weights, folder / pattern.format(seed=seed))
    return folder / "studies" / study.name

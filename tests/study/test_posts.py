"""What "as written" means: the posts' own settings, and every difference named in the recipe."""

from pathlib import Path
from typing import Any

import pytest

from swinablate.config.data import DataConfig
from swinablate.config.train import TrainConfig
from swinablate.study.arms.recipes import load_recipe

FOLDER = Path(__file__).parents[2] / "experiments"
PLAIN = {"weight_decay": 0.0, "schedule": "constant", "warmup": 0.0, "clip": 0.0}
POSTS: dict[str, dict[str, Any]] = {
    "post000_cifar10": {
        "data": {"name": "cifar10", "normalisation": "half", "augment": "none"},
        "train": {"epochs": 10, "batch": 32, "optimizer": "adam", "lr": 3e-4, **PLAIN},
    },
    "post001_cifar10": {
        "data": {"name": "cifar10", "normalisation": "none", "augment": "none"},
        "train": {
            "epochs": 20, "batch": 1, "optimizer": "sgd", "momentum": 0.0, "lr": 0.01, **PLAIN,
        },
    },
}  # fmt: skip
"""What the code of a post says, in our fields. Post 002 has an encoder and no training."""
OTHERWISE = {
    "post000_cifar10": ("data.val_fraction", "last batch"),
    "post001_cifar10": ("data.val_fraction", "order of the files", "tests on nothing"),
}
"""Where a recipe cannot, or should not, do what its post does: words of its comment."""


@pytest.mark.parametrize("name", POSTS)
def test_a_recipe_of_a_post_has_the_posts_settings_and_defaults_for_the_rest(name):
    recipe, post = load_recipe(FOLDER / f"{name}.toml"), POSTS[name]
    train = TrainConfig(**post["train"])
    assert recipe.train == train
    spared = {field.partition(".")[2] for field in OTHERWISE[name] if field.startswith("data.")}
    ours, theirs = recipe.data.model_dump(), DataConfig(**post["data"]).model_dump()
    assert {key for key in ours if ours[key] != theirs[key]} <= spared


@pytest.mark.parametrize("name", POSTS)
def test_every_other_difference_is_named_in_the_recipe(name):
    lines = (FOLDER / f"{name}.toml").read_text().splitlines()
    comment = " ".join(line.removeprefix("# ") for line in lines if line.startswith("# "))
    _, _, differences = comment.partition("Not as in the post: ")
    assert all(words in differences for words in OTHERWISE[name])

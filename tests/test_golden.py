"""Values that may never change: they decide what recorded trials mean."""

import json
from pathlib import Path

import pytest

from swinablate.config import plugins
from swinablate.config.commands.schema import CommandConfig, MetricConfig
from swinablate.config.data import DataConfig
from swinablate.config.recipe import Recipe, StartConfig, derive, trial_id
from swinablate.config.train import TrainConfig
from swinablate.models.registry import load_family

GOLDEN = json.loads((Path(__file__).parent / "golden" / "defaults.json").read_text())


def defaults() -> dict[str, dict[str, object]]:
    found = {
        f"model.{name}": load_family(name, "").config().model_dump(mode="json")
        for name in plugins.names("swinablate.models.families")
    }
    data = DataConfig(name="digits").model_dump(mode="json")
    start = StartConfig().model_dump(mode="json")
    metric = MetricConfig(pattern="(.)")
    command = CommandConfig(run=("x",), metric=metric).model_dump(mode="json")
    return {
        **found, "data": data, "train": TrainConfig().model_dump(mode="json"), "start": start,
        "command": {k: v for k, v in command.items() if k not in {"run", "metric"}},
        "command.metric": {k: v for k, v in command["metric"].items() if k != "pattern"},
    }  # fmt: skip


@pytest.mark.parametrize("part", GOLDEN)
def test_no_default_has_changed(part):
    """Ids leave defaults out, so a default may be added but never changed."""
    now = defaults()[part]
    assert {key: now.get(key) for key in GOLDEN[part]} == GOLDEN[part]


def test_every_default_is_pinned():
    """A new field is added to tests/golden/defaults.json in the commit that adds it."""
    assert {part: sorted(values) for part, values in defaults().items()} == {
        part: sorted(values) for part, values in GOLDEN.items()
    }


def test_trial_ids_have_not_moved():
    config = load_family("swin", "").config(
        patch=1, width=16, depths=(2, 2), heads=(2, 4), window=2
    )
    recipe = Recipe(model=config, data=DataConfig(name="digits"))
    assert trial_id(recipe, 0) == GOLDEN_ID
    assert trial_id(recipe, 1) != GOLDEN_ID
    spelled_out = recipe.model_copy(update={"train": TrainConfig(epochs=15, lr=3e-3)})
    assert trial_id(spelled_out, 0) == GOLDEN_ID


def test_generator_seeds_have_not_moved():
    assert derive(0, "main", "order", 3) == 5336128824171497062
    assert derive(0, "main", "order", 3) != derive(0, "again", "order", 3)


GOLDEN_ID = "cf452c73eee94cc451bc3c55a9915fc3645401da0949f7a8641492fd5c54d943"

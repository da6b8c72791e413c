"""Every shipped study plans, and every arm of it can take a step of training."""

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from swinablate.config.recipe import derive
from swinablate.models.registry import load_family
from swinablate.study.cautions import cautions
from swinablate.study.files import load_study
from swinablate.study.plan import Arm
from swinablate.study.planner import plan

LONG = {
    "attention_claims", "bn_vs_ln", "cnn_classics", "family_macs", "family_params", "patch_stem",
    "post000_autopsy", "swinv2_parts",
}  # fmt: skip
"""Their networks take long to build and prove: `just integration` plans them."""
STUDIES = [
    pytest.param(path, id=path.stem, marks=[pytest.mark.integration] * (path.stem in LONG))
    for path in sorted((Path(__file__).parents[2] / "studies").glob("*.toml"))
]


def step(arm: Arm) -> tuple[float, float]:
    """Loss before and after a step on eight images of noise."""
    family, config = load_family(arm.recipe.model.family, ""), arm.recipe.model
    model = family.build(config, arm.image)
    family.init(model, config, lambda name: torch.Generator().manual_seed(derive(0, name)))
    chance = torch.Generator().manual_seed(0)
    size = (8, arm.image.channels, arm.image.height, arm.image.width)
    x, y = torch.empty(size).normal_(generator=chance), torch.arange(8) % arm.image.classes
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-4)
    losses = []
    for _ in range(2):
        torch.manual_seed(0)
        loss = F.cross_entropy(model(x), y)
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return losses[0], losses[1]


@pytest.mark.parametrize("path", STUDIES)
def test_every_shipped_study_plans_and_learns(path):
    found = plan(load_study(path))
    assert len(found.arms) > 1
    assert not found.refusals
    assert not [*cautions(found)]
    models = {arm.recipe.model.model_dump_json(): arm for arm in found.arms}
    for arm in models.values():
        before, after = step(arm)
        assert after < before, arm.name

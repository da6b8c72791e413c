"""A study with committed records, as the pages that tell of it need it."""

import csv
import io
import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from swinablate.records.plan import PlanRecord
from swinablate.report.drawing import numbers
from swinablate.report.families.further import among, blocks_of
from swinablate.report.families.tuned_verdicts import SUFFIX
from swinablate.report.page import md
from swinablate.report.prose import hypotheses
from swinablate.report.results import StudyResults
from swinablate.stats import ARMS, CONTRASTS, TUNED, TUNED_CONTRASTS
from swinablate.text import counted
from tests.committed import REPORTS, committed, opened
from tests.costs import WHOLE, label

TUNINGS = {TUNED, TUNED_CONTRASTS}


@dataclass(frozen=True)
class Answered:
    """A study with committed records."""

    name: str
    plan: PlanRecord
    verdicts: Mapping[str, Any]
    hours: float
    trials: Sequence[Mapping[str, str]]

    @property
    def study(self) -> str:
        """The file in studies/ without its ending; a variant's study has other settings."""
        return self.name.partition("@")[0]

    @property
    def link(self) -> str:
        """To its report."""
        return f"[{md(self.name)}]({self.name.replace(' ', '%20')}/report.md)"

    @property
    def setting(self) -> str:
        """What it was trained on: an answer is one about that."""
        base = self.plan.baseline
        train, image = base.recipe.get("train", {}), base.image
        steps = train.get("steps")
        how = counted(steps, "step") if steps else counted(train.get("epochs", 0), "epoch")
        share = 100 * base.recipe.get("data", {}).get("train_fraction", 1.0)
        some = "" if share == 100 else f"{share:g} % of "
        size = f"{image.get('height')}x{image.get('width')}"
        return f"{some}{base.dataset} {size}, {numbers.count(base.params)} parameters, {how}"

    @cached_property
    def compared(self) -> dict[str, Mapping[str, Any]]:
        """All that was judged, by what it is called; `NAME | QUANTITY` of other quantities."""
        found = {arm["name"]: arm for arm in self.verdicts["arms"]}
        arms = [*found]
        rows = self.verdicts.get("tuning", {}).get("arms", ())
        tuned = {f"{row['name']}{SUFFIX}": row.get("sentence") for row in rows}
        if self.plan.design == "path":
            last = max(self.plan.arms, key=lambda arm: len(arm.changes)).name
            found[WHOLE] = {
                **found[last],
                "sentence": found[last]["sentence"].replace(last, WHOLE),
            }
        for one in self.verdicts["contrasts"]:
            if one["family"] not in {ARMS, "curve"}:  # along the curve: what decides nothing
                named = label(one["name"], one["kind"], arms)
                found.setdefault(
                    named, {**one, "sentence": one.get("sentence") or tuned.get(named)}
                )
        for block in blocks_of(self.verdicts):
            rows = [*block["arms"], *among(block)]
            found |= {f"{one['name']} | {block['metric']}": {**one, "of": block} for one in rows}
        for one in self.verdicts.get("scale", ()):
            said = f"{one['arm']} over {one['rungs'][0]['rung']} to {one['rungs'][-1]['rung']}"
            trend = {"delta_pp": one["slope"], "verdict": one["answer"]}
            sentence = f"{said}: {one['sentence']}"
            found[f"{one['arm']} | scale"] = {**one, **trend, "sentence": sentence}
        return found

    @property
    def first(self) -> dict[str, Mapping[str, Any]]:
        """Of what was judged what the study is about: arms, and what was declared of them."""
        arms = {arm["name"] for arm in self.verdicts["arms"]}
        said = {one["name"] for one in self.verdicts["contrasts"] if one["family"] == CONTRASTS}
        return {name: one for name, one in self.compared.items() if name in arms | said}

    @property
    def effects(self) -> dict[str, Mapping[str, Any]]:
        """What the study's design is made to tell: single changes, steps of a path, main effects.

        Cells of a factorial design or of a path are several changes at once, and say less. Where
        every arm was tuned, that is what was asked.
        """
        if self.plan.tune:
            return {n: one for n, one in self.compared.items() if one.get("family") in TUNINGS}
        if self.plan.design == "one_at_a_time":
            return self.first
        cells = {arm.name for arm in self.plan.arms if arm.cell}
        kinds = {"step", "main effect"}
        found = {n: one for n, one in self.compared.items() if one.get("kind") in kinds}
        return found | {name: one for name, one in self.first.items() if name not in cells}

    @cached_property
    def hypotheses(self) -> list[dict[str, Any]]:
        """As the report has them."""
        empty = pd.DataFrame()
        return hypotheses(
            StudyResults(
                plan=self.plan, trials=empty, curves=empty, verdicts=self.verdicts, provenance={}
            )
        )

    def seconds(self, arm: str) -> float:
        """What one more trial of an arm takes, as these took, with all that is around it."""
        times = [(row["arm"], float(row["train_s"])) for row in self.trials if row["train_s"]]
        total = sum(time for _, time in times)
        own = [time for name, time in times if name == arm]
        if not own or not total:
            return 0.0
        return statistics.median(own) * self.hours * 3600 / total


@cache
def answered(reports: Path = REPORTS) -> tuple[Answered, ...]:
    """Every study with committed records; read once."""
    return tuple(_answered(folder) for folder in committed(reports))


def _answered(folder: Path) -> Answered:
    bundle = opened(folder)
    about = bundle.about
    plan = json.loads(bundle.read(f"study/{about['declaration']}/plan.json"))
    rows = csv.DictReader(io.StringIO(bundle.read("report/trials.csv").decode()))
    return Answered(
        name=about["study"],
        plan=PlanRecord.model_validate(plan),
        verdicts=json.loads(bundle.read("report/verdicts.json")),
        hours=json.loads(bundle.read("environment.json"))["trials"]["hours"],
        trials=[*rows],
    )

"""What a study will do, as values: arms, trials, refusals, the plan."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from swinablate.config import schema
from swinablate.config.data import DataConfig
from swinablate.config.family import ImageSpec
from swinablate.config.levels import Level
from swinablate.config.recipe import CommandRecipe, Recipe, StartConfig, identity, mended, trial_id
from swinablate.data import image_spec, revised_batch, revisions
from swinablate.errors import InputError
from swinablate.models.diff import Proof
from swinablate.models.external.mended import revised_network
from swinablate.records.scale import DatasetsRecord, ScaleRecord
from swinablate.stats.estimate import BASELINE_RATIO
from swinablate.study.files import BASELINE, Study
from swinablate.study.matching import Matched
from swinablate.text import html_table, named_level

if TYPE_CHECKING:
    import pandas as pd

Kind = Literal["final", "tune"]


@dataclass(frozen=True, kw_only=True)
class Arm:
    """One variant of the baseline; `changes` is empty for the baseline itself.

    Attributes:
        cell: a point of the design spanned by the axes, and no named arm.
        differs: every recipe path whose value differs from the baseline's: (ours, theirs).
        geometry: the effective numbers of each stage.
        macs: multiply-accumulates of one image, forward.
        activation_bytes: what a training step keeps of one image, in fp32.
        image: what it is shown; None where it is a command, of which sizes are unknown, too.
        match: what was solved to make the arm as large as the baseline.
        proof: how its network differs from the baseline's; of the baseline, None.
        idle: changes of the model without which the arm would be the same.
        starts: kind and seed of a trial -> what it starts from, where every seed has a file of
            weights of its own; empty where the recipe says it for all.
        fitted: what is done to the weights that it starts from, before they fit; mostly nothing.
        odd: what its network, of somebody's own, does that nobody expects; mostly nothing.
        against: the arm that it is compared with instead of the baseline; mostly empty.
        splits: seed -> `data.split_seed` of its final trial, where a study draws splits.
    """

    name: str
    changes: Mapping[str, Level]
    cell: bool
    differs: Mapping[str, tuple[Level, Level]]
    recipe: Recipe
    image: ImageSpec | None
    geometry: tuple[dict[str, Any], ...]
    params: int | None
    macs: int | None
    activation_bytes: int | None
    match: Matched | None
    proof: Proof | None
    idle: tuple[str, ...]
    seeds: tuple[int, ...]
    starts: Mapping[tuple[Kind, int], StartConfig]
    fitted: tuple[str, ...] = ()
    odd: tuple[str, ...] = ()
    against: str = ""
    splits: Mapping[int, int] = field(default_factory=dict)

    @property
    def shown(self) -> dict[str, int]:
        """The images as plain data; nothing where there are none."""
        found: dict[str, int] = self.image.model_dump(mode="json") if self.image else {}
        return found

    def elsewhere(
        self, after: str, moved: Mapping[str, Level], differs: Mapping[str, tuple[Level, Level]]
    ) -> "Arm":
        """The same at another scale or on other data: no cell of the study's design.

        Args:
            after: what its name ends in there.
            moved: what is changed there, for every arm.
            differs: how it differs from the study's baseline.
        """
        beside = self.against and self.against != BASELINE
        return replace(
            self,
            name=f"{self.name}{after}",
            changes={**moved, **self.changes},
            cell=False,
            differs=differs,
            against=f"{self.against}{after}" if beside else "",
        )

    @property
    def data(self) -> tuple[DataConfig, ...]:
        """What its final trials are shown: its recipe's data, and other splits of them."""
        own = self.recipe.data
        splits = dict.fromkeys(self.splits.values())
        cuts = (own.model_copy(update={"split_seed": split}) for split in splits)
        return tuple(dict.fromkeys((own, *cuts)))

    def trial(self, seed: int, recipe: Recipe | None = None, kind: Kind = "final") -> "Trial":
        """The trial of a seed, with the file of weights and the split of its own, if it has any.

        Args:
            seed: of the trial.
            recipe: the arm's as tuning changed it; None is the arm's own.
            kind: of the trial.
        """
        recipe = recipe or self.recipe
        start = self.starts.get((kind, seed), recipe.start)
        recipe = recipe.model_copy(update={"start": start})
        if kind == "final" and seed in self.splits:
            data = recipe.data.model_copy(update={"split_seed": self.splits[seed]})
            recipe = recipe.model_copy(update={"data": data})
        return Trial(arm=self.name, recipe=recipe, seed=seed, kind=kind)


def revised(recipe: Recipe) -> dict[str, int]:
    """Field -> revision of its meaning, of those that a recipe uses and that were mended."""
    if isinstance(recipe, CommandRecipe):
        return {}
    return {
        **revisions(recipe.data),
        **mended(recipe),
        **revised_batch(recipe),
        **revised_network(recipe, image_spec(recipe.data)),
    }


@dataclass(frozen=True, kw_only=True)
class Trial:
    """The unit of work: a recipe and a seed. Its id is its content."""

    arm: str
    recipe: Recipe
    seed: int
    kind: Kind = "final"

    @cached_property
    def id(self) -> str:
        """Content address: equal trials are the same trial, in any study."""
        return trial_id(self.recipe, self.seed, self.revised)

    @cached_property
    def revised(self) -> Mapping[str, int]:
        """Field -> revision of its meaning, where the recipe uses one that was mended."""
        return revised(self.recipe)

    @property
    def first_id(self) -> str:
        """What the id was before any meaning was mended; `id` where the recipe uses none."""
        return trial_id(self.recipe, self.seed)


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """An arm that cannot be built, or that is another one, and why. Reported, never dropped."""

    name: str
    changes: Mapping[str, Level]
    cell: bool
    reason: str
    same_as: str | None = None

    def elsewhere(self, after: str) -> "Refusal":
        """The same at another scale or on other data, where its name ends so."""
        return replace(
            self,
            name=f"{self.name}{after}",
            cell=False,
            same_as=f"{self.same_as}{after}" if self.same_as else None,
        )


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Everything a study will do; the first arm is the baseline.

    Attributes:
        scale: the rungs at which every arm is trained, where there are several.
        datasets: the data sets on which every arm is trained, where there are several.
        at_home: of either, the plan of the one that the study's verdicts are about.
    """

    study: Study
    arms: tuple[Arm, ...]
    refusals: tuple[Refusal, ...]
    scale: ScaleRecord | None = None
    datasets: DatasetsRecord | None = None
    at_home: "Plan | None" = None

    @property
    def home(self) -> "Plan":
        """The arms that are compared by the study's verdicts, of one rung and data set."""
        return self.at_home or self

    @property
    def networks(self) -> tuple[Arm, ...]:
        """The arms that we train; the others are commands of somebody's."""
        return tuple(arm for arm in self.arms if not isinstance(arm.recipe, CommandRecipe))

    @cached_property
    def trials(self) -> tuple[Trial, ...]:
        """All final trials at the fixed recipes, seeds outermost.

        An interrupted study still has whole replicates.
        """
        seeds = sorted({seed for arm in self.arms for seed in arm.seeds})
        return tuple(arm.trial(seed) for seed in seeds for arm in self.arms if seed in arm.seeds)

    def frame(self) -> "pd.DataFrame":
        """A row for every arm, the baseline first.

        Returns:
            `arm`, `changes` in words, `family`, `seeds` (how many), `params`, and of one image
            `macs` and `activation_bytes` (what a training step keeps).
        """
        import pandas as pd

        return pd.DataFrame(self._rows())

    def _rows(self) -> list[dict[str, Any]]:
        return [
            {
                "arm": arm.name,
                "changes": ", ".join(f"{x}={named_level(y)}" for x, y in arm.changes.items()),
                "family": arm.recipe.model.family,
                "seeds": len(arm.seeds),
                "params": arm.params,
                "macs": arm.macs,
                "activation_bytes": arm.activation_bytes,
            }
            for arm in self.arms
        ]

    def _repr_html_(self) -> str:
        least, most = self.fewest, self.most
        count = f"{least} to {most}" if least < most else str(most)
        refused = [f"Refused: {one.name}: {one.reason}" for one in self.refusals]
        lines = [self.study.question, f"{count} trials", *refused]
        return html_table(self._rows(), self.study.name, *lines)

    @property
    def fewest(self) -> int:
        """Trials until the study may be over: all, or those of the first look.

        Tuning may choose the recipe an arm had: its final trials then ran already.
        """
        if not self.study.looks:
            return sum(len(arm.seeds) for arm in self.arms) + self.tries
        return self.study.looks[0] * (BASELINE_RATIO + len(self.arms) - 1)

    def check_budget(self) -> None:
        """Refuse a budget that ends a study before its first look: it would train for nothing.

        Raises:
            InputError: the first look needs more trials.
        """
        budget = self.study.budget.trials
        if self.study.looks and budget is not None and budget < self.fewest:
            raise InputError(
                f"the first look needs {self.fewest} trials, the budget has {budget}",
                at=f"{self.study.file}: budget.trials",
                hint="give the study more trials, or fewer arms",
            )

    @property
    def tries(self) -> int:
        """Trials of tuning, over all arms."""
        tune = self.study.tune
        return 0 if tune is None else sum(tune.tries(len(arm.seeds)) for arm in self.arms)

    @property
    def most(self) -> int:
        """Trials there can be: with tuning, every final trial once more at another recipe."""
        finals = len(self.trials)
        return finals if self.study.tune is None else 2 * finals + self.tries

    @property
    def declaration(self) -> str:
        """Digest of all that was declared before launch; another one is another analysis."""
        study = self.study
        also: dict[str, Any] = {"looks": list(study.looks)} if study.looks else {}
        if study.tune is not None:
            also["tune"] = study.tune.model_dump(mode="json")
        if study.noise is not None:
            also["noise"] = study.noise.declared
        if study.contrasts:
            also["contrasts"] = [[one.name, one.of] for one in study.contrasts]
        if against := {arm.name: arm.against for arm in self.arms if arm.against}:
            also["against"] = against
        if self.scale is not None:
            also["scale"] = self.scale.declared()
        if self.datasets is not None:
            also["data"] = self.datasets.declared()
        return schema.digest(
            {
                **also,
                "design": study.design,
                "arms": [
                    [
                        a.name,
                        identity(a.recipe, revised(a.recipe)),
                        list(a.seeds),
                        *_digests(a),
                    ]
                    for a in self.arms
                ],
                "refusals": sorted(r.name for r in self.refusals),
                "compare": schema.sparse(study.compare),
                "hypotheses": [schema.sparse(h) for h in study.hypotheses],
            }
        )


def _digests(arm: Arm) -> list[list[str]]:
    """Of the files of the single seeds, for a declaration; nothing where there are none."""
    return [[start.sha256 for start in arm.starts.values()]] if arm.starts else []

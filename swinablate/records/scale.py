"""The rungs and the data sets of a study as they are recorded."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field

from swinablate.records.tuning import LATER, Record


class RungRecord(Record):
    """One scale at which arms are trained, or for which their effects are predicted.

    Attributes:
        label: `width=24`.
        changes: recipe path -> level, as written.
        ruled: recipe path -> value that a rule gave it here.
        value: how large it is, in what `by` names, of the baseline.
        arms: arm -> its name at this rung; refused ones are missing. Empty where nothing trains.
    """

    label: str
    changes: Mapping[str, Any]
    ruled: Annotated[Mapping[str, float], LATER] = Field(default_factory=dict)
    value: float
    arms: Mapping[str, str] = Field(default_factory=dict)


class ScaleRecord(Record):
    """Scales at which every arm is trained, the smallest first.

    Attributes:
        by: what is doubled: params, macs, images, epochs; of the baseline.
        home: label of the rung whose arms have their plain names, and whose verdicts are the
            study's.
        rungs: the smallest first.
        predict: the scale that is predicted; nothing is trained there.
        rules: recipe path -> power of the axis with which its value moves.
        detectable_pp: half width of a slope's interval for one arm, per doubling, were the sd of
            a difference known; None if it is not.
        predicted_pp: the same of the line at `predict`.
    """

    axis: str = ""
    by: str
    home: str
    rungs: tuple[RungRecord, ...]
    predict: RungRecord | None = None
    rules: Annotated[Mapping[str, float], LATER] = Field(default_factory=dict)
    detectable_pp: float | None = None
    predicted_pp: float | None = None

    def declared(self) -> dict[str, Any]:
        """What of it is declared before launch, for the digest of a study."""
        return {
            "by": self.by,
            "home": self.home,
            "rungs": [[rung.label, dict(rung.changes), dict(rung.arms)] for rung in self.rungs],
            "predict": dict(self.predict.changes) if self.predict else None,
        }

    @property
    def others(self) -> frozenset[str]:
        """Names of the arms at all rungs but the one whose arms have their plain names."""
        away = (rung for rung in self.rungs if rung.label != self.home)
        return frozenset(name for rung in away for name in rung.arms.values())

    @property
    def suffixes(self) -> tuple[str, ...]:
        """What stands behind arms' names at the other rungs."""
        return tuple(suffix(rung.label) for rung in self.rungs if rung.label != self.home)


class DatasetRecord(Record):
    """One data set on which arms are trained.

    Attributes:
        label: what it is called.
        changes: recipe path -> level, of the baseline; `data.name` first.
        images: of its training split; None if it is known only when it is read.
        arms: arm -> its name on this data set; refused ones are missing.
    """

    label: str
    changes: Mapping[str, Any]
    images: int | None = None
    arms: Mapping[str, str] = Field(default_factory=dict)


class DatasetsRecord(Record):
    """Data sets on which every arm is trained, as the file has them.

    Attributes:
        home: label of the one whose arms have their plain names, and whose verdicts are the
            study's.
        detectable_pp: half width of the interval of an arm's mean over them, were the sd of a
            difference known, and effects everywhere the same; None if it is not, or of two.
        spread_pp: an sd of effects between data sets, from which `spread_detectable_pp` follows.
        spread_detectable_pp: the same half width, were they to differ so much.
    """

    home: str
    sets: tuple[DatasetRecord, ...]
    detectable_pp: Annotated[float | None, LATER] = None
    spread_pp: Annotated[float | None, LATER] = None
    spread_detectable_pp: Annotated[float | None, LATER] = None

    def declared(self) -> dict[str, Any]:
        """What of it is declared before launch, for the digest of a study."""
        return {
            "home": self.home,
            "sets": [[one.label, dict(one.changes), dict(one.arms)] for one in self.sets],
        }

    @property
    def others(self) -> frozenset[str]:
        """Names of the arms on all data sets but the one whose arms have their plain names."""
        away = (one for one in self.sets if one.label != self.home)
        return frozenset(name for one in away for name in one.arms.values())

    @property
    def suffixes(self) -> tuple[str, ...]:
        """What stands behind arms' names on the other data sets."""
        return tuple(on(one.label) for one in self.sets if one.label != self.home)


def suffix(label: str) -> str:
    """What stands behind an arm's name at another rung than home."""
    return f" at {label}"


def on(label: str) -> str:
    """What stands behind an arm's name on another data set than home."""
    return f" on {label}"

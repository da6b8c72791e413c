"""Studies and recipes with something wrong in them: what `plan` must survive, drawn by hypothesis.

A mutant is a shipped study with its recipes, as TOML tables; up to three things in them are
dropped, doubled, swapped, blown up or replaced, and sometimes the text itself is torn.
"""

import copy
import datetime
import json
import math
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from swinablate.config import plugins
from swinablate.config.data import DataConfig
from swinablate.config.family import Switch
from swinablate.config.recipe import StartConfig
from swinablate.config.train import TrainConfig
from swinablate.models.registry import load_family

ROOT = Path(__file__).parents[1]
TEXTS = (
    "", " ", "\t", "a" * 10_000, "\u202e", "\x1b[2J", "\x7f", "../../..", "/", "/dev/zero", "~", ".",
    "baseline", "{seed}", "{0}", "%s", "nan", "=1+1", "<b>", "\N{COLLISION SYMBOL}", "None", "auto",
    "sys:exit", "builtins:print", "nobody:Net", ":", "a:b:c", "model", "model.shift", "train.lr",
    "image_folder", "shapes", "vit", "swin", "test/accuracy", "1e3", "\\", '"', "'''", "[", "\n",
)  # fmt: skip
NUMBERS = (
    0, -1, 1, 2, 3, 7, 33, 1000, 2**31, 2**53, 2**63 - 1, -(2**63), 10**12, 0.0, -0.0, 0.1, 0.5, 1.5,
    1e-300, 5e-324, 1e-9, 1e9, 1e300, math.inf, -math.inf, math.nan,
)  # fmt: skip
ODD = (True, False, [], {}, [[]], [1, 2], [0.1, 0.1], ["x"], [{}], {"x": 1}, {"": ""}, {"a.b": [1]},
       {"low": 1, "high": 2}, {"low": 0, "high": 1.0, "log": True}, datetime.date(2026, 1, 1),
       datetime.time(1, 2), list(range(60)))  # fmt: skip
KEYS = (
    "question", "baseline", "seeds", "baseline_seeds", "design", "axes", "arms", "compare", "adaptive",
    "tune", "budget", "hypotheses", "contrasts", "contrast", "of", "against", "recipe", "model", "data", "train", "start", "claim", "x", "",
)  # fmt: skip
SWITCHES = (
    "recipe", "model", "data", "train", "start", "model.window", "model.depths", "model.heads", "model.width",
    "model.patch", "model.norm", "model.position_bias", "model.mlp_ratio", "model.drop_path",
    "model.family", "data.name", "data.image", "data.root", "data.limit", "data.val_fraction",
    "data.train_fraction", "data.split_seed", "data.cutout", "data.mixup", "data.resized_crop",
    "train.batch", "train.steps", "train.epochs", "train.lr", "train.accumulate", "train.stream",
    "train.warmup", "train.betas", "train.threads", "start.weights", "start.sha256", "start.freeze",
    "study.seeds", "a.b.c", "",
)  # fmt: skip
TORN = ("\0", "\ufeff", "]", '"', "'''", "=", "\r", "\x1b", "\n[axes]\n", "\n[[arms]]\n")

Doc = dict[str, Any]
Path_ = tuple[str | int, ...]
VALUES = (
    st.sampled_from(TEXTS) | st.sampled_from(NUMBERS) | st.sampled_from(ODD).map(copy.deepcopy)
)


@dataclass(frozen=True)
class Mutant:
    """A study and the recipes beside it, as text; and what is typed after its name."""

    study: str
    recipes: Mapping[str, str]
    words: tuple[str, ...]

    def write(self, folder: Path) -> Path:
        """Put it into an empty folder; returns the study's path."""
        for name, text in self.recipes.items():
            (folder / name).write_text(text, encoding="utf-8", newline="")
        path = folder / "study.toml"
        path.write_text(self.study, encoding="utf-8", newline="")
        return path


def toml(table: Doc) -> str:
    """A table as TOML: every value inline, after its key."""
    return "".join(f"{json.dumps(key)} = {_inline(value)}\n" for key, value in table.items())


def _inline(value: Any) -> str:
    if isinstance(value, dict):
        return f"{{ {', '.join(f'{json.dumps(k)} = {_inline(v)}' for k, v in value.items())} }}"
    if isinstance(value, list):
        return f"[{', '.join(map(_inline, value))}]"
    if isinstance(value, bool | str):
        return json.dumps(value).replace("\x7f", "\\u007f")
    return str(value) if isinstance(value, int | datetime.date | datetime.time) else repr(value)


def shipped(name: str, arms: int) -> tuple[Doc, dict[str, Doc]]:
    """A study of ours with the first of its arms, and its recipes by the name of their file."""
    study = tomllib.loads((ROOT / "studies" / name).read_text("utf-8"))
    study["axes"] = dict(list(study.get("axes", {}).items())[:arms])
    study["arms"] = study.get("arms", [])[:arms]
    kept = {arm["name"] for arm in study["arms"]}
    study["hypotheses"] = [one for one in study.get("hypotheses", []) if one.get("arm") in kept]
    for arm in study["arms"]:
        if arm.get("against") not in kept:
            arm.pop("against", None)
    # One comparison of what is left, with a claim about it: those of the file need other arms.
    if kept:
        first = study["arms"][0]["name"]
        study["contrasts"] = [{"name": "gap", "of": {first: 1, "baseline": -1}}]
        study["hypotheses"].append({"contrast": "gap", "expect": "better"})
    recipes: dict[str, Doc] = {}
    for holder, key in [(study, "baseline"), *((arm, "recipe") for arm in study["arms"])]:
        if key in holder:
            path = ROOT / "studies" / holder[key]
            holder[key] = path.name
            recipes[path.name] = tomllib.loads(path.read_text("utf-8"))
    return study, recipes


@st.composite
def mutants(draw: st.DrawFn, names: tuple[str, ...], arms: int) -> Mutant:
    """One of the named studies, with something wrong."""
    study, recipes = shipped(draw(st.sampled_from(names)), arms)
    for _ in range(draw(st.sampled_from([1, 1, 1, 2, 3]))):
        if draw(st.booleans()):
            _vary(draw, study, recipes)
        else:
            docs = [study, *(recipes[name] for name in sorted(recipes))]
            _change(draw, docs[draw(st.integers(0, len(docs) - 1))])
    texts = {"": toml(study)} | {name: toml(doc) for name, doc in recipes.items()}
    if draw(st.integers(0, 5)) == 0:
        name = draw(st.sampled_from(sorted(texts)))
        texts[name] = _tear(draw, texts[name])
    words: tuple[str, ...] = ()
    if draw(st.integers(0, 3)) == 0:
        key, value = draw(st.sampled_from(SWITCHES)), draw(VALUES)
        words = ("--set", f"{key}={_inline(value)}")
    if draw(st.booleans()):
        words += ("--json",)
    return Mutant(texts.pop(""), texts, words)


def _vary(draw: st.DrawFn, study: Doc, recipes: Mapping[str, Doc]) -> None:
    """An axis of a switch that exists, or a field of a recipe: values that may be right."""
    recipe = recipes.get(str(study.get("baseline")), {})
    model = recipe.get("model")
    family = str(model.get("family")) if isinstance(model, dict) else ""
    levels = COMMON | FAMILIES.get(family, {})
    path = draw(st.sampled_from(sorted(levels)))
    known = list(levels[path])
    like = _like(known[0]) if draw(st.booleans()) else VALUES
    part, _, field = path.partition(".")
    if draw(st.booleans()) and isinstance(recipe.setdefault(part, {}), dict):
        recipe[part][field] = draw(st.sampled_from(known) | like)
    elif isinstance(study.setdefault("axes", {}), dict):
        study["axes"] = {
            path: draw(st.lists(st.sampled_from(known) | like, min_size=1, max_size=2))
        }


def _marked(part: str, config: Any) -> dict[str, tuple[Any, ...]]:
    """Path of every switch -> levels worth comparing, as TOML has them."""
    return {
        f"{part}.{name}": tuple(json.loads(json.dumps(mark.levels)))
        for name, field in config.model_fields.items()
        for mark in field.metadata
        if isinstance(mark, Switch)
    }


COMMON = {
    **_marked("train", TrainConfig),
    **_marked("data", DataConfig),
    **_marked("start", StartConfig),
}
# Imported here, once: hypothesis forbids what an import does with random numbers while it draws.
FAMILIES = {
    name: _marked("model", load_family(name, "mutant").config)
    for name in plugins.names("swinablate.models.families")
}


def _like(value: Any) -> st.SearchStrategy[Any]:
    """Values of the same type."""
    if isinstance(value, bool):
        return st.booleans()
    if isinstance(value, int | float):
        kind = type(value)
        found = [x for x in NUMBERS if type(x) is kind and x > 0]
        return st.sampled_from(found) | st.integers(1, 16).map(
            lambda n: kind(n) / kind(2) if kind is float else n
        )
    if isinstance(value, str):
        return st.sampled_from(TEXTS)
    return st.lists(st.integers(1, 8), min_size=1, max_size=4)


def _change(draw: st.DrawFn, doc: Doc) -> None:
    """Do one thing to a table, in place."""
    kinds = ["add", "drop", "double", *EXCHANGES]
    kind = draw(st.sampled_from(["axis", *kinds] if "question" in doc else kinds))
    paths = list(_paths(doc))
    if kind == "axis" and isinstance(doc.setdefault("axes", {}), dict):
        doc["axes"][draw(st.sampled_from(SWITCHES))] = draw(st.lists(VALUES, max_size=3))
    elif kind in {"axis", "add"} or not paths:
        doc[draw(st.sampled_from(KEYS))] = draw(VALUES)
    else:
        path = draw(st.sampled_from(paths))
        holder, last = _at(doc, path[:-1]), path[-1]
        if kind == "drop":
            del holder[last]
        elif kind == "double":
            _double(draw, holder, last)
        else:
            other = _at(doc, draw(st.sampled_from(paths)))
            holder[last] = EXCHANGES[kind](draw, holder[last], other)


def _double(draw: st.DrawFn, holder: Any, last: str | int) -> None:
    value = copy.deepcopy(holder[last])
    if isinstance(holder, list):
        holder.append(value)
    else:
        holder[f"{last}{draw(st.sampled_from(['s', '_', '.', 'x' * 90]))}"] = value


def _blown(draw: st.DrawFn, value: Any) -> Any:
    """A number some orders off; of anything else, much of it."""
    power = draw(st.integers(-12, 15))
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, int):
        return draw(
            st.sampled_from([min(value * 10 ** abs(power), 2**63 - 1), -value, float(value)])
        )
    if isinstance(value, float):
        return draw(st.sampled_from([value * 10.0**power, -value, round(value)]))
    if isinstance(value, str):
        return value * draw(st.sampled_from([2, 100]))
    return value * draw(st.sampled_from([2, 50])) if isinstance(value, list) else [value]


EXCHANGES: Mapping[str, Callable[[st.DrawFn, Any, Any], Any]] = {
    "replace": lambda draw, value, other: draw(VALUES),
    "blow": lambda draw, value, other: _blown(draw, value),
    "swap": lambda draw, value, other: copy.deepcopy(other),
    "wrap": lambda draw, value, other: draw(
        st.sampled_from([[value], {"x": value}, [value, value]])
    ),
}
"""What may come in the place of a value: (it, another one of the document) -> the new one."""


def _tear(draw: st.DrawFn, text: str) -> str:
    at = draw(st.integers(0, len(text)))
    return draw(
        st.sampled_from(
            [text[:at], text[:at] + draw(st.sampled_from(TORN)) + text[at:], text + text]
        )
    )


def _paths(value: Any, path: Path_ = ()) -> Iterator[Path_]:
    inside: Any = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    for key, item in inside:
        yield (*path, key)
        yield from _paths(item, (*path, key))


def _at(value: Any, path: Path_) -> Any:
    for key in path:
        value = value[key]
    return value

"""Commented study files to start from, with the recipes that they name."""

import shlex
from pathlib import Path

from swinablate.config.plugins import did_you_mean
from swinablate.errors import InputError
from swinablate.records.disk.files import write_atomically
from swinablate.records.launch import as_typed, program
from swinablate.study.starters.templates import DEFAULT, RECIPE, TEMPLATES, check_new


def write_template(name: str, folder: Path, template: str = DEFAULT) -> tuple[Path, ...]:
    """Write `studies/<name>.toml` and its recipes below a folder; never over a file.

    Args:
        name: of the study.
        folder: where studies/ and experiments/ are.
        template: the kind of study, one of `TEMPLATES`.

    Returns:
        The study, its baseline's recipe, and those of its arms.

    Raises:
        InputError: the name cannot be a study's, there is no such template, or a file is there.
        EnvironmentFault: the disk refuses.
    """
    check_new(name)
    if template not in TEMPLATES:
        hint = f"{did_you_mean(template, list(TEMPLATES))}; `swinablate new --list` says more"
        raise InputError(f"no template is called {template!r}", at="--template", hint=hint)
    kind, recipes = TEMPLATES[template], folder / "experiments"
    study = folder / "studies" / f"{name}.toml"
    text = kind.study.format(
        program=shlex.join(program()),
        path=shlex.quote(str(study)),
        recipe=f"../experiments/{name}.toml",
        stem=f"../experiments/{name}",
    )
    others = {recipes / f"{name}_{end}.toml": content for end, content in kind.others.items()}
    files = {recipes / f"{name}.toml": RECIPE} | others | {study: text}  # the study last
    for path in files:
        if path.exists():
            raise InputError("the file exists", at=str(path), hint="choose another name")
    for path, content in files.items():
        write_atomically(path, as_typed(content))
    return study, *(path for path in files if path != study)

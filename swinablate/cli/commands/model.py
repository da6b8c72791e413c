"""Commands about networks: what can be ablated, whether a network is fit, the files' schemas."""

from importlib import import_module
from pathlib import Path
from typing import Annotated

import typer

from swinablate.cli import terminal
from swinablate.cli.options import Json
from swinablate.cli.terminal import print_json
from swinablate.config.code.theirs import prints_aside
from swinablate.errors import InputError

commands = typer.Typer()


@commands.command(epilog="Example: swinablate switches swin")
def switches(
    family: Annotated[
        str | None,
        typer.Argument(
            help="A model family, mypackage.nets:MyNet, timm:NAME or torchvision:NAME.",
            show_default=False,
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """List what can be ablated: switch, levels, what it does, and its source."""
    from swinablate.models.catalogue import catalogue

    with prints_aside():
        found = catalogue(family)
    if as_json:
        print_json({"schema": 1, "switches": found})
        return
    terminal.table(
        "Switches",
        ["family", "switch", "default", "levels", "what", "source"],
        [
            [s["family"], s["switch"], s["default"], s["levels"], s["what"], s["source"]]
            for s in found
        ],
    )


@commands.command(
    epilog="Example: swinablate check mypackage.nets:MyNet --image 32x32x3 --classes 10"
)
def check(
    family: Annotated[
        str,
        typer.Argument(
            help="mypackage.nets:MyNet, timm:NAME, torchvision:NAME, or a built-in family.",
            show_default=False,
        ),
    ],
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Set an argument (depth=4); repeatable."),
    ] = None,
    # The format of CIFAR-10.
    image: Annotated[str, typer.Option(help="Height x width x channels.")] = "32x32x3",
    classes: Annotated[int, typer.Option(help="Number of classes.", min=2)] = 10,
    as_json: Json = False,
) -> None:
    """Check that a network can be ablated: switches, gradients, seeds, saving, training."""
    from dataclasses import asdict

    from swinablate.models.case import case_of
    from swinablate.models.conformance import examine

    with prints_aside():
        case = case_of(family, settings or [], image, classes)
    findings = []
    for one in examine(case):
        findings.append(one)
        if not as_json:
            terminal.show_finding(one)
    if as_json:
        print_json({"schema": 1, "family": family, "checks": [asdict(f) for f in findings]})
    if any(one.status == "failed" for one in findings):
        raise typer.Exit(3)


SCHEMAS = {
    "study": "swinablate.study.arms.written:StudyFile",
    "results": "swinablate.report.foreign.declared:ResultsStudyFile",
    "recipe": "swinablate.study.arms.recipes:RecipeFile",
    "command": "swinablate.study.arms.recipes:CommandFile",
    "pack": "swinablate.report.published.packs:Pack",
}
"""Files that users write, and what describes them; imported where it is asked for."""


@commands.command(epilog="Example: swinablate schema study > study.schema.json")
def schema(
    kind: Annotated[str, typer.Argument(help="study, results, recipe, command, or pack")],
) -> None:
    """Print the JSON Schema of study, recipe or pack files.

    results: of a study that judges what was trained elsewhere; command: of such a recipe.
    """
    from pydantic import BaseModel

    if kind not in SCHEMAS:
        raise InputError(f"no schema is called {kind!r}", hint=f"known: {', '.join(SCHEMAS)}")
    module, _, name = SCHEMAS[kind].partition(":")
    described: type[BaseModel] = getattr(import_module(module), name)
    print_json(described.model_json_schema())


@commands.command(
    "verify-fusion", epilog="Example: swinablate verify-fusion experiments/swin_digits.toml"
)
def verify_fusion(
    recipe: Annotated[Path, typer.Argument(help="Recipe file (TOML).", show_default=False)],
    # So many of both as the gate was measured with (`verify.GATES`).
    replicas: Annotated[int, typer.Option(min=2, max=64, help="Runs in one graph.")] = 4,
    steps: Annotated[int, typer.Option(min=1, max=10_000, help="Optimizer steps.")] = 40,
    device: Annotated[str, typer.Option(help="cpu or cuda:0.")] = "cpu",
    as_json: Json = False,
) -> None:
    """Compare runs trained as one graph with the same runs alone; exit 3 if they differ.

    The measure is the largest difference of a training loss, in units of what rounding that
    falls otherwise changes. Trains on noise of the data's shape.
    """
    from swinablate.config.recipe import CommandRecipe
    from swinablate.execution.devices import find_devices
    from swinablate.study.arms.recipes import load_recipe
    from swinablate.training.fused.verify import verify

    (where,) = find_devices(device)[:1]
    with prints_aside():
        read = load_recipe(recipe)
        if isinstance(read, CommandRecipe):
            hint = "give a recipe with a [model]"
            raise InputError("a command trains itself, alone", at=f"{recipe}: command", hint=hint)
        found = verify(read, replicas, steps, where)
    if as_json:
        print_json(found.to_json())
    else:
        terminal.out.print(
            f"{recipe}: {replicas} replicas, {steps} steps, {found.precision}, {where}: "
            f"losses differ from those alone by at most {found.fused:.1e}; other rounding "
            f"changes those by {found.floor:.1e}: "
            f"{'within' if found.ok else 'NOT within'} {found.gate:g} times that.",
            soft_wrap=True,
        )
    if not found.ok:
        raise typer.Exit(3)

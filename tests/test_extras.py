"""What the package imports is what its installation brings, and each extra what its feature needs."""

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
OPTIONAL = {
    "postgres": "psycopg2",  # SQLAlchemy imports it, where an address names it
    "ray": "ray",
    "safetensors": "safetensors",
    "tensorboard": "tensorboard",
    "timm": "timm",
}
"""Extra -> the module that its feature needs."""
BROUGHT = {
    "PIL": "torchvision",
    "markupsafe": "jinja2",
    "pydantic_core": "pydantic",
}
"""Modules that a dependency brings, and must: what we use of it is made of them."""


def names(requirements):
    return {Requirement(text).name.lower() for text in requirements}


def imported():
    """Module of another package -> the files that import it."""
    found = {}
    for path in (ROOT / "swinablate").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            modules = []
            if isinstance(node, ast.Import):
                modules = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                modules = [node.module or ""]
            for module in modules:
                top = module.partition(".")[0]
                if top not in sys.stdlib_module_names and top != "swinablate":
                    found.setdefault(top, set()).add(path.relative_to(ROOT).as_posix())
    return found


def test_everything_that_is_imported_is_installed_by_name():
    brings = packages_distributions()
    always = names(PROJECT["dependencies"])
    extras = {name for more in PROJECT["optional-dependencies"].values() for name in names(more)}
    found = imported()
    assert {"torch", "pydantic", "safetensors"} <= found.keys()
    for module, files in found.items():
        providers = {name.lower() for name in brings[module]} | {BROUGHT.get(module, "")}
        assert providers & (always | extras), (module, files)
        if not providers & always:
            assert module in OPTIONAL.values(), (module, files)


@pytest.mark.parametrize("extra", PROJECT["optional-dependencies"])
def test_an_extra_brings_the_module_that_its_feature_imports(extra):
    providers = {name.lower() for name in packages_distributions()[OPTIONAL[extra]]}
    assert providers & names(PROJECT["optional-dependencies"][extra])


def test_every_extra_is_named_where_its_feature_is_missing_and_no_other():
    code = "".join(path.read_text("utf-8") for path in (ROOT / "swinablate").rglob("*.py"))
    assert set(re.findall(r"swinablate\[(\w+)\]", code)) == set(OPTIONAL)
    assert set(OPTIONAL) == set(PROJECT["optional-dependencies"])


def test_what_a_dependency_brings_is_still_imported():
    assert set(BROUGHT) <= imported().keys()

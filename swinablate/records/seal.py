"""Files of a home that are checked when they are read.

A sealed file is a JSON object that holds, beside its content, the `schema` of such files and a
`digest`: the sha256 of the canonical JSON (keys sorted, no blanks, ASCII, no NaN) of all the rest.
What is not as it was written is named and never believed.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from swinablate.errors import EnvironmentFault
from swinablate.records.disk.files import unreadable
from swinablate.text import expected

SCHEMA = 2
"""Of the files of a home. Files of schema 1 had no digest: they are accepted, and `swinablate
doctor` lists them as unchecked."""
R = TypeVar("R", bound=BaseModel)


class Damaged(EnvironmentFault):
    """A file of a home is not what was written there."""


def seal(content: Mapping[str, Any]) -> str:
    """The text of a file with this content.

    Raises:
        ValueError: NaN or an infinity is in it.
    """
    # As it will be read: keys are text then, tuples are lists.
    data = json.loads(json.dumps({**content, "schema": SCHEMA}, allow_nan=False))
    return json.dumps({**data, "digest": digest(data)}, allow_nan=False, indent=1)


def digest(data: Mapping[str, Any]) -> str:
    """The digest of a file's data, without its own field."""
    rest = {key: value for key, value in data.items() if key != "digest"}
    text = json.dumps(rest, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def unseal(path: Path, owner: Mapping[str, str], remedy: str) -> dict[str, Any]:
    """The checked data of a file, `schema` included.

    Args:
        path: the file.
        owner: fields that say whose the file is, and what they must be.
        remedy: what to do with a damaged one, in words.

    Raises:
        FileNotFoundError: there is none.
        Damaged: it was cut off, edited, or is another one's.
        EnvironmentFault: it cannot be read, or a newer swinablate wrote it.
    """
    data = _loaded(path, remedy)
    schema = data.get("schema")
    if type(schema) is not int or schema < 1:
        raise Damaged("damaged record: it names no schema", at=str(path), hint=remedy)
    if schema > SCHEMA:
        raise EnvironmentFault(
            f"written by a newer swinablate (schema {schema})",
            at=str(path),
            hint="upgrade swinablate",
        )
    for key, value in owner.items():
        # Records of schema 1 need not name all of these; those of schema 2 do.
        if data.get(key, value if schema == 1 else None) != value:
            raise Damaged(f"damaged record: it is of another {key}", at=str(path), hint=remedy)
    try:
        whole = schema == 1 or data.get("digest") == digest(data)
    except ValueError:  # NaN: nobody wrote that
        whole = False
    if not whole:
        lacks = "it has no digest" if "digest" not in data else "its digest is another's"
        raise Damaged(f"damaged record: {lacks}", at=str(path), hint=remedy)
    return data


def _loaded(path: Path, remedy: str) -> dict[str, Any]:
    try:
        data = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise
    except (IsADirectoryError, NotADirectoryError) as error:
        problem = f"damaged record: {error.strerror}"
        raise Damaged(problem, at=str(path), hint=remedy) from None
    except OSError as error:
        raise unreadable(error, path) from None
    except (ValueError, RecursionError) as error:
        reason = "it is empty" if not path.stat().st_size else f"no JSON: {error}"
        raise Damaged(f"damaged record: {reason}", at=str(path), hint=remedy) from None
    if not isinstance(data, dict):
        raise Damaged("damaged record: no JSON object", at=str(path), hint=remedy)
    return data


def misfit(error: ValidationError) -> str:
    """Where a record is not what it should be, in one line, in our words."""
    first = error.errors()[0]
    where = ".".join(map(str, first["loc"]))
    if first["type"] == "missing":
        return f"{where}: it is missing"
    return f"{where}: expected {expected(first['type'], first.get('ctx', {}))}"


def read_record(kind: type[R], path: Path, owner: Mapping[str, str], remedy: str) -> R:
    """A sealed file as a value. The schema of the file is not that of the value.

    Args:
        kind: of the record.
        path: the file.
        owner: fields that say whose it is, and what they must be.
        remedy: what to do with a damaged one, in words.

    Raises:
        FileNotFoundError: there is none.
        Damaged: it is no such record, or another one's.
        EnvironmentFault: it cannot be read, or a newer swinablate wrote it.
    """
    data = unseal(path, owner, remedy)
    del data["schema"]
    try:
        return kind.model_validate(data)
    except ValidationError as error:
        raise Damaged(f"damaged record: {misfit(error)}", at=str(path), hint=remedy) from None

"""What a folder of a report says: in files, or in records that are judged again."""

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from swinablate.errors import InputError
from swinablate.records.report_folder import RECORDS
from swinablate.report.answer import gather
from swinablate.report.evidence.archive import open_bundle
from swinablate.report.evidence.check import unpacked


def read_folder(folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """The verdicts and the plan of a report.

    Args:
        folder: with `verdicts.json` and `plan.json`, or with the records of a committed report.

    Raises:
        InputError: it is no such folder.
    """
    if (folder / RECORDS).is_file() and not (folder / "verdicts.json").is_file():
        return _judged(folder / RECORDS)
    try:
        verdicts, plan = (
            json.loads((folder / name).read_text("utf-8"))
            for name in ("verdicts.json", "plan.json")
        )
        _ = verdicts["metric"], plan["study"], plan["arms"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"no report can be read here: {error}",
            at=str(folder),
            hint="give a folder that `swinablate report STUDY` wrote",
        ) from None
    return verdicts, plan


def _judged(records: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """What the records of a report say, judged again."""
    found = open_bundle(records)
    if damaged := [*found.damaged()]:
        raise InputError(f"{damaged[0]} is damaged in it", at=str(records), hint="get it again")
    with TemporaryDirectory(prefix="swinablate-") as room:
        home = unpacked(found, Path(room) / "home")
        answer = gather(home, found.about["study"])
        return dict(answer.verdicts), answer.plan.model_dump(mode="json")

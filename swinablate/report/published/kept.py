"""What a folder of a report says: in files, or in records that are judged again."""

import json
import lzma
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from swinablate.errors import InputError
from swinablate.records.report_folder import RECORDS
from swinablate.report.answer import gather
from swinablate.report.evidence.archive import open_bundle
from swinablate.report.evidence.check import unpacked

MOST = 1 << 28
"""Bytes of unpacked records, 256 MiB: a thousand times what a committed report has; more is a
file that was made to fill a disk."""


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
    with TemporaryDirectory(prefix="swinablate-") as room:
        bundle = Path(room) / "records.tar"
        try:
            with lzma.open(records) as file:
                content = file.read(MOST + 1)
        except (OSError, EOFError, lzma.LZMAError) as error:
            raise InputError(
                f"cannot be unpacked: {error}", at=str(records), hint="get it again"
            ) from None
        if len(content) > MOST:
            raise InputError(
                "unpacks to more than records are", at=str(records), hint="get it again"
            )
        bundle.write_bytes(content)
        found = open_bundle(bundle)
        if damaged := [*found.damaged()]:
            raise InputError(
                f"{damaged[0]} is damaged in it", at=str(records), hint="get it again"
            )
        home = unpacked(found, Path(room) / "home")
        answer = gather(home, found.about["study"])
        return dict(answer.verdicts), answer.plan.model_dump(mode="json")

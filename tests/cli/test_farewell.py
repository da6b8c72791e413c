"""What a command says when a study has ended."""

import dataclasses
from collections import Counter

from swinablate.cli.running import farewell
from swinablate.execution.run import Summary
from swinablate.records.launch import Launch


def test_what_would_end_the_same_way_is_not_offered_again(capsys):
    """Three seeds that diverge do so again, bit by bit, on the same machine."""
    launch = Launch(study="a.toml", command="swinablate run a.toml")
    lost = Summary(
        counts=Counter(done=3, diverged=3), missing=0, unmirrored=0, exit_code=3, settled=3
    )
    farewell(lost, launch)
    said = capsys.readouterr().err
    assert "3 would end the same way again: change the recipe or the network" in said
    assert "retry" not in said
    farewell(dataclasses.replace(lost, settled=1), launch)
    assert "to train them again: swinablate retry a.toml" in capsys.readouterr().err

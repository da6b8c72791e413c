"""What families share: bounds of numbers, switches, the grid after a halving."""

from typing import Literal, get_args, get_origin

import pytest
from pydantic import TypeAdapter, ValidationError

from swinablate.config.family import Switch
from swinablate.models.layers import fields, switches
from swinablate.models.layers.conv import ConvNorm
from swinablate.models.layers.merge import halved

SHARED = {
    name: get_args(value)
    for name, value in vars(switches).items()
    if any(isinstance(part, Switch) for part in get_args(value))
}


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        (fields.Count, (1, 7), (0, -1)),
        (fields.Counts, ((1,), (2, 3)), ((), (1, 0))),
        (fields.Rate, (0.0, 0.99), (-0.01, 1.0)),
        (switches.Drop, (0.0, 0.99), (-0.01, 1.0)),
        (switches.DropPath, (0.0, 0.99), (-0.01, 1.0)),
        (switches.MlpRatio, (0.5, 4.0), (0.0, -1.0)),
        (switches.LayerScale, (0.0, 1.0), (-0.1,)),
    ],
)
def test_numbers_have_bounds(kind, good, bad):
    adapter = TypeAdapter(kind)
    for value in good:
        assert adapter.validate_python(value) == value
    for value in bad:
        with pytest.raises(ValidationError):
            adapter.validate_python(value)


@pytest.mark.parametrize(
    "name", [name for name, parts in SHARED.items() if get_origin(parts[0]) is Literal]
)
def test_every_value_of_a_shared_choice_is_compared(name):
    choices, *marks = SHARED[name]
    assert set(marks[-1].levels) == set(get_args(choices))


def test_every_norm_after_convolutions_is_compared():
    switch = switches.norm_after_convolutions("stem.*", "stages.*")
    assert set(switch.levels) == set(get_args(ConvNorm))
    assert switch.acts_on == ("stem.*", "stages.*")


@pytest.mark.parametrize("grid", [(3, 4), (4, 3)])
def test_a_side_that_cannot_be_halved_is_refused(grid):
    with pytest.raises(ValueError, match=f"^stage 2: the {grid[0]}x{grid[1]} grid cannot be"):
        halved(grid, 2)
    assert halved((6, 4), 1) == (3, 2)

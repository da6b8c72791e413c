"""The map shows every import, and that none leads up."""

from tests.circles import circles, loops
from tests.map import allowed, arrows, doors, floors, imports


def reached(used, room):
    return used[room].union(*(reached(used, other) for other in used[room]))


def test_every_import_leads_down():
    used = imports()
    assert set(used) == {room for floor in floors() for room in floor}
    assert {room: used[room] - allowed()[room] for room in used} == {room: set() for room in used}


def test_the_arrows_show_every_import_and_none_twice():
    used = imports()
    drawn = {room: {other for one, other in arrows(used) if one == room} for room in used}
    assert {room: reached(drawn, room) for room in used} == {
        room: reached(used, room) for room in used
    }
    for others in drawn.values():
        for other in others:
            assert other not in set().union(*(reached(drawn, one) for one in others))


def test_the_arrows_of_a_small_house():
    used = {"cli": {"study", "models", "errors"}, "study": {"models"}, "models": {"errors"}}
    used = {room: used.get(room, set()) for room in allowed()}
    assert arrows(used) == [("cli", "study"), ("study", "models"), ("models", "errors")]


def test_every_door_is_used():
    assert {tuple(libraries): found for libraries, found in doors()} == {
        ("optuna",): {"scheduling": []},
        ("mlflow",): {"tracking": ["runs"]},
        ("matplotlib", "seaborn"): {"report": ["figures", "drawing"]},
        ("safetensors",): {"models": ["pretrained", "files"]},
        ("ray",): {"execution": ["executors", "ray", "driver"]},
        ("tensorboard",): {"config": ["commands", "boards"]},
    }


def test_no_modules_import_each_other():
    """Late imports and those for types alone are circles, too: neither can be read without it."""
    assert circles(types=False) == []
    assert circles(types=True) == []


def test_a_circle_is_found_and_what_leads_to_it_is_not():
    arrows = {"a": {"b"}, "b": {"c"}, "c": {"b", "d"}, "d": {"e"}, "e": set(), "f": {"f"}}
    assert list(loops(arrows)) == [{"b", "c"}, {"f"}]

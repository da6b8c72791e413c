"""The figures of the house, and that they stay what they were made."""

from pathlib import Path

from tests.house import LINES, height, leans, survey

ROOT = Path(__file__).parent.parent


def test_no_folder_is_crowded_no_file_is_long_and_arrows_run_one_way():
    house = survey(ROOT, leans(ROOT))
    assert (house.crowded, house.long) == ({}, {})
    assert house.floors > 0
    assert house.top <= 17  # twelve packages, five files


def test_an_arrow_back_is_a_circle():
    assert height({"cli": {"report", "stats"}, "report": {"stats"}}) == 3
    assert height({"cli": {"report"}, "report": {"cli"}}) == 0


def test_what_is_crowded_or_long_is_named(tmp_path):
    package = tmp_path / "swinablate"
    for folder, names in {"a": range(17), "b": range(15)}.items():
        (package / folder).mkdir(parents=True)
        for name in ["__init__", *(f"m{n}" for n in names)]:
            (package / folder / f"{name}.py").write_text("")
    for family in ["models/families/large.py", "cli/large.py"]:
        path = package / family
        path.parent.mkdir(parents=True)
        path.write_text("\n" * (LINES + 1))
    (package / "models/__init__.py").write_text("")
    house = survey(tmp_path, arrows={})
    assert house.crowded == {"swinablate/a": 17}
    assert house.long == {"cli/large.py": LINES + 1}
    assert house.top == 4

"""Packs: what they must be, and that the shipped ones ask what our studies have."""

import pytest

from swinablate.errors import InputError
from swinablate.report.published import load_pack, load_packs
from swinablate.report.published.packs import asking, effect_of
from tests.study.shipped import ROOT

PACK = """\
title = "A paper"
source = "arXiv:0000.00000"
read = "the paper"
[[tables]]
name = "Table 1"
page = 3
decimals = 1
rows = { "with" = 81.3, "without" = 80.2 }
setting = { data = "ImageNet-1K", network = "A" }
[[claims]]
name = "without is worse"
table = "Table 1"
row = "without"
against = "with"
asked = [{ study = "mine", arm = "shift=false" }]
"""


@pytest.fixture
def pack(tmp_path):
    def make(old="", new=""):
        assert old in PACK
        path = tmp_path / "mine.toml"
        path.write_text(PACK.replace(old, new, 1))
        return path

    return make


def test_a_pack_says_the_difference_and_how_far_rounding_may_have_moved_it(pack):
    found = load_pack(pack())
    (claim,), (table,) = found.claims, found.tables
    effect = effect_of(table, claim, same_unit=True)
    assert (effect.effect, effect.sign) == (-1.1, -1)
    assert effect.margin == pytest.approx(0.1)
    assert table.place == "Table 1, p. 3"
    assert effect_of(table, claim, same_unit=False).effect is None


def test_a_difference_of_errors_is_turned_to_one_of_accuracies(pack):
    found = load_pack(pack("decimals = 1", 'decimals = 1\nmeasure = "error"'))
    assert effect_of(found.tables[0], found.claims[0], same_unit=True).effect == 1.1


def test_seeds_of_theirs_widen_the_margin(pack):
    path = pack('network = "A" }', 'network = "A", runs = 4 }\nsd = { with = 0.3, without = 0.4 }')
    found = load_pack(path)
    margin = effect_of(found.tables[0], found.claims[0], same_unit=True).margin
    assert margin == pytest.approx(0.1 + 1.96 * 0.5 / 2, abs=1e-4)


@pytest.mark.parametrize(
    ("old", "new", "problem", "hint"),
    [
        ('row = "without"', 'row = "witout"', ".row: Table 1 has no row 'witout'", "'without'"),
        (
            'against = "with"',
            'against = "without"',
            ".against: 'without' is compared with itself",
            "name another row",
        ),
        (
            'table = "Table 1"',
            'table = "Table 2"',
            ".table: no table is called 'Table 2'",
            "'Table 1'",
        ),
        ("page = 3\n", "", "tables.0: a table without its page or section", "section = "),
        (
            "decimals = 1",
            "decimals = 1\nsd = { other = 1.0 }",
            "tables.0: sd of 'other'",
            "name a row",
        ),
        ("decimals = 1", "decimals = 1\nsd = { with = 1.0 }", "over how many seeds", "runs = 5"),
        ("decimals = 1", "decimal = 1", "tables.0: unknown key 'decimal'", "'decimals'"),
        ("= 81.3", '= "81.3"', "tables.0.rows.with: expected", "write a number"),
        (
            ', arm = "shift=false"',
            "",
            "claims.0.asked.0: name an arm or a contrast",
            "one of them",
        ),
        (
            'arm = "shift=false" }',
            'arm = "a" }, { study = "mine", arm = "a" }',
            "'mine: a: ' is there twice",
            "call one otherwise",
        ),
        ('read = "the paper"\n', "", "key 'read' is missing", "add read = "),
        ('"with" = 81.3, ', "", "tables.0.rows: expected", ""),
    ],
)
def test_what_is_wrong_in_a_pack_is_named_with_its_key(pack, old, new, problem, hint):
    path = pack(old, new)
    with pytest.raises(InputError) as said:
        load_pack(path)
    assert str(said.value).startswith(f"{path}: ")
    assert problem in str(said.value)
    assert hint in str(said.value).partition("hint: ")[2]


def test_a_folder_without_packs_is_refused(tmp_path):
    with pytest.raises(InputError, match="there is no pack"):
        load_packs(tmp_path)


def test_every_shipped_pack_is_asked_by_a_study_that_there_is():
    packs = load_packs()
    studies = {path.stem for path in (ROOT / "studies").glob("*.toml")}
    for name, pack in packs.items():
        asked = [one for claim in pack.claims for one in claim.asked]
        assert asked, name
        assert {one.study for one in asked} <= studies, name
        assert pack.read
    assert len(list(asking(packs, "swin_table4"))) == 5

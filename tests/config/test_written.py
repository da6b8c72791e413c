"""Files that people write, and words of a command line: what is read, and what is refused."""

import os
import time
from pathlib import Path

import pytest

from swinablate.cli.app import main
from swinablate.config.levels import setting
from swinablate.config.schema import read_toml
from swinablate.config.weights import settled
from swinablate.config.written import LARGEST, parse
from swinablate.errors import InputError
from swinablate.report.foreign.columns import read_results
from swinablate.study.arms.recipes import load_recipe
from tests.conftest import RECIPE, STUDY

TABLE = "arm,seed,value\na,0,90.0\na,1,91.0\n"


def refused(path: Path, read=read_toml) -> InputError:
    with pytest.raises(InputError) as caught:
        read(path)
    assert caught.value.at == str(path)
    assert caught.value.hint
    return caught.value


def test_a_byte_order_mark_is_skipped(tmp_path):
    path = tmp_path / "s.toml"
    path.write_bytes(b"\xef\xbb\xbfx = [1, [2]]\r\n")
    assert read_toml(path) == {"x": (1, (2,))}
    table = tmp_path / "t.csv"
    table.write_bytes(b"\xef\xbb\xbf" + TABLE.encode())
    assert list(read_results(table).rows.value) == [90.0, 91.0]


@pytest.mark.parametrize(("read", "text"), [(read_toml, "x = 1"), (read_results, TABLE)])
def test_utf_16_is_named(read, text, tmp_path):
    path = tmp_path / "s"
    path.write_text(text, "utf-16")
    if read is read_toml:
        assert refused(path, read).hint == "it is UTF-16: save it as UTF-8"
    else:
        assert list(read(path).rows.value) == [90.0, 91.0]
    path.write_bytes(b"x = '\xe9'")
    assert refused(path, read).hint == "save it as UTF-8"


@pytest.mark.parametrize("read", [read_toml, read_results])
@pytest.mark.timeout(20)
def test_what_has_no_end_is_refused_at_once(read, tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for path, says in ((tmp_path, "a folder"), (pipe, "a pipe"), (Path("/dev/zero"), "a device")):
        if (path, read) == (tmp_path, read_results):  # a folder may be TensorBoard's
            assert refused(path, read).problem == "no events of TensorBoard are in this folder"
        else:
            assert f"it is {says}, not a file" in refused(path, read).problem
    assert "no file can be called so" in refused(tmp_path / "a\0b", read).problem
    assert "name too long" in refused(tmp_path / ("x" * 300), read).problem.lower()


def test_a_file_larger_than_anybody_writes_is_not_read(tmp_path):
    path = tmp_path / "s.toml"
    path.write_text(f"x = 1\n#{'x' * (LARGEST - 7)}")
    assert read_toml(path) == {"x": 1}
    with path.open("a") as file:
        file.write("x")
    assert refused(path).problem == "cannot be read: it has more than 1 MiB"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("x = " + "1" * 5000, "a whole number has thousands of digits"),
        ("x = 0x" + "f" * 9000, "a whole number needs more than 64 bits"),
        ("x = [[9223372036854775808]]", "a whole number needs more than 64 bits"),
        ("x = -9223372036854775809", "a whole number needs more than 64 bits"),
        ('x = { y = "a\\u0000b" }', "the text 'a\\x00b' holds a NUL character"),
        ('"a\\u0000b" = 1', "the text 'a\\x00b' holds a NUL character"),
        ("x = " + "[" * 5000, "tables or arrays are nested too deep"),
        (f"{'a.' * 64}a = 1", "a key has 64 parts or more"),
        (f"[{'a . ' * 500_000}a]", "a key has 64 parts or more"),
        (f"""{"'a'." * 200_000}a = 1""", "a key has 64 parts or more"),
        (f'{{"x".{"a." * 200_000}a = 1', "a key has 64 parts or more"),
    ],
)
@pytest.mark.timeout(20)
def test_what_no_study_can_mean_is_no_text(text, says):
    with pytest.raises(ValueError, match=says.replace("\\", "\\\\")):
        parse(text)
    with pytest.raises(InputError) as caught:
        setting(
            f"model.width={text.removeprefix('x = ')}"
            if text.startswith("x = [")
            else f"a={{{text}}}"
        )
    assert caught.value.at.startswith("--set ")
    assert caught.value.hint


def test_what_is_large_but_meant_is_read():
    assert parse("x = 9223372036854775807") == {"x": 2**63 - 1}
    assert parse("x = -9223372036854775808") == {"x": -(2**63)}
    assert parse('x = "' + "two words. " * 5000 + '"')["x"].startswith("two words.")
    assert parse(f"x = [{'0.5, ' * 9000}]")["x"][-1] == 0.5
    deep = parse(f"{'a.' * 62}a = 1")
    for _ in range(63):
        deep = deep["a"]
    assert deep == 1


@pytest.mark.timeout(30)
def test_the_largest_file_takes_seconds():
    began = time.process_time()
    parse('x = """' + "a.b " * (LARGEST // 4) + '"""')
    parse("w" * LARGEST + " = 1")
    assert time.process_time() - began < 15


def test_bytes_of_a_command_line_that_are_no_text_are_refused():
    with pytest.raises(InputError, match="is not UTF-8"):
        setting("model.norm=\udcff")
    assert setting("model.norm=batch") == ("model.norm", "batch")
    assert setting("model.depths=[2, 2]") == ("model.depths", (2, 2))


@pytest.mark.parametrize(
    ("text", "value"),
    [(".001", 0.001), ("1.e-3", 0.001), ("-.5", -0.5), ("2.", 2.0), ("1e1", 10.0), ("5", 5),
     ("007", "007"), (".", "."), ("1.2.3", "1.2.3"), ("a.5", "a.5")],
)  # fmt: skip
def test_a_number_needs_no_digit_on_both_sides_of_its_point(text, value):
    found = setting(f"train.lr={text}")[1]
    assert (type(found), found) == (type(value), value)


@pytest.mark.timeout(20)
def test_weights_are_a_file(tmp_path):
    base = tmp_path / "base.toml"
    for weights, says in (
        ("/dev/zero", "it is a device"),
        (".", "it is a folder"),
        ("no.pt", "No such file"),
    ):
        base.write_text(f'{RECIPE}\n[start]\nweights = "{weights}"\n')
        with pytest.raises(InputError, match=says):
            load_recipe(base)
    (tmp_path / "w.pt").write_bytes(b"w")
    base.write_text(f'{RECIPE}\n[start]\nweights = "w.pt"\n')
    recipe = load_recipe(base)
    assert settled(recipe, tmp_path, "").start.sha256 == recipe.start.sha256 != ""


@pytest.mark.parametrize("name", ["/dev/zero", "a\\u0000b", ".", "x" * 300])
@pytest.mark.timeout(20)
def test_a_recipe_that_is_no_file_is_refused(name, write, capsys):
    path = write(STUDY.replace("base.toml", name))
    assert main(["plan", str(path)]) == 2
    err = capsys.readouterr().err
    assert "hint: " in err
    assert "Traceback" not in err

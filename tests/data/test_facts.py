"""What is found out about images when they are prepared, and what is said of it."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from swinablate.config.data import DataConfig
from swinablate.config.family import ImageSpec
from swinablate.data import known, notices, prepare
from swinablate.data.facts import left_out
from swinablate.errors import InputError
from swinablate.study.files import load_study
from swinablate.study.noise.expected import Noise
from swinablate.study.plan_record import plan_record, with_images
from swinablate.study.planner import plan

SPEC = ImageSpec(height=4, width=4, channels=1, classes=3)


@pytest.fixture
def given(tmp_path, monkeypatch):
    """Prepares what is given, as a function of one's own; returns what is said of it."""
    monkeypatch.syspath_prepend(tmp_path)
    name = f"given_{tmp_path.name}"
    (tmp_path / f"{name}.py").write_text(
        "import numpy as np\nfrom pathlib import Path\n"
        "def load():\n"
        "    found = np.load(Path(__file__).with_suffix('.npz'))\n"
        "    return tuple(found[key] for key in ('x', 'y', 'tx', 'ty'))\n"
    )

    def prepared(
        train: Any, test: Any, *, plain: bool = True, image: ImageSpec = SPEC
    ) -> list[str]:
        np.savez(tmp_path / f"{name}.npz", x=train[0], y=train[1], tx=test[0], ty=test[1])
        config = DataConfig(name=f"{name}:load", image=image, val_fraction=0.2)
        prepare(config, tmp_path / "home")
        facts = known(config, tmp_path / "home")
        assert facts is not None
        return [text.replace(name, "given") for text in notices(config, facts, plain=plain)]

    return prepared


def part(n: int, first: int = 0, labels: Any = None) -> tuple[np.ndarray, np.ndarray]:
    """Images that are all different, and bright."""
    chance = np.random.default_rng(first)
    pixels = chance.integers(0, 256, (n, 1, 4, 4), dtype=np.uint8)
    return pixels, np.arange(n) % 3 if labels is None else np.array(labels)


def test_of_ordinary_images_nothing_is_said(given):
    assert given(part(30), part(9, 1)) == []


def test_test_images_that_were_trained_on_are_counted_and_named(given):
    train, (pixels, labels) = part(30), part(9, 1)
    pixels[[2, 3, 7, 8]] = train[0][[11, 11, 0, 29]]
    (text,) = given(train, (pixels, labels))
    assert text == (
        "given:load: 4 of 9 test images are among the training or validation images, byte for "
        "byte (number 2 = number 11, number 3 = number 11, number 7 = number 0 ...): they test "
        "what was learned by heart."
    )


def test_copies_among_training_images_are_counted_where_they_are_many(given):
    pixels, labels = part(199)
    pixels[51] = pixels[0]
    assert given((pixels, labels), part(9, 1)) == []  # one of 199
    pixels[[54, 57]] = pixels[[3, 3]]
    assert given((pixels, labels), part(9, 1))[0] == (
        "given:load: 3 of 199 training images are copies of others, byte for byte, and some of "
        "both are cut off to validate."
    )


def test_an_image_of_two_classes_is_named(given):
    pixels, labels = part(300)
    pixels[[7, 8, 9]] = pixels[0]
    labels[[0, 7, 8, 9]] = [1, 1, 2, 1]
    assert given((pixels, labels), part(9, 1))[-1] == (
        "given:load: 4 training or validation images are in two classes, byte for byte (number 9 "
        "= number 8): nobody can tell which."
    )


def test_one_pixel_makes_another_image(given):
    train, (pixels, labels) = part(30), part(9, 1)
    pixels[2] = train[0][11]
    pixels[2, 0, 3, 3] ^= 1
    assert given(train, (pixels, labels)) == []


def test_images_of_a_single_value_are_counted(given):
    (pixels, labels), test = part(30), part(9, 1)
    pixels[4] = 7
    assert given((pixels, labels), test) == [
        "given:load: an image is of a single value (number 4)."
    ]
    for i in (5, 6, 7):
        pixels[i] = i
    assert given((pixels, labels), test) == [
        "given:load: 4 images are of a single value (number 4, number 5, number 6 ...)."
    ]


def test_dark_images_may_have_a_range_of_their_own(given):
    dark = [(pixels // 16, labels) for pixels, labels in (part(30), part(9, 1))]
    dark[0][0][0, 0, 0, 0] = 16
    (text,) = given(*dark)
    assert text == (
        "given:load: no pixel is above 16 of 255; if that is their range, write top = 16 in "
        "data.image, or normalisation, policies and colour take them for dark images."
    )
    assert given(*dark, image=SPEC.model_copy(update={"top": 16})) == []


def test_unequal_classes_are_said_where_accuracy_decides(given):
    labels = [0] * 20 + [1] * 8 + [2] * 2
    train, test = part(30, labels=labels), part(9, 1)
    (text,) = given(train, test)
    assert text == (
        "given:load: class 0 has 20 training images, class 2 2; the accuracy over all test images "
        'says little of small classes. Compare metric = "test/balanced_accuracy"; data.balanced '
        "= true trains on all classes equally often."
    )
    assert given(train, test, plain=False) == []
    labels[0] = 1  # 19 to 2
    assert given(part(30, labels=labels), test) == []


def test_a_class_that_nobody_trains_is_named(given):
    assert given(part(30, labels=[0, 1] * 15), part(9, 1)) == [
        "given:load: no training image is of class 2."
    ]


def test_what_cannot_be_learned_is_refused(given):
    with pytest.raises(InputError) as error:
        given(part(30, labels=[1] * 30), part(9, 1))
    assert error.value.problem == "all 30 training images are of class 1"
    same = np.full((30, 1, 4, 4), 9, np.uint8), np.arange(30) % 3
    with pytest.raises(InputError) as error:
        given(same, part(9, 1))
    assert error.value.problem == "all 30 training images are the same image"
    with pytest.raises(InputError, match="there are 0 test images"):
        given(part(30), part(0, 1))


def test_pictures_are_named_by_their_files(tmp_path):
    root = tmp_path / "pictures"
    for place, n in (("train/cat", 12), ("train/dog", 12), ("val/cat", 2), ("val/dog", 2)):
        (root / place).mkdir(parents=True)
        for i, (pixels, _) in enumerate(part(1, hash_of(place) + i) for i in range(n)):
            Image.fromarray(pixels[0, 0]).save(root / place / f"{i}.png")
    for name in ("cat", "dog"):
        (root / "test" / name).mkdir(parents=True)
    copy = (root / "val" / "dog" / "1.png").read_bytes()
    (root / "test" / "dog" / "x.png").write_bytes(copy)
    Image.fromarray(np.uint8([[1, 2], [3, 4]])).save(root / "test" / "cat" / "y.png")
    image = SPEC.model_copy(update={"classes": 2})
    config = DataConfig(name="image_folder", root=str(root), image=image)
    prepare(config, tmp_path / "home")
    facts = known(config, tmp_path / "home")
    assert facts is not None
    (text,) = notices(config, facts, plain=True)
    assert text.startswith(f"image_folder in {root}: 1 of 2 test images ")
    assert "(test/dog/x.png = val/dog/1.png)" in text


def test_validation_pictures_that_were_trained_on_are_named(tmp_path):
    """And classes that nobody tests."""
    root = tmp_path / "pictures"
    places = [
        ("train/cat", 12),
        ("train/dog", 12),
        ("val/cat", 2),
        ("val/dog", 2),
        ("test/cat", 3),
    ]
    for place, n in places:
        (root / place).mkdir(parents=True)
        for i, (pixels, _) in enumerate(part(1, hash_of(place) + i) for i in range(n)):
            Image.fromarray(pixels[0, 0]).save(root / place / f"{i}.png")
    (root / "val/dog/9.png").write_bytes((root / "train/dog/3.png").read_bytes())
    image = SPEC.model_copy(update={"classes": 2})
    config = DataConfig(name="image_folder", root=str(root), image=image)
    prepare(config, tmp_path / "home")
    facts = known(config, tmp_path / "home")
    assert facts is not None
    one, two = notices(config, facts, plain=True)
    assert one == (
        f"image_folder in {root}: 1 of 5 validation images are among the training images, byte "
        "for byte (val/dog/9.png = train/dog/3.png): they choose what was learned by heart."
    )
    assert two == (
        f"image_folder in {root}: no test image is of class dog: what is tested is not all that "
        "is learned."
    )
    (root / "train/cat/IMG.HEIC").write_bytes(b"...")
    (root / "train/cat/notes.txt").write_bytes(b"...")
    (root / "train/dog/copy.png").write_bytes((root / "train/dog/3.png").read_bytes())
    prepare(config, tmp_path / "home")  # a folder that has changed
    found = [*notices(config, known(config, tmp_path / "home") or {}, plain=True)]
    assert any(text.endswith("kinds that are not read are left out (.heic 1).") for text in found)
    del facts["val"], facts["held"], facts["copies"], facts["torn"], facts["tested"]
    assert [*notices(config, facts, plain=True)] == []  # as an earlier version found it


def test_a_class_whose_images_all_go_to_validation_is_named():
    """Of one image a class a tenth of the classes have none left."""
    parts = {"train": [1, 0, 3, 0], "val": [0, 1, 0, 0], "test": [1, 1, 1, 0]}
    assert left_out("faces", parts) == (
        "faces: class number 1 has no image left to train on, and some to be judged by; raise "
        "data.train_fraction or data.limit, lower data.val_fraction, or take more images."
    )
    parts["train"] = [0, 0, 0, 1]
    assert "faces: 3 classes have no image left to train on (numbers 0, 1, 2), and" in left_out(
        "faces", parts
    )
    assert left_out("faces", {"train": [1, 1], "val": [0, 0], "test": [5, 5]}) == ""
    assert left_out("faces", {}) == ""


def hash_of(text: str) -> int:
    return sum(map(ord, text)) * 100


def test_nothing_is_known_of_what_is_not_prepared_or_was_so_before(tmp_path):
    config = DataConfig(name="digits")
    assert known(config, tmp_path) is None
    path = prepare(config, tmp_path).path / "manifest.json"
    assert [*notices(config, known(config, tmp_path) or {}, plain=True)] == []
    manifest = json.loads(path.read_text())
    del manifest["facts"]
    path.write_text(json.dumps(manifest))
    assert known(config, tmp_path) is None
    assert prepare(config, tmp_path).path == path.parent


STUDY = """\
question = "Which?"
baseline = "base.toml"
seeds = 3
baseline_seeds = 3

[axes]
"data.balanced" = [true]
"""
BASE = """\
[model]
family = "resnet"
depth = 8
[data]
name = "leaky:load"
image = { height = 8, width = 8, channels = 1, classes = 2 }
"""
LEAKY = """\
import numpy as np
def load():
    x = np.random.default_rng(0).integers(0, 256, (60, 1, 8, 8), dtype=np.uint8)
    y = np.array([0] * 55 + [1] * 5)
    tested = [0, 1, 2, 3, 4, 59]
    return x, y, x[tested], y[tested]
"""


def test_a_plan_says_it_once_the_images_are_there(write, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "leaky.py").write_text(LEAKY)
    made = plan(load_study(write(STUDY, BASE)))
    record = plan_record(made, {}, Noise(None, ""))
    home = tmp_path / "home"
    assert with_images(record, made, home) == record
    prepare(made.arms[0].recipe.data, home)
    found = with_images(record, made, home)
    new = [one for one in found.warnings if one not in record.warnings]
    assert [one.code for one in new] == ["W26", "W26"]
    assert "6 of 6 test images are among the training" in new[0].text
    assert "class 0 has 55 training images, class 1 5" in new[1].text
    assert with_images(found, made, home) == found


def test_a_study_of_balanced_accuracy_hears_nothing_of_unequal_classes(
    write, tmp_path, monkeypatch
):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "skewed.py").write_text(LEAKY)
    text = STUDY + '\n[compare]\nmetric = "test/balanced_accuracy"\n'
    made = plan(load_study(write(text, BASE.replace("leaky", "skewed"))))
    record = plan_record(made, {}, Noise(None, ""))
    prepare(made.arms[0].recipe.data, Path(tmp_path))
    codes = [one.text for one in with_images(record, made, tmp_path).warnings if one.code == "W26"]
    assert len(codes) == 1

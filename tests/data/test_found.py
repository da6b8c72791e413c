"""What a folder of pictures says of itself, and grey images where a network wants three channels."""

import itertools
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from swinablate import load_study, plan, run
from swinablate.cli.app import main
from swinablate.config.data import DataConfig
from swinablate.config.family import ImageSpec
from swinablate.data import (
    class_names,
    completed,
    image_spec,
    known,
    load_splits,
    notices,
    prepare,
    resolved_data,
)
from swinablate.errors import InputError
from swinablate.models.registry import load_family
from swinablate.study import planner
from swinablate.study.arms.confounding import confounded
from swinablate.study.files import smoke

CPU = torch.device("cpu")
RECIPE = """\
[model]
family = "vit"
patch = 4
width = 8
depth = 1
heads = 2
[data]
name = "image_folder"
root = "{root}"
test_fraction = 0.2
{more}
[train]
steps = 1
batch = 8
"""
STUDY = """\
question = "What is seen?"
baseline = "base.toml"
seeds = 2
[axes]
{axis}
"""


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def album(root: Path, *, mode: str = "L", size: tuple[int, int] = (12, 8), n: int = 10) -> Path:
    """Grey or coloured noise of three classes, height and width given."""
    for label, name in enumerate(("cat", "dog", "owl")):
        (root / name).mkdir(parents=True)
        for i in range(n):
            shape = size if mode == "L" else (*size, 3)
            picture = Image.fromarray(noise(*shape, seed=100 * label + i))
            picture.save(root / name / f"{i}.png")
    return root


def of(root: Path, **words: object) -> DataConfig:
    return DataConfig(name="image_folder", root=str(root), test_fraction=0.2, **words)


def write(folder: Path, root: Path, axis: str, more: str = "") -> Path:
    (folder / "base.toml").write_text(RECIPE.format(root=root, more=more))
    study = folder / "study.toml"
    study.write_text(STUDY.format(axis=axis))
    return study


# ---- what is found


def test_classes_channels_and_size_are_found(tmp_path):
    grey, colour = album(tmp_path / "grey"), album(tmp_path / "colour", mode="RGB", size=(6, 6))
    assert image_spec(of(grey)) == ImageSpec(height=12, width=8, channels=1, classes=3)
    assert image_spec(of(colour)) == ImageSpec(height=6, width=6, channels=3, classes=3)


@pytest.mark.parametrize(
    ("picture", "channels"),
    [
        (Image.fromarray(noise(12, 8, 3)), 3),
        (Image.fromarray(noise(12, 8, 3)).quantize(4), 3),
        (Image.fromarray(noise(12, 8)).convert("P"), 1),  # a palette of greys
        (Image.fromarray(noise(12, 8)).convert("LA"), 1),
        (Image.fromarray(noise(12, 8).astype(np.uint16)), 1),
    ],
    ids=["colour", "palette", "grey palette", "transparent", "16 bits"],
)
def test_one_picture_of_colour_makes_all_coloured(picture, channels, tmp_path):
    root = album(tmp_path / "pictures")
    picture.save(root / "owl" / "9.png")
    assert image_spec(of(root)).channels == channels


@pytest.mark.parametrize("kind", ["png", "tif", "webp"])
def test_a_camera_that_lay_on_its_side_exchanges_height_and_width(kind, tmp_path):
    """PIL turns files of TIFF by itself, and says their size as if it had."""
    root = album(tmp_path / "pictures", size=(12, 12))
    exif = Image.Exif()
    exif[0x0112] = 6
    for seed, path in enumerate([*root.glob("*/*.png")]):
        path.unlink()
        lying = Image.fromarray(noise(8, 12, seed=seed))
        lying.save(path.with_suffix(f".{kind}"), exif=exif)
    found = image_spec(of(root))
    assert (found.height, found.width) == (12, 8)
    prepare(completed(of(root)), tmp_path / "home")
    converted = (known(completed(of(root)), tmp_path / "home") or {})["converted"]
    assert converted == {"turned upright": 30}
    assert np.load(prepare(of(root), tmp_path / "home").path / "test_pixels.npy").shape[2:] == (
        12,
        8,
    )


def test_names_that_are_not_utf8_are_told_with_their_bytes(tmp_path):
    root = os.fsencode(tmp_path / "pictures")
    for part, name in itertools.product((b"train", b"test"), (b"cat", b"\xe9tang")):
        Path(os.fsdecode(root + b"/" + part + b"/" + name)).mkdir(parents=True)
        for i in range(10):
            shade = 20 * i + (part == b"test") + 5 * (name == b"cat")
            path = root + b"/" + part + b"/" + name + b"/%d\xff.png" % i
            Image.new("L", (8, 8), shade * (i > 0)).save(os.fsdecode(path))
    config = completed(DataConfig(name="image_folder", root=str(tmp_path / "pictures")))
    assert class_names(config) == ("cat", "\\xe9tang")
    prepare(config, tmp_path / "home")
    (said, *_) = notices(config, known(config, tmp_path / "home") or {}, plain=True)
    assert "test/cat/0\\xff.png = train/cat/0\\xff.png" in said


def test_pictures_of_several_sizes_need_one_that_is_asked_for(tmp_path):
    root = album(tmp_path / "pictures")
    odd = root / "owl" / "3.png"
    Image.fromarray(noise(30, 20)).save(odd)
    with pytest.raises(InputError) as caught:
        image_spec(of(root))
    assert str(caught.value) == (
        f"data.size: pictures are of several sizes: {root}/cat/0.png has 8 x 12 pixels, "
        f"{odd} 20 x 30\n\n"
        "hint: write size = 64 in [data]: the pixels a side that all are cut and scaled to"
    )
    assert image_spec(of(root, size=16)) == ImageSpec(height=16, width=16, channels=1, classes=3)
    assert image_spec(of(root, size=(4, 6))).width == 6


def test_an_asked_size_is_made_of_the_pictures_at_once(tmp_path):
    """Not of what another size left of them."""
    root = album(tmp_path / "pictures", mode="RGB", size=(24, 24))
    small = completed(of(root, size=6))
    explicit = of(root, image=ImageSpec(height=6, width=6, channels=3, classes=3))
    ours, theirs = (
        np.load(prepare(one, tmp_path / "home").path / "test_pixels.npy")
        for one in (small, explicit)
    )
    assert np.array_equal(ours, theirs)


def test_a_folder_that_is_not_parted_is_refused_with_the_way_out(tmp_path):
    root = album(tmp_path / "pictures")
    with pytest.raises(InputError, match=r"no folder train") as caught:
        image_spec(DataConfig(name="image_folder", root=str(root)))
    assert "data.test_fraction = 0.2" in caught.value.hint


# ---- what a trial is called


def test_a_trial_is_called_by_what_was_found(tmp_path):
    root = album(tmp_path / "pictures", size=(8, 8))
    axis = '"train.lr" = [0.01]'
    found = plan(load_study(write(tmp_path, root, axis)))
    assert found.arms[0].recipe.data.image == ImageSpec(height=8, width=8, channels=1, classes=3)
    image = "image = { height = 8, width = 8, channels = 1, classes = 3 }"
    told = plan(load_study(write(tmp_path, root, axis, image)))
    assert [trial.id for trial in found.trials] == [trial.id for trial in told.trials]
    Image.fromarray(noise(8, 8, 3)).save(root / "owl" / "0.png")
    other = plan(load_study(write(tmp_path, root, axis)))
    assert not {trial.id for trial in found.trials} & {trial.id for trial in other.trials}


def test_what_follows_from_a_size_is_no_change_of_its_own(tmp_path):
    root = album(tmp_path / "pictures", size=(8, 8))
    made = plan(load_study(write(tmp_path, root, '"data.size" = [16]')))
    assert made.arms[1].recipe.data.image.height == 16
    assert made.arms[1].differs == {"data.size": (None, 16)}
    assert confounded(made) == {}


def test_a_smoke_run_needs_no_share_for_testing(tmp_path):
    root = album(tmp_path / "pictures", size=(8, 8))
    study = load_study(write(tmp_path, root, '"data.channels" = [3]'), smoke=True)
    made = plan(smoke(study))
    assert [arm.recipe.data.image.channels for arm in made.arms] == [1, 3]
    assert {arm.recipe.data.name for arm in made.arms} == {"noise"}


# ---- three channels


def test_grey_pictures_become_three_equal_channels(tmp_path):
    root = album(tmp_path / "pictures")
    grey, three = (
        np.load(prepare(of(root, channels=c), tmp_path / "home").path / "test_pixels.npy")
        for c in (None, 3)
    )
    assert grey.shape[1] == 1
    assert np.array_equal(three, np.repeat(grey, 3, axis=1))


def test_coloured_pictures_become_grey_as_pil_has_it(tmp_path):
    root = album(tmp_path / "pictures", mode="RGB")
    config = of(root, channels=1)
    assert image_spec(config).channels == 1
    found = np.load(prepare(config, tmp_path / "home").path / "train_pixels.npy")
    theirs = {np.asarray(Image.open(x).convert("L")).tobytes() for x in root.glob("*/*.png")}
    assert {one.tobytes() for one in found} <= theirs


def test_digits_in_three_channels_keep_their_range_and_their_classes(tmp_path):
    one, three = DataConfig(name="digits"), DataConfig(name="digits", channels=3)
    assert image_spec(three) == image_spec(one).model_copy(update={"channels": 3})
    for config in (one, three):
        prepare(config, tmp_path)
    grey, coloured = (load_splits(c, tmp_path, 0, "main", CPU).train for c in (one, three))
    assert torch.equal(grey.rows, coloured.rows)
    assert torch.equal(coloured.pixels, grey.pixels.expand(-1, 3, -1, -1))
    x = grey.normalised(grey.pixels[:9])
    assert torch.equal(coloured.normalised(coloured.pixels[:9]), x.expand(-1, 3, -1, -1))


def test_channels_that_are_there_already_change_nothing():
    own = DataConfig(name="digits", channels=1)
    assert resolved_data(own) == resolved_data(DataConfig(name="digits"))
    assert resolved_data(own) != resolved_data(DataConfig(name="digits", channels=3))


def test_a_network_that_wants_three_is_told_how_to_get_them():
    made = load_family("torchvision:resnet18", "")
    grey = image_spec(DataConfig(name="digits"))
    config = made.config(family="torchvision:resnet18")
    with pytest.raises(
        ValueError, match=r"data\.channels = 3 gives it grey images as three equal"
    ):
        made.geometry(config, grey)
    made.geometry(config, image_spec(DataConfig(name="digits", channels=3)))


# ---- what cannot be read


def spoil(root: Path) -> tuple[Path, Path]:
    """A file that is no picture, and one whose end is missing: only decoding shows that."""
    no, short = root / "cat" / "3.png", root / "owl" / "5.png"
    no.write_text("no picture")
    short.write_bytes(short.read_bytes()[:100])
    return no, short


def refused(no: Path, short: Path) -> str:
    return (
        f"data.root: 2 pictures cannot be read: {no} (cannot identify image file {str(no)!r}), "
        f"{short} (image file is truncated)\n\nhint: mend them, or remove them"
    )


@pytest.mark.parametrize(
    "more", ["", "image = { height = 12, width = 8, channels = 1, classes = 3 }"]
)
def test_unusable_files_are_named_before_a_plan_is_proved(more, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(planner, "plan", lambda *_: pytest.fail("a plan was proved"))
    files = spoil(album(tmp_path / "pictures"))
    study = write(tmp_path, tmp_path / "pictures", '"train.lr" = [0.01]', more)
    assert main(["run", str(study), "--home", "home"]) == 2
    assert refused(*files) in capsys.readouterr().err
    with pytest.raises(InputError) as caught:
        run(study, home=tmp_path / "home")
    assert str(caught.value) == refused(*files)
    assert not list((tmp_path / "home").glob("trials"))


@pytest.mark.integration
def test_a_study_without_anything_to_train_needs_no_pictures(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    image = "image = { height = 12, width = 8, channels = 1, classes = 3 }"
    root = album(tmp_path / "pictures")
    study = write(tmp_path, root, '"train.lr" = [0.01]', image)
    run(study, home="home", executor="serial", slots=1)
    root.rename(tmp_path / "elsewhere")
    assert run(study, home="home").verdicts["baseline"]["n"] == 4
    study.write_text(study.read_text().replace("seeds = 2", "seeds = 3"))
    with pytest.raises(InputError, match="no folder"):
        run(study, home="home")

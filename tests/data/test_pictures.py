"""Folders of pictures as people have them: lying, transparent, deep, half broken, split in three."""

import errno
import os
import re
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from swinablate.config.data import DataConfig
from swinablate.config.family import ImageSpec
from swinablate.data import class_names, known, load_splits, per_class, prepare
from swinablate.data.datasets import image_folder
from swinablate.errors import InputError

CPU = torch.device("cpu")
SQUARE = ImageSpec(height=8, width=8, channels=3, classes=2)
CLASSES = ("cat", "dog")


def album(root: Path, parts: dict[str, int]) -> Path:
    """Part -> pictures of each of two classes; their red is the number, green the part."""
    for green, (part, n) in enumerate(parts.items()):
        for blue, name in enumerate(CLASSES):
            (root / part / name).mkdir(parents=True)
            for i in range(n):
                colour = (10 * i, 50 * green, 100 * blue)
                Image.new("RGB", (8, 8), colour).save(root / part / name / f"{i}.png")
    return root


def folder(root: Path, image: ImageSpec = SQUARE, **words: Any) -> DataConfig:
    return DataConfig(name="image_folder", root=str(root), image=image, **words)


def first(root: Path, home: Path, image: ImageSpec = SQUARE) -> np.ndarray:
    """The first training picture as it is read."""
    found: np.ndarray = np.load(prepare(folder(root, image), home).path / "train_pixels.npy")[0]
    return found


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    return album(tmp_path / "pictures", {"train": 10, "test": 5})


def put(root: Path, picture: Image.Image, **words: Any) -> None:
    (root / "train" / "cat" / "0.png").unlink()
    picture.save(root / "train" / "cat" / "0.png", **words)


# ---- what a picture is


def test_what_was_made_other_of_pictures_is_counted(pictures, tmp_path):
    names = iter(sorted((pictures / "train" / "cat").glob("*.png")))
    Image.new("L", (8, 8), 7).save(next(names))
    clear = Image.new("RGBA", (20, 10), (9, 9, 9, 0))
    clear.save(next(names))
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (8, 16), (8, 7, 6)).save(next(names), exif=exif)
    Image.fromarray(np.full((8, 8), 60_000, np.uint16)).save(next(names))
    config = folder(pictures)
    prepare(config, tmp_path / "home")
    facts = known(config, tmp_path / "home")
    assert facts is not None
    assert facts["converted"] == {
        "grey made colour": 2,
        "transparent parts made white": 1,
        "scaled or cut": 2,
        "turned upright": 1,
        "16 bits made 8": 1,
    }
    assert per_class(config, tmp_path / "home") == {"train": [9, 9], "val": [1, 1], "test": [5, 5]}


@pytest.mark.parametrize("kind", ["gif", "png", "tif", "webp"])
def test_of_several_pictures_in_a_file_the_first_is_taken_and_that_is_counted(
    kind, pictures, tmp_path
):
    several = [Image.new("RGB", (8, 8), (shade,) * 3) for shade in (40, 90, 140)]
    (pictures / "train" / "cat" / "0.png").unlink()
    path = pictures / "train" / "cat" / f"0.{kind}"
    several[0].save(path, save_all=True, append_images=several[1:], lossless=True)
    assert first(pictures, tmp_path / "home").tolist() == [[[40] * 8] * 8] * 3
    converted = (known(folder(pictures), tmp_path / "home") or {})["converted"]
    assert converted["first of several pictures taken"] == 1


def test_an_alpha_channel_in_which_nothing_is_transparent_is_not_counted(pictures, tmp_path):
    put(pictures, Image.new("RGBA", (8, 8), (9, 9, 9, 255)))
    prepare(folder(pictures), tmp_path / "home")
    assert (known(folder(pictures), tmp_path / "home") or {})["converted"] == {}


def test_of_pictures_that_have_the_format_nothing_was_made_other(tmp_path):
    config = folder(album(tmp_path / "pictures", {"train": 10, "test": 5}))
    prepare(config, tmp_path / "home")
    assert (known(config, tmp_path / "home") or {})["converted"] == {}


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_is_turned_as_the_camera_was_held(orientation, pictures, tmp_path):
    lying = np.zeros((8, 8, 3), np.uint8)
    lying[:4] = 255
    lying[0, 0] = (255, 0, 0)
    exif = Image.Exif()
    exif[0x0112] = orientation
    put(pictures, Image.fromarray(lying), exif=exif)
    # By the letter of EXIF 2.3, table 4.6.4: where row 0 and column 0 of the stored picture are.
    turned = {
        1: lying,
        2: lying[:, ::-1],
        3: lying[::-1, ::-1],
        4: lying[::-1],
        5: lying.transpose(1, 0, 2),
        6: np.rot90(lying, -1),
        7: np.rot90(lying, -1)[::-1],
        8: np.rot90(lying, 1),
    }
    found = first(pictures, tmp_path / "home")
    assert np.array_equal(found, turned[orientation].transpose(2, 0, 1))


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("compression", [None, "tiff_lzw"])
@pytest.mark.parametrize("orientation", [1, 6])
def test_a_tiff_whose_zero_is_white_is_no_negative(
    bits, compression, orientation, pictures, tmp_path
):
    top = 2**bits - 1
    grey = np.full((8, 8), top, np.uint16 if bits == 16 else np.uint8)
    grey[0] = top // 5
    (pictures / "train" / "cat" / "0.png").unlink()
    path = pictures / "train" / "cat" / "0.tif"
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(grey).save(path, compression=compression, exif=exif)
    said = struct.pack("<HHIHH", 262, 3, 1, 1, 0)
    assert path.read_bytes().count(said) == 1
    path.write_bytes(path.read_bytes().replace(said, struct.pack("<HHIHH", 262, 3, 1, 0, 0)))
    wanted = np.zeros((8, 8), np.uint8)
    wanted[0] = 204
    assert np.array_equal(
        first(pictures, tmp_path / "home")[0], np.rot90(wanted, -1) if orientation == 6 else wanted
    )


@pytest.mark.parametrize(("ending", "again"), [(".png", False), (".TIF", True), (".tiff", True)])
def test_what_was_made_of_a_folder_with_tiff_is_made_again(ending, again, pictures, monkeypatch):
    one = pictures / "test" / "cat" / "0.png"
    one.rename(one.with_suffix(ending))
    before = image_folder.state(pictures)
    monkeypatch.setattr(image_folder, "TIFF", "another way")
    assert (image_folder.state(pictures) != before) is again


def shape() -> np.ndarray:
    """Opaque in the left half."""
    alpha = np.zeros((8, 8), np.uint8)
    alpha[:, :4] = 255
    return alpha


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "RGB"])
@pytest.mark.parametrize("channels", [1, 3])
def test_what_is_transparent_becomes_white(mode, channels, pictures, tmp_path):
    if mode == "RGBA":
        picture = Image.fromarray(np.dstack([np.zeros((8, 8, 3), np.uint8), shape()]))
    elif mode == "LA":
        picture = Image.merge("LA", [Image.new("L", (8, 8)), Image.fromarray(shape())])
    elif mode == "P":
        picture = Image.fromarray((shape() == 0).astype(np.uint8), "P")
        picture.putpalette([0, 0, 0, 9, 9, 9])
    else:
        picture = Image.fromarray(np.dstack([np.uint8(9) * (shape() == 0)] * 3).astype(np.uint8))
    key = {"P": {"transparency": 1}, "RGB": {"transparency": (9, 9, 9)}}
    put(pictures, picture, **key.get(mode, {}))
    image = SQUARE.model_copy(update={"channels": channels})
    found = first(pictures, tmp_path / "home", image)
    assert found[:, :, :4].max() == 0
    assert found[:, :, 4:].min() == 255


def test_half_transparent_pixels_are_mixed_with_white(pictures, tmp_path):
    put(pictures, Image.new("RGBA", (8, 8), (0, 100, 200, 51)))  # a fifth
    assert first(pictures, tmp_path / "home")[:, 0, 0].tolist() == [204, 224, 244]


def test_grey_of_16_bits_is_scaled_by_its_range(pictures, tmp_path):
    deep = np.linspace(0, 65535, 64).round().astype(np.uint16).reshape(8, 8)
    put(pictures, Image.fromarray(deep))
    grey = first(pictures, tmp_path / "home", SQUARE.model_copy(update={"channels": 1}))
    assert grey[0].flatten().tolist() == [round(value / 257) for value in deep.flatten().tolist()]


# ---- what is no picture


@pytest.mark.parametrize(
    "path",
    [
        "train/cat/.ipynb_checkpoints/0-checkpoint.png",
        "train/cat/._0.png",
        "train/cat/deeper/.thumbnails/0.png",
        "test/dog/__MACOSX/0.png",
        "train/__MACOSX/0.png",
        "train/.ipynb_checkpoints/0.png",
        "__MACOSX/train/cat/0.png",
        "train/@eaDir/0.png",
        "train/cat/$RECYCLE.BIN/0.png",
    ],
)
def test_what_systems_leave_behind_is_neither_a_class_nor_a_picture(path, pictures, tmp_path):
    before = prepare(folder(pictures), tmp_path / "home")
    left = pictures / path
    left.parent.mkdir(parents=True, exist_ok=True)
    left.write_bytes((pictures / "train" / "cat" / "0.png").read_bytes())
    assert prepare(folder(pictures), tmp_path / "home") == before
    assert class_names(folder(pictures)) == CLASSES


def test_a_folder_for_validation_without_a_class_is_refused(pictures, tmp_path):
    (pictures / "val" / ".thumbnails").mkdir(parents=True)
    with pytest.raises(InputError) as error:
        prepare(folder(pictures), tmp_path / "home")
    assert error.value.problem == f"no class in {pictures / 'val'}"


def test_all_unusable_files_are_named_at_once(pictures, tmp_path):
    bad = [pictures / x for x in ("train/cat/3.png", "train/dog/9.png", "test/cat/0.png")]
    bad[0].write_text("hello")
    for file in bad[1:]:
        file.write_bytes(file.read_bytes()[:50])
    with pytest.raises(InputError) as error:
        prepare(folder(pictures), tmp_path / "home")
    assert error.value.problem == (
        f"3 pictures cannot be read: {bad[0]} (cannot identify image file '{bad[0]}'), {bad[1]} "
        f"(image file is truncated), {bad[2]} (image file is truncated)"
    )
    assert error.value.hint == "mend them, or remove them"


def test_of_very_many_unusable_files_the_number_is_said(tmp_path):
    root = album(tmp_path / "pictures", {"train": 15, "test": 2})
    for file in root.rglob("train/*/*.png"):
        file.write_text("hello")
    with pytest.raises(InputError) as error:
        prepare(folder(root), tmp_path / "home")
    assert error.value.problem.startswith("30 pictures cannot be read: ")
    assert error.value.problem.endswith(" and 10 more")


def test_one_class_is_refused_with_what_to_do(pictures, tmp_path):
    for part in ("train", "test"):
        for file in (pictures / part / "dog").iterdir():
            file.unlink()
        (pictures / part / "dog").rmdir()
    with pytest.raises(InputError) as error:
        prepare(folder(pictures), tmp_path / "home")
    assert error.value.problem == (
        f"{pictures / 'train'} holds one class, 'cat': there is nothing to tell apart"
    )
    assert error.value.hint == "every class needs a folder of its own"


# ---- three folders


def three(tmp_path: Path, val: str = "val", train: str = "train") -> Path:
    return album(tmp_path / "pictures", {train: 10, val: 4, "test": 5})


@pytest.mark.parametrize("val", ["val", "valid", "validation", "Valid"])
@pytest.mark.parametrize("train", ["train", "Train"])
def test_a_folder_of_validation_pictures_chooses(val, train, tmp_path):
    config = folder(three(tmp_path, val, train))
    prepare(config, tmp_path / "home")
    splits = load_splits(config, tmp_path / "home", 0, "main", CPU)
    for green, images in enumerate((splits.train, splits.val, splits.test)):
        pixels = images.pixels[images.rows]
        assert len(images) == 2 * (10, 4, 5)[green]
        assert pixels[:, 1].unique().tolist() == [50 * green]
        assert len({(int(x[0, 0, 0]), int(x[2, 0, 0])) for x in pixels}) == len(images)
        assert torch.equal(pixels[:, 2, 0, 0] == 100, images.labels == 1)
    raw = splits.train.pixels[splits.train.rows].double()
    x = splits.train.normalised(splits.train.pixels[splits.train.rows]).double()
    torch.testing.assert_close(
        x[:, 0], (raw[:, 0] - raw[:, 0].mean()) / raw[:, 0].std(correction=0)
    )


def test_small_training_sets_are_nested_and_validation_pictures_stay(tmp_path):
    root, home = three(tmp_path), tmp_path / "home"
    full = folder(root)
    prepare(full, home)
    sets = []
    for words in ({"train_fraction": 0.3}, {"train_fraction": 0.6}, {"limit": 8}, {}):
        splits = load_splits(full.model_copy(update=words), home, 0, "main", CPU)
        sets.append(set(splits.train.rows.tolist()))
        assert splits.val.rows.min() >= 20
        assert len(splits.val) == 8
    assert [len(one) for one in sets] == [6, 12, 8, 20]
    assert sets[0] < sets[1] < sets[3]
    assert sets[2] < sets[3]
    assert load_splits(folder(root, split_seed=1, train_fraction=0.3), home, 0, "main", CPU)


@pytest.mark.parametrize("words", [{"val_fraction": 0.2}, {"resample_split": True}])
def test_cutting_validation_pictures_where_there_are_some_is_refused(words, tmp_path):
    with pytest.raises(InputError) as error:
        prepare(folder(three(tmp_path), **words), tmp_path / "home")
    (name,) = words
    assert error.value.problem == "the data set has 8 validation images of its own"
    assert error.value.hint == f"leave data.{name} out"


def test_without_test_pictures_those_of_validation_are_the_test_set(tmp_path):
    config = folder(album(tmp_path / "pictures", {"train": 10, "valid": 5}))
    prepare(config, tmp_path / "home")
    splits = load_splits(config, tmp_path / "home", 0, "main", CPU)
    assert [len(x) for x in (splits.train, splits.val, splits.test)] == [18, 2, 10]


def test_pictures_that_change_sides_make_another_data_set(tmp_path):
    """The same pictures in the same order, but others of them choose."""
    root = album(tmp_path / "pictures", {"train": 4, "val": 4, "test": 5})
    one = prepare(folder(root), tmp_path / "home").sha256
    for name in ("cat", "dog"):
        (root / "val" / name / "0.png").rename(root / "train" / name / "9.png")
    assert prepare(folder(root), tmp_path / "home").sha256 != one


def test_two_folders_of_one_meaning_are_refused(tmp_path):
    root = album(tmp_path / "pictures", {"train": 4, "val": 4, "valid": 4, "test": 5})
    with pytest.raises(InputError) as error:
        prepare(folder(root), tmp_path / "home")
    assert error.value.problem == f"{root} holds val and valid, which mean the same"


# ---- a folder that is not parted


def flat(root: Path, n: int = 10) -> Path:
    """Pictures of two classes, one of them with twice as many."""
    for blue, name in enumerate(CLASSES):
        (root / name).mkdir(parents=True)
        for i in range(n * (blue + 1)):
            colour = (10 * i, 0, 100 * blue)
            Image.new("RGB", (8, 8), colour).save(root / name / f"{i}.png")
    return root


def reds(config: DataConfig, home: Path, seed: int = 0) -> dict[str, set[tuple[int, int]]]:
    """Part -> the red and blue of its pictures, which name them."""
    prepare(config, home)
    splits = load_splits(config, home, seed, "main", CPU)
    return {
        part: {(int(x[0, 0, 0]), int(x[2, 0, 0])) for x in images.pixels[images.rows]}
        for part, images in vars(splits).items()
    }


def test_a_share_of_each_class_is_the_test_set_whatever_the_seeds(tmp_path):
    root, home = flat(tmp_path / "pictures"), tmp_path / "home"
    found = reds(folder(root, test_fraction=0.2), home)
    assert sorted(blue for _, blue in found["test"]) == [0, 0, 100, 100, 100, 100]
    assert len(found["train"] | found["val"] | found["test"]) == 30
    assert not found["test"] & (found["train"] | found["val"])
    assert class_names(folder(root, test_fraction=0.2)) == CLASSES
    for words, seed in (({"split_seed": 1}, 0), ({"resample_split": True}, 7)):
        other = reds(folder(root, test_fraction=0.2, **words), home, seed)
        assert other["test"] == found["test"]
        assert other["val"] != found["val"]


def test_neither_names_nor_one_picture_more_choose_the_test_set(tmp_path):
    root = flat(tmp_path / "pictures")
    config = folder(root, test_fraction=0.2)
    found = reds(config, tmp_path / "home")["test"]
    for name in CLASSES:
        for path in list((root / name).iterdir()):
            path.rename(path.with_name(f"x{99 - int(path.stem)}.png"))
    assert reds(config, tmp_path / "home")["test"] == found
    Image.new("RGB", (8, 8), (255, 0, 0)).save(root / "cat" / "new.png")
    assert len(reds(config, tmp_path / "home")["test"] & found) >= len(found) - 1


def test_another_share_is_another_data_set_of_its_own(tmp_path):
    root, home = flat(tmp_path / "pictures"), tmp_path / "home"
    fifth, half = (prepare(folder(root, test_fraction=x), home) for x in (0.2, 0.5))
    assert fifth.path != half.path
    assert prepare(folder(root, test_fraction=0.2), home) == fifth


@pytest.mark.parametrize(
    ("share", "problem"),
    [
        (0.01, "0.01 of the 10 pictures of class 'cat' leaves no test images"),
        (0.99, "0.99 of the 10 pictures of class 'cat' leaves no training images"),
    ],
)
def test_a_share_without_pictures_is_refused(share, problem, tmp_path):
    with pytest.raises(InputError) as error:
        prepare(folder(flat(tmp_path / "pictures"), test_fraction=share), tmp_path / "home")
    assert (error.value.at, error.value.problem) == ("data.test_fraction", problem)


def test_a_parted_folder_is_not_cut_again(pictures, tmp_path):
    with pytest.raises(InputError, match="holds train: it is parted already"):
        prepare(folder(pictures, test_fraction=0.2), tmp_path / "home")


def test_a_data_set_with_test_images_is_not_cut(tmp_path):
    with pytest.raises(InputError, match="has test images of its own"):
        prepare(DataConfig(name="digits", test_fraction=0.2), tmp_path / "home")


def test_a_folder_that_is_not_parted_is_refused_with_the_way_out(tmp_path):
    root = flat(tmp_path / "pictures")
    with pytest.raises(InputError) as error:
        prepare(folder(root), tmp_path / "home")
    assert error.value.problem == f"no folder train in {root}; it holds cat, dog"
    assert error.value.hint.endswith("data.test_fraction = 0.2 takes a fifth to test")


def test_unusable_files_of_both_sides_of_the_cut_are_named(tmp_path):
    root = flat(tmp_path / "pictures", n=5)
    for path in root.rglob("*.png"):
        path.write_text(f"no picture {path.name}")
    with pytest.raises(InputError, match="15 pictures cannot be read"):
        prepare(folder(root, test_fraction=0.2), tmp_path / "home")


# ---- what changes, and what cannot be read


def test_another_picture_with_the_same_size_and_time_is_noticed(pictures, tmp_path):
    """As `cp -p`, `rsync` and archives leave it: only when it changed here tells."""
    path, home = pictures / "test" / "dog" / "0.png", tmp_path / "home"
    before, digest = path.stat(), prepare(folder(pictures), home).sha256
    Image.new("RGB", (8, 8), (0, 50, 101)).save(path)
    assert path.stat().st_size == before.st_size
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert prepare(folder(pictures), home).sha256 != digest


@pytest.mark.parametrize("share", [None, 0.5])
def test_a_link_that_leads_nowhere_is_named(share, tmp_path):
    parts = {"train": 3, "test": 3} if share is None else {"": 6}
    root = album(tmp_path / "pictures", parts)
    link = root / next(iter(parts)) / "cat" / "gone.png"
    link.symlink_to(tmp_path / "nowhere.png")
    with pytest.raises(InputError) as error:
        prepare(folder(root, test_fraction=share), tmp_path / "home")
    assert str(error.value) == (
        f"{link}: cannot be read: No such file or directory\n\nhint: mend it, or remove it"
    )


def test_a_folder_that_must_not_be_listed_is_named(pictures, tmp_path, monkeypatch):
    closed, listed = pictures / "test", Path.iterdir

    def refused(path: Path) -> Any:
        if path == closed:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return listed(path)

    monkeypatch.setattr(Path, "iterdir", refused)  # the tests may run as root
    with pytest.raises(InputError, match=f"^{re.escape(str(closed))}: cannot be read: Permission"):
        prepare(folder(pictures), tmp_path / "home")


def test_a_subfolder_that_must_not_be_listed_is_named(pictures, tmp_path, monkeypatch):
    closed, scanned = pictures / "test" / "dog" / "more", os.scandir
    closed.mkdir()

    def refused(path: Any) -> Any:
        if Path(path) == closed:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return scanned(path)

    monkeypatch.setattr(os, "scandir", refused)
    with pytest.raises(InputError, match=f"^{re.escape(str(closed))}: cannot be read: Permission"):
        prepare(folder(pictures), tmp_path / "home")


def test_folders_that_are_links_are_looked_into_once(pictures, tmp_path):
    """As torchvision's `ImageFolder` does; a link to a folder above it has no end."""
    more = tmp_path / "more"
    more.mkdir()
    for i in range(3):
        Image.new("RGB", (8, 8), (200 + i, 0, 0)).save(more / f"{i}.png")
    (pictures / "train" / "cat" / "links").symlink_to(more)
    (more / "above").symlink_to(pictures / "train" / "cat")
    prepared = prepare(folder(pictures), tmp_path / "home")
    assert len(np.load(prepared.path / "train_labels.npy")) == 2 * 10 + 3


@pytest.mark.parametrize("classes", [("car", "plane", "train"), ("control", "test")])
def test_a_class_may_be_called_like_a_part(classes, tmp_path):
    """Of a folder that is not parted."""
    root = tmp_path / "vehicles"
    for blue, name in enumerate(classes):
        (root / name).mkdir(parents=True)
        for i in range(5):
            Image.new("RGB", (8, 8), (10 * i, 0, 100 * blue)).save(root / name / f"{i}.png")
    image = SQUARE.model_copy(update={"classes": len(classes)})
    config = folder(root, image, test_fraction=0.4)
    prepared = prepare(config, tmp_path / "home")
    assert len(np.load(prepared.path / "test_labels.npy")) == 2 * len(classes)
    assert class_names(config) == classes

"""Data sets in the formats of others: torchvision's, folders of pictures, functions."""

import bz2
import hashlib
import importlib
import os
import shutil
import textwrap
import threading
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import scipy.io
import torch
import torchvision
from PIL import Image

from swinablate.config.data import DataConfig
from swinablate.config.family import ImageSpec
from swinablate.config.train import TrainConfig
from swinablate.data import check_sizes, image_spec, load_splits, prepare, raw_batches, splits
from swinablate.data import prepared as store
from swinablate.data.batches import eval_batches
from swinablate.data.datasets import stl10, svhn, usps
from swinablate.errors import EnvironmentFault, InputError
from swinablate.study.arms.recipes import load_recipe

CPU = torch.device("cpu")
CHANCE = np.random.Generator(np.random.PCG64(0))


def bytes_(*shape: int) -> np.ndarray:
    return CHANCE.integers(0, 256, shape, dtype=np.uint8)


def kept(path: Path, name: str) -> np.ndarray:
    found: np.ndarray = np.load(path / f"{name}.npy")
    return found


def md5(path: Path) -> str:
    return hashlib.md5(path.read_bytes()).hexdigest()


def refusal(config: DataConfig, root: Path) -> str:
    with pytest.raises(InputError) as error:
        prepare(config, root)
    return str(error.value)


# ---- torchvision's formats


def test_svhn_reads_its_matlab_files(tmp_path, monkeypatch):
    pixels, labels, lists = {}, {}, {}
    for part, n in (("train", 20), ("test", 10)):
        pixels[part], labels[part] = bytes_(n, 3, 32, 32), np.arange(n) % 10 + 1
        path = tmp_path / f"{part}_32x32.mat"
        hwcn = pixels[part].transpose(2, 3, 1, 0)
        scipy.io.savemat(path, {"X": hwcn, "y": labels[part][:, None].astype(np.uint8)})
        lists[part] = [f"http://127.0.0.1:9/{path.name}", path.name, md5(path)]
    monkeypatch.setattr(torchvision.datasets.SVHN, "split_list", lists)
    monkeypatch.setattr(svhn, "DATASET", replace(svhn.DATASET, train=20, test=10))
    path = prepare(DataConfig(name="svhn"), tmp_path).path
    for part in ("train", "test"):
        assert np.array_equal(kept(path, f"{part}_pixels"), pixels[part])
        assert kept(path, f"{part}_labels").tolist() == [x % 10 for x in labels[part].tolist()]
    (tmp_path / "test_32x32.mat").unlink()
    (path / "manifest.json").unlink()
    with pytest.raises(EnvironmentFault) as error:
        prepare(DataConfig(name="svhn"), tmp_path)
    assert str(error.value) == (
        f"{tmp_path}: data set 'svhn' could not be had: "
        "<urlopen error [Errno 111] Connection refused>\n\n"
        "hint: get http://127.0.0.1:9/train_32x32.mat and http://127.0.0.1:9/test_32x32.mat, "
        f"and put them into {tmp_path} as they are"
    )


def test_stl10_reads_its_binary_files(tmp_path, monkeypatch):
    kind, folder = torchvision.datasets.STL10, tmp_path / "stl10_binary"
    folder.mkdir()
    (folder / "class_names.txt").write_text("\n".join("abcdefghij"))
    pixels = {"train": bytes_(10, 3, 96, 96), "test": bytes_(8, 3, 96, 96)}
    for part, n in (("train", 10), ("test", 8)):  # columns first, classes from 1
        (folder / f"{part}_X.bin").write_bytes(pixels[part].transpose(0, 1, 3, 2).tobytes())
        (folder / f"{part}_y.bin").write_bytes((np.arange(n, dtype=np.uint8) % 10 + 1).tobytes())
    (folder / "unlabeled_X.bin").write_bytes(b"")
    for part in ("train_list", "test_list"):
        names = [name for name, _ in getattr(kind, part) if (folder / name).exists()]
        monkeypatch.setattr(kind, part, [[name, md5(folder / name)] for name in names])
    monkeypatch.setattr(stl10, "DATASET", replace(stl10.DATASET, train=10, test=8))
    path = prepare(DataConfig(name="stl10"), tmp_path).path
    for part, n in (("train", 10), ("test", 8)):
        assert np.array_equal(kept(path, f"{part}_pixels"), pixels[part])
        assert kept(path, f"{part}_labels").tolist() == list(range(n))
    assert stl10.DATASET.by_hand(tmp_path) == (
        f"get {kind.url}; unpack it (tar -xzf) in {tmp_path}, which must then hold the folder "
        "stl10_binary with train_X.bin, train_y.bin, unlabeled_X.bin, test_X.bin, test_y.bin"
    )


def test_usps_reads_its_compressed_text(tmp_path, monkeypatch):
    lists = {}
    for part, file in (("train", "usps.bz2"), ("test", "usps.t.bz2")):
        values = np.linspace(-1, 1, 256)
        cells = [
            " ".join(f"{i + 1}:{v:.6f}" for i, v in enumerate(np.roll(values, k)))
            for k in range(10)
        ]
        text = "".join(f"{label + 1} {cells[label]}\n" for label in range(10))
        (tmp_path / file).write_bytes(bz2.compress(text.encode()))
        lists[part] = ["http://127.0.0.1:9/" + file, file, md5(tmp_path / file)]
    monkeypatch.setattr(torchvision.datasets.USPS, "split_list", lists)
    monkeypatch.setattr(usps, "DATASET", replace(usps.DATASET, train=10, test=10))
    path = prepare(DataConfig(name="usps"), tmp_path).path
    assert kept(path, "train_pixels").shape == (10, 1, 16, 16)
    assert kept(path, "train_pixels")[0].min() == 0
    assert kept(path, "train_pixels")[0].max() == 255
    assert kept(path, "test_labels").tolist() == list(range(10))


@pytest.mark.parametrize(("name", "kind"), [("mnist", "MNIST"), ("kmnist", "KMNIST")])
def test_sets_in_mnists_format_say_where_their_files_go(name, kind, tmp_path):
    from swinablate.data.registry import find_dataset

    cls = getattr(torchvision.datasets, kind)
    files = "train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte"
    hint = find_dataset(DataConfig(name=name)).by_hand(tmp_path)
    assert hint.startswith(f"get {cls.mirrors[0]}train-images-idx3-ubyte.gz, ")
    assert hint.endswith(
        f"(gunzip) into {tmp_path / kind / 'raw'}, which must then hold {files}, "
        "t10k-labels-idx1-ubyte"
    )


def test_emnist_reads_its_balanced_split(tmp_path, monkeypatch):
    from swinablate.data.datasets import emnist

    raw = tmp_path / "EMNIST" / "raw"
    raw.mkdir(parents=True)
    pixels = bytes_(47, 28, 28)
    for part in ("train", "test"):
        for what, array in (
            ("images-idx3", pixels),
            ("labels-idx1", np.arange(47, dtype=np.uint8)),
        ):
            head = [0x0800 + array.ndim, *array.shape]
            data = b"".join(n.to_bytes(4, "big") for n in head) + array.tobytes()
            (raw / f"emnist-balanced-{part}-{what}-ubyte").write_bytes(data)
    monkeypatch.setattr(emnist, "DATASET", replace(emnist.DATASET, train=47, test=47))
    path = prepare(DataConfig(name="emnist", val_fraction=0.3), tmp_path).path
    assert np.array_equal(kept(path, "train_pixels"), pixels[:, None])
    assert kept(path, "test_labels").tolist() == list(range(47))
    assert emnist.DATASET.by_hand(tmp_path) == (
        f"get {torchvision.datasets.EMNIST.url}; unpack it (unzip), then from its folder gzip "
        "(emnist-balanced-train-images-idx3-ubyte, emnist-balanced-train-labels-idx1-ubyte, "
        "emnist-balanced-test-images-idx3-ubyte, emnist-balanced-test-labels-idx1-ubyte).gz "
        f"(gunzip) into {raw}"
    )


class Gallery(torchvision.datasets.VisionDataset):
    """Like torchvision's own: pictures of all sizes, `split`, `download`."""

    def __init__(self, root: Path, split: str = "train", *, download: bool = False) -> None:
        super().__init__(root)
        assert download
        if split not in {"train", "val"}:
            raise ValueError(f"Unknown value '{split}' for argument split.")
        self.n = 300 if split == "train" else 10

    def __len__(self) -> int:
        return self.n

    def __getitem__(self, i: int) -> tuple[Image.Image, int]:
        return Image.new("RGB", (20 + i % 7, 16), (i % 256, 0, 9)), i % 3


def test_a_general_set_takes_the_format_of_the_recipe(tmp_path, monkeypatch):
    monkeypatch.setattr(torchvision.datasets, "Gallery", Gallery, raising=False)
    image = ImageSpec(height=8, width=6, channels=3, classes=3)
    config = DataConfig(name="torchvision.datasets:Gallery", image=image)
    path = prepare(config, tmp_path).path
    assert path.parent.name.startswith("torchvision.datasets.Gallery-")
    pixels = kept(path, "train_pixels")
    assert pixels.shape == (300, 3, 8, 6)
    assert pixels[:, :, 3, 3].tolist() == [[i % 256, 0, 9] for i in range(300)]
    assert kept(path, "test_labels").tolist() == [i % 3 for i in range(10)]
    parts = load_splits(config, tmp_path, 0, "main", CPU)
    assert [len(p) for p in (parts.train, parts.val, parts.test)] == [270, 30, 10]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "Food1001",
            (
                "data.name: torchvision has no data set 'Food1001'\n\n"
                "hint: see https://docs.pytorch.org/vision/stable/datasets.html"
            ),
        ),
        (
            "EuroSAT",
            (
                "data.name: torchvision's EuroSAT has no test images of its own\n\nhint: write a "
                'function that cuts it, and name that: name = "mypackage.data:load"'
            ),
        ),
    ],
)
def test_what_torchvision_cannot_give_is_refused(name, message, tmp_path):
    image = ImageSpec(height=8, width=8, channels=3, classes=3)
    config = DataConfig(name=f"torchvision.datasets:{name}", image=image)
    assert refusal(config, tmp_path) == message


# ---- folders of pictures


SQUARE = ImageSpec(height=8, width=8, channels=3, classes=2)


def album(root: Path, n: int = 10) -> Path:
    """Two classes of pictures of several sizes, formats and modes."""
    for part in ("train", "test"):
        for label, name in enumerate(("cat", "dog")):
            folder = root / part / name
            folder.mkdir(parents=True)
            for i in range(n):
                size = (8 + 4 * (i % 3), 8 + 2 * (i % 2))
                colour = (20 * i, 100 * label, 50 if part == "train" else 60)
                picture = Image.new("RGB", size, colour)
                if i % 5 == 4:
                    picture = picture.quantize()
                picture.save(folder / f"{i}.{'PNG' if i % 2 else 'bmp'}")
    (root / "train" / "cat" / "notes.txt").write_text("not a picture")
    (root / "train" / ".hidden").mkdir()
    return root


def folder(root: Path, image: ImageSpec = SQUARE, **words: Any) -> DataConfig:
    return DataConfig(name="image_folder", root=str(root), image=image, **words)


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    return album(tmp_path / "pictures")


def test_a_folder_of_pictures_becomes_one_file_in_the_order_of_names(pictures, tmp_path):
    home = tmp_path / "home"
    config = folder(pictures, val_fraction=0.2)
    prepared = prepare(config, home)
    for part, blue in (("train", 50), ("test", 60)):
        pixels = kept(prepared.path, f"{part}_pixels")
        assert pixels.shape == (20, 3, 8, 8)
        expected = [[20 * (i % 10), 100 * (i // 10), blue] for i in range(20)]
        assert pixels[:, :, 4, 4].tolist() == expected
        assert kept(prepared.path, f"{part}_labels").tolist() == [0] * 10 + [1] * 10
    parts = load_splits(config, home, 0, "main", CPU)
    assert [len(p) for p in (parts.train, parts.val, parts.test)] == [16, 4, 20]
    assert parts.val.labels.bincount().tolist() == [2, 2]
    assert prepare(folder(pictures, train_fraction=0.5), home) == prepared


def test_pictures_are_cut_in_the_middle_and_averaged(tmp_path):
    """Twice as wide as asked for: the outer quarters go; twice as large: 2x2 are averaged."""
    root = album(tmp_path / "pictures", n=2)
    wide = np.zeros((16, 32, 3), np.uint8)
    wide[:, :8] = wide[:, -8:] = 255
    wide[:, 8:24:2] = 100
    Image.fromarray(wide).save(root / "train" / "cat" / "0.bmp")
    pixels = kept(prepare(folder(root, val_fraction=0.5), tmp_path / "home").path, "train_pixels")
    inner = pixels[0, :, 1:-1, 1:-1]
    assert np.abs(inner.astype(int) - 50).max() <= 13  # PIL's triangle reaches a pixel further
    assert pixels[0].max() < 90


def test_grey_pictures_and_pictures_of_the_right_size_keep_their_bytes(tmp_path):
    root, image = tmp_path / "pictures", ImageSpec(height=5, width=7, channels=1, classes=2)
    raw = bytes_(2, 2, 5, 7)
    for part in range(2):
        for label in range(2):
            (root / ("train", "val")[part] / str(label)).mkdir(parents=True)
            file = root / ("train", "val")[part] / str(label) / "x.png"
            Image.fromarray(raw[part, label]).save(file)
    path = prepare(folder(root, image, val_fraction=0.5), tmp_path / "home").path
    assert np.array_equal(kept(path, "train_pixels"), raw[0][:, None])
    assert np.array_equal(kept(path, "test_pixels"), raw[1][:, None])


def test_changed_pictures_are_read_again(pictures, tmp_path, caplog):
    home, config = tmp_path / "home", folder(pictures)
    first = prepare(config, home)
    assert prepare(config, home) == first
    assert caplog.text == ""
    Image.new("RGB", (8, 8), (1, 2, 3)).save(pictures / "train" / "cat" / "0.bmp")
    second = prepare(config, home)
    assert second.path == first.path
    assert second.sha256 != first.sha256
    assert "is of images that have changed: making it again" in caplog.text
    assert kept(second.path, "train_pixels")[0, :, 0, 0].tolist() == [1, 2, 3]
    (pictures / "train" / "dog" / "3.PNG").unlink()
    third = prepare(config, home).path
    assert len(kept(third, "train_labels")) == 19


def test_two_folders_do_not_share_a_place(pictures, tmp_path):
    other = album(tmp_path / "other", n=5)
    a, b = (prepare(folder(root), tmp_path / "home").path for root in (pictures, other))
    assert a.parent.name.startswith("image_folder-")
    assert a != b


def test_a_damaged_copy_is_found_and_made_again(pictures, tmp_path):
    config = folder(pictures)
    first = prepare(config, tmp_path)
    file = first.path / "train_pixels.npy"
    good = file.read_bytes()
    file.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
    assert prepare(config, tmp_path) == first
    assert file.read_bytes() == good


LAYOUT = "hint: give a folder that holds train/CLASS/*.png and test/CLASS/*.png (or val)"


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ("gone", "data.root: no folder {root}\n\n" + LAYOUT),
        ("no train", "data.root: no folder train in {root}; it holds test\n\n" + LAYOUT),
        ("no test", "data.root: no folder test or val in {root}; it holds train\n\n" + LAYOUT),
        (
            "empty class",
            (
                "data.root: no picture in {root}/train/dog\n\nhint: put files there (.bmp .gif "
                ".jpeg .jpg .pgm .png .ppm .tif .tiff .webp), or remove the folder"
            ),
        ),
        (
            "strange class",
            (
                "data.root: class 'fox' is in {root}/test but not in {root}/train\n\n"
                "hint: every class needs training images"
            ),
        ),
        (
            "one class more",
            "data.image.classes: {root}/train holds 3 classes, not 2\n\nhint: write classes = 3",
        ),
        (
            "cut",
            (
                "{root}/test/dog/3.PNG: a picture cannot be read: image file is truncated"
                "\n\nhint: mend it, or remove it"
            ),
        ),
        (
            "text",
            (
                "{root}/train/cat/2.bmp: a picture cannot be read: cannot identify image file "
                "'{root}/train/cat/2.bmp'\n\nhint: mend it, or remove it"
            ),
        ),
        (
            "deep",
            (
                "{root}/train/cat/1.PNG: a picture cannot be read: its numbers have no range "
                "(PIL's mode F)\n\nhint: mend it, or remove it"
            ),
        ),
    ],
)
def test_a_wrong_folder_is_refused_with_the_file_that_is_wrong(
    damage, message, pictures, tmp_path
):
    if damage == "gone":
        shutil.rmtree(pictures)
    elif damage.startswith("no "):
        shutil.rmtree(pictures / damage.removeprefix("no "))
    elif damage == "empty class":
        shutil.rmtree(pictures / "train" / "dog")
        (pictures / "train" / "dog").mkdir()
    elif damage == "strange class":
        (pictures / "test" / "fox").mkdir()
    elif damage == "one class more":
        shutil.copytree(pictures / "train" / "cat", pictures / "train" / "eel")
    elif damage == "cut":
        file = pictures / "test" / "dog" / "3.PNG"
        file.write_bytes(file.read_bytes()[:50])
    elif damage == "text":
        (pictures / "train" / "cat" / "2.bmp").write_text("hello")
    else:
        floats = np.full((8, 8), 0.5, np.float32)
        Image.fromarray(floats).save(pictures / "train" / "cat" / "1.PNG", format="TIFF")
    home = tmp_path / "home"
    found = refusal(folder(pictures), home)
    assert found == message.format(root=pictures)
    left = [p for p in home.rglob("*") if p.is_file() and p.suffix != ".lock"]
    assert left == []


def test_a_single_picture_cannot_be_split(tmp_path):
    root = album(tmp_path / "pictures", n=1)
    assert refusal(folder(root), tmp_path / "home") == (
        "data: no validation images: 0.1 of 2\n\nhint: raise data.val_fraction"
    )


def test_pictures_have_one_or_three_channels(pictures, tmp_path):
    image = SQUARE.model_copy(update={"channels": 4})
    assert refusal(folder(pictures, image), tmp_path) == (
        "data.image.channels: image files have 1 or 3 channels, not 4\n\n"
        "hint: write channels = 3, or 1 for grey images"
    )


def test_too_little_disk_is_said_before_any_picture_is_read(pictures, tmp_path, monkeypatch):
    usage = SimpleNamespace(free=2**20)
    monkeypatch.setattr(store.shutil, "disk_usage", lambda path: usage)
    huge = SQUARE.model_copy(update={"height": 256, "width": 256})
    with pytest.raises(EnvironmentFault) as error:
        prepare(folder(pictures, huge), tmp_path / "home")
    assert error.value.problem == (
        "data set 'image_folder' cannot be stored: 7 MiB are needed, 1 are free"
    )


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (
            DataConfig(name="image_folder", image=SQUARE),
            "data.root: data set 'image_folder' has no folder\n\nhint: add data.root = \"FOLDER\"",
        ),
        (
            DataConfig(name="digits", root="x"),
            "data.root: data set 'digits' has files of its own\n\nhint: leave data.root out",
        ),
    ],
)
def test_a_root_is_given_where_it_is_read_and_nowhere_else(config, message):
    with pytest.raises(InputError) as error:
        image_spec(config)
    assert str(error.value) == message


# ---- what does not fit in memory


def test_images_that_do_not_fit_are_read_ahead_and_are_the_same(pictures, tmp_path, monkeypatch):
    config = folder(pictures)
    prepare(config, tmp_path)
    held = load_splits(config, tmp_path, 0, "main", CPU)
    asked: list[int] = []
    monkeypatch.setattr(splits, "fits", lambda size, device: bool(asked.append(size)))
    streamed = load_splits(config, tmp_path, 0, "main", CPU)
    assert asked == [2 * 20 * 3 * 8 * 8]
    assert (held.train.ahead, streamed.train.ahead, streamed.test.ahead) == (False, True, True)
    order = torch.randperm(18, generator=torch.Generator().manual_seed(0))
    for first in (0, 2):  # a resumed epoch starts in the middle
        a, b = (list(raw_batches(s.train, order, 4, first)) for s in (held, streamed))
        assert len(a) == len(b) == 4 - first
        for (pixels, labels), (others, classes) in zip(a, b, strict=True):
            assert torch.equal(pixels, others)
            assert torch.equal(labels, classes)
    for x, y in zip(eval_batches(held.test, 7), eval_batches(streamed.test, 7), strict=True):
        assert torch.equal(x, y)


def test_reading_ahead_stops_with_its_reader(pictures, tmp_path, monkeypatch):
    config = folder(pictures)
    prepare(config, tmp_path)
    monkeypatch.setattr(splits, "fits", lambda size, device: False)
    train = load_splits(config, tmp_path, 0, "main", CPU).train
    before = threading.active_count()
    batches = raw_batches(train, torch.arange(18), 2)
    next(batches)
    assert threading.active_count() == before + 1
    del batches
    assert threading.active_count() == before


def test_what_fits_is_half_of_the_memory():
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    assert splits.fits(memory // 2, CPU)
    assert not splits.fits(memory // 2 + 1, CPU)


def test_what_fits_on_a_gpu_counts_what_torch_keeps_of_trials_before(monkeypatch):
    """A warm worker's second trial finds its images where the first one found them."""
    kept = {"reserved": 60 << 30, "allocated": 10 << 30}
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (10 << 30, 80 << 30))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda _: kept["reserved"])
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda _: kept["allocated"])
    gpu = torch.device("cuda", 0)
    assert splits.fits(15 << 30, gpu)
    assert not splits.fits((15 << 30) + 1, gpu)


# ---- functions


MODULE = """
import numpy as np
import torch

def load():
    train = np.arange(20 * 3 * 4 * 5, dtype=np.uint8).reshape(20, 3, 4, 5)
    return train, np.arange(20) % 2, torch.full((6, 3, 4, 5), 7, dtype=torch.uint8), [0, 1] * 3

def broken():
    raise KeyError("no such column")

three = lambda: (1, 2, 3)
ragged = lambda: ([[1], [2, 3]], [0, 1], [[1]], [0])
nothing = lambda: None
floats = lambda: tuple(x * 1.0 for x in map(np.asarray, load()))
flat = lambda: (load()[0].reshape(20, -1), *load()[1:])
classes = lambda: (load()[0], load()[1] * 1.0, *load()[2:])
few = lambda: (load()[0], load()[1][:-1], *load()[2:])
high = lambda: (load()[0], load()[1] + 1, *load()[2:])
small = lambda: (load()[0][..., :3], *load()[1:])
number = 5
"""
ODD = ImageSpec(height=4, width=5, channels=3, classes=2)


@pytest.fixture
def module(tmp_path, monkeypatch):
    """A module of somebody else's."""
    name = f"theirs_{tmp_path.name}"
    (tmp_path / f"{name}.py").write_text(textwrap.dedent(MODULE))
    monkeypatch.syspath_prepend(tmp_path)
    return name


def of(module: str, function: str = "load", image: ImageSpec = ODD) -> DataConfig:
    return DataConfig(name=f"{module}:{function}", image=image)


def test_a_function_gives_arrays_or_tensors(module, tmp_path):
    prepared = prepare(of(module), tmp_path / "home")
    assert kept(prepared.path, "train_pixels").flatten()[:3].tolist() == [0, 1, 2]
    assert kept(prepared.path, "test_pixels").shape == (6, 3, 4, 5)
    assert kept(prepared.path, "test_labels").tolist() == [0, 1, 0, 1, 0, 1]
    assert kept(prepared.path, "train_labels").dtype == np.int64
    parts = load_splits(of(module), tmp_path / "home", 0, "main", CPU)
    assert [len(p) for p in (parts.train, parts.val, parts.test)] == [18, 2, 6]


def test_a_rate_that_would_follow_a_batch_of_more_images_is_refused(module, tmp_path):
    config = of(module)
    prepared = prepare(config, tmp_path / "home")
    small, large = (TrainConfig(batch=n, lr_scale="sqrt") for n in (18, 19))
    check_sizes(config, prepared, [small, TrainConfig(batch=19)])
    with pytest.raises(InputError, match="19 is larger than the 18 training images") as error:
        check_sizes(config, prepared, [small, large])
    assert error.value.hint == "write train.batch = 18"
    digits = DataConfig(name="digits")
    many = TrainConfig(batch=5000, lr_scale="sqrt")  # known by name: the rate is that of them all
    check_sizes(digits, prepare(digits, tmp_path / "home"), [many])


def test_what_a_function_returns_now_is_what_counts(module, tmp_path, caplog, monkeypatch):
    first = prepare(of(module), tmp_path / "home")
    assert prepare(of(module), tmp_path / "home") == first
    assert caplog.text == ""
    theirs = importlib.import_module(module)
    before = theirs.load()
    monkeypatch.setattr(theirs, "load", lambda: (255 - before[0], *before[1:]))
    second = prepare(of(module), tmp_path / "home")
    assert second.sha256 != first.sha256
    assert kept(second.path, "train_pixels").flatten()[:2].tolist() == [255, 254]


RETURN = (
    "hint: return (train_images, train_classes, test_images, test_classes): uint8 n c h w and "
    "integers, as data.image = {{ height, width, channels, classes }} says"
)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (
            "broken",
            (
                "data.name: {m}:broken() failed: KeyError: 'no such column'\n\n"
                "hint: call it by itself; it takes no arguments"
            ),
        ),
        (
            "laod",
            ("data.name: {m} has no 'laod'\n\nhint: did you mean 'load'?"),
        ),
        (
            "number",
            (
                "data.name: {m}:number is of type int, not a function that returns images\n\n"
                'hint: write name = "mypackage.data:load", where load() returns the images'
            ),
        ),
        (
            "ragged",
            "data.name: {m}:ragged(): returned what is no array: ValueError: setting an array "
            "element with a sequence. The requested array has an inhomogeneous shape after 1 "
            "dimensions. The detected shape was (2,) + inhomogeneous part.\n\n" + RETURN,
        ),
        ("three", "data.name: {m}:three(): returned 3 parts, not four arrays\n\n" + RETURN),
        ("nothing", "data.name: {m}:nothing(): returned NoneType, not four arrays\n\n" + RETURN),
        (
            "floats",
            "data.name: {m}:floats(): training images are float64 of 4 dimensions, "
            "not uint8 n c h w\n\n" + RETURN,
        ),
        (
            "flat",
            "data.name: {m}:flat(): training images are uint8 of 2 dimensions, "
            "not uint8 n c h w\n\n" + RETURN,
        ),
        (
            "classes",
            "data.name: {m}:classes(): training classes are float64 of 1 dimensions, "
            "not integers n\n\n" + RETURN,
        ),
        (
            "few",
            "data.name: {m}:few(): there are 20 training images and 19 classes\n\n" + RETURN,
        ),
        (
            "high",
            "data.name: {m}:high(): training classes are 1 to 2, data.image says 0 to 1\n\n"
            + RETURN,
        ),
        (
            "small",
            "data.name: {m}:small(): training images are (3, 4, 3), data.image says (3, 4, 5)\n\n"
            + RETURN,
        ),
    ],
)
def test_a_function_that_gives_something_else_is_refused(function, message, module, tmp_path):
    assert refusal(of(module, function), tmp_path / "home") == message.format(m=module)


def test_a_module_that_is_not_there_is_named(tmp_path):
    assert refusal(of("nosuchpackage.data"), tmp_path) == (
        "data.name: no module is called 'nosuchpackage'\n\n"
        f"hint: put it into one of {Path.cwd()}, or install it"
    )


def test_a_recipe_finds_the_module_beside_it(tmp_path, write):
    """Where networks of one's own are found; a function that is not there is refused at once."""
    name = f"beside_{tmp_path.name}"
    path = write()
    (path.parent / f"{name}.py").write_text(textwrap.dedent(MODULE))
    base = path.parent / "base.toml"
    text = base.read_text().replace('name = "digits"', f'name = "{name}:load"\nimage = {{ height = 4, width = 5, channels = 3, classes = 2 }}')  # fmt: skip
    base.write_text(text)
    recipe = load_recipe(base)
    assert kept(prepare(recipe.data, tmp_path / "home").path, "test_pixels").shape == (6, 3, 4, 5)
    base.write_text(text.replace(":load", ":laod"))
    with pytest.raises(InputError) as error:
        load_recipe(base)
    assert str(error.value) == (
        f"{base}: data.name: {name} has no 'laod'\n\nhint: did you mean 'load'?"
    )


def test_the_plan_needs_a_format_and_nothing_else():
    assert image_spec(of("nosuchpackage.data")) == ODD
    with pytest.raises(ValueError, match="no format of its own") as error:
        image_spec(DataConfig(name="nosuchpackage.data:load"))
    assert str(error.value) == (
        "data set 'nosuchpackage.data:load' has no format of its own; "
        "add data.image = { height = 32, width = 32, channels = 3, classes = 10 }"
    )

"""Prepared data sets: formats, damage, races, hostile folders."""

import gzip
import hashlib
import json
import os
import pickle
import signal
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision

from swinablate.config.data import DataConfig
from swinablate.config.family import ImageSpec
from swinablate.data import Prepared, load_splits, prepare
from swinablate.data import prepared as store
from swinablate.data.dataset import Arrays, draws, stratified_order
from swinablate.data.datasets import cifar10, cifar100, digits, fashion_mnist
from swinablate.data.prepared import FILES
from swinablate.errors import EnvironmentFault

NOISE = DataConfig(name="noise", image=ImageSpec(height=4, width=4, channels=1, classes=2))
FASHION = DataConfig(name="fashion_mnist")


def tree(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


# ---- drawing and ordering


def test_draws_are_the_published_function_shake_256():
    assert draws(2, "a", 1).tolist() == [
        int.from_bytes(hashlib.shake_256(b"a\x1f1").digest(16)[i : i + 8], "little")
        for i in (0, 8)
    ]


def test_every_stretch_of_a_stratified_order_is_stratified():
    labels = np.repeat([0, 1, 2], [100, 30, 7])
    order = stratified_order(labels, draws(137, "x"))
    assert sorted(order.tolist()) == list(range(137))
    for start, end in ((0, 10), (10, 60), (50, 137), (0, 137), (3, 100)):
        counts = np.bincount(labels[order[start:end]], minlength=3)
        share = np.array([100, 30, 7]) / 137 * (end - start)
        assert np.abs(counts - share).max() <= 1.5
    within = order[labels[order] == 0]
    assert np.abs(np.corrcoef(np.arange(100), within)[0, 1]) < 0.3  # shuffled


# ---- preparing


@pytest.mark.parametrize(
    ("config", "digest"),
    [
        (
            DataConfig(name="digits"),
            "08b2c6b59b3f6d6f47fff45546869fc5b18e2e906709e87a78c9449e5ac359a7",
        ),
        (NOISE, "441d088f9ccadc75c883102a71cc56fbaf0ea2e4ad81102b031b966dc9e50df4"),
        (
            DataConfig(name="shapes"),
            "0d68d279709da92f9e0a0c0aea500112e264c9997690b387225a6b8e27a8c303",
        ),
    ],
)
def test_a_version_of_a_data_set_has_one_digest_for_ever(config, digest, tmp_path):
    assert prepare(config, tmp_path).sha256 == digest


def test_preparing_twice_reads_once_and_changes_nothing(tmp_path, monkeypatch):
    first = prepare(NOISE, tmp_path)
    before = tree(tmp_path)
    monkeypatch.setattr(store, "Source", None)
    assert prepare(NOISE, tmp_path) == first
    assert first.path == tmp_path / "noise" / "v1-4x4x1-2"
    assert tree(tmp_path) == before
    assert sorted(p.name for p in first.path.iterdir()) == sorted(
        ["manifest.json", *(f"{name}.npy" for name in FILES)]
    )


@pytest.mark.parametrize("name", [*(f"{x}.npy" for x in FILES), "manifest.json"])
@pytest.mark.parametrize("damage", ["cut", "flip", "empty", "gone"])
def test_a_damaged_file_is_noticed_and_made_again(name, damage, tmp_path, caplog):
    prepared = prepare(NOISE, tmp_path)
    good = tree(prepared.path)
    path = prepared.path / name
    data = path.read_bytes()
    if damage == "gone":
        path.unlink()
    elif damage == "flip":
        path.write_bytes(data[:-9] + bytes([data[-9] ^ 1]) + data[-8:])
    else:
        path.write_bytes(data[:-1] if damage == "cut" else b"")
    if damage == "flip" and name == "manifest.json":
        assert path.read_bytes() != good[name]
    assert prepare(NOISE, tmp_path) == prepared
    assert tree(prepared.path) == good
    assert f"{prepared.path} is damaged: making it again" in caplog.text
    assert [p.name for p in prepared.path.parent.iterdir()] == [prepared.path.name]


@pytest.mark.parametrize("damage", ["cut", "gone", "never"])
def test_a_worker_refuses_missing_or_short_files(damage, tmp_path):
    folder = tmp_path / "noise" / "v1-4x4x1-2"
    if damage != "never":
        path = prepare(NOISE, tmp_path).path / "train_pixels.npy"
        data = path.read_bytes()
        path.unlink()
        if damage == "cut":
            path.write_bytes(data[:-1])
    with pytest.raises(EnvironmentFault) as error:
        load_splits(NOISE, tmp_path, 0, "main", torch.device("cpu"))
    assert str(error.value) == (
        f"{folder}: data set 'noise' is not prepared, or damaged\n\n"
        "hint: start the study again: `swinablate run STUDY` prepares it"
    )


SCRIPT = """\
import os, sys, time
from dataclasses import replace
from pathlib import Path
from swinablate.data import prepare, prepared
from swinablate.data.datasets import noise
from swinablate.config.data import DataConfig
from swinablate.config.family import ImageSpec

root, log, what = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]

def read(raw, image):
    with log.open("a") as file:
        file.write(f"{os.getpid()}\\n")
    time.sleep(1.0)
    return arrays(raw, image)

arrays = noise.DATASET.read
noise.DATASET = replace(noise.DATASET, read=read)
if what == "die":  # after the files, before they get their name
    prepared._fingerprint = lambda path: os.kill(os.getpid(), 9)
image = ImageSpec(height=4, width=4, channels=1, classes=2)
print(prepare(DataConfig(name="noise", image=image), root).sha256)
"""


def test_two_processes_at_once_convert_once(tmp_path):
    log = tmp_path / "log"
    run = [sys.executable, "-c", SCRIPT, str(tmp_path / "root"), str(log), "live"]
    both = [subprocess.Popen(run, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    digests = [process.communicate()[0] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert len(log.read_text().splitlines()) == 1
    assert digests[0] == digests[1]
    assert digests[0].strip() == prepare(NOISE, tmp_path / "other").sha256


def test_a_killed_conversion_leaves_nothing_that_is_taken_for_data(tmp_path):
    root = tmp_path / "root"
    run = [sys.executable, "-c", SCRIPT, str(root), str(tmp_path / "log"), "die"]
    assert subprocess.run(run, check=False).returncode == -signal.SIGKILL
    assert [p.name for p in (root / "noise").iterdir()] == [".v1-4x4x1-2.tmp"]
    with pytest.raises(EnvironmentFault, match="not prepared"):
        load_splits(NOISE, root, 0, "main", torch.device("cpu"))
    prepared = prepare(NOISE, root)
    assert [p.name for p in (root / "noise").iterdir()] == [prepared.path.name]


# ---- hostile folders


@pytest.fixture
def sealed():
    """A folder in which the current user (not root) may write nothing."""
    folder = Path(tempfile.mkdtemp(dir=tempfile.gettempdir()))
    before = os.geteuid()
    yield folder
    os.seteuid(before)
    folder.chmod(0o700)
    for path in sorted(folder.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    folder.rmdir()


def seal(folder: Path) -> None:
    folder.chmod(0o555)
    if os.geteuid() == 0:
        os.seteuid(65534)  # root may write anywhere


def test_a_read_only_home_is_named(sealed):
    seal(sealed)
    with pytest.raises(EnvironmentFault) as error:
        prepare(NOISE, sealed)
    assert str(error.value) == (
        f"{sealed}/.noise.lock: cannot write: Permission denied\n\n"
        "hint: is the disk there, and the folder yours? --home or SWINABLATE_HOME names another"
    )


def test_a_read_only_home_that_holds_the_data_is_enough(sealed):
    prepared = prepare(NOISE, sealed)
    seal(sealed)
    assert prepare(NOISE, sealed) == prepared
    load_splits(NOISE, sealed, 0, "main", torch.device("cpu"))


def test_a_file_in_the_way_is_named(tmp_path):
    (tmp_path / "datasets").write_text("")
    with pytest.raises(EnvironmentFault) as error:
        prepare(NOISE, tmp_path / "datasets")
    assert str(error.value) == (
        f"{tmp_path / 'datasets'}: data set 'noise' cannot be stored: File exists\n\n"
        "hint: free some space or give write permission, or choose another --home"
    )


def test_a_full_disk_leaves_no_half_data_set(tmp_path):
    code = (
        "import resource, sys; from pathlib import Path; from swinablate.data import prepare\n"
        "from swinablate.errors import EnvironmentFault\n"
        "from swinablate.config.data import DataConfig\n"
        "from swinablate.config.family import ImageSpec\n"
        "image = ImageSpec(height=32, width=32, channels=3, classes=2)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (2**20, 2**20))\n"
        "try:\n    prepare(DataConfig(name='noise', image=image), Path(sys.argv[1]))\n"
        "except EnvironmentFault as fault:\n    print(fault.problem, '|', fault.hint)"
    )
    run = [sys.executable, "-c", code, str(tmp_path)]
    done = subprocess.run(run, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("data set 'noise' cannot be stored: ")
    assert done.stdout.endswith(
        "| free some space or give write permission, or choose another --home\n"
    )
    assert not list((tmp_path / "noise").glob("v*"))
    assert sum(p.stat().st_size for p in tmp_path.rglob("*") if p.is_file()) < 2**21


# ---- file formats of others


def idx(array: np.ndarray) -> bytes:
    """The format of MNIST: magic number, sizes, bytes; all big-endian."""
    head = [0x0800 + array.ndim, *array.shape]
    return b"".join(n.to_bytes(4, "big") for n in head) + array.tobytes()


def clothes(folder: Path, train: int = 40, test: int = 20) -> Arrays:
    """Write a small Fashion-MNIST."""
    chance = np.random.default_rng(0)
    parts = []
    (folder / "FashionMNIST" / "raw").mkdir(parents=True)
    for name, n in (("train", train), ("t10k", test)):
        pixels = chance.integers(0, 256, (n, 28, 28), dtype=np.uint8)
        labels = (np.arange(n) % 10).astype(np.uint8)
        raw = folder / "FashionMNIST" / "raw"
        (raw / f"{name}-images-idx3-ubyte").write_bytes(idx(pixels))
        (raw / f"{name}-labels-idx1-ubyte").write_bytes(idx(labels))
        parts += [pixels[:, None], labels.astype(np.int64)]
    return Arrays(*parts)


@pytest.fixture
def few_clothes(monkeypatch):
    small = replace(fashion_mnist.DATASET, train=40, test=20)
    monkeypatch.setattr(fashion_mnist, "DATASET", small)


def equal(found: Arrays, expected: Arrays) -> bool:
    return all(np.array_equal(vars(found)[k], v) for k, v in vars(expected).items())


def test_fashion_mnist_reads_the_files_of_mnist(tmp_path, few_clothes):
    expected = clothes(tmp_path)
    prepared = prepare(FASHION, tmp_path)
    for name, array in vars(expected).items():
        found = np.load(prepared.path / f"{name}.npy")
        assert found.dtype == array.dtype
        assert np.array_equal(found, array)
    splits = load_splits(FASHION, tmp_path, 0, "main", torch.device("cpu"))
    assert (len(splits.train), len(splits.val), len(splits.test)) == (36, 4, 20)


@pytest.mark.parametrize(
    ("file", "cut", "reason"),
    [
        ("train-images-idx3-ubyte", 1, "shape '[40, 28, 28]' is invalid for input of size 31359"),
        ("t10k-labels-idx1-ubyte", 3, "shape '[20]' is invalid for input of size 17"),
        ("t10k-images-idx3-ubyte", 15_690, ""),
    ],
)
def test_a_cut_raw_file_is_no_data_set(tmp_path, few_clothes, file, cut, reason):
    clothes(tmp_path)
    path = tmp_path / "FashionMNIST" / "raw" / file
    path.write_bytes(path.read_bytes()[:-cut])
    with pytest.raises(EnvironmentFault) as error:
        prepare(FASHION, tmp_path)
    assert error.value.problem.startswith("data set 'fashion_mnist' could not be had: " + reason)
    assert error.value.hint == fashion_mnist.DATASET.by_hand(tmp_path)
    assert not (tmp_path / "fashion_mnist").exists()


def test_the_wrong_number_of_images_is_no_data_set(tmp_path, few_clothes):
    clothes(tmp_path, train=41)
    with pytest.raises(EnvironmentFault) as error:
        prepare(FASHION, tmp_path)
    assert error.value.problem == (
        "data set 'fashion_mnist' could not be had: expected images (40, 1, 28, 28) and "
        "40 labels, found (41, 1, 28, 28) and (41,)"
    )


def test_a_label_outside_the_classes_is_no_data_set(tmp_path, few_clothes):
    clothes(tmp_path)
    path = tmp_path / "FashionMNIST" / "raw" / "train-labels-idx1-ubyte"
    path.write_bytes(path.read_bytes()[:-1] + b"\x0a")
    with pytest.raises(EnvironmentFault) as error:
        prepare(FASHION, tmp_path)
    assert error.value.problem == (
        "data set 'fashion_mnist' could not be had: expected bytes and labels from 0 to 9"
    )


def pictures(folder: Path, kind: type, key: str, classes: int, monkeypatch) -> Arrays:
    """Write a small CIFAR and give torchvision its MD5 sums."""
    chance = np.random.default_rng(0)
    target = folder / kind.base_folder
    target.mkdir(parents=True)
    whole: dict[str, list[np.ndarray]] = {}
    for part, names in (("train_list", kind.train_list), ("test_list", kind.test_list)):
        sums = []
        for name, _ in names:
            pixels = chance.integers(0, 256, (10, 3, 32, 32), dtype=np.uint8)
            labels = [int(x) for x in chance.integers(0, classes, 10)]
            data = pickle.dumps({"data": pixels.reshape(10, -1), key: labels})
            (target / name).write_bytes(data)
            sums.append([name, hashlib.md5(data).hexdigest()])
            whole.setdefault(part + "p", []).append(pixels)
            whole.setdefault(part + "l", []).append(np.array(labels))
        monkeypatch.setattr(kind, part, sums)
    meta = pickle.dumps({kind.meta["key"]: [str(i) for i in range(classes)]})
    (target / kind.meta["filename"]).write_bytes(meta)
    monkeypatch.setattr(kind, "meta", {**kind.meta, "md5": hashlib.md5(meta).hexdigest()})
    return Arrays(*(np.concatenate(whole[k]) for k in ("train_listp", "train_listl", "test_listp", "test_listl")))  # fmt: skip


@pytest.mark.parametrize(("module", "files"), [(cifar10, 5), (cifar100, 1)])
def test_cifar_reads_its_pickles(module, files, tmp_path, monkeypatch):
    fine = module is cifar100
    kind = torchvision.datasets.CIFAR100 if fine else torchvision.datasets.CIFAR10
    key, classes = ("fine_labels", 100) if fine else ("labels", 10)
    expected = pictures(tmp_path, kind, key, classes, monkeypatch)
    small = replace(module.DATASET, train=10 * files, test=10)
    monkeypatch.setattr(module, "DATASET", small)
    config = DataConfig(name=f"cifar{classes}", val_fraction=0.2)
    prepared = prepare(config, tmp_path)
    for name, array in vars(expected).items():
        assert np.array_equal(np.load(prepared.path / f"{name}.npy"), array)
    splits = load_splits(config, tmp_path, 0, "main", torch.device("cpu"))
    assert len(splits.train) == 8 * files
    assert splits.train.scale.shape == (3, 1, 1)


def test_a_changed_cifar_file_is_never_unpickled(tmp_path, monkeypatch):
    kind = torchvision.datasets.CIFAR10
    pictures(tmp_path, kind, "labels", 10, monkeypatch)
    monkeypatch.setattr(kind, "url", "http://127.0.0.1:9/cifar-10-python.tar.gz")

    class Trap:
        def __reduce__(self):
            return (Path.write_text, (tmp_path / "trapped", "x"))

    (tmp_path / kind.base_folder / "data_batch_3").write_bytes(pickle.dumps(Trap()))
    with pytest.raises(EnvironmentFault) as error:
        prepare(DataConfig(name="cifar10"), tmp_path)
    assert str(error.value) == (
        f"{tmp_path}: data set 'cifar10' could not be had: "
        "<urlopen error [Errno 111] Connection refused>\n\n"
        f"hint: get http://127.0.0.1:9/cifar-10-python.tar.gz; unpack it (tar -xzf) in {tmp_path}, "
        "which must then hold the folder cifar-10-batches-py with data_batch_1, data_batch_2, "
        "data_batch_3, data_batch_4, data_batch_5, test_batch, batches.meta"
    )
    assert not (tmp_path / "trapped").exists()


def test_digits_holds_every_image_of_scikit_learn_once():
    from sklearn.datasets import load_digits

    arrays = digits.read(Path(), digits.DATASET.image)
    found = [bytes(x) for x in (*arrays.train_pixels, *arrays.test_pixels)]
    assert sorted(found) == sorted(bytes(x.astype(np.uint8)) for x in load_digits().data)
    assert np.bincount(arrays.test_labels).tolist() == [54, 55, 53, 55, 54, 55, 54, 54, 52, 54]


def test_the_manifest_is_plain_json(tmp_path):
    prepared = prepare(NOISE, tmp_path)
    assert isinstance(prepared, Prepared)
    manifest = json.loads((prepared.path / "manifest.json").read_text())
    assert set(manifest) == {"schema", "files", "facts"}
    for name in FILES:
        data = (prepared.path / f"{name}.npy").read_bytes()
        assert manifest["files"][name] == {
            "sha256": hashlib.sha256(data).hexdigest(),
            "bytes": len(data),
        }


def test_gzip_is_not_what_torchvision_reads(tmp_path, few_clothes, monkeypatch):
    """Debian's package holds .gz files: placing them as they are must not look like success."""
    clothes(tmp_path)
    raw = tmp_path / "FashionMNIST" / "raw"
    for path in list(raw.iterdir()):
        path.with_name(path.name + ".gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
    monkeypatch.setattr(torchvision.datasets.FashionMNIST, "mirrors", ["http://127.0.0.1:9/"])
    with pytest.raises(EnvironmentFault) as error:
        prepare(FASHION, tmp_path)
    assert "unpack them (gunzip) into" in error.value.hint

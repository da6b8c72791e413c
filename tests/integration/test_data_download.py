"""Downloading: a real server on this machine, real processes, and no network at all."""

import contextlib
import functools
import gzip
import hashlib
import http.server
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torchvision

from swinablate.config.data import DataConfig
from swinablate.data import prepare
from swinablate.errors import EnvironmentFault

pytestmark = pytest.mark.integration
FASHION = DataConfig(name="fashion_mnist")
FILES = [name for name, _ in torchvision.datasets.FashionMNIST.resources]
RAW = [name.removesuffix(".gz") for name in FILES]
DEBIAN = Path("/usr/share/datasets/fashion-mnist")


class Server(http.server.ThreadingHTTPServer):
    """Serves a folder and remembers what was asked for."""

    def __init__(self, folder: Path) -> None:
        asked = self.asked = []

        class Handler(http.server.SimpleHTTPRequestHandler):
            def do_GET(self) -> None:
                asked.append(self.path.rpartition("/")[2])
                super().do_GET()

            def log_message(self, *_words: object) -> None: ...

        super().__init__(("127.0.0.1", 0), functools.partial(Handler, directory=str(folder)))
        self.url = f"http://127.0.0.1:{self.server_port}/"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A mirror of a small Fashion-MNIST."""
    folder = tmp_path / "mirror"
    folder.mkdir()
    for name, shape in zip(FILES, ((40, 28, 28), (40,), (20, 28, 28), (20,)), strict=True):
        head = b"".join(n.to_bytes(4, "big") for n in (0x0800 + len(shape), *shape))
        body = (np.arange(np.prod(shape)) % 10).astype(np.uint8).tobytes()
        (folder / name).write_bytes(gzip.compress(head + body, mtime=0))
    with Server(folder) as made:
        thread = threading.Thread(target=made.serve_forever)
        thread.start()
        yield made
        made.shutdown()
        thread.join()


def sums(folder: Path) -> list[tuple[str, str]]:
    return [(n, hashlib.md5((folder / n).read_bytes()).hexdigest()) for n in FILES]


SCRIPT = """\
import json, sys
from dataclasses import replace
from pathlib import Path
from torchvision.datasets import FashionMNIST
from swinablate.data import prepare
from swinablate.data.datasets import fashion_mnist
from swinablate.errors import EnvironmentFault
from swinablate.config.data import DataConfig

root, mirror, resources = Path(sys.argv[1]), sys.argv[2], json.loads(sys.argv[3])
FashionMNIST.mirrors, FashionMNIST.resources = [mirror], resources
fashion_mnist.DATASET = replace(fashion_mnist.DATASET, train=40, test=20)
try:
    print(prepare(DataConfig(name="fashion_mnist"), root).sha256)
except EnvironmentFault as fault:
    print(fault)
    sys.exit(fault.exit_code)
"""


def start(root: Path, mirror: str, resources: list[tuple[str, str]]) -> "subprocess.Popen[str]":
    import json

    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(root), mirror, json.dumps(resources)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def hint(root: Path, mirror: str) -> str:
    return (
        f"hint: get {', '.join(mirror + name for name in FILES)}; unpack them (gunzip) into "
        f"{root}/FashionMNIST/raw, which must then hold {', '.join(RAW)}; Debian has the same "
        "files in its package dataset-fashion-mnist (`dpkg -L dataset-fashion-mnist` lists them)"
    )


def test_two_processes_download_once(server, tmp_path):
    root = tmp_path / "root"
    resources = sums(tmp_path / "mirror")
    both = [start(root, server.url, resources) for _ in range(2)]
    answers = [process.communicate(timeout=120) for process in both]
    assert [process.returncode for process in both] == [0, 0], answers
    assert answers[0][0] == answers[1][0]
    assert sorted(server.asked) == sorted(2 * FILES)  # torchvision first looks for redirects


@pytest.mark.parametrize("damage", ["changed", "cut", "none there"])
def test_a_bad_download_is_refused_and_a_good_one_mends_it(damage, server, tmp_path):
    root, file = tmp_path / "root", tmp_path / "mirror" / FILES[2]
    resources, good = sums(tmp_path / "mirror"), file.read_bytes()
    if damage == "none there":
        file.unlink()
        reason = "HTTP Error 404: File not found"
    else:
        file.write_bytes(good[:-5] if damage == "cut" else good[:-1] + b"\x01")
        reason = "File not found or corrupted."
    process = start(root, server.url, resources)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 4, err
    assert out == (
        f"{root}: data set 'fashion_mnist' could not be had: Error downloading {FILES[2]}: "
        f"Tried {server.url}, got: {reason}\n\n{hint(root, server.url)}\n"
    )
    assert not (root / "fashion_mnist").exists()
    file.write_bytes(good)
    again = start(root, server.url, resources)
    out, err = again.communicate(timeout=120)
    assert again.returncode == 0, (out, err)
    assert server.asked.count(FILES[0]) == 2  # as in one go: what was good is not fetched again


def test_no_network_is_said_with_address_folder_and_files(tmp_path):
    with contextlib.closing(socket.socket()) as busy:  # bound, not listening: refuses
        busy.bind(("127.0.0.1", 0))
        mirror = f"http://127.0.0.1:{busy.getsockname()[1]}/"
        process = start(tmp_path, mirror, [(name, "0" * 32) for name in FILES])
        out, err = process.communicate(timeout=120)
    assert process.returncode == 4, err
    assert out == (
        f"{tmp_path}: data set 'fashion_mnist' could not be had: Error downloading {FILES[0]}: "
        f"Tried {mirror}, got: <urlopen error [Errno 111] Connection refused>\n\n"
        f"{hint(tmp_path, mirror)}\n"
    )
    assert not (tmp_path / "fashion_mnist").exists()


def test_a_server_that_never_answers_is_given_up(tmp_path, monkeypatch):
    from swinablate.data import reading as store

    monkeypatch.setattr(store, "SILENCE_S", 0.5)
    before = socket.getdefaulttimeout()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        mirror = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        monkeypatch.setattr(torchvision.datasets.FashionMNIST, "mirrors", [mirror])
        with pytest.raises(EnvironmentFault) as error:
            prepare(FASHION, tmp_path)
    assert str(error.value) == (
        f"{tmp_path}: data set 'fashion_mnist' could not be had: timed out\n\n"
        f"{hint(tmp_path, mirror)}"
    )
    assert socket.getdefaulttimeout() == before


@pytest.mark.skipif(not DEBIAN.is_dir(), reason="Debian's dataset-fashion-mnist is not installed")
def test_debians_package_placed_by_hand_is_fashion_mnist(tmp_path):
    raw = tmp_path / "FashionMNIST" / "raw"
    raw.mkdir(parents=True)
    for name in FILES:
        (raw / name.removesuffix(".gz")).write_bytes(gzip.decompress((DEBIAN / name).read_bytes()))
    prepared = prepare(FASHION, tmp_path)
    pixels = np.load(prepared.path / "train_pixels.npy")
    assert pixels.shape == (60_000, 1, 28, 28)
    assert round(pixels.mean() / 255, 4) == 0.2860  # the published constants
    assert round(pixels.std() / 255, 4) == 0.3530
    assert prepared.sha256 == "29becff5b43a3c8210f7bb8e3c8378ec52b6a85d15c47451a07457c4d522afae"

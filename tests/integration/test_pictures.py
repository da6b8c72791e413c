"""A study of one's own pictures, from a folder to recorded trials; and of changed pictures."""

import json

import numpy as np
import pytest
from PIL import Image

MORE = ("--set", "study.seeds=4", "--set", "study.baseline_seeds=4")
pytestmark = pytest.mark.integration


def test_pictures_are_trained_on_and_changed_ones_never_mixed_in(command, tmp_path):
    chance, root = np.random.Generator(np.random.PCG64(0)), tmp_path / "pictures"
    for part in ("train", "test"):
        for label in range(2):
            folder = root / part / f"kind {label}"
            folder.mkdir(parents=True)
            for i in range(20):
                pixels = chance.integers(0, 128, (9, 10, 3), dtype=np.uint8) + 127 * label
                Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{i}.png")
    base = command.study.parent / "base.toml"
    text = base.read_text()
    before, _, rest = text.partition("[data]\n")
    data = (
        f'[data]\nname = "image_folder"\nroot = "{root}"\naugment = "flip"\nmixup = 0.2\n'
        'policy = "randaugment"\ncutmix = 1.0\ncutout = 2\n'
        "image = { height = 8, width = 8, channels = 3, classes = 2 }\n\n"
    )
    base.write_text(before + data + rest[rest.index("[train]") :])
    code, _, err = command.run("--no-report", "--executor", "serial")
    assert code == 0, err
    outcomes = [json.loads(p.read_text()) for p in command.home.glob("trials/*/result.json")]
    assert outcomes
    assert {outcome["status"] for outcome in outcomes} == {"done"}
    assert len({outcome["provenance"]["data"] for outcome in outcomes}) == 1
    Image.new("RGB", (8, 8)).save(root / "train" / "kind 0" / "0.png")
    code, _, err = command.run("--no-report", "--executor", "serial", *MORE)
    assert code == 2
    assert (
        "error: data.root: the images of 'image_folder' are not those that trials were "
        "recorded with\n\nhint: bring the old images back, or give the new ones another folder "
        "or name" in err
    )
    assert len(list(command.home.glob("trials/*/result.json"))) == len(outcomes)

"""Proof that a switch switches: what differs, where, and what does nothing."""

import dataclasses

import pytest
import torch

from swinablate.config.family import ImageSpec, Switch
from swinablate.models.diff import Change, compare, grouped
from swinablate.models.families import swin
from swinablate.models.fingerprint import observe
from swinablate.study.files import load_study
from swinablate.study.noise.expected import Noise
from swinablate.study.plan_record import plan_record
from swinablate.study.planner import plan
from tests.conftest import STUDY

DIGITS = ImageSpec(height=8, width=8, channels=1, classes=10)


def look(**fields):
    config = swin.SwinConfig(patch=1, width=8, heads=(2, 4), window=2, **fields)
    return observe(swin.FAMILY, config, DIGITS)


def test_no_shift_takes_away_rolls_and_masks_and_nothing_else():
    proof = compare(look(), look(shift=False), ["*.attention.*"])
    assert proof.parameters == Change()
    assert list(grouped(proof.places)) == [
        "stages.*.blocks.*.attention.enter.*",
        "stages.*.blocks.*.attention.leave.*",
        "stages.*.blocks.*.attention.mix.bias",
    ]
    assert proof.modules.removed == tuple(
        f"stages.{i}.blocks.1.attention.{part}.0" for i in (0, 1) for part in ("enter", "leave")
    )
    assert proof.buffers.removed == tuple(
        f"stages.{i}.blocks.1.attention.mix.bias.mask" for i in (0, 1)
    )
    assert proof.outside == ()
    assert proof.output == proof.output_train > 0.001


def test_a_mask_of_the_same_shape_is_seen_by_its_content():
    proof = compare(look(), look(shift_mask="none"), [])
    assert proof.modules == proof.parameters == Change()
    assert proof.buffers.changed == proof.outside != ()


def test_other_initial_values_are_no_change_of_the_output():
    proof = compare(look(), look(init="xavier"), ["*"])
    assert proof.names == proof.restarted != ()
    assert proof.output == 0.0


def test_drop_path_shows_in_training_only():
    proof = compare(look(), look(drop_path=0.5), ["*.end1*", "*.end2*"])
    assert proof.outside == ()
    assert proof.output == 0.0
    assert proof.output_train > 0.01


def test_a_network_differs_from_itself_in_nothing():
    proof = compare(look(), look(), [])
    assert proof.names == proof.places == ()
    assert proof.output == proof.output_train == 0.0


def test_what_differs_elsewhere_is_outside():
    """One norm that a position switch changes as well."""
    proof = compare(look(), look(position_bias="none", norm="batch"), ["*.attention.mix.bias*"])
    assert set(grouped(proof.outside)) >= {"norm", "stages.*.blocks.*.norm1", "embed_norm"}
    assert not any("attention" in name for name in proof.outside)


def test_nobody_declared_where():
    assert compare(look(), look(norm="batch"), None).outside == ()


def test_logits_that_overflow_have_no_distance():
    base = look()
    broken = dataclasses.replace(base, evaluated=base.evaluated * float("nan"))
    assert compare(base, broken, []).output is None


def test_the_plan_proves_every_arm(write):
    made = plan(load_study(write(STUDY + '"train.lr" = [1e-2]\n')))
    base, shift, rate = made.arms
    assert base.proof is None
    assert shift.proof.output > 0
    assert shift.proof.outside == ()
    assert rate.proof.names == ()
    assert rate.proof.output == 0.0
    found = plan_record(made, {}, Noise(None, ""))
    assert found.warnings == ()
    assert found.arms[1].proof.where["stages.*.blocks.*.attention.enter.*"] == len(
        [n for n in shift.proof.places if ".enter." in n]
    )


def test_a_change_that_does_nothing_in_its_arm_is_named(write):
    """Without shift there is nothing to mask."""
    arm = '\n[[arms]]\nname = "both"\nchanges = { "model.shift" = false, "model.shift_mask" = "none", "model.norm" = "rms" }\n'
    made = plan(load_study(write(STUDY + arm)))
    assert [a.idle for a in made.arms] == [(), (), ("model.shift_mask",)]
    assert plan_record(made, {}, Noise(None, "")).to_json()["warnings"] == [
        {
            "code": "W13",
            "text": "both: model.shift_mask = none changes nothing here; "
            "without it the arm would be the same.",
        },
        {
            "code": "W22",
            "text": "both - baseline: 3 changes at once, model.shift, model.shift_mask, "
            "model.norm; a verdict is about all of it together.",
        },
    ]


def test_parameters_that_nothing_uses_are_named(write, monkeypatch):
    """Not a void arm: its weights are more. But no answer moves."""

    def build(config, image):
        model = swin.Swin(config, image)
        model.spare = torch.nn.Linear(3, 3) if config.band else torch.nn.Identity()
        return model

    family = dataclasses.replace(swin.FAMILY, build=build)
    for module in ("equality", "planner"):
        monkeypatch.setattr(f"swinablate.study.{module}.load_family", lambda *_: family)
    study = STUDY.replace('"model.shift" = [false]', '"model.band" = [1]')
    made = plan(load_study(write(study)))
    assert made.arms[1].proof.parameters.added == ("spare.weight", "spare.bias")
    assert plan_record(made, {}, Noise(None, "")).warnings[0].to_json() == {
        "code": "W13",
        "text": "band=1: its answers are the baseline's: what it adds, removes or resizes is used "
        "by nothing.",
    }


def test_a_switch_that_does_more_than_it_says_is_a_warning(write, monkeypatch):
    field = swin.SwinConfig.model_fields["shift"]
    narrow = [
        dataclasses.replace(mark, acts_on=("*.attention.mix.*",))
        if isinstance(mark, Switch)
        else mark
        for mark in field.metadata
    ]
    monkeypatch.setattr(field, "metadata", narrow)
    made = plan(load_study(write(STUDY)))
    (warning,) = plan_record(made, {}, Noise(None, "")).to_json()["warnings"]
    assert warning["code"] == "W15"
    assert warning["text"].startswith("shift=false: 2 names differ that its switches do not ")
    assert "stages.*.blocks.*.attention.enter.*" in warning["text"]


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (["a.0.b", "a.1.b", "a.1.c"], {"a.*.b": 2, "a.*.c": 1}),
        (["norm1", "norm2"], {"norm1": 1, "norm2": 1}),
    ],
)
def test_names_are_grouped_by_their_numbers(names, found):
    assert grouped(names) == found


def test_a_network_too_large_to_be_run_differs_by_what_it_is_made_of(monkeypatch):
    monkeypatch.setattr("swinablate.models.fingerprint.RUN", 10)
    proof = compare(look(), look(shift_mask="none"), [])
    assert proof.buffers.changed != ()
    assert proof.restarted == ()
    assert proof.output is proof.output_train is None
    assert not proof.unused
    assert look().signature == look().signature != look(shift_mask="none").signature
    unrun = dataclasses.replace(swin.FAMILY, init=None)  # nobody calls it
    assert observe(unrun, swin.SwinConfig(patch=1, window=2), DIGITS).trained.isnan().all()

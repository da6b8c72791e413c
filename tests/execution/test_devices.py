"""Where trials may run."""

import pytest

from swinablate.errors import InputError
from swinablate.execution.devices import choose_slots
from swinablate.study.files import load_study
from swinablate.study.planner import plan
from tests.conftest import STUDY


def test_fp16_is_refused_on_a_cpu_before_anything_starts(write):
    found = plan(load_study(write(STUDY + '"train.precision" = ["bf16", "fp16"]\n')))
    with pytest.raises(InputError) as refusal:
        choose_slots(2, "cpu", found)
    assert str(refusal.value) == (
        "arm 'precision=fp16': train.precision = \"fp16\" is for GPUs, and a trial would run "
        'on a CPU\n\nhint: "bf16" is the short format that CPUs have'
    )
    assert len(choose_slots(2, "cpu", plan(load_study(write())))) == 2

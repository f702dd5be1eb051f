"""Every fault of the catalogue is one: on each framework it differs somewhere from what is right."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from importlib import import_module

import numpy as np
import pytest
from headcheck.reference.faults.catalogue import FAULTS, fault_named
from headcheck.reference.faults.fault import Fault
from headcheck.reference.faults.shipped import SHIPPED

from .bench import Situation, bench, reference
from .looks import differ, expected, look_at, looks

PLANTED = [(fault, framework) for fault in FAULTS for framework in fault.frameworks]
TOLERANCE = {"single": 3e-6, "half": 2e-3, "single, causal": 3e-6, "half, empty row": 2e-3}


@pytest.mark.parametrize(
    ("fault", "framework"), PLANTED, ids=[f"{fault.name}-{framework}" for fault, framework in PLANTED]
)
def test_differs_from_the_right_implementation(fault: Fault, framework: str) -> None:
    drive = bench(framework)
    module, _, name = fault.subject(framework).partition(":")
    implementation = getattr(import_module(module), name)
    for where, look in looks(fault.family, fault.caught_by).items():
        found = look_at(drive, implementation, look)
        if differ(
            found, expected(framework, fault.family, fault.caught_by, where), TOLERANCE.get(where, 1e-9)
        ):
            return
    pytest.fail(
        f"{fault.name} is indistinguishable from the right implementation on {framework}: {fault.lie}"
    )


def test_there_are_enough_of_them() -> None:
    assert len({fault.name for fault in FAULTS}) == len(FAULTS) >= 120
    assert len({fault.lie for fault in FAULTS}) == len(FAULTS)


def test_the_catalogue_needs_no_framework() -> None:
    code = (
        "import sys; from headcheck.reference.faults.catalogue import FAULTS; "
        "print([name for name in ('numpy', 'torch', 'jax') if name in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "[]\n"


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_each_says_its_lie_in_one_sentence_and_who_should_catch_it(fault: Fault) -> None:
    assert re.fullmatch(r"[A-Z`(0-9a-z].{10,108}", fault.lie), fault.lie
    assert (fault.planted.__doc__ or "").count("\n\n") == 0
    assert re.fullmatch(r"[A-Z]+(-[A-Z]+)+", fault.caught_by)
    assert set(fault.shipped) <= set(SHIPPED)


def test_every_shipped_defect_listed_is_planted() -> None:
    assert {key for fault in FAULTS for key in fault.shipped} == set(SHIPPED)


def test_a_class_leads_to_the_source_of_its_lie() -> None:
    planted = import_module("headcheck.reference.faults.on_numpy").ScaleByModel
    assert inspect.getsource(planted).splitlines()[2] == '    """The scores are divided by sqrt(d_model)."""'


def test_a_fault_is_not_offered_where_it_cannot_exist() -> None:
    with pytest.raises(ValueError, match="MaskWrittenTo exists on numpy, torch; not on jax"):
        fault_named("MaskWrittenTo").subject("jax")


def test_a_constant_added_to_all_allowed_logits_is_no_fault() -> None:
    right = reference("numpy")

    class Shifted(right):  # type: ignore[misc, valid-type]
        def scores(self, Q: np.ndarray, K: np.ndarray) -> np.ndarray:
            return super().scores(Q, K) + 1.0  # type: ignore[no-any-return]

    drive, situation = bench("numpy"), Situation(mask="B h n_q n_k")
    results = [
        drive.call(drive.write(drive.build(one, 12, 4), situation.weights()), situation)
        for one in (right, Shifted)
    ]
    assert not differ(*results)

"""The pytest plugin: registers the markers of the families.  The items come from `headcheck.conformance`."""

from __future__ import annotations

from typing import Any

FAMILIES = "divisibility shapes projections scale softmax masks heads order paths numbers gradients dropout"


def pytest_configure(config: Any) -> None:
    """Register one marker a family, `headcheck_masks` and the like."""
    for family in (*FAMILIES.split(), "initialisation", "cost"):
        config.addinivalue_line("markers", f"headcheck_{family}: a requirement on {family} of attention")

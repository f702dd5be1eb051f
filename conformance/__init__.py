"""headcheck: the conformance suite for multi-head attention."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .api import check, conformance

__version__ = "0.1.0"
__all__ = ["__version__", "check", "conformance"]


def __getattr__(name: str) -> Any:
    """Import what judges only when it is asked for: `headcheck --help` needs no NumPy."""
    if name in {"check", "conformance"}:
        from . import api

        return getattr(api, name)
    raise AttributeError(f"module 'headcheck' has no attribute {name!r}")

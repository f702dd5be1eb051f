from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest


@pytest.fixture
def worker() -> Iterator[None]:
    """Ignore Ctrl-C, as the process of a subject does: an interrupt is then the implementation's own."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    yield
    signal.signal(signal.SIGINT, before)

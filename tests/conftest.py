"""Which environment a test belongs to: each framework is tested alone, in an environment of its own.

A test belongs to the framework that its name, its parameters or its module's imports speak of, and to
`numpy` (the core, with no framework installed) where they speak of none.  Nothing falls between: in the
environment of the core, a test that skips because a framework is missing is an error.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

import pytest

FRAMEWORKS = ("flax", "torch", "jax")
IMPORTED = {"torch": "torch", "jax": "jax", "nnx": "flax", "linen": "flax"}


def environment(item: pytest.Item) -> str:
    """Return the tox environment in which a test runs."""
    for name in (*FRAMEWORKS, "numpy", "page", "docs"):
        if item.get_closest_marker(name):
            return name
    if "tests/page/" in item.nodeid.replace(os.sep, "/"):
        return "page"
    words = set(re.split(r"[^a-z]+", item.nodeid.lower()))
    for framework in FRAMEWORKS:
        if framework in words or (framework == "flax" and words & {"linen", "nnx"}):
            return framework
    module = vars(getattr(item, "module", object()))
    return next((IMPORTED[name] for name in IMPORTED if name in module), "numpy")


def pytest_configure(config: pytest.Config) -> None:
    for name in ("numpy", *FRAMEWORKS, "page", "docs"):
        config.addinivalue_line("markers", f"{name}: runs in the tox environment of this name")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        item.add_marker(environment(item))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    outcome = yield
    report = outcome.get_result()  # type: ignore[attr-defined]
    if os.environ.get("TOX_ENV_NAME") == "numpy" and report.skipped and isinstance(report.longrepr, tuple):
        missing = re.search(r"could not import '(torch|jax|flax)", str(report.longrepr[2]))
        if missing and item.get_closest_marker("numpy"):
            report.outcome = "failed"
            report.longrepr = f"needs {missing[1]} but runs in no environment that has it: mark it"

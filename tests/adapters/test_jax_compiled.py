"""What is compiled once, what is forgotten, and what differs in nothing but speed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

jax = pytest.importorskip("jax")

from headcheck.adapters.on_jax_compiled import Compiled  # noqa: E402


class Traced:
    """Notes each trace."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, tuple[int, ...]]] = []

    def __call__(self, path: str, x: Any) -> Any:
        self.seen.append((path, x.shape))
        return 2 * x


def test_a_shape_is_traced_once_for_each_path() -> None:
    function = Traced()
    compiled = Compiled(function)
    for path in ("a", "b", "a", "b"):
        assert compiled(path, np.ones(3)).tolist() == [2, 2, 2]
    compiled("a", np.ones(4))
    assert function.seen == [("a", (3,)), ("b", (3,)), ("a", (4,))]


def test_the_path_that_was_not_called_for_longest_is_forgotten() -> None:
    function = Traced()
    compiled = Compiled(function, kept=2)
    for path in ("a", "b", "a", "c", "a", "b"):
        compiled(path, np.ones(3))
    assert [path for path, _ in function.seen] == ["a", "b", "c", "b"]


def test_so_is_the_shape_of_a_path() -> None:
    function = Traced()
    compiled = Compiled(function, kept=2)
    for n in (1, 2, 3, 3, 1):
        compiled("a", np.ones(n))
    assert [shape for _, shape in function.seen] == [(1,), (2,), (3,), (1,)]


def test_arguments_of_other_structure_or_dtype_are_another_shape() -> None:
    seen = []

    def sizes(path: str, inputs: dict[str, Any]) -> Any:
        seen.append(sorted(inputs))
        return sum(array.sum() for array in inputs.values())

    compiled, x = Compiled(sizes), np.ones(3, np.float32)
    for inputs in ({"x": x}, {"x": x, "y": x}, {"x": x.astype(np.float16)}, {"x": 2 * x}):
        compiled("", inputs)
    assert seen == [["x"], ["x", "y"], ["x"]]


def test_what_a_trace_raises_is_let_through_each_time() -> None:
    def refuse(path: str, x: Any) -> Any:
        raise ValueError(path)

    compiled = Compiled(refuse)
    for _ in range(2):
        with pytest.raises(ValueError, match="a"):
            compiled("a", np.ones(1))


def test_little_optimisation_changes_no_more_than_rounding() -> None:
    def softmax(path: str, x: Any) -> Any:
        return jax.nn.softmax(x @ x.T)

    x = np.random.default_rng(0).standard_normal((5, 7)).astype(np.float32)
    quick, optimised = Compiled(softmax)("", x), Compiled(softmax, quick=False)("", x)
    np.testing.assert_allclose(quick, optimised, rtol=1e-5)

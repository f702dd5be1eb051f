from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from headcheck.adapters.protocol import Adapter, SubjectError
from headcheck.adapters.subjects import BUILT_IN, adapt, expand, framework_of, installed, load

PLAIN = """
import numpy as np

class MyAttention:
    def __init__(self, d_model, num_heads):
        self.h = num_heads
        self.W_q, self.W_k, self.W_v, self.W_o = np.random.randn(4, d_model, d_model)

    def forward(self, Q, K, V):
        q, k, v = (self.split(x @ W) for x, W in ((Q, self.W_q), (K, self.W_k), (V, self.W_v)))
        s = np.exp(q @ k.swapaxes(-1, -2) / np.sqrt(q.shape[-1]))
        w = s / s.sum(-1, keepdims=True)
        return (w @ v).swapaxes(1, 2).reshape(Q.shape) @ self.W_o, w

    def split(self, x):
        return x.reshape(*x.shape[:2], self.h, -1).swapaxes(1, 2)

class MyOther(MyAttention):
    class Inner(MyAttention):
        pass

class Settings:
    pass

def make(d_model, num_heads):
    return MyAttention(d_model, num_heads)

def make_nothing(d_model, num_heads):
    return None

number = 3
instance = MyAttention(4, 2)
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A working directory with a file of subjects, a package and modules that do not import."""
    (tmp_path / "attn.py").write_text(PLAIN)
    (tmp_path / "leaves.py").write_text("raise SystemExit(3)")
    (tmp_path / "interrupts.py").write_text("raise KeyboardInterrupt")
    (tmp_path / "fails.py").write_text("x = 1\nraise ValueError('not today')")
    (tmp_path / "wrong.py").write_text("def f(:\n")
    (tmp_path / "needs.py").write_text("import a_module_that_nobody_has")
    package = tmp_path / "pack_for_headcheck"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "base.py").write_text(PLAIN)
    (package / "derived.py").write_text("from .base import MyAttention\nclass Derived(MyAttention): pass\n")
    monkeypatch.chdir(tmp_path)
    before = {*sys.modules}
    yield tmp_path
    for name in {*sys.modules} - before:
        del sys.modules[name]


@pytest.mark.parametrize(
    "reference",
    [
        "attn.py:MyAttention",
        "./attn.py:MyAttention",
        "attn:MyAttention",
        "attn.py:MyOther.Inner",
        "attn.py:make",
        "pack_for_headcheck.derived:Derived",
        "pack_for_headcheck/derived.py:Derived",
    ],
)
def test_ways_to_name_a_subject(folder: Path, reference: str) -> None:
    declaration = load(reference).declare()
    assert (declaration.framework, "weights" in declaration.capabilities) == ("numpy", True)


def test_an_absolute_path(folder: Path) -> None:
    assert load(f"{folder / 'attn.py'}:MyAttention").declare().source.endswith("attn.py:4")


BAD = {
    "numpie": ["not a subject", "package.module:Name", "Did you mean numpy?"],
    "attn.py": ["not a subject", "path/to/file.py:Name"],
    ":Name": ["not a subject"],
    "atn.py:MyAttention": ["no such file", "Did you mean attn.py?"],
    "no/such/folder.py:Name": ["no such file"],
    "no_such_module:Name": ["no such module", "imported"],
    "pack_for_headcheck.bass:Name": ["no such module"],
    "attn.py:MyAttentoin": ["has no 'MyAttentoin'", "Did you mean MyAttention?"],
    "attn.py:MyOther.Outer": ["attn.py.MyOther has no 'Outer'"],
    "attn.py:number": ["of type int", "expected a class"],
    "attn.py:instance": ["of type MyAttention", "Give the class MyAttention itself"],
    "attn.py:np": ["of type module"],
    "attn.py:Settings": ["cannot tell the parameters", "headcheck adapter new attn.py:Settings"],
    "attn.py:make_nothing": ["neither forward nor __call__"],
    "leaves.py:Name": ["SystemExit: 3", "leaves.py:1"],
    "interrupts.py:Name": ["KeyboardInterrupt"],
    "fails.py:Name": ["ValueError: not today", "fails.py:2"],
    "wrong.py:Name": ["SyntaxError", "wrong.py:1"],
    "needs.py:Name": ["a_module_that_nobody_has", "not installed"],
}


@pytest.mark.parametrize("reference", BAD)
def test_a_mistake_is_told_in_two_lines(folder: Path, reference: str) -> None:
    with pytest.raises(SubjectError) as caught:
        load(reference).declare()
    message = str(caught.value)
    assert all(words in message for words in BAD[reference]), message
    assert message.count("\n") <= 1
    assert reference.rpartition(":")[0] in message or reference in message


def test_the_users_ctrl_c_is_let_through(folder: Path) -> None:
    (folder / "slow.py").write_text("import signal\nsignal.raise_signal(signal.SIGINT)")
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            load("slow.py:Name")
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_glob_takes_the_classes_defined_there(folder: Path) -> None:
    assert expand("attn.py:My*") == ["attn.py:MyAttention", "attn.py:MyOther"]
    assert expand("pack_for_headcheck/derived.py:*") == ["pack_for_headcheck/derived.py:Derived"]
    with pytest.raises(SubjectError, match=r"matches 'Your\*'.*MyAttention, MyOther"):
        expand("attn.py:Your*")


def test_without_a_glob_nothing_is_imported(folder: Path) -> None:
    assert expand("fails.py:Name") == ["fails.py:Name"]
    assert expand("numpy") == ["numpy"]


def test_an_import_leaves_the_path_alone(folder: Path) -> None:
    before = list(sys.path)
    load("attn.py:MyAttention")
    with pytest.raises(SubjectError):
        load("fails.py:Name")
    assert sys.path == before


OWN_ADAPTER = """
from headcheck.adapters.protocol import Adapter, Declaration

class Mine(Adapter):
    def declare(self): return Declaration("mine", frozenset(), ("float64",))
    def build(self, build): return build
    def write(self, module, parameters): return module
    def call(self, module, call): raise NotImplementedError

class Needy(Mine):
    def __init__(self, argument): pass

mine = Mine()
"""


def test_an_adapter_of_the_users_own(folder: Path) -> None:
    (folder / "own.py").write_text(OWN_ADAPTER)
    assert load("own.py:Mine").declare().framework == "mine"
    assert load("own.py:mine").declare().framework == "mine"
    assert expand("own.py:M*") == ["own.py:Mine"]
    with pytest.raises(SubjectError, match="without arguments"):
        load("own.py:Needy")


def test_an_object_can_be_adapted(folder: Path) -> None:
    adapter = load("attn.py:MyAttention")
    assert adapt(adapter) is adapter
    kind = type(adapter.build.__self__)
    assert issubclass(kind, Adapter)


def test_frameworks_are_told_without_importing_them() -> None:
    torch_like = type("Module", (), {"__module__": "torch.nn.modules.module"})
    keras_like = type("Layer", (), {"__module__": "keras.layers"})
    assert framework_of(type("Mine", (torch_like,), {})) == "torch"
    assert framework_of(type("Mine", (keras_like,), {})) == "keras"
    with pytest.raises(SubjectError, match="made with keras"):
        adapt(type("Mine", (keras_like,), {}))


def test_every_built_in_is_told_apart_by_what_is_installed() -> None:
    assert "numpy" in installed()
    assert {*installed()} <= {*BUILT_IN}


@pytest.mark.parametrize("name", installed())
def test_every_built_in_loads(name: str) -> None:
    assert load(name).declare().variants


def test_a_built_in_without_its_framework(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("headcheck.adapters.subjects.find_spec", lambda module: None)
    with pytest.raises(SubjectError, match=r"torch is not installed. Install it: headcheck\[torch\]"):
        load("torch.nn:MultiheadAttention")


def test_a_numpy_subject_imports_no_other_framework(folder: Path) -> None:
    code = (
        "import sys; from headcheck.adapters.subjects import installed, load; installed();"
        "load('attn.py:MyAttention').declare(); print(sorted({'torch', 'jax', 'flax'} & {*sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"mask_ture": "block"}, ["'mask_ture'", "Did you mean mask_true?"]),
        ({"mask_true": "blocks"}, ["'blocks'", "'attend', 'block'"]),
        ({"mask_forms": ["bool", "text"]}, ["'additive'"]),
        ({"empty_row": 3}, ["'uniform', 'zeros'"]),
        ("block", ["expected a dict"]),
    ],
)
def test_what_a_class_says_of_itself_is_checked(folder: Path, said: object, words: list[str]) -> None:
    (folder / "says.py").write_text(f"{PLAIN}\nMyAttention.headcheck = {said!r}\n")
    with pytest.raises(SubjectError) as caught:
        load("says.py:MyAttention")
    assert all(word in str(caught.value) for word in words), str(caught.value)

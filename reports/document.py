"""A page as one HTML document: no network, no server, and nothing lost where scripts do not run.

It carries one style sheet and one script, both named by their hash in its content security policy, so
that nothing else in it can run, whatever an implementation calls itself.  Every text that a template puts
out passes through `plain.clean` and is then escaped.
"""

from __future__ import annotations

import base64
import hashlib
import re
import statistics
from collections.abc import Callable, Mapping
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from . import mathml
from .capabilities import applies
from .causes import likely, matched
from .charts import distribution
from .implementations import conventions, lacking
from .page import anchor
from .plain import clean, one_line
from .words import Sign, number, reason

_TEMPLATES = Path(__file__).with_name("templates")
_LONGEST = 20_000  # characters of any one text: a script that makes its inputs may be long
_JOINTS = re.compile(r"(?<=[._:/])|(?<=[a-z])(?=[A-Z])")
_POLYNOMIAL = re.compile(r"[\dndh_qk^+*/(). -]*[ndh][\dndh_qk^+*/(). -]*")
_GROUNDS = {"oracle": "the float64 oracle", "property": "a property that needs no oracle"}


def draw(template: str, **values: Any) -> str:
    """Return the document that a template draws from these values; the same values give the same bytes."""
    style, script = _asset("report.css"), _asset("report.js")
    policy = (
        f"default-src 'none'; style-src {_hash(style)}; script-src {_hash(script)}; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
    drawn = _environment().get_template(template)
    return drawn.render(style=style, script=script, policy=policy, **values)


def part(name: str, *values: Any) -> Markup:
    """Return one part of a document, a macro of parts.html.jinja, for a page with its own style sheet."""
    return Markup(getattr(_environment().get_template("parts.html.jinja").module, name)(*values))


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filters: Mapping[str, Callable[..., Any]] = {
        "anchor": anchor,
        "applies": applies,
        "breakable": breakable,
        "capital": capital,
        "conventions": conventions,
        "distribution": lru_cache(maxsize=256)(distribution),
        "formula": formula,
        "grounds": lambda grounds: " and ".join(_GROUNDS.get(ground, ground) for ground in grounds),
        "initial": lambda framework: framework[:1].upper(),
        "lacking": lacking,
        "likely": likely,
        "linked": linked,
        "matched": matched,
        "median": lambda values: statistics.median(values) if values else None,
        "moment": lambda moment: moment.replace("T", " ").replace("Z", " UTC"),
        "number": number,
        "one_line": one_line,
        "polynomial": polynomial,
        "reason": reason,
        "sentence": sentence,
        "short_name": short_name,
        "situations": lambda seen: ", ".join(f"{name} {count}" for name, count in seen.items()),
        "toned": toned,
    }
    environment.filters.update(filters)
    return environment


def breakable(text: str, limit: int = 200) -> Markup:
    """Return a name on one line, with places where it may be broken."""
    return Markup("<wbr>").join(_JOINTS.split(one_line(text, limit)))


def toned(sign: Sign) -> Markup:
    """Return the class of a cell whose status calls for attention; the others go without."""
    return Markup(f' class="{sign.tone}"') if sign.tone in {"bad", "odd"} else Markup()


def short_name(subject: str) -> str:
    """Return the name of a subject without the folders of its file."""
    where, colon, name = subject.rpartition(":")
    return where.rpartition("/")[2] + colon + name


def capital(text: str) -> str:
    """Return a text with a capital letter, unless it starts with a symbol like d_model."""
    first = text.partition(" ")[0]
    return text[:1].upper() + text[1:] if first.isalpha() else text


def sentence(text: str) -> str:
    """Return a text as a sentence, with its capital letter and its full stop."""
    return capital(text) + ("" if text.endswith((".", "?", "!", "…", "left out]")) else ".")


def formula(latex: str, displayed: bool = False) -> Markup:
    """Return a formula as MathML, or as it is written where it cannot be set."""
    try:
        return mathml.formula(latex, displayed)
    except mathml.FormulaError:  # a results file from elsewhere; the suite's own are tested
        return Markup("<code>{}</code>").format(one_line(latex))


def polynomial(text: str) -> Markup | str:
    """Return a polynomial like "4 n_q n_k d + 8 n d^2" as a formula, and any other text as it is."""
    return formula(text) if _POLYNOMIAL.fullmatch(text) else text


def linked(address: str) -> Markup:
    """Return a web address as a link, and anything else as text."""
    text = one_line(address)
    if not text.startswith(("https://", "http://")):
        return escape(text)
    return Markup('<a href="{}" rel="noreferrer">{}</a>').format(text, text)


@lru_cache(maxsize=1 << 14)
def _cleaned(text: str) -> str:
    return clean(text, _LONGEST)


def _shown(value: Any) -> Any:
    """Clean every text that a template puts out, markup of our own excepted."""
    return _cleaned(str(value)) if isinstance(value, str) and not isinstance(value, Markup) else value


@cache
def _asset(name: str) -> Markup:
    return Markup((_TEMPLATES / name).read_text(encoding="utf-8"))


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode("utf-8")).digest()
    return f"'sha256-{base64.b64encode(digest).decode('ascii')}'"

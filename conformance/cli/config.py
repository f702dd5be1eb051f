"""`headcheck config`: the specification applied to two numbers, with no implementation and no NumPy."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
from headcheck.reference.configuration import (
    Configuration,
    advice,
    costs,
    refusal,
    stages,
    weight_matrix_elements,
)
from headcheck.reference.configuration_fields import Fields, UnreadableConfigurationError, read

from .tables import table
from .usage import UsageCommand

REFUSED = 1
_BYTES = {"float32": 4, "bfloat16": 2}


@click.command(name="config", cls=UsageCommand)
@click.option("--d-model", type=int, help="Width of the model.")
@click.option("--num-heads", type=int, help="Number of heads.")
@click.option(
    "--batch", type=click.IntRange(min=1), default=32, show_default=True, help="Examples in a call."
)
@click.option(
    "--seq-len", type=click.IntRange(min=1), default=10, show_default=True, help="Number of queries."
)
@click.option("--seq-len-k", type=click.IntRange(min=1), help="Number of keys, where it differs.")
@click.option("--no-bias", is_flag=True, help="Projections without biases.")
@click.option(
    "--from",
    "file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A model's config.json to take the sizes from.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "markdown", "json"]),
    default="text",
    show_default=True,
    help="How to print.",
)
@click.pass_context
def command(
    context: click.Context,
    d_model: int | None,
    num_heads: int | None,
    batch: int,
    seq_len: int,
    seq_len_k: int | None,
    no_bias: bool,
    file: Path | None,
    form: str,
) -> None:
    """Show the shapes, the cost and advice for a configuration.

    Exit status: 0, or 1 where num_heads does not divide d_model, so that nothing can be built, or 4 usage.
    """
    fields = None if file is None else _fields(file)
    d_model = d_model if d_model is not None or fields is None else fields.d_model
    num_heads = num_heads if num_heads is not None or fields is None else fields.num_heads
    if d_model is None or num_heads is None:
        missing = "--d-model" if d_model is None else "--num-heads"
        raise click.UsageError(f"{missing} is missing: give --d-model and --num-heads, or --from config.json")
    configuration = Configuration(
        d_model,
        num_heads,
        batch,
        seq_len,
        seq_len_k,
        num_kv_heads=fields.num_kv_heads if fields else None,
        bias=not no_bias and (fields is None or fields.bias is not False),
    )
    described = describe(configuration, fields)
    if form == "json":
        click.echo(json.dumps(described, indent=2))
    else:
        click.echo("\n".join(_lines(described, markdown=form == "markdown")))
    if described["refused"]:
        context.exit(REFUSED)


def describe(configuration: Configuration, fields: Fields | None = None) -> dict[str, Any]:
    """Return everything that is printed, as plain values: the JSON form."""
    c = configuration
    described: dict[str, Any] = {
        "d_model": c.d_model,
        "num_heads": c.num_heads,
        "batch": c.batch,
        "seq_len": c.seq_len,
        "seq_len_k": c.n_k,
        "num_kv_heads": c.kv_heads,
        "bias": c.bias,
        "read_from": dict(fields.read) if fields else {},
        "not_covered": list(fields.not_covered) if fields else [],
        "refused": refusal(c),
    }
    if described["refused"]:
        return described
    advised = advice(c)
    return described | {
        "d_k": c.d_k,
        "stages": [
            {"name": s.name, "formula": s.formula, "symbols": s.symbols, "shape": list(s.shape)}
            for s in stages(c)
        ],
        "costs": [
            {
                "name": cost.title,
                "parameters": cost.parameters,
                "operations": cost.operations,
                "projections": cost.projections,
                "attention": cost.attention,
                "weight_matrix_bytes": {
                    dtype: size * weight_matrix_elements(c, cost.heads) for dtype, size in _BYTES.items()
                },
            }
            for cost in costs(c)
        ],
        "advice": advised.text,
        "advised_num_heads": list(advised.head_counts),
    }


def _fields(file: Path) -> Fields:
    try:
        return read(json.loads(file.read_text(encoding="utf-8-sig")))
    except (ValueError, RecursionError) as error:
        what = str(error) if isinstance(error, UnreadableConfigurationError) else f"not JSON: {error}"
        raise click.UsageError(f"{file}: {what}") from error


def _lines(described: Mapping[str, Any], *, markdown: bool) -> list[str]:
    d = described
    title = f"d_model {d['d_model']}, num_heads {d['num_heads']}"
    if d["refused"]:
        refused = [f"## {title}" if markdown else title, "", f"Refused (DIV-REFUSE): {d['refused']}"]
        return [*refused, *_not_covered(d)]
    title += f", d_k {d['d_k']}, batch {d['batch']}, " + _lengths(d)
    lines = [f"## {title}" if markdown else title, ""]
    if d["read_from"]:
        lines += ["read from: " + ", ".join(sorted(set(d["read_from"].values()))), ""]
    lines += table(
        ("stage", "computed", "shape", ""),
        [(s["name"], s["formula"], _shape(s["shape"]), s["symbols"]) for s in d["stages"]],
        markdown=markdown,
    )
    lines += [
        "",
        *table(("", *(cost["name"] for cost in d["costs"])), _rows(d["costs"]), markdown=markdown),
        "",
    ]
    return [*lines, d["advice"], *_not_covered(d)]


def _not_covered(d: Mapping[str, Any]) -> list[str]:
    return [f"not covered: {what}" for what in d["not_covered"]]


def _lengths(d: Mapping[str, Any]) -> str:
    if d["seq_len"] == d["seq_len_k"]:
        return f"length {d['seq_len']}"
    return f"{d['seq_len']} queries, {d['seq_len_k']} keys"


def _rows(costs: list[dict[str, Any]]) -> list[tuple[str, ...]]:
    counted = {
        "parameters": "parameters",
        "operations per example": "operations",
        "of these, projections": "projections",
        "of these, attention": "attention",
    }
    rows = [(label, *(f"{cost[key]:,}" for cost in costs)) for label, key in counted.items()]
    for dtype in _BYTES:
        sizes = (_memory(cost["weight_matrix_bytes"][dtype]) for cost in costs)
        rows.append((f"attention weights, {dtype}", *sizes))
    return rows


def _shape(shape: list[int]) -> str:
    return f"({', '.join(map(str, shape))})"


def _memory(size: int) -> str:
    amount, unit = float(size), "B"
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):  # noqa: B007
        if amount < 1024:
            break
        amount /= 1024
    return f"{amount:.4g} {unit}"

"""Scripts: a failure as a few lines of Python that fail without headcheck.

An adapter writes the call.  Added here is what should have come of it, as numbers, and a line that fails
where the implementation departs from them.  The numbers are the definition's, worked out in float64: of
answers that contradict each other one departs from it, and that is the call that is shown.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from headcheck.adapters.protocol import Call, SubjectError

from .attend import Attend
from .lines import (
    as_returned,
    before_call,
    before_results,
    in_sequence,
    literal,
    output_alone,
    pasteable,
    read_for,
    refused,
    repeated,
)
from .observation import Broken, Failure, Measured, NotMet, Observation, Shown, nothing

LARGEST = 64  # elements of an expected array that is written out
PATIENCE = 60  # seconds after which a script that hangs is over
NAMES = {"output": "output", "attention weights": "weights"}


def script(failure: Failure, attend: Attend, title: str) -> list[str]:
    """Return a script that fails where the implementation departs; nothing where none can be written."""
    try:
        lines = _built(failure, attend) if failure.call is None else _called(failure, failure.call, attend)
        return pasteable([f"# {title}", *lines]) if lines else []
    except (Broken, NotMet, SubjectError, SyntaxError):  # cannot be called again, imported or written
        return []


def _built(failure: Failure, attend: Attend) -> list[str]:
    """Return a script of a module that is wrong before any call of it."""
    if failure.build is None:
        return []
    shown, call = failure.shown, nothing(failure.build)
    if shown and shown.of != "refusal":
        return [*read_for(attend.script(call, shown.of), shown.found), *_claimed(failure)]
    lines = attend.script(call, "module")
    if shown:
        return refused(lines, "", then=_claimed(failure))
    if failure.kind == "accepted":
        return refused(lines, failure.message, never=failure.raised.type if failure.raised else "")
    return [*lines, _said(failure)]


def _called(failure: Failure, call: Call, attend: Attend) -> list[str]:
    """Return a script of a call that went wrong, after those on the same module that it needs."""
    if failure.raised and failure.raised.phase == "build":
        return [*attend.script(call, "module"), _said(failure)]
    if failure.raised and failure.raised.phase == "write":
        size = call.build.d_model**2
        claim = Shown(f"found == {[size] * 4}", "[W.size for W in (W_q, W_k, W_v, W_o)]", "parameters")
        return [*attend.script(nothing(call.build), "parameters"), *_claimed(replace(failure, shown=claim))]
    if failure.shown and failure.kind not in {"accepted", "raised"}:
        return _shown(failure, failure.shown, call, attend)
    lines = in_sequence([attend.script(one) for one in (*failure.earlier, call)])
    if failure.kind == "accepted":
        built = 0.0 <= call.build.dropout < 1.0  # else building the module may refuse it as well
        return refused(lines, failure.message, call=built)
    if failure.kind == "timeout":
        watchdog = f"faulthandler.dump_traceback_later({PATIENCE}, exit=True)"
        return ["import faulthandler", watchdog, *as_returned(lines), _said(failure)]
    if failure.kind in {"raised", "crash"}:
        return [*as_returned(lines), _said(failure)]
    return _misshapen(failure, call, attend) or _compared(failure, call, attend)


def _shown(failure: Failure, shown: Shown, call: Call, attend: Attend) -> list[str]:
    """Return a script of what a failure itself says is to be shown."""
    kind, _, name = shown.of.partition(" ")
    if kind == "parameters":
        return [*read_for(attend.script(call, kind), shown.found), *_claimed(failure)]
    if kind == "earlier":
        alone = attend.again(failure.earlier[-1], call).result.written_to
        calls = failure.earlier[-1:] if shown.of in alone else failure.earlier
        *scripts, last = (attend.script(one) for one in calls)
        last = before_results(last, [f"kept, before = {name}, {name} + 0"])
        return [*in_sequence([*scripts, last, attend.script(call)]), *_claimed(failure)]
    if kind in {"output", "argument"}:
        lines = attend.script(call)
    elif kind in {"refusal", "returned"}:
        lines = attend.script(blank(call))
    else:
        lines = attend.script(blank(call) if kind == "stage" else call, shown.of)
    match kind:
        case "refusal":
            return refused(lines, "", then=_claimed(failure))
        case "returned":
            return before_results(lines, _claimed(failure), last=True)
        case "argument":
            return [*before_call(lines, f"before = {name} + 0"), *_claimed(failure)]
        case _:
            return [*(repeated(lines, shown.draws) if shown.draws else lines), *_claimed(failure)]


def blank(call: Call) -> Call:
    """Return the call on ones, of a module with its own initial weights.

    What shows in shapes and dtypes does not depend on the numbers.
    """
    query, key, value = (np.ones_like(x) for x in (call.query, call.key, call.value))
    key = query if call.key is call.query else key
    value = key if call.value is call.key else value
    return replace(call, parameters=None, query=query, key=key, value=value)


def _claimed(failure: Failure) -> list[str]:
    """Return the lines that fail where what a failure shows does not hold."""
    shown, call = failure.shown, failure.call
    assert shown is not None
    number = shown.found.startswith("output[") and shown.claim.startswith("abs(found - ")
    said = [f"# expected: {_defined('output', call)}, in float64"] if number and call else []
    return [*said, f"found = {shown.found}", f"assert {shown.claim}, {failure.message + ': '!r} + str(found)"]


def _said(failure: Failure) -> str:
    return f"# {failure.message}".replace("\n", " ")


def _misshapen(failure: Failure, call: Call, attend: Attend) -> list[str]:
    """Return a script of a result that has another shape, or did not come at all."""
    seen = attend.again(*failure.earlier, call)
    if seen.raised is not None or failure.actual is not None:
        return []
    for array, name, shape in (
        (seen.result.output, "output", seen.output_shape),
        (seen.result.weights, "weights", seen.weights_shape),
    ):
        missed = array is None and (name == "output" or failure.quantity == "attention weights")
        if missed or (array is not None and array.shape != shape):
            shown = Shown(f"found == {shape}", f'tuple(getattr({name}, "shape", ()))', "returned")
            claimed = replace(failure, shown=shown)
            if name == "weights":
                return _shown(claimed, shown, call, attend)
            return [*output_alone(attend.script(blank(call)), shape), *_claimed(claimed)]
    return []


def _compared(failure: Failure, call: Call, attend: Attend) -> list[str]:
    """Return a script of the first call that departs from the definition, of those in contradiction."""
    besides = "; of answers that contradict each other, this one is wrong" if failure.others else ""
    for one, earlier in [(call, failure.earlier), *((other, ()) for other in failure.others)]:
        seen = attend.again(*earlier, one)
        if seen.raised is not None or seen.expectation is None:
            continue
        for measured in _quantities(failure, seen):
            assertion = _departure(measured, besides) or _of_two_answers(measured, seen)
            if assertion:
                of = measured.quantity if measured.quantity.startswith("gradient") else "output"
                of = of.replace("the one array", "query")
                scripts = [attend.script(before) for before in earlier]
                return [*in_sequence([*scripts, attend.script(one, of)]), *assertion]
    return []


def _quantities(failure: Failure, seen: Observation) -> Iterator[Measured]:
    """Yield what a call gave, what the failure is about first."""
    if failure.quantity.startswith("gradient"):
        yield from sorted(seen.gradients, key=lambda measured: measured.quantity != failure.quantity)
        return
    there = [seen.weights, seen.output] if seen.result.weights is not None else [seen.output]
    yield from sorted(there, key=lambda measured: measured.quantity != failure.quantity)


def _departure(measured: Measured, besides: str = "") -> list[str]:
    """Return lines that fail where a quantity departs: at the place that is furthest out of its bound.

    Of a large quantity, only what is around that place is written out.  ``besides`` is said of the number
    expected.
    """
    values, exact, lawful = measured.values, measured.exact(), measured.lawful()
    name = NAMES.get(measured.quantity, "gradient")
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        error = np.where(np.isposinf(lawful) | (values == exact), 0.0, np.abs(values - exact))
        error = np.where(np.isfinite(error), error, np.inf)
        ratio = error / lawful
    if not values.size or not (error > lawful).any():
        return []
    worst = tuple(int(i) for i in np.unravel_index(int(np.nan_to_num(ratio, nan=0.0).argmax()), ratio.shape))
    index = next(i for i in ((), worst[:1], worst[:2], worst[:-1], worst) if exact[i].size <= LARGEST)
    bound, apart = float(lawful[worst]), float(error[worst])
    expected = literal(exact[index], min(bound, apart - bound))
    at_most = f"{bound:.3g}" if apart > 1.1 * bound else repr(bound)
    place, within = placed(name, index), placed("", worst[len(index) :])
    return [
        f"# expected: {_defined(measured.quantity, measured.call)}, in float64{besides}",
        f"expected = {f'np.array({expected})' if within else expected}",
        f"difference = np.abs({place} - expected){within}"
        + ("  # where it is furthest out of its bound" if within and exact[index].size > 1 else ""),
        f'print("{measured.quantity}:", {place}, "expected:", expected, sep="\\n")',
        f'assert difference <= {at_most}, f"{{difference:.3g}} apart, at most {at_most} is allowed"',
    ]


def placed(name: str, index: tuple[int, ...]) -> str:
    """Return the source of an element, or of a part, of an array."""
    return f"{name}[{', '.join(map(str, index))}]" if index else name


def _defined(quantity: str, call: Call) -> str:
    """Return what a quantity is by the definition."""
    scores = "q k^T / sqrt(d_k)" if call.build.scale is None else f"{call.build.scale} q k^T"
    masked = call.mask is not None or call.padding is not None or call.causal
    weights = f"softmax({f'masked({scores})' if masked else scores})"
    if quantity == "attention weights":
        return weights
    biased = call.parameters is None or call.parameters.b_o is not None
    output = f"{weights} v W_o{' + b_o' if biased else ''}"
    return f"{quantity} in sum(cotangent * ({output}))" if quantity.startswith("gradient") else output


def _of_two_answers(measured: Measured, seen: Observation) -> list[str]:
    """Return lines that fail where rows that see no key are neither uniform over all keys nor zeros."""
    if seen.expected.conventions.empty_row != "unknown" or measured.quantity not in NAMES:
        return []
    name, bounds, answers = NAMES[measured.quantity], [], {}
    for answer in ("uniform", "zeros"):
        conventions = replace(seen.expected.conventions, empty_row=answer)
        there = replace(seen, expectation=replace(seen.expected, conventions=conventions))
        lawful = getattr(there, name)
        if not _departure(lawful):
            return []
        bounds.append(float(lawful.lawful().max()))
        answers[answer] = lawful.exact()
    nearest = f"min(np.abs({name} - uniform).max(), np.abs({name} - zeros).max())"
    return [
        "# allowed where a row sees no key: what uniform attention weights give, and what zeros give",
        *(f"{answer} = np.array({literal(array, max(bounds))})" for answer, array in answers.items()),
        f"found = {nearest}",
        f'assert found <= {max(bounds):.3g}, f"{{found:.3g}} from the nearer of the two allowed answers"',
    ]

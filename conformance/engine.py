"""The engine: requirements times subjects, judged one by one.  It knows no front end."""

from __future__ import annotations

import traceback
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from time import process_time

from headcheck.adapters.protocol import Declaration, SubjectError

from .attend import Attend
from .cases import Case, written
from .diagnosis import matches
from .observation import Broken, Failure, NotMet, Undecided
from .pool import LARGE, Profile, in_turn, pool, portion, shape, shrunk, size
from .proof import evidence
from .session import Session
from .specification import Requirement, named
from .verdicts import BROKEN, Level, Status, SubjectRecord, Verdict
from .verify import verified
from .worker import Crashed, TimedOut

FIRST = "SHAPE-OUTPUT"  # that anything comes back at all
WEIGHTS = "SHAPE-WEIGHTS"
COMPILED = 6  # shapes of a requirement where each is compiled anew
JUDGED_FAILED = BROKEN | {Status.DEVIATES, Status.BLOCKED}


@dataclass(frozen=True)
class Subject:
    """A name, and the session in which the implementation of that name lives."""

    name: str
    session: Session


class Judgement:
    """One subject under judgement: its pool of cases, its observations and its verdicts so far."""

    def __init__(
        self,
        subject: Subject,
        profile: Profile,
        seed: int = 0,
        *,
        prove: bool = True,  # shrink and diagnose what fails, and write its script
        replayed: Mapping[str, Sequence[Case]] | None = None,  # cases to try first, by requirement
        only_replayed: bool = False,
    ):
        self._subject = subject
        self._profile = profile
        self._seed = seed
        self._prove = prove
        self._replayed = replayed or {}
        self._only_replayed = only_replayed
        self._started = 0.0  # on the session's clock, when the imports were done
        self._declaration: Declaration | None = None
        self._attend: Attend | None = None
        self._verified: dict[str, str] = {}
        self._error = ""
        self._undriven: tuple[Status, str] | None = None  # how it ended before any case
        self._verdicts: dict[str, Verdict] = {}
        self._fatal: list[Case] = []  # small cases that end the process
        self._interned: dict[Case, Case] = {}

    def prepare(self) -> SubjectRecord:
        """Ask the subject what it is, and verify what it declares.

        The record holds an `error` where it cannot be judged at all; then no requirement is.
        """
        try:
            self._declaration = declaration = self._subject.session.declare()
            self._started = self._subject.session.clock()
            attend = Attend(self._subject.session, declaration, declaration.conventions)
            conventions, self._verified = verified(attend)
            self._attend = Attend(self._subject.session, declaration, conventions)
            self._attend.seconds = attend.seconds
            self._cases = [case.fitted(declaration) for case in pool(self._profile, self._seed)]
            self._cases = [self._intern(case) for case in dict.fromkeys(self._cases)]
        except SubjectError as error:
            self._error = without(self._subject.name, error)
        except Crashed as death:
            self._undriven = Status.CRASH, f"{death} when it was first called"
        except TimedOut as death:
            self._undriven = Status.TIMEOUT, f"{death} when it was first called"
        except Exception:
            self._undriven = Status.HARNESS_ERROR, itself_failed()
        return self.record()

    def record(self) -> SubjectRecord:
        """Return what is known of the subject now."""
        declaration = self._declaration
        if declaration is None:
            return SubjectRecord(self._subject.name, error=self._error)
        inside = self._attend.seconds if self._attend else 0.0
        return SubjectRecord(
            name=self._subject.name,
            framework=declaration.framework,
            versions=dict(declaration.versions),
            source=declaration.source,
            capabilities=tuple(sorted(declaration.capabilities)),
            dtypes=declaration.dtypes,
            declared=conventions_in_words(declaration),
            verified=self._verified,
            variants=tuple(variant.name for variant in declaration.variants),
            found=dict(declaration.found),
            notes=declaration.notes,
            ratios={
                dtype: tuple(ratios)
                for dtype, ratios in (self._attend.ratios if self._attend else {}).items()
            },
            error=self._error,
            subject_seconds=inside,
            headcheck_seconds=self._overhead(inside),
        )

    def _overhead(self, inside: float) -> float:
        """Return the CPU seconds since the imports that were not the implementation's own."""
        try:
            return max(self._subject.session.clock() - self._started - inside, 0.0)
        except (Crashed, TimedOut):
            return 0.0

    def judge(self, requirement: Requirement) -> Verdict:
        """Judge one requirement; never raises but for KeyboardInterrupt.

        What it depends on is judged first, so that requirements may be asked for in any order, or one alone.
        """
        start = process_time()
        if requirement.id in self._verdicts:
            return self._verdicts[requirement.id]
        try:
            verdict = self._judge(requirement)
        except SubjectError as error:
            verdict = self._verdict(requirement, Status.HARNESS_ERROR, f"the adapter: {error}")
        except Exception:
            verdict = self._verdict(requirement, Status.HARNESS_ERROR, itself_failed())
        self._verdicts[requirement.id] = verdict
        if self._attend is not None:
            self._attend.forget(keep={case.call for case in self._cases})
        return replace(verdict, seconds=process_time() - start)

    def _verdict(
        self, requirement: Requirement, status: Status, message: str = "", **more: object
    ) -> Verdict:
        return Verdict(
            self._subject.name,
            requirement.id,
            requirement.level,
            status,
            message,
            seed=self._seed,
            **more,  # type: ignore[arg-type]
        )

    def _judge(self, requirement: Requirement) -> Verdict:
        attend, declaration = self._attend, self._declaration
        if self._undriven is not None and requirement.id == FIRST:
            return self._verdict(requirement, *self._undriven)
        if attend is None or declaration is None:
            return self._verdict(requirement, Status.BLOCKED, self._error or f"{FIRST} failed")
        missing = set(requirement.info.needs) - declaration.offered
        if missing:
            return self._verdict(
                requirement, Status.NOT_APPLICABLE, f"not offered: {', '.join(sorted(missing))}"
            )
        needed = [self.judge(named(id)) for id in requirement.info.depends_on]
        failed = [verdict.requirement for verdict in needed if verdict.status in JUDGED_FAILED]
        if failed:
            return self._verdict(requirement, Status.BLOCKED, f"{', '.join(failed)} failed")
        return self._search(requirement, attend)

    def cases(self, requirement: Requirement) -> Iterator[Case]:
        """Yield the cases of a requirement, each put into the situation that it is about."""
        assert self._declaration is not None
        seen = set()
        for case in self._replayed.get(requirement.id, ()):
            seen.add(case)
            yield self._intern(case)
        if seen and self._only_replayed:
            return
        if requirement.once:
            cases: Iterable[Case] = self._cases[:1]
        else:
            cases = portion(
                self._cases,
                self._profile,
                shapes=self._shapes(requirement),
                share=requirement.share,
                long=requirement.long,
            )
        turns = in_turn(self._cases, self._declaration.dtypes) if requirement.every_dtype else {}
        for case in cases:
            case = replace(case, dtype=turns.get(shape(case), case.dtype))
            situated = requirement.situation(case).fitted(self._declaration)
            if situated not in seen:
                seen.add(situated)
                yield self._intern(situated)

    def _shapes(self, requirement: Requirement) -> int | None:
        """Return how many shapes a requirement is judged on, None for all.

        Where each shape is compiled, only those that judge every case see them all.
        """
        assert self._declaration is not None
        if not self._declaration.compiles or requirement.share == 1.0:
            return requirement.shapes
        return min(requirement.shapes or COMPILED, COMPILED)

    def _intern(self, case: Case) -> Case:
        """Return the one object for equal cases, so that its call is made only once."""
        return self._interned.setdefault(case, case)

    def _search(self, requirement: Requirement, attend: Attend) -> Verdict:
        tried, excused, unmet, situations = 0, 0, "no case was tried", Counter[str]()
        attend.measured.clear()
        for case in self.cases(requirement):
            if excused and size(case) >= LARGE:
                continue  # what is wrong without the situation is not looked for where that costs most
            if excused and self._excused(requirement, attend, case):
                tried, excused = tried + 1, excused + 1
                continue
            try:
                failure = judged(requirement, attend, case)
            except NotMet as reason:
                unmet = str(reason) if isinstance(reason, Undecided) else f"never met its situation: {reason}"
                continue
            except Exception as error:
                error.add_note(f"on {case}")
                raise
            tried += 1
            situations.update([] if requirement.once else case.situations())
            if failure is not None and self._excused(requirement, attend, case):
                excused += 1
            elif failure is not None and self._is_of_weights(requirement, failure):
                return self._verdict(requirement, Status.BLOCKED, f"{WEIGHTS} failed", examples=tried)
            elif failure is not None:
                return self._failed(requirement, attend, case, failure, tried, situations)
        if excused:
            message = f"PROJ-ORACLE already fails on {excused} of {tried} cases without what this is about"
            return self._verdict(requirement, Status.BLOCKED, message, examples=tried)
        if not tried:
            return self._verdict(requirement, Status.INCONCLUSIVE, unmet)
        return self._verdict(
            requirement,
            Status.PASS,
            examples=tried,
            situations=dict(situations),
            measured=dict(attend.measured),
            worst_ratio=attend.measured.get("worst ratio"),
        )

    def _excused(self, requirement: Requirement, attend: Attend, case: Case) -> bool:
        """Return whether the oracle disagrees even without what the requirement is about."""
        if requirement.control is None or self._declaration is None:
            return False
        plain = self._intern(requirement.control(case).fitted(self._declaration))
        try:
            [seen] = attend(plain.call)
            return seen.departs_from_oracle() is not None
        except Broken:
            return True
        except NotMet:
            return False

    def _is_of_weights(self, requirement: Requirement, failure: Failure) -> bool:
        """Return whether a failure is that of `WEIGHTS`, met again by what is not about shapes."""
        misshapen = (failure.kind, failure.quantity) == ("misshapen", "attention weights")
        if not misshapen or requirement.info.family == "shapes":
            return False
        return self.judge(named(WEIGHTS)).status in JUDGED_FAILED

    def _failed(
        self,
        requirement: Requirement,
        attend: Attend,
        case: Case,
        failure: Failure,
        tried: int,
        situations: Counter[str],
    ) -> Verdict:
        status = STATUS.get(failure.kind, Status.FAIL)
        if requirement.level is Level.SHOULD and status is Status.FAIL:
            status = Status.DEVIATES
        if requirement.level is Level.INFO and status is Status.FAIL:
            status = Status.PASS
        proof = None
        if self._prove:
            known = matches(failure, attend)
            if not requirement.once and failure.kind != "timeout":
                case, failure = self._smallest(requirement, attend, case, failure)
            proof = evidence(failure, case, attend, requirement, self._subject.name)
            proof = replace(proof, matches=known)
        return self._verdict(
            requirement,
            status,
            failure.message,
            examples=tried,
            worst_ratio=proof.worst_ratio if proof else None,
            evidence=proof,
            situations=dict(situations),
            measured={**attend.measured, **failure.measured},
        )

    def _smallest(
        self, requirement: Requirement, attend: Attend, case: Case, failure: Failure
    ) -> tuple[Case, Failure]:
        assert self._declaration is not None
        declaration, found = self._declaration, {case: failure}

        def fails(candidate: Case) -> bool:
            situated = requirement.situation(candidate).fitted(declaration)
            try:
                smaller = judged(requirement, attend, situated)
            except Exception:  # a simpler case that headcheck or its situation cannot handle proves nothing
                return False
            if smaller is None or smaller.kind != failure.kind or smaller.quantity != failure.quantity:
                return False
            if self._excused(requirement, attend, situated):
                return False
            found[situated] = smaller
            return True

        if failure.kind == "crash":  # each try costs a process, and it is often one and the same
            for known in self._fatal:
                if fails(known):
                    situated = requirement.situation(known).fitted(declaration)
                    return situated, found[situated]
        smallest = requirement.situation(shrunk(case, fails, self._profile)).fitted(declaration)
        if smallest not in found:
            return case, failure
        if failure.kind == "crash":
            self._fatal.append(smallest)
        return smallest, found[smallest]


def itself_failed() -> str:
    """Return the exception being handled as a message that can be reported."""
    return f"headcheck itself failed: {traceback.format_exc(limit=-3)}"


def without(name: str, error: SubjectError) -> str:
    """Return why a subject cannot be judged, without its name, which a report says already."""
    return str(error).removeprefix(f"{name}: ")


STATUS = {"crash": Status.CRASH, "timeout": Status.TIMEOUT}


def judged(requirement: Requirement, attend: Attend, case: Case) -> Failure | None:
    """Return the failure of a requirement on one case, however the implementation brought it about."""
    try:
        return requirement.judge(attend, case)
    except Broken as broken:
        return broken.failure
    except Crashed as death:
        return Failure(f"{death} while it was built", kind="crash")
    except TimedOut as hang:
        return Failure(f"{hang} while it was built", kind="timeout", waited=hang.seconds)


def conventions_in_words(declaration: Declaration) -> dict[str, str]:
    """Return declared conventions as a report shows them: those of arguments that there are."""
    conventions, offered = declaration.conventions, declaration.capabilities
    masks = {
        "mask": f"True means {conventions.mask_true}",
        "mask forms": ", ".join(conventions.mask_forms),
        "mask shapes": ", ".join(map(written, conventions.mask_shapes)),
    }
    return {
        **(masks if "mask" in offered else {}),
        **({"row with no key": conventions.empty_row} if {"mask", "padding"} & offered else {}),
        **({"causal alignment": conventions.causal_alignment} if "causal" in offered else {}),
        "softmax": conventions.softmax_dtype or "in the input's dtype",
        "layout": conventions.layout,
        "split into heads": written(conventions.split),
    }

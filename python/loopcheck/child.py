"""What happens in the process of one case, forked by the server or started afresh."""

from __future__ import annotations

import faulthandler
from collections.abc import Callable
from gc import collect, disable
from os import _exit as exit_now
from os import getpid, register_at_fork
from signal import SIG_BLOCK, pthread_sigmask
from typing import Any, NoReturn

from loopcheck import bypass, probe, shim
from loopcheck.load import PROGRAM_CASE, Spec, Unusable, describe
from loopcheck.shared import DETAIL_CHARS_MAX, FLAG_SECOND_PROCESS, PHASE_RUN, Shared, unpack_programs
from loopcheck.verdict import cut
from loopcheck.watch import DUMP_SIGNAL

PROBE = "probe"  # the id under which the loop is looked at before any case runs
STDERR = 2
WARM_UP = b""  # a program before the batch, since what a loop opens only once a process looks like a leak
WARM_UP_BYTES = 1 << 16

Function = Callable[[Any], None]
Factory = Callable[[], Any]


def run(shared: Shared, nonce: int, work: Callable[[], dict[str, Any]]) -> NoReturn:
    """Does the work, reports what it returns, and ends this process, whatever happens.

    Only the process that began may report. A loop that forks comes back twice: the other process
    says so and ends.
    """
    began = getpid()
    try:
        try:
            outcome = work()
        except BaseException as error:
            outcome = {"kind": "exit", "detail": describe(error)}
        if getpid() != began:
            shared.flag(FLAG_SECOND_PROCESS)
        else:
            shared.report(nonce, outcome)
        exit_now(0)
    finally:
        exit_now(1)


def prepare(shared: Shared) -> None:
    """Lets the process print its stack when it dies or is asked where it hangs."""
    faulthandler.enable(STDERR)
    faulthandler.register(DUMP_SIGNAL, STDERR, all_threads=False, chain=False)
    shared.set_phase(PHASE_RUN)


def tell_on_second_process(shared: Shared) -> None:
    """Makes a forked process say so, and end, when it comes back to the kit by the next callback.

    One that only runs a program or a pool's work never does.
    """
    from loopcheck.driver import AsyncioDriver
    from loopcheck.recorder import Recorder

    def tell(*_: object, **__: object) -> NoReturn:
        shared.flag(FLAG_SECOND_PROCESS)
        exit_now(0)

    def in_child() -> None:
        for cls, names in ((Recorder, ("_add", "note", "enter", "leave")), (AsyncioDriver, ("called", "apply"))):
            for name in names:
                assert hasattr(cls, name), name
                setattr(cls, name, tell)

    register_at_fork(after_in_child=in_child)


def case_work(shared: Shared, function: Function, get_factory: Callable[[], Factory]) -> dict[str, Any]:
    """Runs one case of the kit; {"kind", "rule", "detail", "observations", "program", "leaks"}."""
    from loopcheck import _contract
    from loopcheck.kit import run_case

    factory = get_factory()
    prepare(shared)
    shim.arm()
    tell_on_second_process(shared)
    blocked = pthread_sigmask(SIG_BLOCK, ())
    outcome = run_case(function, factory, _contract.Trace(shared.trace), program=shared.program())
    return {
        "kind": outcome.kind,
        "rule": outcome.rule,
        "detail": cut(outcome.detail, DETAIL_CHARS_MAX),
        "observations": outcome.observations,
        "program": outcome.program,
        "leaks": [*map(list, outcome.leaks), *_mask_left(blocked, outcome.leaks)],
    }


def batch_work(shared: Shared, spec: Spec, get_factory: Callable[[], Factory]) -> dict[str, Any]:
    """Runs the programs of a batch one after another (batch.py); each has a run of its own in the trace."""
    from loopcheck import _contract, driver, programs

    factory = get_factory()
    prepare(shared)
    shim.arm()
    tell_on_second_process(shared)
    rescue_s, batch = unpack_programs(shared.program())
    driver.RESCUE_S = rescue_s
    loop = factory() if spec.is_driver else driver.AsyncioDriver(factory)
    _contract.run(WARM_UP, loop, _contract.Trace(bytearray(WARM_UP_BYTES)))
    trace = _contract.Trace(shared.trace)
    totals = {"ops": 0, "executed": 0, "callbacks": 0}
    disable()  # what one program leaves must not be collected, and closed, in the middle of the next
    for number, program in enumerate(batch):
        collect()
        shared.set_progress(number + 1)
        stats: dict[str, Any] = {**programs.run_on(loop, program, trace, number)}
        for name in totals:
            totals[name] += stats[name]
    return {"kind": "ok", "detail": "", "observations": totals["callbacks"], "leaks": [], **totals}


def _mask_left(before: set[int], known: list[tuple[str, str]]) -> list[list[str]]:
    """The signal mask, where it is not what it was.

    The kit believes in a leak that comes again when a case runs twice; this one is left only once.
    """
    after = pthread_sigmask(SIG_BLOCK, ())
    if after == before or any("signal mask" in sentence for _, sentence in known):
        return []
    return [["LIFE-6", f"the signal mask is not as it was: {len(before)} blocked before, {len(after)} after"]]


def probe_work(shared: Shared, spec: Spec, get_factory: Callable[[], Factory]) -> dict[str, Any]:
    """Looks at one loop of the factory; {"kind": "probe", "plain", "version"} or {"kind": "unusable", "detail"}."""
    try:
        factory = get_factory()
        prepare(shared)
        shim.arm()
        return _look_at_loop(spec, factory)
    except Unusable as error:
        return {"kind": "unusable", "detail": str(error)}


def _look_at_driver(spec: Spec, factory: Factory) -> dict[str, Any]:
    """Opens and closes the driver's loop once."""
    from loopcheck import _contract

    driver = factory()
    try:
        _contract.run(b"", driver, _contract.Trace(bytearray(1 << 16)))
    except RuntimeError as error:
        raise Unusable(f"{spec.text} is no driver that can be used: {error}") from None
    profile = {name: int(getattr(driver, name)) for name in ("capabilities", "tick_ns", "is_exact")}
    return {"kind": "probe", "plain": "", "version": driver.name, "profile": profile}


def _look_at_loop(spec: Spec, factory: Factory) -> dict[str, Any]:
    if spec.is_driver:
        return _look_at_driver(spec, factory)
    try:
        loop = factory()
    except BaseException as error:
        raise Unusable(f"{spec.text}: calling it raised {describe(error)}") from None
    why_not = probe.why_not_a_loop(loop)
    if why_not:
        raise Unusable(f"{spec.text} returned {why_not}")
    if shim.is_armed() and (why := bypass.why_past_the_shim(bypass.objects())):
        raise Unusable(f"{spec.text}: {why}")
    plain = probe.why_plain_stdlib(spec.module, loop)
    return {"kind": "probe", "plain": plain, "version": probe.version_of(spec.module)}


def function_of(case_id: str, functions: dict[str, Function]) -> Function:
    """The function of a case id; of PROGRAM_CASE the one that runs the given program."""
    if case_id == PROGRAM_CASE:
        from loopcheck.programs import run_program

        return run_program
    return functions[case_id]

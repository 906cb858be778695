"""loopmini: signal numbers that are refused spoil close(), and signals between two runs are lost.

    python loopmini_signals.py MODULE:FACTORY [CHECK...]

Each check runs in a process of its own, since a loop may hang or crash. Exit status 0: all are right; 1: some are not.
"""

import asyncio
import importlib
import multiprocessing
import os
import signal
import sys


def run_for(loop, seconds):
    loop.run_until_complete(asyncio.sleep(seconds))


def raises(expected, call):
    """Did the call raise one of the expected exceptions?"""
    try:
        call()
    except expected:
        return True
    return False


def check_refused_signal_spoils_close(new_loop):
    loop = new_loop()
    for number in ("SIGINT", 2**31):
        try:
            loop.add_signal_handler(number, print)
        except (TypeError, ValueError, OverflowError, RuntimeError):
            pass
    try:
        loop.close()
    except (TypeError, OverflowError) as error:
        return f"close() after a refused signal number raises {error!r}"


def check_signal_before_the_run(new_loop):
    loop, calls = new_loop(), []
    loop.add_signal_handler(signal.SIGUSR1, calls.append, 1)
    os.kill(os.getpid(), signal.SIGUSR1)
    run_for(loop, 0.1)
    if not calls:
        return "a signal that comes after add_signal_handler() and before the run is lost"


def check_signal_between_runs(new_loop):
    loop, calls = new_loop(), []
    loop.add_signal_handler(signal.SIGUSR1, calls.append, 1)
    run_for(loop, 0.01)
    os.kill(os.getpid(), signal.SIGUSR1)
    run_for(loop, 0.1)
    if not calls:
        return "a signal that comes between two runs is lost"


def run(check):
    module, _, factory = sys.argv[1].partition(":")
    wrong = check(getattr(importlib.import_module(module), factory))
    print(f"{check.__name__[6:]}: {wrong or 'right'}", flush=True)
    os._exit(1 if wrong else 0)


def main():
    checks = {name[6:]: check for name, check in globals().items() if name.startswith("check_")}
    if len(sys.argv) < 2 or ":" not in sys.argv[1] or set(sys.argv[2:]) - set(checks):
        print(f"{__doc__}\nThe checks are {', '.join(checks)}.", file=sys.stderr)
        return 2
    statuses = []
    for name in sys.argv[2:] or checks:
        process = multiprocessing.get_context("fork").Process(target=run, args=(checks[name],))
        process.start()
        process.join(10)
        if process.is_alive() or process.exitcode < 0:
            print(f"{name}: {'it hangs' if process.is_alive() else 'it is killed by a signal'}", flush=True)
            process.kill()
            process.join()
        statuses.append(process.exitcode)
    return 1 if any(statuses) else 0


if __name__ == "__main__":
    sys.exit(main())

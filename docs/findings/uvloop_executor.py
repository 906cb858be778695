"""uvloop: the timeout of shutdown_default_executor().

    python uvloop_executor.py MODULE:FACTORY [CHECK...]

Each check runs in a process of its own, since a loop may hang or crash. Exit status 0: all are right; 1: some are not.
"""

import importlib
import multiprocessing
import os
import sys
import threading
import time
import warnings


def check_timeout_of_the_executors_shutdown(new_loop):
    if sys.version_info < (3, 12):
        return None  # the argument is new there
    loop, release = new_loop(), threading.Event()
    job = loop.run_in_executor(None, release.wait)
    threading.Timer(2, release.set).start()
    began = time.monotonic()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        loop.run_until_complete(loop.shutdown_default_executor(timeout=0.05))
    spent = time.monotonic() - began
    job.cancel()
    if spent > 1.5:
        return f"shutdown_default_executor(timeout=0.05) takes {spent:.1f} s, as long as its job"


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

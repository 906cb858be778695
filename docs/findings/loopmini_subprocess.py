"""loopmini: a subprocess whose start is cancelled goes on running, and nobody knows of it.

    python loopmini_subprocess.py MODULE:FACTORY [CHECK...]

Each check runs in a process of its own, since a loop may hang or crash. Exit status 0: all are right; 1: some are not.
"""

import asyncio
import importlib
import multiprocessing
import os
import sys


def run_for(loop, seconds):
    loop.run_until_complete(asyncio.sleep(seconds))


def check_cancelled_start(new_loop):
    async def main():
        task = asyncio.ensure_future(asyncio.create_subprocess_exec("sleep", "3"))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait({task})
        if task.cancelled():
            return True
        task.result().kill()
        await task.result().wait()

    loop = new_loop()
    is_cancelled = loop.run_until_complete(main())
    run_for(loop, 0.5)
    try:
        if is_cancelled and os.waitpid(-1, os.WNOHANG) == (0, 0):
            return "the child runs on half a second after its start was cancelled"
    except ChildProcessError:
        return None


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

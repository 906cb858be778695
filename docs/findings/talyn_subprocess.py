"""talyn: subprocesses.

    python talyn_subprocess.py MODULE:FACTORY [CHECK...]

Each check runs in a process of its own, since a loop may hang or crash. Exit status 0: all are right; 1: some are not.
"""

import asyncio
import contextlib
import gc
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


def count_fds():
    return len(os.listdir("/proc/self/fd"))


class Child(asyncio.SubprocessProtocol):
    def __init__(self, loop):
        self.events, self.lost = [], loop.create_future()

    def pipe_data_received(self, fd, data):
        self.events.append(f"data {fd}")

    def pipe_connection_lost(self, fd, error):
        self.events.append(f"pipe {fd} lost")

    def process_exited(self):
        self.events.append("exited")

    def connection_lost(self, error):
        self.events.append("lost")
        self.lost.set_result(None)


def shell(loop, command, **options):
    made = loop.subprocess_exec(lambda: Child(loop), "sh", "-c", command, **options)
    return loop.run_until_complete(made)


def check_order_of_events(new_loop):
    loop = new_loop()
    for _ in range(10):
        _, child = shell(loop, "echo hello")
        loop.run_until_complete(asyncio.wait_for(child.lost, 3))
        run_for(loop, 0.02)
        if child.events[-1] != "lost":
            return f"the protocol is told more after connection_lost(): {child.events}"


def check_input_before_close(new_loop):
    async def main():
        process = await asyncio.create_subprocess_exec("cat", stdin=-1, stdout=-1)
        process.stdin.write(b"some ")
        process.stdin.write(b"text")
        process.stdin.close()
        return await asyncio.wait_for(process.stdout.read(), 3)

    loop = new_loop()
    output = loop.run_until_complete(main())
    if output != b"some text":
        return f"b'some text' is written to a child in two pieces, then its input is closed: it gets {output!r}"


def input_of_cat(loop):
    """A child whose input is a pipe, when the loop has had its turns, and that pipe."""
    transport, child = shell(loop, "exec cat", stdin=-1)
    run_for(loop, 0.05)
    return transport, child, transport.get_pipe_transport(0)


def is_told(loop, child, event):
    """Within 3 s?"""
    for _ in range(300):
        if event in child.events:
            return True
        run_for(loop, 0.01)
    return False


def check_end_of_the_input(new_loop):
    loop = new_loop()
    transport, child, pipe = input_of_cat(loop)
    pipe.close()
    if not is_told(loop, child, "exited"):
        os.kill(transport.get_pid(), signal.SIGKILL)
        return "the pipe to the input of a child is closed: the child never sees the end"


def check_input_is_sent(new_loop):
    loop = new_loop()
    transport, child, pipe = input_of_cat(loop)
    pipe.write(b"hello")
    is_echoed = is_told(loop, child, "data 1")
    os.kill(transport.get_pid(), signal.SIGKILL)
    if not is_echoed:
        return "b'hello' is written to the pipe of a child's input: the child never gets it"


def check_close_kills(new_loop):
    loop = new_loop()
    transport, child = shell(loop, "exec sleep 600")
    transport.close()
    try:
        loop.run_until_complete(asyncio.wait_for(child.lost, 1))
    except asyncio.TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            os.kill(transport.get_pid(), signal.SIGKILL)
        return "close() of a subprocess transport does not end the child, or does not tell of its end"


def check_pipes_by_default(new_loop):
    loop = new_loop()
    transport, child = shell(loop, "cat")
    pipe = transport.get_pipe_transport(0)
    with contextlib.suppress(ProcessLookupError):
        os.kill(transport.get_pid(), signal.SIGKILL)
    if pipe is None:
        return "subprocess_exec() makes no pipes unless it is told to; asyncio's default is a pipe for each"


def check_inherited_output(new_loop):
    async def main():
        child = await asyncio.create_subprocess_exec("echo", "hello")
        await child.wait()

    sys.stdout.flush()
    given, output = os.pipe()
    ours = os.dup(1)
    os.dup2(output, 1)
    new_loop().run_until_complete(main())
    os.dup2(ours, 1)
    os.close(output)
    os.set_blocking(given, False)
    if (got := os.read(given, 100)) != b"hello\n":
        return f"create_subprocess_exec() without stdout=: of its output our own gets {got}"


def check_wrong_options(new_loop):
    loop, taken = new_loop(), []
    for option in ({"universal_newlines": True}, {"shell": True}, {"bufsize": 10}, {"text": True}):
        with contextlib.suppress(ValueError):
            shell(loop, "true", **option)
            taken += option
    if taken:
        return f"options that asyncio refuses are taken: {', '.join(taken)}"


def check_shell(new_loop):
    loop = new_loop()
    try:
        loop.run_until_complete(loop.subprocess_shell(lambda: Child(loop), "true"))
    except NotImplementedError as error:
        return f"subprocess_shell() raises {error!r}"


def check_fds_after_the_loop(new_loop):
    def child():
        loop = new_loop()
        loop.run_until_complete(main())
        loop.close()

    async def main():
        process = await asyncio.create_subprocess_exec("cat", stdin=-1, stdout=-1)
        await process.communicate(b"hello")

    gc.disable()
    child()
    before = count_fds()
    for _ in range(10):
        child()
    if count_fds() - before >= 5:
        return f"ten loops that ran a child and are closed leave {count_fds() - before} fds"


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

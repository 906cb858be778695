"""Programs that test_virtual_time.py runs under the kernel shim: python shim_programs.py NAME module:factory."""

from __future__ import annotations

import asyncio
import importlib
import os
import random
import sys
import threading
import time
from collections.abc import Callable

HOURS_S = 36000.0
TIMERS = 1000
ECHO_BYTES = 1 << 20

Factory = Callable[[], asyncio.AbstractEventLoop]


def timers(factory: Factory) -> None:
    """Many timers over ten hours: are they in order, and how many fired a microsecond early?"""
    loop, draw = factory(), random.Random(1)
    delays = [draw.uniform(0, HOURS_S) for _ in range(TIMERS)]
    began, seen, early = loop.time(), [], 0

    def fire(delay: float) -> None:
        nonlocal early
        seen.append(delay)
        early += loop.time() < began + delay - 1e-6

    for delay in delays:
        loop.call_at(began + delay, fire, delay)
    loop.call_at(began + HOURS_S, loop.stop)
    loop.run_forever()
    print(f"in order {seen == sorted(delays)}, early {early}, passed {loop.time() - began:.0f} s")
    loop.close()


def tree(factory: Factory) -> None:
    """Threads, a child, a fork, an executor and a name lookup, all at times of their own: the trace."""
    loop = factory()
    began, trace = time.monotonic(), []

    def note(what: str) -> None:
        trace.append((what, round(time.monotonic() - began, 2)))

    def sleep_and_tell(number: int) -> None:
        time.sleep(1 + 7 * number)
        loop.call_soon_threadsafe(note, f"thread {number}")

    async def main() -> None:
        threads = [threading.Thread(target=sleep_and_tell, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        child = await asyncio.create_subprocess_exec("sleep", "10")
        loop.call_later(9.5, note, "timer")
        await child.wait()
        note("child")
        pid = os.fork()
        if pid == 0:
            time.sleep(3)
            os._exit(0)
        await loop.run_in_executor(None, os.waitpid, pid, 0)
        note("fork")
        await asyncio.wait_for(loop.getaddrinfo("localhost", 80), 1)
        event = threading.Event()
        loop.call_later(5, event.set)
        await loop.run_in_executor(None, event.wait, 100)
        note("event")
        for thread in threads:
            await loop.run_in_executor(None, thread.join)
        note("joined")

    loop.run_until_complete(main())
    loop.close()
    print(trace)


def echo(factory: Factory) -> None:
    """A mebibyte through a TCP server and back: is it the same?"""
    sent = random.Random(5).randbytes(ECHO_BYTES)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        writer.close()

    async def main() -> bool:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        back = asyncio.ensure_future(reader.read())
        for at in range(0, ECHO_BYTES, 50000):
            writer.write(sent[at : at + 50000])
            await writer.drain()
        writer.write_eof()
        return await back == sent

    print("same", factory().run_until_complete(main()))


def computing_threads(_: Factory) -> None:
    """Two threads that compute hand the interpreter lock to each other, though the clock stands still."""
    turns = [0, 0]

    def compute(mine: int, other: int) -> None:
        while turns[mine] < 3 or turns[other] < 3:
            seen = turns[other]
            turns[mine] += 1
            while turns[other] == seen and turns[other] < 3:
                pass

    threads = [threading.Thread(target=compute, args=ends) for ends in ((0, 1), (1, 0))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print("both done")


if __name__ == "__main__":
    _name, _loop = sys.argv[1:]
    _module, _, _attribute = _loop.partition(":")
    globals()[_name](getattr(importlib.import_module(_module), _attribute))

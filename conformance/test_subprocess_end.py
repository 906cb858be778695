# real clock
"""Cases of subprocesses: waiting, dying, failing to start, and what is left (PROC-3 to PROC-6)."""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import signal
import subprocess
import tempfile
import threading
from typing import Any

from loopcheck.children import Child, no_zombie, output_of, sh, spawn
from loopcheck.family import family
from loopcheck.kit import Kit, case

PIPE = subprocess.PIPE
MIB = bytes(1 << 20)
MISSING = "/nonexistent/loopcheck"


@case("PROC-3")
def test_many_children_at_once(kit: Kit) -> None:
    """Of twenty children that end at once each gives its own status to its own wait() (gevent#1104)."""

    async def one(number: int) -> int:
        return await (await sh(f"exit {number}")).wait()

    async def main() -> list[int]:
        return list(await asyncio.gather(*map(one, range(20))))

    kit.equal(kit.run(main()), list(range(20)), "statuses")
    no_zombie(kit)


@case("PROC-3")
def test_child_ends_before_anybody_waits(kit: Kit) -> None:
    """A child that ended long before wait() is called gives its status at once, and again (libuv bae2992cb)."""

    async def main() -> list[int | None]:
        process = await sh("exit 9", stdin=PIPE)
        while process.returncode is None:
            await asyncio.sleep(0.002)
        return [await process.wait(), await process.wait(), process.returncode]

    kit.equal(kit.run(main()), [9, 9, 9], "statuses")


@case("PROC-3")
def test_child_ends_between_two_runs(kit: Kit) -> None:
    """A child that ends while the loop does not run is told of in the next run."""
    given, go = kit.pipe()
    os.set_blocking(given, True)
    child = spawn(kit, "read x; exit 6", stdin=given, stdout=None, stderr=None)
    number = os.pidfd_open(child.transport.get_pid())
    kit.put(go, b"go\n")
    select.select([number], [], [], 2)
    os.close(number)
    for thread in threading.enumerate():
        _ = thread is threading.current_thread() or thread.join(0.02)  # one of them may wait for the child
    kit.run(asyncio.wait_for(child.lost, 2))
    kit.equal(child.returncode, 6, "status")


@case("PROC-3")
def test_child_ends_while_the_loop_is_blocked(kit: Kit) -> None:
    """A child that ends while a callback keeps the loop busy is noticed afterwards."""

    async def main() -> int:
        process = await sh("exit 6")
        with contextlib.suppress(ChildProcessError):  # a thread of the loop's may be faster
            os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        return await process.wait()

    kit.equal(kit.run(main()), 6, "status")


@case("PROC-3")
def test_cancelled_wait(kit: Kit) -> None:
    """Of three that wait one is cancelled, and one times out: the third, and a later one, get the status."""

    async def main() -> list[int]:
        process = await sh("read line; exit 8", stdin=PIPE)
        first, second = (asyncio.ensure_future(process.wait()) for _ in range(2))
        await asyncio.sleep(0)
        first.cancel()
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(process.wait(), 0.005)
        kit.check(first.cancelled() and not second.done(), "cancelling one wait() touched another")
        assert process.stdin
        process.stdin.close()
        return [await second, await process.wait()]

    kit.equal(kit.run(main()), [8, 8], "statuses")


@case("PROC-3")
def test_cancelled_communicate(kit: Kit) -> None:
    """communicate() that is cancelled leaves a process that can be waited for, and whose fds are closed."""

    async def main() -> int:
        process = await sh("read line; exit 2", stdin=PIPE, stdout=PIPE)
        task = asyncio.ensure_future(process.communicate())
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait({task})
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        return await process.wait()

    kit.check(kit.run(main()) in (2, -signal.SIGKILL), "another status")
    kit.run(asyncio.sleep(0.005))
    no_zombie(kit)


@case("PROC-3")
def test_somebody_else_waits(kit: Kit) -> None:
    """A child whose status somebody else took is told as ended all the same (bpo-38982)."""
    kit.errors.clear()
    protocol = spawn(kit, "read line; exit 3")
    pid = protocol.transport.get_pid()

    def take() -> None:
        os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, 0)

    kit.soon(take)
    kit.run(protocol.exited)
    kit.check(protocol.returncode is not None, "get_returncode() is None after process_exited")
    protocol.transport.close()
    kit.run(protocol.lost)


@case("PROC-4")
def test_input_of_a_dead_child(kit: Kit) -> None:
    """Writing to the stdin of a child that has ended raises BrokenPipeError or ConnectionResetError, or nothing."""

    async def main() -> int:
        process = await sh("exit 1", stdin=PIPE)
        await process.wait()
        assert process.stdin
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            for _ in range(3):
                process.stdin.write(b"hello")
                await process.stdin.drain()
                await asyncio.sleep(0.002)
        process.stdin.close()
        return await process.wait()

    kit.equal(kit.run(main()), 1, "status")


@case("PROC-4")
def test_child_that_does_not_read(kit: Kit) -> None:
    """communicate() with a megabyte for a child that ends without reading returns its output."""

    async def main() -> bytes:
        process = await sh("echo done", stdin=PIPE, stdout=PIPE)
        out, _ = await process.communicate(MIB)
        return out

    kit.equal(kit.run(main()), b"done\n", "output")


@case("PROC-4")
def test_input_is_flow_controlled(kit: Kit) -> None:
    """drain() waits while the child does not read, and everything arrives when it does (uvloop#312)."""

    async def main() -> bytes:
        process = await sh("read line; wc -c", stdin=PIPE, stdout=PIPE)
        assert process.stdin and process.stdout
        os.kill(process.pid, signal.SIGSTOP)
        process.stdin.write(b"\n" + MIB)
        task = asyncio.ensure_future(process.stdin.drain())
        await asyncio.sleep(0.01)
        kit.check(not task.done(), "drain() returned though the child is stopped")
        os.kill(process.pid, signal.SIGCONT)
        await task
        process.stdin.close()
        out = await process.stdout.read()
        await process.wait()
        return out.strip()

    kit.equal(kit.run(main()), b"%d" % len(MIB), "bytes that the child counted")


@case("PROC-4")
def test_end_of_input(kit: Kit) -> None:
    """Closing stdin, by close() or write_eof(), ends the child's input while its other pipes stay (zuvloop@5310b9d)."""

    async def main(how: str) -> bytes:
        process = await sh("cat; echo end", stdin=PIPE, stdout=PIPE)
        assert process.stdin and process.stdout
        process.stdin.write(b"some ")
        getattr(process.stdin, how)()
        out = await process.stdout.read()
        await process.wait()
        return out

    for how in ("close", "write_eof"):
        kit.equal(kit.run(main(how)), b"some end\n", f"output after {how}()")


@family("PROC-5", fault=("missing", "not_executable", "directory", "bad_directory"))
def test_failing_start(kit: Kit, fault: str) -> None:
    """A program that cannot be started raises OSError, leaves no fd and no child behind (uvloop PR#187)"""

    async def main(file: str) -> list[str]:
        program = {"missing": MISSING, "not_executable": file, "directory": "/"}.get(fault, "/bin/true")
        cwd = MISSING if fault == "bad_directory" else None
        raised = []
        for _ in range(5):
            try:
                await asyncio.create_subprocess_exec(program, cwd=cwd, stdin=PIPE, stdout=PIPE, stderr=PIPE)
            except OSError as error:
                raised.append(type(error).__name__)
        await (await sh("exit 0", stdout=PIPE)).communicate()
        return raised

    with tempfile.NamedTemporaryFile() as file:
        expected = "FileNotFoundError" if fault in ("missing", "bad_directory") else "PermissionError"
        output_of(kit, "/bin/true")  # the first child may cost fds that the loop keeps
        before = len(os.listdir("/proc/self/fd"))
        kit.equal(kit.run(main(file.name)), [expected] * 5, "what was raised")
        kit.turns(3)
        kit.check(len(os.listdir("/proc/self/fd")) <= before, "failed starts left fds open")
    no_zombie(kit)


@case("PROC-5")
def test_close_kills_and_reaps(kit: Kit) -> None:
    """transport.close() of a running child kills it; exited and lost are told and no zombie stays (uvloop#128)."""
    protocol = spawn(kit, "exec sleep 600")
    protocol.transport.close()
    protocol.transport.close()
    kit.run(protocol.lost)
    kit.equal(protocol.returncode, -signal.SIGKILL, "status")
    kit.turns(3)
    no_zombie(kit)


@case("PROC-5")
def test_closing_transport_says_so(kit: Kit) -> None:
    """is_closing() of a process transport is false before close() and true after it."""
    protocol = spawn(kit, "exec sleep 600")
    kit.check(not protocol.transport.is_closing(), "is_closing() is true before close()")
    protocol.transport.close()
    is_closing = protocol.transport.is_closing()
    kit.run(protocol.lost)
    kit.check(is_closing, "is_closing() is false after close()")


@family("PROC-5", turns={str(n): n for n in range(5)})
def test_cancelled_start(kit: Kit, turns: int) -> None:
    """A create_subprocess_exec that is cancelled after some turns leaves no fd and no child running"""

    async def main() -> None:
        task = asyncio.ensure_future(asyncio.create_subprocess_exec("sleep", "600", stdin=PIPE, stdout=PIPE))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait({task})
        if not task.cancelled():
            task.result().kill()
            await task.result().wait()

    kit.run(main())
    for _ in range(200):
        kit.run(asyncio.sleep(0.005))
        with contextlib.suppress(ChildProcessError):
            if os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
                continue  # it still runs
        break
    kit.run(asyncio.sleep(0.005))
    no_zombie(kit)


@case("PROC-5")
def test_pipes_are_closed_after_the_end(kit: Kit) -> None:
    """After connection_lost none of the fds of a child's pipes is left, though nobody closed stdin."""
    before = 0
    for i in range(4):
        protocol = spawn(kit, "exit 0")
        kit.run(protocol.lost)
        kit.turns(3)
        now = len(os.listdir("/proc/self/fd"))
        before = before or now  # after the first child: a loop may keep some for all children
        kit.equal(now, before, f"open fds after {i + 1} children")


@case("PROC-5")
def test_loop_closed_with_a_child(kit: Kit) -> None:
    """A loop may be closed while a child runs; closing the transport later raises nothing (cpython gh-88050)."""
    loop = kit.new_loop()
    made: list[Any] = []

    async def start() -> None:
        no_pipes = {"stdin": None, "stdout": None, "stderr": None}
        made.append(await loop.subprocess_exec(asyncio.SubprocessProtocol, "sleep", "600", **no_pipes))

    kit.turns(1)
    loop.run_until_complete(start())
    transport = made[0][0]
    pid = transport.get_pid()
    loop.close()
    with contextlib.suppress(ProcessLookupError, RuntimeError):
        transport.close()
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, 0)


@family("PROC-6", way=("terminate", "kill", "send_signal"))
def test_signals(kit: Kit, way: str) -> None:
    """terminate, kill and send_signal reach the child, which ends by that signal"""
    number = {"terminate": signal.SIGTERM, "kill": signal.SIGKILL, "send_signal": signal.SIGUSR1}[way]

    async def main() -> int:
        process = await asyncio.create_subprocess_exec("sleep", "600")
        getattr(process, way)(*([number] if way == "send_signal" else []))
        return await process.wait()

    kit.equal(kit.run(main()), -number, "status")


@case("PROC-6")
def test_signal_after_the_end(kit: Kit) -> None:
    """Once the child was waited for, kill() and the like raise ProcessLookupError: the number may be another's."""
    protocol = spawn(kit, "exit 0")
    kit.run(protocol.exited)
    kit.run(protocol.lost)  # until then asyncio's own leave it to Popen, which sends nothing either
    for name in ("kill", "terminate"):
        kit.raises(ProcessLookupError, getattr(protocol.transport, name))
    kit.raises(ProcessLookupError, protocol.transport.send_signal, signal.SIGTERM)


@case("PROC-6")
def test_stop_and_continue(kit: Kit) -> None:
    """A child that is stopped has not ended; continued it goes on and ends."""

    async def main() -> int:
        process = await sh("read line; exit 4", stdin=PIPE)
        process.send_signal(signal.SIGSTOP)
        await asyncio.sleep(0.02)
        kit.check(process.returncode is None, "a stopped child has a status")
        process.send_signal(signal.SIGCONT)
        assert process.stdin
        process.stdin.close()
        return await process.wait()

    kit.equal(kit.run(main()), 4, "status")


@case("PROC-6")
def test_ctrl_c_beside_a_child(kit: Kit) -> None:
    """KeyboardInterrupt leaves the loop while a child of another session runs on (rsloop#32)."""
    old = signal.signal(signal.SIGINT, signal.default_int_handler)
    protocol = Child(kit)
    kit.run(kit.loop.subprocess_exec(lambda: protocol, "sleep", "600", stderr=None, start_new_session=True))
    try:
        kit.later(0.005, os.kill, os.getpid(), signal.SIGINT)
        kit.raises(KeyboardInterrupt, kit.run_forever)
    finally:
        signal.signal(signal.SIGINT, old)
    kit.check(protocol.transport.get_returncode() is None, "the child ended too")
    protocol.transport.kill()
    kit.run(protocol.lost)
    kit.equal(protocol.returncode, -signal.SIGKILL, "status")

# real clock
"""Cases of subprocesses: output, status, how a child is started, what is told (PROC-1, PROC-2)."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import signal
import socket
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from loopcheck.children import Child, no_zombie, output_of, sh, spawn
from loopcheck.family import family
from loopcheck.kit import Kit, case

PIPE = subprocess.PIPE
PATTERN = bytes(range(256)) * 4096  # 1 MiB
ENDS = {
    "zero": ("exit 0", 0),
    "three": ("exit 3", 3),
    "most": ("exit 255", 255),
    "term": ("kill -TERM $$", -signal.SIGTERM),
    "kill": ("kill -KILL $$", -signal.SIGKILL),
    "pipe": ("kill -PIPE $$; exit 1", -signal.SIGPIPE),  # whose default the child gets back
}


@family("PROC-1", end=ENDS)
def test_status(kit: Kit, end: tuple[str, int]) -> None:
    """wait() gives the exit status, or minus the number of the signal that ended the child"""
    command, status = end

    async def main() -> tuple[int, int | None]:
        process = await asyncio.create_subprocess_exec("/bin/sh", "-c", command)
        return await process.wait(), process.returncode

    kit.equal(kit.run(main()), (status, status), "status from wait() and in returncode")
    no_zombie(kit)


@case("PROC-1")
def test_both_outputs_are_complete(kit: Kit) -> None:
    """Of a child that fills stdout and stderr in turn and exits at once not a byte is lost (cpython gh-100133)."""
    script = "for i in 1 2 3 4 5 6 7 8; do head -c 30000 /dev/zero; head -c 30000 /dev/zero >&2; done"

    async def main() -> tuple[int, int]:
        process = await sh(script, stdout=PIPE, stderr=PIPE)
        out, err = await process.communicate()
        return len(out), len(err)

    kit.equal(kit.run(main()), (240_000, 240_000), "bytes of stdout and stderr")


@case("PROC-1")
def test_megabyte_through_a_child(kit: Kit) -> None:
    """communicate() sends a megabyte to a child that returns it, without a deadlock, and the end reaches both."""

    async def main() -> tuple[bytes, bytes]:
        process = await asyncio.create_subprocess_exec("cat", stdin=PIPE, stdout=PIPE)
        return await process.communicate(PATTERN)

    out, err = kit.run(main())
    kit.check(out == PATTERN and err is None, f"{len(out)} bytes came back, or other ones; stderr is {err!r}")


@case("PROC-1")
def test_talk_line_by_line(kit: Kit) -> None:
    """A conversation with a child: each line is answered before the next is sent."""

    async def main() -> list[bytes]:
        process = await sh('while read line; do echo "<$line>"; done', stdin=PIPE, stdout=PIPE)
        assert process.stdin and process.stdout
        got = []
        for word in (b"one", b"two", b"three"):
            process.stdin.write(word + b"\n")
            got.append(await process.stdout.readline())
        process.stdin.close()
        await process.wait()
        return got

    kit.equal(kit.run(main()), [b"<one>\n", b"<two>\n", b"<three>\n"], "answers")


@family("PROC-1", env={"empty": {}, "given": {"KITCASE": "a b"}, "inherited": None})
def test_environment(kit: Kit, env: dict[str, str] | None) -> None:
    """The child gets the environment that was given, also an empty one, or else its parent's (uvloop#439)"""
    os.environ["KITCASE_OWN"] = "1"
    got = output_of(kit, "/usr/bin/env", env=env)
    lines = {line for line in got.decode().splitlines() if line.startswith("KITCASE")}
    kit.equal(lines, {"KITCASE_OWN=1"} if env is None else {f"{k}={v}" for k, v in env.items()}, "environment")


@case("PROC-1")
def test_directory_and_long_arguments(kit: Kit) -> None:
    """The child runs in cwd and gets its arguments whole: empty, with spaces, bytes, paths, 60 kB (zuvloop#32)."""
    with tempfile.TemporaryDirectory() as directory:
        real = os.path.realpath(directory)
        kit.equal(output_of(kit, "/bin/pwd", cwd=directory).decode().rstrip(), real, "directory")
    long = "x" * 60_000
    given: list[Any] = ["", "a b", b"\xff", Path("/a"), long]
    got = output_of(kit, "/bin/sh", "-c", 'for a in "$@"; do printf "%s\\0" "$a"; done', "sh", *given)
    kit.equal(got, b"".join(os.fsencode(a) + b"\0" for a in given), "arguments")


@case("PROC-1")
def test_outputs_joined_and_dropped(kit: Kit) -> None:
    """stderr=STDOUT joins the outputs in order; DEVNULL drops one and is at its end when read."""
    joined = output_of(kit, "/bin/sh", "-c", "echo a; echo b >&2; echo c", stderr=subprocess.STDOUT)
    kit.equal(joined, b"a\nb\nc\n", "joined output")
    null = subprocess.DEVNULL
    kit.equal(output_of(kit, "/bin/sh", "-c", "cat; echo x >&2; echo y", stdin=null, stderr=null), b"y\n", "output")


@case("PROC-1")
def test_users_own_files(kit: Kit) -> None:
    """A file and a descriptor of the user's serve as stdin and stdout, and stay open."""
    with tempfile.TemporaryFile() as source, tempfile.TemporaryFile() as sink:
        source.write(b"from a file")
        source.seek(0)

        async def main() -> int:
            process = await asyncio.create_subprocess_exec("cat", stdin=source, stdout=sink.fileno())
            return await process.wait()

        kit.equal(kit.run(main()), 0, "status")
        sink.seek(0)
        kit.equal((sink.read(), source.closed), (b"from a file", False), "what the child wrote, is the source closed")


@case("PROC-1")
def test_shell(kit: Kit) -> None:
    """create_subprocess_shell hands the line to the shell, quotes and all."""

    async def main() -> tuple[bytes, int | None]:
        process = await asyncio.create_subprocess_shell("printf '%s' \"a 'b'\" | cat; exit 7", stdout=PIPE)
        out, _ = await process.communicate()
        return out, process.returncode

    kit.equal(kit.run(main()), (b"a 'b'", 7), "output and status")


@family("PROC-1", how=("exec", "shell"))
def test_pipes_by_default(kit: Kit, how: str) -> None:
    """loop.subprocess_exec and subprocess_shell make pipes of all three, unless told otherwise (rsloop PR#58)"""
    protocol = Child(kit)

    async def main() -> list[bool]:
        if how == "exec":
            await kit.loop.subprocess_exec(lambda: protocol, "cat")
        else:
            await kit.loop.subprocess_shell(lambda: protocol, "cat")
        pipes = [protocol.transport.get_pipe_transport(fd) is not None for fd in (0, 1, 2, 3)]
        protocol.transport.get_pipe_transport(0).close()
        await protocol.lost
        return pipes

    kit.equal(kit.run(main()), [True, True, True, False], "pipes for 0, 1, 2 and 3")


@case("PROC-1")
def test_standard_input_can_be_opened(kit: Kit) -> None:
    """The child may open /dev/stdin and /dev/stdout: they are pipes, not sockets (uvloop#505)."""

    async def main() -> tuple[bytes, int | None]:
        process = await sh("cat < /dev/stdin > /dev/stdout", stdin=PIPE, stdout=PIPE, stderr=subprocess.DEVNULL)
        out, _ = await process.communicate(b"hello")
        return out, process.returncode

    kit.equal(kit.run(main()), (b"hello", 0), "output and status")


@family("PROC-1", wrong=("newlines", "shell", "bufsize", "text", "list"))
def test_wrong_options(kit: Kit, wrong: str) -> None:
    """Options that make no sense are refused with ValueError or TypeError before anything is started"""
    options = {"newlines": {"universal_newlines": True}, "shell": {"shell": True}, "bufsize": {"bufsize": 10}}
    chosen: dict[str, Any] = options.get(wrong, {"text": True} if wrong == "text" else {})
    argument: Any = ["true"] if wrong == "list" else "true"
    try:
        kit.run(kit.loop.subprocess_exec(asyncio.SubprocessProtocol, argument, **chosen))
    except (ValueError, TypeError):
        kit.turns(2)
        no_zombie(kit)
        return
    kit.fail(f"{chosen or argument!r} was accepted")


@case("PROC-1")
def test_descriptors_are_not_inherited(kit: Kit) -> None:
    """The child has the three standard files and those of pass_fds, no other, inheritable or not (zuvloop#56)."""
    kept, passed = (fcntl.fcntl(fd, fcntl.F_DUPFD, 100) for fd in kit.pipe())  # numbers that `ls` does not use
    os.set_inheritable(kept, True)
    try:
        listing = ("/bin/sh", "-c", "ls /proc/self/fd")
        plain = {int(n) for n in output_of(kit, *listing).split()}
        more = {int(n) for n in output_of(kit, *listing, pass_fds=(passed,)).split()}
    finally:
        os.close(kept)
        os.close(passed)
    kit.check(kept not in plain and passed not in plain, f"the child has the parent's fds: {sorted(plain)}")
    kit.check(passed in more and kept not in more, f"with pass_fds={passed} it has {sorted(more)}")


@case("PROC-1")
def test_passed_socket_keeps_its_mode(kit: Kit) -> None:
    """A socket in pass_fds stays non-blocking and the caller's, and the child can write to it (zuvloop#39)."""
    ours, theirs = kit.socketpair()
    output_of(kit, "/bin/sh", "-c", f"echo hello >&{theirs.fileno()}", pass_fds=(theirs.fileno(),))
    kit.equal(ours.recv(10), b"hello\n", "what the child wrote")
    kit.check(not theirs.getblocking() and not os.get_blocking(theirs.fileno()), "the socket is blocking now")


@case("PROC-2")
def test_order_of_events(kit: Kit) -> None:
    """Made first; each pipe's data before its end; exited once, with the status; lost last (cpython gh-85760)."""
    for _ in range(5):
        protocol = spawn(kit, "echo out; echo err >&2; exit 4")
        kit.run(protocol.lost)
        kit.equal(protocol.returncode, 4, "get_returncode() in process_exited")
        kit.equal((protocol.data[1], protocol.data[2]), (b"out\n", b"err\n"), "outputs")
        kit.equal(sorted(protocol.events), sorted(protocol.WHOLE), "events")
        kit.equal((protocol.events[0], protocol.events[-1]), ("made", "lost"), "first and last event")
        for fd in (1, 2):
            data, gone = protocol.events.index(f"data {fd}"), protocol.events.index(f"pipe {fd} lost")
            kit.check(data < gone, f"pipe {fd} was lost before its data: {protocol.events}")


@case("PROC-2")
def test_pipe_held_by_a_grandchild(kit: Kit) -> None:
    """process_exited comes when the child ends, though a grandchild holds its pipe; connection_lost waits for both."""
    protocol = spawn(kit, "exec 3<&0; (read line <&3; echo late) & exit 0")

    async def main() -> list[str]:
        await protocol.exited
        await asyncio.sleep(0.005)
        kit.check("lost" not in protocol.events, "connection_lost came while a pipe was open")
        protocol.transport.get_pipe_transport(0).write(b"\n")
        protocol.transport.get_pipe_transport(0).close()
        await protocol.lost
        return protocol.events

    events = kit.run(main())
    kit.equal((protocol.data[1], events[-1]), (b"late\n", "lost"), "data after the exit, and last event")


@case("PROC-2")
def test_pipes_closed_by_a_living_child(kit: Kit) -> None:
    """A child that closes its outputs and lives on: the pipes end, process_exited comes later."""
    protocol = spawn(kit, "exec >&- 2>&-; read line; exit 5")

    async def main() -> None:
        while not {"pipe 1 lost", "pipe 2 lost"} <= set(protocol.events):
            await asyncio.sleep(0.002)
        kit.check(protocol.transport.get_returncode() is None, "the child has a status though it lives")
        kit.check("exited" not in protocol.events, "process_exited came before the exit")
        protocol.transport.get_pipe_transport(0).write(b"\n")
        await protocol.lost

    kit.run(main())
    kit.equal(protocol.returncode, 5, "status")


@case("PROC-2")
def test_reading_of_a_child_can_be_paused(kit: Kit) -> None:
    """A paused pipe gives no data, and all of it when it is resumed, though the child has ended meanwhile."""
    protocol = Child(kit)

    async def main() -> bytes:
        await kit.loop.subprocess_exec(lambda: protocol, "/bin/sh", "-c", "read x; echo hello", stderr=None)
        out = protocol.transport.get_pipe_transport(1)
        out.pause_reading()
        protocol.transport.get_pipe_transport(0).write(b"\n")
        await protocol.exited
        await asyncio.sleep(0.005)
        kit.equal(bytes(protocol.data[1]), b"", "data while reading is paused")
        out.resume_reading()
        await protocol.lost
        return bytes(protocol.data[1])

    kit.equal(kit.run(main()), b"hello\n", "data")


@case("PROC-2")
def test_subprocess_in_a_busy_loop(kit: Kit) -> None:
    """A child's output and end are told also while callbacks keep the loop busy."""
    protocol = spawn(kit, "echo hello")
    is_over = False

    def chain() -> None:
        if not is_over:
            kit.loop.call_soon(chain)

    chain()
    kit.run(protocol.lost)
    is_over = True
    kit.equal(bytes(protocol.data[1]), b"hello\n", "output")


@case("PROC-1")
def test_a_socket_as_standard_output(kit: Kit) -> None:
    """A socket of the user's serves as the child's stdout; the parent's end stays as it was."""
    ours, theirs = socket.socketpair()
    with ours, theirs, contextlib.suppress(OSError):
        ours.settimeout(3)

        async def main() -> int:
            process = await asyncio.create_subprocess_exec("/bin/echo", "hello", stdout=theirs)
            return await process.wait()

        kit.equal((kit.run(main()), ours.recv(10)), (0, b"hello\n"), "status and output")
        kit.equal(theirs.send(b"!"), 1, "bytes that the parent still sends")

# real clock
"""Cases of a child's options and of the state that its transport tells (PROC-*)."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from loopcheck.children import Child, output_of, sh, spawn
from loopcheck.family import family
from loopcheck.kit import Kit, case

FORMS: dict[str, Callable[[str], Any]] = {"text": str, "bytes": os.fsencode, "path": Path}


@family("PROC-1", form=FORMS)
def test_directory_in_any_form(kit: Kit, form: Callable[[str], Any]) -> None:
    """cwd, the program and its arguments may be text, bytes and a Path"""
    with tempfile.TemporaryDirectory() as folder:
        name = os.path.realpath(folder)
        out = output_of(kit, form("/bin/sh"), form("-c"), form('echo "$(pwd) $0"'), form(name), cwd=form(name))
        kit.equal(out, os.fsencode(f"{name} {name}\n"), "directory and argument")


@family("PROC-1", form={"text": str, "bytes": os.fsencode})
def test_command_of_a_shell(kit: Kit, form: Callable[[str], Any]) -> None:
    """create_subprocess_shell takes text and bytes"""

    async def main() -> bytes:
        child = await asyncio.create_subprocess_shell(form("echo $((6*7)); exit 3"), stdout=subprocess.PIPE)
        out, _ = await child.communicate()
        return b"%d %s" % (child.returncode, out)

    kit.equal(kit.run(main()), b"3 42\n", "status and output")


@family("PROC-1", option=("cwd", "env", "stderr"))
def test_options_of_a_shell(kit: Kit, option: str) -> None:
    """create_subprocess_shell obeys the options of Popen too"""
    with tempfile.TemporaryDirectory() as folder:
        options = {"cwd": folder, "env": {"A": "set"}, "stderr": subprocess.STDOUT}
        command = "pwd; echo $A$HOME; echo err >&2"
        expected = subprocess.run(
            command,
            shell=True,
            stdout=subprocess.PIPE,
            check=True,
            **{option: options[option]},  # type: ignore[call-overload]
        ).stdout

        async def main() -> bytes:
            child = await asyncio.create_subprocess_shell(command, stdout=subprocess.PIPE, **{option: options[option]})
            out, _ = await child.communicate()
            return out

        kit.equal(kit.run(main()), expected, "output")


ASK = "import os,sys; print(os.getsid(0) == os.getpid(), os.getpgid(0) == os.getpid(), oct(os.umask(0)), sys.argv[1:])"
OPTIONS: dict[str, dict[str, Any]] = {
    "none": {},
    "new_session": {"start_new_session": True},
    "umask": {"umask": 0o27},
    "preexec": {"preexec_fn": lambda: os.setpgid(0, 0)},
    "environment": {"env": {b"A": b"1"}},
    "process_group": {"process_group": 0},
    "executable": {"executable": sys.executable},
}


@family("PROC-1", option=OPTIONS)
def test_options_of_popen(kit: Kit, option: dict[str, Any]) -> None:
    """Every option of subprocess.Popen does what it does there (uvloop#618)"""
    if "process_group" in option and sys.version_info < (3, 11):
        kit.skip("Popen has no process_group here")
    program = "any name" if "executable" in option else sys.executable
    argv = (program, "-S", "-c", ASK, "x")
    expected = subprocess.run(argv, stdout=subprocess.PIPE, check=True, **option).stdout
    kit.equal(output_of(kit, *argv, **option), expected, "what the child says")


@case("PROC-1")
def test_inherited_output_is_the_descriptor(kit: Kit) -> None:
    """stdout=None is the descriptor 1 of the process, whatever was put in the place of sys.stdout (uvloop PR#390)."""
    with tempfile.TemporaryDirectory() as folder, open(f"{folder}/other", "w") as other:
        there, ask = f"{folder}/link", "x=$(readlink /proc/$$/fd/1); echo $x >"
        plain, sys.stdout = sys.stdout, other
        try:
            child = spawn(kit, ask + there, stdin=subprocess.DEVNULL, stdout=None, stderr=None)
            kit.run(asyncio.wait_for(child.lost, 3))
        finally:
            sys.stdout = plain
        kit.equal(Path(there).read_text().strip(), os.readlink("/proc/self/fd/1"), "what the child has for stdout")


@case("PROC-3")
def test_child_beside_a_handler_of_its_signal(kit: Kit) -> None:
    """A handler of SIGCHLD is refused, or it and who waits for a child are both told of its end (uvloop#64)."""
    told = asyncio.Event()
    try:
        kit.loop.add_signal_handler(signal.SIGCHLD, told.set)
    except RuntimeError:
        told.set()

    async def main() -> int:
        child = await asyncio.create_subprocess_exec("/bin/sh", "-c", "exit 7")
        await asyncio.wait_for(told.wait(), 3)
        return await asyncio.wait_for(child.wait(), 3)

    kit.equal(kit.run(main()), 7, "status")
    kit.loop.remove_signal_handler(signal.SIGCHLD)


@case("PROC-2")
def test_second_protocol_of_a_child(kit: Kit) -> None:
    """A child's output, its exit and the end are told to the protocol that set_protocol gave last."""
    first, second = spawn(kit, "read x; echo $x; exit 3"), Child(kit)
    second.connection_made(first.transport)
    first.transport.set_protocol(second)
    kit.check(first.transport.get_protocol() is second, "get_protocol() is another one")
    first.transport.get_pipe_transport(0).write(b"hello\n")
    kit.run(asyncio.wait_for(second.lost, 3))
    kit.equal((second.data[1], second.returncode), (b"hello\n", 3), "output and status")
    kit.equal(first.events, ["made"], "what the first protocol saw")


@case("PROC-2")
def test_state_of_a_child(kit: Kit) -> None:
    """get_pid, get_returncode, is_closing and get_protocol are right while the child lives, has ended, is closed."""
    child = spawn(kit, "read x; exit 5")
    transport = child.transport
    live = (transport.get_returncode(), transport.is_closing(), transport.get_protocol() is child)
    kit.check(os.getpgid(transport.get_pid()) >= 0, "nobody has the pid")
    kit.equal(live, (None, False, True), "(get_returncode, is_closing, get_protocol) while it lives")
    transport.get_pipe_transport(0).write(b"x\n")
    kit.run(asyncio.wait_for(child.lost, 3))
    kit.equal((child.returncode, transport.get_returncode()), (5, 5), "get_returncode in process_exited and later")
    transport.close()
    kit.check(transport.is_closing(), "is_closing() after close()")
    kit.equal(transport.get_returncode(), 5, "get_returncode after close()")
    kit.turns(3)


@family("PROC-6", times={"once": 1, "thrice": 3})
def test_close_after_the_end_signals_nobody(kit: Kit, times: int) -> None:
    """Closing the transport of a child that was waited for sends no signal to the number it had"""
    child = spawn(kit, "exit 0", stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    kit.run(asyncio.wait_for(child.lost, 3))
    sent: list[tuple[int, int]] = []
    plain = os.kill
    os.kill = lambda pid, number: sent.append((pid, number))
    try:
        for _ in range(times):
            child.transport.close()
        kit.turns(3)
    finally:
        os.kill = plain
    kit.equal(sent, [], "signals sent to a child that was waited for")


@case("PROC-3")
def test_one_of_three_waiters_is_cancelled(kit: Kit) -> None:
    """Of three who wait for a child one is cancelled: the others, and one who comes later, get its status."""

    async def main() -> list[Any]:
        child = await asyncio.create_subprocess_exec("/bin/sh", "-c", "read x; exit 4", stdin=subprocess.PIPE)
        waiters = [asyncio.ensure_future(child.wait()) for _ in range(3)]
        await asyncio.sleep(0.003)
        waiters[0].cancel()
        assert child.stdin is not None
        child.stdin.write(b"x\n")
        statuses = await asyncio.wait_for(asyncio.gather(*waiters[1:]), 3)
        return [waiters[0].cancelled(), *statuses, await asyncio.wait_for(child.wait(), 1), child.returncode]

    kit.equal(kit.run(main()), [True, 4, 4, 4, 4], "cancelled, and the statuses")


@case("PROC-6")
def test_signals_by_name_and_number(kit: Kit) -> None:
    """send_signal takes a number and a member of signal.Signals; the status is the signal, negative."""
    for number in (signal.SIGUSR1, int(signal.SIGUSR2)):
        child = spawn(kit, "kill -STOP $$; exit 0")
        child.transport.send_signal(number)
        child.transport.send_signal(signal.SIGCONT)
        kit.run(asyncio.wait_for(child.lost, 3))
        kit.equal(child.returncode, -number, "status")


@case("PROC-1")
def test_child_of_a_loop_in_another_thread(kit: Kit) -> None:
    """A loop that runs in another thread than the main one starts a child and is told its status."""
    told: list[object] = []

    async def main() -> tuple[bytes, int | None]:
        process = await sh("echo out; exit 3", stdout=subprocess.PIPE)
        out, _ = await process.communicate()
        return out, process.returncode

    def run() -> None:
        try:
            told.append(kit.run(main()))
        except Exception as error:
            told.append(error)

    kit.thread(run)
    kit.close_threads()
    kit.equal(told, [(b"out\n", 3)], "output and status")


@case("PROC-1")
def test_child_in_extra_info(kit: Kit) -> None:
    """get_extra_info("subprocess") of the transport is the Popen object of the child."""
    null = subprocess.DEVNULL
    child = spawn(kit, "exit 3", stdin=null, stdout=null, stderr=null)
    popen = child.transport.get_extra_info("subprocess")
    kit.run(asyncio.wait_for(child.lost, None))
    kit.check(isinstance(popen, subprocess.Popen), f"it is {popen!r}")
    kit.equal((popen.pid, popen.args), (child.transport.get_pid(), ("/bin/sh", "-c", "exit 3")), "pid and arguments")


@family("PROC-1", option=("encoding", "errors", "text", "universal_newlines", "bufsize"), api=("exec", "shell"))
def test_options_that_make_no_sense(kit: Kit, option: str, api: str) -> None:
    """Options of text and of buffering are refused with ValueError, by both ways to start a child"""
    value = {"encoding": "utf-8", "errors": "strict", "bufsize": 10}.get(option, True)
    start: Any = getattr(kit.loop, f"subprocess_{api}")
    kit.turns(1)
    kit.raises(ValueError, lambda: kit.run(start(asyncio.SubprocessProtocol, "true", **{option: value})))


@case("PROC-3")
def test_child_that_was_waited_for_is_not_said_to_run(kit: Kit) -> None:
    """No ResourceWarning says that a child still runs which has been waited for."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        child = spawn(kit, "exit 0")
        kit.run(asyncio.wait_for(child.lost, 3))
        child.transport.close()
        del child
        kit.turns(3)
        gc.collect()
    kit.equal([str(one.message) for one in told if "still running" in str(one.message)], [], "warnings")


@case("PROC-5")
def test_close_while_a_grandchild_holds_the_pipes(kit: Kit) -> None:
    """close() ends the transport and its pipes though a grandchild holds the other ends open."""
    child = spawn(kit, "sleep 30 & echo $!; exec cat")
    kit.run(asyncio.wait_for(child_says(child), 3))
    child.transport.close()
    try:
        kit.run(asyncio.wait_for(child.lost, 2))
    finally:
        os.kill(int(child.data[1]), signal.SIGKILL)


async def child_says(child: Any) -> None:
    while not child.data[1].endswith(b"\n"):
        await asyncio.sleep(0.002)


@family("PROC-1", option=("restore_signals", "close_fds", "pipesize"))
def test_options_of_popen_for_the_system(kit: Kit, option: str) -> None:
    """restore_signals, close_fds and pipesize do what they do in subprocess.Popen"""
    number = kit.pipe()[1]
    os.set_inheritable(number, True)
    value, script = {
        "restore_signals": (False, "grep SigIgn /proc/self/status"),
        "close_fds": (False, f"test -e /proc/self/fd/{number} && echo inherited; echo done"),
        "pipesize": (8192, "echo done"),
    }[option]
    options: dict[str, Any] = {option: value}
    expected = subprocess.run(("/bin/sh", "-c", script), stdout=subprocess.PIPE, check=True, **options).stdout
    kit.equal(output_of(kit, "/bin/sh", "-c", script, **options), expected, "what the child says")


@family("PROC-2", pipes=("0", "1", "2", "01", "02", "12", "012"))
def test_pipes_by_their_numbers(kit: Kit, pipes: str) -> None:
    """Data and the end of each pipe are told under its own number, whichever of the three are pipes"""
    names = ("stdin", "stdout", "stderr")
    null = subprocess.DEVNULL
    options = {name: subprocess.PIPE if str(fd) in pipes else null for fd, name in enumerate(names)}
    child = spawn(kit, "echo out; echo err >&2; cat", **options)
    for fd in range(3):
        has_pipe = child.transport.get_pipe_transport(fd) is not None
        kit.equal(has_pipe, str(fd) in pipes, f"is there a transport of pipe {fd}")
    if "0" in pipes:
        child.transport.get_pipe_transport(0).close()
    kit.run(asyncio.wait_for(child.lost, 3))
    told = {fd: bytes(data) for fd, data in child.data.items()}
    kit.equal(told, {1: b"out\n" * ("1" in pipes), 2: b"err\n" * ("2" in pipes)}, "output by its number")
    ended = {event[5] for event in child.events if event.startswith("pipe")}
    kit.equal(ended, set(pipes), "pipes that were told to be lost")


@family("PROC-1", way=("descriptor", "inherited", "crossed"))
def test_outputs_that_are_no_pipes(kit: Kit, way: str) -> None:
    """stderr=STDOUT follows an output that is a descriptor or inherited, and outputs may be crossed"""
    first, second = kit.pipe(), kit.pipe()
    out = {"descriptor": first[1], "inherited": None, "crossed": 2}[way]
    err = 1 if way == "crossed" else subprocess.STDOUT
    saved = [os.dup(fd) for fd in (1, 2)]
    try:
        os.dup2(first[1], 1)
        os.dup2(second[1], 2)
        child = spawn(kit, "echo out; echo err >&2", stdin=subprocess.DEVNULL, stdout=out, stderr=err)
        kit.run(asyncio.wait_for(child.lost, 3))
    finally:
        for fd, old in enumerate(saved, 1):
            os.dup2(old, fd)
            os.close(old)
    for _, write_end in (first, second):
        os.write(write_end, b".")
    expected = (b"err\n.", b"out\n.") if way == "crossed" else (b"out\nerr\n.", b".")
    kit.equal((os.read(first[0], 100), os.read(second[0], 100)), expected, "what the two descriptors got")


@case("PROC-1")
def test_inherited_input_is_the_descriptor(kit: Kit) -> None:
    """stdin=None is the descriptor 0 of the process: what waits there is the child's to read."""
    read_end, write_end = os.pipe()
    saved = os.dup(0)
    os.write(write_end, b"hello")
    os.close(write_end)
    try:
        os.dup2(read_end, 0)
        os.set_blocking(0, True)
        child = spawn(kit, "cat", stdin=None, stderr=subprocess.DEVNULL)
        kit.run(asyncio.wait_for(child.lost, 3))
    finally:
        os.dup2(saved, 0)
        os.close(saved)
        os.close(read_end)
    kit.equal(bytes(child.data[1]), b"hello", "what the child read")

"""Child processes and tasks, with what asyncio gets wrong there put right. Each has a case in loopcheck."""

from __future__ import annotations

import asyncio
import contextvars
import os
import sys
import threading
import warnings
from asyncio import events, unix_events
from asyncio.log import logger
from typing import TYPE_CHECKING, Any

PIDFD_WATCHERS = ("PidfdChildWatcher", "_PidfdChildWatcher")
UNREAPED = 255  # the status of a child that somebody else waited for, as asyncio's watchers tell it
RACE = "staggered_race.<locals>.run_one_coro"
HAS_EARLY_RACE = (3, 12) <= sys.version_info < (3, 12, 8) or (3, 13) <= sys.version_info < (3, 13, 1)


def watches_by_pidfd() -> bool:
    """Would asyncio wait for a child by a pidfd that it keeps to itself? [LIFE-3]"""
    if sys.version_info < (3, 12):
        return False
    get_child_watcher = getattr(events, "get_child_watcher", None)
    if get_child_watcher is None:  # from 3.14 on there is one way only
        return bool(unix_events.can_use_pidfd())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return type(get_child_watcher()).__name__ in PIDFD_WATCHERS


class Children(asyncio.SelectorEventLoop):
    """Children are waited for by pidfds that are closed with the loop."""

    if TYPE_CHECKING:  # what asyncio's stubs leave out
        _add_reader: Any
        _remove_reader: Any
        _default_executor: Any
        _do_shutdown: Any

    _pidfds: dict[int, int]  # of children that live: pidfd -> pid

    async def _make_subprocess_transport(
        self,
        protocol: Any,
        args: Any,
        shell: bool,
        stdin: Any,
        stdout: Any,
        stderr: Any,
        bufsize: int,
        extra: Any = None,
        **options: Any,
    ) -> Any:
        if not watches_by_pidfd():
            return await super()._make_subprocess_transport(  # type: ignore[misc]
                protocol, args, shell, stdin, stdout, stderr, bufsize, extra, **options
            )
        waiter = self.create_future()
        transport = unix_events._UnixSubprocessTransport(  # type: ignore[attr-defined]
            self, protocol, args, shell, stdin, stdout, stderr, bufsize, waiter=waiter, extra=extra, **options
        )
        pid = transport.get_pid()
        try:
            pidfd = os.pidfd_open(pid)
        except OSError:  # no fd is to be had; nobody else would wait for the child
            transport._proc.kill()
            transport._proc.wait()
            transport.close()
            raise
        self._pidfds[pidfd] = pid
        self._add_reader(pidfd, self._child_ended, pidfd, transport)
        try:
            await waiter
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException:
            transport.close()
            await transport._wait()
            raise
        return transport

    def _child_ended(self, pidfd: int, transport: Any) -> None:
        self._remove_reader(pidfd)
        pid = self._pidfds.pop(pidfd)
        os.close(pidfd)
        try:
            status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        except ChildProcessError:
            status = UNREAPED
            logger.warning("child process pid %d exit status already read: will report returncode 255", pid)
        self.call_soon(transport._process_exited, status)

    def _forget_children(self) -> None:
        """Closes the pidfds of children that live; nobody will be told of their end."""
        while self._pidfds:
            pidfd, _ = self._pidfds.popitem()
            self._remove_reader(pidfd)
            os.close(pidfd)

    if sys.version_info >= (3, 12):

        def create_task(self, coro: Any, **options: Any) -> Any:
            """asyncio's, but for two defects of tasks that start at once [TASK-4].

            A context that cannot be entered would leave such a task the current one (gh-157301); and the racers of
            create_connection have to begin one after another (gh-124309).
            """
            if self.get_task_factory() is not None:
                if options.get("context") is not None:
                    contextvars.Context.run(options["context"], int)
                if HAS_EARLY_RACE and getattr(coro, "__qualname__", "") == RACE:
                    return asyncio.Task(coro, loop=self, **options)
            return super().create_task(coro, **options)

    if sys.version_info[:2] == (3, 12):

        async def shutdown_default_executor(self, timeout: float | None = None) -> None:
            """Waits for the jobs, for so long at most: some 3.12 wait for them first (gh-111358) [THREAD-5]."""
            executor, self._executor_shutdown_called = self._default_executor, True
            if executor is None:
                return
            ended = self.create_future()
            thread = threading.Thread(target=self._do_shutdown, args=(ended,))
            thread.start()
            try:
                async with asyncio.timeout(timeout):
                    await asyncio.shield(ended)
            except TimeoutError:
                text = f"The executor did not finishing joining its threads within {timeout} seconds."
                warnings.warn(text, RuntimeWarning, stacklevel=2)
                executor.shutdown(wait=False)
            else:
                thread.join()

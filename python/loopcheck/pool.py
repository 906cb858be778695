"""Runs many cases on many servers side by side, in threads that each hold one server at a time."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from loopcheck import processes
from loopcheck.load import KitFault, Spec
from loopcheck.supervisor import Interrupted, Options, Server
from loopcheck.verdict import Facts

POLL_S = 0.1  # between looks at Ctrl-C


@dataclass(frozen=True)
class Task:
    """One case on one loop; `program` is for load.PROGRAM_CASE, `limit_s` in place of the case's own."""

    spec: Spec
    case_id: str
    program: bytes = b""
    limit_s: float = 0.0


@dataclass(frozen=True)
class Done:
    """What came of a task: facts, or the error that kept it from running."""

    task: Task
    seconds: float
    facts: Facts | None
    error: Exception | None = None


class Pool:
    """Up to `workers` servers. Used by one thread, which also gets all results."""

    def __init__(self, workers: int, options: Options) -> None:
        self.workers = workers
        self.options = options
        self._known: dict[str, Server] = {}  # by loop: the server that was looked at first
        self._idle: list[Server] = []
        self._all: list[Server] = []
        self._lock = threading.Lock()
        self._tasks: queue.SimpleQueue[Task | None] = queue.SimpleQueue()
        self._done: queue.SimpleQueue[Done | None] = queue.SimpleQueue()
        self._dropped = 0  # tasks of this run that are not to be run
        self._is_killed = False

    def open(self, spec: Spec) -> Server:
        """Starts the first server of a loop and looks at the loop. Raises Unusable or KitFault."""
        server = Server(spec, self.options)
        self._all.append(server)
        try:
            server.start()
            server.look()
        except BaseException:
            server.close()
            raise
        self._known[spec.text] = server
        self._idle.append(server)
        return server

    def ensure(self, spec: Spec) -> None:
        """`open`, unless that was done before."""
        if spec.text not in self._known:
            self.open(spec)

    def server_of(self, loop: str) -> Server:
        """The first server of a loop that was opened: it knows the cases and what the loop is."""
        return self._known[loop]

    def run(self, tasks: Sequence[Task], on_done: Callable[[Done], None]) -> None:
        """Runs all tasks, of loops that were opened; `on_done` is called here, as results come in.

        Raises KitFault when a task got lost.
        """
        for task in tasks:
            self._tasks.put(task)
        threads = [threading.Thread(target=self._work, daemon=True) for _ in range(min(self.workers, len(tasks)))]
        for thread in threads:
            self._tasks.put(None)
            thread.start()
        running, left = len(threads), len(tasks)
        while running:
            with contextlib.suppress(queue.Empty):
                done = self._done.get(timeout=POLL_S)
                if done is None:
                    running -= 1
                else:
                    left -= 1
                    on_done(done)
        left, self._dropped = left - self._dropped, 0
        if left and not self._is_killed:
            raise KitFault(f"{left} of {len(tasks)} cases were lost")

    def drop_waiting(self) -> int:
        """Inside `on_done`: the tasks that nobody has begun are not run. Returns their number."""
        found: list[Task | None] = []
        with contextlib.suppress(queue.Empty):
            while True:
                found.append(self._tasks.get_nowait())
        for _ in range(found.count(None)):  # each of them ends a thread
            self._tasks.put(None)
        count = len(found) - found.count(None)
        self._dropped += count
        return count

    def close(self) -> None:
        """Ends all servers, those that still run a case too."""
        with self._lock:
            self._is_killed = True
            servers, idle = list(self._all), list(self._idle)
        for server in servers:
            if server in idle:
                server.close()
            else:
                server.kill()

    def _work(self) -> None:
        """One thread: takes tasks until there are none."""
        server: Server | None = None
        try:
            while (task := self._tasks.get()) is not None and not self._is_killed:
                if server is None or server.spec != task.spec:
                    self._give_back(server)
                    server = None
                    server = self._take(task.spec)
                self._done.put(_run(server, task))
        except Interrupted:
            pass
        finally:
            self._give_back(server)
            self._done.put(None)

    def _take(self, spec: Spec) -> Server:
        with self._lock:
            if self._is_killed:  # who closes an idle server waits for it, and would wait for a case that hangs
                raise Interrupted
            for server in self._idle:
                if server.spec == spec:
                    self._idle.remove(server)
                    return server
            known = self._known[spec.text]
            server = Server(
                spec, self.options, known.cases, plain=known.plain, version=known.version, is_exec=known.is_exec
            )
            self._all.append(server)
            return server

    def _give_back(self, server: Server | None) -> None:
        if server is not None:
            with self._lock:
                self._idle.append(server)
            if self._is_killed:
                server.close()


def _run(server: Server, task: Task) -> Done:
    began_s = processes.clock_s()
    try:
        facts = server.run(task.case_id, task.program, task.limit_s)
    except Interrupted:
        raise
    except Exception as error:
        return Done(task, processes.clock_s() - began_s, None, error)
    return Done(task, facts.ending.wall_s or processes.clock_s() - began_s, facts)

"""The servers of a campaign: as many of each loop as there are workers, lent to one thread at a time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

from loopcheck.load import Spec
from loopcheck.supervisor import Options, Server

Job = TypeVar("Job")
Result = TypeVar("Result")


class Bench:
    """Contained servers by loop. Used by one thread, which may have work done in others by `each`."""

    def __init__(self, workers: int, options: Options) -> None:
        self.workers = workers
        self.options = options
        self._first: dict[str, Server] = {}
        self._idle: list[Server] = []
        self._all: list[Server] = []
        self._lock = threading.Lock()

    def open(self, spec: Spec) -> Server:
        """Starts the first server of a loop, unless that was done, and looks at the loop. Raises Unusable."""
        if spec.text in self._first:
            return self._first[spec.text]
        server = Server(spec, self.options)
        self._all.append(server)
        server.start()
        server.look()
        self._first[spec.text] = server
        self._idle.append(server)
        return server

    @contextmanager
    def server(self, spec: Spec) -> Iterator[Server]:
        """A server of a loop that was opened, for this thread alone."""
        with self._lock:
            server = next((idle for idle in self._idle if idle.spec == spec), None)
            if server is not None:
                self._idle.remove(server)
            else:
                known = self._first[spec.text]
                server = Server(spec, self.options, known.cases, is_exec=known.is_exec, version=known.version)
                self._all.append(server)
        try:
            yield server
        finally:
            with self._lock:
                self._idle.append(server)

    def each(self, jobs: Sequence[Job], work: Callable[[Job], Result]) -> Iterator[Result]:
        """The results of all jobs, in their order, each as soon as it and all before it are done."""
        with ThreadPoolExecutor(self.workers) as threads:
            try:
                yield from threads.map(work, jobs)
            except BaseException:  # Ctrl-C above all: what is under way is not waited for
                threads.shutdown(wait=False, cancel_futures=True)
                self.close()
                raise

    def close(self) -> None:
        """Ends all servers, those that are at work too."""
        with self._lock:
            servers, idle = list(self._all), list(self._idle)
            self._all.clear()
            self._idle.clear()
        for server in servers:
            if server in idle:
                server.close()
            else:
                server.kill()

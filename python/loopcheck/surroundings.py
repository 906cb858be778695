"""What a loop finds around it and has to leave alone: the working directory, the standard streams, the recursion
limit and asyncio's own names. AT_START is how they were before any loop was imported."""

from __future__ import annotations

import asyncio
import os
import sys
from dataclasses import dataclass

RULE = "LIFE-14"


def _modes(fd: int) -> tuple[bool, bool] | None:
    try:
        return os.get_inheritable(fd), os.get_blocking(fd)
    except OSError:
        return None


@dataclass
class Surroundings:
    """One look at the process."""

    directory: str
    streams: dict[str, object]
    descriptors: dict[int, tuple[bool, bool] | None]  # standard: (is inherited, blocks), None where it is closed
    recursion_limit: int
    names: dict[str, object]  # of asyncio

    @classmethod
    def now(cls) -> Surroundings:
        try:
            directory = os.getcwd()
        except OSError as error:
            directory = f"none ({error.strerror})"
        return cls(
            directory=directory,
            streams={name: getattr(sys, name, None) for name in ("stdin", "stdout", "stderr")},
            descriptors={fd: _modes(fd) for fd in range(3)},
            recursion_limit=sys.getrecursionlimit(),
            names={name: vars(asyncio).get(name) for name in asyncio.__all__},
        )

    def compare(self, after: Surroundings) -> list[tuple[str, str]]:
        """(rule, sentence) for each change."""
        found = []
        if after.directory != self.directory:
            found.append(f"the working directory is {after.directory} instead of {self.directory}")
        found += [f"sys.{name} was replaced" for name, was in self.streams.items() if after.streams[name] is not was]
        found += [
            f"of standard descriptor {fd} (is inherited, blocks) is {after.descriptors[fd]} instead of {was}"
            for fd, was in self.descriptors.items()
            if after.descriptors[fd] != was
        ]
        if after.recursion_limit != self.recursion_limit:
            found.append(f"the recursion limit is {after.recursion_limit} instead of {self.recursion_limit}")
        found += [
            f"asyncio.{name} was replaced" for name, was in self.names.items() if after.names.get(name) is not was
        ]
        return [(RULE, sentence) for sentence in found]


AT_START = Surroundings.now()

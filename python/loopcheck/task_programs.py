"""Programs of tasks, a naive model that says what they do, and their run on a loop, compared at each step.

A task program is a script for each of TASKS tasks, of which t0 is begun from outside:

    t0: spawn t2
    t0: wait f1
    t2: cancel t0

The model knows at each step which tasks are runnable (queued for their next step), which are blocked (waiting for
something that is not done) and which is current. asyncio.all_tasks() has to be these and no others, current_task()
the current one, and the steps have to come in the model's order.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

TASKS, FUTURES = 5, 3
LINES_MAX = 24  # of a random program
ROUNDS_MAX = 2 * LINES_MAX  # of cancelling what is left, since a task may survive a cancellation for each of its lines
TURNS_MORE = 3  # than there are steps, so that what should not come has its chance
VERBS = ("sleep", "wait", "set", "spawn", "join", "cancel", "raise", "catch")
WEIGHTS = (3, 4, 2, 5, 2, 2, 1, 1)
PENDING, DONE, CANCELLED, RAISED = "pending", "done", "cancelled", "raised"

Line = tuple[int, str, int]  # task, verb, number of the future or task that it is about
Script = list[tuple[str, int]]  # of one task


def generate(seed: int) -> list[Line]:
    """The random task program of this seed; t0 begins by spawning another, so that few are idle."""
    dice = random.Random(seed)
    lines: list[Line] = [(0, "spawn", dice.randrange(1, TASKS))]
    for _ in range(dice.randrange(4, LINES_MAX)):
        lines.append((dice.randrange(TASKS), dice.choices(VERBS, WEIGHTS)[0], dice.randrange(TASKS)))
    return lines


def format_lines(lines: Sequence[Line]) -> str:
    """As text, one line each."""
    objects = {"wait": "f", "set": "f", "spawn": "t", "join": "t", "cancel": "t"}
    texts = (
        f"t{task}: {verb}" + (f" {objects[verb]}{_number(verb, n)}" if verb in objects else "")
        for task, verb, n in lines
    )
    return "".join(f"{text}\n" for text in texts)


def parse_lines(text: str) -> list[Line]:
    """The lines of a text. Raises ValueError for what is no task program."""
    lines: list[Line] = []
    for number, line in enumerate(text.splitlines(), 1):
        task, _, rest = line.partition("#")[0].strip().partition(": ")
        verb, _, about = rest.strip().partition(" ")
        if not task:
            continue
        index = task[1:] + "," + (about[1:] or "0")
        if verb not in VERBS or not index.replace(",", "").isdigit() or int(task[1:]) >= TASKS:
            raise ValueError(f"line {number}: {line!r} is no line of a task program")
        lines.append((int(task[1:]), verb, int(about[1:] or 0)))
    return lines


def _number(verb: str, n: int) -> int:
    return n % FUTURES if verb in ("wait", "set") else n % TASKS


def scripts(lines: Sequence[Line]) -> list[Script]:
    """The lines of each task, in their order."""
    return [[(verb, _number(verb, n)) for task, verb, n in lines if task == index] for index in range(TASKS)]


@dataclass(frozen=True)
class Seen:
    """What was seen just before a line of a task was carried out, or at a time when all was quiet."""

    place: str  # "t1 line 2", "quiet"
    current: str
    alive: tuple[int, ...]  # runnable, blocked and current
    blocked: tuple[int, ...]

    def __str__(self) -> str:
        return (
            f"{self.place}: current {self.current}, alive {_names(self.alive)}, of these blocked {_names(self.blocked)}"
        )


def _names(tasks: Sequence[int]) -> str:
    return " ".join(f"t{task}" for task in tasks) or "none"


# The model.


@dataclass(eq=False)
class _Awaited:
    """A future: its state, and the tasks that wait for it in the order in which they began."""

    state: str = PENDING
    waiters: list[_Task] = field(default_factory=list)


@dataclass(eq=False)
class _Task(_Awaited):
    index: int = 0
    line: int = 0  # of its script, the next one
    waits_for: _Awaited | None = None
    must_cancel: bool = False
    catches: bool = False  # the next cancellation


class Model:
    """Tasks as the documentation describes them, over one queue; nothing of asyncio is used."""

    def __init__(self, lines: Sequence[Line], *, is_eager: bool) -> None:
        self.seen: list[Seen] = []
        self.steps = 0
        self._scripts = scripts(lines)
        self._is_eager = is_eager
        self._ready: deque[_Task] = deque()
        self._running: list[_Task] = []  # more than one when an eager one began inside another
        self._futures = [_Awaited() for _ in range(FUTURES)]
        self.tasks: dict[int, _Task] = {}

    def begin(self, index: int) -> None:
        """create_task."""
        if index in self.tasks:
            return
        task = self.tasks[index] = _Task(index=index)
        if self._is_eager and self._running:
            self._step(task)
        else:
            self._ready.append(task)

    def run(self) -> None:
        """Turns of the loop until nothing is ready."""
        while self._ready:
            self._step(self._ready.popleft())
        self._see("quiet", "none")

    def cancel_all(self) -> None:
        """cancel() of each task that is left, lowest number first."""
        for index in sorted(self.tasks):
            self._cancel(self.tasks[index])

    @property
    def is_over(self) -> bool:
        return all(task.state != PENDING for task in self.tasks.values())

    def states(self) -> dict[int, str]:
        """How each task that was begun ended."""
        return {index: task.state for index, task in sorted(self.tasks.items())}

    def _see(self, place: str, current: str) -> None:
        blocked = [t for t in self.tasks.values() if t.waits_for is not None and t.waits_for.state == PENDING]
        alive = [*self._ready, *blocked, *self._running]
        assert len(set(map(id, alive))) == len(alive), "a task is one of runnable, blocked and current"
        self.seen.append(Seen(place, current, _sorted(alive), _sorted(blocked)))

    def _step(self, task: _Task) -> None:
        self.steps += 1
        awaited, task.waits_for = task.waits_for, None
        error = awaited.state if awaited is not None and awaited.state != DONE else ""
        if task.must_cancel:
            task.must_cancel, error = False, CANCELLED
        self._running.append(task)
        script = self._scripts[task.index]
        while True:
            if error == CANCELLED and task.catches:
                task.catches, error = False, ""
            if error or task.line == len(script):
                break
            self._see(f"t{task.index} line {task.line}", f"t{task.index}")
            verb, n = script[task.line]
            task.line += 1
            is_waiting, error = self._carry_out(task, verb, n)
            if is_waiting:
                self._running.pop()
                return
        self._running.pop()
        self._finish(task, error)

    def _carry_out(self, task: _Task, verb: str, n: int) -> tuple[bool, str]:
        """(does the task wait now, the error raised in it)"""
        if verb == "sleep":
            self._ready.append(task)
            return True, ""
        if verb == "wait" or (verb == "join" and n > task.index and n in self.tasks):
            return self._wait(task, self._futures[n] if verb == "wait" else self.tasks[n])
        if verb == "set" and self._futures[n].state == PENDING:
            self._settle(self._futures[n], DONE)
        elif verb == "spawn":
            self.begin(n)
        elif verb == "cancel" and n in self.tasks:
            self._cancel(self.tasks[n])
        elif verb == "catch":
            task.catches = True
        return False, RAISED if verb == "raise" else ""

    def _wait(self, task: _Task, awaited: _Awaited) -> tuple[bool, str]:
        if awaited.state != PENDING:
            return False, "" if awaited.state == DONE else awaited.state
        task.waits_for = awaited
        awaited.waiters.append(task)
        if task.must_cancel and self._cancel(awaited):
            task.must_cancel = False
        return True, ""

    def _cancel(self, awaited: _Awaited) -> bool:
        if awaited.state != PENDING:
            return False
        if not isinstance(awaited, _Task):
            self._settle(awaited, CANCELLED)
        elif awaited.waits_for is None or not self._cancel(awaited.waits_for):
            awaited.must_cancel = True
        return True

    def _finish(self, task: _Task, error: str) -> None:
        if task.must_cancel and not error:
            error = CANCELLED
        self._settle(task, error or DONE)

    def _settle(self, awaited: _Awaited, state: str) -> None:
        awaited.state = state
        self._ready.extend(awaited.waiters)
        awaited.waiters.clear()


def _sorted(tasks: Sequence[_Task]) -> tuple[int, ...]:
    return tuple(sorted(task.index for task in tasks))


# The loop.


class Live:
    """The same program on a loop. `turns(n)` runs the loop for at least n turns."""

    def __init__(self, lines: Sequence[Line], loop: asyncio.AbstractEventLoop, turns: Callable[[int], None]) -> None:
        self.seen: list[Seen] = []
        self.tasks: dict[int, asyncio.Task[None]] = {}
        self._loop = loop
        self._turns = turns
        self._scripts = scripts(lines)
        self._futures: list[asyncio.Future[None]] = [loop.create_future() for _ in range(FUTURES)]
        self._waiting: dict[int, asyncio.Future[None]] = {}
        self._index: dict[Any, int] = {}  # of each coroutine

    def begin(self, index: int) -> None:
        """create_task. An eager task has told its name before this returns."""
        coro = self._body(index)
        self._index[coro] = index
        self.tasks[index] = self._loop.create_task(coro)

    def run(self, steps: int) -> None:
        self._turns(steps + TURNS_MORE)
        self._see("quiet")

    def cancel_all(self) -> None:
        for index in sorted(self.tasks):
            self.tasks[index].cancel()

    def states(self) -> dict[int, str]:
        """As Model.states; it also takes the exceptions, so that no loop tells of them."""
        return {index: _state(task) for index, task in sorted(self.tasks.items())}

    def _see(self, place: str) -> None:
        current = asyncio.current_task(self._loop)
        alive = (self._index.get(task.get_coro(), -1) for task in asyncio.all_tasks(self._loop))
        blocked = (index for index, awaited in self._waiting.items() if not awaited.done())
        name = "none" if current is None else f"t{self._index.get(current.get_coro(), -1)}"
        self.seen.append(Seen(place, name, tuple(sorted(alive)), tuple(sorted(blocked))))

    async def _body(self, me: int) -> None:
        catches = False
        for number, (verb, n) in enumerate(self._scripts[me]):
            self._see(f"t{me} line {number}")
            if me not in self.tasks:
                self.tasks[me] = asyncio.current_task(self._loop)  # type: ignore[assignment]
            try:
                catches = verb == "catch" or catches
                await self._carry_out(me, verb, n)
            except asyncio.CancelledError:
                if not catches:
                    raise
                catches = False

    async def _carry_out(self, me: int, verb: str, n: int) -> None:
        if verb == "sleep":
            await asyncio.sleep(0)
        elif verb == "wait":
            await self._wait(me, self._futures[n])
        elif verb == "join" and n > me and n in self.tasks:
            await self._wait(me, self.tasks[n])
        elif verb == "set" and not self._futures[n].done():
            self._futures[n].set_result(None)
        elif verb == "spawn" and n not in self.tasks:
            self.begin(n)
        elif verb == "cancel" and n in self.tasks:
            self.tasks[n].cancel()
        elif verb == "raise":
            raise ZeroDivisionError("raised by the program")

    async def _wait(self, me: int, awaited: asyncio.Future[None]) -> None:
        self._waiting[me] = awaited
        try:
            await awaited
        finally:
            del self._waiting[me]


def _state(task: asyncio.Task[None]) -> str:
    if not task.done():
        return PENDING
    if task.cancelled():
        return CANCELLED
    return DONE if task.exception() is None else RAISED


def turns_of(loop: asyncio.AbstractEventLoop) -> Callable[[int], None]:
    """Runs a loop for so many turns, and no more."""

    def turns(count: int) -> None:
        loop.call_soon(again, count)
        loop.run_forever()

    def again(count: int) -> None:
        if count > 0:
            loop.call_soon(again, count - 1)
        else:
            loop.stop()

    return turns


def differences(
    lines: Sequence[Line], loop: asyncio.AbstractEventLoop, turns: Callable[[int], None], *, is_eager: bool
) -> Iterator[str]:
    """What the loop does otherwise than the model; nothing is left running on it in the end unless it is broken.

    Runs the program until all is quiet, then cancels what is left, until all is over.
    """
    model, live = Model(lines, is_eager=is_eager), Live(lines, loop, turns)
    model.begin(0)
    live.begin(0)
    for number in range(ROUNDS_MAX):
        if number:
            model.cancel_all()
            live.cancel_all()
        model.run()
        live.run(model.steps)
        for expected, seen in zip(model.seen, live.seen, strict=False):
            if expected != seen:
                yield f"{seen}; the model says {expected}"
                return
        if len(model.seen) != len(live.seen) or model.states() != live.states():
            yield f"{len(live.seen)} steps to {live.states()}; the model says {len(model.seen)} to {model.states()}"
            return
        if model.is_over:
            return


def shrunk(lines: list[Line], fails: Callable[[list[Line]], bool]) -> list[Line]:
    """The program without the lines that it does not need to fail."""
    at = 0
    while at < len(lines):
        without = lines[:at] + lines[at + 1 :]
        if fails(without):
            lines = without
        else:
            at += 1
    return lines

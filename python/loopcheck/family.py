"""Families of cases: one function, run for every member of a product, each member a case with a stable name.

    @family("ERR-4", kind=("soon", "timer"), error={"exit": SystemExit, "interrupt": KeyboardInterrupt})
    def test_raise(kit, kind, error):
        '''What a callback raises leaves the run.'''

makes test_raise_soon_exit, test_raise_soon_interrupt, test_raise_timer_exit and test_raise_timer_interrupt.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from loopcheck.kit import Case, Kit, case

Dimension = Mapping[str, Any] | Iterable[str]  # the values by name, or names that are their own values


def family(
    rule: str, *, needs_run: bool = True, timeout_s: float | None = None, **dimensions: Dimension
) -> Callable[[Callable[..., None]], tuple[str, ...]]:
    """Puts a case for each member into the module of the function, in whose place the names of the cases remain."""
    values = {key: dict(d) if isinstance(d, Mapping) else {name: name for name in d} for key, d in dimensions.items()}

    def mark(function: Callable[..., None]) -> tuple[str, ...]:
        names = []
        for member in itertools.product(*values.values()):
            name = "_".join((function.__name__, *member))
            chosen = {key: values[key][key_name] for key, key_name in zip(values, member, strict=True)}
            made = case(rule, needs_run=needs_run, timeout_s=timeout_s)(_member(function, chosen))
            made.__name__ = made.__qualname__ = name
            made.__doc__ = f"{(function.__doc__ or '').rstrip('.')} ({', '.join(member)})."
            made.__module__ = function.__module__
            function.__globals__[name] = made
            names.append(name)
        return tuple(names)

    return mark


def _member(function: Callable[..., None], chosen: dict[str, Any]) -> Case:
    def run(kit: Kit) -> None:
        function(kit, **chosen)

    return run

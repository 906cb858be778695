"""The options that several commands of the command line share."""

from __future__ import annotations

import math
from typing import Any

import click

from loopcheck.load import Spec


class Seconds(click.FloatRange):
    """A number of seconds above 0: neither infinite nor NaN."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """As of the base class."""
        seconds = super().convert(value, param, ctx)
        if not math.isfinite(seconds):
            self.fail(f"{value} is no number of seconds.", param, ctx)
        return seconds


SECONDS = Seconds(min=0, min_open=True)


def specs(context: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> tuple[Spec, ...]:
    """The loops that are named, each once."""
    return tuple(Spec.parse(text) for text in dict.fromkeys(values))


timeout = click.option(
    "--timeout",
    type=SECONDS,
    default=4.0,
    show_default=True,
    metavar="S",
    help="Seconds of effective time a case may take (time spent waiting for a cpu does not count).",
)

virtual_time = click.option(
    "--virtual-time",
    is_flag=True,
    help="The clock stands still, and jumps when all processes and threads sleep; timers are judged exactly.",
)
faults = click.option(
    "--faults",
    type=click.Choice(["linux", "posix"]),
    help="Reads, writes and waits meet what this kernel, or any that POSIX allows, may do to them.",
)
seed = click.option("--seed", type=click.IntRange(min=0), default=0, metavar="N", help="Same seed, same faults.")
until_first = click.option("-x", "--until-first", is_flag=True, help="End at the first unexpected verdict.")
expect = click.option(
    "--expect", default="", metavar="FILE|none", help="Known deviations; else what is shipped for the loop."
)
driver = click.option("--driver", default="", metavar="PATH.so", help="The driver of a C loop (contract/driver.h).")

"""A Hypothesis strategy over programs, for property-based tests of any asyncio loop.

    @given(strategies.programs())
    def test_my_loop(text):
        assert check_program(my_module.new_event_loop, text) == []

A program is drawn as text, one op a line, so that a counterexample can be read as it is printed and
stored as a .loop file. Needs the package hypothesis (the extra "test").
"""

from __future__ import annotations

from hypothesis import strategies as st

OPS_MAX = 20
HANDLES = 3  # of each kind: few, so that ops meet on the same ones
DELAYS_MS = 4  # the longest delay: programs wait on the real clock
STREAM_EVENTS = ("made", "data", "eof", "lost", "pause_writing", "resume_writing")
STREAM_VERBS = (  # with the stream's handle put in
    "write {} 100",
    "write {} 60000",
    "write_eof {}",
    "pause {}",
    "resume {}",
    "limits {} 10",
    "close {}",
    "abort {}",
)


def _handles(letter: str) -> st.SearchStrategy[str]:
    return st.integers(1, HANDLES).map(lambda index: f"{letter}{index}")


def _sources() -> st.SearchStrategy[str]:
    """Handles with callbacks."""
    return st.one_of(*(_handles(letter) for letter in "ctwp"))


def _line(form: str, **fields: st.SearchStrategy[object]) -> st.SearchStrategy[str]:
    return st.fixed_dictionaries(fields).map(lambda drawn: form.format(**drawn))


def _verbs() -> st.SearchStrategy[str]:
    """Ops that are legal at top level and inside callbacks. The simplest come first: Hypothesis
    shrinks towards them."""
    delay = st.integers(0, DELAYS_MS)
    count = st.integers(1, 3)
    return st.one_of(
        _line("soon {c}", c=_handles("c")),
        _line("timer {t} {ms}ms", t=_handles("t"), ms=delay),
        _line("waker {p}", p=_handles("p")),
        _line("post {p}", p=_handles("p")),
        _line("cancel {h}", h=st.one_of(_handles("c"), _handles("t"), _handles("w"))),
        _line("rearm {h}", h=st.one_of(_handles("c"), _handles("t"), _handles("w"))),
        _line("destroy {h}", h=_sources()),
        _line("watch {w} {f} {way}", w=_handles("w"), f=_handles("f"), way=st.sampled_from(("in", "out", "in+out"))),
        _line("put {f} {n}", f=_handles("f"), n=count),
        _line("take {f} {n}", f=_handles("f"), n=count),
        _line("shut {f}", f=_handles("f")),
        _line("recycle {f}", f=_handles("f")),
        _line("advance {ms}ms", ms=delay),
    )


def inside() -> st.SearchStrategy[str]:
    """Ops for inside a callback."""
    return st.one_of(_verbs(), st.sampled_from(("raise", "stop")))


def _lines() -> st.SearchStrategy[str]:
    return st.one_of(
        st.sampled_from(("step", "step poll", "run 1", "run 2")),
        _verbs(),
        _line("on {h}: {verb}", h=_sources(), verb=inside()),
        _line("post {p} {us}00us", p=_handles("p"), us=st.integers(1, 9)),
    )


def programs(ops_max: int = OPS_MAX) -> st.SearchStrategy[str]:
    """Texts of programs of at most `ops_max` ops and a pair of connected fds, f1 and f2."""
    return st.lists(_lines(), max_size=ops_max).map(lambda lines: "\n".join(["pair f1 f2", *lines]) + "\n")

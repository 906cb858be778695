"""What cannot become an entry of the corpus is refused by a sentence, and leaves nothing in the tree."""

from __future__ import annotations

from argparse import Namespace

import corpus
import corpus_tools
import pytest
from steps import ROOT, Stop

GOOD = {"area": "timers", "slug": "a-slug", "story": "S.", "found": "here", "rule": "TIMER-1", "effect": "none"}


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [({"area": "../up"}, "an area is like"), ({"slug": "A Slug"}, "an area is like"), ({"file": "gone"}, "is no file")],
)
def test_bad_arguments(tmp_path, changed, sentence):
    program = tmp_path / "program.loop"
    program.write_text("soon c1\nstep\n")
    before = corpus.programs()
    with pytest.raises(Stop, match=sentence):
        corpus_tools.promote(Namespace(**{"file": str(program), **GOOD, **changed}))
    assert corpus.programs() == before


def test_rule_that_is_none(tmp_path):
    program = tmp_path / "program.loop"
    program.write_text("soon c1\nstep\n")
    with pytest.raises(Stop, match="problem"):
        corpus_tools.promote(Namespace(file=str(program), **{**GOOD, "rule": "TIMER-99"}))
    assert not list((ROOT / "corpora" / "regress" / "timers").glob("*a-slug.loop"))


def test_too_few_programs(monkeypatch):
    monkeypatch.setattr(corpus_tools, "PROGRAMS_MIN", 10_000)
    with pytest.raises(Stop, match="fewer than 10000"):
        corpus_tools.validate()


def test_a_program_is_left_out_only_where_it_is_known_to_break():
    known = [name for name in corpus.programs() if corpus.breaks(name, "libuv")]
    assert known and not set(known) & set(corpus.programs("libuv"))
    assert set(known) <= set(corpus.programs("libevent"))

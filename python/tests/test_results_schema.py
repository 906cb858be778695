# results.json is what its schema says, whatever became of the cases; and the schema is no rubber stamp.
from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import loopcheck
import pytest
from documents import document, failure
from loopcheck.check import ControlRun, Loop, Results, Row
from loopcheck.expect import Deviation
from loopcheck.report import to_document, to_json, to_junit, to_markdown
from loopcheck.rules import Rule
from loopcheck.verdict import VERDICTS

SCHEMA = json.loads((Path(loopcheck.__file__).parent / "results.schema.json").read_text())
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)
RULE = Rule("SOON-5", "scheduling", "MUST", "A callback is never lost.", judged_by=("monitor:a.c",))
KNOWN = Deviation("*", ("FAIL",), "SOON-5", "it is old", "https://example.org")
ROW = Row("mine:Loop", "test_a.py::test_b", "SOON-5", "scheduling", "MUST", "FAIL", "lost", 0.1, cites="SOON-5")


def results(*rows: Row) -> Results:
    return Results(
        list(rows), ["a note"], loops=[Loop("mine:Loop", "1", False, "none")], rules=(RULE,), cases={"SOON-5": 1}
    )


def changed(**changes: Any) -> Row:
    return Row(**{**vars(ROW), **changes})


def test_schema_is_one() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    VALIDATOR.validate(document())
    assert SCHEMA["$defs"]["kind"]["enum"] == list(VERDICTS)


@pytest.mark.parametrize("kind", VERDICTS)
def test_what_is_written_is_valid(kind: str) -> None:
    full = changed(verdict=kind, deviation=KNOWN, trace="1\n", program="step\n", control=ControlRun("PASS", "2\n"))
    found = json.loads(to_json(results(full, changed(verdict=kind, is_unexpected=True))))
    VALIDATOR.validate(found)
    assert found["verdicts"][0]["control"] == {"verdict": "PASS", "trace": "2\n"}
    assert found["rules"][0]["is_monitored"] is True
    assert "trace" not in found["verdicts"][1]


@pytest.mark.parametrize("changes", [{"verdict": "FINE"}, {"trace": 7}, {"more": 1}, {"seconds": -1}, {"control": {}}])
def test_what_is_wrong_is_found(changes: dict[str, Any]) -> None:
    assert not VALIDATOR.is_valid(document(failure(**changes)))
    for key in to_document(results()):
        assert not VALIDATOR.is_valid({name: value for name, value in document().items() if name != key})


def test_summary_and_junit_say_where_the_trace_is() -> None:
    anchor = "index.html#mine:Loop/test_a.py::test_b"
    some = results(changed(is_unexpected=True, again="loopcheck again"))
    assert f"- trace: [index.html]({anchor})" in to_markdown(some)
    assert "again: loopcheck again\ntrace: out/" + anchor in to_junit(some, "out/index.html")
    assert "trace:" not in to_junit(some)
    known = results(changed(deviation=KNOWN))
    assert "trace: out/" + anchor in to_junit(known, "out/index.html")

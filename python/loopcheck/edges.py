"""Delays at the edges of what numbers can be (enum lc_edge of contract/op.h), as what float() reads."""

from __future__ import annotations

from loopcheck import _contract as c

EDGES = {
    c.EDGE_NAN: "nan",
    c.EDGE_INF: "inf",
    c.EDGE_MINUS_INF: "-inf",
    c.EDGE_HUGE: "1.7976931348623157e308",
    c.EDGE_MINUS: "-1",
    c.EDGE_MINUS_ZERO: "-0.0",
    c.EDGE_TINY: "5e-324",
}

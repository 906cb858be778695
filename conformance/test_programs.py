"""Programs on the loop: those of the corpus, and random ones. What they saw is judged by the monitor."""

from __future__ import annotations

import re
from pathlib import Path

from loopcheck import _contract
from loopcheck.kit import Case, Kit, case
from loopcheck.programs import generate, run_programs

CORPUS = Path(__file__).resolve().parents[1] / "corpora"
PROGRAMS_A_CASE = 150
RANDOM_CASES = {  # the rule by which such programs most often find something
    "SOON-1": range(PROGRAMS_A_CASE),
    "TIMER-2": range(1000, 1000 + PROGRAMS_A_CASE),
    "FD-1": range(2000, 2000 + PROGRAMS_A_CASE),
    "WAKE-1": range(3000, 3000 + PROGRAMS_A_CASE),
    "LIFE-1": range(4000, 4000 + PROGRAMS_A_CASE),
    "ERR-1": range(5000, 5000 + PROGRAMS_A_CASE),
}


FAMILY_CASES = {
    "ERR-3": _contract.FAMILY_EXITS,
    "ERR-4": _contract.FAMILY_LOOP,
    "SERVER-4": _contract.FAMILY_SERVERS,
    "CONNECT-1": _contract.FAMILY_CONNECTS,
    "CONNECT-2": _contract.FAMILY_CONNECTS,
    "FD-10": _contract.FAMILY_REQUESTS,
    "DGRAM-1": _contract.FAMILY_DATAGRAMS,
}

# asyncio's own transport ends twice when it is ended in resume_writing, which test_closing.py judges: a random program
# that does it would say nothing else of any loop.
ENDS_IN_RESUME_WRITING = re.compile(r"^on (s\d+)(?:\.resume_writing)?: (?:close|abort|destroy) \1$", re.MULTILINE)


def corpus_case(path: Path) -> Case:
    """The case that runs one program of the corpus and cites the rule of its header."""
    text = path.read_text(encoding="utf-8")
    cited = re.search(r"rule:\s*(\S+)", text)

    @case(cited.group(1) if cited else "KIT-1")
    def run(kit: Kit) -> None:
        run_programs(kit, [_contract.parse(text)])

    run.__doc__ = text.splitlines()[0].lstrip("# ")
    return run


def random_case(rule: str, seeds: range, family: int = _contract.FAMILY_LOOP) -> Case:
    """The case that runs the random programs of these seeds: the same ones every time."""

    @case(rule)
    def run(kit: Kit) -> None:
        """No random program breaks a rule."""
        programs = [generate(seed, family) for seed in seeds]
        run_programs(kit, [one for one in programs if not ENDS_IN_RESUME_WRITING.search(_contract.format(one))])

    return run


for _path in sorted(CORPUS.glob("*/*/*.loop")):
    _slug = re.sub(r"\W", "_", f"{_path.parent.name}_{_path.stem}")
    globals()[f"test_corpus_{_slug}"] = corpus_case(_path)
for _rule, _seeds in RANDOM_CASES.items():
    globals()[f"test_random_{_seeds.start}"] = random_case(_rule, _seeds)
for _rule, _family in FAMILY_CASES.items():
    globals()[f"test_random_{_rule.replace('-', '_').lower()}"] = random_case(_rule, range(PROGRAMS_A_CASE), _family)

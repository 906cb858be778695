# real clock: the fuzzers run for a moment each, as OSS-Fuzz and AFL++ would build and start them.
"""ci/oss-fuzz/build.sh keeps OSS-Fuzz's contract: what it puts into $OUT runs, with its seeds and its options."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import zipfile
from pathlib import Path

import fuzzing
import machine
import pytest
from steps import ROOT

RUNS = 50  # of each fuzzer, beside its seeds


def build(folder: Path, cc: str, cflags: str) -> Path:
    """$OUT, filled by build.sh with this compiler."""
    for name in ("src", "work", "out"):
        (folder / name).mkdir()
    (folder / "src" / "loopcheck").symlink_to(ROOT)
    env = {name: value for name, value in os.environ.items() if not name.startswith("LOOPCHECK")}
    env |= {"CC": cc, "CXX": cc, "CFLAGS": cflags, "LIB_FUZZING_ENGINE": "-fsanitize=fuzzer", "AFL_QUIET": "1"}
    env |= {"SRC": str(folder / "src"), "WORK": str(folder / "work"), "OUT": str(folder / "out")}
    done = subprocess.run([ROOT / "ci" / "oss-fuzz" / "build.sh"], env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return folder / "out"


def built_targets() -> list[str]:
    return [target for target in fuzzing.targets() if target != "fuzz_diff"]  # which needs libuv


def test_libfuzzer(tmp_path):
    clang = machine.find_clang()
    if clang is None:
        pytest.skip("no clang with libFuzzer on this machine")
    out = build(tmp_path, clang, "-O1 -fsanitize=address -fsanitize=fuzzer-no-link")
    assert sorted(path.name for path in out.iterdir() if os.access(path, os.X_OK)) == built_targets()
    for target in built_targets():
        assert "max_len" in (out / f"{target}.options").read_text()
        seeds = tmp_path / f"{target}-seeds"
        seeds.mkdir()
        if (archive := out / f"{target}_seed_corpus.zip").exists():
            zipfile.ZipFile(archive).extractall(seeds)
        assert bool(list(seeds.iterdir())) == (fuzzing.reads_programs(target) or target == "fuzz_text")
        argv = [out / target, f"-runs={RUNS}", "-max_len=4096", seeds]
        done = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, f"{target}: {done.stderr[-2000:]}"
        assert "DONE" in done.stderr, target


def test_afl(tmp_path):
    afl, showmap = shutil.which("afl-clang-fast"), shutil.which("afl-showmap")
    if afl is None or showmap is None:
        pytest.skip("no AFL++ on this machine")
    out = build(tmp_path, afl, "-O1")
    sample = tmp_path / "sample"
    sample.write_bytes(random.Random(1).randbytes(400))
    for target in built_targets():
        argv = [showmap, "-q", "-o", tmp_path / "map", "-t", "20000", "--", out / target, sample]
        done = subprocess.run(argv, capture_output=True, text=True)
        assert done.returncode == 0, f"{target}: {done.stdout[-1000:]}{done.stderr[-1000:]}"
        assert len((tmp_path / "map").read_text().splitlines()) > 5, f"{target} is not instrumented"

#!/bin/bash
# Builds the fuzz targets as OSS-Fuzz asks for it: with $CC, $CXX, $CFLAGS, $CXXFLAGS and $LIB_FUZZING_ENGINE, from
# $SRC/loopcheck, in $WORK, into $OUT. Each target gets a seed corpus and options; libuv and Python are not needed.
set -euo pipefail

source=$SRC/loopcheck
cmake -S "$source" -B "$WORK/fuzzers" -G Ninja -DBUILD_TESTING=OFF -DLOOPCHECK_SHIM=OFF -DLOOPCHECK_LOOPS=OFF \
    -DCMAKE_C_COMPILER="$CC" -DCMAKE_C_FLAGS="$CFLAGS" -DCMAKE_CXX_COMPILER="$CXX" -DCMAKE_CXX_FLAGS="${CXXFLAGS:-$CFLAGS}" \
    -DLOOPCHECK_FUZZING_ENGINE="$LIB_FUZZING_ENGINE"
cmake --build "$WORK/fuzzers" --target fuzzers

# The replayer turns texts into inputs. It is built without any flag of the fuzzing, since it runs here.
env -u CFLAGS -u CXXFLAGS cmake -S "$source" -B "$WORK/replayer" -G Ninja -DBUILD_TESTING=OFF -DLOOPCHECK_SHIM=OFF \
    -DLOOPCHECK_LOOPS=OFF -DLOOPCHECK_FUZZERS=OFF -DCMAKE_C_COMPILER="$CC"
cmake --build "$WORK/replayer" --target fuzz_program_replay

rm -rf "$WORK/texts" "$WORK/inputs"
mkdir -p "$WORK/texts" "$WORK/inputs"
find "$source/corpora" -name '*.loop' | while read -r program; do
    name=$(basename "$(dirname "$program")")-$(basename "$program" .loop)
    cp "$program" "$WORK/texts/$name"
    "$WORK/replayer/fuzz/fuzz_program_replay" --to-bytes "$program" "$WORK/inputs/$name"
done

pack() { # folder archive
    (cd "$1" && cmake -E tar cf "$2" --format=zip -- *)
}

for target in "$WORK"/fuzzers/fuzz/fuzz_*; do
    name=$(basename "$target")
    case $name in *_replay | *_virtual | *.so) continue ;; esac
    if [ ! -x "$target" ] || [ ! -f "$source/fuzz/targets/$name.c" ]; then continue; fi
    cp "$target" "$OUT/"
    printf '[libfuzzer]\nmax_len = 4096\ntimeout = 20\n' > "$OUT/$name.options"
    if grep -q '"fuzz_program.h"\|"program_faults.h"\|lc_program_decode' "$source/fuzz/targets/$name.c"; then
        pack "$WORK/inputs" "$OUT/${name}_seed_corpus.zip"
    fi
done
pack "$WORK/texts" "$OUT/fuzz_text_seed_corpus.zip"

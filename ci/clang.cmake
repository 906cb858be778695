# The clang that the sanitizers and fuzzers are built with: $LOOPCHECK_CLANG, else the first of these.
if(DEFINED ENV{LOOPCHECK_CLANG})
  set(CMAKE_C_COMPILER "$ENV{LOOPCHECK_CLANG}")
else()
  find_program(
    LOOPCHECK_CLANG
    NAMES clang-19 clang-22 clang-21 clang-20 clang-18 clang-17 clang-16 clang-15 clang-14 clang
    REQUIRED)
  set(CMAKE_C_COMPILER "${LOOPCHECK_CLANG}")
endif()

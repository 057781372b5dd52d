#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Everything fast enough for every commit: installs what is missing, builds with sanitizers and -Werror, runs the suites, and ends with
# one line "N passed, N failed". Arguments name suites (default: all of them, in this order). Slow suites: docs/testing.md.
set -u
cd "$(dirname "$0")/.." || exit 1
. deploy/lib/packages.sh

SUITES=("$@")
[ ${#SUITES[@]} -gt 0 ] || SUITES=(tidy unit sim model cluster bench)
BUILD=build/test
JOBS=${TERN_TEST_JOBS:-2}
export ASAN_OPTIONS=${ASAN_OPTIONS:-detect_stack_use_after_return=0:abort_on_error=0}
export UBSAN_OPTIONS=${UBSAN_OPTIONS:-print_stacktrace=1}
passed=0
failed=0

# count NAME PASSED FAILED: one suite's result.
count() {
    echo "== $1: $2 passed, $3 failed"
    passed=$((passed + $2))
    failed=$((failed + $3))
}

build() {
    cmake -S . -B "$BUILD" -G Ninja -DCMAKE_BUILD_TYPE=Debug -DTERN_SANITIZE=ON -DTERN_WERROR=ON >"$BUILD.cmake.log" 2>&1 ||
        { cat "$BUILD.cmake.log"; return 1; }
    ninja -C "$BUILD" -j "$JOBS" >"$BUILD.log" 2>&1 || { tail -60 "$BUILD.log"; return 1; }
}

# ctest_suite NAME ARGS...: counts what ctest ran.
ctest_suite() {
    local name=$1 out
    shift
    out=$(ctest --test-dir "$BUILD" -j "$JOBS" --timeout 300 --output-on-failure "$@" 2>&1)
    local all bad
    all=$(sed -n 's/.*tests failed out of \([0-9]*\)$/\1/p' <<<"$out")
    bad=$(sed -n 's/^[0-9]*% tests passed, \([0-9]*\) tests failed out of.*/\1/p' <<<"$out")
    if [ -z "$all" ] || [ "$bad" != 0 ]; then
        echo "$out" | grep -v '^ *[0-9]*/[0-9]* Test .*Passed' | tail -200
    fi
    count "$name" $((${all:-0} - ${bad:-0})) "${bad:-1}"
}

# command_suite NAME COMMAND...: a program whose last "N passed, N failed" line counts, or else its exit status.
command_suite() {
    local name=$1 out status line
    shift
    out=$("$@" 2>&1)
    status=$?
    line=$(grep -oE '[0-9]+ passed, [0-9]+ failed' <<<"$out" | tail -1)
    if [ -n "$line" ]; then
        set -- $line
        [ "$3" = 0 ] && [ $status = 0 ] || echo "$out" | tail -150
        local bad=$3
        [ "$bad" = 0 ] && [ $status != 0 ] && bad=1
        count "$name" "$1" "$bad"
    elif [ $status = 0 ]; then
        count "$name" 1 0
    else
        echo "$out" | tail -150
        count "$name" 0 1
    fi
}

# shellcheck disable=SC2086
packages_install $PACKAGES_BUILD $PACKAGES_RUN $PACKAGES_TEST $PACKAGES_ETCD || { echo "packages could not be installed"; echo "0 passed, 1 failed"; exit 1; }
mkdir -p build
if ! build; then
    echo "the build failed"
    echo "0 passed, 1 failed"
    exit 1
fi

for suite in "${SUITES[@]}"; do
    case $suite in
    tidy) command_suite tidy tests/tidy/run.sh ;;
    unit) ctest_suite unit -E '_sim$' ;;
    sim) command_suite sim tests/sim/run.sh --build "$BUILD" ;;
    model) command_suite model tests/model/run.sh --smoke ;;
    cluster) command_suite cluster tests/cluster/run.sh --build "$BUILD" ;;
    bench) command_suite bench tests/bench/run.sh --smoke --build "$BUILD" ;;
    *) echo "no such suite: $suite"; count "$suite" 0 1 ;;
    esac
done

echo "$passed passed, $failed failed"
[ "$failed" = 0 ] && [ "$passed" -gt 0 ]

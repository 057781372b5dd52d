#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Tests of the whole running system: real processes, real mail clients. usage: run.sh [--build DIR] [pytest arguments]
# Ends with "N passed, N failed". TERN_KEEP=1 keeps the folders of the clusters, TERN_LOG_LEVEL=debug says more.
set -u
cd "$(dirname "$0")/../.." || exit 1
build=build/test
if [ "${1-}" = --build ]; then
    build=$2
    shift 2
fi
targets=(tests/cluster)
for argument in "$@"; do
    [ -e "${argument%%::*}" ] && targets=() # the arguments name what to run
done

work=$(mktemp -d)
report=$work/report
trap 'rm -rf "$work"' EXIT
/usr/bin/python3 -B -m pytest -p no:cacheprovider --basetemp "$work/tests" "--build=$build" -q --tb=short -rf "${targets[@]}" "$@" 2>&1 | tee "$report"
status=${PIPESTATUS[0]}

# pytest's last line: "2 failed, 30 passed, 1 error in 4.5s".
total() {
    tail -1 "$report" | grep -oE "[0-9]+ $1" | grep -oE '[0-9]+' || echo 0
}
failed=$(($(total failed) + $(total error)))
[ "$status" != 0 ] && [ "$failed" = 0 ] && failed=1
echo "$(total passed) passed, $failed failed"
exit "$status"

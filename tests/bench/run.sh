#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Measures Tern beside Postfix and Dovecot on this machine: the same load on both in turn, fsync on. Needs root for them.
# usage: run.sh [--smoke] [--build DIR] [NAME...]    names and more options: run.sh --help
# Prints a table and ends with "N passed, N failed" (benches that ran, not goals); raw figures go to tests/bench/results.
# --smoke: tiny amounts, Tern alone, no packages: for tests/run.sh. TERN_BENCH_DIR: where the data goes (a folder of its own).
# TERN_BENCH_KEYS=0: without CURVE between Tern's programs.
set -u
ROOT=$(cd "$(dirname "$0")/../.." && pwd) || exit 1
cd "$ROOT" || exit 1
. deploy/lib/packages.sh
. deploy/lib/build.sh

smoke=0 peers=1 build="" arguments=()
while [ $# -gt 0 ]; do
    case $1 in
    --build) build=$2; shift ;;
    --smoke) smoke=1 peers=0; arguments+=("$1") ;;
    --tern-only) peers=0; arguments+=("$1") ;;
    *) arguments+=("$1") ;;
    esac
    shift
done

if [ $peers = 1 ]; then
    [ "$(id -u)" = 0 ] || { echo "tests/bench/run.sh: Postfix and Dovecot need root (or: --tern-only)" >&2; exit 2; }
    # shellcheck disable=SC2086
    packages_install $PACKAGES_BENCH || exit 1
fi
if [ -z "$build" ]; then
    build=build/release
    build_programs || exit 1
fi
[ -x "$build/bin/tern-storage-node" ] || { echo "tests/bench/run.sh: no programs in $build/bin" >&2; exit 2; }
load=$build/bench_load
gcc -std=gnu11 -O2 -Wall -Wextra -Werror -I. -o "$load.$$" tests/bench/load/*.c && mv "$load.$$" "$load" || exit 1

if [ $smoke = 1 ]; then
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
else
    work=${TERN_BENCH_DIR:-/var/tmp/tern-bench}
fi
ulimit -n "$(ulimit -Hn)"
PYTHONPATH=tests/cluster /usr/bin/python3 -B tests/bench/main.py --build "$build" --load "$load" --work "$work/run" ${arguments[@]+"${arguments[@]}"}

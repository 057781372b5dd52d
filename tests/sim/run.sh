#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The simulations: replication on a virtual cluster, one storage node with power cuts at any write, and three of them.
# Usage: tests/sim/run.sh [--build DIR] [--seeds A:B]     without --seeds: the smoke runs (under 20 s each)
set -eu
cd "$(dirname "$0")/../.."
build=build/release
seeds=
while [ $# -gt 0 ]; do
    case "$1" in
    --build) build=$2; shift 2 ;;
    --seeds) seeds=$2; shift 2 ;;
    *) echo "usage: tests/sim/run.sh [--build DIR] [--seeds A:B]" >&2; exit 2 ;;
    esac
done
status=0
for sim in replica_sim storage_sim cluster_sim; do
    program=$build/tests/$sim
    if [ ! -x "$program" ]; then
        echo "$program is not built: cmake --build $build --target $sim" >&2
        status=1
        continue
    fi
    echo "== $sim"
    if [ -n "$seeds" ]; then
        "$program" --seeds "$seeds" || status=1
    else
        "$program" --smoke || status=1
    fi
done
exit $status

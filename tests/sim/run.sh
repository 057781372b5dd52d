#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The simulations: replication on a virtual cluster, one storage node with power cuts at any write, whole
# clusters with clients, and directors. Usage:
#
#   tests/sim/run.sh [--build DIR]               the smoke runs, then every broken rule with the seed that notices it
#   tests/sim/run.sh [--build DIR] --seed=N      that run of each (cluster_sim --seed N --trace says what happens)
#   tests/sim/run.sh [--build DIR] --seeds A:B   many: A .. B-1
#   tests/sim/run.sh [--build DIR] --breaks      only the broken rules (tests/sim/seeds.txt)
set -eu
cd "$(dirname "$0")/../.."
build=build/release
seeds=
what=smoke
while [ $# -gt 0 ]; do
    case "$1" in
    --build) build=$2; shift 2 ;;
    --seed=*) seeds=${1#--seed=}; what=seed; shift ;;
    --seed) seeds=$2; what=seed; shift 2 ;;
    --seeds=*) seeds=${1#--seeds=}; what=seeds; shift ;;
    --seeds) seeds=$2; what=seeds; shift 2 ;;
    --breaks) what=breaks; shift ;;
    *) sed -n '3,9s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
    esac
done
passed=0
failed=0

# try NAME COMMAND...: silent but for failures and the last line.
try() {
    name=$1
    shift
    if out=$("$@" 2>&1); then
        passed=$((passed + 1))
        echo "$name: $(echo "$out" | tail -1 | cut -c1-100)"
    else
        failed=$((failed + 1))
        echo "$name FAILED: $*"
        echo "$out" | tail -20
    fi
}

# Each line of seeds.txt: the run, or one of the runs A .. B-1, must notice what is broken, and be well when nothing is
# (which it sees to itself).
breaks() {
    while read -r sim name seed; do
        case $sim in '' | '#'*) continue ;; esac
        if [ "$name" = whole ]; then
            # shellcheck disable=SC2086 # a seed may come with its weather
            try "$sim seed $seed" "$build/tests/$sim" --seed $seed
            continue
        fi
        case $seed in
        *:*) try "$sim $name" "$build/tests/$sim" --break "$name" --seeds "$seed" --quiet ;;
        *) try "$sim $name" "$build/tests/$sim" --break "$name" --seed "$seed" ;;
        esac
    done <tests/sim/seeds.txt
}

# A rule whose seed was lost from seeds.txt would be defended by nothing.
is_named() {
    grep -q "^\(# \)\{0,1\}$1 $2 [0-9-]" tests/sim/seeds.txt || { echo "tests/sim/seeds.txt: no seed for $1 $2"; return 1; }
}

all_named() {
    for sim in replica_sim storage_sim cluster_sim director_sim; do
        for name in $("$build/tests/$sim" --breaks); do
            is_named "$sim" "$name" || return 1
        done
    done
    echo "all of them"
}

for sim in replica_sim storage_sim cluster_sim director_sim; do
    program=$build/tests/$sim
    if [ ! -x "$program" ]; then
        echo "$program is not built: cmake --build $build --target $sim" >&2
        exit 1
    fi
    case $what in
    seed) try $sim "$program" --seed "$seeds" ;;
    seeds) try $sim "$program" --seeds "$seeds" ;;
    smoke) try $sim "$program" --smoke ;;
    esac
done
case $what in smoke | breaks) try "broken rules with a seed" all_named; breaks ;; esac
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]

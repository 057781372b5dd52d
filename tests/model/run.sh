#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Checks the replication protocol (docs/replication.md, R1..R27) with spin, on tern.pml and tern_ticks.pml.
#
#   run.sh --full         complete searches, minutes and gigabytes
#   run.sh --smoke        the smallest complete searches and two mutations, under a minute
#   run.sh --mutations    breaks every rule in turn; each must give a counterexample
#   run.sh M_NAME         breaks one rule and prints the shortest counterexample
#   run.sh --search "-DEMAX=4 -DNW=1 -DNCRASH=1" [seconds]   one search with chosen bounds
#
# Bounds: EMAX epochs, NW writes, NCRASH restarts, INITMEM bit mask of the first members, NOADD, NOHAND. Needs spin
# and gcc. Exit status 0 if all is as it should be.
set -u
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
memory_mb=${TERN_MODEL_MEMORY_MB:-6000}
failed=0
begun=0 # second in which the search under way began

# make_pan "spin flags" "gcc flags" FILE
make_pan() {
    rm -f pan* ./*.trail
    # shellcheck disable=SC2086 # flags are words
    spin -a $1 "$here/$3" >spin.log 2>&1 || { cat spin.log; exit 1; }
    # shellcheck disable=SC2086
    gcc -w -DSAFETY -DNOREDUCE "-DMEMLIM=$memory_mb" $2 -o pan pan.c || exit 1
}

# search NAME "bounds" seconds [-O1]: a complete search without an error.
search() {
    make_pan "$2" "${4:--O2} -DCOLLAPSE" tern.pml
    begun=$SECONDS
    timeout -s INT "$3" ./pan -E -m1000000 >out.txt 2>&1
    report "$1 [$2]"
}

ticks() {
    make_pan "$1" "-O1 -DCOLLAPSE" tern_ticks.pml
    begun=$SECONDS
    timeout -s INT 120 ./pan -E -m1000000 >out.txt 2>&1
    report "ticks [$1]"
}

report() {
    local verdict=ok seconds=$((SECONDS - begun))
    if ! grep -q 'errors: 0' out.txt; then
        verdict=FAILED
    elif grep -qE 'not completed|max search depth too small|out of memory|interrupted' out.txt; then
        verdict=INCOMPLETE
    fi
    [ "$verdict" = ok ] || failed=1
    printf '%-10s %s: %s states, %s MB, %d s\n' "$verdict" "$1" \
        "$(sed -n 's/^ *\([0-9.e+]*\) states, stored.*/\1/p' out.txt | head -1)" \
        "$(sed -n 's/^ *\([0-9.]*\).*total actual memory usage.*/\1/p' out.txt | head -1)" "$seconds"
}

# bounds_of M_NAME: small bounds that catch it.
bounds_of() {
    case $1 in
    M_NOPENDLEASE | M_NOPENDACK | M_EARLYADD) echo "-DEMAX=3 -DNW=1 -DNCRASH=1 -DINITMEM=3 -DNOHAND" ;;
    M_DUPNOSYNC) echo "-DEMAX=4 -DNW=1 -DNCRASH=1 -DINITMEM=3 -DNOHAND" ;;
    M_ADDINACTIVE) echo "-DEMAX=4 -DNW=1 -DNCRASH=0 -DINITMEM=3 -DNOHAND" ;;
    M_NOFLOOR2) echo "-DEMAX=3 -DNW=2 -DNCRASH=1 -DNOADD -DNOHAND" ;;
    M_ACKLAST) echo "-DEMAX=3 -DNW=2 -DNCRASH=0 -DNOADD -DNOHAND" ;;
    *) echo "-DEMAX=3 -DNW=1 -DNCRASH=1" ;;
    esac
}

# mutate M_NAME [show]: the search must end in an error; `show` prints the trace.
mutate() {
    local bounds trail
    bounds="$(bounds_of "$1") -D$1 ${2:+-DTRACE}"
    make_pan "$bounds" "-O0 -DBFS -DHC4" tern.pml # most counterexamples come sooner than an optimised pan
    begun=$SECONDS
    timeout "${TERN_MODEL_SECONDS:-120}" ./pan -E -m100000 -w24 >out.txt 2>&1
    trail=$(find . -name '*.trail' | head -1)
    if [ -z "$trail" ]; then
        printf '%-10s %s: no counterexample\n' FAILED "$1"
        failed=1
        return
    fi
    printf '%-10s %s broken: counterexample found, %d s\n' ok "$1" "$((SECONDS - begun))"
    [ "${2:-}" = show ] || return 0
    # shellcheck disable=SC2086
    spin -t $bounds -k "$trail" "$here/tern.pml" 2>&1 |
        grep -E '^ *(propose|fsync|rcv|hb|commit|learn|start|activate|ask_|want|cas_|crash|drop|cur=)|assert'
}

# ticks must fail when a lease runs from the answer, when a restart forgets promises, or when clocks drift too far.
mutate_ticks() {
    make_pan "$1" "-O1 -DCOLLAPSE" tern_ticks.pml
    timeout -s INT 120 ./pan -E -m1000000 >out.txt 2>&1
    if grep -qE 'errors: [1-9]' out.txt; then
        printf '%-10s ticks %s broken: counterexample found\n' ok "$1"
    else
        printf '%-10s ticks %s: no counterexample\n' FAILED "$1"
        failed=1
    fi
}

# M_NOBARRIER and M_HANDREAD are no violations: barrier and stopping reads at hand-over are hygiene.
mutations=$(grep -oE 'M_[A-Z0-9]{3,}' "$here/tern.pml" | sort -u | grep -vE '^(M_NOBARRIER|M_HANDREAD)$')

case ${1:-} in
--smoke)
    search smoke "-DEMAX=3 -DNW=1 -DNCRASH=1 -DNOADD" 100 -O1
    ticks ""
    mutate M_NOWAIT
    mutate M_NOFLOOR
    ;;
--mutations)
    for m in $mutations; do mutate "$m"; done
    for m in -DM_FROMACK -DM_NOBOOTWAIT "-DSLOW=3 -DFAST=7"; do mutate_ticks "$m"; done
    ;;
--search) search search "$2" "${3:-600}" ;;
M_*) mutate "$1" show ;;
--full)
    search c1 "-DEMAX=3 -DNW=1 -DNCRASH=1" 600
    search c2 "-DEMAX=3 -DNW=2 -DNCRASH=1 -DNOADD -DNOHAND" 600
    search c3 "-DEMAX=4 -DNW=1 -DNCRASH=0" 900
    ticks ""
    ;;
*) sed -n '3,13s/^# \{0,1\}//p' "$0"; exit 2 ;;
esac
exit $failed

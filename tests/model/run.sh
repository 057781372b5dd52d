#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Checks the replication protocol (docs/replication.md, R1..R29) with spin, on tern.pml and tern_ticks.pml.
#
#   run.sh --full         complete searches, minutes and gigabytes
#   run.sh --largest      c4, the largest one: half an hour and 7 GB
#   run.sh --smoke        the smallest complete searches and two mutations, under a minute
#   run.sh --mutations    breaks every rule in turn; each must give a counterexample. Where two rules cover each other
#                         either alone must give none, and both together one
#   run.sh M_NAME         breaks one rule and prints the shortest counterexample
#   run.sh --search "-DEMAX=4 -DNW=1 -DNCRASH=1" [seconds]   one search with chosen bounds
#
# Bounds: EMAX epochs, NW writes, NCRASH restarts, INITMEM bit mask of the first members, NOADD, NOHAND; LEAVE a copy is
# damaged (R28; INITLRN bit mask of the first learners), RECOVER a partition goes on from an older copy (R29). Needs
# spin and gcc. Exit status 0 if all is as it should be.
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
    M_ADDINACTIVE) echo "-DEMAX=4 -DNW=1 -DNCRASH=0 -DINITMEM=3 -DNOHAND" ;;
    M_NOFLOOR2) echo "-DEMAX=3 -DNW=2 -DNCRASH=1 -DNOADD -DNOHAND" ;;
    M_ACKLAST) echo "-DEMAX=3 -DNW=2 -DNCRASH=0 -DNOADD -DNOHAND" ;;
    M_LVDEP) echo "-DEMAX=3 -DNW=1 -DNCRASH=1 -DNOHAND -DLEAVE" ;;
    M_LVNAMED | M_LVLEARNER) echo "-DEMAX=3 -DNW=1 -DNCRASH=0 -DINITMEM=1 -DINITLRN=2 -DNOHAND -DLEAVE" ;;
    M_LV*) echo "-DEMAX=4 -DNW=1 -DNCRASH=0 -DINITMEM=1 -DNOHAND -DLEAVE" ;;
    M_RCVALID) echo "-DEMAX=3 -DNW=2 -DNCRASH=0 -DINITMEM=3 -DNOHAND -DRECOVER" ;;
    M_RC*) echo "-DEMAX=3 -DNW=1 -DNCRASH=0 -DINITMEM=3 -DNOHAND -DRECOVER" ;;
    *) echo "-DEMAX=3 -DNW=1 -DNCRASH=1" ;;
    esac
}

# other_of M_NAME: the rule that also covers what M_NAME breaks, if there is one (README.md says why).
other_of() {
    case $1 in
    M_DUPNOSYNC) echo M_NOBARRIER ;;
    M_NOBARRIER) echo M_DUPNOSYNC ;;
    M_HANDREAD) echo M_HANDTERM ;;
    M_HANDTERM) echo M_HANDREAD ;;
    esac
}

# mutate M_NAME [show]: the search must end in an error; `show` prints the trace.
mutate() {
    local bounds trail other name=$1
    other=$(other_of "$1")
    [ -z "$other" ] || name="$1 and $other"
    bounds="$(bounds_of "$1") -D$1 ${other:+-D$other} ${2:+-DTRACE}"
    make_pan "$bounds" "-O0 -DBFS -DHC4" tern.pml # most counterexamples come sooner than an optimised pan
    begun=$SECONDS
    timeout "${TERN_MODEL_SECONDS:-120}" ./pan -E -m100000 -w24 >out.txt 2>&1
    trail=$(find . -name '*.trail' | head -1)
    if [ -z "$trail" ]; then
        printf '%-10s %s: no counterexample\n' FAILED "$name"
        failed=1
        return
    fi
    printf '%-10s %s broken: counterexample found, %d s\n' ok "$name" "$((SECONDS - begun))"
    [ "${2:-}" = show ] || return 0
    # shellcheck disable=SC2086
    spin -t $bounds -k "$trail" "$here/tern.pml" 2>&1 |
        grep -E '^ *(propose|fsync|rcv|voidrcv|hb|commit|learn|start|activate|ask_|want|cas_|crash|drop|damage|wipe|cur=)|assert'
}

# Neither of two rules alone is needed within these bounds, both together are.
pair() {
    search "$1 alone" "$(bounds_of "$1") -D$1" 600 -O1
    search "$2 alone" "$(bounds_of "$2") -D$2" 600 -O1
    mutate "$1"
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

mutations=$(grep -oE 'M_[A-Z0-9]{3,}' "$here/tern.pml" | sort -u | grep -vE '^M_(DUPNOSYNC|NOBARRIER|HANDREAD|HANDTERM)$')

case ${1:-} in
--smoke)
    search smoke "-DEMAX=3 -DNW=1 -DNCRASH=1 -DNOADD" 100 -O1
    ticks ""
    mutate M_NOWAIT
    mutate M_NOFLOOR
    ;;
--mutations)
    for m in $mutations; do mutate "$m"; done
    pair M_DUPNOSYNC M_NOBARRIER
    pair M_HANDREAD M_HANDTERM
    for m in -DM_FROMACK -DM_NOBOOTWAIT "-DSLOW=3 -DFAST=7"; do mutate_ticks "$m"; done
    ;;
--search) search search "$2" "${3:-600}" ;;
M_*) mutate "$1" show ;;
--full)
    search c1 "-DEMAX=3 -DNW=1 -DNCRASH=1" 600
    search c3 "-DEMAX=4 -DNW=1 -DNCRASH=0" 900
    search c5 "-DEMAX=3 -DNW=1 -DNCRASH=2" 900
    search damage "-DEMAX=3 -DNW=1 -DNCRASH=1 -DNOHAND -DLEAVE" 900
    search recovery "-DEMAX=3 -DNW=2 -DNCRASH=0 -DRECOVER" 900
    search recovery "-DEMAX=3 -DNW=1 -DNCRASH=1 -DRECOVER" 900
    ticks ""
    ;;
--largest)
    memory_mb=${TERN_MODEL_MEMORY_MB:-11500}
    search c4 "-DEMAX=3 -DNW=2 -DNCRASH=1" 3600
    ;;
*) sed -n '3,17s/^# \{0,1\}//p' "$here/run.sh"; exit 2 ;;
esac
exit $failed

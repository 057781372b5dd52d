# SPDX-License-Identifier: Apache-2.0
# What the cluster of a DIR looks like: from the command line, from the last `up` (DIR/cluster), from defaults. Sourced.

DIR=$ROOT/.local
ARGUMENTS=()
GIVEN_STORAGE="" GIVEN_DIRECTORS="" GIVEN_FRONTENDS="" GIVEN_PARTITIONS="" GIVEN_PORT_BASE="" GIVEN_PLAINTEXT=""
GIVEN_COORDINATION=""

# settings_number OPTION VALUE MIN MAX
settings_number() {
    case $2 in
    '' | *[!0-9]*) refuse "$1 needs a number, not '$2'" ;;
    esac
    { [ "$2" -ge "$3" ] && [ "$2" -le "$4" ]; } || refuse "$1 must be from $3 to $4"
}

settings_parse() {
    while [ $# -gt 0 ]; do
        case $1 in
        --plaintext) GIVEN_PLAINTEXT=1; shift; continue ;;
        -h | --help) usage; exit 0 ;;
        --*) [ $# -ge 2 ] || refuse "$1 needs a value" ;;
        *) ARGUMENTS+=("$1"); shift; continue ;;
        esac
        case $1 in
        --dir) [ -n "$2" ] || refuse "--dir needs a folder"; DIR=$2 ;;
        --storage) settings_number "$1" "$2" 1 64; GIVEN_STORAGE=$2 ;;
        --directors) settings_number "$1" "$2" 1 7; GIVEN_DIRECTORS=$2 ;;
        --frontends) settings_number "$1" "$2" 1 28; GIVEN_FRONTENDS=$2 ;;
        --partitions) settings_number "$1" "$2" 1 16384; GIVEN_PARTITIONS=$2 ;;
        --port-base) settings_number "$1" "$2" 0 30000; GIVEN_PORT_BASE=$2 ;;
        --coordination) GIVEN_COORDINATION=$2 ;;
        *) refuse "no such option: $1" ;;
        esac
        shift 2
    done
    case $DIR in /*) ;; *) DIR=$PWD/$DIR ;; esac
    [ $((${GIVEN_PARTITIONS:-1} & (${GIVEN_PARTITIONS:-1} - 1))) = 0 ] || refuse "--partitions must be a power of two"
    case ${GIVEN_COORDINATION:-embedded} in
    embedded | etcd) ;;
    *) refuse "--coordination must be embedded or etcd" ;;
    esac
}

# The cluster as the last `up` left it, else nothing.
settings_load() {
    STORAGE=1 DIRECTORS=1 FRONTENDS=1 PARTITIONS=256 PORT_BASE=2000 PLAINTEXT=0 COORDINATION=embedded
    [ -f "$DIR/cluster" ] && . "$DIR/cluster"
    ETCDS=0
    [ "$COORDINATION" = embedded ] || ETCDS=3
    return 0
}

# Saved settings, then what was given; refused where a cluster that exists cannot follow.
settings_settle() {
    settings_load
    if [ -f "$DIR/cluster" ]; then
        [ "${GIVEN_PARTITIONS:-$PARTITIONS}" = "$PARTITIONS" ] ||
            refuse "this cluster has $PARTITIONS partitions, which cannot be changed (another --dir makes another cluster)"
        [ "${GIVEN_STORAGE:-$STORAGE}" -ge "$STORAGE" ] || refuse "this cluster has $STORAGE storage nodes; there may only be more"
        [ "${GIVEN_COORDINATION:-$COORDINATION}" = "$COORDINATION" ] ||
            refuse "this cluster keeps its map in $COORDINATION, which cannot be changed (another --dir makes another cluster)"
    fi
    COORDINATION=${GIVEN_COORDINATION:-$COORDINATION} DIRECTORS=${GIVEN_DIRECTORS:-$DIRECTORS}
    [ "$DIRECTORS" = 1 ] || [ "$COORDINATION" = etcd ] || refuse "more than one director needs --coordination etcd"
    [ "$COORDINATION" = embedded ] || ETCDS=3
    STORAGE=${GIVEN_STORAGE:-$STORAGE} FRONTENDS=${GIVEN_FRONTENDS:-$FRONTENDS} PARTITIONS=${GIVEN_PARTITIONS:-$PARTITIONS}
    PORT_BASE=${GIVEN_PORT_BASE:-$PORT_BASE} PLAINTEXT=${GIVEN_PLAINTEXT:-$PLAINTEXT}
    [ $((PORT_BASE + 1000 * FRONTENDS)) -le 65535 ] || refuse "--port-base is too high for $FRONTENDS front-ends"
}

settings_save() {
    for name in STORAGE DIRECTORS FRONTENDS PARTITIONS PORT_BASE PLAINTEXT COORDINATION; do
        echo "$name=${!name}"
    done >"$DIR/cluster.new" && mv "$DIR/cluster.new" "$DIR/cluster"
}

# every FUNCTION: FUNCTION ROLE N for each process, in the order of starting.
every() {
    local n
    for ((n = 1; n <= ETCDS; n++)); do "$1" etcd $n || return; done
    for ((n = 1; n <= DIRECTORS; n++)); do "$1" director $n || return; done
    for ((n = 1; n <= STORAGE; n++)); do "$1" storage $n || return; done
    for ((n = 1; n <= FRONTENDS; n++)); do "$1" frontend $n || return; done
}

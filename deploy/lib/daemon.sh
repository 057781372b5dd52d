# SPDX-License-Identifier: Apache-2.0
# One process of the cluster: ROLE N. Sourced.

daemon_check() {
    local most
    case $1 in
    frontend) most=$FRONTENDS ;;
    storage) most=$STORAGE ;;
    director) most=$DIRECTORS ;;
    etcd) [ "$ETCDS" -gt 0 ] || refuse "this cluster has no etcd"; most=$ETCDS ;;
    *) refuse "no such role: $1 (frontend, storage, director, etcd)" ;;
    esac
    settings_number "$1" "$2" 1 "$most"
    [ -f "$DIR/conf/$1-$2.conf" ] || refuse "there is no cluster in $DIR (deploy/local.sh up)"
}

daemon_program() {
    case $1 in
    storage) echo tern-storage-node ;;
    *) echo "tern-$1" ;;
    esac
}

# The pid, if the process lives (a zombie does not) and is ours (a pid may have been given to another).
daemon_pid() {
    local pid
    pid=$(cat "$DIR/pids/$1-$2.pid" 2>/dev/null) || return 1
    [ -n "$pid" ] && tr '\0' '\n' 2>/dev/null <"/proc/$pid/cmdline" | grep -qxF "$DIR/conf/$1-$2.conf" || return 1
    echo "$pid"
}

# The command line, in COMMAND.
daemon_command() {
    if [ "$1" = etcd ]; then
        COMMAND=(etcd --config-file "$DIR/conf/$1-$2.conf")
    else
        COMMAND=("$BIN/$(daemon_program "$1")" --config "$DIR/conf/$1-$2.conf")
    fi
}

# Detached: own session, nothing inherited but /dev/null and the log. The pid file names the program itself (setsid execs).
daemon_launch() {
    local COMMAND
    daemon_command "$1" "$2"
    (
        for fd in /proc/self/fd/*; do
            fd=${fd##*/}
            [ "$fd" -le 2 ] || eval "exec $fd>&-"
        done
        cd / || exit 1
        exec setsid "${COMMAND[@]}" </dev/null >>"$DIR/logs/$1-$2.log" 2>&1
    ) &
    echo $! >"$DIR/pids/$1-$2.pid"
    disown
}

# http ROLE N PATH: the body; false unless 200.
daemon_http() {
    curl -sf --max-time 2 "http://127.0.0.1:$(port_of "$1-$2-http")$3" 2>/dev/null
}

# Whether the process is up. An etcd is when it listens: it answers only when most of them are there.
daemon_answers() {
    if [ "$1" = etcd ]; then
        (: <"/dev/tcp/127.0.0.1/$(port_of "etcd-$2-client")") 2>/dev/null
    else
        daemon_http "$1" "$2" /healthz >/dev/null
    fi
}

# Returns when the process answers.
daemon_start() {
    local tries
    daemon_pid "$1" "$2" >/dev/null && return 0
    daemon_launch "$1" "$2"
    for ((tries = 0; tries < 300; tries++)); do
        daemon_answers "$1" "$2" && daemon_pid "$1" "$2" >/dev/null && return 0
        if [ $tries -gt 5 ] && ! daemon_pid "$1" "$2" >/dev/null; then
            break
        fi
        sleep 0.1
    done
    tail -n 15 "$DIR/logs/$1-$2.log" >&2
    fail "$1 $2 does not start; its log: $DIR/logs/$1-$2.log"
}

# daemon_signal SIGNAL ROLE N
daemon_signal() {
    local pid
    pid=$(daemon_pid "$2" "$3") || fail "$2 $3 does not run"
    kill "-$1" "$pid"
}

# daemon_gone ROLE N SECONDS: waits until it is.
daemon_gone() {
    local tries
    for ((tries = 0; tries < $3 * 20; tries++)); do
        daemon_pid "$1" "$2" >/dev/null || return 0
        sleep 0.05
    done
    return 1
}

# A storage node hands over first; both return when the process is gone, so that a start may follow.
daemon_kill() { daemon_signal KILL "$@" && daemon_gone "$@" 10; }
daemon_stop() { daemon_signal STOP "$@"; }
daemon_cont() { daemon_signal CONT "$@"; }
daemon_term() { daemon_signal TERM "$@" && { daemon_gone "$@" 30 || fail "$1 $2 still runs 30 s after SIGTERM"; }; }
daemon_logs() { cat "$DIR/logs/$1-$2.log"; }

# SPDX-License-Identifier: Apache-2.0
# Ending all processes of a DIR within 10 s, stopped ones included. Sourced.

# Every process that has a pid file, whatever the settings say now: ROLE N.
down_list() {
    local file name
    for file in "$DIR"/pids/"$1"-*.pid; do
        [ -f "$file" ] || continue
        name=${file##*/}
        name=${name%.pid}
        daemon_pid "$1" "${name##*-}" >/dev/null && echo "${name##*-}"
    done
}

# down_role ROLE SECONDS: SIGTERM, SECONDS for draining, SIGKILL.
down_role() {
    local n list
    list=$(down_list "$1")
    # in subshells: one that ends by itself meanwhile is no failure
    for n in $list; do
        (daemon_signal TERM "$1" "$n" && daemon_cont "$1" "$n") 2>/dev/null
    done
    for n in $list; do
        daemon_gone "$1" "$n" "$2" || (daemon_kill "$1" "$n") 2>/dev/null
    done
}

# Front-ends first, while what they need still answers. Roles after roles; a role's processes at once.
cluster_down() {
    settings_load
    [ -d "$DIR/pids" ] || return 0
    down_role frontend 4
    down_role storage 3
    down_role director 1
    down_role etcd 1
    rm -f "$DIR"/pids/*.pid
}

#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A Tern cluster on this machine, on loopback: `deploy/local.sh up`. See usage below; the parts are in deploy/lib.
set -u
ROOT=$(cd "$(dirname "$0")/.." && pwd) || exit 1
BIN=$ROOT/build/release/bin

usage() {
    cat <<'END'
Usage: deploy/local.sh up     [--dir DIR] [--storage N] [--directors N] [--frontends N] [--partitions P]
                              [--coordination embedded|etcd] [--port-base B] [--plaintext]
       deploy/local.sh down   [--dir DIR]
       deploy/local.sh status [--dir DIR]
       deploy/local.sh kill|stop|cont|term|start|logs [--dir DIR] ROLE N     (ROLE: frontend, storage, director, etcd)

up installs what is missing, builds, starts the cluster, makes the domain example.test with alice and bob, and sends a first
mail from one to the other. Again: starts what does not run, and changes nothing else; options that are left out stay as they
were. DIR (default .local) gets data, logs, certificates, keys, pids/ROLE-N.pid and env, which a shell can source.

Ports of front-end i: B + 1000 (i-1) + 525 SMTP, 587 and 465 submission, 143 and 993 IMAP, 110 and 995 POP3; B is 2000.
--coordination etcd starts three etcds; only with them may there be several directors.
--plaintext takes passwords without TLS, too.
END
}

# refuse TEXT: a mistake of the caller.
refuse() {
    echo "deploy/local.sh: $*" >&2
    echo "Try deploy/local.sh --help." >&2
    exit 2
}

# fail TEXT: what should have worked did not.
fail() {
    echo "deploy/local.sh: $*" >&2
    exit 1
}

for part in packages settings build tls daemon config env up down; do
    . "$ROOT/deploy/lib/$part.sh" || exit 1
done

[ $# -gt 0 ] || { usage >&2; exit 2; }
command=$1
shift
case $command in
-h | --help | help) usage; exit 0 ;;
up | down | status | kill | stop | cont | term | start | logs) ;;
*) refuse "no such command: $command" ;;
esac
settings_parse "$@"
case $command in
up | down | status)
    [ ${#ARGUMENTS[@]} = 0 ] || refuse "unexpected argument: ${ARGUMENTS[0]}"
    "cluster_$command"
    ;;
*)
    [ ${#ARGUMENTS[@]} = 2 ] || refuse "$command needs ROLE N"
    settings_load
    daemon_check "${ARGUMENTS[@]}"
    "daemon_$command" "${ARGUMENTS[@]}"
    ;;
esac

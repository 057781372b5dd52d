# SPDX-License-Identifier: Apache-2.0
# up and status. Sourced.

READY_SECONDS=60

# Why a process is not ready; nothing if it is.
not_ready() {
    local text
    if ! daemon_pid "$1" "$2" >/dev/null; then
        echo "$1 $2 does not run"
    elif [ "$1" = etcd ]; then
        curl -sf --max-time 2 "http://127.0.0.1:$(port_of "etcd-$2-client")/health" 2>/dev/null | grep -q '"health":"true"' ||
            echo "etcd $2 is not healthy"
    elif ! text=$(curl -s --max-time 2 -w '%{http_code}' "http://127.0.0.1:$(port_of "$1-$2-http")/readyz" 2>/dev/null); then
        echo "$1 $2 does not answer"
    elif [ "${text: -3}" != 200 ]; then
        echo "$1 $2: ${text%???}"
    fi
}

# Every process ready (a storage node is when it leads all its partitions actively), every partition with all its members.
all_ready() {
    [ -z "$(every not_ready)" ] && $TERNCTL cluster status --json 2>/dev/null | grep -q '"healthy":true'
}

wait_ready() {
    local tries
    for ((tries = 0; tries < READY_SECONDS * 10; tries++)); do
        all_ready && return 0
        sleep 0.1
    done
    every not_ready >&2
    $TERNCTL cluster status >&2
    fail "the cluster is not ready after $READY_SECONDS s; logs: $DIR/logs"
}

wake() {
    ! daemon_pid "$1" "$2" >/dev/null || daemon_cont "$1" "$2"
}

# account NAME PASSWORD: made if it is not there.
account() {
    $TERNCTL user show "$1@example.test" >/dev/null 2>&1 && return 0
    printf '%s\n' "$2" | $TERNCTL user add "$1@example.test" --password-stdin
}

make_accounts() {
    $TERNCTL domain list | grep -qx example.test || $TERNCTL domain add example.test || return 1
    local tries
    for ((tries = 0; tries < 50; tries++)); do # the domain reaches the others within moments
        account alice "$ALICE_PASSWORD" 2>"$DIR/logs/accounts.log" && account bob "$BOB_PASSWORD" 2>"$DIR/logs/accounts.log" &&
            return 0
        sleep 0.1
    done
    cat "$DIR/logs/accounts.log" >&2
    return 1
}

# The first mail, once in a cluster's life.
demonstrate() {
    [ -f "$DIR/demonstrated" ] && return 0
    python3 "$ROOT/deploy/lib/demo.py" "$DIR/env" || return 1
    : >"$DIR/demonstrated"
}

print_settings() {
    cat <<END

The cluster runs: $DIRECTORS director(s)$([ "$ETCDS" = 0 ] || echo " over $ETCDS etcds"), $STORAGE storage node(s), $FRONTENDS front-end(s), $PARTITIONS partitions.

Settings for a mail client (the certificate authority to trust: $DIR/tls/ca.pem):
  user            alice@example.test          bob@example.test
  password        $ALICE_PASSWORD        $BOB_PASSWORD
  server          localhost
  IMAP            port $(service_port 1 993) with TLS, or $(service_port 1 143) with STARTTLS
  POP3            port $(service_port 1 995) with TLS, or $(service_port 1 110) with STARTTLS
  sending         port $(service_port 1 465) with TLS, or $(service_port 1 587) with STARTTLS
  SMTP (port 25)  port $(service_port 1 525)

All ports and passwords: $DIR/env        ternctl: $TERNCTL
To end it: deploy/local.sh down$([ "$DIR" = "$ROOT/.local" ] || echo " --dir $DIR")
END
}

cluster_up() {
    settings_settle
    build_programs || exit 1
    [ "$ETCDS" = 0 ] || packages_install $PACKAGES_ETCD || fail "cannot install etcd"
    mkdir -p "$DIR" && cd "$DIR" || fail "cannot use $DIR"
    exec 8>"$DIR/lock"
    flock 8 || fail "cannot lock $DIR"
    mkdir -p conf data logs pids || fail "cannot write to $DIR"
    # The first placement waits for all nodes of the first start; nodes that come later do not change that.
    INITIAL_NODES=$(sed -n 's/^initial_nodes = \([0-9]*\);/\1/p' "$DIR/conf/director-1.conf" 2>/dev/null)
    INITIAL_NODES=${INITIAL_NODES:-$STORAGE}
    tls_make || fail "cannot make certificates"
    [ -f "$DIR/keys/cluster.pub" ] || "$BIN/ternctl" keys generate "$DIR/keys" >"$DIR/logs/keys.log" 2>&1 ||
        fail "cannot make keys; see $DIR/logs/keys.log"
    settings_save && every config_write && env_write || fail "cannot write the configuration"
    every wake
    every daemon_start
    wait_ready
    make_accounts || fail "cannot make the accounts"
    demonstrate || fail "the first mail did not arrive; logs: $DIR/logs"
    print_settings
}

describe() {
    local pid reason
    pid=$(daemon_pid "$1" "$2") || pid=-
    reason=$(not_ready "$1" "$2")
    local port=$1-$2-http
    [ "$1" != etcd ] || port=etcd-$2-client
    printf '%-9s %s  pid %-8s http %-6s %s\n' "$1" "$2" "$pid" "$(port_of "$port")" "${reason:-ready}"
}

cluster_status() {
    [ -f "$DIR/cluster" ] || fail "there is no cluster in $DIR (deploy/local.sh up)"
    settings_load
    TERNCTL=$(env_ternctl)
    every describe
    echo
    $TERNCTL cluster status 2>&1 || true # the processes above say why
    echo
    if all_ready; then
        echo "the cluster is ready"
    else
        echo "the cluster is not ready"
        exit 1
    fi
}

# SPDX-License-Identifier: Apache-2.0
# Ports, and the configuration file of each process. Sourced. The keys are explained in deploy/config.

# The port with a name ("storage-1-rpc"): the one it had, else a free one below the ephemeral ports and not a front-end's.
port_of() {
    local port
    port=$(sed -n "s/^$1 //p" "$DIR/ports" 2>/dev/null)
    if [ -z "$port" ]; then
        port=$(python3 - "$DIR/ports" "$DIR $1" "$PORT_BASE" <<'END'
import socket, sys, zlib
file, seed, base = sys.argv[1], sys.argv[2], int(sys.argv[3])
try:
    taken = {int(line.split()[1]) for line in open(file)}
except FileNotFoundError:
    taken = set()
taken |= {base + 1000 * i + p for i in range(28) for p in (525, 587, 465, 143, 993, 110, 995)}
for step in range(12000):
    port = 20000 + (zlib.crc32(seed.encode()) + step) % 12000
    if port in taken:
        continue
    with socket.socket() as s:
        try:
            s.bind(("127.0.0.1", port))
        except OSError:
            continue
    print(port)
    break
END
        )
        [ -n "$port" ] || fail "no free port for $1"
        echo "$1 $port" >>"$DIR/ports"
    fi
    echo "$port"
}

# service_port FRONTEND OFFSET
service_port() {
    echo $((PORT_BASE + 1000 * ($1 - 1) + $2))
}

config_common() {
    cat <<END
user = "";
drain_timeout = "3s";
keys = "$DIR/keys";
http_listen = "127.0.0.1:$(port_of "$1-$2-http")";
END
}

config_etcd() {
    local n peers=""
    for ((n = 1; n <= ETCDS; n++)); do
        peers="$peers${peers:+,}etcd-$n=http://127.0.0.1:$(port_of "etcd-$n-peer")"
    done
    cat <<END
name: etcd-$1
data-dir: $DIR/data/etcd-$1
listen-client-urls: http://127.0.0.1:$(port_of "etcd-$1-client")
advertise-client-urls: http://127.0.0.1:$(port_of "etcd-$1-client")
listen-peer-urls: http://127.0.0.1:$(port_of "etcd-$1-peer")
initial-advertise-peer-urls: http://127.0.0.1:$(port_of "etcd-$1-peer")
initial-cluster: $peers
initial-cluster-state: new
enable-grpc-gateway: true
auto-compaction-mode: periodic
auto-compaction-retention: "1h"
logger: zap
log-level: warn
END
}

# Where all of a role are: COUNT ROLE KIND SCHEME.
config_endpoints() {
    local n list=""
    for ((n = 1; n <= $1; n++)); do
        list="$list${list:+, }\"$4://127.0.0.1:$(port_of "$2-$n-$3")\""
    done
    echo "[ $list ]"
}

config_etcd_endpoints() {
    [ "$ETCDS" = 0 ] || echo "etcd: { endpoints = $(config_endpoints "$ETCDS" etcd client http); };"
}

config_director() {
    config_etcd_endpoints
    cat <<END
listen = "tcp://127.0.0.1:$(port_of "director-$1-rpc")";
data = "$DIR/data/director-$1";
coordination = "$COORDINATION";
partitions = $PARTITIONS;
copies = $((INITIAL_NODES < 3 ? 1 : 3));
initial_nodes = $INITIAL_NODES;
END
}

config_directors() {
    echo "directors = $(config_endpoints "$DIRECTORS" director rpc tcp);"
}

config_storage() {
    config_directors
    cat <<END
name = "storage-$1";
zone = "zone-$1";
data = "$DIR/data/storage-$1";
listen = "tcp://127.0.0.1:$(port_of "storage-$1-rpc")";
peer_listen = "tcp://127.0.0.1:$(port_of "storage-$1-peer")";
beat_listen = "tcp://127.0.0.1:$(port_of "storage-$1-beat")";
memory_limit = "256M";
END
}

# Those of the first start are enough: front-ends are not to be started again when nodes are added.
config_storage_nodes() {
    echo "storage_nodes = $(config_endpoints "$INITIAL_NODES" storage rpc tcp);"
}

config_frontend() {
    config_directors
    config_storage_nodes
    cat <<END
hostname = "mail.example.test";
listen: {
    smtp = [ "127.0.0.1:$(service_port "$1" 525)" ];
    submission = [ "127.0.0.1:$(service_port "$1" 587)" ];
    submissions = [ "127.0.0.1:$(service_port "$1" 465)" ];
    imap = [ "127.0.0.1:$(service_port "$1" 143)" ];
    imaps = [ "127.0.0.1:$(service_port "$1" 993)" ];
    pop3 = [ "127.0.0.1:$(service_port "$1" 110)" ];
    pop3s = [ "127.0.0.1:$(service_port "$1" 995)" ];
};
tls: {
    certificate = "$DIR/tls/server.pem";
    key = "$DIR/tls/server.key";
};
allow_plaintext_auth = $([ "$PLAINTEXT" = 1 ] && echo true || echo false);
END
}

# Writes DIR/conf/ROLE-N.conf. A process that runs with another configuration is ended: `up` starts it again.
config_write() {
    local file=$DIR/conf/$1-$2.conf
    { { [ "$1" = etcd ] || config_common "$1" "$2"; } && "config_$1" "$2"; } >"$file.new" || return 1
    if cmp -s "$file.new" "$file"; then
        rm -f "$file.new"
        return 0
    fi
    mv "$file.new" "$file"
    if daemon_pid "$1" "$2" >/dev/null; then
        daemon_signal TERM "$1" "$2"
        daemon_gone "$1" "$2" 6 || daemon_kill "$1" "$2"
    fi
}

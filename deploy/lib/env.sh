# SPDX-License-Identifier: Apache-2.0
# DIR/env: what scripts want to know, as KEY='value' lines that a POSIX shell can source. Sourced.

# A password that stays over every `up`.
env_password() {
    local old=""
    [ -f "$DIR/env" ] && old=$(sed -n "s/^$1='\(.*\)'\$/\1/p" "$DIR/env")
    echo "${old:-$(openssl rand -hex 10)}"
}

env_services() {
    local n
    for ((n = 1; n <= FRONTENDS; n++)); do
        cat <<END
SMTP_$n='$(service_port $n 525)'
SUBMISSION_$n='$(service_port $n 587)'
SUBMISSIONS_$n='$(service_port $n 465)'
IMAP_$n='$(service_port $n 143)'
IMAPS_$n='$(service_port $n 993)'
POP3_$n='$(service_port $n 110)'
POP3S_$n='$(service_port $n 995)'
END
    done
}

env_http() {
    [ "$1" != etcd ] || return 0
    echo "HTTP_$1_$2='$(port_of "$1-$2-http")'"
}

env_ternctl() {
    local n command="$BIN/ternctl --keys $DIR/keys"
    for ((n = 1; n <= DIRECTORS; n++)); do
        command="$command --director tcp://127.0.0.1:$(port_of "director-$n-rpc")"
    done
    echo "$command"
}

env_write() {
    ALICE_PASSWORD=$(env_password ALICE_PASSWORD)
    BOB_PASSWORD=$(env_password BOB_PASSWORD)
    TERNCTL=$(env_ternctl)
    (
        umask 077
        {
            env_services
            every env_http
            echo "CA_FILE='$DIR/tls/ca.pem'"
            echo "ALICE_PASSWORD='$ALICE_PASSWORD'"
            echo "BOB_PASSWORD='$BOB_PASSWORD'"
            echo "TERNCTL='$TERNCTL'"
        } >"$DIR/env.new"
    ) && mv "$DIR/env.new" "$DIR/env"
}

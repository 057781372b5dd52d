# SPDX-License-Identifier: Apache-2.0
# Debian packages by purpose, and a function that installs those that are missing. Sourced, not run.

PACKAGES_BUILD="build-essential cmake ninja-build pkg-config protobuf-compiler protobuf-c-compiler
    libuv1-dev libzmq3-dev libprotobuf-c-dev librocksdb-dev libssl-dev libconfig-dev libgmime-3.0-dev libgsasl-dev
    libcrypt-dev libargon2-dev libmicrohttpd-dev libboost-context-dev libxxhash-dev libisal-dev libidn2-dev libunistring-dev uthash-dev
    libcurl4-openssl-dev libjansson-dev"
# What deploy/local.sh itself uses: certificates, the demonstration mail, processes by pid.
PACKAGES_RUN="openssl curl procps python3"
PACKAGES_TEST="git libcmocka-dev faketime iproute2 e2fsprogs clang-format python3-pytest spin strace swaks libnet-ssleay-perl isync offlineimap3 fetchmail msmtp mutt tmux
    libpython3.11-testsuite golang-github-jhillyerd-enmime-dev"
# The coordination store of several directors: deploy/local.sh --coordination etcd, and tests.
PACKAGES_ETCD="etcd-server etcd-client"
# Beside Tern in tests/bench.
PACKAGES_BENCH="dovecot-imapd dovecot-pop3d dovecot-lmtpd postfix python3-matplotlib"

# packages_install NAME...: apt-get what dpkg does not know as installed. Needs root only if something is missing.
packages_install() {
    packages_missing=""
    for package in "$@"; do
        dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' ||
            packages_missing="$packages_missing $package"
    done
    [ -z "$packages_missing" ] && return 0
    echo "installing:$packages_missing"
    packages_as=""
    [ "$(id -u)" = 0 ] || packages_as="sudo"
    $packages_as apt-get update -qq
    # shellcheck disable=SC2086
    DEBIAN_FRONTEND=noninteractive $packages_as apt-get install -y -qq --no-install-recommends $packages_missing \
        >/dev/null
}

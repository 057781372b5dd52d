# SPDX-License-Identifier: Apache-2.0
# A certificate authority of the cluster's own, and the front-ends' certificate. Sourced.

tls_make() {
    local tls=$DIR/tls
    [ -f "$tls/server.pem" ] && openssl x509 -checkend 86400 -noout -in "$tls/server.pem" >/dev/null && return 0
    mkdir -p "$tls" || return 1
    (
        umask 077
        cd "$tls" || exit 1
        if [ ! -f ca.pem ]; then
            openssl ecparam -name prime256v1 -genkey -noout -out ca.key &&
                openssl req -x509 -new -key ca.key -sha256 -days 3650 -subj "/CN=Tern local CA" \
                    -addext "basicConstraints=critical,CA:TRUE" -addext "keyUsage=critical,keyCertSign,cRLSign" -out ca.pem || exit 1
        fi
        cat >server.ext <<END
basicConstraints=CA:FALSE
keyUsage=critical,digitalSignature
extendedKeyUsage=serverAuth
subjectAltName=DNS:localhost,DNS:mail.example.test,DNS:example.test,IP:127.0.0.1,IP:::1
END
        openssl ecparam -name prime256v1 -genkey -noout -out server.key &&
            openssl req -new -key server.key -subj "/CN=mail.example.test" -out server.csr &&
            openssl x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 365 -sha256 \
                -extfile server.ext -out server.pem.new &&
            mv server.pem.new server.pem
    ) >"$DIR/logs/tls.log" 2>&1 || { cat "$DIR/logs/tls.log" >&2; return 1; }
}

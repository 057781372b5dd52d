/* SPDX-License-Identifier: Apache-2.0 */
#include "frontend/config.h"

#define KEY_LIST(field, path, fallback, help) \
    CONFIG_KEY_STRINGS(struct frontend_config, field, path, fallback, help)
#define KEY_TIME(field, path, fallback, min_ms, help) \
    CONFIG_KEY_DURATION(struct frontend_config, field, path, fallback, min_ms, 24 * 3600 * 1000, help)

static const struct config_key keys[] = {
    PROGRAM_KEYS(struct frontend_config, common),
    CONFIG_KEY_STRING(struct frontend_config, hostname, "hostname", CONFIG_REQUIRED,
                      "our name in greetings, Received lines and Message-IDs"),
    CONFIG_KEY_INT(struct frontend_config, threads, "threads", "0", 0, 256,
                   "event loops; 0: one a processor"),
    KEY_LIST(directors, "directors", CONFIG_REQUIRED, "endpoints of the directors, \"tcp://host:port\""),
    KEY_LIST(
        storage_nodes, "storage_nodes", "",
        "some storage nodes, \"tcp://host:port\": asked for the map at a start while no director answers"),
    KEY_LIST(smtp, "listen.smtp", "", "addresses of mail from other hosts (port 25)"),
    KEY_LIST(submission, "listen.submission", "", "addresses of submission with STARTTLS (port 587)"),
    KEY_LIST(submissions, "listen.submissions", "", "addresses of submission over TLS (port 465)"),
    KEY_LIST(imap, "listen.imap", "", "addresses of IMAP with STARTTLS (port 143)"),
    KEY_LIST(imaps, "listen.imaps", "", "addresses of IMAP over TLS (port 993)"),
    KEY_LIST(pop3, "listen.pop3", "", "addresses of POP3 with STLS (port 110)"),
    KEY_LIST(pop3s, "listen.pop3s", "", "addresses of POP3 over TLS (port 995)"),
    CONFIG_KEY_STRING(struct frontend_config, tls_certificate, "tls.certificate", "",
                      "file with the certificate chain, PEM; \"\": no TLS at all"),
    CONFIG_KEY_STRING(struct frontend_config, tls_key, "tls.key", "", "file with its private key, PEM"),
    KEY_LIST(proxy_nets, "proxy_nets", "", "networks of balancers that send the PROXY protocol"),
    CONFIG_KEY_INT(struct frontend_config, connections_max, "connections_max", "10000", 1, 1000000,
                   "open connections of one listening address"),
    CONFIG_KEY_INT(struct frontend_config, peer_connections_max, "peer_connections_max", "0", 0, 1000000,
                   "open connections of one client address on one listening address; 0: no bound"),
    CONFIG_KEY_SIZE(struct frontend_config, message_size_max, "message_size_max", "50M", 1024, 1LL << 32,
                    "largest message"),
    CONFIG_KEY_INT(struct frontend_config, recipients_max, "smtp.recipients_max", "1000", 100, 10000,
                   "recipients of one SMTP transaction"),
    CONFIG_KEY_BOOL(struct frontend_config, allow_plaintext_auth, "allow_plaintext_auth", "false",
                    "take passwords over connections without TLS"),
    KEY_TIME(smtp_idle_timeout_ms, "smtp.idle_timeout", "5m", 1000,
             "an SMTP client may be silent for this long"),
    KEY_TIME(imap_idle_timeout_ms, "imap.idle_timeout", "30m", 1000,
             "an IMAP client may be silent for this long"),
    KEY_TIME(pop3_idle_timeout_ms, "pop3.idle_timeout", "10m", 1000,
             "a POP3 client may be silent for this long"),
    KEY_TIME(login_timeout_ms, "login_timeout", "3m", 1000,
             "from connecting to a successful login (IMAP, POP3)"),
};

const struct config_table frontend_config_table = CONFIG_TABLE(struct frontend_config, keys);

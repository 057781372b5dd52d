/* SPDX-License-Identifier: Apache-2.0 */
/* The front-end's configuration file. */
#ifndef FRONTEND_CONFIG_H
#define FRONTEND_CONFIG_H

#include "lib/base/config.h"
#include "lib/ops/program.h"

struct frontend_config {
    struct program_config common;
    char *hostname;
    int64_t threads;
    struct config_strings directors, storage_nodes;
    struct config_strings smtp, submission, submissions, imap, imaps, pop3, pop3s;
    char *tls_certificate, *tls_key;
    struct config_strings proxy_nets;
    int64_t connections_max, peer_connections_max;
    uint64_t message_size_max;
    int64_t recipients_max;
    bool allow_plaintext_auth;
    uint64_t smtp_idle_timeout_ms, imap_idle_timeout_ms, pop3_idle_timeout_ms, login_timeout_ms;
};

extern const struct config_table frontend_config_table;

#endif

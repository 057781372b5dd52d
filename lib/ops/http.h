/* SPDX-License-Identifier: Apache-2.0 */
/* What operators ask a process over HTTP (libmicrohttpd, one thread of its own): GET /healthz (200 while the
 * process answers), /readyz (200, or 503 with a reason a line), /metrics (Prometheus' text). No secrets, no
 * changes. */
#ifndef LIB_OPS_HTTP_H
#define LIB_OPS_HTTP_H

#include "lib/base/buf.h"
#include "lib/base/err.h"

enum {
    HTTP_CONNECTIONS_MAX = 64,
    HTTP_TIMEOUT_S = 10,     /* of an idle or slow connection */
    HTTP_MEMORY_MAX = 16384, /* bytes a connection for request line and headers */
};

struct http;

struct http_options {
    const char *listen; /* "127.0.0.1:8080", "[::1]:8080", "*:8080"; port 0: a free one */
    /* Adds one line a reason why the process is not ready; nothing: ready. Runs on the HTTP thread. NULL:
     * always ready. */
    void (*not_ready)(struct buf *reasons, void *arg);
    void *arg;
};

/* ERR_INVALID: not an address; ERR_IO: cannot bind (logged). */
MUST_CHECK enum err http_start(const struct http_options *options, struct http **out);
uint16_t http_port(const struct http *http);
void http_stop(struct http **http);

#endif

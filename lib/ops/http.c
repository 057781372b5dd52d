/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/ops/http.h"

#include <microhttpd.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/base/log.h"
#include "lib/base/metrics.h"

struct http {
    struct MHD_Daemon *daemon;
    struct http_options options;
    uint16_t port;
};

enum { HOST_MAX = 256 };

static enum MHD_Result respond(struct MHD_Connection *connection, unsigned status, const char *type,
                               struct buf *body)
{
    size_t len;
    uint8_t *data = buf_detach(body, &len);
    struct MHD_Response *response = MHD_create_response_from_buffer(len, data, MHD_RESPMEM_MUST_FREE);
    if (response == NULL) {
        free(data);
        return MHD_NO;
    }
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
    MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
        MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
    enum MHD_Result result = MHD_queue_response(connection, status, response);
    MHD_destroy_response(response);
    return result;
}

static unsigned page_healthz(struct http *http, struct buf *body)
{
    buf_add_str(body, "ok\n");
    return MHD_HTTP_OK;
}

static unsigned page_readyz(struct http *http, struct buf *body)
{
    if (http->options.not_ready != NULL)
        http->options.not_ready(body, http->options.arg);
    if (body->len > 0)
        return MHD_HTTP_SERVICE_UNAVAILABLE;
    buf_add_str(body, "ok\n");
    return MHD_HTTP_OK;
}

static unsigned page_metrics(struct http *http, struct buf *body)
{
    metrics_print(body);
    return MHD_HTTP_OK;
}

static const struct page {
    const char *path;
    unsigned (*make)(struct http *http, struct buf *body); /* returns the HTTP status */
    const char *type;
} pages[] = {
    { "/healthz", page_healthz, "text/plain; charset=utf-8" },
    { "/readyz", page_readyz, "text/plain; charset=utf-8" },
    { "/metrics", page_metrics, "text/plain; version=0.0.4; charset=utf-8" },
};

static enum MHD_Result on_request(void *cls, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *upload_data,
                                  size_t *upload_data_size, void **state)
{
    struct http *http = cls;
    struct buf body = { 0 };
    const char *text = "text/plain; charset=utf-8";
    if (*upload_data_size > 0) { /* nothing here takes a body: read over it, then answer */
        *upload_data_size = 0;
        return MHD_YES;
    }
    if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0) {
        if (*state == NULL) { /* first call: headers only; the answer comes when the body was read over */
            *state = http;
            return MHD_YES;
        }
        buf_add_str(&body, "only GET and HEAD\n");
        return respond(connection, MHD_HTTP_METHOD_NOT_ALLOWED, text, &body);
    }
    for (size_t i = 0; i < sizeof pages / sizeof pages[0]; i++) {
        if (strcmp(url, pages[i].path) == 0) {
            unsigned status = pages[i].make(http, &body);
            return respond(connection, status, pages[i].type, &body);
        }
    }
    buf_add_str(&body, "try /healthz, /readyz or /metrics\n");
    return respond(connection, MHD_HTTP_NOT_FOUND, text, &body);
}

/* Split "host:port", "[v6]:port" or "*:port". */
static enum err split_listen(const char *listen, char *host, const char **port_out)
{
    const char *colon = strrchr(listen, ':');
    if (colon == NULL || colon[1] == '\0')
        return ERR_INVALID;
    struct slice name = slice_of(listen, (size_t)(colon - listen));
    if (name.len >= 2 && name.data[0] == '[' && name.data[name.len - 1] == ']')
        name = slice_sub(name, 1, name.len - 1);
    if (name.len == 0 || name.len >= HOST_MAX)
        return ERR_INVALID;
    memcpy(host, name.data, name.len);
    host[name.len] = '\0';
    *port_out = colon + 1;
    return OK;
}

static enum err resolve(const char *listen, struct addrinfo **out)
{
    char host[HOST_MAX];
    const char *port;
    TRY(split_listen(listen, host, &port));
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM,
                              .ai_flags = AI_PASSIVE | AI_NUMERICHOST | AI_NUMERICSERV,
                              .ai_family = strcmp(host, "*") == 0 ? AF_INET6 : AF_UNSPEC };
    return getaddrinfo(strcmp(host, "*") == 0 ? "::" : host, port, &hints, out) == 0 ? OK : ERR_INVALID;
}

static struct MHD_Daemon *start_daemon(struct http *http, const struct addrinfo *address)
{
    unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_ITC;
    if (address->ai_family == AF_INET6)
        flags |= MHD_USE_DUAL_STACK;
    return MHD_start_daemon(flags, 0, NULL, NULL, on_request, http, MHD_OPTION_SOCK_ADDR, address->ai_addr,
                            MHD_OPTION_CONNECTION_LIMIT, (unsigned)HTTP_CONNECTIONS_MAX,
                            MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)HTTP_TIMEOUT_S,
                            MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)HTTP_MEMORY_MAX,
                            MHD_OPTION_LISTENING_ADDRESS_REUSE, 1u, MHD_OPTION_END);
}

enum err http_start(const struct http_options *options, struct http **out)
{
    struct addrinfo *address = NULL;
    if (resolve(options->listen, &address) != OK) {
        log_error("http", "not an address to listen on: %s", options->listen);
        return ERR_INVALID;
    }
    struct http *http = NEW(struct http);
    http->options = *options;
    http->options.listen = NULL; /* borrowed for the call only */
    http->daemon = start_daemon(http, address);
    freeaddrinfo(address);
    if (http->daemon == NULL) {
        log_error("http", "cannot listen on %s", options->listen);
        free(http);
        return ERR_IO;
    }
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(http->daemon, MHD_DAEMON_INFO_BIND_PORT);
    http->port = info != NULL ? info->port : 0;
    *out = http;
    return OK;
}

uint16_t http_port(const struct http *http)
{
    return http->port;
}

void http_stop(struct http **http)
{
    if (*http == NULL)
        return;
    MHD_stop_daemon((*http)->daemon);
    free(*http);
    *http = NULL;
}

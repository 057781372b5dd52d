/* SPDX-License-Identifier: Apache-2.0 */
/* POST requests to etcd, many at once, on the thread that calls etcd_http_run. */
#ifndef DIRECTOR_COORDINATION_ETCD_HTTP_H
#define DIRECTOR_COORDINATION_ETCD_HTTP_H

#include "lib/base/buf.h"
#include "lib/base/err.h"

enum {
    ETCD_HTTP_CONNECT_MS = 1000,
    ETCD_HTTP_ANSWER_MAX = 64 << 20, /* bytes of an answer, or of one line of a stream */
};

struct etcd_http;

struct etcd_call {
    /* the caller's; `body` stays unchanged until done */
    size_t endpoint;
    const char *path; /* "/v3/kv/txn" */
    struct buf body;
    uint64_t timeout_ms; /* 0: a stream */
    /* Once, unless cancelled; the call is the caller's again. */
    void (*done)(struct etcd_call *call);
    /* Of a stream: something was added to `answer`; the receiver consumes it. False: end the stream. Must not
     * start, cancel or free calls. */
    bool (*on_data)(struct etcd_call *call);
    void *arg;

    /* the result */
    int status;     /* of HTTP; 0: no whole answer came */
    bool sent;      /* something of the request may have reached etcd */
    bool sent_more; /* and more than once (a kept connection was found dead) */
    struct buf answer;
    const char *failure; /* for a person, when status is 0 */

    /* this module's */
    void *easy;
    int result, os_error; /* libcurl's, and the errno behind it, 0: none */
    struct buf url;
    char error[256];
};

struct etcd_http_options {
    const char *const *endpoints;
    size_t endpoint_count;
    const char *ca, *certificate, *key;
};

/* Borrows everything in `options`. */
struct etcd_http *etcd_http_new(const struct etcd_http_options *options);
/* No call may be under way. */
void etcd_http_free(struct etcd_http **http);
void etcd_http_start(struct etcd_http *http, struct etcd_call *call);
/* No effect if the call is not under way; done is not called. */
void etcd_http_cancel(struct etcd_http *http, struct etcd_call *call);
/* Moves bytes and calls back, for at most timeout_ms. */
void etcd_http_run(struct etcd_http *http, uint64_t timeout_ms);
/* Ends a wait in etcd_http_run. Any thread. */
void etcd_http_wake(struct etcd_http *http);
/* Why no whole answer came (status 0), in as few words as a person needs; adds to `out`. */
void etcd_call_explain(const struct etcd_call *call, struct buf *out);
/* Frees what the call owns; it must not be under way. */
void etcd_call_fini(struct etcd_call *call);

#endif

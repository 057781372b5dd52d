/* SPDX-License-Identifier: Apache-2.0 */
#include "director/coordination/etcd_http.h"

#include <assert.h>
#include <curl/curl.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/base/log.h"

enum {
    IDLE_HANDLES_MAX = 64,
    CONNECTIONS_MAX = 128, /* kept */
    KEEPALIVE_S = 5,
    HEAD_MIN = 100, /* bytes of the least head of a request */
};

struct etcd_http {
    struct etcd_http_options options;
    CURLM *multi;
    struct curl_slist *headers;
    CURL *idle[IDLE_HANDLES_MAX];
    size_t idle_count;
};

static pthread_once_t curl_once = PTHREAD_ONCE_INIT;

static void init_curl(void)
{
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        log_fatal("etcd", "libcurl does not start");
}

struct etcd_http *etcd_http_new(const struct etcd_http_options *options)
{
    struct etcd_http *http = NEW(struct etcd_http);
    pthread_once(&curl_once, init_curl);
    http->options = *options;
    http->multi = curl_multi_init();
    http->headers = curl_slist_append(NULL, "Content-Type: application/json");
    if (http->headers != NULL)
        http->headers = curl_slist_append(http->headers, "Expect:"); /* no waiting for "100 Continue" */
    if (http->multi == NULL || http->headers == NULL)
        log_fatal("etcd", "out of memory");
    curl_multi_setopt(http->multi, CURLMOPT_MAXCONNECTS, (long)CONNECTIONS_MAX);
    return http;
}

void etcd_http_free(struct etcd_http **at)
{
    struct etcd_http *http = *at;
    for (size_t i = 0; i < http->idle_count; i++)
        curl_easy_cleanup(http->idle[i]);
    curl_multi_cleanup(http->multi);
    curl_slist_free_all(http->headers);
    free(http);
    *at = NULL;
}

static size_t take(char *bytes, size_t size, size_t count, void *arg)
{
    struct etcd_call *call = arg;
    size_t len = size * count;
    if (call->answer.len + len > ETCD_HTTP_ANSWER_MAX)
        return 0; /* curl ends the transfer */
    buf_add(&call->answer, bytes, len);
    if (call->on_data != NULL && !call->on_data(call))
        return 0;
    return len;
}

static void set_tls(const struct etcd_http *http, CURL *easy)
{
    const struct etcd_http_options *o = &http->options;
    if (o->ca[0] != '\0')
        curl_easy_setopt(easy, CURLOPT_CAINFO, o->ca);
    if (o->certificate[0] != '\0') {
        curl_easy_setopt(easy, CURLOPT_SSLCERT, o->certificate);
        curl_easy_setopt(easy, CURLOPT_SSLKEY, o->key);
    }
    curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
}

/* What never changes of a handle. */
static CURL *new_handle(const struct etcd_http *http)
{
    CURL *easy = curl_easy_init();
    if (easy == NULL)
        log_fatal("etcd", "out of memory");
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_PROXY, "");
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, http->headers);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)ETCD_HTTP_CONNECT_MS);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take);
    curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
    curl_easy_setopt(easy, CURLOPT_TCP_KEEPIDLE, (long)KEEPALIVE_S);
    curl_easy_setopt(easy, CURLOPT_TCP_KEEPINTVL, (long)KEEPALIVE_S);
    set_tls(http, easy);
    return easy;
}

void etcd_http_start(struct etcd_http *http, struct etcd_call *call)
{
    CURL *easy = http->idle_count > 0 ? http->idle[--http->idle_count] : new_handle(http);
    assert(call->easy == NULL && call->endpoint < http->options.endpoint_count);
    call->easy = easy;
    call->status = 0;
    call->sent = call->sent_more = false;
    call->failure = NULL;
    call->result = call->os_error = 0;
    call->error[0] = '\0';
    buf_clear(&call->answer);
    buf_clear(&call->url);
    buf_addf(&call->url, "%s%s", http->options.endpoints[call->endpoint], call->path);
    curl_easy_setopt(easy, CURLOPT_URL, buf_cstr(&call->url));
    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE, (long)call->body.len);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, (const char *)call->body.data);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)call->timeout_ms);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, call);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, call->error);
    curl_easy_setopt(easy, CURLOPT_PRIVATE, call);
    if (curl_multi_add_handle(http->multi, easy) != CURLM_OK)
        log_fatal("etcd", "libcurl does not take a request");
}

static void release(struct etcd_http *http, struct etcd_call *call)
{
    CURL *easy = call->easy;
    curl_multi_remove_handle(http->multi, easy);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, NULL);
    call->easy = NULL;
    if (http->idle_count < IDLE_HANDLES_MAX)
        http->idle[http->idle_count++] = easy;
    else
        curl_easy_cleanup(easy);
}

void etcd_http_cancel(struct etcd_http *http, struct etcd_call *call)
{
    if (call->easy != NULL)
        release(http, call);
}

static void finish(struct etcd_http *http, CURL *easy, CURLcode result)
{
    struct etcd_call *call = NULL;
    long status = 0, request_size = 0, os_error = 0;
    curl_easy_getinfo(easy, CURLINFO_PRIVATE, &call);
    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(easy, CURLINFO_REQUEST_SIZE, &request_size);
    curl_easy_getinfo(easy, CURLINFO_OS_ERRNO, &os_error);
    call->result = result;
    call->os_error = (int)os_error;
    call->sent = request_size > 0;
    /* curl repeats a request by itself when a kept connection ends without a byte of answer */
    call->sent_more = request_size >= (long)(2 * (call->body.len + HEAD_MIN));
    if (result == CURLE_OK)
        call->status = (int)status;
    else
        call->failure = call->error[0] != '\0' ? call->error : curl_easy_strerror(result);
    release(http, call);
    call->done(call);
}

void etcd_http_run(struct etcd_http *http, uint64_t timeout_ms)
{
    int running, left;
    CURLMsg *message;
    curl_multi_poll(http->multi, NULL, 0, (int)timeout_ms, NULL);
    curl_multi_perform(http->multi, &running);
    while ((message = curl_multi_info_read(http->multi, &left)) != NULL) {
        if (message->msg == CURLMSG_DONE)
            finish(http, message->easy_handle, message->data.result);
    }
}

void etcd_http_wake(struct etcd_http *http)
{
    curl_multi_wakeup(http->multi);
}

static const char *connect_error(int os_error)
{
    switch (os_error) {
    case 0:
        return "no connection";
    case ECONNREFUSED:
        return "connection refused";
    case EHOSTUNREACH:
    case ENETUNREACH:
        return "no way there";
    default:
        return strerrordesc_np(os_error);
    }
}

void etcd_call_explain(const struct etcd_call *call, struct buf *out)
{
    switch (call->result) {
    case CURLE_COULDNT_CONNECT:
        buf_add_str(out, connect_error(call->os_error));
        break;
    case CURLE_OPERATION_TIMEDOUT:
        buf_add_str(out, "timed out");
        break;
    case CURLE_COULDNT_RESOLVE_HOST:
        buf_add_str(out, "its name is not known");
        break;
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_PEER_FAILED_VERIFICATION:
        buf_addf(out, "TLS: %s", call->failure);
        break;
    case CURLE_RECV_ERROR: /* of TLS 1.3 the server's refusal of our certificate, too */
    case CURLE_SEND_ERROR:
        buf_addf(out, "%s%s", strstr(call->failure, "SSL") != NULL ? "TLS: " : "", call->failure);
        break;
    default:
        buf_add_str(out, call->failure);
    }
}

void etcd_call_fini(struct etcd_call *call)
{
    assert(call->easy == NULL);
    buf_fini(&call->body);
    buf_fini(&call->answer);
    buf_fini(&call->url);
}

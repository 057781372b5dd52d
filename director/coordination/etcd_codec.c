/* SPDX-License-Identifier: Apache-2.0 */
#include "director/coordination/etcd_codec.h"

#include <inttypes.h>
#include <stdlib.h>

#include "lib/base/alloc.h"
#include "lib/base/base64.h"

/* ---- requests. All text in them is base64 or digits, so nothing needs escaping. */

static void add_bytes(struct buf *out, const char *name, struct slice a, struct slice b)
{
    struct buf both = { 0 };
    buf_add_slice(&both, a);
    buf_add_slice(&both, b);
    buf_addf(out, "\"%s\":\"", name);
    base64_encode(buf_slice(&both), out);
    buf_add_byte(out, '"');
    buf_fini(&both);
}

static void add_number(struct buf *out, const char *name, uint64_t value)
{
    buf_addf(out, ",\"%s\":\"%" PRIu64 "\"", name, value);
}

static void add_compares(struct buf *out, const struct coordination_txn *txn, struct slice prefix)
{
    buf_add_str(out, "{\"compare\":[");
    for (size_t i = 0; i < txn->count; i++) {
        buf_add_str(out, i == 0 ? "{" : ",{");
        add_bytes(out, "key", prefix, txn->changes[i].key);
        add_number(out, "mod_revision", txn->changes[i].expected_mod);
        buf_add_str(out, ",\"target\":\"MOD\",\"result\":\"EQUAL\"}");
    }
}

static void add_effects(struct buf *out, const struct coordination_txn *txn, struct slice prefix,
                        struct slice deleted_key)
{
    const char *comma = "";
    bool deletes = false;
    buf_add_str(out, "],\"success\":[");
    for (size_t i = 0; i < txn->count; i++) {
        const struct coordination_change *change = &txn->changes[i];
        if (change->action == COORDINATION_CHECK)
            continue;
        bool is_put = change->action == COORDINATION_PUT;
        buf_addf(out, "%s{\"%s\":{", comma, is_put ? "request_put" : "request_delete_range");
        add_bytes(out, "key", prefix, change->key);
        if (is_put) {
            buf_add_byte(out, ',');
            add_bytes(out, "value", change->value, SLICE_NULL);
        }
        buf_add_str(out, "}}");
        comma = ",";
        deletes = deletes || !is_put;
    }
    if (deletes) {
        buf_addf(out, "%s{\"request_put\":{", comma);
        add_bytes(out, "key", deleted_key, SLICE_NULL);
        buf_add_str(out, "}}");
    }
}

/* The failed branch reads the mods: they say how far the picture must come to show the conflict. */
static void add_reads(struct buf *out, const struct coordination_txn *txn, struct slice prefix)
{
    buf_add_str(out, "],\"failure\":[");
    for (size_t i = 0; i < txn->count; i++) {
        buf_addf(out, "%s{\"request_range\":{", i == 0 ? "" : ",");
        add_bytes(out, "key", prefix, txn->changes[i].key);
        buf_add_str(out, ",\"keys_only\":true}}");
    }
    buf_add_str(out, "]}");
}

void etcd_encode_txn(struct buf *out, const struct coordination_txn *txn, struct slice row_prefix,
                     struct slice deleted_key)
{
    buf_clear(out);
    add_compares(out, txn, row_prefix);
    add_effects(out, txn, row_prefix, deleted_key);
    add_reads(out, txn, row_prefix);
}

void etcd_encode_range(struct buf *out, struct slice from, struct slice to, uint64_t limit, uint64_t revision)
{
    buf_clear(out);
    buf_add_byte(out, '{');
    add_bytes(out, "key", from, SLICE_NULL);
    buf_add_byte(out, ',');
    add_bytes(out, "range_end", to, SLICE_NULL);
    add_number(out, "limit", limit);
    add_number(out, "revision", revision);
    buf_add_byte(out, '}');
}

void etcd_encode_barrier(struct buf *out, struct slice key)
{
    buf_clear(out);
    buf_add_byte(out, '{');
    add_bytes(out, "key", key, SLICE_NULL);
    buf_add_str(out, ",\"count_only\":true}");
}

void etcd_encode_put(struct buf *out, struct slice key, struct slice value)
{
    buf_clear(out);
    buf_add_byte(out, '{');
    add_bytes(out, "key", key, SLICE_NULL);
    buf_add_byte(out, ',');
    add_bytes(out, "value", value, SLICE_NULL);
    buf_add_byte(out, '}');
}

void etcd_encode_watch(struct buf *out, struct slice from, struct slice to, uint64_t revision)
{
    buf_clear(out);
    buf_add_str(out, "{\"create_request\":{");
    add_bytes(out, "key", from, SLICE_NULL);
    buf_add_byte(out, ',');
    add_bytes(out, "range_end", to, SLICE_NULL);
    add_number(out, "start_revision", revision);
    buf_add_str(out, "}}");
}

void etcd_encode_grant(struct buf *out, uint64_t ttl_s)
{
    buf_clear(out);
    buf_addf(out, "{\"TTL\":\"%" PRIu64 "\"}", ttl_s);
}

void etcd_encode_lease(struct buf *out, uint64_t lease)
{
    buf_clear(out);
    buf_addf(out, "{\"ID\":\"%" PRIu64 "\"}", lease);
}

void etcd_encode_campaign(struct buf *out, struct slice key, struct slice value, uint64_t lease)
{
    buf_clear(out);
    buf_add_str(out, "{\"compare\":[{");
    add_bytes(out, "key", key, SLICE_NULL);
    buf_add_str(out, ",\"target\":\"CREATE\",\"result\":\"EQUAL\",\"create_revision\":\"0\"}],"
                     "\"success\":[{\"request_put\":{");
    add_bytes(out, "key", key, SLICE_NULL);
    buf_add_byte(out, ',');
    add_bytes(out, "value", value, SLICE_NULL);
    add_number(out, "lease", lease);
    buf_add_str(out, "}}],\"failure\":[{\"request_range\":{");
    add_bytes(out, "key", key, SLICE_NULL);
    buf_add_str(out, "}}]}");
}

/* ---- answers */

enum err etcd_decode_number(const json_t *body, const char *name, uint64_t *out)
{
    const json_t *at = json_object_get(body, name);
    *out = 0;
    if (at == NULL)
        return OK;
    if (json_is_integer(at) && json_integer_value(at) >= 0) { /* 32-bit fields are plain numbers */
        *out = (uint64_t)json_integer_value(at);
        return OK;
    }
    if (!json_is_string(at) ||
        !slice_parse_u64(slice_of(json_string_value(at), json_string_length(at)), UINT64_MAX, out))
        return ERR_PROTOCOL;
    return OK;
}

bool etcd_decode_bool(const json_t *body, const char *name)
{
    return json_is_true(json_object_get(body, name));
}

/* Go writes a refusal as {"error":"text","code":5,...}, in a stream as {"error":{"message":...}}. */
static bool is_refusal(struct etcd_answer *answer)
{
    const json_t *error = json_object_get(answer->json, "error");
    const json_t *holder = answer->json;
    if (json_is_object(error)) {
        holder = error;
        error = json_object_get(holder, "message");
        answer->code = json_integer_value(json_object_get(holder, "grpc_code"));
    } else {
        answer->code = json_integer_value(json_object_get(holder, "code"));
    }
    if (error == NULL && json_object_get(holder, "message") != NULL)
        error = json_object_get(holder, "message");
    if (error == NULL && holder == answer->json)
        return false;
    answer->message = json_is_string(error) ? json_string_value(error) : "an error without a text";
    return true;
}

enum err etcd_decode(struct slice text, struct etcd_answer *out)
{
    *out = (struct etcd_answer){ 0 };
    out->json = json_loadb((const char *)text.data, text.len, 0, NULL);
    if (!json_is_object(out->json)) {
        etcd_answer_fini(out);
        return ERR_PROTOCOL;
    }
    if (is_refusal(out))
        return OK;
    out->body = json_object_get(out->json, "result");
    if (out->body == NULL)
        out->body = out->json;
    const json_t *header = json_object_get(out->body, "header");
    if (!json_is_object(header) || etcd_decode_number(header, "cluster_id", &out->cluster_id) != OK ||
        etcd_decode_number(header, "revision", &out->revision) != OK) {
        etcd_answer_fini(out);
        return ERR_PROTOCOL;
    }
    return OK;
}

void etcd_answer_fini(struct etcd_answer *answer)
{
    json_decref(answer->json);
    *answer = (struct etcd_answer){ 0 };
}

void etcd_kv_fini(struct etcd_kv *kv)
{
    buf_fini(&kv->key);
    buf_fini(&kv->value);
}

void etcd_kvs_free(struct etcd_kv *kvs, size_t count)
{
    for (size_t i = 0; i < count; i++)
        etcd_kv_fini(&kvs[i]);
    free(kvs);
}

static enum err decode_bytes(const json_t *body, const char *name, struct buf *out)
{
    const json_t *at = json_object_get(body, name);
    if (at == NULL)
        return OK;
    if (!json_is_string(at) ||
        base64_decode(slice_of(json_string_value(at), json_string_length(at)), out) != OK)
        return ERR_PROTOCOL;
    return OK;
}

static enum err decode_kv(const json_t *body, struct etcd_kv *out)
{
    if (!json_is_object(body) || decode_bytes(body, "key", &out->key) != OK ||
        decode_bytes(body, "value", &out->value) != OK ||
        etcd_decode_number(body, "mod_revision", &out->mod) != OK ||
        etcd_decode_number(body, "lease", &out->lease) != OK || out->key.len == 0 || out->mod == 0)
        return ERR_PROTOCOL;
    return OK;
}

static enum err decode_event(const json_t *body, struct etcd_kv *out)
{
    const json_t *type = json_object_get(body, "type");
    if (type != NULL && !json_is_string(type))
        return ERR_PROTOCOL;
    out->deleted = type != NULL && strcmp(json_string_value(type), "DELETE") == 0;
    return decode_kv(json_object_get(body, "kv"), out);
}

static enum err decode_array(const json_t *array, enum err (*decode)(const json_t *, struct etcd_kv *),
                             struct etcd_kv **out, size_t *count_out)
{
    size_t count = json_array_size(array);
    struct etcd_kv *kvs = NEW_ARRAY(struct etcd_kv, count + 1);
    *out = NULL;
    *count_out = 0;
    enum err err = array == NULL || json_is_array(array) ? OK : ERR_PROTOCOL;
    for (size_t i = 0; i < count && err == OK; i++)
        err = decode(json_array_get(array, i), &kvs[i]);
    if (err != OK) {
        etcd_kvs_free(kvs, count);
        return err;
    }
    *out = kvs;
    *count_out = count;
    return OK;
}

enum err etcd_decode_kvs(const json_t *body, struct etcd_kv **out, size_t *count_out, bool *more_out)
{
    *more_out = etcd_decode_bool(body, "more");
    return decode_array(json_object_get(body, "kvs"), decode_kv, out, count_out);
}

enum err etcd_decode_events(const json_t *body, struct etcd_kv **out, size_t *count_out)
{
    return decode_array(json_object_get(body, "events"), decode_event, out, count_out);
}

/* Since 3.4 `errors` holds alarms, which all members show as long as they last, and the lack of a leader. */
bool etcd_decode_status(const json_t *body, struct buf *why)
{
    uint64_t leader;
    const json_t *error = json_array_get(json_object_get(body, "errors"), 0);
    buf_clear(why);
    if (etcd_decode_number(body, "leader", &leader) != OK || json_object_get(body, "version") == NULL)
        buf_add_str(why, "it does not say how it is");
    else if (leader == 0)
        buf_add_str(why, "it knows no leader: it does not reach most of the others");
    else if (json_is_string(error))
        buf_add_slice(why, slice_trim(slice_of(json_string_value(error), json_string_length(error))));
    return why->len == 0;
}

/* An answer of the failed branch is one range: one key or none. */
static enum err decode_read(const json_t *response, struct etcd_kv *out)
{
    const json_t *kvs = json_object_get(json_object_get(response, "response_range"), "kvs");
    if (json_array_size(kvs) == 0)
        return json_is_object(response) ? OK : ERR_PROTOCOL;
    return decode_kv(json_array_get(kvs, 0), out);
}

enum err etcd_decode_txn(const json_t *body, bool *succeeded_out, struct etcd_kv **kvs_out, size_t *count_out)
{
    *succeeded_out = etcd_decode_bool(body, "succeeded");
    *kvs_out = NULL;
    *count_out = 0;
    if (*succeeded_out)
        return OK;
    return decode_array(json_object_get(body, "responses"), decode_read, kvs_out, count_out);
}

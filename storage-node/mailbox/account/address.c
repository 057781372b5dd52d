/* SPDX-License-Identifier: Apache-2.0 */
/* ADDRESS_LOOKUP and ADDRESS_LIST: who an address is. */
#include "storage-node/mailbox/account/account.h"

enum err check_address_lookup(const Tern__AddressLookupRequest *request, size_t body_len)
{
    return check_address(request->address);
}

/* What this partition knows of an account: all of it at home, else where to ask. */
static enum err find_account_message(struct read_ctx *r, struct slice address, const struct address_row *row,
                                     Tern__Account **out)
{
    struct account_row account = { .address = address };
    struct counters_row counters = { 0 };
    if (row->home == r->state.partition) {
        TRY(state_counters(&r->state, row->account, &counters));
        TRY(state_account(&r->state, row->account, &account));
    }
    *out = account_message(r->state.arena, row->account, row->home, &account, &counters);
    return OK;
}

static enum err list_targets(struct read_ctx *r, const struct address_row *row, char ***targets_out)
{
    char **targets = ARENA_ARRAY(r->state.arena, char *, row->target_count);
    struct cursor c = cursor_of(row->targets);
    for (uint32_t i = 0; i < row->target_count; i++)
        targets[i] = arena_strdup(r->state.arena, cursor_varbytes(&c));
    *targets_out = targets;
    return c.bad ? ERR_CORRUPT : OK;
}

enum err read_address_lookup(struct read_ctx *r, const Tern__AddressLookupRequest *request)
{
    Tern__AddressLookupResponse response = TERN__ADDRESS_LOOKUP_RESPONSE__INIT;
    struct slice address = slice_str(request->address);
    struct address_row row;
    TRY(state_address(&r->state, address, &row));
    if (row.type == ADDRESS_ACCOUNT) {
        TRY(find_account_message(r, address, &row, &response.account));
    } else {
        TRY(list_targets(r, &row, &response.alias_targets));
        response.n_alias_targets = row.target_count;
    }
    read_respond(r, &response.base);
    return OK;
}

/* ---- list */

enum err check_address_list(const Tern__AddressListRequest *request, size_t body_len)
{
    if (strlen(request->after) > KEY_REST_MAX || strlen(request->domain) > KEY_REST_MAX)
        return ERR_TOO_BIG;
    return OK;
}

static bool is_of_domain(struct slice address, const char *domain)
{
    size_t len = strlen(domain);
    return len == 0 || (address.len > len && address.data[address.len - len - 1] == '@' &&
                        memcmp(address.data + address.len - len, domain, len) == 0);
}

static enum err add_row(struct read_ctx *r, struct slice address, struct slice value,
                        Tern__AddressListResponse *response)
{
    struct address_row row;
    if (!address_decode(arena_slice(r->state.arena, value), &row))
        return ERR_CORRUPT;
    Tern__AddressRow *message = ARENA_NEW(r->state.arena, Tern__AddressRow);
    tern__address_row__init(message);
    message->address = arena_strdup(r->state.arena, address);
    if (row.type == ADDRESS_ACCOUNT) {
        TRY(find_account_message(r, address, &row, &message->account));
    } else {
        TRY(list_targets(r, &row, &message->alias_targets));
        message->n_alias_targets = row.target_count;
    }
    response->rows[response->n_rows++] = message;
    return OK;
}

enum err read_address_list(struct read_ctx *r, const Tern__AddressListRequest *request)
{
    uint32_t limit =
        request->limit == 0 || request->limit > ADDRESS_LIST_MAX ? ADDRESS_LIST_MAX : request->limit;
    Tern__AddressListResponse response = TERN__ADDRESS_LIST_RESPONSE__INIT;
    response.rows = ARENA_ARRAY(r->state.arena, Tern__AddressRow *, limit);
    struct key prefix, from;
    key_address(&prefix, r->state.partition, SLICE_NULL);
    key_address(&from, r->state.partition, slice_str(request->after));
    struct kv_iter *it = state_iter_prefix(&r->state, &prefix);
    enum err err = OK;
    for (bool on_row = kv_iter_seek(it, key_slice(&from)); on_row && err == OK; on_row = kv_iter_next(it)) {
        struct slice key = kv_iter_key(it);
        struct slice address = slice_sub(key, prefix.len, key.len);
        if (slice_eq_str(address, request->after) || !is_of_domain(address, request->domain))
            continue;
        if (response.n_rows == limit || r->state.arena->used_total > FETCH_PAGE_MAX) {
            response.more = true;
            break;
        }
        err = add_row(r, address, kv_iter_value(it), &response);
    }
    if (err == OK)
        err = kv_iter_err(it);
    kv_iter_free(&it);
    TRY(err);
    read_respond(r, &response.base);
    return OK;
}

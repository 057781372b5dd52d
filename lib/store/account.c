/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/store/account.h"

#include <string.h>

#include "lib/store/store_priv.h"
#include "proto/account.pb-c.h"

static struct slice copy_bytes(struct arena *arena, ProtobufCBinaryData bytes)
{
    return arena_slice(arena, pb_slice(bytes));
}

static void read_credential(const Tern__Credential *c, struct arena *arena, struct account_credential *out)
{
    *out = (struct account_credential){ 0 };
    if (c == NULL)
        return;
    out->scheme = c->scheme <= CREDENTIAL_ARGON2 ? (enum credential_scheme)c->scheme : CREDENTIAL_NONE;
    out->salt = copy_bytes(arena, c->salt);
    out->stored_key = copy_bytes(arena, c->stored_key);
    out->server_key = copy_bytes(arena, c->server_key);
    out->iterations = c->iterations;
    out->hash = text_read(c->hash, arena);
    out->version = c->version;
}

static void write_credential(const struct account_credential *c, struct arena *arena, Tern__Credential *out)
{
    tern__credential__init(out);
    out->scheme = c->scheme;
    out->salt = pb_bytes(c->salt);
    out->stored_key = pb_bytes(c->stored_key);
    out->server_key = pb_bytes(c->server_key);
    out->iterations = c->iterations;
    out->hash = arena_strdup(arena, c->hash);
}

static void read_account(const Tern__Account *a, struct arena *arena, struct account *out)
{
    *out = (struct account){
        .ref = { .id = a->id, .home = a->home },
        .address = text_read(a->address, arena),
        .quota_bytes = a->quota_bytes,
        .used_bytes = a->used_bytes,
        .message_count = a->message_count,
        .created_ms = a->created_ms,
        .suspended = a->suspended,
    };
    read_credential(a->credential, arena, &out->credential);
}

static struct account *read_new_account(const Tern__Account *a, struct arena *arena)
{
    if (a == NULL)
        return NULL;
    struct account *out = ARENA_NEW(arena, struct account);
    read_account(a, arena, out);
    return out;
}

static enum err check_domain(const struct store *store, struct slice address)
{
    const uint8_t *at = memrchr(address.data, '@', address.len);
    if (at == NULL)
        return ERR_SYNTAX;
    if (!store_is_ready(store, NULL))
        return ERR_UNAVAILABLE;
    size_t from = (size_t)(at - address.data) + 1;
    return store_domain_is_local(store, slice_sub(address, from, address.len)) ? OK : ERR_NO_DOMAIN;
}

/* The partition of an address in one of our domains. */
static enum err route(struct store *store, struct slice address, uint32_t *partition_out)
{
    TRY(check_domain(store, address));
    return store_partition_of(store, address, partition_out);
}

static enum err lookup(struct store *store, struct slice address, uint32_t wait_ms, struct arena *arena,
                       struct address_row *out)
{
    uint32_t partition;
    TRY(route(store, address, &partition));
    Tern__AddressLookupRequest request = TERN__ADDRESS_LOOKUP_REQUEST__INIT;
    Tern__AddressLookupResponse *response;
    request.address = arena_strdup(arena, address);
    TRY(call_within(store, wait_ms, METHOD_ADDRESS_LOOKUP, partition, &request.base,
                    &tern__address_lookup_response__descriptor, &response));
    *out = (struct address_row){ .address = arena_slice(arena, address),
                                 .account = read_new_account(response->account, arena) };
    out->targets = texts_read(response->alias_targets, response->n_alias_targets, arena);
    out->target_count = response->n_alias_targets;
    tern__address_lookup_response__free_unpacked(response, NULL);
    return OK;
}

enum err store_address_lookup(struct store *store, struct slice address, struct arena *arena,
                              struct address_row *out)
{
    return lookup(store, address, 0, arena, out);
}

/* ---- aliases */

struct resolving {
    struct store *store;
    struct arena *arena;
    struct store_targets *out;
    uint32_t wait_ms; /* for one address */
    size_t seen;
};

static bool has_account(const struct store_targets *t, uint64_t id)
{
    for (size_t i = 0; i < t->account_count; i++) {
        if (t->accounts[i].ref.id == id)
            return true;
    }
    return false;
}

static bool has_remote(const struct store_targets *t, struct slice address)
{
    for (size_t i = 0; i < t->remote_count; i++) {
        if (slice_eq(t->remote[i], address))
            return true;
    }
    return false;
}

static enum err resolve_one(struct resolving *r, struct slice address, unsigned depth)
{
    struct address_row row;
    if (depth > STORE_ALIAS_DEPTH_MAX || ++r->seen > STORE_ALIAS_TARGETS_MAX)
        return ERR_LIMIT;
    enum err err = lookup(r->store, address, r->wait_ms, r->arena, &row);
    if (err == ERR_NO_DOMAIN && depth > 0) {
        if (!has_remote(r->out, address))
            r->out->remote[r->out->remote_count++] = arena_slice(r->arena, address);
        return OK;
    }
    TRY(err);
    if (row.account != NULL && !has_account(r->out, row.account->ref.id))
        r->out->accounts[r->out->account_count++] = *row.account;
    for (size_t i = 0; i < row.target_count; i++) {
        err = resolve_one(r, row.targets[i], depth + 1);
        /* A target that is gone does not take the others' mail away. */
        if (err != OK && err != ERR_NOT_FOUND)
            return err;
    }
    return OK;
}

enum err store_address_resolve(struct store *store, struct slice address, uint32_t wait_ms,
                               struct arena *arena, struct store_targets *out)
{
    struct resolving r = { .store = store, .arena = arena, .out = out, .wait_ms = wait_ms };
    struct address_row row;
    *out = (struct store_targets){ 0 };
    /* The ordinary case, an account, without room for aliases. */
    TRY(lookup(store, address, wait_ms, arena, &row));
    if (row.account != NULL) {
        out->accounts = row.account;
        out->account_count = 1;
        return OK;
    }
    out->accounts = ARENA_ARRAY(arena, struct account, STORE_ALIAS_TARGETS_MAX + 1);
    out->remote = ARENA_ARRAY(arena, struct slice, STORE_ALIAS_TARGETS_MAX + 1);
    for (size_t i = 0; i < row.target_count; i++) {
        enum err err = resolve_one(&r, row.targets[i], 1);
        if (err != OK && err != ERR_NOT_FOUND)
            return err;
    }
    return out->account_count + out->remote_count == 0 ? ERR_NOT_FOUND : OK;
}

/* ---- changes */

enum err store_account_create(struct store *store, struct slice address,
                              const struct account_credential *credential, uint64_t quota_bytes,
                              struct arena *arena, struct account *out)
{
    uint32_t partition;
    TRY(route(store, address, &partition));
    Tern__Credential pb;
    Tern__AccountCreateRequest request = TERN__ACCOUNT_CREATE_REQUEST__INIT;
    Tern__AccountCreateResponse *response;
    write_credential(credential, arena, &pb);
    request.address = arena_strdup(arena, address);
    request.credential = &pb;
    request.quota_bytes = quota_bytes;
    TRY(call_simple(store, METHOD_ACCOUNT_CREATE, partition, &request.base,
                    &tern__account_create_response__descriptor, &response));
    enum err err = response->account == NULL ? ERR_PROTOCOL : OK;
    if (err == OK)
        read_account(response->account, arena, out);
    tern__account_create_response__free_unpacked(response, NULL);
    return err;
}

enum err store_account_update(struct store *store, struct slice address, const struct account_update *update,
                              struct arena *arena, struct account *out)
{
    uint32_t partition;
    TRY(route(store, address, &partition));
    Tern__Credential pb;
    Tern__AccountUpdateRequest request = TERN__ACCOUNT_UPDATE_REQUEST__INIT;
    Tern__AccountUpdateResponse *response;
    request.address = arena_strdup(arena, address);
    if (update->credential != NULL) {
        write_credential(update->credential, arena, &pb);
        request.credential = &pb;
    }
    request.set_quota = update->quota_bytes != NULL;
    request.quota_bytes = update->quota_bytes == NULL ? 0 : *update->quota_bytes;
    request.set_suspended = update->suspended != NULL;
    request.suspended = update->suspended != NULL && *update->suspended;
    TRY(call_simple(store, METHOD_ACCOUNT_UPDATE, partition, &request.base,
                    &tern__account_update_response__descriptor, &response));
    enum err err = response->account == NULL ? ERR_PROTOCOL : OK;
    if (err == OK)
        read_account(response->account, arena, out);
    tern__account_update_response__free_unpacked(response, NULL);
    return err;
}

enum err store_account_delete(struct store *store, struct slice address)
{
    uint32_t partition;
    struct arena arena = { 0 };
    TRY(route(store, address, &partition));
    Tern__AccountDeleteRequest request = TERN__ACCOUNT_DELETE_REQUEST__INIT;
    Tern__AccountDeleteResponse *response;
    request.address = arena_strdup(&arena, address);
    enum err err = call_simple(store, METHOD_ACCOUNT_DELETE, partition, &request.base,
                               &tern__account_delete_response__descriptor, &response);
    if (err == OK)
        tern__account_delete_response__free_unpacked(response, NULL);
    arena_fini(&arena);
    return err;
}

enum err store_alias_put(struct store *store, struct slice address, const struct slice *targets, size_t count)
{
    uint32_t partition;
    struct arena arena = { 0 };
    if (count > STORE_ALIAS_TARGETS_MAX)
        return ERR_LIMIT;
    TRY(route(store, address, &partition));
    Tern__AliasPutRequest request = TERN__ALIAS_PUT_REQUEST__INIT;
    Tern__AliasPutResponse *response;
    request.address = arena_strdup(&arena, address);
    request.targets = texts_write(targets, count, &arena);
    request.n_targets = count;
    enum err err = call_simple(store, METHOD_ALIAS_PUT, partition, &request.base,
                               &tern__alias_put_response__descriptor, &response);
    if (err == OK)
        tern__alias_put_response__free_unpacked(response, NULL);
    arena_fini(&arena);
    return err;
}

enum err store_alias_delete(struct store *store, struct slice address)
{
    uint32_t partition;
    struct arena arena = { 0 };
    TRY(route(store, address, &partition));
    Tern__AliasDeleteRequest request = TERN__ALIAS_DELETE_REQUEST__INIT;
    Tern__AliasDeleteResponse *response;
    request.address = arena_strdup(&arena, address);
    enum err err = call_simple(store, METHOD_ALIAS_DELETE, partition, &request.base,
                               &tern__alias_delete_response__descriptor, &response);
    if (err == OK)
        tern__alias_delete_response__free_unpacked(response, NULL);
    arena_fini(&arena);
    return err;
}

enum err store_address_list(struct store *store, uint32_t partition, struct slice after, struct slice domain,
                            uint32_t limit, struct arena *arena, struct address_row **rows_out,
                            size_t *count_out, bool *more_out)
{
    Tern__AddressListRequest request = TERN__ADDRESS_LIST_REQUEST__INIT;
    Tern__AddressListResponse *response;
    request.after = arena_strdup(arena, after);
    request.domain = arena_strdup(arena, domain);
    request.limit = limit;
    TRY(call_simple(store, METHOD_ADDRESS_LIST, partition, &request.base,
                    &tern__address_list_response__descriptor, &response));
    struct address_row *rows = ARENA_ARRAY(arena, struct address_row, response->n_rows);
    for (size_t i = 0; i < response->n_rows; i++) {
        const Tern__AddressRow *row = response->rows[i];
        rows[i].address = text_read(row->address, arena);
        rows[i].account = read_new_account(row->account, arena);
        rows[i].targets = texts_read(row->alias_targets, row->n_alias_targets, arena);
        rows[i].target_count = row->n_alias_targets;
    }
    *rows_out = rows;
    *count_out = response->n_rows;
    *more_out = response->more;
    tern__address_list_response__free_unpacked(response, NULL);
    return OK;
}

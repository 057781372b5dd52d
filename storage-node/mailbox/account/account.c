/* SPDX-License-Identifier: Apache-2.0 */
/* ACCOUNT_CREATE, ACCOUNT_UPDATE, ACCOUNT_DELETE: the address's row, the account's two rows, its first
 * mailboxes. */
#include "storage-node/mailbox/account/account.h"

#include "storage-node/mailbox/tree/tree.h"

enum { ADDRESS_SIZE_MAX = 512 }; /* lib/mail's ADDRESS_CANONICAL_MAX */

enum err check_address(const char *address)
{
    struct slice s = slice_str(address);
    const char *at = strrchr(address, '@');
    if (at == NULL || at == address || at[1] == '\0')
        return ERR_INVALID;
    for (size_t i = 0; i < s.len; i++) {
        if (s.data[i] <= ' ' || s.data[i] == 0x7f)
            return ERR_INVALID;
    }
    return s.len > ADDRESS_SIZE_MAX ? ERR_TOO_BIG : OK;
}

static enum err check_credential(const Tern__Credential *c)
{
    enum { SCHEME_LAST = 3 };
    if (c == NULL)
        return OK;
    if (c->scheme > SCHEME_LAST)
        return ERR_INVALID;
    if (c->salt.len > CREDENTIAL_FIELD_MAX || c->stored_key.len > CREDENTIAL_FIELD_MAX ||
        c->server_key.len > CREDENTIAL_FIELD_MAX || strlen(c->hash) > CREDENTIAL_FIELD_MAX)
        return ERR_TOO_BIG;
    return OK;
}

static void credential_of_request(const Tern__Credential *from, uint64_t version, struct credential *out)
{
    *out = (struct credential){ .version = version };
    if (from == NULL)
        return;
    out->scheme = from->scheme;
    out->salt = slice_of_binary(from->salt);
    out->iterations = from->iterations;
    out->stored_key = slice_of_binary(from->stored_key);
    out->server_key = slice_of_binary(from->server_key);
    out->hash = slice_str(from->hash);
}

Tern__Account *account_message(struct arena *arena, uint64_t id, uint32_t home, const struct account_row *row,
                               const struct counters_row *counters)
{
    Tern__Credential *credential = ARENA_NEW(arena, Tern__Credential);
    tern__credential__init(credential);
    credential->scheme = row->credential.scheme;
    credential->salt = binary_of(row->credential.salt);
    credential->iterations = row->credential.iterations;
    credential->stored_key = binary_of(row->credential.stored_key);
    credential->server_key = binary_of(row->credential.server_key);
    credential->hash = arena_strdup(arena, row->credential.hash);
    credential->version = row->credential.version;

    Tern__Account *account = ARENA_NEW(arena, Tern__Account);
    tern__account__init(account);
    account->id = id;
    account->home = home;
    account->address = arena_strdup(arena, row->address);
    account->credential = credential;
    account->quota_bytes = counters->quota_bytes;
    account->used_bytes = counters->used_bytes;
    account->message_count = counters->message_count;
    account->suspended = row->suspended;
    account->created_ms = row->created_ms;
    return account;
}

static void put_account(struct apply *a, uint64_t id, const struct account_row *row)
{
    struct key key;
    key_account(&key, a->state.partition, id);
    account_encode(row, a->value);
    apply_put(a, &key);
}

/* ---- create */

enum err check_account_create(const Tern__AccountCreateRequest *request, size_t body_len)
{
    if (body_len > 0)
        return ERR_INVALID;
    TRY(check_address(request->address));
    return check_credential(request->credential);
}

/* Ids are the partition's number and a counter that only grows: never used twice in the cluster. */
static enum err next_account_id(struct apply *a, uint64_t *id_out)
{
    struct key key;
    key_partition(&key, a->state.partition);
    uint64_t counter = 0;
    enum err err = state_number(&a->state, &key, &counter);
    if (err != OK && err != ERR_NOT_FOUND)
        return err;
    if (counter >= UINT32_MAX)
        return ERR_LIMIT;
    apply_put_number(a, &key, ++counter);
    *id_out = (uint64_t)a->state.partition << 32 | counter;
    return OK;
}

static enum err make_first_mailboxes(struct apply *a, struct account_edit *account)
{
    static const struct {
        const char *name;
        enum special_use use;
    } first[] = {
        { "INBOX", 0 },       { "Drafts", USE_DRAFTS }, { "Sent", USE_SENT },
        { "Junk", USE_JUNK }, { "Trash", USE_TRASH },   { "Archive", USE_ARCHIVE },
    };
    for (size_t i = 0; i < sizeof first / sizeof first[0]; i++) {
        struct mailbox_row row;
        TRY(mailbox_make(a, account, 0, slice_str(first[i].name), &row));
        row.special_use = first[i].use;
        mailbox_put(a, account->id, &row);
        if (i == 0)
            account->row.inbox = row.id;
        struct key key;
        key_subscription(&key, a->state.partition, account->id, slice_str(first[i].name));
        apply_put_empty(a, &key);
    }
    return OK;
}

enum err apply_account_create(struct apply *a, const Tern__AccountCreateRequest *request)
{
    struct slice address = slice_str(request->address);
    struct address_row taken;
    enum err err = state_address(&a->state, address, &taken);
    if (err != ERR_NOT_FOUND)
        return err == OK ? ERR_EXISTS : err;

    struct account_edit account = { .row = { .quota_bytes = request->quota_bytes, .mailbox_next = 1 } };
    TRY(next_account_id(a, &account.id));
    TRY(make_first_mailboxes(a, &account));
    account_close(a, &account);
    struct account_row row = { .address = address, .created_ms = a->header->time_ms };
    credential_of_request(request->credential, 1, &row.credential);
    put_account(a, account.id, &row);

    struct address_row address_row = { .type = ADDRESS_ACCOUNT,
                                       .account = account.id,
                                       .home = a->state.partition };
    struct key key;
    key_address(&key, a->state.partition, address);
    address_encode(&address_row, a->value);
    apply_put(a, &key);

    Tern__AccountCreateResponse response = TERN__ACCOUNT_CREATE_RESPONSE__INIT;
    response.account = account_message(a->state.arena, account.id, a->state.partition, &row, &account.row);
    apply_respond(a, &response.base);
    return OK;
}

/* ---- update */

enum err check_account_update(const Tern__AccountUpdateRequest *request, size_t body_len)
{
    if (body_len > 0)
        return ERR_INVALID;
    TRY(check_address(request->address));
    return check_credential(request->credential);
}

/* The account behind an address; ERR_NOT_FOUND for an alias or an account whose home is elsewhere. */
static enum err find_account(struct apply *a, struct slice address, uint64_t *id_out)
{
    struct address_row row;
    TRY(state_address(&a->state, address, &row));
    if (row.type != ADDRESS_ACCOUNT || row.home != a->state.partition)
        return ERR_NOT_FOUND;
    *id_out = row.account;
    return OK;
}

enum err apply_account_update(struct apply *a, const Tern__AccountUpdateRequest *request)
{
    uint64_t id;
    TRY(find_account(a, slice_str(request->address), &id));
    struct account_edit account;
    struct account_row row;
    TRY(account_open(a, id, &account));
    TRY(state_account(&a->state, id, &row));
    if (request->credential != NULL)
        credential_of_request(request->credential, row.credential.version + 1, &row.credential);
    if (request->set_suspended)
        row.suspended = request->suspended;
    if (request->set_quota)
        account.row.quota_bytes = request->quota_bytes;
    put_account(a, id, &row);
    account_close(a, &account);

    Tern__AccountUpdateResponse response = TERN__ACCOUNT_UPDATE_RESPONSE__INIT;
    response.account = account_message(a->state.arena, id, a->state.partition, &row, &account.row);
    apply_respond(a, &response.base);
    return OK;
}

/* ---- delete: without its counters an account is out of sight; sweeps delete the rest */

enum err check_account_delete(const Tern__AccountDeleteRequest *request, size_t body_len)
{
    return body_len > 0 ? ERR_INVALID : check_address(request->address);
}

enum err apply_account_delete(struct apply *a, const Tern__AccountDeleteRequest *request)
{
    uint64_t id;
    TRY(find_account(a, slice_str(request->address), &id));
    struct account_edit account;
    TRY(account_open(a, id, &account));
    struct key key;
    key_address(&key, a->state.partition, slice_str(request->address));
    apply_delete(a, &key);
    key_account(&key, a->state.partition, id);
    apply_delete(a, &key);
    key_counters(&key, a->state.partition, id);
    apply_delete(a, &key);
    key_dead_account(&key, a->state.partition, id);
    apply_put_empty(a, &key);
    apply_note_change(a, id, 0, account.row.modseq + 1);
    Tern__AccountDeleteResponse response = TERN__ACCOUNT_DELETE_RESPONSE__INIT;
    apply_respond(a, &response.base);
    return OK;
}

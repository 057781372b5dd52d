/* SPDX-License-Identifier: Apache-2.0 */
/* ALIAS_PUT and ALIAS_DELETE. */
#include "storage-node/mailbox/account/account.h"

enum err check_alias_put(const Tern__AliasPutRequest *request, size_t body_len)
{
    if (body_len > 0 || request->n_targets == 0)
        return ERR_INVALID;
    if (request->n_targets > ALIAS_TARGETS_MAX)
        return ERR_LIMIT;
    TRY(check_address(request->address));
    for (size_t i = 0; i < request->n_targets; i++)
        TRY(check_address(request->targets[i]));
    return OK;
}

enum err apply_alias_put(struct apply *a, const Tern__AliasPutRequest *request)
{
    struct slice address = slice_str(request->address);
    struct address_row row;
    enum err err = state_address(&a->state, address, &row);
    if (err != OK && err != ERR_NOT_FOUND)
        return err;
    if (err == OK && row.type == ADDRESS_ACCOUNT)
        return ERR_EXISTS;
    struct buf targets = { 0 };
    for (size_t i = 0; i < request->n_targets; i++)
        buf_add_varbytes(&targets, slice_str(request->targets[i]));
    row = (struct address_row){ .type = ADDRESS_ALIAS,
                                .target_count = (uint32_t)request->n_targets,
                                .targets = buf_slice(&targets) };
    address_encode(&row, a->value);
    buf_fini(&targets);
    struct key key;
    key_address(&key, a->state.partition, address);
    apply_put(a, &key);
    Tern__AliasPutResponse response = TERN__ALIAS_PUT_RESPONSE__INIT;
    apply_respond(a, &response.base);
    return OK;
}

enum err check_alias_delete(const Tern__AliasDeleteRequest *request, size_t body_len)
{
    return body_len > 0 ? ERR_INVALID : check_address(request->address);
}

enum err apply_alias_delete(struct apply *a, const Tern__AliasDeleteRequest *request)
{
    struct slice address = slice_str(request->address);
    struct address_row row;
    TRY(state_address(&a->state, address, &row));
    if (row.type != ADDRESS_ALIAS)
        return ERR_NOT_FOUND;
    struct key key;
    key_address(&key, a->state.partition, address);
    apply_delete(a, &key);
    Tern__AliasDeleteResponse response = TERN__ALIAS_DELETE_RESPONSE__INIT;
    apply_respond(a, &response.base);
    return OK;
}

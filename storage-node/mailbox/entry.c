/* SPDX-License-Identifier: Apache-2.0 */
#include "storage-node/mailbox/machine.h"

void entry_encode(const struct entry_header *h, struct slice request, struct buf *out)
{
    buf_add_byte(out, h->version);
    buf_add_be32(out, h->method);
    buf_add_be64(out, h->time_ms);
    buf_add(out, h->request_id, REQUEST_ID_SIZE);
    buf_add_be32(out, h->body_len);
    buf_add_slice(out, request);
}

bool entry_is_check(struct slice entry)
{
    struct cursor c = cursor_of(entry);
    cursor_u8(&c);
    return cursor_be32(&c) == ENTRY_CHECK && !c.bad;
}

uint8_t entry_version(struct slice entry)
{
    struct cursor c = cursor_of(entry);
    return cursor_u8(&c);
}

enum err entry_decode(struct slice entry, struct entry_header *h_out, struct slice *request_out)
{
    struct cursor c = cursor_of(entry);
    h_out->version = cursor_u8(&c);
    h_out->method = cursor_be32(&c);
    h_out->time_ms = cursor_be64(&c);
    struct slice id = cursor_bytes(&c, REQUEST_ID_SIZE);
    h_out->body_len = cursor_be32(&c);
    if (c.bad || h_out->version == 0)
        return ERR_CORRUPT;
    memcpy(h_out->request_id, id.data, REQUEST_ID_SIZE);
    *request_out = c.rest;
    return OK;
}

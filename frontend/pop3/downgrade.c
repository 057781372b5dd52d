/* SPDX-License-Identifier: Apache-2.0 */
/* Internationalized messages for clients that have not said UTF8 (RFC 6858). LIST and STAT tell the size of
 * the message as it came (RFC 6858 4); RETR and TOP send the surrogate.
 *
 * Whether a message came as an internationalized one is in its summary, which the maildrop does not keep: it
 * is asked for only if the header that is about to be sent has more than ASCII in it. */
#include "lib/mail/downgrade.h"

#include "frontend/pop3/session.h"
#include "lib/mail/header.h"
#include "lib/mail/summary.h"
#include "lib/mail/utf8.h"

static bool has_8bit_field(struct slice message)
{
    struct header_field field;
    while (header_next(&message, &field)) {
        if (!utf8_is_ascii(field.raw))
            return true;
    }
    return false;
}

/* Length of the header to be replaced, 0: none is. */
static size_t marked_len(const struct row *row)
{
    struct summary summary;
    if ((row->parts & ROW_SUMMARY) == 0 || summary_open(row->summary, &summary) != OK ||
        (summary.flags & SUMMARY_INTERNATIONAL) == 0)
        return 0;
    return (size_t)summary.header_len; /* marked: at most DOWNGRADE_HEADER_MAX */
}

static enum err find_marked_len(struct pop3_session *s, const struct pop3_message *m, size_t *len_out)
{
    struct uidset uids = { 0 };
    uidset_add(&uids, m->uid);
    struct fetch_options options = {
        .account = s->account.ref, .mailbox = s->mailbox, .uids = &uids, .items = ROW_SUMMARY
    };
    struct fetch *fetch = fetch_new(s->context->store, &options);
    struct fetch_page page;
    enum err err = fetch_next(fetch, &page);
    *len_out = 0;
    if (err == OK) {
        struct row row;
        if (fetch_page_next(&page, &row))
            *len_out = marked_len(&row);
        fetch_page_fini(&page);
    }
    fetch_free(&fetch);
    uidset_fini(&uids);
    return err;
}

enum err pop3_downgrade(struct pop3_session *s, const struct pop3_message *m, struct buf *first,
                        uint64_t *size_out)
{
    struct buf surrogate = { 0 };
    size_t len;
    *size_out = m->size;
    if (s->utf8 || !has_8bit_field(slice_sub(buf_slice(first), 0, DOWNGRADE_HEADER_MAX)))
        return OK;
    TRY(find_marked_len(s, m, &len));
    if (len == 0)
        return OK;
    if (len > first->len)
        return ERR_CORRUPT;
    downgrade_header(slice_sub(buf_slice(first), 0, len), &surrogate);
    *size_out = m->size - len + surrogate.len;
    buf_add_slice(&surrogate, slice_sub(buf_slice(first), len, first->len));
    buf_fini(first);
    *first = surrogate;
    return OK;
}

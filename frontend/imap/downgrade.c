/* SPDX-License-Identifier: Apache-2.0 */
#include "frontend/imap/downgrade.h"

#include "lib/mail/downgrade.h"

uint32_t imap_downgrade_parts(const struct imap_session *s)
{
    return imap_session_utf8(s) ? 0 : ROW_SUMMARY;
}

static enum err read_header(struct imap_message *m, uint64_t len, struct buf *out)
{
    while (out->len < len) {
        struct slice bytes;

        TRY(imap_message_read(m, out->len, len - out->len, &bytes));
        buf_add_slice(out, bytes);
    }
    return OK;
}

enum err imap_downgrade(struct imap_fetching *f)
{
    struct imap_message *m = &f->message;
    struct summary stored;
    struct buf header = { 0 };
    enum err err;

    if (imap_session_utf8(f->s) || (m->row->parts & ROW_SUMMARY) == 0 ||
        summary_open(m->row->summary, &stored) != OK || (stored.flags & SUMMARY_INTERNATIONAL) == 0)
        return OK;
    if (stored.header_len > DOWNGRADE_HEADER_MAX) /* such are not marked */
        return ERR_CORRUPT;
    TRY_GOTO(read_header(m, stored.header_len, &header), out);
    imap_message_replace_header(m, buf_slice(&header));
    uidset_add(&f->downgraded, m->row->uid);
out:
    buf_fini(&header);
    return err;
}

const char *imap_downgrade_code(struct imap_fetching *f)
{
    struct buf code = { 0 };
    const char *text;

    if (uidset_is_empty(&f->downgraded))
        return NULL;
    buf_add_str(&code, "DOWNGRADED ");
    uidset_format(&f->downgraded, &code);
    text = arena_strdup(&f->s->arena, buf_slice(&code));
    buf_fini(&code);
    return text;
}

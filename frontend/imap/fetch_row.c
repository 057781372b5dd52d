/* SPDX-License-Identifier: Apache-2.0 */
/* One FETCH response: the items that come from the row and its summary. */
#include "frontend/codec/imap_write.h"
#include "frontend/imap/downgrade.h"
#include "frontend/imap/fetch.h"
#include "lib/mail/imap_format.h"

/* Items are divided by blanks. What was written last does not tell: it may have been sent already, or be a
 * literal. */
static void name_item(struct imap_fetching *f, const char *name)
{
    if (f->item_count++ > 0)
        buf_add_byte(&f->s->out, ' ');
    buf_add_str(&f->s->out, name);
}

static void write_plain(struct imap_fetching *f, const struct row *row, uint32_t items)
{
    struct imap_session *s = f->s;
    struct buf *out = &s->out;

    if ((items & IMAP_FETCH_UID) != 0) {
        name_item(f, "UID ");
        buf_add_u64(out, row->uid);
    }
    if ((items & IMAP_FETCH_FLAGS) != 0) {
        name_item(f, "FLAGS ");
        imap_write_flags(out, (struct mail_flags){ row->flags, row->keywords }, &s->view.keywords,
                         !imap_session_rev2(s) && imap_view_is_recent(&s->view, row->uid));
    }
    if ((items & IMAP_FETCH_INTERNALDATE) != 0) {
        name_item(f, "INTERNALDATE ");
        date_format_imap(
            (struct mail_date){ (int64_t)(row->internaldate_ms / 1000), (int16_t)row->internaldate_zone },
            out);
    }
    if ((items & IMAP_FETCH_SIZE) != 0) {
        name_item(f, "RFC822.SIZE ");
        buf_add_u64(out, row->size);
    }
    if ((items & IMAP_FETCH_MODSEQ) != 0) {
        name_item(f, "MODSEQ (");
        buf_add_u64(out, row->modseq);
        buf_add_byte(out, ')');
    }
    if ((items & IMAP_FETCH_EMAILID) != 0) {
        name_item(f, "EMAILID (");
        buf_add_str(out, row_email_id(row->body_id).text);
        buf_add_byte(out, ')');
    }
    if ((items & IMAP_FETCH_THREADID) != 0) /* RFC 8474 5.2: NIL where the server knows no threads */
        name_item(f, "THREADID NIL");
}

typedef enum err format_fn(const struct summary *s, const struct imap_format *how, struct buf *out);

static enum err write_formatted(struct imap_fetching *f, const char *name, unsigned has, format_fn *format)
{
    const struct imap_format how = { .utf8 = imap_session_utf8(f->s), .rev2 = imap_session_rev2(f->s) };
    const struct summary *summary;

    TRY(imap_message_summary(&f->message, has, &summary));
    name_item(f, name);
    return format(summary, &how, &f->s->out);
}

static enum err write_from_summary(struct imap_fetching *f, uint32_t items)
{
    if ((items & IMAP_FETCH_ENVELOPE) != 0)
        TRY(write_formatted(f, "ENVELOPE ", SUMMARY_HAS_ENVELOPE, imap_format_envelope));
    if ((items & IMAP_FETCH_BODY) != 0)
        TRY(write_formatted(f, "BODY ", SUMMARY_HAS_TREE, imap_format_body));
    if ((items & IMAP_FETCH_BODYSTRUCTURE) != 0)
        TRY(write_formatted(f, "BODYSTRUCTURE ", SUMMARY_HAS_TREE, imap_format_bodystructure));
    if ((items & (IMAP_FETCH_PREVIEW | IMAP_FETCH_PREVIEW_LAZY)) != 0) {
        name_item(f, "PREVIEW ");
        TRY(imap_preview_fetch(f, (items & IMAP_FETCH_PREVIEW_LAZY) != 0));
    }
    return OK;
}

static enum err write_sections(struct imap_fetching *f)
{
    for (unsigned i = 0; i < f->fetch->section_count; i++) {
        const struct imap_section *section = &f->fetch->sections[i];

        name_item(f, "");
        if (section->kind == IMAP_SECTION_BINARY || section->kind == IMAP_SECTION_BINARY_SIZE)
            TRY(imap_binary_fetch(f, section));
        else
            TRY(imap_section_fetch(f, section));
    }
    return OK;
}

/* The row as it is after \Seen was set for it. */
static uint32_t apply_mark(const struct imap_fetching *f, struct row *row)
{
    uint32_t items = f->fetch->items;

    if (uidset_is_empty(&f->marked) || !uidset_contains(&f->marked, row->uid))
        return items;
    row->flags |= MAIL_SEEN;
    row->modseq = f->marked_modseq;
    items |= IMAP_FETCH_FLAGS;
    return imap_session_condstore(f->s) ? items | IMAP_FETCH_MODSEQ : items;
}

enum err imap_fetch_write_row(struct imap_fetching *f, struct row *row, uint32_t seq)
{
    struct imap_session *s = f->s;
    size_t start = s->out.len;
    uint32_t items = apply_mark(f, row);
    enum err err;

    f->sent_part = false;
    f->item_count = 0;
    imap_message_begin(&f->message, s, row);
    TRY(imap_downgrade(f));
    buf_add_str(&s->out, "* ");
    buf_add_u64(&s->out, seq);
    buf_add_str(&s->out, " FETCH (");
    write_plain(f, row, items);
    err = write_from_summary(f, items);
    if (err == OK)
        err = write_sections(f);
    if (err == OK) {
        buf_add_str(&s->out, ")\r\n");
        return OK;
    }
    if (f->sent_part)
        s->broken = true; /* half a response cannot be mended */
    else
        s->out.len = start;
    return err;
}

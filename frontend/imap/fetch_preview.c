/* SPDX-License-Identifier: Apache-2.0 */
/* PREVIEW of FETCH (RFC 8970): mostly from the summary. Where the text's charset needs a library, LAZY gets
 * NIL and the others wait for the thread pool; a message without text has an empty preview. */
#include "frontend/imap/fetch.h"
#include "lib/fiber/work.h"
#include "lib/mail/charset.h"
#include "lib/mail/imap_format.h"
#include "lib/mail/preview.h"

/* The first text that is meant to be shown. */
static enum err find_text(const struct summary *summary, struct summary_part *out)
{
    struct summary_parts it;

    TRY(summary_parts_start(summary, &it));
    while (summary_parts_next(&it, out)) {
        const struct mime_info info = { .type = out->type,
                                        .subtype = out->subtype,
                                        .disposition = out->disposition };

        if (out->kind == MIME_LEAF && preview_is_text(&info))
            return OK;
    }
    return ERR_NOT_FOUND;
}

/* The part's first bytes with the transfer encoding undone. */
static enum err read_text(struct imap_fetching *f, const struct summary_part *part, struct buf *out)
{
    uint64_t at = part->header_offset + part->header_len;
    uint64_t left = part->body_len < PREVIEW_INPUT_MAX ? part->body_len : PREVIEW_INPUT_MAX;
    struct decoder decoder;

    decoder_init(&decoder, decode_kind_of(part->encoding), false);
    while (left > 0) {
        struct slice bytes;

        TRY(imap_message_read(&f->message, at, left, &bytes));
        decoder_push(&decoder, bytes, out);
        at += bytes.len;
        left -= bytes.len;
    }
    return decoder_finish(&decoder, out);
}

struct conversion {
    struct slice charset;
    struct slice text;
    struct buf utf8;
    enum err err;
};

/* On the pool. */
static void convert(void *arg)
{
    struct conversion *c = arg;
    struct charset_conv *conv;

    mail_init();
    c->err = charset_conv_new(c->charset, &conv);
    if (c->err != OK)
        return;
    charset_conv_push(conv, c->text, &c->utf8);
    charset_conv_finish(conv, &c->utf8);
    charset_conv_free(&conv);
}

static void shorten(const struct summary_part *part, struct slice utf8, struct buf *out)
{
    static struct mime_param charset = { .name = SLICE_LIT("charset"), .value = SLICE_LIT("utf-8") };
    const struct mime_info info = {
        .type = part->type,
        .subtype = part->subtype,
        .params = { .items = &charset, .count = 1 },
    };
    struct preview preview = { 0 }; /* its buffers are used again, so they must be something */

    preview_init(&preview, &info);
    (void)preview_push(&preview, utf8);
    buf_add_slice(out, buf_slice(&preview.text));
    preview_fini(&preview);
}

static enum err make_preview(struct imap_fetching *f, struct buf *out)
{
    const struct summary *summary;
    struct summary_part part;
    struct buf text = { 0 };
    struct conversion conversion = { 0 };
    enum err err;

    TRY(imap_message_summary(&f->message, SUMMARY_HAS_TREE, &summary));
    err = find_text(summary, &part);
    if (err != OK)
        return err == ERR_NOT_FOUND ? OK : err;
    TRY_GOTO(read_text(f, &part, &text), out);
    conversion.charset = summary_param_get(part.params, "charset");
    conversion.text = buf_slice(&text);
    TRY_GOTO(work_run(convert, &conversion), out);
    if (conversion.err == OK) /* else a charset nobody knows: no preview */
        shorten(&part, buf_slice(&conversion.utf8), out);
out:
    buf_fini(&text);
    buf_fini(&conversion.utf8);
    return err;
}

enum err imap_preview_fetch(struct imap_fetching *f, bool lazy)
{
    bool utf8 = imap_session_utf8(f->s);
    const struct summary *summary;
    struct buf made = { 0 };
    enum err err;

    TRY(imap_message_summary(&f->message, 0, &summary));
    if ((summary->has & SUMMARY_HAS_PREVIEW) != 0) {
        imap_format_string(&f->s->out, summary->preview, utf8);
        return OK;
    }
    if (lazy) {
        buf_add_str(&f->s->out, "NIL");
        return OK;
    }
    err = make_preview(f, &made);
    if (err == OK)
        imap_format_string(&f->s->out, buf_slice(&made), utf8);
    buf_fini(&made);
    return err;
}

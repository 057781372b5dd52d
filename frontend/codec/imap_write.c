/* SPDX-License-Identifier: Apache-2.0 */
#include "frontend/codec/imap_write.h"

#include "frontend/codec/imap_codec_priv.h"
#include "lib/mail/imap_format.h"
#include "lib/mail/mailbox_name.h"
#include "lib/mail/utf7.h"

void imap_write_literal(struct buf *out, struct slice s)
{
    imap_write_literal_head(out, s.len, false);
    buf_add_slice(out, s);
}

void imap_write_literal_head(struct buf *out, uint64_t size, bool literal8)
{
    buf_add_str(out, literal8 ? "~{" : "{");
    buf_add_u64(out, size);
    buf_add_str(out, "}\r\n");
}

void imap_write_mailbox(struct buf *out, struct slice name, bool utf8)
{
    struct buf written = { 0 };
    if (!utf8 && utf7_encode(name, &written) == OK)
        name = buf_slice(&written);
    imap_format_astring(out, name, utf8);
    buf_fini(&written);
}

void imap_write_text(struct buf *out, struct slice text, bool utf8)
{
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.data[i];
        bool plain = c >= 0x20 && c != 0x7f && (c < 0x80 || utf8);
        buf_add_byte(out, plain ? c : '?');
    }
}

/* --- status responses --- */

void imap_write_status_line(struct buf *out, struct slice tag, const char *status, const char *code,
                            const char *text)
{
    buf_add_slice(out, tag);
    buf_add_byte(out, ' ');
    buf_add_str(out, status);
    buf_add_byte(out, ' ');
    if (code != NULL) {
        buf_add_byte(out, '[');
        buf_add_str(out, code);
        buf_add_str(out, "] ");
    }
    buf_add_str(out, text);
    buf_add_str(out, "\r\n");
}

void imap_write_appenduid(struct buf *out, uint32_t uidvalidity, const struct uidset *uids)
{
    buf_addf(out, "APPENDUID %u ", uidvalidity);
    uidset_format(uids, out);
}

void imap_write_copyuid(struct buf *out, uint32_t uidvalidity, const struct uidset *from,
                        const struct uidset *to)
{
    buf_addf(out, "COPYUID %u ", uidvalidity);
    uidset_format(from, out);
    buf_add_byte(out, ' ');
    uidset_format(to, out);
}

void imap_write_modified(struct buf *out, const struct uidset *set)
{
    buf_add_str(out, "MODIFIED ");
    uidset_format(set, out);
}

/* --- lists of words --- */

/* A list in parentheses: nothing before the first word, a blank before each other. */
struct list {
    struct buf *out;
    size_t start;
};

static struct list list_open(struct buf *out)
{
    buf_add_byte(out, '(');
    return (struct list){ out, out->len };
}

static void list_blank(const struct list *l)
{
    if (l->out->len > l->start)
        buf_add_byte(l->out, ' ');
}

static void list_add(const struct list *l, const char *word)
{
    list_blank(l);
    buf_add_str(l->out, word);
}

static void add_system_flags(const struct list *l, uint32_t system)
{
    for (uint32_t bit = 1; bit <= MAIL_FLAGS_ALL; bit <<= 1) {
        if ((system & bit) != 0)
            list_add(l, mail_flag_name((enum mail_flag)bit));
    }
}

void imap_write_flags(struct buf *out, struct mail_flags flags, const struct keyword_table *table,
                      bool recent)
{
    struct list l = list_open(out);
    add_system_flags(&l, flags.system & MAIL_FLAGS_ALL);
    if (recent)
        list_add(&l, "\\Recent");
    for (unsigned i = 0; table != NULL && i < table->count; i++) {
        if ((flags.keywords >> i & 1) != 0)
            list_add(&l, table->names[i]);
    }
    buf_add_byte(out, ')');
}

void imap_write_flag_names(struct buf *out, const struct keyword_table *table, bool star)
{
    struct list l = list_open(out);
    add_system_flags(&l, MAIL_FLAGS_ALL);
    for (unsigned i = 0; table != NULL && i < table->count; i++)
        list_add(&l, table->names[i]);
    if (star)
        list_add(&l, "\\*");
    buf_add_byte(out, ')');
}

void imap_write_special_use(struct buf *out, uint32_t use)
{
    for (uint32_t bit = 1; bit <= USE_EVERY; bit <<= 1) {
        if ((use & bit) != 0) {
            buf_add_byte(out, ' ');
            buf_add_str(out, special_use_name((enum special_use)bit));
        }
    }
}

/* --- LIST and STATUS --- */

static void add_attributes(const struct list *l, const struct imap_list_row *row)
{
    static const struct imap_codec_name names[] = {
        { "\\Noinferiors", IMAP_ATTR_NOINFERIORS },
        { "\\Noselect", IMAP_ATTR_NOSELECT },
        { "\\NonExistent", IMAP_ATTR_NONEXISTENT },
        { "\\HasChildren", IMAP_ATTR_HASCHILDREN },
        { "\\HasNoChildren", IMAP_ATTR_HASNOCHILDREN },
        { "\\Subscribed", IMAP_ATTR_SUBSCRIBED },
        { "\\Marked", IMAP_ATTR_MARKED },
        { "\\Unmarked", IMAP_ATTR_UNMARKED },
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if ((row->attributes & names[i].bit) != 0)
            list_add(l, names[i].name);
    }
    for (uint32_t bit = 1; bit <= USE_EVERY; bit <<= 1) {
        if ((row->use & bit) != 0)
            list_add(l, special_use_name((enum special_use)bit));
    }
}

/* mbox-list-extended of RFC 5258 */
static void add_extended(struct buf *out, const struct imap_list_row *row, bool utf8)
{
    if (!row->childinfo_subscribed && row->old_name.data == NULL)
        return;
    buf_add_byte(out, ' ');
    struct list l = list_open(out);
    if (row->childinfo_subscribed)
        list_add(&l, "\"CHILDINFO\" (\"SUBSCRIBED\")");
    if (row->old_name.data != NULL) {
        list_add(&l, "\"OLDNAME\" (");
        imap_write_mailbox(out, row->old_name, utf8);
        buf_add_byte(out, ')');
    }
    buf_add_byte(out, ')');
}

void imap_write_list(struct buf *out, const struct imap_list_row *row, bool utf8)
{
    buf_add_str(out, row->lsub ? "* LSUB " : "* LIST ");
    struct list l = list_open(out);
    add_attributes(&l, row);
    buf_addf(out, ") \"%c\" ", MAILBOX_SEPARATOR);
    imap_write_mailbox(out, row->name, utf8);
    add_extended(out, row, utf8);
    buf_add_str(out, "\r\n");
}

static uint64_t status_value(const struct imap_status_values *v, uint32_t item)
{
    switch (item) {
    case IMAP_STATUS_MESSAGES:
        return v->messages;
    case IMAP_STATUS_RECENT:
        return v->recent;
    case IMAP_STATUS_UIDNEXT:
        return v->uidnext;
    case IMAP_STATUS_UIDVALIDITY:
        return v->uidvalidity;
    case IMAP_STATUS_UNSEEN:
        return v->unseen;
    case IMAP_STATUS_DELETED:
        return v->deleted;
    case IMAP_STATUS_SIZE:
        return v->size;
    case IMAP_STATUS_HIGHESTMODSEQ:
        return v->highestmodseq;
    default:
        return v->appendlimit;
    }
}

void imap_write_status(struct buf *out, struct slice mailbox, bool utf8, uint32_t items,
                       const struct imap_status_values *values)
{
    buf_add_str(out, "* STATUS ");
    imap_write_mailbox(out, mailbox, utf8);
    buf_add_byte(out, ' ');
    struct list l = list_open(out);
    for (const struct imap_codec_name *n = imap_codec_status_names; n->name != NULL; n++) {
        if ((items & n->bit) == 0)
            continue;
        list_add(&l, n->name);
        if (n->bit == IMAP_STATUS_MAILBOXID)
            buf_addf(out, " (%.*s)", SLICE_FMT(values->mailboxid));
        else
            buf_addf(out, " %llu", (unsigned long long)status_value(values, n->bit));
    }
    buf_add_str(out, ")\r\n");
}

/* --- SEARCH --- */

void imap_write_search(struct buf *out, const struct uidset *result, uint64_t modseq)
{
    struct uidset_iter it = uidset_iter(result);
    uint32_t number;
    buf_add_str(out, "* SEARCH");
    while (uidset_next(&it, &number)) {
        buf_add_byte(out, ' ');
        buf_add_u64(out, number);
    }
    if (modseq != 0 && !uidset_is_empty(result))
        buf_addf(out, " (MODSEQ %llu)", (unsigned long long)modseq);
    buf_add_str(out, "\r\n");
}

void imap_write_esearch(struct buf *out, struct slice tag, bool uid, uint32_t returns,
                        const struct uidset *result, uint64_t modseq)
{
    bool any = !uidset_is_empty(result);
    buf_add_str(out, "* ESEARCH (TAG ");
    imap_format_string(out, tag, false);
    buf_add_str(out, uid ? ") UID" : ")");
    if (any && (returns & IMAP_SEARCH_MIN) != 0)
        buf_addf(out, " MIN %u", uidset_min(result));
    if (any && (returns & IMAP_SEARCH_MAX) != 0)
        buf_addf(out, " MAX %u", uidset_max(result));
    if ((returns & IMAP_SEARCH_COUNT) != 0)
        buf_addf(out, " COUNT %llu", (unsigned long long)uidset_count(result));
    if (any && (returns & IMAP_SEARCH_ALL) != 0) {
        buf_add_str(out, " ALL ");
        uidset_format(result, out);
    }
    if (any && modseq != 0)
        buf_addf(out, " MODSEQ %llu", (unsigned long long)modseq);
    buf_add_str(out, "\r\n");
}

/* --- FETCH --- */

static const char *section_text_name(enum imap_section_text text)
{
    switch (text) {
    case IMAP_TEXT_HEADER:
        return "HEADER";
    case IMAP_TEXT_HEADER_FIELDS:
        return "HEADER.FIELDS ";
    case IMAP_TEXT_HEADER_FIELDS_NOT:
        return "HEADER.FIELDS.NOT ";
    case IMAP_TEXT_TEXT:
        return "TEXT";
    case IMAP_TEXT_MIME:
        return "MIME";
    default:
        return "";
    }
}

static void add_bracketed(struct buf *out, const struct imap_section *s)
{
    buf_add_byte(out, '[');
    for (unsigned i = 0; i < s->part_count; i++)
        buf_addf(out, i == 0 ? "%u" : ".%u", s->part[i]);
    if (s->part_count > 0 && s->text != IMAP_TEXT_ALL)
        buf_add_byte(out, '.');
    buf_add_str(out, section_text_name(s->text));
    if (s->field_count > 0) {
        struct list l = list_open(out);
        for (unsigned i = 0; i < s->field_count; i++) {
            list_blank(&l);
            imap_format_astring(out, s->fields[i], false);
        }
        buf_add_byte(out, ')');
    }
    buf_add_byte(out, ']');
    if (s->partial)
        buf_addf(out, "<%llu>", (unsigned long long)s->offset);
}

void imap_write_section(struct buf *out, const struct imap_section *section)
{
    static const char *const names[] = {
        [IMAP_SECTION_BODY] = "BODY",
        [IMAP_SECTION_BINARY] = "BINARY",
        [IMAP_SECTION_BINARY_SIZE] = "BINARY.SIZE",
        [IMAP_SECTION_RFC822] = "RFC822",
        [IMAP_SECTION_RFC822_HEADER] = "RFC822.HEADER",
        [IMAP_SECTION_RFC822_TEXT] = "RFC822.TEXT",
    };
    buf_add_str(out, names[section->kind]);
    if (section->kind <= IMAP_SECTION_BINARY_SIZE)
        add_bracketed(out, section);
}

void imap_write_id(struct buf *out, const struct imap_id_pair *pairs, unsigned count)
{
    if (count == 0) {
        buf_add_str(out, "NIL");
        return;
    }
    struct list l = list_open(out);
    for (unsigned i = 0; i < count; i++) {
        list_blank(&l);
        imap_format_string(out, pairs[i].field, false);
        buf_add_byte(out, ' ');
        imap_format_nstring(out, pairs[i].value, false);
    }
    buf_add_byte(out, ')');
}

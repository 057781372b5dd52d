/* SPDX-License-Identifier: Apache-2.0 */
/* Arguments of SELECT, EXAMINE, CREATE, DELETE, RENAME, SUBSCRIBE, UNSUBSCRIBE and STATUS. */
#include "frontend/codec/imap_codec_priv.h"

/* QRESYNC's own list (RFC 7162 7): "(" uidvalidity SP modseq [SP known-uids] [SP "(" seqs SP uids ")"] ")" */
static enum err parse_qresync(struct imap_args *args, struct imap_select *out)
{
    uint64_t uidvalidity;
    TRY(imap_args_space(args));
    TRY(imap_args_char(args, '(', "the parameters of QRESYNC"));
    TRY(imap_args_number(args, UINT32_MAX, "a UIDVALIDITY", &uidvalidity));
    TRY(imap_args_space(args));
    TRY(imap_args_number(args, INT64_MAX, "a modification sequence", &out->modseq));
    if (uidvalidity == 0 || out->modseq == 0)
        return imap_args_fail(args, "numbers above 0");
    out->qresync = true;
    out->uidvalidity = (uint32_t)uidvalidity;
    bool more = imap_args_skip(args, ' ');
    if (more && imap_args_peek(args) != '(') {
        out->has_known_uids = true;
        TRY(imap_args_seqset(args, &out->known_uids));
        more = imap_args_skip(args, ' ');
    }
    if (more) {
        out->has_match = true;
        TRY(imap_args_char(args, '(', "the sequence match data"));
        TRY(imap_args_seqset(args, &out->match_seqs));
        TRY(imap_args_space(args));
        TRY(imap_args_seqset(args, &out->match_uids));
        TRY(imap_args_char(args, ')', "a closing parenthesis"));
    }
    return imap_args_char(args, ')', "a closing parenthesis");
}

enum err imap_parse_select(struct imap_args *args, struct imap_select *out)
{
    *out = (struct imap_select){ 0 };
    TRY(imap_args_mailbox(args, &out->mailbox));
    if (imap_args_at_end(args))
        return OK;
    TRY(imap_args_space(args));
    TRY(imap_args_char(args, '(', "a list of parameters"));
    do {
        if (imap_args_skip_word(args, "CONDSTORE"))
            out->condstore = true;
        else if (!out->qresync && imap_args_skip_word(args, "QRESYNC"))
            TRY(parse_qresync(args, out));
        else
            return imap_args_fail(args, "CONDSTORE or QRESYNC");
    } while (imap_args_skip(args, ' '));
    TRY(imap_args_char(args, ')', "a closing parenthesis"));
    return imap_args_end(args);
}

/* "\Sent": a backslash and an atom, with the backslash. */
static enum err parse_use(struct imap_args *args, struct imap_create *out)
{
    struct slice attribute;
    TRY(imap_codec_flag(args, "a special-use attribute", &attribute));
    uint32_t use = special_use_find(attribute);
    out->use |= use;
    out->has_unknown_use = out->has_unknown_use || use == 0;
    return OK;
}

enum err imap_parse_create(struct imap_args *args, struct imap_create *out)
{
    *out = (struct imap_create){ 0 };
    TRY(imap_args_new_mailbox(args, &out->mailbox, &out->is_parent));
    if (imap_args_at_end(args))
        return OK;
    TRY(imap_args_space(args));
    TRY(imap_args_char(args, '(', "a list of parameters"));
    if (!imap_args_skip_word(args, "USE"))
        return imap_args_fail(args, "USE");
    TRY(imap_args_space(args));
    TRY(imap_args_char(args, '(', "a list of special-use attributes"));
    while (!imap_args_skip(args, ')')) {
        if (out->use != 0 || out->has_unknown_use)
            TRY(imap_args_space(args));
        TRY(parse_use(args, out));
    }
    TRY(imap_args_char(args, ')', "a closing parenthesis"));
    return imap_args_end(args);
}

enum err imap_parse_rename(struct imap_args *args, struct imap_rename *out)
{
    *out = (struct imap_rename){ 0 };
    TRY(imap_args_mailbox(args, &out->from));
    TRY(imap_args_space(args));
    TRY(imap_args_mailbox(args, &out->to));
    return imap_args_end(args);
}

enum err imap_parse_mailbox(struct imap_args *args, struct slice *mailbox_out)
{
    TRY(imap_args_mailbox(args, mailbox_out));
    return imap_args_end(args);
}

const struct imap_codec_name imap_codec_status_names[] = {
    { "MESSAGES", IMAP_STATUS_MESSAGES },
    { "RECENT", IMAP_STATUS_RECENT },
    { "UIDNEXT", IMAP_STATUS_UIDNEXT },
    { "UIDVALIDITY", IMAP_STATUS_UIDVALIDITY },
    { "UNSEEN", IMAP_STATUS_UNSEEN },
    { "DELETED", IMAP_STATUS_DELETED },
    { "SIZE", IMAP_STATUS_SIZE },
    { "HIGHESTMODSEQ", IMAP_STATUS_HIGHESTMODSEQ },
    { "APPENDLIMIT", IMAP_STATUS_APPENDLIMIT },
    { "MAILBOXID", IMAP_STATUS_MAILBOXID },
    { NULL, 0 },
};

bool imap_codec_skip_name(struct imap_args *args, const struct imap_codec_name *table, uint32_t *bits)
{
    for (; table->name != NULL; table++) {
        if (imap_args_skip_word(args, table->name)) {
            *bits |= table->bit;
            return true;
        }
    }
    return false;
}

enum err imap_codec_status_items(struct imap_args *args, uint32_t *items_out)
{
    *items_out = 0;
    TRY(imap_args_char(args, '(', "a list of status items"));
    do {
        if (!imap_codec_skip_name(args, imap_codec_status_names, items_out))
            return imap_args_fail(args, "a status item");
    } while (imap_args_skip(args, ' '));
    return imap_args_char(args, ')', "a closing parenthesis");
}

enum err imap_parse_status(struct imap_args *args, struct imap_status *out)
{
    *out = (struct imap_status){ 0 };
    TRY(imap_args_mailbox(args, &out->mailbox));
    TRY(imap_args_space(args));
    TRY(imap_codec_status_items(args, &out->items));
    return imap_args_end(args);
}

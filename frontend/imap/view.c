/* SPDX-License-Identifier: Apache-2.0 */
#include "frontend/imap/view.h"

#include "lib/base/log.h"

void imap_view_init(struct imap_view *v, const struct mailbox *mailbox, const struct uidset *uids,
                    bool read_only)
{
    *v = (struct imap_view){
        .mailbox = { mailbox->id, mailbox->uidvalidity },
        .uidnext = mailbox->uidnext,
        .recent_floor = mailbox->recent_uid,
        .recent_told = mailbox->recent_uid,
        .read_only = read_only,
        .modseq = mailbox->modseq,
    };
    uidmap_load(&v->map, uids);
    imap_view_set_keywords(v, mailbox->keywords, mailbox->keyword_count);
}

void imap_view_fini(struct imap_view *v)
{
    uidmap_fini(&v->map);
    uidset_fini(&v->gone);
    keyword_table_fini(&v->keywords);
    *v = (struct imap_view){ 0 };
}

bool imap_view_set_keywords(struct imap_view *v, const struct slice *names, uint32_t count)
{
    uint32_t before = v->keywords.count;

    /* Keyword i is bit i for ever, so only the new end is of interest. */
    for (uint32_t i = before; i < count; i++) {
        unsigned index;

        if (keyword_table_add(&v->keywords, names[i], &index) != OK || index != i) {
            log_warn("imap", "mailbox %llu has a keyword that cannot be shown",
                     (unsigned long long)v->mailbox.id);
            break;
        }
    }
    return v->keywords.count > before;
}

bool imap_view_is_next(const struct imap_view *v, uint64_t before_modseq, uint32_t keyword_count)
{
    return before_modseq != 0 && before_modseq == v->modseq && keyword_count == v->keywords.count;
}

void imap_view_advance(struct imap_view *v, uint64_t modseq)
{
    if (modseq > v->modseq)
        v->modseq = modseq;
}

bool imap_view_is_recent(const struct imap_view *v, uint32_t uid)
{
    return uid > v->recent_floor;
}

uint32_t imap_view_recent_count(const struct imap_view *v)
{
    return v->recent_floor == UINT32_MAX ? 0
                                         : v->map.count + 1 - uidmap_seq_from(&v->map, v->recent_floor + 1);
}

enum err imap_view_resolve(const struct imap_view *v, const struct imap_set *set, bool uid,
                           const struct uidset *saved, struct uidset *uids_out)
{
    if (!set->saved)
        return uidmap_select(&v->map, &set->set, uid, uids_out);

    /* RFC 5182 2.1: messages that were expunged since leave the saved result. */
    struct uidset here = { 0 };

    uidmap_uids(&v->map, &here);
    uidset_intersect(saved, &here, uids_out);
    uidset_fini(&here);
    return OK;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* A mailbox's keyword table: bit i of a message's mask is name i; it only grows, so a bit keeps its meaning.
 */
#include "storage-node/mailbox/edit/edit.h"

enum err mailbox_load_keywords(struct apply *a, struct mailbox_edit *m)
{
    if (m->keywords_loaded)
        return OK;
    m->keywords_loaded = true;
    return state_keywords(&a->state, m->account->id, m->row.id, &m->keywords);
}

static uint64_t find_bit(const struct mailbox_edit *m, struct slice name)
{
    for (uint8_t i = 0; i < m->keywords.count; i++) {
        if (slice_eq_nocase(m->keywords.names[i], name))
            return UINT64_C(1) << i;
    }
    return 0;
}

uint64_t mailbox_keyword_bit(struct mailbox_edit *m, struct slice name)
{
    uint64_t bit = find_bit(m, name);
    if (bit != 0 || m->keywords.count == KEYWORDS_MAX)
        return bit;
    m->keywords.names[m->keywords.count++] = name;
    m->keywords_dirty = true;
    return UINT64_C(1) << (m->keywords.count - 1);
}

uint64_t keyword_bits_translate(struct keyword_bits *b, const struct mailbox_edit *from,
                                struct mailbox_edit *to, uint64_t mask)
{
    if (from == to)
        return mask;
    uint64_t out = 0;
    for (uint8_t i = 0; i < from->keywords.count; i++) {
        uint64_t bit = UINT64_C(1) << i;
        if ((mask & bit) == 0)
            continue;
        if ((b->known & bit) == 0) {
            b->of[i] = mailbox_keyword_bit(to, from->keywords.names[i]);
            b->known |= bit;
        }
        out |= b->of[i];
    }
    return out;
}

enum err mailbox_keyword_mask(struct apply *a, struct mailbox_edit *m, char *const *names, size_t count,
                              bool add, uint64_t *mask_out)
{
    *mask_out = 0;
    if (count == 0)
        return OK;
    TRY(mailbox_load_keywords(a, m));
    for (size_t i = 0; i < count; i++) {
        struct slice name = slice_str(names[i]);
        uint64_t bit = add ? mailbox_keyword_bit(m, name) : find_bit(m, name);
        if (bit == 0 && add)
            return ERR_LIMIT;
        *mask_out |= bit;
    }
    return OK;
}

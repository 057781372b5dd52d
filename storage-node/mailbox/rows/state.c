/* SPDX-License-Identifier: Apache-2.0 */
#include "storage-node/mailbox/rows/state.h"

#include <stdio.h>

#include "lib/base/log.h"

enum err state_get(const struct state *s, const struct key *key, struct kv_value *out)
{
    if (s->txn != NULL)
        return kv_txn_get(s->txn, KV_STATE, key_slice(key), out);
    return kv_get(s->kv, s->view, KV_STATE, key_slice(key), out);
}

struct kv_iter *state_iter(const struct state *s, const struct key *lower, const struct key *upper)
{
    if (s->txn != NULL)
        return kv_txn_iter(s->txn, KV_STATE, key_slice(lower), key_slice(upper));
    return kv_iter_new(s->kv, s->view, KV_STATE, key_slice(lower), key_slice(upper));
}

struct kv_iter *state_iter_prefix(const struct state *s, const struct key *prefix)
{
    struct key behind = *prefix;
    key_behind(&behind);
    return state_iter(s, prefix, &behind);
}

enum err state_first_key(const struct state *s, const struct key *prefix, struct key *key_out,
                         struct cursor *rest_out)
{
    struct kv_iter *it = state_iter_prefix(s, prefix);
    bool found = kv_iter_seek(it, key_slice(prefix));
    enum err err = kv_iter_err(it);
    if (found) {
        key_out->len = 0;
        key_text(key_out, kv_iter_key(it));
    }
    kv_iter_free(&it);
    TRY(err);
    if (!found)
        return ERR_NOT_FOUND;
    enum key_kind kind;
    return key_read(key_slice(key_out), &kind, rest_out) ? OK : state_corrupt(s, key_out);
}

enum err state_corrupt_row(const struct state *s, struct slice key)
{
    char hex[2 * 48 + 1] = "";
    for (size_t i = 0; i < key.len && i < 48; i++)
        snprintf(hex + 2 * i, 3, "%02x", key.data[i]);
    log_error("machine", "damaged row partition=%u key=%s", s->partition, hex);
    return ERR_CORRUPT;
}

enum err state_corrupt(const struct state *s, const struct key *key)
{
    return state_corrupt_row(s, key_slice(key));
}

/* Read a row whose decoded form borrows nothing. */
#define LOAD(s, key, decode, out)                           \
    do {                                                    \
        struct kv_value load_value_;                        \
        TRY(state_get((s), (key), &load_value_));           \
        bool load_good_ = decode(load_value_.bytes, (out)); \
        kv_value_release(&load_value_);                     \
        return load_good_ ? OK : state_corrupt((s), (key)); \
    } while (0)

/* Read a row whose decoded form borrows: the value is copied to the arena first. */
#define LOAD_KEPT(s, key, decode, out)                                         \
    do {                                                                       \
        struct kv_value load_value_;                                           \
        TRY(state_get((s), (key), &load_value_));                              \
        struct slice load_bytes_ = arena_slice((s)->arena, load_value_.bytes); \
        kv_value_release(&load_value_);                                        \
        return decode(load_bytes_, (out)) ? OK : state_corrupt((s), (key));    \
    } while (0)

enum err state_number(const struct state *s, const struct key *key, uint64_t *out)
{
    LOAD(s, key, number_decode, out);
}

enum err state_address(const struct state *s, struct slice address, struct address_row *out)
{
    struct key key;
    key_address(&key, s->partition, address);
    LOAD_KEPT(s, &key, address_decode, out);
}

enum err state_account(const struct state *s, uint64_t account, struct account_row *out)
{
    struct key key;
    key_account(&key, s->partition, account);
    LOAD_KEPT(s, &key, account_decode, out);
}

enum err state_counters(const struct state *s, uint64_t account, struct counters_row *out)
{
    struct key key;
    key_counters(&key, s->partition, account);
    LOAD(s, &key, counters_decode, out);
}

enum err state_mailbox(const struct state *s, uint64_t account, uint64_t id, struct mailbox_row *out)
{
    struct key key;
    key_mailbox(&key, s->partition, account, id);
    out->id = id;
    LOAD(s, &key, mailbox_decode, out);
}

enum err state_mailbox_open(const struct state *s, uint64_t account, uint64_t id, uint32_t uidvalidity,
                            struct mailbox_row *out)
{
    TRY(state_mailbox(s, account, id, out));
    if (out->noselect)
        return ERR_NOT_FOUND;
    return uidvalidity == 0 || uidvalidity == out->uidvalidity ? OK : ERR_UIDVALIDITY;
}

static enum err load_keywords(const struct state *s, const struct key *key, struct keywords_row *out)
{
    LOAD_KEPT(s, key, keywords_decode, out);
}

enum err state_keywords(const struct state *s, uint64_t account, uint64_t mailbox, struct keywords_row *out)
{
    struct key key;
    key_of_mailbox(&key, s->partition, account, KEY_KEYWORDS, mailbox);
    enum err err = load_keywords(s, &key, out);
    if (err != ERR_NOT_FOUND)
        return err;
    out->modseq = 0;
    out->count = 0;
    return OK;
}

static enum err load_recovered(const struct state *s, const struct key *key, struct recovered_row *out)
{
    LOAD_KEPT(s, key, recovered_decode, out);
}

enum err state_recovered(const struct state *s, struct recovered_row *out)
{
    struct key key;
    key_recovered(&key, s->partition);
    *out = (struct recovered_row){ 0 };
    enum err err = load_recovered(s, &key, out);
    return err == ERR_NOT_FOUND ? OK : err;
}

enum err state_message(const struct state *s, uint64_t account, uint64_t mailbox, uint32_t uid,
                       struct message_row *out)
{
    struct key key;
    key_of_uid(&key, s->partition, account, KEY_MESSAGE, mailbox, uid);
    LOAD(s, &key, message_decode, out);
}

enum err state_summary(const struct state *s, uint64_t account, uint64_t mailbox, uint32_t uid,
                       struct slice *out)
{
    struct key key;
    key_of_uid(&key, s->partition, account, KEY_SUMMARY, mailbox, uid);
    LOAD_KEPT(s, &key, summary_row_decode, out);
}

static enum err load_segment(const struct state *s, const struct key *key, struct segment_row *out)
{
    LOAD(s, key, segment_decode, out);
}

enum err state_segment(const struct state *s, uint64_t account, uint64_t mailbox, uint32_t number,
                       struct segment_row *out)
{
    struct key key;
    key_segment(&key, s->partition, account, mailbox, number);
    enum err err = load_segment(s, &key, out);
    if (err != ERR_NOT_FOUND)
        return err;
    *out = (struct segment_row){ 0 };
    return OK;
}

enum err state_body(const struct state *s, uint64_t body, struct body_row *out)
{
    struct key key;
    key_body(&key, s->partition, body);
    LOAD_KEPT(s, &key, body_decode, out);
}

/* ---- names */

enum err state_child(const struct state *s, uint64_t account, uint64_t parent, struct slice name,
                     uint64_t *id_out)
{
    if (name.len > MAILBOX_LEVEL_SIZE_MAX)
        return ERR_NOT_FOUND;
    struct key key;
    key_name(&key, s->partition, account, parent, name);
    return state_number(s, &key, id_out);
}

enum err state_path(const struct state *s, uint64_t account, struct slice full, uint64_t *id_out)
{
    uint64_t parent = 0;
    for (;;) {
        ptrdiff_t at = slice_find(full, MAILBOX_SEPARATOR);
        struct slice level = at < 0 ? full : slice_sub(full, 0, (size_t)at);
        TRY(state_child(s, account, parent, level, id_out));
        if (at < 0)
            return OK;
        parent = *id_out;
        full = slice_sub(full, (size_t)at + 1, full.len);
    }
}

enum err state_full_name(const struct state *s, uint64_t account, const struct mailbox_row *row,
                         struct slice *out)
{
    struct slice full = arena_slice(s->arena, mailbox_leaf(row));
    struct mailbox_row above = { .parent = row->parent };
    for (unsigned depth = 1; above.parent != 0; depth++) {
        enum err err = state_mailbox(s, account, above.parent, &above);
        if (err == ERR_NOT_FOUND || depth > MAILBOX_DEPTH_MAX)
            return ERR_CORRUPT;
        TRY(err);
        full =
            slice_str(arena_printf(s->arena, "%.*s/%.*s", SLICE_FMT(mailbox_leaf(&above)), SLICE_FMT(full)));
    }
    *out = full;
    return OK;
}

/* ---- UIDs */

/* Add the set bits of one segment that lie within [first, last]. */
static void add_bits(const uint8_t bits[SEGMENT_BYTES], uint32_t number, uint32_t first, uint32_t last,
                     struct uidset *out)
{
    uint64_t base = (uint64_t)number * SEGMENT_UIDS;
    for (unsigned i = 0; i < SEGMENT_UIDS;) {
        if (i % 8 == 0 && bits[i / 8] == 0) {
            i += 8;
            continue;
        }
        if ((bits[i / 8] >> i % 8 & 1) == 0) {
            i++;
            continue;
        }
        unsigned end = i + 1;
        while (end < SEGMENT_UIDS && (bits[end / 8] >> end % 8 & 1) != 0)
            end++;
        uint64_t from = base + i, to = base + end - 1;
        from = from < first ? first : from;
        to = to > last ? last : to;
        if (from <= to)
            uidset_add_range(out, (uint32_t)from, (uint32_t)to);
        i = end;
    }
}

/* Up to this many segments are read one by one instead of with an iterator. */
enum { SEGMENT_GETS_MAX = 4 };

/* Those that have moved away do not count any more. */
static const uint8_t *bits_in_sight(const struct mailbox_row *mailbox, enum segment_bits bits,
                                    struct segment_row *row)
{
    uint8_t *out = bits == SEGMENT_EXISTS ? row->exists : row->unseen;
    for (size_t i = 0; mailbox->leaving == LEAVING_GONE && i < SEGMENT_BYTES; i++)
        out[i] &= (uint8_t)~row->leaving[i];
    return out;
}

static enum err scan_segments(const struct state *s, uint64_t account, const struct mailbox_row *mailbox,
                              enum segment_bits bits, uint32_t first, uint32_t last, struct uidset *out)
{
    struct segment_row row;
    uint32_t number = first / SEGMENT_UIDS, end = last / SEGMENT_UIDS;
    if (end - number < SEGMENT_GETS_MAX) {
        for (; number <= end; number++) {
            TRY(state_segment(s, account, mailbox->id, number, &row));
            add_bits(bits_in_sight(mailbox, bits, &row), number, first, last, out);
        }
        return OK;
    }
    struct key lower, upper;
    key_segment(&lower, s->partition, account, mailbox->id, number);
    key_segment(&upper, s->partition, account, mailbox->id, end);
    key_behind(&upper);
    struct kv_iter *it = state_iter(s, &lower, &upper);
    enum err err = OK;
    for (bool on_row = kv_iter_seek(it, key_slice(&lower)); on_row && err == OK; on_row = kv_iter_next(it)) {
        struct cursor rest;
        enum key_kind kind;
        bool good = key_read(kv_iter_key(it), &kind, &rest);
        cursor_be64(&rest);
        number = cursor_be32(&rest);
        if (good && cursor_done(&rest) && segment_decode(kv_iter_value(it), &row))
            add_bits(bits_in_sight(mailbox, bits, &row), number, first, last, out);
        else
            err = state_corrupt_row(s, kv_iter_key(it));
    }
    if (err == OK)
        err = kv_iter_err(it);
    kv_iter_free(&it);
    return err;
}

enum err state_uids(const struct state *s, uint64_t account, const struct mailbox_row *mailbox,
                    enum segment_bits bits, uint32_t first, uint32_t last, struct uidset *out)
{
    uidset_clear(out);
    first = first == 0 ? 1 : first;
    if (first > last)
        return OK;
    TRY(scan_segments(s, account, mailbox, bits, first, last, out));
    if (mailbox->staged_first != 0)
        uidset_remove_range(out, mailbox->staged_first, mailbox->staged_last);
    return OK;
}

enum err state_is_in_sight(const struct state *s, uint64_t account, const struct mailbox_row *mailbox,
                           uint32_t uid, bool *out)
{
    *out = uid < mailbox->staged_first || uid > mailbox->staged_last;
    if (!*out || mailbox->leaving != LEAVING_GONE)
        return OK;
    struct segment_row row;
    TRY(state_segment(s, account, mailbox->id, uid / SEGMENT_UIDS, &row));
    *out = (row.leaving[uid % SEGMENT_UIDS / 8] >> uid % 8 & 1) == 0;
    return OK;
}

enum err state_segment_from(const struct state *s, uint64_t account, uint64_t mailbox, uint32_t *number,
                            struct segment_row *out)
{
    struct key lower, upper;
    key_segment(&lower, s->partition, account, mailbox, *number);
    key_of_mailbox(&upper, s->partition, account, KEY_SEGMENT, mailbox);
    key_behind(&upper);
    struct kv_iter *it = state_iter(s, &lower, &upper);
    enum err err = ERR_NOT_FOUND;
    if (kv_iter_seek(it, key_slice(&lower))) {
        struct cursor rest;
        enum key_kind kind;
        bool good = key_read(kv_iter_key(it), &kind, &rest);
        cursor_be64(&rest);
        *number = cursor_be32(&rest);
        good = good && cursor_done(&rest) && segment_decode(kv_iter_value(it), out);
        err = good ? OK : state_corrupt_row(s, kv_iter_key(it));
    } else if (kv_iter_err(it) != OK) {
        err = kv_iter_err(it);
    }
    kv_iter_free(&it);
    return err;
}

enum err state_stage(const struct state *s, uint64_t account, struct stage_row *out)
{
    struct key key;
    key_stage(&key, s->partition, account);
    LOAD(s, &key, stage_decode, out);
}

enum err state_uids_among(const struct state *s, uint64_t account, const struct mailbox_row *mailbox,
                          const struct uidset *wanted, struct uidset *out)
{
    uidset_clear(out);
    if (uidset_is_empty(wanted))
        return OK;
    struct uidset existing = { 0 };
    enum err err =
        state_uids(s, account, mailbox, SEGMENT_EXISTS, uidset_min(wanted), uidset_max(wanted), &existing);
    if (err == OK)
        uidset_intersect(wanted, &existing, out);
    uidset_fini(&existing);
    return err;
}

/* ---- all mailboxes */

enum err mailbox_scan_next(const struct state *s, uint64_t account, struct mailbox_scan *scan,
                           struct mailbox_row *out)
{
    bool on_row;
    if (scan->it == NULL) {
        struct key prefix;
        key_begin(&prefix, s->partition, account, KEY_MAILBOX);
        scan->it = state_iter_prefix(s, &prefix);
        on_row = kv_iter_seek(scan->it, key_slice(&prefix));
    } else {
        on_row = kv_iter_next(scan->it);
    }
    if (!on_row) {
        TRY(kv_iter_err(scan->it));
        return ERR_NOT_FOUND;
    }
    struct cursor rest;
    enum key_kind kind;
    bool good = key_read(kv_iter_key(scan->it), &kind, &rest);
    out->id = cursor_be64(&rest);
    if (!good || !cursor_done(&rest) || !mailbox_decode(kv_iter_value(scan->it), out))
        return state_corrupt_row(s, kv_iter_key(scan->it));
    return OK;
}

void mailbox_scan_end(struct mailbox_scan *scan)
{
    kv_iter_free(&scan->it);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/storage/bodies.h"

#include "lib/mail/uidset.h"
#include "storage-node/mailbox/machine.h"
#include "storage-node/mailbox/queue/queue_rows.h"
#include "storage-node/mailbox/rows/keys.h"
#include "storage-node/mailbox/rows/rows.h"

/* Indexes of entries, small enough here for a set of UIDs. */
static void add_chunks(struct slice chunks, struct uidset *out)
{
    struct cursor c = cursor_of(chunks);
    for (struct chunk chunk; chunk_next(&c, &chunk);)
        uidset_add(out, (uint32_t)chunk.index);
}

/* One row that stays, of a queue that is empty. */
static bool is_empty_queue(enum key_kind kind, struct slice value)
{
    struct queue_totals_row totals;
    return kind == KEY_QUEUE_TOTALS && queue_totals_decode(value, &totals) && totals.items == 0 &&
           totals.bytes == 0 && totals.held == 0 && totals.failed == 0;
}

static void look_at_row(struct world *w, struct slice key, struct slice value, bool none, struct uidset *out)
{
    enum key_kind kind;
    struct cursor rest;
    struct body_row body;
    struct upload_row upload;
    if (!key_read(key, &kind, &rest))
        world_fail(w, "a key cannot be read");
    else if (kind == KEY_BODY && body_decode(value, &body))
        add_chunks(body.chunks, out);
    else if (kind == KEY_UPLOAD && upload_decode(value, &upload))
        add_chunks(upload.chunks, out);
    else if (none && kind != KEY_CLOCK && kind != KEY_PARTITION && kind != KEY_DELIVERY &&
             !is_empty_queue(kind, value))
        world_fail(w, "a row of kind %d is left when all accounts have long been deleted", kind);
}

static void list_referred(struct world *w, uint32_t partition, bool none, struct uidset *out)
{
    struct buf lower = { 0 }, upper = { 0 };
    machine_key_range(partition, &lower, &upper);
    struct kv_iter *it = kv_iter_new(w->kv, NULL, KV_STATE, buf_slice(&lower), buf_slice(&upper));
    for (bool more = kv_iter_seek(it, buf_slice(&lower)); more; more = kv_iter_next(it))
        look_at_row(w, kv_iter_key(it), kv_iter_value(it), none, out);
    kv_iter_free(&it);
    buf_fini(&lower);
    buf_fini(&upper);
}

static void list_stored(struct world *w, uint32_t partition, struct uidset *out)
{
    struct buf lower = { 0 }, upper = { 0 };
    machine_body_key(partition, 0, &lower);
    machine_body_key(partition, UINT64_MAX, &upper);
    struct kv_iter *it = kv_iter_new(w->kv, NULL, KV_BODY, buf_slice(&lower), buf_slice(&upper));
    for (bool more = kv_iter_seek(it, buf_slice(&lower)); more; more = kv_iter_next(it)) {
        struct cursor c = cursor_of(kv_iter_key(it));
        cursor_be32(&c);
        uidset_add(out, (uint32_t)cursor_be64(&c));
    }
    kv_iter_free(&it);
    buf_fini(&lower);
    buf_fini(&upper);
}

void bodies_check(struct world *w, bool none)
{
    for (uint32_t partition = 0; partition < WORLD_PARTITIONS && !w->failed; partition++) {
        struct uidset referred = { 0 }, stored = { 0 }, lost = { 0 }, orphans = { 0 };
        list_referred(w, partition, none, &referred);
        list_stored(w, partition, &stored);
        uidset_subtract(&referred, &stored, &lost);
        uidset_subtract(&stored, &referred, &orphans);
        if (!uidset_is_empty(&lost) || !uidset_is_empty(&orphans) || (none && !uidset_is_empty(&stored)))
            world_fail(w, "partition %u: %llu bodies are lost and %llu without a row, of %llu", partition,
                       (unsigned long long)uidset_count(&lost), (unsigned long long)uidset_count(&orphans),
                       (unsigned long long)uidset_count(&stored));
        uidset_fini(&referred);
        uidset_fini(&stored);
        uidset_fini(&lost);
        uidset_fini(&orphans);
    }
}

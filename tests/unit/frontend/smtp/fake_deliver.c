/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/frontend/smtp/fake_deliver.h"

#include <stdlib.h>

#include "frontend/queue/queue.h"
#include "lib/base/alloc.h"
#include "lib/fiber/fiber.h"
#include "lib/store/message.h"

struct fake_deliver fake_deliver;

struct upload {
    struct buf bytes;
};

struct upload *upload_new(struct store *store, const uint32_t *partitions, size_t count)
{
    (void)store;
    (void)partitions;
    (void)count;
    fake_deliver.uploads++;
    return NEW(struct upload);
}

enum err upload_write(struct upload *u, struct slice bytes)
{
    fiber_yield();
    buf_add_slice(&u->bytes, bytes);
    return fake_deliver.write_err;
}

void upload_limit_wait(struct upload *u, uint32_t wait_ms)
{
    (void)u;
    fake_deliver.wait_ms = wait_ms;
}

void upload_want_spare(struct upload *u)
{
    (void)u;
}

uint64_t upload_size(const struct upload *u)
{
    return u->bytes.len;
}

void upload_finish(struct upload *u, struct slice summary)
{
    (void)u;
    if (summary.len == 0)
        abort();
}

void upload_free(struct upload **u)
{
    if (*u == NULL)
        return;
    fake_deliver.uploads--;
    buf_fini(&(*u)->bytes);
    free(*u);
    *u = NULL;
}

struct delivery_id delivery_id_new(void)
{
    return (struct delivery_id){ { 1 } };
}

void store_deliver(struct store *store, struct upload *upload, struct delivery_id id,
                   struct delivery_target *targets, size_t count)
{
    (void)store;
    (void)id;
    fiber_yield();
    fake_deliver.count++;
    fake_deliver.targets = count;
    buf_clear(&fake_deliver.message);
    buf_add_slice(&fake_deliver.message, buf_slice(&upload->bytes));
    for (size_t i = 0; i < count; i++)
        targets[i].status = i < fake_deliver.failing_from ? OK : fake_deliver.status;
}

bool upload_is_inline(const struct upload *u)
{
    (void)u;
    return !fake_deliver.large;
}

enum err store_partition_of(const struct store *store, struct slice address, uint32_t *partition_out)
{
    (void)store;
    (void)address;
    *partition_out = 1;
    return OK;
}

void queue_home_suspect(struct queue *q, uint32_t partition)
{
    (void)q;
    (void)partition;
    fake_deliver.suspected++;
}

bool queue_home_is_away(const struct queue *q, uint32_t partition)
{
    (void)q;
    (void)partition;
    return fake_deliver.home_away;
}

enum err queue_put(struct queue *q, struct store *store, struct upload *upload, const struct queue_put *put)
{
    (void)q;
    (void)store;
    (void)upload;
    fiber_yield();
    fake_deliver.queued++;
    fake_deliver.queued_recipients = put->recipient_count;
    fake_deliver.queued_id = put->delivery.bytes[0];
    buf_clear(&fake_deliver.queued_paths);
    for (size_t i = 0; i < put->recipient_count; i++)
        buf_addf(&fake_deliver.queued_paths, "%.*s ", SLICE_FMT(put->recipients[i].path));
    return fake_deliver.queue_err;
}

enum err store_address_resolve(struct store *store, struct slice address, uint32_t wait_ms,
                               struct arena *arena, struct store_targets *out)
{
    (void)wait_ms;
    fake_deliver.resolved++;
    struct address_row row;
    *out = (struct store_targets){ 0 };
    TRY(fake_deliver.resolve_err);
    TRY(store_address_lookup(store, address, arena, &row));
    out->accounts = row.account;
    out->account_count = row.account != NULL;
    return OK;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Writing past the write-ahead log: once, to the write buffers, and from there to files. Without the log
 * nothing but the pace of the writing-out holds a writer back until RocksDB stops everybody, mail too; so who
 * writes past the log waits long before that. */
#include <unistd.h>

#include "storage-node/kv/rocks_priv.h"

enum {
    BUFFERS_MAX = 2, /* of a family, full and not written out; at max_write_buffer_number all writers stop */
    NAP_US = 1000,
};

static const enum kv_family families[] = { KV_STATE, KV_BODY };
enum { FAMILIES = sizeof families / sizeof families[0] };

static bool must_wait(const struct rocks *r)
{
    if (rocks_property(r, KV_META, "rocksdb.background-errors") != 0)
        return false; /* nothing will be written out any more: the write says why */
    for (int i = 0; i < FAMILIES; i++) {
        if (rocks_property(r, families[i], "rocksdb.num-immutable-mem-table") >= BUFFERS_MAX)
            return true;
    }
    return rocks_is_stalled(r);
}

enum err rocks_write_unlogged(struct kv *kv, struct kv_batch *base)
{
    struct rocks *r = rocks_of(kv);
    char *message = NULL;
    while (must_wait(r))
        usleep(NAP_US);
    rocksdb_write(r->db, r->write_unlogged, ((struct rocks_batch *)base)->batch, &message);
    return rocks_write_err(r, "write past the log", message);
}

enum err rocks_persist(struct kv *kv)
{
    struct rocks *r = rocks_of(kv);
    enum err err = OK;
    for (int i = 0; i < FAMILIES && err == OK; i++) {
        char *message = NULL;
        rocksdb_flush_cf(r->db, r->flush, r->families[families[i]], &message);
        err = rocks_write_err(r, "writing buffers out", message);
    }
    return err;
}

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STORAGE_NODE_KV_TXN_PRIV_H
#define STORAGE_NODE_KV_TXN_PRIV_H

#include "storage-node/kv/kv_priv.h"
#include "storage-node/kv/skiplist.h"

/* PENDING_NONE: rolled back, the row below counts. */
enum pending_kind { PENDING_NONE, PENDING_PUT, PENDING_DELETE };

/* Payload of a pending row's node. */
struct pending {
    enum pending_kind kind;
    struct slice value; /* in the transaction's arena */
};

struct pending_undo {
    struct pending *at;
    struct pending before;
};

struct kv_txn {
    struct kv *kv;
    struct arena arena; /* nodes and values until the commit */
    struct skiplist rows[KV_FAMILY_COUNT];
    size_t count;
    bool marked;
    struct pending_undo *undo; /* since the mark */
    size_t undo_count, undo_cap;
    struct kv_batch *batch; /* reused by commits */
};

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Every method of the cluster, once. Numbers are on the wire and in the log: never changed, never reused. 119
 * is a notice of lib/rpc's own (lib/rpc/farewell.h). */
#ifndef PROTO_METHODS_H
#define PROTO_METHODS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum method_kind {
    METHOD_WRITE,   /* a partition's state: becomes a log entry */
    METHOD_READ,    /* a partition's state at a snapshot, on a reader thread */
    METHOD_MEMORY,  /* the primary's memory: watches, locks */
    METHOD_NODE,    /* what a storage node's partitions have to say together, on a reader thread */
    METHOD_CLUSTER, /* of the director; the map also of storage nodes */
    METHOD_NOTICE,  /* sent without being asked, in a response with call 0 */
};

/* X(SYMBOL, number, kind, message prefix of proto, function prefix): Xxx -> XxxRequest and XxxResponse */
#define METHOD_LIST(X)                                                      \
    X(ADDRESS_LOOKUP, 1, READ, AddressLookup, address_lookup)               \
    X(ACCOUNT_CREATE, 2, WRITE, AccountCreate, account_create)              \
    X(ACCOUNT_UPDATE, 3, WRITE, AccountUpdate, account_update)              \
    X(ACCOUNT_DELETE, 4, WRITE, AccountDelete, account_delete)              \
    X(ALIAS_PUT, 5, WRITE, AliasPut, alias_put)                             \
    X(ALIAS_DELETE, 6, WRITE, AliasDelete, alias_delete)                    \
    X(ADDRESS_LIST, 7, READ, AddressList, address_list)                     \
    X(MAILBOX_LIST, 20, READ, MailboxList, mailbox_list)                    \
    X(MAILBOX_OPEN, 21, READ, MailboxOpen, mailbox_open)                    \
    X(MAILBOX_CREATE, 22, WRITE, MailboxCreate, mailbox_create)             \
    X(MAILBOX_DELETE, 23, WRITE, MailboxDelete, mailbox_delete)             \
    X(MAILBOX_RENAME, 24, WRITE, MailboxRename, mailbox_rename)             \
    X(MAILBOX_SUBSCRIBE, 25, WRITE, MailboxSubscribe, mailbox_subscribe)    \
    X(UPLOAD_CHUNK, 40, WRITE, UploadChunk, upload_chunk)                   \
    X(APPEND, 41, WRITE, Append, append)                                    \
    X(DELIVER, 42, WRITE, Deliver, deliver)                                 \
    X(STORE_FLAGS, 43, WRITE, StoreFlags, store_flags)                      \
    X(EXPUNGE, 44, WRITE, Expunge, expunge)                                 \
    X(COPY, 45, WRITE, Copy, copy)                                          \
    X(RECENT_ADVANCE, 46, WRITE, RecentAdvance, recent_advance)             \
    X(COPY_STAGE, 47, WRITE, CopyStage, copy_stage)                         \
    X(COPY_COMMIT, 48, WRITE, CopyCommit, copy_commit)                      \
    X(COPY_ABANDON, 49, WRITE, CopyAbandon, copy_abandon)                   \
    X(FETCH, 60, READ, Fetch, fetch)                                        \
    X(BODY, 61, READ, Body, body)                                           \
    X(CHANGES, 62, READ, Changes, changes)                                  \
    X(SEARCH, 63, READ, Search, search)                                     \
    X(WATCH, 80, MEMORY, Watch, watch)                                      \
    X(LOCK, 81, MEMORY, Lock, lock)                                         \
    X(CHECK, 82, MEMORY, Check, check)                                      \
    X(MAP, 100, CLUSTER, Map, map)                                          \
    X(NODE_HELLO, 101, CLUSTER, NodeHello, node_hello)                      \
    X(CONF_CHANGE, 102, CLUSTER, ConfChange, conf_change)                   \
    X(DOMAIN_ADD, 103, CLUSTER, DomainAdd, domain_add)                      \
    X(DOMAIN_DELETE, 104, CLUSTER, DomainDelete, domain_delete)             \
    X(SETTING_PUT, 105, CLUSTER, SettingPut, setting_put)                   \
    X(NODE_DRAIN, 106, CLUSTER, NodeDrain, node_drain)                      \
    X(NODE_REMOVE, 107, CLUSTER, NodeRemove, node_remove)                   \
    X(PARTITION_RECOVER, 108, CLUSTER, PartitionRecover, partition_recover) \
    X(CLUSTER_STATUS, 109, CLUSTER, ClusterStatus, cluster_status)          \
    X(WATCH_NOTICE, 120, NOTICE, Watch, watch)                              \
    X(MAP_NOTICE, 121, NOTICE, Map, map)                                    \
    X(QUEUE_PUT, 130, WRITE, QueuePut, queue_put)                           \
    X(QUEUE_LEASE, 131, WRITE, QueueLease, queue_lease)                     \
    X(QUEUE_REPORT, 132, WRITE, QueueReport, queue_report)                  \
    X(QUEUE_CHANGE, 133, WRITE, QueueChange, queue_change)                  \
    X(QUEUE_LIST, 134, READ, QueueList, queue_list)                         \
    X(QUEUE_BODY, 135, READ, QueueBody, queue_body)                         \
    X(QUEUE_STATUS, 136, READ, QueueStatus, queue_status)                   \
    X(QUEUE_TOTALS, 137, NODE, QueueTotals, queue_totals)

enum method {
    METHOD_NONE = 0,
#define METHOD_ENUM_(symbol, number, kind, proto, func) METHOD_##symbol = number,
    METHOD_LIST(METHOD_ENUM_)
#undef METHOD_ENUM_
};

enum {
    PARTITION_COUNT_MAX = 16384,                  /* of a cluster */
    BODY_CHUNK_MAX = 256 * 1024,                  /* bytes beside one request or entry */
    ENTRY_BYTES_MAX = 64 * 1024,                  /* a log entry without its body chunk */
    SUMMARY_BYTES_MAX = 40 * 1024,                /* a message's summary */
    STORE_UIDS_MAX = 1000,                        /* messages of one StoreFlags; the store client ... */
    STORE_UIDS_SPLIT = 500,                       /* ... asks for so many: others wait while one is applied */
    EXPUNGE_UIDS_MAX = 500,                       /* messages of one Expunge; the store client splits */
    COPY_UIDS_MAX = 500,                          /* messages of one Copy or one step of a staged copy */
    APPEND_MESSAGES_MAX = 500,                    /* messages of one MULTIAPPEND */
    DELIVER_TARGETS_MAX = 200,                    /* accounts of one Deliver */
    FETCH_PAGE_MAX = 1024 * 1024,                 /* bytes of one page of rows or of one Body answer */
    REQUEST_RETENTION_MS = 3600 * 1000,           /* request ids are remembered this long */
    DELIVERY_RETENTION_MS = 7 * 24 * 3600 * 1000, /* delivery ids */
    UPLOAD_RETENTION_MS = 2 * 3600 * 1000,        /* uploads nobody used */
    STAGE_IDLE_MS = 45 * 1000,                    /* a staged copy that nobody went on with */
    STAGE_FENCE_MS = 6 * 1000,                    /* the same, while the account's next one waits for it */
    WATCH_RENEW_MS = 30 * 1000,
    WATCH_EXPIRY_MS = 90 * 1000,
    LOCK_EXPIRY_MS = 60 * 1000,
    HELLO_INTERVAL_MS = 1000,
    REQUEST_ID_SIZE = 16,
    QUEUE_RECIPIENTS_MAX = 180,              /* of one item: they fit an entry */
    QUEUE_ITEMS_MAX = 100 * 1000,            /* of one partition */
    QUEUE_LEASE_MAX = 32,                    /* items of one lease, reports of one report */
    QUEUE_LEASE_MS_MAX = 3600 * 1000,        /* how long one lease may be ... */
    QUEUE_LEASE_BYTES_PER_MS = 1024,         /* ... and longer by what its message takes at this rate */
    QUEUE_DELAY_MS_MAX = 24 * 3600 * 1000,   /* until the next attempt */
    QUEUE_LIST_MAX = 100,                    /* items of one page */
    QUEUE_TOTALS_MAX = 1024,                 /* partitions of one question */
    QUEUE_AGE_MAX_MS = 5 * 24 * 3600 * 1000, /* then nothing is tried again */
};
#define QUEUE_BYTES_MAX ((uint64_t)16 << 30) /* of the messages in one partition's queue */

_Static_assert((int)QUEUE_AGE_MAX_MS < (int)DELIVERY_RETENTION_MS,
               "what a queue delivers must still be known where it may have arrived already");

/* "FETCH", or "?" for a number not in the list. */
const char *method_name(uint32_t number);
/* False if the number is not in the list. */
bool method_find(uint32_t number, enum method_kind *kind_out);

#endif

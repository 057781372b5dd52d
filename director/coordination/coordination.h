/* SPDX-License-Identifier: Apache-2.0 */
/* Where the cluster's configuration is kept: a small ordered set of rows, changed only by compare-and-swap.
 * Members of the seam: embedded (one director, its own database) and etcd (several directors).
 *
 *   submit(txn)  ->  stable storage  ->  on_change(rows, revision), in order of revision  ->  done(txn)
 *
 * A director's picture is built from load() and then only from on_change, its own changes included: there is
 * one way in, whoever made the change. A row's `mod` is the revision of its last change. Revisions only grow,
 * and are the version of the map (R23: map order is the store's revision).
 *
 * Callbacks come from the member's own threads, one at a time, and must not block for long. */
#ifndef DIRECTOR_COORDINATION_COORDINATION_H
#define DIRECTOR_COORDINATION_COORDINATION_H

#include "lib/base/buf.h"
#include "lib/base/err.h"
#include "lib/base/slice.h"

enum {
    COORDINATION_KEY_MAX = 300,         /* bytes */
    COORDINATION_VALUE_MAX = 64 * 1024, /* bytes */
    COORDINATION_CHANGES_MAX = 100,     /* of one transaction (etcd's own default is 128) */
    COORDINATION_IN_FLIGHT_MAX = 10000, /* transactions submitted and not done */
    COORDINATION_MEMBERS_MAX = 16,      /* servers that keep one store */
    COORDINATION_WHY_MAX = 120,         /* bytes, with the NUL */
};

struct coordination;

/* One condition with its effect: the row's mod must be `expected_mod` (0: the row must not exist). */
struct coordination_change {
    struct slice key;
    uint64_t expected_mod;
    enum { COORDINATION_CHECK, COORDINATION_PUT, COORDINATION_DELETE } action; /* CHECK: only the condition */
    struct slice value;                                                        /* PUT */
};

struct coordination_txn;

/* OK: all changes are on stable storage. ERR_CONFLICT: a condition did not hold, nothing changed.
 * ERR_UNAVAILABLE: nothing changed. ERR_IN_DOUBT: not known. With the first two, `revision` is one that
 * includes what decided: once on_change has come as far, the picture shows why. */
typedef void coordination_done(struct coordination_txn *txn, enum err result, uint64_t revision, void *arg);

/* The caller's memory, with keys and values, until done was called. Names a row at most once. No changes: a
 * read barrier (OK and the newest revision, of a moment after the call). */
struct coordination_txn {
    struct coordination_change *changes;
    size_t count;
    coordination_done *done;
    void *arg;
    struct coordination_txn *next; /* the member's */
};

struct coordination_row {
    struct slice key;
    struct slice value;
    uint64_t mod;
    bool deleted; /* then value is empty and mod the revision of the deletion */
};

struct coordination_watcher {
    /* All rows of one revision. The slices are valid during the call. */
    void (*on_change)(const struct coordination_row *rows, size_t count, uint64_t revision, void *arg);
    /* All rows there are, read at `revision`; the newest change was at `newest`. What was told before is
     * void: changes were missed, or the store was put back from a copy (then both numbers may be lower than
     * before). */
    void (*on_reload)(const struct coordination_row *rows, size_t count, uint64_t newest, uint64_t revision,
                      void *arg);
    void *arg;
};

/* One of the servers that keep the store together, as this director sees it. */
struct coordination_member {
    const char *endpoint; /* the store's, as long as that is open */
    enum coordination_health {
        COORDINATION_NOT_ASKED, /* the store has just been opened */
        COORDINATION_WELL,
        COORDINATION_SILENT, /* it does not answer */
        COORDINATION_UNWELL, /* it answers, but cannot do its part */
    } health;
    uint64_t since_mono_ms;         /* SILENT, UNWELL: the first sign of it, about */
    char why[COORDINATION_WHY_MAX]; /* it is not WELL, for a person, within a sentence */
};

static inline bool coordination_member_fails(const struct coordination_member *member)
{
    return member->health == COORDINATION_SILENT || member->health == COORDINATION_UNWELL;
}

struct coordination_ops {
    enum err (*load)(struct coordination *c, const struct coordination_watcher *watcher,
                     uint64_t *newest_out);
    enum err (*submit)(struct coordination *c, struct coordination_txn *txn);
    void (*close)(struct coordination *c);
    bool (*leads)(struct coordination *c); /* NULL: there is only one director, and it leads */
    void (*leader)(struct coordination *c, struct buf *out); /* NULL likewise */
    /* NULL: there are none to lose, the store is a part of this process */
    size_t (*members)(struct coordination *c,
                      struct coordination_member out[static COORDINATION_MEMBERS_MAX]);
};

/* What every member begins with. */
struct coordination {
    const struct coordination_ops *ops;
};

/* All rows, as calls of on_change (revision: the one they were read at) before it returns; then the watch
 * starts. *newest_out: the revision of the newest change, deletions included. Once. Blocks, for as long as
 * the store cannot be reached (logged now and then). ERR_IO, ERR_CORRUPT, ERR_UNAVAILABLE (logged). */
MUST_CHECK enum err coordination_load(struct coordination *c, const struct coordination_watcher *watcher,
                                      uint64_t *newest_out);
/* In the five that follow NULL is a store that was closed: nobody leads, and nothing is taken
 * (ERR_UNAVAILABLE). A director that ends still finishes what waited for the store. */
/* True while this director is the one that decides what nobody asked for (placement, repair). Another may
 * already lead when the answer is used: what follows must be harmless then, too (one compare each). Any
 * thread. */
bool coordination_leads(struct coordination *c);
/* Adds the name of the director that leads, as it gave it when it opened the store; nothing if none does or
 * there is only one. Any thread. */
void coordination_leader(struct coordination *c, struct buf *out);
/* True if somebody leads, as far as this director knows. Any thread. */
bool coordination_is_led(struct coordination *c);
/* How the servers are that keep the store together, all that this director was told of; returns how many,
 * none if there are no such. As it was seen some seconds ago: waits for nobody. Any thread. */
size_t coordination_members(struct coordination *c,
                            struct coordination_member out[static COORDINATION_MEMBERS_MAX]);
/* Start a transaction; any number may be in flight, up to COORDINATION_IN_FLIGHT_MAX (ERR_BUSY: not taken,
 * done is not called). ERR_INVALID: a bound of this header is exceeded. Any thread. */
MUST_CHECK enum err coordination_submit(struct coordination *c, struct coordination_txn *txn);
/* Waits for what is in flight; every done has been called on return. */
void coordination_close(struct coordination **c);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* How fast copies may move: as fast as they go while nobody waits, slower as soon as people wait longer for
 * their writes than they do without copies. The disk, the link and the processors are all shared with them,
 * and only how long they wait tells which one is short.
 *
 * Time is cut into windows. The slowest wait of a window is compared with what the slowest ones are like
 * while no copies move ("normal"). A window above COPY_PACE_SLOW times normal takes the pace to a part of
 * what was really moved in it or in the one before, whichever is more: a wait is known only when it ends,
 * maybe after the burst that it stood behind. Any other window with waits adds to the pace. A window without
 * any says nothing, for people also come one at a time; when nobody has waited for COPY_PACE_QUIET_MS, the
 * pace doubles with each window. A cut shows only when what was under way has passed, so the window after one
 * is not judged. What is slow although copies move no faster than the floor is not of their doing, and
 * becomes normal.
 *
 * Pure: time comes in as a value. Not locked. */
#ifndef STORAGE_NODE_PARTITION_BULK_COPY_PACE_H
#define STORAGE_NODE_PARTITION_BULK_COPY_PACE_H

#include <stdbool.h>
#include <stdint.h>

enum {
    COPY_PACE_WINDOW_MS = 100,
    COPY_PACE_QUIET_MS = 1000,
    COPY_PACE_SLOW = 3,                    /* times normal */
    COPY_PACE_NORMAL_MIN_US = 2000,        /* what is quicker than this times COPY_PACE_SLOW is never slow */
    COPY_PACE_NORMAL_START_US = 10 * 1000, /* until it is known */
    COPY_PACE_NORMAL_SHARE = 16,           /* a window moves normal by this part of the difference */
    COPY_PACE_NORMAL_SHARE_SLOW = 256,     /* the same of a slow window at the floor */
    COPY_PACE_FLOOR = 8 << 20,             /* bytes a second at which copies move however slow all is */
    COPY_PACE_START = 64 << 20,            /* at which they begin, if somebody waits */
    COPY_PACE_STEP = 8 << 20,              /* bytes a second more after a window that was not slow */
    COPY_PACE_CUT_PERCENT = 80,            /* what is left of the pace after a slow window */
    COPY_PACE_SLACK_MS = 10,               /* of a pause that lasted too long are made good */
    COPY_PACE_FULL = 1 << 30,              /* bytes a second; as good as no bound */
};

/* For what people wait; each has a normal of its own. */
enum copy_wait {
    COPY_WAIT_COMMIT,  /* an entry, from its way to the log until it is on this node's disk */
    COPY_WAIT_REQUEST, /* a write, from its arrival at the primary to the answer: all members have it */
    COPY_WAIT_COUNT
};

struct copy_pace {
    uint64_t ceiling, floor, rate; /* bytes a second */
    uint64_t window_begin_ns, window_end_ns;
    uint64_t window_bytes;
    uint64_t moved_rate_before;    /* bytes a second in the window before */
    uint64_t waited_ns;            /* when the last wait ended */
    bool moved_before, cut_before; /* in the window before */
    struct {
        uint64_t normal_ns;  /* 0: not known */
        uint64_t slowest_ns; /* of the window */
        uint32_t count;      /* likewise */
    } waits[COPY_WAIT_COUNT];
    uint64_t free_ns; /* what was moved so far has taken its time by then */
};

/* `ceiling`: bytes a second that are never exceeded; 0: any. */
void copy_pace_init(struct copy_pace *pace, uint64_t ceiling);
/* Somebody's wait ended now. */
void copy_pace_waited(struct copy_pace *pace, uint64_t now_ns, enum copy_wait kind, uint64_t waited_ns);
/* `bytes` of a copy were moved now: when the next may be. Pauses are not saved up: a copy that begins after a
 * quiet hour has no more than the pace, and COPY_PACE_SLACK_MS of it. */
uint64_t copy_pace_take(struct copy_pace *pace, uint64_t now_ns, uint64_t bytes);

#endif

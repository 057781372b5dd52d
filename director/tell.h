/* SPDX-License-Identifier: Apache-2.0 */
/* What a director tells in its log of partitions that change: when a node is lost or comes back, hundreds do
 * at the same moment, so it is one line for all of them that go the same way, a second after the first. Each
 * by itself is told with log_level = "debug". On the director's thread. */
#ifndef DIRECTOR_TELL_H
#define DIRECTOR_TELL_H

#include "director/conf.h"
#include "lib/base/buf.h"

struct tell_group;
struct tell {
    struct tell_group *groups; /* owned */
    size_t count;
    uint64_t first_ms; /* when the oldest of them came, on the monotonic clock */
};

/* `asked` (its epoch passed over) was done to a partition. */
void tell_add(struct tell *t, uint32_t partition, const struct conf_request *asked, uint64_t now_mono_ms);
/* Logs what has come together if it is time, or if `now` says that no more will come. */
void tell_flush(struct tell *t, uint64_t now_mono_ms, bool now);
/* The text of the group at `index`, appended; for tell_flush. */
void tell_text(const struct tell *t, size_t index, struct buf *out);
void tell_fini(struct tell *t);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* What storage nodes tell of their partitions with their hellos: figures of a primary, faults of any copy,
 * copies, and epochs.
 * Every director hears every node, so each knows all of it, a few seconds after it started. Kept in memory
 * only, the director's one thread's. */
#ifndef DIRECTOR_HEARD_H
#define DIRECTOR_HEARD_H

#include "director/map.h"

enum {
    HEARD_FAULTS_MAX = 64, /* of one node; more are passed over */
    HEARD_TEXT_MAX = 200,  /* bytes of a fault's text with its end; longer ones are cut */
    /* A partition that was served so lately still counts as served: nodes tell once a second, and a seat that
     * is handed over is empty for milliseconds only. */
    HEARD_SERVED_MS = 4000,
};
/* No partition has changed hands so often: whoever tells of more is damaged, and nothing of it is believed,
 * for a recovery goes on above every epoch that is told. */
#define HEARD_EPOCH_MAX (UINT64_C(1) << 62)

struct heard_peer {
    uint32_t node;
    uint64_t behind;       /* entries that it has not acknowledged */
    uint64_t copied_bytes; /* of the state, sent to it so far; 0: no such copy is under way */
};

struct heard_figures {
    uint32_t teller;         /* node id; 0: never heard of this partition */
    uint64_t heard_mono_ms;  /* when it last told anything of this partition: only changes are told at once */
    uint64_t served_mono_ms; /* when heard_look last found it served; 0: never */
    uint64_t epoch;
    bool active; /* it commits writes and serves reads */
    uint64_t last, commit;
    uint64_t bytes;           /* of mail and state on one copy, about */
    uint32_t machine_version; /* of its entries (R30) */
    uint8_t peer_count;
    struct heard_peer peers[CONF_NODES_MAX];
};

struct heard_fault {
    uint32_t node, partition;
    char text[HEARD_TEXT_MAX];
};

struct heard_spare {
    uint32_t partition, node;
    uint64_t epoch, last;         /* of its newest entry, and that entry's index */
    uint64_t known;               /* highest epoch that it knows of */
    bool primary, active, broken; /* see SpareCopy of proto/cluster.proto */
};

/* What a node knows of epochs beyond the store. */
struct heard_known {
    uint32_t node, count;
    uint64_t *epochs; /* by partition, `count` of them */
};

struct heard {
    struct heard_figures **figures; /* by partition, partition_count of them; NULL: nothing yet */
    uint32_t partition_count;
    struct heard_fault *faults; /* of all nodes, by node */
    size_t fault_count;
    struct heard_spare *spares; /* copies by partition and node: whole ones of nodes that are no members or
                                   are ahead of the store, and, while any is, all */
    size_t spare_count;
    struct heard_known *known; /* of nodes that told of an epoch above the store's when they told last: none,
                                  but when that was put back */
    size_t known_count;
    uint32_t ahead;          /* partitions that are, when heard_look looked last */
    uint64_t ahead_since_ms; /* since when there are some; 0: there are none */
};

void heard_fini(struct heard *heard);
/* No epoch of the hello is above HEARD_EPOCH_MAX. */
bool heard_is_sane(const Tern__NodeHelloRequest *hello);
/* A sane hello of `node`: its figures replace what was known, if they are not of an older epoch; its faults
 * replace the node's. */
void heard_take(struct heard *heard, const struct map *map, uint32_t node,
                const Tern__NodeHelloRequest *hello, uint64_t now_mono_ms);
/* The newest figures of a partition, of whoever told them: not always of the primary that the map names.
 * NULL: none. Valid until the next heard_take. */
const struct heard_figures *heard_find(const struct heard *heard, uint32_t partition);
/* The figures' part about one other copy; NULL: nothing is told of it. */
const struct heard_peer *heard_find_peer(const struct heard_figures *figures, uint32_t node);
/* The copies of a partition as told with their nodes' last hellos, see struct heard: *count_out of them, by
 * node. Valid until the next heard_take or heard_look. */
const struct heard_spare *heard_spares(const struct heard *heard, uint32_t partition, size_t *count_out);
/* The highest epoch of a partition that any node has told of, whether or not it has a copy; 0: none has. */
uint64_t heard_epoch(const struct heard *heard, uint32_t partition);
/* A node knows a higher epoch of the partition than `conf`, which the store has: that was put back from an
 * older copy (R27), or this director lags behind it by a moment. Nothing may be made of `conf` but by
 * conf_go_on and conf_recover. */
bool heard_is_ahead(const struct heard *heard, const struct conf *conf);
/* Which copy of a partition, of those that are whole and on living nodes, has all that was ever committed, if
 * these are all there are (R27 says why): that of the primary of the highest epoch, if no other's newest
 * entry is of a higher one, else the newest. The one place that decides it. NULL: there are none. */
const struct heard_spare *heard_newest(const struct heard *heard, const struct map *map, uint32_t partition,
                                       uint64_t now_mono_ms);
/* The state-machine version of a partition's entries, as told last; 1 if nothing was. */
uint32_t heard_version(const struct heard *heard, uint32_t partition);
/* Bytes of a partition on one copy, about; 0: not known. */
uint64_t heard_bytes(const struct heard *heard, uint32_t partition);
/* Once a second: note how many partitions are ahead of the store, and which are served now, by the newest
 * figures and the hellos of the primaries' nodes, and forget the faults and copies of nodes that were
 * removed. */
void heard_look(struct heard *heard, const struct map *map, uint64_t now_mono_ms);
/* Does the primary that `conf` names serve it, or did one less than HEARD_SERVED_MS ago? False while nothing
 * is known, and when the primary's node is silent. */
bool heard_is_active(const struct heard *heard, const struct map *map, const struct conf *conf,
                     uint64_t now_mono_ms);

#endif

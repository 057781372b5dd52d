/* SPDX-License-Identifier: Apache-2.0 */
/* Inside lib/store: the state of uploads and of pages, for the commands that use them. */
#ifndef LIB_STORE_MESSAGE_PRIV_H
#define LIB_STORE_MESSAGE_PRIV_H

#include "lib/store/message.h"
#include "lib/store/store_priv.h"
#include "proto/message.pb-c.h"

/* One copy at one partition: what a single Deliver or Append can use up. */
struct upload_part {
    uint32_t partition;
    size_t users; /* how many of the caller's targets it is for; at most DELIVER_TARGETS_MAX */
    uint8_t id[16];
    enum err err; /* the first failure; the partition gets nothing more */
    bool calling;
    Tern__UploadChunkRequest request; /* of the chunk under way */
    struct call call;
};

enum { UPLOAD_SPARE_USERS = 180 }; /* targets that one spare copy is for */

struct upload {
    struct store *store;
    struct upload_part *parts; /* the spare ones last */
    size_t part_count;
    size_t spare_count;
    size_t target_count;
    uint32_t wait_ms;   /* 0: the usual */
    bool broken;        /* no partition was left: bytes are missing */
    struct buf pending; /* at most BODY_CHUNK_MAX */
    uint64_t sent;      /* bytes that are at the partitions already */
    bool keeps;         /* they are all here, too: */
    struct buf *kept;   /* each BODY_CHUNK_MAX but the last of all */
    size_t kept_count;
    bool given_up; /* they were, but are no more */
    struct buf summary;
    bool complete; /* the last chunk is there too */
};

/* A request for rows and its answer, which a fetch_page holds on to (`priv`). */
struct page_call {
    struct call call;
    Tern__FetchRequest request;
    struct buf uids;
};
void page_call_free(struct page_call **p);

void store_progress_tell(const struct store_progress *progress, uint64_t done, uint64_t total);

/* The nth copy (from 0) at a partition; NULL if it was not asked for. */
struct upload_part *upload_part_find(struct upload *u, uint32_t partition, size_t nth);
/* The nth spare copy; NULL if there is none. */
struct upload_part *upload_spare_find(struct upload *u, size_t nth);
/* How long this part's partition is given to deliver; 0: the usual time. */
uint32_t upload_deliver_wait_ms(const struct upload *u, const struct upload_part *part);
/* There shall be a spare copy of a complete upload, now if there was none, where `place` says.
 * ERR_UNAVAILABLE, or what the last one said. Yields. */
struct place;
MUST_CHECK enum err upload_need_spare(struct upload *u, struct place *place);
/* Nothing came of the spare copy: `err`, and the next one needed is another. */
void upload_spare_fail(struct upload *u, enum err err);
/* Fill in how the command names this message; `part` is the copy it will use. */
void upload_describe(const struct upload *u, const struct upload_part *part, bool inline_body,
                     Tern__NewMessage *out);

#endif

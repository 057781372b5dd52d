/* SPDX-License-Identifier: Apache-2.0 */
/* A session's view of its mailbox: which UID has which sequence number. Kept as runs of consecutive UIDs, so
 * a mailbox without gaps costs 8 bytes on the heap whatever its size. Zero-initialised is empty. */
#ifndef LIB_MAIL_UIDMAP_H
#define LIB_MAIL_UIDMAP_H

#include "lib/mail/seqset.h"
#include "lib/mail/uidset.h"

struct uidmap_run {
    uint32_t uid; /* of the first message of the run */
    uint32_t seq; /* its sequence number; the run ends where the next begins */
};

struct uidmap {
    struct uidmap_run *runs;
    uint32_t run_count;
    uint32_t run_cap;
    uint32_t count; /* messages */
};

void uidmap_fini(struct uidmap *m);
/* Replace the content by these UIDs. */
void uidmap_load(struct uidmap *m, const struct uidset *uids);
/* Add a message; its UID is above all others. */
void uidmap_append(struct uidmap *m, uint32_t uid);
/* Add the members of `uids` that lie above the highest one here; returns how many. */
uint32_t uidmap_append_set(struct uidmap *m, const struct uidset *uids);

uint32_t uidmap_uid(const struct uidmap *m, uint32_t seq); /* 0 if there is no such message; O(log runs) */
uint32_t uidmap_seq(const struct uidmap *m, uint32_t uid); /* 0 if it is not here; O(log runs) */
/* The lowest sequence number whose UID is at least `uid`, or count + 1. */
uint32_t uidmap_seq_from(const struct uidmap *m, uint32_t uid);
uint32_t uidmap_uid_max(const struct uidmap *m); /* 0 if empty */

/* Forget one message; returns the sequence number it had, 0 if it was not here. O(runs). */
uint32_t uidmap_expunge(struct uidmap *m, uint32_t uid);
/* Forget many at once, O(runs + ranges). *seqs_out (initialised, replaced) is the set of sequence numbers
 * they had before. Reported to a client from the highest down, these numbers are right one after another. */
void uidmap_expunge_set(struct uidmap *m, const struct uidset *uids, struct uidset *seqs_out);

/* Translate sets; members that are not in the view are left out. *out was initialised and is replaced. */
void uidmap_uids_of(const struct uidmap *m, const struct uidset *seqs, struct uidset *uids_out);
void uidmap_seqs_of(const struct uidmap *m, const struct uidset *uids, struct uidset *seqs_out);
/* All UIDs of the view. */
void uidmap_uids(const struct uidmap *m, struct uidset *uids_out);

/* What a client's set selects here, as UIDs. With `uid` the numbers are UIDs, else sequence numbers, of which
 * any beyond the view is ERR_INVALID. *uids_out was initialised and is replaced. */
MUST_CHECK enum err uidmap_select(const struct uidmap *m, const struct seqset *set, bool uid,
                                  struct uidset *uids_out);

#endif

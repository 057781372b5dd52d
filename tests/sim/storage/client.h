/* SPDX-License-Identifier: Apache-2.0 */
/* Users of the virtual node and what they know. Each account has one actor that does one thing at a time
 * (append, flags, expunge, copy, move), and senders deliver to it meanwhile. Everything that was acknowledged
 * is in the model; every read is compared with it. */
#ifndef TESTS_SIM_STORAGE_CLIENT_H
#define TESTS_SIM_STORAGE_CLIENT_H

#include "tests/sim/storage/world.h"

enum { ACCOUNTS_MAX = 8, MAILBOXES = 2, OPS_MAX = 64, MESSAGES_MAX = 4000 };

/* A message as acknowledged. */
struct known {
    uint32_t uid;
    uint32_t flags;
    uint64_t token; /* its bytes are made of this */
    bool gone;      /* expunged or moved away: its UID never comes again */
};

struct known_mailbox {
    uint64_t id;
    uint32_t uidvalidity;
    uint32_t uid_max;    /* highest acknowledged or seen */
    uint64_t modseq_max; /* likewise */
    struct known *messages;
    size_t count, cap;
};

struct account {
    uint64_t id; /* 0: not made yet */
    uint32_t partition;
    char address[48];
    bool listed; /* mailbox ids are known */
    bool busy;   /* the actor waits for an answer */
    struct known_mailbox boxes[MAILBOXES];
};

struct op;

struct clients {
    struct world *w;
    struct account accounts[ACCOUNTS_MAX];
    size_t account_count;
    struct op *ops[OPS_MAX];           /* under way or waiting to be repeated */
    bool queue_busy[WORLD_PARTITIONS]; /* somebody uses the queue there */
    uint64_t next_token;
    uint64_t acked, repeated, reads, reads_refused;
};

void clients_init(struct clients *c, struct world *w);
void clients_fini(struct clients *c);
/* Somebody does something: begins, repeats or reads. */
void clients_step(struct clients *c);
/* Nothing new; repeat what has no answer until all have one. */
void clients_finish(struct clients *c);
/* Delete every account, while things go wrong. Afterwards nothing may be left of them (bodies.h). */
void clients_bury(struct clients *c);
/* Compare all mailboxes and counters with the model, nothing being under way. */
void clients_check_all(struct clients *c);
/* Is anything unanswered? */
bool clients_idle(const struct clients *c);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* A simple model of an account's mailboxes in memory, and a session that follows each of them through CHANGES
 * alone: random commands go to the machine and to the model. */
#ifndef TESTS_UNIT_STORAGE_NODE_MAILBOX_MODEL_H
#define TESTS_UNIT_STORAGE_NODE_MAILBOX_MODEL_H

#include "tests/unit/storage-node/mailbox/machine_fixture.h"

enum {
    BOXES = 5,
    MESSAGES_MAX = 4000,
    UIDS_MAX = 400000, /* staged copies jump thousands of UIDs */
    UID_JUMP_MAX = 8192,
    STEPS = 1500,
    STAGED_MAX = 32,
};

struct model_message {
    uint32_t uid;
    uint32_t flags;
    uint32_t text; /* its body is "text <number>" */
    bool gone;
};

struct model_box {
    bool live;
    char name[32];
    uint64_t id;
    uint32_t uidnext, uidvalidity;
    uint64_t modseq; /* newest seen */
    struct model_message messages[MESSAGES_MAX];
    size_t count;
    /* What a session knows. */
    uint64_t session_modseq;
    uint8_t session_flags[UIDS_MAX]; /* by UID; 0xff: not there */
    size_t session_count;
};

struct model {
    struct fixture *f;
    uint64_t account, other;
    struct model_box boxes[BOXES];
    unsigned seed;
    uint32_t text_next;
    uint32_t uidvalidity_newest;
    unsigned applied[9]; /* how often each command had an effect */
    bool staging;        /* no stage within a stage */
};

/* A UID range. */
struct span {
    uint32_t first, last;
    char text[32];
};

#define FOR_SPAN(box, span, msg)                                                                   \
    for (struct model_message *msg = (box)->messages; msg < (box)->messages + (box)->count; msg++) \
        if (!msg->gone && msg->uid >= (span).first && msg->uid <= (span).last)

/* A new model over an empty fixture. */
void model_begin(struct model *m, struct fixture *f, unsigned seed);
/* One command, as chance has it. */
void model_step(struct model *m);
/* A copy in stages, with other commands between the steps. */
void model_staged_copy(struct model *m);
/* What must hold after every command; also of some bodies. */
void model_check(struct model *m, bool bodies);

/* ---- for those */

/* Below `bound`. */
unsigned pick(struct model *m, unsigned bound);
/* One that is live. */
struct model_box *pick_box(struct model *m);
/* Messages of a box, most often. */
struct span pick_span(struct model *m, const struct model_box *box);
/* The body of that number, until the next. */
const char *text_of(uint32_t number);
bool has_room(const struct model_box *box, size_t more);
void model_add(struct model_box *box, uint32_t flags, uint32_t text);

#endif

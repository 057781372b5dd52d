/* SPDX-License-Identifier: Apache-2.0 */
/* Who the clients are. */
#include <stdio.h>
#include <stdlib.h>

#include "lib/base/alloc.h"
#include "tests/sim/cluster/client.h"
#include "tests/sim/cluster/frontend.h"
#include "tests/sim/cluster/queue.h"
#include "tests/sim/cluster/watch.h"

void clients_init(struct cluster *c)
{
    struct clients *clients = c->clients = NEW(struct clients);
    clients->account_count = 2 + (int)cluster_below(c, ACCOUNTS_MAX - 1);
    clients->think_ns = 10 * MS + cluster_below(c, 250 * MS);
    for (int f = 0; f < FRONTENDS; f++) {
        for (int p = 0; p < c->partitions; p++)
            clients->guess[f][p] = -1;
    }
    for (int i = 0; i < clients->account_count; i++) {
        struct account *a = &clients->accounts[i];
        a->partition = (int)cluster_below(c, (uint64_t)c->partitions);
        snprintf(a->address, sizeof a->address, "user%d@example.test", i);
        for (int k = 0; k < SESSIONS_EACH; k++) {
            struct session *s = &clients->sessions[clients->session_count++];
            s->account = a;
            s->first = k == 0;
            s->frontend = (int)cluster_below(c, FRONTENDS);
            s->next_at = c->now + cluster_below(c, 200 * MS);
        }
    }
    mailq_breaks_begin(&c->breaks);
    if (c->seed % 2 == 0)
        return;
    watch_breaks_begin(&c->breaks);
    frontends_new(c);
    clients->watches = watches_new(c);
    clients->queueing = true;
    for (int i = 0; i < QUEUE_WORKERS; i++) {
        struct session *s = &clients->sessions[clients->session_count++];
        s->account = &clients->accounts[0]; /* for what is said of it */
        s->worker = true;
        s->hand = NEW_ARRAY(struct queued, HAND_MAX);
        s->frontend = (int)cluster_below(c, FRONTENDS);
        s->next_at = c->now + cluster_below(c, 2000 * MS);
    }
}

void clients_fini(struct cluster *c)
{
    struct clients *clients = c->clients;
    watches_free(&clients->watches);
    mailq_fini(clients);
    while (clients->ops != NULL) {
        struct op *op = clients->ops;
        clients->ops = op->next;
        buf_fini(&op->request);
        buf_fini(&op->body);
        buf_fini(&op->response);
        uidset_fini(&op->uids);
        uidset_fini(&op->from);
        uidset_fini(&op->to);
        free(op->seen);
        free(op->queued);
        free(op);
    }
    for (int i = 0; i < clients->account_count; i++) {
        for (int b = 0; b < BOXES; b++)
            uidset_fini(&clients->accounts[i].boxes[b].known);
    }
    free(clients);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "storage-node/partition/bulk/work.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "lib/base/alloc.h"
#include "lib/base/log.h"

enum item_kind { ITEM_WORK, ITEM_STOP };
enum { BULK_NICE = 10 };

struct bulk {
    void (*give_back)(void *arg, struct partition_work *work);
    void *arg;
    struct inbox inbox;
    struct inbox_item stop; /* pushed last */
    struct copy_gates *gates;
    pthread_t thread;
};

static void *run(void *arg)
{
    struct bulk *b = arg;
    if (setpriority(PRIO_PROCESS, (id_t)gettid(), BULK_NICE) != 0)
        log_debug("bulk", "the kernel refuses another priority");
    for (bool stop = false; !stop;) {
        struct inbox_item *item = inbox_wait(&b->inbox, UINT64_MAX);
        while (item != NULL) {
            struct inbox_item *next = item->next;
            struct partition_work *work = (struct partition_work *)item;
            if (item->kind == ITEM_STOP) {
                stop = true;
            } else {
                work->paced_bytes = 0;
                work->run(work);
                copy_gates_pass(b->gates, COPY_GATE_SENT, work->paced_bytes);
                b->give_back(b->arg, work);
            }
            item = next;
        }
    }
    return NULL;
}

struct bulk *bulk_start(void (*give_back)(void *arg, struct partition_work *work), void *arg,
                        struct copy_gates *gates)
{
    struct bulk *b = NEW(struct bulk);
    b->give_back = give_back;
    b->arg = arg;
    b->gates = gates;
    b->stop.kind = ITEM_STOP;
    if (pthread_create(&b->thread, NULL, run, b) != 0)
        log_fatal("bulk", "cannot start a thread");
    pthread_setname_np(b->thread, "bulk");
    return b;
}

void bulk_stop(struct bulk **out)
{
    struct bulk *b = *out;
    if (b == NULL)
        return;
    inbox_push(&b->inbox, &b->stop);
    pthread_join(b->thread, NULL);
    free(b);
    *out = NULL;
}

void bulk_submit(struct bulk *b, struct partition_work *work)
{
    work->item.kind = ITEM_WORK;
    inbox_push(&b->inbox, &work->item);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/base/inbox.h"

#include <linux/futex.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

void inbox_chain_add(struct inbox_chain *chain, struct inbox_item *item)
{
    item->next = NULL;
    if (chain->last == NULL)
        chain->first = item;
    else
        chain->last->next = item;
    chain->last = item;
}

/* `newest` .. `oldest` are linked newest first. */
static void push_reversed(struct inbox *inbox, struct inbox_item *newest, struct inbox_item *oldest)
{
    struct inbox_item *head = atomic_load_explicit(&inbox->head, memory_order_relaxed);
    do {
        oldest->next = head;
    } while (!atomic_compare_exchange_weak(&inbox->head, &head, newest));
    /* The owner says that it sleeps before it looks a last time, so either it sees the item or we see it
     * asleep. */
    if (atomic_load(&inbox->sleeping) != 0 && atomic_exchange(&inbox->sleeping, 0) != 0)
        syscall(SYS_futex, &inbox->sleeping, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

void inbox_push(struct inbox *inbox, struct inbox_item *item)
{
    push_reversed(inbox, item, item);
}

static struct inbox_item *reverse(struct inbox_item *list)
{
    struct inbox_item *out = NULL;
    while (list != NULL) {
        struct inbox_item *next = list->next;
        list->next = out;
        out = list;
        list = next;
    }
    return out;
}

void inbox_push_chain(struct inbox *inbox, struct inbox_chain *chain)
{
    if (chain->first == NULL)
        return;
    struct inbox_item *oldest = chain->first, *newest = reverse(oldest);
    *chain = (struct inbox_chain){ NULL, NULL };
    push_reversed(inbox, newest, oldest);
}

struct inbox_item *inbox_take(struct inbox *inbox)
{
    if (atomic_load_explicit(&inbox->head, memory_order_relaxed) == NULL)
        return NULL;
    return reverse(atomic_exchange(&inbox->head, NULL));
}

struct inbox_item *inbox_wait(struct inbox *inbox, uint64_t timeout_ns)
{
    struct inbox_item *list = inbox_take(inbox);
    if (list != NULL || timeout_ns == 0)
        return list;
    atomic_store(&inbox->sleeping, 1);
    if (atomic_load(&inbox->head) == NULL) {
        struct timespec ts = { (time_t)(timeout_ns / 1000000000), (long)(timeout_ns % 1000000000) };
        /* Early returns (a signal, a value that changed) only mean an empty turn of the owner. */
        syscall(SYS_futex, &inbox->sleeping, FUTEX_WAIT_PRIVATE, 1, timeout_ns == UINT64_MAX ? NULL : &ts,
                NULL, 0);
    }
    atomic_store(&inbox->sleeping, 0);
    return inbox_take(inbox);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "lib/base/alloc.h"
#include "lib/base/clock.h"
#include "lib/base/inbox.h"

enum { PRODUCERS = 4, ITEMS = 20000, CHAIN = 7 };

struct item {
    struct inbox_item base;
    int producer, number;
};

static void test_keeps_order(void **state)
{
    struct inbox inbox = { 0 };
    struct item items[5] = { 0 };
    struct inbox_chain chain = { 0 };
    assert_null(inbox_take(&inbox));
    inbox_push(&inbox, &items[0].base);
    for (int i = 1; i < 4; i++)
        inbox_chain_add(&chain, &items[i].base);
    inbox_push_chain(&inbox, &chain);
    assert_null(chain.first);
    inbox_push(&inbox, &items[4].base);
    struct inbox_item *at = inbox_take(&inbox);
    for (int i = 0; i < 5; i++, at = at->next)
        assert_ptr_equal(at, &items[i].base);
    assert_null(at);
    assert_null(inbox_take(&inbox));
    inbox_push_chain(&inbox, &chain); /* an empty one */
    assert_null(inbox_take(&inbox));
}

static void test_wait_ends_in_time(void **state)
{
    struct inbox inbox = { 0 };
    uint64_t start = clock_mono_ms();
    assert_null(inbox_wait(&inbox, 30 * 1000000));
    assert_in_range(clock_mono_ms() - start, 25, 5000);
    assert_null(inbox_wait(&inbox, 0));
}

struct producer {
    struct inbox *inbox;
    int number;
};

static void *produce(void *arg)
{
    struct producer *p = arg;
    struct inbox_chain chain = { 0 };
    for (int i = 0; i < ITEMS; i++) {
        struct item *item = NEW(struct item);
        item->producer = p->number;
        item->number = i;
        inbox_chain_add(&chain, &item->base);
        if (i % CHAIN == 0)
            inbox_push_chain(p->inbox, &chain);
    }
    inbox_push_chain(p->inbox, &chain);
    return NULL;
}

/* Nothing is lost, no wake-up is missed, and each producer's order is kept. */
static void test_many_producers(void **state)
{
    struct inbox inbox = { 0 };
    pthread_t threads[PRODUCERS];
    struct producer producers[PRODUCERS];
    int next[PRODUCERS] = { 0 };
    for (int i = 0; i < PRODUCERS; i++) {
        producers[i] = (struct producer){ &inbox, i };
        assert_int_equal(pthread_create(&threads[i], NULL, produce, &producers[i]), 0);
    }
    for (int got = 0; got < PRODUCERS * ITEMS;) {
        struct inbox_item *item = inbox_wait(&inbox, UINT64_MAX);
        while (item != NULL) {
            struct item *it = (struct item *)item;
            item = item->next;
            assert_int_equal(it->number, next[it->producer]++);
            free(it);
            got++;
        }
    }
    for (int i = 0; i < PRODUCERS; i++)
        pthread_join(threads[i], NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keeps_order),
        cmocka_unit_test(test_wait_ends_in_time),
        cmocka_unit_test(test_many_producers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Watches: fan-out, registering once, again after a new map, and ends at awkward moments. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/fiber/fiber.h"
#include "lib/store/message.h"
#include "lib/store/store_priv.h"
#include "proto/message.pb-c.h"
#include "tests/unit/lib/store/fake_cluster.h"

static struct store *store;
static const struct account_ref account = { .id = 7, .home = 1 };

/* What the nodes were asked, by arrival. */
static struct {
    bool end;
    uint64_t modseq, mailbox, watch;
} asked[64];
static uint64_t answer_modseq, answer_epoch;
static unsigned hold_first; /* so many of the first requests get no answer until `held` is let go */
static struct rpc_request *held[8];
static unsigned held_count;

static void on_watch(int node, struct rpc_request *request, unsigned nth)
{
    Tern__WatchResponse response = TERN__WATCH_RESPONSE__INIT;
    Tern__WatchRequest *w = tern__watch_request__unpack(NULL, request->request.len, request->request.data);
    (void)node;
    asked[nth].end = w->end;
    asked[nth].modseq = w->modseq;
    asked[nth].mailbox = w->mailbox;
    asked[nth].watch = w->watch;
    response.modseq = answer_modseq;
    response.epoch = answer_epoch;
    tern__watch_request__free_unpacked(w, NULL);
    if (nth < hold_first)
        held[held_count++] = request;
    else
        fake_reply(request, OK, &response.base, SLICE_NULL);
}

static void let_go(void)
{
    for (unsigned i = 0; i < held_count; i++) {
        Tern__WatchResponse response = TERN__WATCH_RESPONSE__INIT;
        fake_reply(held[i], OK, &response.base, SLICE_NULL);
    }
    held_count = 0;
}

static int setup(void **state)
{
    (void)state;
    memset(asked, 0, sizeof asked);
    answer_modseq = answer_epoch = hold_first = held_count = 0;
    store = fake_start(on_watch);
    return 0;
}

static void on_change(uint64_t modseq, void *arg)
{
    *(uint64_t *)arg = modseq;
}

static void await_count(unsigned count)
{
    uint64_t deadline_ms = loop_deadline_ms(5000);
    while (fake_count(METHOD_WATCH) < count && loop_now_ms() < deadline_ms)
        fiber_sleep_ms(5);
    assert_int_equal(fake_count(METHOD_WATCH), count);
}

static void await_value(const uint64_t *value, uint64_t want)
{
    uint64_t deadline_ms = loop_deadline_ms(5000);
    while (*value != want && loop_now_ms() < deadline_ms)
        fiber_sleep_ms(5);
    assert_true(*value == want);
}

static void notify(uint64_t watch, uint64_t mailbox, uint64_t modseq)
{
    Tern__WatchNotice notice = TERN__WATCH_NOTICE__INIT;
    notice.watch = watch;
    notice.account = account.id;
    notice.mailbox = mailbox;
    notice.modseq = modseq;
    fake_notify(METHOD_WATCH_NOTICE, &notice.base);
}

static void fan_out(void)
{
    uint64_t a = 0, b = 0, c = 0;
    struct watch *wa = watch_new(store, account, 5, 10, on_change, &a);
    struct watch *wb = watch_new(store, account, 5, 20, on_change, &b);
    struct watch *wc = watch_new(store, account, 6, 10, on_change, &c);
    await_count(2); /* one a mailbox */
    notify(asked[0].watch, 5, 15);
    await_value(&a, 15);
    assert_true(b == 0 && c == 0);     /* b knew more already */
    notify(asked[0].watch + 1, 5, 99); /* somebody else's */
    notify(asked[0].watch, 77, 99);    /* nobody's mailbox */
    notify(asked[0].watch, 5, 12);     /* old */
    notify(asked[0].watch, 5, 30);
    await_value(&a, 30);
    await_value(&b, 30);
    assert_true(c == 0);
    /* One that comes with less than others were told hears it at once. */
    uint64_t d = 0;
    struct watch *wd = watch_new(store, account, 5, 1, on_change, &d);
    assert_true(d == 30);
    watch_free(&wa);
    watch_free(&wb);
    fiber_sleep_ms(50);
    assert_int_equal(fake_count(METHOD_WATCH), 2); /* d still looks */
    watch_free(&wd);
    await_count(3);
    assert_true(asked[2].end && asked[2].mailbox == 5 && asked[2].watch == asked[0].watch);
    watch_free(&wc);
    await_count(4);
    watch_free(&wc);
}

static void sessions_share_a_registration(void **state)
{
    (void)state;
    fake_run(fan_out);
}

static void missed_meanwhile(void)
{
    uint64_t a = 0;
    answer_modseq = 50;
    struct watch *w = watch_new(store, account, 5, 10, on_change, &a);
    await_value(&a, 50); /* the answer says what no notice said */
    watch_free(&w);
    await_count(2);
}

static void the_answer_tells_what_was_missed(void **state)
{
    (void)state;
    fake_run(missed_meanwhile);
}

static void new_map(void)
{
    uint64_t a = 0;
    Tern__MapNotice notice = TERN__MAP_NOTICE__INIT;
    struct watch *w = watch_new(store, account, 5, 10, on_change, &a);
    await_count(1);
    notify(asked[0].watch, 5, 15);
    await_value(&a, 15);
    fake_move(account.home, 0);
    notice.version = 2;
    fake_notify(METHOD_MAP_NOTICE, &notice.base);
    await_count(2);
    assert_int_equal(fake_seen(METHOD_WATCH, 1).node, 0);
    assert_true(asked[1].modseq == 15 && !asked[1].end);
    /* A map that does not concern it. */
    fake_move(account.home + 1, 1);
    notice.version = 3;
    fake_notify(METHOD_MAP_NOTICE, &notice.base);
    fiber_sleep_ms(300);
    assert_int_equal(fake_count(METHOD_WATCH), 2);
    watch_free(&w);
    await_count(3);
}

static void a_new_epoch_registers_again(void **state)
{
    (void)state;
    fake_run(new_map);
}

static void node_behind_the_map(void)
{
    uint64_t a = 0;
    Tern__MapNotice notice = TERN__MAP_NOTICE__INIT;
    answer_epoch = 1; /* as the first map has it */
    struct watch *w = watch_new(store, account, 5, 10, on_change, &a);
    await_count(1);
    fake_move(account.home, 1);
    notice.version = 2;
    fake_notify(METHOD_MAP_NOTICE, &notice.base);
    await_count(2);
    await_count(3); /* soon again, not with the next renewal */
    answer_epoch = 2;
    await_count(4);
    fiber_sleep_ms(2500);
    assert_int_equal(fake_count(METHOD_WATCH), 4);
    watch_free(&w);
    await_count(5);
}

static void a_node_behind_the_map_is_asked_again(void **state)
{
    (void)state;
    fake_run(node_behind_the_map);
}

static void free_while_registering(void)
{
    uint64_t a = 0;
    struct watch *w = watch_new(store, account, 5, 10, on_change, &a);
    await_count(1);
    watch_free(&w); /* its registration has no answer yet */
    fiber_sleep_ms(100);
    assert_int_equal(fake_count(METHOD_WATCH), 1); /* the end waits its turn behind it */
    let_go();
    await_count(2);
    assert_true(asked[1].end);
    fiber_sleep_ms(50);
}

static void freed_while_being_registered(void **state)
{
    (void)state;
    hold_first = 1;
    fake_run(free_while_registering);
}

static void watch_while_ending(void)
{
    uint64_t a = 0, b = 0;
    struct watch *w = watch_new(store, account, 5, 10, on_change, &a);
    await_count(1);
    let_go();
    fiber_sleep_ms(50);
    watch_free(&w);
    await_count(2);
    assert_true(asked[1].end);
    w = watch_new(store, account, 5, 11, on_change, &b); /* while the end is on its way */
    fiber_sleep_ms(50);
    let_go();
    await_count(3);
    assert_false(asked[2].end);
    notify(asked[0].watch, 5, 40);
    await_value(&b, 40);
    assert_true(a == 0);
    watch_free(&w);
    await_count(4);
}

static void watched_again_while_it_ends(void **state)
{
    (void)state;
    hold_first = 2;
    fake_run(watch_while_ending);
}

static void map_while_registering(void)
{
    uint64_t a = 0;
    Tern__MapNotice notice = TERN__MAP_NOTICE__INIT;
    struct watch *w = watch_new(store, account, 5, 10, on_change, &a);
    await_count(1);
    fake_move(account.home, 0);
    notice.version = 2;
    fake_notify(METHOD_MAP_NOTICE, &notice.base);
    await_count(
        3); /* the old primary need not answer; and once more, as the first try was of the old epoch */
    assert_int_equal(fake_seen(METHOD_WATCH, 1).node, 0);
    let_go();
    watch_free(&w);
    uint64_t deadline_ms = loop_deadline_ms(5000);
    while (!asked[fake_count(METHOD_WATCH) - 1].end && loop_now_ms() < deadline_ms)
        fiber_sleep_ms(5);
    assert_true(asked[fake_count(METHOD_WATCH) - 1].end);
    fiber_sleep_ms(50);
}

static void a_map_while_being_registered(void **state)
{
    (void)state;
    hold_first = 1;
    fake_run(map_while_registering);
}

static void end_with_work_under_way(void)
{
    uint64_t a = 0;
    struct watch *w[30];
    for (unsigned i = 0; i < 30; i++)
        w[i] = watch_new(store, account, 100 + i, 10, on_change, &a);
    for (unsigned i = 0; i < 30; i++)
        watch_free(&w[i]);
    fiber_yield();
}

static void the_store_ends_with_registrations_under_way(void **state)
{
    (void)state;
    fake_run(end_with_work_under_way); /* the rest is teardown */
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, fake_teardown)
    const struct CMUnitTest tests[] = {
        TEST(sessions_share_a_registration),        TEST(the_answer_tells_what_was_missed),
        TEST(a_new_epoch_registers_again),          TEST(freed_while_being_registered),
        TEST(a_node_behind_the_map_is_asked_again), TEST(watched_again_while_it_ends),
        TEST(a_map_while_being_registered),         TEST(the_store_ends_with_registrations_under_way),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

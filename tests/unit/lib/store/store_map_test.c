/* SPDX-License-Identifier: Apache-2.0 */
/* How a request finds its primary by the map and by hints, and how a newer map comes. */
#include "lib/fiber/fiber.h"
#include "proto/cluster.pb-c.h"
#include "tests/unit/lib/store/call_fixture.h"

static void by_map(void)
{
    uint32_t partition;
    assert_int_equal(a_write(), OK);
    assert_int_equal(a_read(), OK);
    assert_int_equal(fake_seen(METHOD_MAILBOX_DELETE, 0).node, 1);
    assert_int_equal(fake_seen(METHOD_MAILBOX_DELETE, 0).partition, 1);
    assert_true(fake_seen(METHOD_MAILBOX_DELETE, 0).has_request_id);
    assert_false(fake_seen(METHOD_MAILBOX_LIST, 0).has_request_id);
    assert_int_equal(store_map_version(store), 1);
    assert_true(store_domain_is_local(store, SLICE_LIT("example.test")));
    assert_false(store_domain_is_local(store, SLICE_LIT("xexample.test")));
    assert_true(slice_eq_str(store_cluster_id(store), "fake"));
    assert_int_equal(store_partition_of(store, SLICE_LIT("a@example.test"), &partition), OK);
    assert_true(partition < FAKE_PARTITIONS);
}

static void requests_go_where_the_map_says(void **state)
{
    (void)state;
    fake_run(by_map);
}

static void hint_elsewhere(int node, struct rpc_request *request, unsigned nth)
{
    if (node == 1)
        fake_reply_hint(request, ERR_NOT_PRIMARY, 0, 0);
    else
        say_ok(node, request, nth);
}

static void follow_hint(void)
{
    assert_int_equal(a_write(), OK);
    assert_int_equal(fake_count(METHOD_MAILBOX_DELETE), 2); /* at once */
    assert_int_equal(fake_seen(METHOD_MAILBOX_DELETE, 1).node, 0);
    assert_true(same_id(0, 1));
}

static void a_hint_is_followed(void **state)
{
    (void)state;
    fake_set_handler(hint_elsewhere);
    fake_run(follow_hint);
}

static void not_me(int node, struct rpc_request *request, unsigned nth)
{
    if (node == 1 && nth == 0)
        fake_move(account.home, 0); /* the answer goes out only when this returns */
    if (node == 1)
        fake_reply_hint(request, ERR_NOT_PRIMARY, -1, 0);
    else
        say_ok(node, request, nth);
}

static void wait_for_newer_map(void)
{
    assert_int_equal(a_write(), OK);
    assert_int_equal(store_map_version(store), 2);
}

static void not_primary_without_hint_waits_for_the_map(void **state)
{
    (void)state;
    fake_set_handler(not_me);
    fake_run(wait_for_newer_map);
}

static void hint_at_each_other(int node, struct rpc_request *request, unsigned nth)
{
    if (nth < 8)
        fake_reply_hint(request, ERR_NOT_PRIMARY, 1 - node, 0);
    else
        say_ok(node, request, nth);
}

static void hints_that_go_round(void)
{
    uint64_t start_ms = loop_now_ms();
    assert_int_equal(a_write(), OK);
    /* Three are followed at once, then pauses of 4, 8, 16, 32 ms and so on for a newer map. */
    assert_true(loop_now_ms() - start_ms >= 60);
}

static void hints_that_go_round_are_not_followed_for_ever(void **state)
{
    (void)state;
    fake_set_handler(hint_at_each_other);
    fake_run(hints_that_go_round);
}

static void await_version(uint64_t version)
{
    uint64_t deadline_ms = loop_deadline_ms(20 * 1000);
    while (store_map_version(store) < version && loop_now_ms() < deadline_ms)
        fiber_sleep_ms(10);
    assert_int_equal(store_map_version(store), version);
}

static void refresh_on_notice(void)
{
    Tern__MapNotice notice = TERN__MAP_NOTICE__INIT;
    uint64_t start_ms = loop_now_ms();
    fake_move(2, 1);
    notice.version = 2;
    fake_notify(METHOD_MAP_NOTICE, &notice.base);
    await_version(2);
    assert_true(loop_now_ms() - start_ms < 4500); /* and not the next refresh */
}

static void a_notice_brings_the_map(void **state)
{
    (void)state;
    fake_run(refresh_on_notice);
}

static void announce(uint64_t version)
{
    Tern__MapNotice notice = TERN__MAP_NOTICE__INIT;
    notice.version = version;
    fake_notify(METHOD_MAP_NOTICE, &notice.base);
    await_version(version);
}

static void older_store(void)
{
    uint32_t node;
    uint64_t epoch;
    fake_move(2, 1);
    announce(2);
    assert_true(store_partition_primary(store, 2, &node, &epoch));
    uint32_t primary = node;
    fake_put_back(2, 0);
    announce(3);
    assert_true(store_partition_primary(store, 2, &node, &epoch));
    assert_true(node == primary && epoch == 2);
    fake_move(2, 0); /* the epoch that we have: it cannot be another configuration */
    fake_move(2, 0);
    announce(5);
    assert_true(store_partition_primary(store, 2, &node, &epoch));
    assert_true(node != primary && epoch == 3);
}

static void the_higher_epoch_counts_when_the_store_was_put_back(void **state) /* R27 */
{
    (void)state;
    fake_run(older_store);
}

static void expect_not_taken(void)
{
    Tern__MapNotice notice = TERN__MAP_NOTICE__INIT;
    unsigned asked = fake_map_asked(0) + fake_map_asked(1);
    notice.version = 2;
    fake_notify(METHOD_MAP_NOTICE, &notice.base);
    while (fake_map_asked(0) + fake_map_asked(1) < asked + 4)
        fiber_sleep_ms(10);
    assert_int_equal(store_map_version(store), 1);
    assert_true(slice_eq_str(store_cluster_id(store), "fake"));
    assert_int_equal(a_write(), OK);
}

static void another_cluster(void)
{
    fake_exchange();
    expect_not_taken();
}

static void no_partitions(void)
{
    fake_unplace();
    expect_not_taken();
}

static void another_clusters_map_is_not_taken(void **state)
{
    (void)state;
    fake_run(another_cluster);
}

static void a_map_without_partitions_is_not_taken(void **state) /* R27 */
{
    (void)state;
    fake_run(no_partitions);
}

static void fail_over(void)
{
    Tern__MapNotice notice = TERN__MAP_NOTICE__INIT;
    fake_silence_director(0, true);
    fake_move(2, 1);
    notice.version = 2;
    fake_notify(METHOD_MAP_NOTICE, &notice.base);
    await_version(2);
    assert_true(fake_map_asked(1) > 0);
    assert_int_equal(fake_map_asked(-1), 0);

    fake_silence_director(1, true);
    fake_move(2, 0);
    notice.version = 3;
    fake_notify(METHOD_MAP_NOTICE, &notice.base);
    await_version(3);
    assert_true(fake_map_asked(-1) > 0);
    assert_int_equal(a_write(), OK);
}

static void the_next_director_and_then_the_nodes_are_asked(void **state)
{
    (void)state;
    fake_run(fail_over);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(requests_go_where_the_map_says),
        TEST(a_hint_is_followed),
        TEST(not_primary_without_hint_waits_for_the_map),
        TEST(hints_that_go_round_are_not_followed_for_ever),
        TEST(a_notice_brings_the_map),
        TEST(the_higher_epoch_counts_when_the_store_was_put_back),
        TEST(another_clusters_map_is_not_taken),
        TEST(a_map_without_partitions_is_not_taken),
        TEST(the_next_director_and_then_the_nodes_are_asked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

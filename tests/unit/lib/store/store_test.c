/* SPDX-License-Identifier: Apache-2.0 */
/* How a request finds its primary, when it is repeated and what its end means. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/clock.h"
#include "lib/fiber/fiber.h"
#include "lib/store/account.h"
#include "lib/store/mailbox.h"
#include "lib/store/store_priv.h"
#include "proto/account.pb-c.h"
#include "proto/mailbox.pb-c.h"
#include "tests/unit/lib/store/fake_cluster.h"

static struct store *store;
static const struct account_ref account = { .id = 7, .home = 1 }; /* at node 1 */

static enum err a_write(void)
{
    return store_mailbox_delete(store, account, SLICE_LIT("Junk"));
}

static enum err a_read(void)
{
    struct arena arena = { 0 };
    struct mailbox_list list;
    enum err err = store_mailbox_list(store, account, &arena, &list);
    arena_fini(&arena);
    return err;
}

static bool same_id(unsigned a, unsigned b)
{
    struct fake_seen x = fake_seen(METHOD_MAILBOX_DELETE, a), y = fake_seen(METHOD_MAILBOX_DELETE, b);
    assert_true(x.has_request_id && y.has_request_id);
    return memcmp(x.request_id, y.request_id, sizeof x.request_id) == 0;
}

static void say_ok(int node, struct rpc_request *request, unsigned nth)
{
    Tern__MailboxListResponse list = TERN__MAILBOX_LIST_RESPONSE__INIT;
    (void)node;
    (void)nth;
    fake_reply(request, OK, request->method == METHOD_MAILBOX_LIST ? &list.base : NULL, SLICE_NULL);
}

static int setup(void **state)
{
    (void)state;
    store = fake_start(say_ok);
    return 0;
}

/* ---- the map's way */

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
    uint64_t start_ms = loop_now_ms();
    assert_int_equal(a_write(), OK);
    assert_true(loop_now_ms() - start_ms < 2000);
    assert_int_equal(fake_count(METHOD_MAILBOX_DELETE), 2);
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

/* ---- no answer */

static void say_nothing_once(int node, struct rpc_request *request, unsigned nth)
{
    if (nth == 0)
        fake_keep(request);
    else
        say_ok(node, request, nth);
}

static void repeat_after_silence(void)
{
    assert_int_equal(a_write(), OK);
    assert_int_equal(fake_count(METHOD_MAILBOX_DELETE), 2);
    assert_true(same_id(0, 1));
}

static void silence_is_repeated_with_the_same_id(void **state)
{
    (void)state;
    fake_set_handler(say_nothing_once);
    fake_run(repeat_after_silence);
}

static void only_node_0_answers(int node, struct rpc_request *request, unsigned nth)
{
    if (node == 1)
        fake_keep(request);
    else
        say_ok(node, request, nth);
}

static void move_soon(void *arg)
{
    (void)arg;
    fiber_sleep_ms(300);
    fake_move(account.home, 0);
    Tern__MapNotice notice = TERN__MAP_NOTICE__INIT;
    notice.version = 2;
    fake_notify(METHOD_MAP_NOTICE, &notice.base);
}

static void leave_a_replaced_primary(void)
{
    uint64_t start_ms = loop_now_ms();
    assert_int_equal(fiber_spawn(fake_loop(), "move", move_soon, NULL), OK);
    assert_int_equal(a_write(), OK);
    assert_true(loop_now_ms() - start_ms < 2000); /* not the whole patience of one try */
    assert_true(same_id(0, 1));
    assert_int_equal(store_map_version(store), 2);
}

static void a_replaced_primary_is_left_at_the_notice(void **state)
{
    (void)state;
    fake_set_handler(only_node_0_answers);
    fake_run(leave_a_replaced_primary);
}

static void say_nothing(int node, struct rpc_request *request, unsigned nth)
{
    (void)node;
    (void)nth;
    fake_keep(request);
}

static enum err run_briefly(uint32_t method, uint32_t deadline_ms, const ProtobufCMessage *request)
{
    struct call call = { .method = method, .partition = account.home, .request = request };
    call_begin(store, &call);
    call.deadline_ms = loop_deadline_ms(deadline_ms);
    call.rpc.deadline_mono_ms = call.deadline_ms;
    enum err err = call_end(&call);
    call_fini(&call);
    return err;
}

static enum err brief_write(void)
{
    Tern__MailboxDeleteRequest request = TERN__MAILBOX_DELETE_REQUEST__INIT;
    return run_briefly(METHOD_MAILBOX_DELETE, 300, &request.base);
}

static enum err brief_read(void)
{
    Tern__MailboxListRequest request = TERN__MAILBOX_LIST_REQUEST__INIT;
    return run_briefly(METHOD_MAILBOX_LIST, 300, &request.base);
}

static void end_in_silence(void)
{
    assert_int_equal(brief_write(), ERR_IN_DOUBT);
    enum err err = brief_read();
    assert_true(err == ERR_UNAVAILABLE || err == ERR_TIMEOUT);
}

static void at_the_deadline_a_write_is_in_doubt(void **state)
{
    (void)state;
    fake_set_handler(say_nothing);
    fake_run(end_in_silence);
}

/* ---- answers that mean "not now" */

static void say_busy(int node, struct rpc_request *request, unsigned nth)
{
    if (nth < 3)
        fake_reply(request, nth == 1 ? ERR_UNAVAILABLE : ERR_BUSY, NULL, SLICE_NULL);
    else
        say_ok(node, request, nth);
}

static void wait_while_busy(void)
{
    uint64_t start_ms = loop_now_ms();
    assert_int_equal(a_write(), OK);
    assert_int_equal(fake_count(METHOD_MAILBOX_DELETE), 4);
    assert_true(loop_now_ms() - start_ms >= 100); /* 50 ms for each BUSY */
    assert_true(same_id(0, 3));
}

static void say_always_busy(int node, struct rpc_request *request, unsigned nth)
{
    (void)node;
    (void)nth;
    fake_reply(request, ERR_BUSY, NULL, SLICE_NULL);
}

static void stay_busy(void)
{
    assert_int_equal(brief_write(), ERR_BUSY); /* nothing happened, and that is known */
    assert_true(fake_count(METHOD_MAILBOX_DELETE) < 12);
}

static void busy_is_tried_again_later(void **state)
{
    (void)state;
    fake_set_handler(say_busy);
    fake_run(wait_while_busy);
    fake_set_handler(say_always_busy);
    fake_run(stay_busy);
}

static void say_expired(int node, struct rpc_request *request, unsigned nth)
{
    if (nth == 0)
        fake_reply_hint(request, ERR_EXPIRED, -1, 123456789);
    else
        say_ok(node, request, nth);
}

static void take_a_new_id(void)
{
    assert_int_equal(a_write(), OK);
    assert_int_equal(fake_count(METHOD_MAILBOX_DELETE), 2);
    assert_false(same_id(0, 1));
    struct fake_seen second = fake_seen(METHOD_MAILBOX_DELETE, 1);
    struct cursor c = cursor_of(slice_of(second.request_id, 8));
    assert_true(cursor_be64(&c) == 123456789); /* the partition's time, as it told us */
}

static void expired_takes_a_new_id(void **state)
{
    (void)state;
    fake_set_handler(say_expired);
    fake_run(take_a_new_id);
}

static void silence_then_expired(int node, struct rpc_request *request, unsigned nth)
{
    (void)node;
    if (nth == 0)
        fake_reply(request, ERR_IN_DOUBT, NULL, SLICE_NULL);
    else
        fake_reply_hint(request, ERR_EXPIRED, -1, 5);
}

static void keep_the_doubt(void)
{
    assert_int_equal(a_write(), ERR_IN_DOUBT); /* a new id might do it twice */
    assert_int_equal(fake_count(METHOD_MAILBOX_DELETE), 2);
}

static void a_try_in_doubt_never_gets_a_new_id(void **state)
{
    (void)state;
    fake_set_handler(silence_then_expired);
    fake_run(keep_the_doubt);
}

static void say_final(int node, struct rpc_request *request, unsigned nth)
{
    static const enum err answers[] = { ERR_NOT_FOUND, ERR_CORRUPT, ERR_NO_SPACE };
    (void)node;
    fake_reply(request, answers[nth % 3], NULL, SLICE_NULL);
}

static void take_final_answers(void)
{
    assert_int_equal(a_write(), ERR_NOT_FOUND);
    assert_int_equal(a_write(), ERR_CORRUPT);
    assert_int_equal(a_write(), ERR_NO_SPACE);
    assert_int_equal(fake_count(METHOD_MAILBOX_DELETE), 3);
}

static void say_rubbish(int node, struct rpc_request *request, unsigned nth)
{
    (void)node;
    (void)nth;
    struct buf rubbish = { 0 };
    buf_add_str(&rubbish, "\xff\xff\xff\xff");
    rpc_reply(&request, OK, NULL, &rubbish, NULL);
}

static void take_rubbish(void)
{
    assert_int_equal(a_read(), ERR_PROTOCOL);
}

static void final_answers_are_final(void **state)
{
    (void)state;
    fake_set_handler(say_final);
    fake_run(take_final_answers);
    fake_set_handler(say_rubbish);
    fake_run(take_rubbish);
}

/* ---- the map */

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
    assert_true(loop_now_ms() - start_ms < 3000);
}

static void a_notice_brings_the_map(void **state)
{
    (void)state;
    fake_run(refresh_on_notice);
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

/* ---- addresses */

static void answer_lookup(int node, struct rpc_request *request, unsigned nth)
{
    Tern__AddressLookupRequest *asked =
        tern__address_lookup_request__unpack(NULL, request->request.len, request->request.data);
    Tern__AddressLookupResponse response = TERN__ADDRESS_LOOKUP_RESPONSE__INIT;
    Tern__Account row = TERN__ACCOUNT__INIT;
    char *both[] = { (char *)"a@example.test", (char *)"loop@example.test", (char *)"x@remote.example",
                     (char *)"gone@example.test" };
    char *itself[] = { (char *)"loop@example.test", (char *)"list@example.test" };
    enum err status = OK;
    (void)node;
    (void)nth;
    row.id = 9;
    row.home = 3;
    row.address = asked->address;
    if (strcmp(asked->address, "a@example.test") == 0) {
        response.account = &row;
    } else if (strcmp(asked->address, "list@example.test") == 0) {
        response.alias_targets = both;
        response.n_alias_targets = 1;
    } else if (strcmp(asked->address, "mixed@example.test") == 0) {
        both[1] = both[2];
        both[2] = both[3];
        response.alias_targets = both;
        response.n_alias_targets = 3;
    } else if (strcmp(asked->address, "loop@example.test") == 0) {
        response.alias_targets = itself;
        response.n_alias_targets = 2;
    } else {
        status = ERR_NOT_FOUND;
    }
    fake_reply(request, status, &response.base, SLICE_NULL);
    tern__address_lookup_request__free_unpacked(asked, NULL);
}

static void resolve(void)
{
    struct arena arena = { 0 };
    struct store_targets t;
    assert_int_equal(store_address_resolve(store, SLICE_LIT("a@example.test"), 0, &arena, &t), OK);
    assert_true(t.account_count == 1 && t.accounts[0].ref.id == 9 && t.accounts[0].ref.home == 3);
    assert_int_equal(store_address_resolve(store, SLICE_LIT("list@example.test"), 0, &arena, &t), OK);
    assert_true(t.account_count == 1 && t.remote_count == 0);
    assert_int_equal(store_address_resolve(store, SLICE_LIT("mixed@example.test"), 0, &arena, &t), OK);
    assert_true(t.account_count == 1 && t.remote_count == 1);
    assert_true(slice_eq_str(t.remote[0], "x@remote.example"));
    assert_int_equal(store_address_resolve(store, SLICE_LIT("loop@example.test"), 0, &arena, &t), ERR_LIMIT);
    assert_int_equal(store_address_resolve(store, SLICE_LIT("no@example.test"), 0, &arena, &t),
                     ERR_NOT_FOUND);
    assert_int_equal(store_address_resolve(store, SLICE_LIT("a@remote.test"), 0, &arena, &t), ERR_NO_DOMAIN);
    assert_int_equal(store_address_resolve(store, SLICE_LIT("nodomain"), 0, &arena, &t), ERR_SYNTAX);
    arena_fini(&arena);
}

static void addresses_resolve_through_aliases(void **state)
{
    (void)state;
    fake_set_handler(answer_lookup);
    fake_run(resolve);
}

static void not_primary_without_hint_waits_for_the_map(void **state)
{
    (void)state;
    fake_set_handler(not_me);
    fake_run(wait_for_newer_map);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, fake_teardown)
    const struct CMUnitTest tests[] = {
        TEST(requests_go_where_the_map_says),
        TEST(a_hint_is_followed),
        TEST(not_primary_without_hint_waits_for_the_map),
        TEST(hints_that_go_round_are_not_followed_for_ever),
        TEST(silence_is_repeated_with_the_same_id),
        TEST(a_replaced_primary_is_left_at_the_notice),
        TEST(at_the_deadline_a_write_is_in_doubt),
        TEST(busy_is_tried_again_later),
        TEST(expired_takes_a_new_id),
        TEST(a_try_in_doubt_never_gets_a_new_id),
        TEST(final_answers_are_final),
        TEST(a_notice_brings_the_map),
        TEST(the_next_director_and_then_the_nodes_are_asked),
        TEST(addresses_resolve_through_aliases),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

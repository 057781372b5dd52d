/* SPDX-License-Identifier: Apache-2.0 */
/* When a request is repeated, under which id, and what its end means. */
#include "lib/fiber/fiber.h"
#include "lib/store/store_priv.h"
#include "proto/cluster.pb-c.h"
#include "proto/mailbox.pb-c.h"
#include "tests/unit/lib/store/call_fixture.h"
#include "tests/unit/lib/store/test_clock.h"

enum { COMES_MS = 30 * 1000 };

static int setup(void **state)
{
    test_clock_reset();
    return call_setup(state);
}

/* libuv waits by a clock of its own. */
static void keep_turning(void *arg)
{
    const bool *over = arg;
    while (!*over)
        fiber_yield();
}

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
    assert_true(loop_now_ms() - start_ms < 5000); /* not the whole patience of one try */
    assert_true(same_id(0, 1));
    assert_int_equal(store_map_version(store), 2);
}

static void a_replaced_primary_is_left_at_the_notice(void **state)
{
    (void)state;
    fake_set_handler(only_node_0_answers);
    fake_run(leave_a_replaced_primary);
}

static void not_now_once(int node, struct rpc_request *request, unsigned nth)
{
    if (nth == 0)
        fake_reply(request, ERR_UNAVAILABLE, NULL, SLICE_NULL);
    else
        say_ok(node, request, nth);
}

/* A slow client took what came before it while this answer was at hand. */
static enum err read_late(bool ahead)
{
    enum { TIMEOUT_MS = 5000 };
    Tern__MailboxListRequest request = TERN__MAILBOX_LIST_REQUEST__INIT;
    struct call call = { .method = METHOD_MAILBOX_LIST,
                         .partition = account.home,
                         .request = &request.base,
                         .timeout_ms = TIMEOUT_MS,
                         .ahead = ahead };
    call_begin(store, &call);
    for (uint64_t end_ms = loop_deadline_ms(COMES_MS); !call.rpc.done; fiber_sleep_ms(1))
        assert_true(loop_now_ms() < end_ms);
    test_clock_ahead(2 * TIMEOUT_MS);
    static bool over;
    over = false;
    assert_int_equal(fiber_spawn(fake_loop(), "turn", keep_turning, &over), OK);
    enum err err = call_end(&call);
    call_fini(&call);
    over = true;
    return err;
}

static void read_late_ahead(void)
{
    assert_int_equal(read_late(true), OK);
    assert_int_equal(fake_count(METHOD_MAILBOX_LIST), 2);
}

static void read_late_with_others(void)
{
    assert_int_equal(read_late(false), ERR_UNAVAILABLE);
    assert_int_equal(fake_count(METHOD_MAILBOX_LIST), 1);
}

static void a_read_ahead_is_repeated_whenever_it_is_wanted(void **state)
{
    (void)state;
    fake_set_handler(not_now_once);
    fake_run(read_late_ahead);
}

static void of_parallel_calls_the_time_is_one(void **state)
{
    (void)state;
    fake_set_handler(not_now_once);
    fake_run(read_late_with_others);
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

/* The time of a call ends when it was answered so many times and is not sent again yet. */
static struct {
    struct call call;
    unsigned count;
    bool over;
} busy;

static void end_its_time(void *arg)
{
    (void)arg;
    while (fake_count(METHOD_MAILBOX_DELETE) < busy.count || busy.call.listed)
        fiber_yield();
    test_clock_ahead(STORE_DEADLINE_MS);
    keep_turning(&busy.over);
}

static void stay_busy(void)
{
    Tern__MailboxDeleteRequest request = TERN__MAILBOX_DELETE_REQUEST__INIT;
    busy.call =
        (struct call){ .method = METHOD_MAILBOX_DELETE, .partition = account.home, .request = &request.base };
    busy.count = fake_count(METHOD_MAILBOX_DELETE) + 5;
    busy.over = false;
    assert_int_equal(fiber_spawn(fake_loop(), "end", end_its_time, NULL), OK);
    uint64_t start_ms = test_clock_real_ms();
    assert_int_equal(call_run(store, &busy.call), ERR_BUSY); /* nothing happened, and that is known */
    assert_true(test_clock_real_ms() - start_ms >= 4 * 50);
    assert_int_equal(fake_count(METHOD_MAILBOX_DELETE), busy.count);
    call_fini(&busy.call);
    busy.over = true;
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

static void say_unsupported(int node, struct rpc_request *request, unsigned nth)
{
    (void)node;
    (void)nth;
    fake_reply(request, ERR_UNSUPPORTED, NULL, SLICE_NULL);
}

static void ask_an_older_node(void)
{
    assert_int_equal(a_write(), ERR_UNAVAILABLE);
    assert_int_equal(a_read(), ERR_UNAVAILABLE);
    assert_int_equal(fake_count(METHOD_MAILBOX_DELETE), 1); /* it does not know it a moment later either */
}

/* The caller, and so the user, has done nothing wrong (ADR 0024). */
static void an_older_node_is_a_temporary_error(void **state)
{
    (void)state;
    fake_set_handler(say_unsupported);
    fake_run(ask_an_older_node);
}

static void do_it_and_grow_older(int node, struct rpc_request *request, unsigned nth)
{
    fake_reply(request, nth == 0 ? ERR_IN_DOUBT : ERR_UNSUPPORTED, NULL, SLICE_NULL);
}

static void ask_an_older_node_in_doubt(void)
{
    assert_int_equal(a_write(), ERR_IN_DOUBT);
    assert_int_equal(fake_count(METHOD_MAILBOX_DELETE), 2);
}

static void an_older_node_does_not_end_a_doubt(void **state)
{
    (void)state;
    fake_set_handler(do_it_and_grow_older);
    fake_run(ask_an_older_node_in_doubt);
}

int main(void)
{
#define CLOCK_TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, fake_teardown)
    const struct CMUnitTest tests[] = {
        CLOCK_TEST(silence_is_repeated_with_the_same_id),
        CLOCK_TEST(a_replaced_primary_is_left_at_the_notice),
        CLOCK_TEST(a_read_ahead_is_repeated_whenever_it_is_wanted),
        CLOCK_TEST(of_parallel_calls_the_time_is_one),
        CLOCK_TEST(at_the_deadline_a_write_is_in_doubt),
        CLOCK_TEST(busy_is_tried_again_later),
        CLOCK_TEST(expired_takes_a_new_id),
        CLOCK_TEST(a_try_in_doubt_never_gets_a_new_id),
        CLOCK_TEST(final_answers_are_final),
        CLOCK_TEST(an_older_node_is_a_temporary_error),
        CLOCK_TEST(an_older_node_does_not_end_a_doubt),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* What one attempt makes of the answers it gets, how a worker's pass over a queue goes on after trouble, and
 * that partitions which never answer hide no others. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "frontend/queue/queue_priv.h"
#include "proto/message.pb-c.h"
#include "proto/methods.h"
#include "proto/queue.pb-c.h"
#include "tests/unit/lib/store/fake_cluster.h"
#include "tests/unit/lib/store/test_clock.h"

enum { QUEUE = 0, HOME = 1, TARGETS = 2 };

static struct queue q;
static struct queue_slot slots[FAKE_PARTITIONS];

/* What the nodes answer. */
static enum err body_answer, deliver_answer, target_answers[TARGETS], lease_answer;
static uint64_t early_seen;
static bool silent[FAKE_PARTITIONS];
static bool unknown[FAKE_PARTITIONS]; /* to the node that is asked for many */
static uint64_t items[FAKE_PARTITIONS];
static enum err totals_answer;

static void on_deliver(struct rpc_request *request)
{
    Tern__DeliverResponse response = TERN__DELIVER_RESPONSE__INIT;
    Tern__DeliverResult results[TARGETS], *pointers[TARGETS];
    response.n_results = TARGETS;
    response.results = pointers;
    for (size_t i = 0; i < TARGETS; i++) {
        tern__deliver_result__init(&results[i]);
        results[i].status = target_answers[i];
        pointers[i] = &results[i];
    }
    fake_reply(request, deliver_answer, deliver_answer == OK ? &response.base : NULL, SLICE_NULL);
}

/* Nothing is due. */
static void on_lease(struct rpc_request *request)
{
    Tern__QueueLeaseResponse response = TERN__QUEUE_LEASE_RESPONSE__INIT;
    Tern__QueueLeaseRequest *r =
        tern__queue_lease_request__unpack(NULL, request->request.len, request->request.data);
    early_seen = r->early_before_ms;
    tern__queue_lease_request__free_unpacked(r, NULL);
    response.now_ms = 1000;
    fake_reply(request, lease_answer, lease_answer == OK ? &response.base : NULL, SLICE_NULL);
}

static void on_totals(struct rpc_request *request)
{
    Tern__QueueTotalsRequest *r =
        tern__queue_totals_request__unpack(NULL, request->request.len, request->request.data);
    Tern__QueueTotalsResponse response = TERN__QUEUE_TOTALS_RESPONSE__INIT;
    Tern__QueueTotalsRow rows[FAKE_PARTITIONS], *pointers[FAKE_PARTITIONS];
    Tern__QueueStatusResponse statuses[FAKE_PARTITIONS];
    uint32_t not_known[FAKE_PARTITIONS];
    response.rows = pointers;
    response.unknown = not_known;
    for (size_t i = 0; i < r->n_partitions; i++) {
        uint32_t p = r->partitions[i];
        assert_true(p < FAKE_PARTITIONS);
        if (unknown[p]) {
            not_known[response.n_unknown++] = p;
        } else if (items[p] > 0) {
            tern__queue_totals_row__init(&rows[p]);
            tern__queue_status_response__init(&statuses[p]);
            statuses[p].items = items[p];
            statuses[p].next_ms = 1;
            rows[p].partition = p;
            rows[p].status = &statuses[p];
            pointers[response.n_rows++] = &rows[p];
        }
    }
    fake_reply(request, totals_answer, totals_answer == OK ? &response.base : NULL, SLICE_NULL);
    tern__queue_totals_request__free_unpacked(r, NULL);
}

static void handle(int node, struct rpc_request *request, unsigned nth)
{
    (void)node;
    (void)nth;
    if (request->method == METHOD_QUEUE_BODY) {
        Tern__QueueBodyResponse response = TERN__QUEUE_BODY_RESPONSE__INIT;
        fake_reply(request, body_answer, body_answer == OK ? &response.base : NULL,
                   body_answer == OK ? SLICE_LIT("text") : SLICE_NULL);
    } else if (request->method == METHOD_DELIVER) {
        on_deliver(request);
    } else if (request->method == METHOD_QUEUE_LEASE) {
        on_lease(request);
    } else if (request->method == METHOD_QUEUE_TOTALS) {
        on_totals(request);
    } else if (request->method == METHOD_QUEUE_STATUS) {
        fake_reply(request, silent[request->partition] ? ERR_IO : OK, NULL, SLICE_NULL);
    } else {
        fake_reply(request, OK, NULL, SLICE_NULL);
    }
}

static int setup(void **state)
{
    (void)state;
    test_clock_reset();
    body_answer = deliver_answer = lease_answer = totals_answer = OK;
    memset(unknown, 0, sizeof unknown);
    memset(items, 0, sizeof items);
    memset(target_answers, 0, sizeof target_answers);
    memset(slots, 0, sizeof slots);
    memset(silent, 0, sizeof silent);
    q = (struct queue){ .store = fake_start(handle),
                        .holder = (char *)"test",
                        .slot_count = FAKE_PARTITIONS };
    q.loop = fake_loop();
    atomic_store(&q.slots, slots);
    return 0;
}

/* An attempt at an item for two accounts of one partition: "dlf", as the report will say. */
static const char *attempt(void)
{
    static char text[TARGETS + 1];
    struct queue_recipient recipients[TARGETS] = { { .account = { 100, HOME } },
                                                   { .account = { 101, HOME } } };
    struct queue_item item = {
        .id.partition = QUEUE, .size = 4, .attempts = 1, .recipients = recipients, .recipient_count = TARGETS
    };
    struct arena arena = { 0 };
    struct queue_report report = { .item = &item };
    atomic_store(&slots[HOME].away, false);
    assert_int_equal(queue_attempt(&q, &item, &arena, &report), OK);
    for (size_t i = 0; i < TARGETS; i++)
        text[i] = "dlf"[report.outcomes[i]];
    arena_fini(&arena);
    return text;
}

static void outcomes(void)
{
    assert_string_equal(attempt(), "dd");
    /* Only an account that is gone ends the way of a message that was taken on. */
    target_answers[0] = ERR_NOT_FOUND;
    target_answers[1] = ERR_LIMIT;
    assert_string_equal(attempt(), "fl");
    assert_false(queue_home_is_away(&q, HOME));
    static const enum err whole[] = { ERR_NOT_FOUND, ERR_INVALID, ERR_NO_SPACE };
    for (size_t i = 0; i < sizeof whole / sizeof whole[0]; i++) {
        deliver_answer = whole[i]; /* of the upload, or of the id: of no account */
        assert_string_equal(attempt(), "ll");
    }
    assert_true(queue_home_is_away(&q, HOME));
}

static void only_a_gone_account_fails(void **state)
{
    (void)state;
    fake_run(outcomes);
}

static void blame(void)
{
    body_answer = ERR_IO;
    assert_string_equal(attempt(), "ll");
    assert_false(queue_home_is_away(&q, HOME));
    assert_int_equal(fake_count(METHOD_DELIVER), 0);
}

static void homes_are_not_blamed_for_the_source(void **state)
{
    (void)state;
    fake_run(blame);
}

/* A pass over what is not due yet, broken off by trouble, is taken up again; but not at once. */
static void broken_pass(void)
{
    slots[QUEUE].early_before_ms = UINT64_MAX;
    lease_answer = ERR_NO_SPACE;
    queue_work(&q, QUEUE);
    assert_int_equal(early_seen, UINT64_MAX);
    assert_int_equal(slots[QUEUE].early_before_ms, UINT64_MAX);
    assert_false(slots[QUEUE].woken);
    assert_true(slots[QUEUE].wake_ms > loop_now_ms());
    lease_answer = OK;
    early_seen = 0;
    queue_work(&q, QUEUE);
    assert_int_equal(early_seen, UINT64_MAX);
    assert_int_equal(slots[QUEUE].early_before_ms, 0);
    assert_int_equal(slots[QUEUE].wake_ms, DEADLINE_NEVER);
}

static void a_pass_survives_trouble(void **state)
{
    (void)state;
    fake_run(broken_pass);
}

/* 1 and 3 live at one node, 0 and 2 at the other. */
static void hidden_homes(void)
{
    struct queue_round round = { 0 };
    for (uint32_t p = 0; p < FAKE_PARTITIONS; p++)
        atomic_store(&slots[p].away, true);
    silent[0] = silent[1] = true;
    queue_homes_look(&q, &round);
    assert_int_equal(fake_count(METHOD_QUEUE_STATUS),
                     2); /* a round asks no node twice that does not answer */
    for (int i = 0; i < 2; i++)
        queue_homes_look(&q, &round);
    for (uint32_t p = 0; p < FAKE_PARTITIONS; p++)
        assert_int_equal(queue_home_is_away(&q, p), silent[p]);
}

static void a_silent_partition_hides_no_other(void **state)
{
    (void)state;
    fake_run(hidden_homes);
}

/* One question a node; what it said is known of each partition, and what is due is worked on. */
static void whole_nodes(void)
{
    items[3] = 5;
    slots[3].next_ms = 0;
    slots[1].status.items = 9; /* as seen before */
    slots[2].status.items = 8;
    unknown[2] = true;
    queue_look_at_nodes(&q);
    assert_int_equal(fake_count(METHOD_QUEUE_TOTALS), FAKE_NODES);
    assert_int_equal(fake_count(METHOD_QUEUE_STATUS), 0);
    for (uint32_t p = 0; p < FAKE_PARTITIONS; p++)
        assert_int_equal(slots[p].look, p == 2 ? QUEUE_LOOK_ALONE : QUEUE_LOOK_DONE);
    assert_int_equal(slots[3].status.items, 5);
    assert_true(slots[3].woken);
    assert_int_equal(slots[1].status.items, 0);
    assert_false(slots[1].woken);
    assert_int_equal(slots[2].status.items, 8);
    totals_answer = ERR_UNSUPPORTED; /* an older node */
    queue_look_at_nodes(&q);
    for (uint32_t p = 0; p < FAKE_PARTITIONS; p++)
        assert_int_equal(slots[p].look, QUEUE_LOOK_ALONE);
}

static void a_node_is_asked_once(void **state)
{
    (void)state;
    fake_run(whole_nodes);
}

/* What was not told together is asked for alone, in the same round, and what is little not at its end. */
static void scan_round(void)
{
    slots[2].status.items = 8;
    unknown[2] = unknown[3] = true;
    q.fibers = 0;
    test_clock_slow(4);
    uint64_t begun_ms = loop_now_ms();
    assert_true(queue_spawn(&q, "scan", queue_scan_fiber, &q));
    while (fake_count(METHOD_QUEUE_STATUS) < 2)
        fiber_sleep_ms(1);
    assert_true(loop_now_ms() - begun_ms < (uint64_t)QUEUE_SCAN_FIRST_MS * 2 / FAKE_PARTITIONS);
    assert_int_equal(fake_seen(METHOD_QUEUE_STATUS, 0).partition, 2);
    assert_int_equal(fake_seen(METHOD_QUEUE_STATUS, 1).partition, 3);
    queue_drain(&q); /* its sleep ends with it */
    while (q.fibers > 0)
        fiber_sleep_ms(1);
    assert_int_equal(slots[2].status.items, 0);
    assert_int_equal(fake_count(METHOD_QUEUE_STATUS), 2);
}

static void the_rest_is_asked_alone(void **state)
{
    (void)state;
    fake_run(scan_round);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, fake_teardown)
    const struct CMUnitTest tests[] = {
        TEST(only_a_gone_account_fails), TEST(homes_are_not_blamed_for_the_source),
        TEST(a_pass_survives_trouble),   TEST(a_silent_partition_hides_no_other),
        TEST(a_node_is_asked_once),      TEST(the_rest_is_asked_alone),
    };
    queue_figures_register();
    return cmocka_run_group_tests(tests, NULL, NULL);
}

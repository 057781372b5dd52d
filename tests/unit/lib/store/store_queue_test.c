/* SPDX-License-Identifier: Apache-2.0 */
/* The queue's client: where a message is put, what a large one needs, how reports are cut. */
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/alloc.h"
#include "lib/store/queue.h"
#include "lib/store/store_priv.h"
#include "proto/message.pb-c.h"
#include "proto/queue.pb-c.h"
#include "tests/unit/lib/store/fake_cluster.h"
#include "tests/unit/lib/store/test_clock.h"

static struct store *store;

/* Partition p lives at node p % FAKE_NODES. The home of all recipients is partition 1. */
enum { HOME = 1, HOME_NODE = HOME % FAKE_NODES };

static enum err node_answers[FAKE_NODES]; /* to QUEUE_PUT and UPLOAD_CHUNK; ERR_CANCELLED: none */
static struct {
    size_t recipients, upload_id_len;
    uint8_t item_id[16], delivery_id[16], upload_id[16];
    uint64_t size;
} taken[FAKE_SEEN_MAX];
static size_t reports_seen[FAKE_SEEN_MAX];
static unsigned home_chunks;  /* that HOME takes ... */
static enum err home_refusal; /* ... and what it says to the next ones */
static struct {
    uint64_t offset;
    bool last;
} chunks[FAKE_SEEN_MAX];

static uint32_t wait_ms; /* of uploads; 0: the usual, which no machine is too busy for */

static unsigned put_refusals; /* so many QUEUE_PUTs are answered ... */
static enum err put_refusal;  /* ... with this, wherever they go */

static void answer_err(struct rpc_request *request, enum err err)
{
    if (err == ERR_CANCELLED)
        fake_keep(request);
    else
        fake_reply(request, err, NULL, SLICE_NULL);
}

static void answer(int node, struct rpc_request *request)
{
    answer_err(request, node_answers[node]);
}

static void on_put(int node, struct rpc_request *request, unsigned nth)
{
    Tern__QueuePutRequest *r =
        tern__queue_put_request__unpack(NULL, request->request.len, request->request.data);
    taken[nth].recipients = r->n_recipients;
    taken[nth].upload_id_len = r->upload_id.len;
    taken[nth].size = r->size;
    memcpy(taken[nth].item_id, r->item_id.data, 16);
    memcpy(taken[nth].delivery_id, r->delivery_id.data, 16);
    if (r->upload_id.len == 16)
        memcpy(taken[nth].upload_id, r->upload_id.data, 16);
    tern__queue_put_request__free_unpacked(r, NULL);
    if (put_refusals > 0 && put_refusals-- > 0)
        answer_err(request, put_refusal);
    else
        answer(node, request);
}

static void on_chunk(int node, struct rpc_request *request, unsigned nth)
{
    Tern__UploadChunkRequest *r =
        tern__upload_chunk_request__unpack(NULL, request->request.len, request->request.data);
    chunks[nth % FAKE_SEEN_MAX].offset = r->offset;
    chunks[nth % FAKE_SEEN_MAX].last = r->last;
    tern__upload_chunk_request__free_unpacked(r, NULL);
    if (request->partition != HOME)
        answer(node, request);
    else if (home_chunks > 0 && home_chunks-- > 0)
        fake_reply(request, node_answers[node], NULL, SLICE_NULL);
    else
        fake_reply(request, home_refusal, NULL, SLICE_NULL);
}

/* Item 7 of all is gone, the others are taken. */
static void on_report(struct rpc_request *request, unsigned nth)
{
    Tern__QueueReportRequest *r =
        tern__queue_report_request__unpack(NULL, request->request.len, request->request.data);
    Tern__QueueReportResponse response = TERN__QUEUE_REPORT_RESPONSE__INIT;
    response.n_statuses = reports_seen[nth] = r->n_reports;
    response.statuses = NEW_ARRAY(uint32_t, r->n_reports);
    for (size_t i = 0; i < r->n_reports; i++)
        response.statuses[i] = r->reports[i]->item_id.data[0] == 7 ? ERR_NOT_FOUND : OK;
    response.now_ms = 50;
    response.next_ms = 60 + nth;
    fake_reply(request, OK, &response.base, SLICE_NULL);
    free(response.statuses);
    tern__queue_report_request__free_unpacked(r, NULL);
}

static void handle(int node, struct rpc_request *request, unsigned nth)
{
    switch (request->method) {
    case METHOD_QUEUE_PUT:
        on_put(node, request, nth);
        break;
    case METHOD_UPLOAD_CHUNK:
        on_chunk(node, request, nth);
        break;
    case METHOD_DELIVER:
        fake_keep(request); /* it dies with it */
        break;
    case METHOD_QUEUE_REPORT:
        on_report(request, nth);
        break;
    default:
        answer(node, request);
    }
}

static int setup(void **state)
{
    (void)state;
    test_clock_reset();
    memset(node_answers, 0, sizeof node_answers);
    memset(taken, 0, sizeof taken);
    home_chunks = UINT_MAX;
    home_refusal = ERR_UNAVAILABLE;
    put_refusals = 0;
    store = fake_start(handle);
    return 0;
}

/* Nobody is silent, so that nothing but a busy machine lets STORE_QUEUE_PUT_WAIT_MS pass. */
static int setup_slow(void **state)
{
    enum { TIMES = 20 };
    setup(state);
    test_clock_slow(TIMES);
    return 0;
}

static struct upload *upload_of(size_t targets, size_t size, bool spare)
{
    uint32_t *homes = NEW_ARRAY(uint32_t, targets);
    uint8_t *text = xcalloc(1, size);
    for (size_t i = 0; i < targets; i++)
        homes[i] = HOME;
    struct upload *u = upload_new(store, homes, targets);
    upload_limit_wait(u, wait_ms);
    if (spare)
        upload_want_spare(u);
    enum err err = upload_write(u, slice_of(text, size));
    (void)err; /* the test sees what becomes of it */
    upload_finish(u, SLICE_LIT("summary"));
    free(homes);
    free(text);
    return u;
}

static enum err put(struct upload *u, size_t count, uint32_t *partition_out)
{
    struct queue_put_recipient *recipients = NEW_ARRAY(struct queue_put_recipient, count);
    for (size_t i = 0; i < count; i++)
        recipients[i] = (struct queue_put_recipient){ SLICE_LIT("bob@example.test"), { 100 + i, HOME } };
    struct queue_put request = { .delivery = { { 9, 9 } },
                                 .sender = SLICE_LIT("a@x"),
                                 .recipients = recipients,
                                 .recipient_count = count };
    enum err err = store_queue_put(store, u, &request, partition_out);
    free(recipients);
    return err;
}

/* ---- small messages */

static void small(void)
{
    uint32_t partition;
    struct upload *u = upload_of(1, 100, true);
    for (unsigned i = 0; i < 20; i++) {
        assert_int_equal(put(u, 1, &partition), OK);
        assert_int_equal(partition % FAKE_NODES, 1 - HOME_NODE); /* at a node that is not the home's */
        assert_int_equal(fake_seen(METHOD_QUEUE_PUT, i).body_len, 100);
        assert_int_equal(taken[i].delivery_id[0], 9);
    }
    assert_memory_not_equal(taken[0].item_id, taken[1].item_id, 16);

    /* Nobody there: the home's node is better than nothing, but never the home itself. */
    node_answers[1 - HOME_NODE] = ERR_LIMIT;
    assert_int_equal(put(u, 1, &partition), OK);
    assert_int_equal(partition % FAKE_NODES, HOME_NODE);
    assert_int_not_equal(partition, HOME);
    unsigned before = fake_count(METHOD_QUEUE_PUT);
    node_answers[HOME_NODE] = ERR_NO_SPACE;
    enum err err = put(u, 1, &partition);
    assert_true(err == ERR_NO_SPACE || err == ERR_LIMIT); /* what the last one said */
    assert_int_equal(fake_count(METHOD_QUEUE_PUT),
                     before + FAKE_PARTITIONS - 1); /* each but the home, once */
    upload_free(&u);
}

static void a_small_message_goes_to_another_node(void **state)
{
    (void)state;
    fake_run(small);
}

static void silence(void)
{
    uint32_t partition;
    struct upload *u = upload_of(1, 100, true);
    node_answers[1 - HOME_NODE] = ERR_CANCELLED; /* silent: may have taken it */
    uint64_t begin_ms = loop_now_ms();
    assert_int_equal(put(u, 1, &partition), OK);
    assert_int_equal(partition % FAKE_NODES, HOME_NODE);
    assert_true(loop_now_ms() - begin_ms < 3 * STORE_QUEUE_PUT_WAIT_MS);
    node_answers[HOME_NODE] = ERR_LIMIT;
    assert_int_equal(put(u, 1, &partition), ERR_IN_DOUBT);
    upload_free(&u);
}

static void a_silent_node_is_passed_over(void **state)
{
    (void)state;
    fake_run(silence);
}

/* All that were asked may have taken it: the first that says so is enough, and it is no further copy. */
static void settle_doubts(bool is_large)
{
    enum { ASKED = FAKE_PARTITIONS - 1 }; /* all but the home */
    uint32_t partition;
    unsigned before = fake_count(METHOD_QUEUE_PUT);
    home_chunks = 0;
    home_refusal = ERR_NO_SPACE;
    struct upload *u = upload_of(1, is_large ? BODY_CHUNK_MAX + 10 : 100, true);
    put_refusals = ASKED;
    put_refusal = ERR_CANCELLED;
    assert_int_equal(put(u, 1, &partition), OK);
    assert_int_equal(fake_count(METHOD_QUEUE_PUT), before + ASKED + 1);
    assert_int_equal(fake_seen(METHOD_QUEUE_PUT, before).partition, partition);
    assert_int_equal(fake_seen(METHOD_QUEUE_PUT, before + ASKED).partition, partition);
    assert_memory_equal(taken[before].item_id, taken[before + ASKED].item_id, 16);
    assert_memory_equal(taken[before].delivery_id, taken[before + ASKED].delivery_id, 16);
    assert_memory_equal(taken[before].upload_id, taken[before + ASKED].upload_id, 16);
    assert_int_equal(taken[before].upload_id_len, is_large ? 16 : 0);
    upload_free(&u);
}

static void doubts(void)
{
    settle_doubts(false);
    settle_doubts(true);
}

static void who_may_have_taken_it_is_asked_again(void **state)
{
    (void)state;
    fake_run(doubts);
}

/* ---- large ones */

static void large(void)
{
    uint32_t partition;
    node_answers[HOME_NODE] = ERR_NO_SPACE;
    struct upload *u = upload_of(1, BODY_CHUNK_MAX + 10, true);
    assert_false(upload_is_inline(u));
    assert_int_equal(put(u, 1, &partition), OK);
    assert_int_equal(fake_count(METHOD_UPLOAD_CHUNK), 3); /* refused at home, then two to the spare copy */
    assert_int_equal(fake_seen(METHOD_UPLOAD_CHUNK, 1).partition, partition);
    assert_int_equal(fake_seen(METHOD_UPLOAD_CHUNK, 2).partition, partition);
    assert_int_equal(taken[0].upload_id_len, 16);
    assert_int_equal(taken[0].size, BODY_CHUNK_MAX + 10);
    struct delivery_target target = { .account = { 100, HOME } };
    store_deliver(store, u, delivery_id_new(), &target, 1);
    assert_int_equal(target.status, ERR_NO_SPACE); /* and nothing is asked of home again */
    assert_int_equal(fake_count(METHOD_DELIVER), 0);
    upload_free(&u);

    /* Without the wish there is no copy, and nothing to put. */
    u = upload_of(1, BODY_CHUNK_MAX + 10, false);
    assert_int_not_equal(put(u, 1, &partition), OK);
    upload_free(&u);
}

static void a_large_message_has_a_spare_copy(void **state)
{
    (void)state;
    fake_run(large);
}

/* The chunks from `first` on are a whole message, at one partition that is not the home. */
static uint32_t whole_copy(unsigned first, unsigned count, size_t size)
{
    uint32_t partition = fake_seen(METHOD_UPLOAD_CHUNK, first).partition;
    size_t sum = 0;
    assert_int_not_equal(partition, HOME);
    for (unsigned i = first; i < first + count; i++) {
        assert_int_equal(fake_seen(METHOD_UPLOAD_CHUNK, i).partition, partition);
        assert_int_equal(chunks[i].offset, sum);
        assert_int_equal(chunks[i].last, i + 1 == first + count);
        sum += fake_seen(METHOD_UPLOAD_CHUNK, i).body_len;
    }
    assert_int_equal(sum, size);
    assert_int_equal(fake_count(METHOD_UPLOAD_CHUNK), first + count);
    return partition;
}

/* Its home is lost in the middle, at the end, or when all has been sent: what was kept goes elsewhere. */
static void lose_home(void)
{
    size_t size = 2 * BODY_CHUNK_MAX + 10;
    wait_ms = 2500;
    for (unsigned taken_chunks = 1; taken_chunks <= 3; taken_chunks++) {
        uint32_t partition;
        unsigned before = fake_count(METHOD_UPLOAD_CHUNK), puts = fake_count(METHOD_QUEUE_PUT);
        struct delivery_target target = { .account = { 100, HOME } };
        uint64_t begin_ms = loop_now_ms();
        home_chunks = taken_chunks;
        struct upload *u = upload_of(1, size, true);
        store_deliver(store, u, delivery_id_new(), &target, 1);
        assert_int_equal(target.status, taken_chunks == 3 ? ERR_IN_DOUBT : ERR_UNAVAILABLE);
        assert_int_equal(put(u, 1, &partition), OK);
        assert_true(loop_now_ms() - begin_ms < STORE_DEADLINE_MS / 2);
        /* The home was asked again and again for the chunk that it did not take. */
        unsigned first = fake_count(METHOD_UPLOAD_CHUNK) - 3;
        assert_true(first >= before + taken_chunks);
        assert_int_equal(whole_copy(first, 3, size), partition);
        assert_int_equal(taken[puts].size, size);
        assert_int_equal(taken[puts].upload_id_len, 16);
        upload_free(&u);
        assert_int_equal(store->kept_bytes, 0);
    }
}

static void a_home_that_is_lost_in_the_middle(void **state)
{
    (void)state;
    fake_run(lose_home);
}

/* The home is there, but goes on from an older copy: of the first chunk it knows nothing. */
static void home_forgets(void)
{
    uint32_t partition;
    struct delivery_target target = { .account = { 100, HOME } };
    home_chunks = 1;
    home_refusal = ERR_INVALID;
    struct upload *u = upload_of(1, BODY_CHUNK_MAX + 10, true);
    store_deliver(store, u, delivery_id_new(), &target, 1);
    assert_int_equal(target.status, ERR_UNAVAILABLE); /* so the queue is asked */
    assert_int_equal(put(u, 1, &partition), OK);
    assert_int_equal(whole_copy(2, 2, BODY_CHUNK_MAX + 10), partition);
    upload_free(&u);
}

static void a_home_that_forgets_the_first_chunk(void **state)
{
    (void)state;
    fake_run(home_forgets);
}

/* Whoever has the spare copy may not take the item: its queue is full, or it is lost, too. */
static void lose_spare(void)
{
    static const enum err answers[] = { ERR_LIMIT, ERR_NOT_FOUND, ERR_CANCELLED /* silence */ };
    size_t size = BODY_CHUNK_MAX + 10;
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
        uint32_t partition;
        unsigned puts = fake_count(METHOD_QUEUE_PUT);
        home_chunks = 0;
        home_refusal = ERR_NO_SPACE;
        put_refusals = 1;
        put_refusal = answers[i];
        struct upload *u = upload_of(1, size, true);
        assert_int_equal(put(u, 1, &partition), OK);
        uint32_t first = fake_seen(METHOD_QUEUE_PUT, puts).partition;
        unsigned last = fake_count(METHOD_QUEUE_PUT) - 1;
        assert_int_not_equal(first, partition);
        assert_int_equal(fake_seen(METHOD_QUEUE_PUT, last).partition, partition);
        assert_int_equal(whole_copy(fake_count(METHOD_UPLOAD_CHUNK) - 2, 2, size), partition);
        assert_memory_equal(taken[last].delivery_id, taken[puts].delivery_id, 16);
        assert_memory_equal(taken[last].item_id, taken[puts].item_id, 16);
        upload_free(&u);
        assert_int_equal(store->kept_bytes, 0);
    }
}

static void a_spare_copy_that_is_of_no_use(void **state)
{
    (void)state;
    fake_run(lose_spare);
}

/* Who would make the store keep too much gives up what it kept; nobody else does. */
static void keep_too_much(void)
{
    uint32_t partition;
    home_chunks = STORE_KEPT_MAX / BODY_CHUNK_MAX + 5;
    struct upload *first = upload_of(1, 2 * BODY_CHUNK_MAX + 10, true);
    assert_int_equal(store->kept_bytes, 2 * BODY_CHUNK_MAX);
    struct upload *large = upload_of(1, STORE_KEPT_MAX + 10, true);
    assert_int_equal(store->kept_bytes, 2 * BODY_CHUNK_MAX);
    home_chunks = 0;
    home_refusal = ERR_NO_SPACE; /* no reason to ask again */
    assert_int_equal(put(large, 1, &partition), ERR_NO_SPACE);
    assert_int_equal(put(first, 1, &partition), OK);
    upload_free(&large);
    upload_free(&first);
    assert_int_equal(store->kept_bytes, 0);
}

static void what_is_kept_is_bounded(void **state)
{
    (void)state;
    fake_run(keep_too_much);
}

enum { CROWD = 2 * QUEUE_RECIPIENTS_MAX + 50 };

static void crowd(void)
{
    uint32_t partition;
    for (int is_large = 0; is_large < 2; is_large++) {
        unsigned before = fake_count(METHOD_QUEUE_PUT);
        node_answers[HOME_NODE] = ERR_NO_SPACE;
        struct upload *u = upload_of(CROWD, is_large ? BODY_CHUNK_MAX + 10 : 10, true);
        assert_int_equal(put(u, CROWD, &partition), OK);
        assert_int_equal(fake_count(METHOD_QUEUE_PUT), before + 3);
        assert_int_equal(taken[before].recipients, QUEUE_RECIPIENTS_MAX);
        assert_int_equal(taken[before + 2].recipients, 50);
        upload_free(&u);
    }
}

static void many_recipients_are_split(void **state)
{
    (void)state;
    fake_run(crowd);
}

/* ---- reports and names */

enum { ITEMS = 10, ITEM_RECIPIENTS = 150 };

static void report_many(void)
{
    static struct queue_item items[ITEMS];
    static struct queue_recipient recipients[ITEM_RECIPIENTS];
    static enum queue_outcome outcomes[ITEM_RECIPIENTS];
    static const char *errors[ITEM_RECIPIENTS];
    struct queue_report reports[ITEMS] = { 0 };
    char text[STORE_QUEUE_ERROR_MAX + 100];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    for (size_t i = 0; i < ITEM_RECIPIENTS; i++) {
        outcomes[i] = QUEUE_OUTCOME_LATER;
        errors[i] = text;
    }
    for (size_t i = 0; i < ITEMS; i++) {
        items[i] = (struct queue_item){ .recipients = recipients, .recipient_count = ITEM_RECIPIENTS };
        items[i].id.bytes[0] = (uint8_t)i;
        reports[i] = (struct queue_report){ .item = &items[i], .outcomes = outcomes, .errors = errors };
    }
    uint64_t now_ms, next_ms;
    assert_int_equal(store_queue_report(store, reports, ITEMS, &now_ms, &next_ms), OK);
    unsigned calls = fake_count(METHOD_QUEUE_REPORT);
    assert_int_equal(calls, ITEMS); /* one alone nearly fills an entry */
    for (size_t i = 0; i < ITEMS; i++)
        assert_int_equal(reports[i].status, i == 7 ? ERR_NOT_FOUND : OK);
    assert_int_equal(now_ms, 50);
    assert_int_equal(next_ms, 60 + calls - 1);
    for (size_t i = 0; i < ITEMS; i++)
        reports[i].outcomes = NULL; /* given back: all in one */
    assert_int_equal(store_queue_report(store, reports, ITEMS, &now_ms, &next_ms), OK);
    assert_int_equal(fake_count(METHOD_QUEUE_REPORT), calls + 1);
    assert_int_equal(reports_seen[calls], ITEMS);
}

static void reports_are_cut_to_entries(void **state)
{
    (void)state;
    fake_run(report_many);
}

static void test_names(void **state)
{
    (void)state;
    static const char *const bad[] = { "",
                                       "17",
                                       "17-",
                                       "-00112233445566778899aabbccddeeff",
                                       "17-00112233445566778899aabbccddeef",
                                       "17-00112233445566778899aabbccddeeff0",
                                       "17-00112233445566778899AABBCCDDEEFF",
                                       "4294967296-00112233445566778899aabbccddeeff",
                                       "x-00112233445566778899aabbccddeeff" };
    struct queue_id id = { .partition = UINT32_MAX }, back;
    char text[QUEUE_ID_TEXT_MAX];
    for (int i = 0; i < 16; i++)
        id.bytes[i] = (uint8_t)(i * 17);
    queue_id_format(&id, text);
    assert_string_equal(text, "4294967295-00112233445566778899aabbccddeeff");
    assert_true(queue_id_parse(slice_str(text), &back));
    assert_int_equal(back.partition, UINT32_MAX);
    assert_memory_equal(back.bytes, id.bytes, 16);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(queue_id_parse(slice_str(bad[i]), &back));
}

int main(void)
{
#define TEST(fn)      cmocka_unit_test_setup_teardown(fn, setup, fake_teardown)
#define SLOW_TEST(fn) cmocka_unit_test_setup_teardown(fn, setup_slow, fake_teardown)
    const struct CMUnitTest tests[] = {
        SLOW_TEST(a_small_message_goes_to_another_node),
        TEST(a_silent_node_is_passed_over),
        TEST(who_may_have_taken_it_is_asked_again),
        SLOW_TEST(a_large_message_has_a_spare_copy),
        TEST(a_home_that_is_lost_in_the_middle),
        SLOW_TEST(a_home_that_forgets_the_first_chunk),
        TEST(a_spare_copy_that_is_of_no_use),
        SLOW_TEST(what_is_kept_is_bounded),
        SLOW_TEST(many_recipients_are_split),
        SLOW_TEST(reports_are_cut_to_entries),
        cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

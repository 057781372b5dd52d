/* SPDX-License-Identifier: Apache-2.0 */
/* A whole node in this process: real RocksDB, real threads, real sockets, a director that is just enough. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <zmq.h>

#include "lib/base/alloc.h"
#include "lib/base/rand.h"
#include "lib/fiber/fiber.h"
#include "lib/rpc/client.h"
#include "lib/rpc/endpoint.h"
#include "proto/account.pb-c.h"
#include "proto/cluster.pb-c.h"
#include "proto/mailbox.pb-c.h"
#include "proto/message.pb-c.h"
#include "proto/methods.h"
#include "storage-node/control.h"
#include "storage-node/hello.h"
#include "storage-node/node.h"
#include "tests/unit/storage-node/node/fake_director.h"

enum { PARTITIONS = 8, WAIT_MS = 20 * 1000, STEP_MS = 20, CALL_MS = 5000, SLACK_MS = 700, TRIES_MAX = 8 };

struct fixture {
    void *zmq;
    char folder[64];
    struct node_config config;
    struct fake_director *director, *other; /* other: NULL in most tests */
    struct node *node;
    struct loop *loop;
    struct rpc_client *client;
    struct rpc_peer *peer;
    void (*body)(struct fixture *f);
    uint64_t time_seen;
    uint64_t notices, notice_modseq;
    char gone[RPC_ENDPOINT_MAX]; /* where the node was before it was started anew */
};

/* ---- calls */

static enum err call(struct fixture *f, uint32_t method, uint32_t partition, const ProtobufCMessage *request,
                     struct slice body, struct rpc_call *out)
{
    uint8_t id[REQUEST_ID_SIZE];
    *out = (struct rpc_call){
        .method = method, .partition = partition, .deadline_ms = CALL_MS, .request = request, .body = body
    };
    rand_bytes(id, sizeof id);
    for (int i = 0; i < 8; i++)
        id[i] = (uint8_t)(f->time_seen >> (56 - 8 * i));
    out->request_id = id;
    enum err err = rpc_call(f->peer, out);
    if (out->time_ms > f->time_seen)
        f->time_seen = out->time_ms;
    return err != OK ? err : out->status;
}

/* The same until the node serves: after a start it waits for its director, and a first request id may be too
 * old. */
static enum err call_until(struct fixture *f, uint32_t method, uint32_t partition,
                           const ProtobufCMessage *request, struct slice body, struct rpc_call *out)
{
    enum err err = ERR_UNAVAILABLE;
    for (int waited = 0; waited < WAIT_MS; waited += STEP_MS) {
        err = call(f, method, partition, request, body, out);
        if (err != ERR_UNAVAILABLE && err != ERR_NOT_PRIMARY && err != ERR_EXPIRED && err != ERR_TIMEOUT)
            return err;
        rpc_call_fini(out);
        fiber_sleep_ms(STEP_MS);
    }
    return err;
}

static uint64_t create_account(struct fixture *f, uint32_t partition, const char *address)
{
    Tern__AccountCreateRequest request = TERN__ACCOUNT_CREATE_REQUEST__INIT;
    Tern__Credential credential = TERN__CREDENTIAL__INIT;
    struct rpc_call c;
    request.address = (char *)address;
    request.credential = &credential;
    assert_int_equal(call_until(f, METHOD_ACCOUNT_CREATE, partition, &request.base, SLICE_NULL, &c), OK);
    Tern__AccountCreateResponse *r =
        tern__account_create_response__unpack(NULL, c.response.len, c.response.data);
    uint64_t id = r->account->id;
    tern__account_create_response__free_unpacked(r, NULL);
    rpc_call_fini(&c);
    return id;
}

static uint32_t deliver(struct fixture *f, uint32_t partition, uint64_t account, struct slice bytes)
{
    Tern__DeliverRequest request = TERN__DELIVER_REQUEST__INIT;
    Tern__NewMessage message = TERN__NEW_MESSAGE__INIT;
    Tern__DeliverTarget target = TERN__DELIVER_TARGET__INIT, *targets[] = { &target };
    uint8_t id[REQUEST_ID_SIZE], summary[] = "summary";
    struct rpc_call c;
    rand_bytes(id, sizeof id);
    for (int i = 0; i < 8; i++)
        id[i] = (uint8_t)(f->time_seen >> (56 - 8 * i));
    request.delivery_id = (ProtobufCBinaryData){ sizeof id, id };
    message.size = bytes.len;
    message.summary = (ProtobufCBinaryData){ sizeof summary, summary };
    target.account = account;
    request.message = &message;
    request.n_targets = 1;
    request.targets = targets;
    assert_int_equal(call_until(f, METHOD_DELIVER, partition, &request.base, bytes, &c), OK);
    Tern__DeliverResponse *r = tern__deliver_response__unpack(NULL, c.response.len, c.response.data);
    assert_int_equal(r->results[0]->status, OK);
    uint32_t uid = r->results[0]->uid;
    tern__deliver_response__free_unpacked(r, NULL);
    rpc_call_fini(&c);
    return uid;
}

static uint64_t inbox_of(struct fixture *f, uint32_t partition, uint64_t account, uint32_t *messages_out,
                         uint64_t *modseq_out)
{
    Tern__MailboxOpenRequest request = TERN__MAILBOX_OPEN_REQUEST__INIT;
    struct rpc_call c;
    request.account = account;
    request.name = (char *)"INBOX";
    assert_int_equal(call_until(f, METHOD_MAILBOX_OPEN, partition, &request.base, SLICE_NULL, &c), OK);
    Tern__MailboxOpenResponse *r = tern__mailbox_open_response__unpack(NULL, c.response.len, c.response.data);
    uint64_t id = r->mailbox->id;
    *messages_out = r->mailbox->messages;
    *modseq_out = r->mailbox->modseq;
    tern__mailbox_open_response__free_unpacked(r, NULL);
    rpc_call_fini(&c);
    return id;
}

/* ---- a node and its caller */

static void on_notice(uint32_t method, uint32_t partition, struct slice packed, void *arg)
{
    struct fixture *f = arg;
    Tern__WatchNotice *n = tern__watch_notice__unpack(NULL, packed.len, packed.data);
    assert_int_equal(method, METHOD_WATCH_NOTICE);
    assert_non_null(n);
    f->notices++;
    f->notice_modseq = n->modseq;
    tern__watch_notice__free_unpacked(n, NULL);
}

static void start_node(struct fixture *f)
{
    assert_int_equal(node_start(&f->config, &f->node), OK);
}

static void restart_node(struct fixture *f)
{
    fake_director_node_endpoint(f->director, f->gone, sizeof f->gone);
    node_stop(&f->node);
    start_node(f);
}

/* Where the node is comes with its first hello. */
static void caller_fiber(void *arg)
{
    struct fixture *f = arg;
    char endpoint[RPC_ENDPOINT_MAX] = "";
    for (int waited = 0; waited < WAIT_MS && (endpoint[0] == '\0' || strcmp(endpoint, f->gone) == 0);
         waited += STEP_MS) {
        fiber_sleep_ms(STEP_MS);
        fake_director_node_endpoint(f->director, endpoint, sizeof endpoint);
    }
    f->peer = rpc_client_peer(f->client, endpoint, RPC_ROLE_STORAGE_NODE);
    f->body(f);
    loop_stop(f->loop);
}

/* Run `body` in a fiber that calls the node. */
static void with_caller(struct fixture *f, void (*body)(struct fixture *f))
{
    f->body = body;
    assert_int_equal(loop_new(&f->loop), OK);
    f->client = rpc_client_new(f->loop, f->zmq, NULL, on_notice, f);
    assert_int_equal(fiber_spawn(f->loop, "caller", caller_fiber, f), OK);
    loop_run(f->loop);
    rpc_client_free(&f->client);
    loop_free(&f->loop);
}

/* `more`: what follows the first director in the list. */
static void configure(struct fixture *f, const char *more)
{
    struct buf text = { 0 }, errors = { 0 };
    buf_addf(&text,
             "data = \"%s/data\"; listen = \"tcp://127.0.0.1:0\"; directors = [ \"%s\"%s ]; user = \"\"; "
             "http_listen = \"\"; "
             "disk_reserve = 0; memory_limit = \"64M\"; wal_size_max = \"16M\";",
             f->folder, fake_director_endpoint(f->director), more);
    assert_int_equal(config_load_text(&node_config_table, "test", buf_slice(&text), &f->config, &errors), OK);
    buf_fini(&text);
    buf_fini(&errors);
}

static int set_up(void **state)
{
    struct fixture *f = NEW(struct fixture);
    snprintf(f->folder, sizeof f->folder, "/tmp/tern-node-test-XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    f->zmq = zmq_ctx_new();
    f->director = fake_director_start(f->zmq, PARTITIONS);
    configure(f, "");
    start_node(f);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    char *command = xasprintf("rm -rf %s", f->folder);
    node_stop(&f->node);
    fake_director_stop(&f->director);
    fake_director_stop(&f->other);
    zmq_ctx_term(f->zmq);
    config_fini(&node_config_table, &f->config);
    int rc = system(command);
    free(command);
    free(f);
    return rc;
}

/* ---- tests */

static void deliver_and_read(struct fixture *f)
{
    uint32_t messages;
    uint64_t modseq, account = create_account(f, 3, "alice@example.test");
    assert_int_equal(deliver(f, 3, account, SLICE_LIT("Subject: one\r\n\r\nfirst\r\n")), 1);
    assert_int_equal(deliver(f, 3, account, SLICE_LIT("Subject: two\r\n\r\nsecond\r\n")), 2);
    uint64_t inbox = inbox_of(f, 3, account, &messages, &modseq);
    assert_int_equal(messages, 2);
    Tern__BodyRequest request = TERN__BODY_REQUEST__INIT;
    struct rpc_call c;
    request.account = account;
    request.mailbox = inbox;
    request.uid = 2;
    request.length = 1000;
    assert_int_equal(call_until(f, METHOD_BODY, 3, &request.base, SLICE_NULL, &c), OK);
    assert_true(slice_eq_str(c.response_body, "Subject: two\r\n\r\nsecond\r\n"));
    rpc_call_fini(&c);
}

static void test_delivers_and_reads(void **state)
{
    with_caller(*state, deliver_and_read);
}

static uint64_t survivor;

static void before_restart(struct fixture *f)
{
    survivor = create_account(f, 5, "bob@example.test");
    for (uint32_t i = 1; i <= 20; i++)
        assert_int_equal(deliver(f, 5, survivor, SLICE_LIT("Subject: x\r\n\r\ny\r\n")), i);
}

static void after_restart(struct fixture *f)
{
    uint32_t messages;
    uint64_t modseq;
    inbox_of(f, 5, survivor, &messages, &modseq);
    assert_int_equal(messages, 20);
    assert_int_equal(deliver(f, 5, survivor, SLICE_LIT("Subject: x\r\n\r\ny\r\n")), 21);
}

static void test_restart_promotes_itself_and_goes_on(void **state)
{
    struct fixture *f = *state;
    with_caller(f, before_restart);
    assert_int_equal(fake_director_promotions(f->director), 0);
    restart_node(f);
    with_caller(f, after_restart);
    assert_true(fake_director_promotions(f->director) >= 1);
}

static void watch_and_deliver(struct fixture *f)
{
    uint32_t messages;
    uint64_t modseq, account = create_account(f, 1, "carol@example.test");
    uint64_t inbox = inbox_of(f, 1, account, &messages, &modseq);
    Tern__WatchRequest request = TERN__WATCH_REQUEST__INIT;
    struct rpc_call c;
    request.watch = 77;
    request.account = account;
    request.mailbox = inbox;
    assert_int_equal(call_until(f, METHOD_WATCH, 1, &request.base, SLICE_NULL, &c), OK);
    Tern__WatchResponse *r = tern__watch_response__unpack(NULL, c.response.len, c.response.data);
    assert_int_equal(r->modseq, modseq);
    assert_true(r->epoch > 0);
    tern__watch_response__free_unpacked(r, NULL);
    rpc_call_fini(&c);
    deliver(f, 1, account, SLICE_LIT("Subject: z\r\n\r\nz\r\n"));
    for (int waited = 0; waited < WAIT_MS && f->notices == 0; waited += STEP_MS)
        fiber_sleep_ms(STEP_MS);
    assert_int_equal(f->notices, 1);
    assert_true(f->notice_modseq > modseq);
    request.end = true;
    assert_int_equal(call_until(f, METHOD_WATCH, 1, &request.base, SLICE_NULL, &c), OK);
    rpc_call_fini(&c);
    deliver(f, 1, account, SLICE_LIT("Subject: z\r\n\r\nz\r\n"));
    fiber_sleep_ms(50);
    assert_int_equal(f->notices, 1);
}

static void test_watch_hears_of_a_delivery(void **state)
{
    with_caller(*state, watch_and_deliver);
}

static enum err lock(struct fixture *f, uint64_t account, const char *token, bool release)
{
    Tern__LockRequest request = TERN__LOCK_REQUEST__INIT;
    struct rpc_call c;
    request.account = account;
    request.token = (ProtobufCBinaryData){ strlen(token), (uint8_t *)token };
    request.release = release;
    enum err err = call_until(f, METHOD_LOCK, 2, &request.base, SLICE_NULL, &c);
    rpc_call_fini(&c);
    return err;
}

static void take_locks(struct fixture *f)
{
    assert_int_equal(lock(f, 9, "one", false), OK);
    assert_int_equal(lock(f, 9, "two", false), ERR_IN_USE);
    assert_int_equal(lock(f, 9, "one", false), OK);
    assert_int_equal(lock(f, 9, "two", true), OK);
    assert_int_equal(lock(f, 9, "two", false), ERR_IN_USE);
    assert_int_equal(lock(f, 9, "one", true), OK);
    assert_int_equal(lock(f, 9, "two", false), OK);
}

static void test_lock_excludes(void **state)
{
    with_caller(*state, take_locks);
}

static void ask_nonsense(struct fixture *f)
{
    struct rpc_call c;
    Tern__MapRequest request = TERN__MAP_REQUEST__INIT;
    create_account(f, 0, "dave@example.test"); /* it serves */
    assert_int_equal(call(f, 999, 0, &request.base, SLICE_NULL, &c), ERR_UNSUPPORTED);
    rpc_call_fini(&c);
    assert_int_equal(call(f, METHOD_DOMAIN_ADD, 0, &request.base, SLICE_NULL, &c), ERR_UNSUPPORTED);
    rpc_call_fini(&c);
    assert_int_equal(call(f, METHOD_DELIVER, 0, &request.base, SLICE_LIT("x"), &c), ERR_INVALID);
    rpc_call_fini(&c);
    assert_int_equal(call(f, METHOD_MAILBOX_LIST, PARTITIONS + 1, &request.base, SLICE_NULL, &c),
                     ERR_NOT_PRIMARY);
    rpc_call_fini(&c);
    assert_int_equal(call(f, METHOD_DELIVER, 1u << 30, &request.base, SLICE_LIT("x"), &c), ERR_INVALID);
    rpc_call_fini(&c);
    uint8_t *big = xcalloc(1, BODY_CHUNK_MAX + 1);
    assert_int_equal(call(f, METHOD_DELIVER, 0, &request.base, slice_of(big, BODY_CHUNK_MAX + 1), &c),
                     ERR_TOO_BIG);
    rpc_call_fini(&c);
    free(big);
}

static void test_refuses_nonsense(void **state)
{
    with_caller(*state, ask_nonsense);
}

static void before_the_disk_is_full(struct fixture *f)
{
    survivor = create_account(f, 6, "frank@example.test");
    deliver(f, 6, survivor, SLICE_LIT("Subject: a\r\n\r\na\r\n"));
}

static void while_the_disk_is_full(struct fixture *f)
{
    uint32_t messages;
    uint64_t modseq;
    Tern__AccountCreateRequest request = TERN__ACCOUNT_CREATE_REQUEST__INIT;
    Tern__AliasDeleteRequest deletion = TERN__ALIAS_DELETE_REQUEST__INIT;
    Tern__CopyStageRequest stage = TERN__COPY_STAGE_REQUEST__INIT;
    struct rpc_call c;
    inbox_of(f, 6, survivor, &messages, &modseq); /* reads go on */
    assert_int_equal(messages, 1);
    request.address = (char *)"grace@example.test";
    assert_int_equal(call_until(f, METHOD_ACCOUNT_CREATE, 6, &request.base, SLICE_NULL, &c), ERR_NO_SPACE);
    rpc_call_fini(&c);
    assert_int_equal(call_until(f, METHOD_COPY_STAGE, 6, &stage.base, SLICE_NULL, &c), ERR_NO_SPACE);
    rpc_call_fini(&c);
    deletion.address = (char *)"nobody@example.test"; /* and so do deletions */
    assert_int_equal(call_until(f, METHOD_ALIAS_DELETE, 6, &deletion.base, SLICE_NULL, &c), ERR_NOT_FOUND);
    rpc_call_fini(&c);
}

static void test_full_disk_refuses_new_mail_only(void **state)
{
    struct fixture *f = *state;
    with_caller(f, before_the_disk_is_full);
    f->config.disk_reserve = UINT64_MAX;
    restart_node(f);
    with_caller(f, while_the_disk_is_full);
}

static void serve_without_director(struct fixture *f)
{
    uint64_t account = create_account(f, 4, "erin@example.test");
    fake_director_stop(&f->director);
    fiber_sleep_ms(1200); /* a hello fails meanwhile */
    assert_int_equal(deliver(f, 4, account, SLICE_LIT("Subject: a\r\n\r\na\r\n")), 1);
    Tern__MapRequest request = TERN__MAP_REQUEST__INIT;
    struct rpc_call c;
    assert_int_equal(call_until(f, METHOD_MAP, 0, &request.base, SLICE_NULL, &c), OK);
    Tern__MapResponse *r = tern__map_response__unpack(NULL, c.response.len, c.response.data);
    assert_int_equal(r->map->n_partitions, PARTITIONS);
    tern__map_response__free_unpacked(r, NULL);
    rpc_call_fini(&c);
}

static void test_goes_on_without_director(void **state)
{
    with_caller(*state, serve_without_director);
}

static void wait_hellos(struct fixture *f, uint32_t count)
{
    uint32_t hellos = 0, id = 0; /* the first hello of a new store says none */
    for (int waited = 0; hellos < count && waited < WAIT_MS; waited += STEP_MS) {
        usleep(STEP_MS * 1000);
        id = fake_director_said_id(f->director, &hellos);
    }
    assert_true(hellos >= count);
    assert_int_equal(id, 7);
}

static void serve_under_another_id(struct fixture *f)
{
    uint64_t account = create_account(f, 4, "erin@example.test");
    fake_director_call_node(f->director, 8);
    wait_hellos(f, 3); /* after two answers with it */
    assert_int_equal(deliver(f, 4, account, SLICE_LIT("Subject: a\r\n\r\na\r\n")), 1);
}

/* R26: neither the process nor its disk goes over to an id that its workers and copies do not have. */
static void test_keeps_its_id_while_it_runs(void **state)
{
    struct fixture *f = *state;
    with_caller(f, serve_under_another_id);
    node_stop(&f->node);
    fake_director_call_node(f->director, 7);
    start_node(f);
    wait_hellos(f, 1);
}

static void serve_without_partitions(struct fixture *f)
{
    uint64_t account = create_account(f, 4, "erin@example.test");
    fake_director_unplace(f->director, true);
    wait_hellos(f, 3); /* it was told of the version, and had the time to ask for the map */
    assert_int_equal(deliver(f, 4, account, SLICE_LIT("Subject: a\r\n\r\na\r\n")), 1);
}

/* R27: a director whose store was put back to before the first placement learns of it, whether the node runs
 * or starts, and takes no partition away. */
static void test_tells_that_it_had_partitions(void **state)
{
    struct fixture *f = *state;
    with_caller(f, serve_without_partitions);
    assert_true(fake_director_said_placed(f->director));
    node_stop(&f->node);
    fake_director_unplace(f->director, true);
    start_node(f);
    wait_hellos(f, 2);
    assert_true(fake_director_said_placed(f->director));
}

/* How long after a request was lost the next hello came. */
static uint64_t wait_held(struct fake_director *d, uint32_t method)
{
    uint64_t ms = 0;
    fake_director_hold(d, method);
    for (int waited = 0; ms == 0 && waited < WAIT_MS; waited += STEP_MS) {
        usleep(STEP_MS * 1000);
        ms = fake_director_held_ms(d);
    }
    return ms;
}

/* The same, and that it comes in that time; once is enough, as a busy machine may make it later or tell
 * later. */
static void expect_held(struct fake_director *d, uint32_t method, uint64_t least_ms, uint64_t most_ms)
{
    uint64_t ms = 0;
    for (int i = 0; i < TRIES_MAX && (ms < least_ms || ms > most_ms); i++)
        ms = wait_held(d, method);
    assert_in_range(ms, least_ms, most_ms);
}

/* R27: a director that died with a hello is back at once, and waits for this node for only so long. It is the
 * one that is not in use, then the one that is. */
static void test_a_lost_hello_is_said_again_at_once(void **state)
{
    struct fixture *f = *state;
    f->other = fake_director_start(f->zmq, PARTITIONS);
    char *more = xasprintf(", \"%s\"", fake_director_endpoint(f->other));
    uint32_t hellos = 0;
    wait_hellos(f, 2);
    node_stop(&f->node);
    config_fini(&node_config_table, &f->config);
    configure(f, more);
    free(more);
    start_node(f);
    for (int waited = 0; hellos == 0 && waited < WAIT_MS; waited += STEP_MS) {
        usleep(STEP_MS * 1000);
        fake_director_said_id(f->other, &hellos);
    }
    expect_held(f->other, METHOD_NODE_HELLO, CONTROL_CALL_MS - SLACK_MS, CONTROL_CALL_MS + SLACK_MS);
    expect_held(f->director, METHOD_NODE_HELLO, CONTROL_CALL_MS - SLACK_MS, CONTROL_CALL_MS + SLACK_MS);
}

static void test_a_lost_map_does_not_hold_up_the_hello(void **state)
{
    struct fixture *f = *state;
    wait_hellos(f, 2);
    expect_held(f->director, METHOD_MAP, 1, HELLO_INTERVAL_MS + SLACK_MS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_delivers_and_reads, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_restart_promotes_itself_and_goes_on, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_watch_hears_of_a_delivery, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_lock_excludes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_refuses_nonsense, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_full_disk_refuses_new_mail_only, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_keeps_its_id_while_it_runs, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_tells_that_it_had_partitions, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_lost_hello_is_said_again_at_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_lost_map_does_not_hold_up_the_hello, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_goes_on_without_director, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Changes of a partition's members: in turn, late, many at once, and refusals to recover. */
#include <stdio.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "tests/unit/director/director_fixture.h"

enum { HEARING_MS = 2500, RETRY_MS = 20, PATIENCE_MS = 30 * 1000 }; /* the first as in director/hearing.c */

static enum err change(struct fixture *f, void *socket, Tern__ConfChange what, uint32_t partition,
                       uint64_t epoch, uint32_t asker, uint32_t subject, Tern__PartitionConf **conf_out)
{
    struct buf out = { 0 };
    Tern__ConfChangeRequest request = TERN__CONF_CHANGE_REQUEST__INIT;
    request.change = what;
    request.partition = partition;
    request.epoch = epoch;
    request.asker = asker;
    request.subject = subject;
    enum err err = ask(f, socket, METHOD_CONF_CHANGE, &request.base, &out);
    Tern__ConfChangeResponse *response = tern__conf_change_response__unpack(NULL, out.len, out.data);
    *conf_out = response->conf;
    response->conf = NULL;
    tern__conf_change_response__free_unpacked(response, NULL);
    buf_fini(&out);
    return err;
}

static void test_conf_changes(void **state)
{
    struct fixture *f = *state;
    void *node = connect_to(f);
    Tern__PartitionConf *conf;
    hello(f, node, 1, "tcp://127.0.0.1:1");
    place(f, node);
    hello(f, node, 2, "tcp://127.0.0.1:2");
    assert_int_equal(change(f, node, TERN__CONF_CHANGE__CONF_READ, 5, 0, 1, 0, &conf), OK);
    assert_int_equal(conf->epoch, 1);
    tern__partition_conf__free_unpacked(conf, NULL);
    /* one copy is wanted and there: a node that comes back may delete its own */
    assert_int_equal(change(f, node, TERN__CONF_CHANGE__CONF_ADD_LEARNER, 5, 1, 2, 2, &conf), ERR_LIMIT);
    assert_int_equal(conf->epoch, 1);
    tern__partition_conf__free_unpacked(conf, NULL);
    assert_int_equal(change(f, node, TERN__CONF_CHANGE__CONF_ADD_LEARNER, 5, 1, 1, 2, &conf), OK);
    assert_true(conf->epoch == 2 && conf->n_learners == 1);
    tern__partition_conf__free_unpacked(conf, NULL);
    /* late or repeated: the answer is what is so now */
    assert_int_equal(change(f, node, TERN__CONF_CHANGE__CONF_PROMOTE, 5, 1, 1, 0, &conf), ERR_CONFLICT);
    assert_int_equal(conf->epoch, 2);
    tern__partition_conf__free_unpacked(conf, NULL);
    assert_int_equal(change(f, node, TERN__CONF_CHANGE__CONF_ADD_LEARNER, 5, 2, 2, 2, &conf), OK);
    assert_int_equal(conf->epoch, 2);
    tern__partition_conf__free_unpacked(conf, NULL);
    assert_int_equal(change(f, node, TERN__CONF_CHANGE__CONF_ADD, 5, 2, 1, 2, &conf), OK);
    assert_true(conf->epoch == 3 && conf->n_members == 2 && conf->n_learners == 0);
    tern__partition_conf__free_unpacked(conf, NULL);
    assert_int_equal(change(f, node, TERN__CONF_CHANGE__CONF_PROMOTE, 5, 3, 2, 0, &conf), OK);
    assert_true(conf->epoch == 4 && conf->primary == 2 && conf->since == 4 && conf->n_members == 1);
    tern__partition_conf__free_unpacked(conf, NULL);
    node = restart(f);
    assert_int_equal(change(f, node, TERN__CONF_CHANGE__CONF_READ, 5, 0, 1, 0, &conf), OK);
    assert_int_equal(conf->epoch, 4);
    tern__partition_conf__free_unpacked(conf, NULL);
    /* enough copies, but none on a node that is here: another one is kept for the worst case */
    assert_int_equal(change(f, node, TERN__CONF_CHANGE__CONF_ADD_LEARNER, 5, 4, 1, 1, &conf), ERR_CONFLICT);
    tern__partition_conf__free_unpacked(conf, NULL);
    hello(f, node, 1, "tcp://127.0.0.1:1");
    hello(f, node, 2, "tcp://127.0.0.1:2");
    assert_int_equal(change(f, node, TERN__CONF_CHANGE__CONF_ADD_LEARNER, 5, 4, 1, 1, &conf), ERR_LIMIT);
    tern__partition_conf__free_unpacked(conf, NULL);
}

/* Many for one epoch at once: one wins, all are told the winner. */
static void test_race(void **state)
{
    enum { ASKERS = 50 };
    struct fixture *f = *state;
    void *node = connect_to(f);
    hello(f, node, 1, "tcp://127.0.0.1:1");
    place(f, node);
    Tern__ConfChangeRequest request = TERN__CONF_CHANGE_REQUEST__INIT;
    request.change = TERN__CONF_CHANGE__CONF_PROMOTE;
    request.epoch = 1;
    request.asker = 1;
    for (int i = 0; i < ASKERS; i++)
        send_request(f, node, METHOD_CONF_CHANGE, &request.base);
    int won = 0;
    for (int i = 0; i < ASKERS; i++) {
        struct buf out = { 0 };
        Tern__ResponseHeader *header = receive(node, &out);
        Tern__ConfChangeResponse *response = tern__conf_change_response__unpack(NULL, out.len, out.data);
        won += header->status == OK;
        assert_true(header->status == OK || header->status == ERR_CONFLICT);
        assert_int_equal(response->conf->epoch, 2);
        tern__conf_change_response__free_unpacked(response, NULL);
        tern__response_header__free_unpacked(header, NULL);
        buf_fini(&out);
    }
    assert_int_equal(won, 1);
}

static void test_recover_refusals(void **state)
{
    struct fixture *f = *state;
    void *node = connect_to(f);
    struct buf out = { 0 };
    Tern__PartitionRecoverRequest request = TERN__PARTITION_RECOVER_REQUEST__INIT;
    assert_int_equal(hello(f, node, 1, "tcp://127.0.0.1:1"), 1);
    place(f, node);
    request.accept_loss = true;
    request.node = 1;
    assert_int_equal(ask(f, node, METHOD_PARTITION_RECOVER, &request.base, &out),
                     ERR_DENIED); /* it is alive */
    request.partition = 256;
    assert_int_equal(ask(f, node, METHOD_PARTITION_RECOVER, &request.base, &out), ERR_NOT_FOUND);
    buf_fini(&out);
}

/* With a loss, too: a member that is ahead of the store (R27) will not come back by itself; one that serves
 * beyond it must not be lost. Who else is there is not known yet, so nothing is done in this test. */
static void test_recover_above_an_old_store(void **state)
{
    struct fixture *f = *state;
    void *node = connect_to(f);
    struct hello h;
    struct buf out = { 0 };
    Tern__SpareCopy copy = TERN__SPARE_COPY__INIT, *list[] = { &copy };
    Tern__PartitionRecoverRequest request = TERN__PARTITION_RECOVER_REQUEST__INIT;
    assert_int_equal(hello(f, node, 1, "tcp://127.0.0.1:1"), 1);
    place(f, node);
    assert_int_equal(hello(f, node, 2, "tcp://127.0.0.1:2"), 2);
    request.accept_loss = true;
    request.node = 2;
    prepare_hello(&h, 1, "tcp://127.0.0.1:1");
    h.request.n_spares = 1;
    h.request.spares = list;
    copy.known = 9;
    copy.primary = copy.active = true;
    assert_int_equal(ask(f, node, METHOD_NODE_HELLO, &h.request.base, &out), OK);
    assert_int_equal(ask(f, node, METHOD_PARTITION_RECOVER, &request.base, &out), ERR_DENIED);
    copy.active = false;
    assert_int_equal(ask(f, node, METHOD_NODE_HELLO, &h.request.base, &out), OK);
    assert_int_equal(ask(f, node, METHOD_PARTITION_RECOVER, &request.base, &out), ERR_BUSY);
    copy.known = 1;
    assert_int_equal(ask(f, node, METHOD_NODE_HELLO, &h.request.base, &out), OK);
    assert_int_equal(ask(f, node, METHOD_PARTITION_RECOVER, &request.base, &out), ERR_DENIED);
    buf_fini(&out);
}

/* Of node 1, in the epoch that the partition was made with. */
static enum err promote(struct fixture *f, void *socket, uint32_t partition)
{
    Tern__PartitionConf *conf;
    enum err err = change(f, socket, TERN__CONF_CHANGE__CONF_PROMOTE, partition, 1, 1, 0, &conf);
    assert_int_equal(conf->epoch, err == OK ? 2 : 1);
    tern__partition_conf__free_unpacked(conf, NULL);
    return err;
}

/* Once the director has heard for long enough; how long that took since `begin`. */
static uint64_t wait_promoted(struct fixture *f, void *socket, uint32_t partition, uint64_t begin)
{
    while (promote(f, socket, partition) != OK) {
        usleep(RETRY_MS * 1000);
        assert_true(clock_mono_ms() < begin + PATIENCE_MS);
    }
    return clock_mono_ms() - begin;
}

/* R27: nodes know more than the store. It makes nothing of what it has, and maps go on above those that
 * were given out. */
static void test_older_store(void **state)
{
    struct fixture *f = *state;
    void *node = connect_to(f);
    struct buf out = { 0 };
    struct hello h;
    Tern__PartitionConf *conf;
    Tern__SpareCopy copy = TERN__SPARE_COPY__INIT, *list[] = { &copy };
    Tern__PartitionRecoverRequest request = TERN__PARTITION_RECOVER_REQUEST__INIT;
    hello(f, node, 1, "tcp://127.0.0.1:1");
    place(f, node);
    request.partition = 5;
    assert_int_equal(ask(f, node, METHOD_PARTITION_RECOVER, &request.base, &out), ERR_INVALID);
    prepare_hello(&h, 1, "tcp://127.0.0.1:1");
    copy.partition = 5;
    copy.known = 9;
    h.request.n_spares = 1;
    h.request.spares = list;
    h.request.map_version = UINT64_MAX / 2; /* nonsense: is passed over */
    assert_int_equal(ask(f, node, METHOD_NODE_HELLO, &h.request.base, &out), OK);
    h.request.map_version = 1000000;
    assert_int_equal(ask(f, node, METHOD_NODE_HELLO, &h.request.base, &out), OK);
    assert_int_equal(change(f, node, TERN__CONF_CHANGE__CONF_PROMOTE, 5, 1, 1, 0, &conf), ERR_CONFLICT);
    assert_int_equal(conf->epoch, 1);
    tern__partition_conf__free_unpacked(conf, NULL);
    wait_promoted(f, node, 6, clock_mono_ms()); /* others go on */
    assert_int_equal(ask(f, node, METHOD_PARTITION_RECOVER, &request.base, &out),
                     ERR_DENIED); /* it does not know yet who has what */
    for (int i = 0; i < 2; i++) {
        uint64_t version = 0;
        for (int tries = 0; tries < 500 && version <= 1000000; tries++) {
            Tern__MapResponse *map = ask_map(f, node, 0, false);
            version = map->map->version;
            tern__map_response__free_unpacked(map, NULL);
        }
        assert_true(version > 1000000);
        assert_true(version < 2000000);
        node = restart(f); /* and it is kept */
    }
    buf_fini(&out);
}

/* A hello of node `store` with one copy of partition 5 that knows `known` (0: no copy), whole and looked up
 * for that hearing, or, if that is 0, not whole. The hearing that it is asked by to tell of its copies; 0:
 * none.
 */
static uint64_t tell(struct fixture *f, void *socket, uint8_t store, uint64_t hearing, uint64_t known,
                     uint64_t version)
{
    struct buf out = { 0 };
    struct hello h;
    Tern__SpareCopy copy = TERN__SPARE_COPY__INIT, *list[] = { &copy };
    char endpoint[32];
    snprintf(endpoint, sizeof endpoint, "tcp://127.0.0.1:%u", store);
    prepare_hello(&h, store, endpoint);
    copy.partition = 5;
    copy.known = known;
    h.request.n_spares = known != 0;
    h.request.spares = list;
    h.request.whole = hearing != 0;
    h.request.hearing = hearing;
    h.request.map_version = version;
    assert_int_equal(ask(f, socket, METHOD_NODE_HELLO, &h.request.base, &out), OK);
    Tern__NodeHelloResponse *response = tern__node_hello_response__unpack(NULL, out.len, out.data);
    uint64_t asked = response->hearing;
    assert_true(response->tell_copies == (asked != 0));
    tern__node_hello_response__free_unpacked(response, NULL);
    buf_fini(&out);
    return asked;
}

/* R27: node 1 is behind the store that was put back, and the first to speak to a director that has just
 * started. */
static void test_nothing_is_changed_before_nodes_are_heard(void **state)
{
    struct fixture *f = *state;
    void *node = connect_to(f);
    hello(f, node, 1, "tcp://127.0.0.1:1");
    place(f, node);
    hello(f, node, 2, "tcp://127.0.0.1:2");
    node = restart(f);
    assert_int_equal(promote(f, node, 5), ERR_CONFLICT);
    uint64_t hearing = tell(f, node, 1, 0, 0, 0);
    assert_int_not_equal(hearing, 0);
    assert_int_equal(tell(f, node, 1, hearing, 0, 0), hearing);
    assert_int_equal(promote(f, node, 5), ERR_CONFLICT);
    assert_int_equal(tell(f, node, 2, 0, 0, 0), hearing); /* it has not opened its copies yet */
    assert_int_equal(promote(f, node, 5), ERR_CONFLICT);
    tell(f, node, 2, hearing, 9, 0);
    assert_int_equal(promote(f, node, 5), ERR_CONFLICT); /* for good */
    assert_int_equal(promote(f, node, 6), OK);           /* at once */
}

/* R27: an epoch that was made just before the store was put back is in no hello that tells of a second ago,
 * nor in one that was made for a director of before, or for another one. */
static void test_what_was_looked_up_before_does_not_count(void **state)
{
    struct fixture *f = *state;
    void *node = connect_to(f);
    hello(f, node, 1, "tcp://127.0.0.1:1");
    place(f, node);
    hello(f, node, 2, "tcp://127.0.0.1:2");
    node = restart(f);
    uint64_t before = tell(f, node, 1, 0, 0, 0);
    node = restart(f);
    assert_int_not_equal(tell(f, node, 1, before, 0, 0), before);
    uint64_t hearing = tell(f, node, 2, before, 0, 0);
    assert_int_not_equal(hearing, before);
    assert_int_equal(promote(f, node, 5), ERR_CONFLICT);
    assert_int_equal(tell(f, node, 1, hearing, 0, 0), hearing);
    assert_int_equal(promote(f, node, 5), ERR_CONFLICT);
    assert_int_equal(tell(f, node, 2, hearing, 0, 0), 0); /* all were heard */
    assert_int_equal(tell(f, node, 2, 0, 0, 0), 0);       /* and that stays */
    assert_int_equal(promote(f, node, 5), OK);
}

/* R27: node 2 was to have a copy of partition 5, or of 6, by a configuration that the store has forgotten; it
 * has nothing of it yet and knows that epoch all the same. */
static void test_an_epoch_known_without_a_copy_is_not_used_again(void **state)
{
    struct fixture *f = *state;
    struct buf out = { 0 };
    struct hello h;
    uint64_t epochs[] = { 1, 1, 1, 1, 1, 2, 1 };
    void *node = connect_to(f);
    hello(f, node, 1, "tcp://127.0.0.1:1");
    place(f, node);
    hello(f, node, 2, "tcp://127.0.0.1:2");
    node = restart(f);
    uint64_t hearing = tell(f, node, 1, 0, 0, 0);
    assert_int_equal(tell(f, node, 1, hearing, 0, 0), hearing);
    prepare_hello(&h, 2, "tcp://127.0.0.1:2");
    h.request.hearing = hearing;
    h.request.epochs = epochs;
    h.request.n_epochs = sizeof epochs / sizeof epochs[0];
    assert_int_equal(ask(f, node, METHOD_NODE_HELLO, &h.request.base, &out), OK);
    assert_int_equal(promote(f, node, 5), ERR_CONFLICT);
    assert_int_equal(promote(f, node, 6), OK);
    buf_fini(&out);
}

/* A node that is lost holds a fail-over up for so long and no longer; on a busy machine not each time. */
static void test_a_silent_node_is_waited_for_in_vain(void **state)
{
    enum { SLACK_MS = 500, TRIES_MAX = 5 };
    struct fixture *f = *state;
    void *node = connect_to(f);
    uint64_t took = UINT64_MAX;
    hello(f, node, 1, "tcp://127.0.0.1:1");
    place(f, node);
    hello(f, node, 2, "tcp://127.0.0.1:2");
    for (uint32_t i = 0; i < TRIES_MAX && took > HEARING_MS + SLACK_MS; i++) {
        node = restart(f);
        uint64_t begin = clock_mono_ms(), hearing = tell(f, node, 1, 0, 0, 0);
        assert_int_equal(tell(f, node, 1, hearing, 0, 0), hearing);
        took = wait_promoted(f, node, 5 + i, begin);
        assert_true(took >= HEARING_MS);
        assert_int_equal(tell(f, node, 1, hearing, 0, 0), 0);
    }
    assert_true(took <= HEARING_MS + SLACK_MS);
}

/* All nodes of the map are heard, but there may be others that it does not name. */
static void test_nodes_that_an_older_store_does_not_name(void **state)
{
    struct fixture *f = *state;
    void *node = connect_to(f);
    hello(f, node, 1, "tcp://127.0.0.1:1");
    place(f, node);
    node = restart(f);
    uint64_t hearing = tell(f, node, 1, 0, 0, 1000000); /* a newer map than the store ever gave out */
    assert_int_equal(tell(f, node, 1, hearing, 0, 1000000), hearing);
    assert_int_equal(promote(f, node, 5), ERR_CONFLICT);
    node = restart(f);
    tell(f, node, 1, tell(f, node, 1, 0, 0, 1), 0, 1);
    assert_int_equal(promote(f, node, 5), OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_conf_changes),
        TEST(test_race),
        TEST(test_recover_refusals),
        TEST(test_recover_above_an_old_store),
        TEST(test_older_store),
        TEST(test_nothing_is_changed_before_nodes_are_heard),
        TEST(test_what_was_looked_up_before_does_not_count),
        TEST(test_an_epoch_known_without_a_copy_is_not_used_again),
        TEST(test_a_silent_node_is_waited_for_in_vain),
        TEST(test_nodes_that_an_older_store_does_not_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

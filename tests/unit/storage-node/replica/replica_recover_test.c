/* SPDX-License-Identifier: Apache-2.0 */
/* A partition goes on from an older copy (R29): that copy counts, every other one from before is void. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "storage-node/replica/replica.h"

enum { OLD = 3, RECOVERED = 1027, LAST = 10 };

static const struct replica_node node_a = { .store = 11, .id = 1 }, node_b = { .store = 22, .id = 2 };

struct node {
    struct replica *replica;
    struct replica_actions actions;
    uint64_t now;
};

static void step(struct node *n, struct replica_event *event)
{
    event->now = n->now += REPLICA_MS;
    replica_step(n->replica, event, &n->actions);
}

/* A node that stopped in epoch `dep` with a log of LAST committed entries. */
static void start(struct node *n, struct replica_node self, uint64_t dep)
{
    struct replica_run run = { .first = 1, .epoch = OLD };
    struct replica_event event = { .type = REPLICA_EV_START,
                                   .start = { .record = true,
                                              .dep = dep,
                                              .last = LAST,
                                              .applied = LAST,
                                              .commit = LAST,
                                              .runs = &run,
                                              .run_count = 1,
                                              .nonce = 5 } };
    struct replica_cfg cfg = { .self = self, .min_members = 1 };
    *n = (struct node){ .replica = replica_new(&cfg) };
    step(n, &event);
}

static void end(struct node *n)
{
    replica_free(&n->replica);
    replica_actions_fini(&n->actions);
}

static void learn(struct node *n, uint64_t epoch, const struct replica_node *learner)
{
    struct replica_conf conf = { .epoch = epoch,
                                 .since = RECOVERED,
                                 .recovered = RECOVERED,
                                 .primary = node_a,
                                 .member_count = 1,
                                 .members = { node_a } };
    if (learner != NULL)
        conf.learners[conf.learner_count++] = *learner;
    struct replica_event event = { .type = REPLICA_EV_CONF, .conf = { .conf = &conf } };
    step(n, &event);
}

static const struct replica_action *find(const struct node *n, enum replica_action_type type)
{
    for (uint32_t i = 0; i < n->actions.count; i++) {
        if (n->actions.list[i].type == type)
            return &n->actions.list[i];
    }
    return NULL;
}

static void expect_wiped(struct node *n)
{
    struct replica_info info;
    const struct replica_action *wipe = find(n, REPLICA_ACT_WIPE);
    assert_non_null(wipe);
    assert_true(wipe->wipe.keep_record);
    assert_null(find(n, REPLICA_ACT_SEND)); /* nothing is acked, nothing granted */
    struct replica_event event = { .type = REPLICA_EV_DURABLE, .durable = { .token = wipe->wipe.token } };
    step(n, &event);
    replica_info(n->replica, &info);
    assert_int_equal(info.last, 0);
    assert_int_equal(info.commit, 0);
}

static void the_chosen_copy_goes_on(void **state)
{
    struct node n;
    start(&n, node_a, OLD);
    learn(&n, RECOVERED, NULL);
    assert_null(find(&n, REPLICA_ACT_WIPE));
    const struct replica_action *write = find(&n, REPLICA_ACT_WRITE);
    assert_non_null(write);
    assert_true(write->write.barrier);
    assert_int_equal(write->write.first, LAST + 1);
    end(&n);
}

static void another_copy_is_void(void **state)
{
    struct node n;
    start(&n, node_b, OLD + 1);
    learn(&n, RECOVERED, NULL);
    expect_wiped(&n);
    learn(&n, RECOVERED + 1, &node_b);
    assert_null(find(&n, REPLICA_ACT_WIPE)); /* once */
    end(&n);
}

static void also_as_a_learner(void **state)
{
    struct node n;
    start(&n, node_b, OLD + 1);
    learn(&n, RECOVERED + 1, &node_b);
    expect_wiped(&n);
    end(&n);
}

/* The configuration is late: without R29 it would skip what it takes for committed, and acknowledge it. */
static void an_append_is_enough(void **state)
{
    struct node n;
    start(&n, node_b, OLD + 1);
    struct replica_event event = { .type = REPLICA_EV_MSG,
                                   .msg = { .type = REPLICA_MSG_APPEND,
                                            .peer = node_a,
                                            .epoch = RECOVERED + 1,
                                            .append = { .prev_index = LAST - 2,
                                                        .prev_epoch = OLD,
                                                        .commit = LAST - 2,
                                                        .recovered = RECOVERED } } };
    step(&n, &event);
    expect_wiped(&n);
    end(&n);
}

static void a_copy_from_after_it_stays(void **state)
{
    struct node n;
    start(&n, node_b, RECOVERED + 1);
    learn(&n, RECOVERED + 4, &node_b);
    assert_null(find(&n, REPLICA_ACT_WIPE));
    end(&n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_chosen_copy_goes_on),    cmocka_unit_test(another_copy_is_void),
        cmocka_unit_test(also_as_a_learner),          cmocka_unit_test(an_append_is_enough),
        cmocka_unit_test(a_copy_from_after_it_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

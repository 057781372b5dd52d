/* SPDX-License-Identifier: Apache-2.0 */
/* Links that are slow but stand: nothing is lost on them, and all that is sent arrives in order, late. */
#include <stdlib.h>

#include "tests/unit/storage-node/replica/trace.h"

enum {
    STEP_MS = 10,
    DELAY_MS = 40,
    WRITE_MS = 20, /* one every so often */
};

struct slow {
    struct vc vc;
    int node;                  /* whose links are slow ... */
    uint64_t entry_ns;         /* ... for entries */
    uint64_t free_at[2];       /* when what was sent to it, and by it, has left */
    unsigned sent, first_sent; /* entries to it; those that were not sent before */
    uint64_t highest;          /* index sent to it */
    bool silent;               /* nothing arrives from it or at it */
    uint64_t value;            /* of the last write */
    uint64_t worst_ns;         /* the longest that a write has waited */
};

static bool slow_route(struct vc *vc, struct vmsg *m)
{
    struct slow *s = vc->route_arg;
    if (m->kind != VM_PEER || (m->from != s->node && m->to != s->node))
        return true;
    if (s->silent)
        return false;
    bool beat = m->msg.type == REPLICA_MSG_BEAT || m->msg.type == REPLICA_MSG_BEAT_ACK;
    m->at = vc->now + DELAY_MS * MS;
    if (beat) /* they have a connection of their own */
        return true;
    uint32_t count = m->msg.type == REPLICA_MSG_APPEND ? m->msg.append.count : 0;
    uint64_t *free_at = &s->free_at[m->from == s->node], last = m->msg.append.prev_index + count;
    *free_at = (*free_at > vc->now ? *free_at : vc->now) + count * s->entry_ns;
    m->at = *free_at + DELAY_MS * MS;
    s->sent += count;
    for (; count > 0 && s->highest < last; s->highest++)
        s->first_sent += s->highest >= m->msg.append.prev_index;
    return true;
}

static void deliver_due(struct vc *vc)
{
    for (size_t i = 0; i < vc->pool_count && vc->violation[0] == '\0';) {
        if (vc->pool[i]->at <= vc->now)
            vc_deliver(vc, i, false);
        else
            i++;
    }
}

static int primary_of(struct vc *vc)
{
    for (int i = 0; i < vc->count; i++)
        if (replica_node_eq(vc_conf(vc)->primary, vc->nodes[i].id))
            return i;
    return -1;
}

static void write_and_watch(struct slow *s, bool writing)
{
    struct vc *vc = &s->vc;
    int primary = primary_of(vc);
    for (int i = 0; i < vc->count; i++)
        if (vc->nodes[i].up)
            sync_disk(vc, i);
    if (writing && vc->now % (WRITE_MS * MS) == 0) {
        uint64_t value = ++s->value;
        if (vc_propose(vc, primary, &value, 1) != OK)
            s->value--;
    }
    for (int i = 0; i < vc->count; i++)
        if (vc->nodes[i].up)
            sync_disk(vc, i);
    deliver_due(vc);
    struct replica_info info = info_of(vc, primary);
    uint64_t waited_ns = (info.last - info.commit) * WRITE_MS * MS;
    if (writing && waited_ns > s->worst_ns)
        s->worst_ns = waited_ns;
}

static void run_for(struct slow *s, uint64_t ms, bool writing)
{
    struct vc *vc = &s->vc;
    for (uint64_t end = vc->now + ms * MS; vc->now < end;) {
        vc->now += STEP_MS * MS;
        for (int i = 0; i < vc->count; i++) {
            if (!vc->nodes[i].up)
                continue;
            if (vc->nodes[i].next_tick <= vc_clock(vc, i))
                vc_tick(vc, i);
            for (int to = 0; to < vc->count && vc->now % REPLICA_BEAT_NS == 0; to++)
                if (to != i)
                    vc_beat(vc, i, to);
        }
        deliver_due(vc);
        write_and_watch(s, writing);
        assert_string_equal(vc->violation, "");
    }
}

static struct slow *slow_new(const struct replica_cfg *cfg, int node, uint64_t entry_ns)
{
    struct slow *s = calloc(1, sizeof *s);
    trace_init_cfg(&s->vc, 3, "ABC", cfg);
    settle(&s->vc, 1000);
    s->node = node;
    s->entry_ns = entry_ns;
    s->vc.route = slow_route;
    s->vc.route_arg = s;
    return s;
}

static void slow_free(struct slow *s)
{
    lose_all(&s->vc);
    trace_fini(&s->vc);
    free(s);
}

/* Acks that take longer than retry_ns are no reason to send everything again and again. */
static void a_slow_link_is_not_sent_everything_twice(void **state)
{
    (void)state;
    struct replica_cfg cfg = { .min_members = 2 };
    struct slow *s = slow_new(&cfg, C, 150 * MS);
    for (int i = 0; i < 5; i++) { /* a burst that takes the link a second */
        for (int k = 0; k < 7; k++)
            write_one(&s->vc, A, ++s->value);
        run_for(s, 1500, false);
    }
    assert_true(s->first_sent >= 35);
    assert_true(s->sent <= s->first_sent + 14);
    assert_true(has_applied(&s->vc, A, s->value));
    assert_int_equal(vc_conf(&s->vc)->member_count, 3);
    slow_free(s);
}

/* More is written than the link takes: those that write do not wait for it for long. */
static void a_member_that_lags_is_let_go(void **state)
{
    (void)state;
    struct replica_cfg cfg = { .min_members = 2 };
    struct slow *s = slow_new(&cfg, C, 100 * MS);
    run_for(s, 20000, true);
    assert_true(s->worst_ns < 4000 * MS);
    s->entry_ns = 0;
    run_for(s, 25000, true); /* what is on the link has to leave it first */
    assert_int_equal(vc_conf(&s->vc)->member_count, 3);
    run_for(s, 2000, false);
    assert_true(has_applied(&s->vc, C, s->value));
    slow_free(s);
}

static unsigned count_of(struct vc *vc, int node)
{
    unsigned members = 0;
    for (uint32_t i = 0; i < vc_conf(vc)->member_count; i++)
        members += replica_node_eq(vc_conf(vc)->members[i], vc->nodes[node].id);
    return members;
}

/* So often was C let go while its link was bad for 5 s in each of `bursts` minutes; what is on it then has to
 * leave it first. */
static unsigned burst(struct slow *s, unsigned bursts)
{
    unsigned evictions = 0;
    for (unsigned i = 0; i < bursts * 60; i++) {
        unsigned before = count_of(&s->vc, C);
        s->entry_ns = i % 60 < 5 ? 100 * MS : 0;
        run_for(s, 1000, true);
        evictions += before == 1 && count_of(&s->vc, C) == 0;
    }
    return evictions;
}

/* A link that is bad in bursts: the first costs what one costs, and so does the next; then it stays a learner
 * for longer and longer, and nobody waits for it. When all has been well for long, it is forgotten. */
static void bursts_are_damped(void **state)
{
    (void)state;
    struct replica_cfg cfg = { .min_members = 2, .rejoin_forget_ns = 400000 * MS };
    struct slow *s = slow_new(&cfg, C, 0);
    assert_int_equal(burst(s, 2), 2);
    assert_int_equal(count_of(&s->vc, C), 1);
    uint64_t worst_ns = s->worst_ns;
    assert_in_range(burst(s, 8), 3, 4);
    assert_true(s->worst_ns <= worst_ns);
    s->entry_ns = 0;
    run_for(s, 450000, true);
    assert_int_equal(count_of(&s->vc, C), 1);
    assert_int_equal(burst(s, 2), 2);
    assert_int_equal(count_of(&s->vc, C), 1);
    slow_free(s);
}

/* It waits only while enough others are there. */
static void the_slow_one_joins_when_it_is_needed(void **state)
{
    (void)state;
    struct replica_cfg cfg = { .min_members = 2, .rejoin_ns = 100000 * MS };
    struct slow *s = slow_new(&cfg, C, 0);
    burst(s, 2);
    run_for(s, 10000, true);
    assert_int_equal(count_of(&s->vc, C), 0);
    vc_crash(&s->vc, B, 0);
    run_for(s, 5000, true);
    assert_int_equal(count_of(&s->vc, B), 0);
    assert_int_equal(count_of(&s->vc, C), 1);
    slow_free(s);
}

/* It is the primary's own link that is slow, and all lag. One is let go, which is one less to send to; the
 * other stays, though what was sent in the epoch before has to come first, and no Ack comes for long. */
static void a_slow_primary_does_not_end_alone(void **state)
{
    (void)state;
    struct replica_cfg cfg = { .min_members = 2 };
    struct slow *s = slow_new(&cfg, A, 100 * MS);
    for (int i = 0; i < 30; i++) {
        run_for(s, 1000, true);
        assert_true(vc_conf(&s->vc)->member_count >= 2);
    }
    assert_int_equal(vc_conf(&s->vc)->member_count, 2);
    slow_free(s);
}

/* Without it nothing would be taken at all. */
static void the_last_one_is_waited_for(void **state)
{
    (void)state;
    struct replica_cfg cfg = { .min_members = 3 };
    struct slow *s = slow_new(&cfg, C, 100 * MS);
    run_for(s, 4000, true);
    assert_int_equal(vc_conf(&s->vc)->epoch, 1);
    slow_free(s);
}

/* The primary's own links fail for a moment: it does not throw out everybody, to stand there alone. */
static void nobody_is_let_go_for_a_moment(void **state)
{
    (void)state;
    struct replica_cfg cfg = { .min_members = 2 };
    struct slow *s = slow_new(&cfg, A, 0);
    s->silent = true;
    run_for(s, 1000, true);
    s->silent = false;
    run_for(s, 1000, true);
    assert_int_equal(vc_conf(&s->vc)->epoch, 1);
    assert_true(s->worst_ns < 1600 * MS);
    slow_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_slow_link_is_not_sent_everything_twice),
        cmocka_unit_test(a_member_that_lags_is_let_go),
        cmocka_unit_test(bursts_are_damped),
        cmocka_unit_test(the_slow_one_joins_when_it_is_needed),
        cmocka_unit_test(a_slow_primary_does_not_end_alone),
        cmocka_unit_test(the_last_one_is_waited_for),
        cmocka_unit_test(nobody_is_let_go_for_a_moment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Random operations on a queue against a model of it. */
#include "tests/unit/storage-node/mailbox/queue/queue_fixture.h"

#include <string.h>

/* Random operations against a list of what should be there: whatever happens, each recipient ends delivered,
 * failed or deleted, no lease is given twice, and the totals agree. */
enum { MODEL_ITEMS = 12, MODEL_STEPS = 3000 };
struct model_item {
    bool there, held;
    Tern__QueueItem leased; /* fence and id of the newest lease; fence 0: none */
    uint64_t lease_until;
    unsigned pending, failed;
    char states[5]; /* 'p', 'd', 'f' */
    ProtobufCBinaryData id;
};

static struct model_item *find_model(struct model_item *items, ProtobufCBinaryData id)
{
    for (size_t i = 0; i < MODEL_ITEMS; i++) {
        if (items[i].there && memcmp(items[i].id.data, id.data, id.len) == 0)
            return &items[i];
    }
    return NULL;
}

static void model_put(struct fixture *f, struct model_item *m)
{
    if (m->there)
        return;
    size_t count = 1 + (size_t)rand() % 4;
    *m = (struct model_item){ .there = true, .pending = (unsigned)count, .states = "pppp" };
    m->states[count] = '\0';
    m->id = put(f, count)->request.item_id;
}

static void model_lease(struct fixture *f, struct model_item *items)
{
    Tern__QueueLeaseResponse *l = lease_early(f, 1 + (uint32_t)rand() % 3, rand() % 3 == 0 ? UINT64_MAX : 0);
    for (size_t i = 0; i < l->n_items; i++) {
        struct model_item *m = find_model(items, l->items[i]->item_id);
        assert_non_null(m);
        assert_false(m->held);
        assert_true(m->lease_until <= l->now_ms);
        assert_int_equal(l->items[i]->n_recipients, m->pending);
        assert_true(l->items[i]->fence > m->leased.fence);
        m->leased.fence = l->items[i]->fence;
        m->lease_until = l->now_ms + LEASE_MS;
    }
}

static void model_report(struct fixture *f, struct model_item *m)
{
    if (!m->there)
        return;
    char outcomes[5] = "";
    size_t count = strlen(m->states);
    for (size_t i = 0; i < count; i++)
        outcomes[i] = "dllf"[rand() % 4];
    Tern__QueueItem item = { .item_id = m->id };
    bool good = rand() % 5 != 0;
    enum err err = report(f, &item, m->leased.fence - !good, outcomes, (uint32_t)rand() % 500);
    if (!good || m->lease_until == 0) {
        assert_int_equal(err, ERR_CONFLICT);
        return;
    }
    assert_int_equal(err, OK);
    m->lease_until = 0;
    m->pending = m->failed = 0;
    for (size_t i = 0; i < count; i++) {
        if (m->states[i] == 'p' && outcomes[i] != 'l')
            m->states[i] = outcomes[i];
        m->pending += m->states[i] == 'p';
        m->failed += m->states[i] == 'f';
    }
    m->there = m->pending + m->failed > 0;
}

static void model_change(struct fixture *f, struct model_item *m)
{
    if (!m->there)
        return;
    Tern__QueueChange what = (Tern__QueueChange)(rand() % 4);
    assert_int_equal(change(f, m->id, what), OK);
    m->there = what != TERN__QUEUE_CHANGE__QUEUE_DELETE;
    m->held = what == TERN__QUEUE_CHANGE__QUEUE_HOLD;
    if (what == TERN__QUEUE_CHANGE__QUEUE_RETRY) {
        m->pending += m->failed;
        m->failed = 0;
        for (char *c = m->states; *c != '\0'; c++)
            *c = *c == 'f' ? 'p' : *c;
    }
}

static void model_check(struct fixture *f, const struct model_item *items)
{
    uint64_t count = 0, held = 0, failed = 0;
    for (size_t i = 0; i < MODEL_ITEMS; i++) {
        const struct model_item *m = &items[i];
        count += m->there;
        held += m->there && m->held;
        failed += m->there && m->pending == 0;
        if (!m->there)
            continue;
        Tern__QueueItem *shown = show(f, m->id);
        assert_non_null(shown);
        assert_int_equal(shown->pending, m->pending);
        assert_int_equal(shown->failed, m->failed);
        for (size_t j = 0; j < shown->n_recipients; j++)
            assert_int_equal("pdf"[shown->recipients[j]->state], m -> states[j]);
    }
    Tern__QueueStatusResponse *s = status(f);
    assert_int_equal(s->items, count);
    assert_int_equal(s->held, held);
    assert_int_equal(s->failed, failed);
    assert_int_equal(s->bytes, count * strlen(mail));
}

static void test_model(void **state)
{
    struct fixture *f = *state;
    struct model_item items[MODEL_ITEMS] = { 0 };
    srand(20261122);
    for (int step = 0; step < MODEL_STEPS; step++) {
        struct model_item *m = &items[rand() % MODEL_ITEMS];
        switch (rand() % 6) {
        case 0:
            model_put(f, m);
            break;
        case 1:
            model_change(f, m);
            break;
        case 2:
            f->time_ms += (uint64_t)rand() % (LEASE_MS * 2);
            break;
        case 3:
            model_lease(f, items);
            break;
        default:
            model_report(f, m);
        }
        if (step % 10 == 0)
            model_check(f, items);
    }
    for (size_t i = 0; i < MODEL_ITEMS; i++) {
        if (items[i].there)
            assert_int_equal(change(f, items[i].id, TERN__QUEUE_CHANGE__QUEUE_DELETE), OK);
    }
    for (int i = 0; i < 10; i++) {
        f->time_ms += 2 * HOUR_MS;
        fixture_sweep(f);
    }
    expect_empty(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

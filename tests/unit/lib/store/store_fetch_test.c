/* SPDX-License-Identifier: Apache-2.0 */
/* Pages of FETCH: each after the other, ahead of the reader, and bodies in segments. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/fiber/fiber.h"
#include "lib/store/message.h"
#include "proto/message.pb-c.h"
#include "proto/methods.h"
#include "tests/unit/lib/store/fake_cluster.h"

static struct store *store;

static uint32_t rows_a_page;
static size_t body_bytes;
static bool stuck; /* pages do not advance */

static void on_fetch(struct rpc_request *request)
{
    Tern__FetchRequest *r = tern__fetch_request__unpack(NULL, request->request.len, request->request.data);
    Tern__FetchResponse response = TERN__FETCH_RESPONSE__INIT;
    struct uidset uids = { 0 };
    struct buf rows = { 0 }, body = { 0 };
    struct row row = { .size = 100, .parts = r->items & ROW_BODY };
    memset(buf_reserve(&body, body_bytes + 1), 'x', body_bytes);
    body.len = body_bytes;
    row.body = buf_slice(&body);
    fake_read_uids(r->uids, &uids);
    for (uint32_t i = 0; i < rows_a_page && uidset_at(&uids, i) != 0; i++) {
        row.uid = uidset_at(&uids, i);
        row_encode(&row, &rows);
    }
    response.next_uid = stuck ? uidset_min(&uids) : uidset_at(&uids, rows_a_page);
    fake_reply(request, OK, &response.base, buf_slice(&rows));
    buf_fini(&rows);
    buf_fini(&body);
    uidset_fini(&uids);
    tern__fetch_request__free_unpacked(r, NULL);
}

static void on_request(int node, struct rpc_request *request, unsigned nth)
{
    (void)node;
    (void)nth;
    if (request->method == METHOD_FETCH)
        on_fetch(request);
    else
        fake_reply(request, ERR_UNSUPPORTED, NULL, SLICE_NULL);
}

static int setup(void **state)
{
    (void)state;
    rows_a_page = 10;
    body_bytes = 0;
    stuck = false;
    store = fake_start(on_request);
    return 0;
}

static struct fetch *fetch_of(uint32_t first, uint32_t last)
{
    struct uidset uids = { 0 };
    uidset_add_range(&uids, first, last);
    struct fetch_options options = { .account = { 7, 1 }, .mailbox = { 5, 9 }, .uids = &uids };
    struct fetch *f = fetch_new(store, &options);
    uidset_fini(&uids);
    return f;
}

static void read_pages(void)
{
    struct fetch *f = fetch_of(101, 135);
    struct fetch_page page;
    uint32_t want = 101;
    enum err err;
    while ((err = fetch_next(f, &page)) == OK) {
        struct row row;
        while (fetch_page_next(&page, &row))
            assert_int_equal(row.uid, want++);
        fetch_page_fini(&page);
    }
    assert_int_equal(err, ERR_NOT_FOUND);
    assert_int_equal(want, 136);
    assert_int_equal(fake_count(METHOD_FETCH), 4);
    fetch_free(&f);

    /* Ended early: what was asked for ahead is dropped, and a page outlives its fetch. */
    f = fetch_of(1, 100);
    assert_int_equal(fetch_next(f, &page), OK);
    fetch_free(&f);
    struct row row;
    assert_true(fetch_page_next(&page, &row));
    assert_int_equal(row.uid, 1);
    fetch_page_fini(&page);
    f = fetch_of(1, 100); /* before anything was read */
    fetch_free(&f);
    fiber_sleep_ms(50);

    stuck = true;
    f = fetch_of(1, 100);
    assert_int_equal(fetch_next(f, &page), ERR_PROTOCOL);
    assert_int_equal(fetch_next(f, &page), ERR_NOT_FOUND);
    fetch_free(&f);

    struct uidset none = { 0 };
    f = fetch_new(store, &(struct fetch_options){ .account = { 7, 1 }, .uids = &none });
    assert_int_equal(fetch_next(f, &page), ERR_NOT_FOUND);
    fetch_free(&f);
}

static void pages_follow_each_other(void **state)
{
    (void)state;
    fake_run(read_pages);
}

/* Bodies are asked for in several segments at once; the rows come in order all the same, and only the last
 * page says that nothing is left. */
static void read_bodies(void)
{
    struct uidset uids = { 0 };
    uidset_add_range(&uids, 1, 1000);
    uidset_remove_range(&uids, 500, 599);
    struct fetch_options options = {
        .account = { 7, 1 }, .mailbox = { 5, 9 }, .uids = &uids, .items = ROW_BODY, .page_bytes = 300
    };
    struct fetch *f = fetch_new(store, &options);
    struct uidset got = { 0 };
    struct fetch_page page;
    bool more = true;
    enum err err;
    while ((err = fetch_next(f, &page)) == OK) {
        struct row row;
        assert_true(more);
        more = page.next_uid != 0;
        while (fetch_page_next(&page, &row)) {
            assert_true(row.uid > uidset_max(&got));
            uidset_add(&got, row.uid);
        }
        assert_true(!more || page.next_uid > uidset_max(&got));
        fetch_page_fini(&page);
    }
    assert_int_equal(err, ERR_NOT_FOUND);
    assert_false(more);
    assert_true(uidset_eq(&got, &uids));
    fetch_free(&f);
    uidset_fini(&got);
    uidset_fini(&uids);
}

static void bodies_come_in_order(void **state)
{
    (void)state;
    fake_run(read_bodies);
}

/* Once some pages of bodies of this size were handed out, so many more are asked for. */
static void expect_ahead(size_t bytes, uint32_t rows, unsigned ahead)
{
    enum { PAGES = 12 };
    struct uidset uids = { 0 };
    uidset_add_range(&uids, 1, 100000);
    struct fetch_options options = {
        .account = { 7, 1 }, .mailbox = { 5, 9 }, .uids = &uids, .items = ROW_BODY
    };
    unsigned before = fake_count(METHOD_FETCH);
    body_bytes = bytes;
    rows_a_page = rows;
    struct fetch *f = fetch_new(store, &options);
    for (int i = 0; i < PAGES; i++) {
        struct fetch_page page;
        assert_int_equal(fetch_next(f, &page), OK);
        fetch_page_fini(&page);
    }
    fake_expect(METHOD_FETCH, before + PAGES + ahead);
    fetch_free(&f);
    uidset_fini(&uids);
}

static void read_ahead(void)
{
    expect_ahead(10, 1000, 8);
    expect_ahead(20 * 1024, 50, 8);
    expect_ahead(700 * 1024, 1, 4);
    expect_ahead(1000 * 1024, 1, 3);
}

static void fewer_pages_of_large_bodies_are_under_way(void **state)
{
    (void)state;
    fake_run(read_ahead);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, fake_teardown)
    const struct CMUnitTest tests[] = {
        TEST(pages_follow_each_other),
        TEST(bodies_come_in_order),
        TEST(fewer_pages_of_large_bodies_are_under_way),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "storage-node/partition/report/board.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { SEEN_MAX = 16 };

struct seen {
    uint32_t partitions[SEEN_MAX];
    struct board_figures figures[SEEN_MAX];
    size_t count;
};

static void see(void *arg, uint32_t partition, const struct board_figures *figures)
{
    struct seen *seen = arg;
    assert_true(seen->count < SEEN_MAX);
    seen->partitions[seen->count] = partition;
    seen->figures[seen->count++] = *figures;
}

static uint64_t collect(struct board *board, uint64_t since, struct seen *seen)
{
    uint64_t newest;
    *seen = (struct seen){ 0 };
    assert_int_equal(board_collect(board, since, 0, SEEN_MAX, see, seen, &newest), 0);
    return newest;
}

static void put(struct board *board, uint32_t partition, uint64_t commit, uint64_t behind)
{
    struct board_figures figures = { .epoch = 1, .commit = commit, .peer_count = 1 };
    figures.peers[0] = (struct board_peer){ .node = 2, .behind = behind };
    board_put(board, partition, &figures);
}

static void test_tells_what_changed(void **state)
{
    struct board *board = board_new();
    struct seen seen;
    uint64_t at = collect(board, 0, &seen);
    put(board, 3, 10, 0);
    put(board, 900, 10, 0);
    uint64_t then = collect(board, at, &seen);
    assert_int_equal(seen.count, 2);
    assert_int_equal(seen.partitions[1], 900);
    put(board, 3, 10, 0); /* the same again */
    collect(board, then, &seen);
    assert_int_equal(seen.count, 0);
    put(board, 900, 10, 5); /* a member falls behind */
    then = collect(board, then, &seen);
    assert_int_equal(seen.count, 1);
    assert_int_equal(seen.figures[0].peers[0].behind, 5);
    board_set_state_bytes(board, 3, 77);
    put(board, 3, 10, 0);
    then = collect(board, then, &seen);
    assert_int_equal(seen.count, 1);
    assert_int_equal(seen.figures[0].state_bytes, 77);
    put(board, 3, 11, 0);
    collect(board, then, &seen);
    assert_int_equal(seen.figures[0].state_bytes, 77);
    collect(board, 0, &seen); /* all there are */
    assert_int_equal(seen.count, 2);
    board_remove(board, 3);
    board_remove(board, 4);
    collect(board, 0, &seen);
    assert_int_equal(seen.count, 1);
    put(board, 3, 11, 0); /* primary again */
    collect(board, 0, &seen);
    assert_int_equal(seen.count, 2);
    board_free(&board);
}

static void test_tells_in_parts(void **state)
{
    struct board *board = board_new();
    struct seen seen = { 0 };
    uint64_t newest;
    for (uint32_t p = 0; p < 5; p++)
        put(board, p, 1, 0);
    uint32_t from = board_collect(board, 0, 0, 2, see, &seen, &newest);
    assert_int_equal(from, 2);
    from = board_collect(board, 0, from, 2, see, &seen, &newest);
    assert_int_equal(from, 4);
    from = board_collect(board, 0, from, 2, see, &seen, &newest);
    assert_int_equal(from, 0);
    assert_int_equal(seen.count, 5);
    assert_int_equal(seen.partitions[4], 4);
    board_free(&board);
}

static void test_measures_what_changed(void **state)
{
    struct board *board = board_new();
    uint32_t from = 0, partition = 99;
    assert_false(board_next_unmeasured(board, &from, &partition));
    put(board, 1, 0, 0); /* nothing is committed */
    put(board, 2, 5, 0);
    put(board, 7, 5, 0);
    assert_true(board_next_unmeasured(board, &from, &partition));
    assert_int_equal(partition, 2);
    put(board, 2, 6, 0); /* others come first */
    assert_true(board_next_unmeasured(board, &from, &partition));
    assert_int_equal(partition, 7);
    assert_true(board_next_unmeasured(board, &from, &partition));
    assert_int_equal(partition, 2);
    assert_false(board_next_unmeasured(board, &from, &partition));
    board_free(&board);
}

static void test_copies(void **state)
{
    struct board *board = board_new();
    struct board_copy out[4], copy = { .partition = 3, .epoch = 2, .last = 50, .spare = true };
    struct seen seen;
    assert_int_equal(board_copy_count(board, true), 0);
    put(board, 3, 10, 0);
    board_put_copy(board, &copy);
    collect(board, 0, &seen); /* figures stay as they are */
    assert_int_equal(seen.count, 1);
    copy.partition = 1;
    board_put_copy(board, &copy);
    copy.last = 51;
    board_put_copy(board, &copy);
    copy.partition = 2;
    copy.spare = false;
    board_put_copy(board, &copy);
    assert_int_equal(board_copy_count(board, false), 2);
    assert_int_equal(board_copies(board, false, out, 4), 2);
    assert_true(out[0].partition == 1 && out[0].last == 51 && out[1].partition == 3 && out[1].last == 50);
    assert_int_equal(board_copies(board, false, out, 1), 1);
    assert_int_equal(board_copy_count(board, true), 3);
    assert_int_equal(board_copies(board, true, out, 4), 3);
    assert_int_equal(out[1].partition, 2);
    board_remove_copy(board, 1);
    board_remove_copy(board, 1);
    copy.partition = 3; /* a member now */
    board_put_copy(board, &copy);
    assert_int_equal(board_copy_count(board, false), 0);
    assert_int_equal(board_copies(board, false, out, 4), 0);
    assert_int_equal(board_copies(board, true, out, 4), 2);
    board_free(&board);
}

/* With and without a copy; what was closed is here no more. */
static void test_known_epochs(void **state)
{
    struct board *board = board_new();
    struct board_copy copy = { .partition = 2, .epoch = 4, .known = 6 };
    uint64_t epochs[4] = { 1, 7, 0, 0 };
    struct seen seen;
    assert_int_equal(board_known_count(board), 0);
    board_put_known(board, 1, 5);
    put(board, 2, 10, 0);
    board_put_copy(board, &copy);
    board_put_known(board, 2, 6);
    assert_int_equal(board_known_count(board), 3);
    board_raise_known(board, epochs, 2);
    assert_true(epochs[0] == 1 && epochs[1] == 7 && epochs[2] == 0);
    board_raise_known(board, epochs, 4);
    assert_true(epochs[0] == 1 && epochs[1] == 7 && epochs[2] == 6 && epochs[3] == 0);
    board_forget(board, 2);
    epochs[2] = 0;
    board_raise_known(board, epochs, 4);
    assert_int_equal(epochs[2], 0);
    assert_int_equal(board_copy_count(board, true), 0);
    collect(board, 0, &seen);
    assert_int_equal(seen.count, 0);
    board_free(&board);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tells_what_changed),    cmocka_unit_test(test_tells_in_parts),
        cmocka_unit_test(test_measures_what_changed), cmocka_unit_test(test_copies),
        cmocka_unit_test(test_known_epochs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "storage-node/hello.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "lib/base/alloc.h"

struct fixture {
    struct kv *kv;
    struct board *board;
    struct faults *faults;
    struct hello *hello;
    struct arena arena;
    uint64_t now_ms, told; /* by the workers */
    const Tern__Map *map;
};

static int set_up(void **state)
{
    struct fixture *f = NEW(struct fixture);
    f->kv = kv_open_mem();
    f->board = board_new();
    f->faults = faults_new();
    f->hello = hello_new(f->kv, f->board, f->faults, 2);
    f->now_ms = 1000;
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    hello_free(&f->hello);
    faults_free(&f->faults);
    board_free(&f->board);
    kv_close(&f->kv);
    arena_fini(&f->arena);
    free(f);
    return 0;
}

static void put(struct fixture *f, uint32_t partition, uint64_t commit)
{
    struct board_figures figures = { .epoch = 4, .active = true, .commit = commit, .body_bytes = 100 };
    figures.peer_count = 1;
    figures.peers[0] = (struct board_peer){ 7, 3, 500 };
    board_put(f->board, partition, &figures);
}

/* How many figures a hello to the director has, and whether it arrives. */
static size_t say(struct fixture *f, size_t director, bool taken, Tern__NodeHelloRequest *out)
{
    *out = (Tern__NodeHelloRequest)TERN__NODE_HELLO_REQUEST__INIT;
    hello_fill(f->hello, director, f->told, f->map, f->now_ms, &f->arena, out);
    hello_done(f->hello, director, taken);
    f->now_ms += 1000;
    return out->n_figures;
}

static void test_tells_each_director_what_changed(void **state)
{
    struct fixture *f = *state;
    Tern__NodeHelloRequest hello;
    put(f, 1, 1);
    put(f, 5, 1);
    assert_int_equal(say(f, 0, true, &hello), 2);
    assert_int_equal(hello.figures[1]->partition, 5);
    assert_int_equal(hello.figures[1]->bytes, 100);
    assert_true(hello.figures[1]->active);
    assert_int_equal(hello.figures[1]->peers[0]->behind, 3);
    assert_int_equal(hello.figures[1]->peers[0]->copied_bytes, 500);
    assert_int_equal(say(f, 0, true, &hello), 0);
    put(f, 5, 2);
    assert_int_equal(say(f, 0, true, &hello), 1);
    assert_int_equal(say(f, 1, true, &hello), 2); /* the other has heard nothing yet */
    f->now_ms += FIGURES_INTERVAL_MS;
    assert_int_equal(say(f, 0, true, &hello), 2); /* all, now and then */
    assert_int_equal(say(f, 0, true, &hello), 0);
}

static void test_tells_again_what_was_not_heard(void **state)
{
    struct fixture *f = *state;
    Tern__NodeHelloRequest hello;
    put(f, 1, 1);
    put(f, 2, 1);
    assert_int_equal(say(f, 0, true, &hello), 2);
    put(f, 2, 2);
    assert_int_equal(say(f, 0, false, &hello), 1);
    assert_int_equal(say(f, 0, true, &hello), 2); /* it may be another process now */
    assert_int_equal(say(f, 0, true, &hello), 0);
}

static void test_many_partitions_take_several_hellos(void **state)
{
    struct fixture *f = *state;
    Tern__NodeHelloRequest hello;
    for (uint32_t p = 0; p < HELLO_FIGURES_MAX + 10; p++)
        put(f, p, 1);
    assert_int_equal(say(f, 0, true, &hello), HELLO_FIGURES_MAX);
    put(f, 3, 2); /* behind the pass: the next one has it */
    assert_int_equal(say(f, 0, true, &hello), 10);
    assert_int_equal(say(f, 0, true, &hello), 1);
    assert_int_equal(hello.figures[0]->partition, 3);
    assert_int_equal(say(f, 0, true, &hello), 0);
}

static void test_tells_faults_each_time(void **state)
{
    struct fixture *f = *state;
    Tern__NodeHelloRequest hello;
    faults_set(f->faults, 9, FAULT_STOPPED, "a row is damaged");
    for (int i = 0; i < 2; i++) {
        say(f, 0, true, &hello);
        assert_int_equal(hello.n_faults, 1);
        assert_int_equal(hello.faults[0]->partition, 9);
        assert_string_equal(hello.faults[0]->text, "a row is damaged");
    }
    faults_clear(f->faults, 9, FAULT_STOPPED);
    say(f, 0, true, &hello);
    assert_int_equal(hello.n_faults, 0);
}

static void test_tells_spare_copies_each_time(void **state)
{
    struct fixture *f = *state;
    Tern__NodeHelloRequest hello;
    struct board_copy spare = { .partition = 9, .epoch = 3, .last = 77, .spare = true };
    board_put_copy(f->board, &spare);
    for (int i = 0; i < 2; i++) {
        say(f, 0, true, &hello);
        assert_int_equal(hello.n_spares, 1);
        assert_int_equal(hello.spares[0]->partition, 9);
        assert_true(hello.spares[0]->epoch == 3 && hello.spares[0]->last == 77);
    }
    board_remove_copy(f->board, 9);
    say(f, 0, true, &hello);
    assert_int_equal(hello.n_spares, 0);
}

/* Members' copies too, for a while after a director asked (R27); what is not on the board yet is not missed.
 */
static void test_tells_all_copies_when_asked(void **state)
{
    struct fixture *f = *state;
    Tern__NodeHelloRequest hello;
    struct board_copy copy = { .partition = 4, .epoch = 3, .last = 7, .known = 5, .primary = true };
    board_put_copy(f->board, &copy);
    say(f, 0, true, &hello);
    assert_int_equal(hello.n_spares, 0);
    hello_ask_copies(f->hello, 0, 0, 1, f->now_ms);
    for (int i = 0; i < 2; i++) {
        say(f, i, true, &hello);
        assert_int_equal(hello.n_spares, 1);
        assert_true(hello.spares[0]->partition == 4 && hello.spares[0]->known == 5 &&
                    hello.spares[0]->primary);
        assert_false(hello.spares[0]->active || hello.spares[0]->broken);
        assert_false(hello.whole); /* nobody has opened this disk's partitions */
    }
    f->now_ms += HELLO_COPIES_MS;
    say(f, 0, true, &hello);
    assert_int_equal(hello.n_spares, 0);
}

/* The hearing that a hello to the director counts for; 0: it is not whole, or too old. */
static uint64_t hearing_of(struct fixture *f, size_t director)
{
    Tern__NodeHelloRequest hello;
    say(f, director, true, &hello);
    f->now_ms -= 1000;
    return hello.whole ? hello.hearing : 0;
}

/* R27: a hello counts for a director once all workers have looked anew since that one asked. */
static void test_tells_for_whom_it_looked(void **state)
{
    struct fixture *f = *state;
    Tern__NodeHelloRequest hello;
    hello_refresh(f->hello, true, 7);
    f->told = 6;
    hello_ask_copies(f->hello, 0, 1111, 5, f->now_ms);
    assert_int_equal(hearing_of(f, 0), 0); /* nobody knows yet whether all copies are open */
    f->told = 8;
    assert_int_equal(hearing_of(f, 0), 1111);
    assert_int_equal(hearing_of(f, 1), 0); /* that one has not asked */
    hello_ask_copies(f->hello, 1, 2222, 10, f->now_ms);
    assert_int_equal(hearing_of(f, 0), 1111);
    assert_int_equal(hearing_of(f, 1), 0);
    f->told = 9;
    hello_ask_copies(f->hello, 1, 2222, 11, f->now_ms); /* once more: it is owed what it was */
    assert_int_equal(hearing_of(f, 1), 0);
    f->told = 10;
    assert_int_equal(hearing_of(f, 1), 2222);
    hello_ask_copies(f->hello, 0, 3333, 12, f->now_ms); /* another process, or anew */
    assert_int_equal(hearing_of(f, 0), 0);
    assert_int_equal(hearing_of(f, 1), 2222);
    f->told = 12;
    assert_int_equal(hearing_of(f, 0), 3333);
    f->now_ms += HELLO_COPIES_MS; /* at rest nothing of it is said */
    say(f, 0, true, &hello);
    assert_true(!hello.whole && hello.hearing == 0);
}

/* R27: whatever it knows them by, and only while somebody asks. */
static void test_tells_epochs_without_copies(void **state)
{
    struct fixture *f = *state;
    Tern__NodeHelloRequest hello;
    Tern__PartitionConf conf = TERN__PARTITION_CONF__INIT, *confs[] = { &conf };
    Tern__Map map = TERN__MAP__INIT;
    conf.partition = 4;
    conf.epoch = 8;
    map.partitions = confs;
    map.n_partitions = 1;
    hello_ask_copies(f->hello, 0, 0, 1, f->now_ms);
    say(f, 0, true, &hello);
    assert_int_equal(hello.n_epochs, 0);
    board_put_known(f->board, 2, 5);
    say(f, 0, true, &hello);
    assert_int_equal(hello.n_epochs, 3);
    assert_true(hello.epochs[0] == 0 && hello.epochs[1] == 0 && hello.epochs[2] == 5);
    f->map = &map;
    board_put_known(f->board, 2, 6);
    say(f, 0, true, &hello);
    assert_int_equal(hello.n_epochs, 5);
    assert_true(hello.epochs[2] == 6 && hello.epochs[3] == 0 && hello.epochs[4] == 8);
    conf.partition = 2;
    say(f, 0, true, &hello);
    assert_true(hello.n_epochs == 3 && hello.epochs[2] == 8);
    f->now_ms += HELLO_COPIES_MS;
    say(f, 0, true, &hello);
    assert_int_equal(hello.n_epochs, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_tells_each_director_what_changed),
        TEST(test_tells_again_what_was_not_heard),
        TEST(test_many_partitions_take_several_hellos),
        TEST(test_tells_epochs_without_copies),
        TEST(test_tells_faults_each_time),
        TEST(test_tells_spare_copies_each_time),
        TEST(test_tells_all_copies_when_asked),
        TEST(test_tells_for_whom_it_looked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

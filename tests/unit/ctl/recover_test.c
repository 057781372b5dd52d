/* SPDX-License-Identifier: Apache-2.0 */
/* "ternctl partition recover" over a director that is made up: it acts on the copy that the director calls
 * the newest, whatever the numbers beside it are. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "ctl/command.h"
#include "ctl/status.h"

static struct status told;
static struct buf printed;
static uint32_t asked_partition, asked_node, asked_count;

/* ---- what stands in for the director, and for ternctl's other files */

enum err store_status_read(struct store *store, bool partitions, struct arena *arena, struct status *out)
{
    (void)store, (void)arena;
    assert_true(partitions);
    *out = told;
    return OK;
}

enum err store_partition_recover(struct store *store, uint32_t partition, uint32_t node, uint32_t *node_out,
                                 struct buf *detail)
{
    (void)store, (void)detail;
    asked_partition = partition;
    asked_node = node;
    asked_count++;
    *node_out = node == 0 ? 1 : node;
    return OK;
}

enum ctl_exit ctl_fail(const struct ctl *ctl, enum err err, const char *what)
{
    (void)ctl, (void)err, (void)what;
    return CTL_FAILED;
}

enum ctl_exit ctl_fail_detail(const struct ctl *ctl, enum err err, const char *what, const struct buf *detail)
{
    (void)detail;
    return ctl_fail(ctl, err, what);
}

enum ctl_exit ctl_refuse(enum ctl_exit status, const char *what, const char *reason, const char *next)
{
    (void)what, (void)reason, (void)next;
    return status;
}

const struct status_node *ctl_find_node(const struct status *s, const char *text)
{
    (void)text;
    return &s->nodes[0];
}

void ctl_print_json(struct json *json)
{
    buf_add_slice(&printed, buf_slice(&json->out));
}

void ctl_print_table(struct buf *rows)
{
    buf_add_slice(&printed, buf_slice(rows));
}

/* ---- a partition whose member is gone, and three copies of it */

static struct status_node nodes[] = {
    { .id = 1, .name = SLICE_LIT("n1") },
    { .id = 2, .name = SLICE_LIT("n2"), .alive = true },
    { .id = 3, .name = SLICE_LIT("n3"), .alive = true },
    { .id = 4, .name = SLICE_LIT("n4"), .alive = true },
};
static uint32_t members[] = { 1 };
static struct status_spare copies[3];
static struct status_partition partition;

static int set_up(void **state)
{
    (void)state;
    copies[0] = (struct status_spare){ .node = 2, .epoch = 8, .last = 99, .known = 9, .active = true };
    copies[1] = (struct status_spare){ .node = 3, .epoch = 4, .last = 50, .known = 9, .newest = true };
    copies[2] = (struct status_spare){ .node = 4, .epoch = 9, .last = 120, .known = 9, .broken = true };
    partition = (struct status_partition){ .conf = { .partition = 5, .epoch = 9, .members = members },
                                           .spares = copies,
                                           .spare_count = 3,
                                           .known = 9 };
    partition.conf.member_count = 1;
    told =
        (struct status){ .nodes = nodes, .node_count = 4, .partitions = &partition, .partition_listed = 1 };
    asked_count = 0;
    buf_clear(&printed);
    return 0;
}

static enum ctl_exit run(unsigned given)
{
    struct ctl ctl = { .given = given };
    enum ctl_exit exit = partition_recover(&ctl);
    arena_fini(&ctl.arena);
    return exit;
}

static void test_goes_on_from_the_one_that_is_marked(void **state)
{
    (void)state;
    assert_int_equal(run(CTL_ALL | CTL_ACCEPT_LOSS), CTL_OK);
    assert_int_equal(asked_count, 1);
    assert_int_equal(asked_partition, 5);
    assert_int_equal(asked_node, 3);
}

static void test_shows_the_one_that_is_marked(void **state)
{
    (void)state;
    assert_int_equal(run(0), CTL_OK);
    assert_non_null(strstr(buf_cstr(&printed), "5\t1\t9\t2\tn2\t9\t8\t99\t-\n"));
    assert_non_null(strstr(buf_cstr(&printed), "5\t1\t9\t3\tn3\t9\t4\t50\tyes\n"));
    assert_non_null(strstr(buf_cstr(&printed), "5\t1\t9\t4\tn4\t9\t9\t120\tbroken\n"));
    buf_clear(&printed);
    assert_int_equal(run(CTL_JSON), CTL_OK);
    assert_non_null(strstr(buf_cstr(&printed), "\"last\":50,\"broken\":false,\"newest\":true"));
}

static void test_none_is_marked(void **state)
{
    (void)state;
    copies[1].newest = false;
    copies[1].broken = true;
    nodes[1].alive = false;
    assert_int_equal(run(CTL_ALL | CTL_ACCEPT_LOSS), CTL_FAILED);
    assert_int_equal(asked_count, 0);
    assert_int_equal(run(0), CTL_OK);
    assert_null(strstr(buf_cstr(&printed), "n2"));
    assert_non_null(strstr(buf_cstr(&printed), "n3"));
    nodes[1].alive = true;
}

/* Above a store that was put back the director chooses by itself, and nothing is lost. */
static void test_ahead_of_the_store(void **state)
{
    (void)state;
    partition.known = 12;
    assert_int_equal(run(CTL_ALL), CTL_OK);
    assert_int_equal(asked_count, 1);
    assert_int_equal(asked_node, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_goes_on_from_the_one_that_is_marked, set_up),
        cmocka_unit_test_setup(test_shows_the_one_that_is_marked, set_up),
        cmocka_unit_test_setup(test_none_is_marked, set_up),
        cmocka_unit_test_setup(test_ahead_of_the_store, set_up),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    buf_fini(&printed);
    return failed;
}

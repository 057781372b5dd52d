/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/status.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

static void assert_text(const struct status *s, const char *expected)
{
    struct buf out = { 0 };
    status_text(s, &out);
    assert_string_equal(buf_cstr(&out), expected);
    buf_fini(&out);
}

/* Every line fits, whatever the cluster has. */
static void assert_fits(const struct status *s)
{
    struct buf out = { 0 };
    size_t column = 0;
    status_text(s, &out);
    for (size_t i = 0; i < out.len; i++) {
        if (out.data[i] == '\n')
            column = 0;
        else
            column += (out.data[i] & 0xc0) != 0x80;
        if (column > STATUS_WIDTH)
            fail_msg("a line is too long in:\n%s", buf_cstr(&out));
    }
    buf_fini(&out);
}

static void test_healthy(void **state)
{
    struct status_node nodes[] = {
        { .id = 1,
          .name = SLICE_LIT("n1"),
          .zone = SLICE_LIT("a"),
          .alive = true,
          .disk_total = 100,
          .disk_free = 45,
          .copies = 8,
          .primaries = 4,
          .bytes = 1536 },
        { .id = 12, .name = SLICE_LIT("n12"), .alive = true, .draining = true, .copies = 8, .primaries = 4 },
    };
    struct status s = { .cluster_id = SLICE_LIT("\x01\x02\xab\xcd\xef"),
                        .partition_count = 8,
                        .placed = 8,
                        .active = 8,
                        .copies = 2,
                        .min_members = 1,
                        .nodes = nodes,
                        .node_count = COUNT(nodes),
                        .behind_node = 12 };
    assert_true(status_is_healthy(&s));
    assert_text(&s, "Cluster 0102abcd: healthy\n"
                    "\n"
                    "ID  NAME  ZONE  STATE     COPIES  PRIMARY     MAIL  FREE\n"
                    " 1  n1    a     alive          8        4  1.5 KiB  45 %\n"
                    "12  n12   -     draining       8        4      0 B     -\n"
                    "\n"
                    "Partitions  8 of 8 served\n"
                    "            2 copies of each wanted, 1 needed to write\n"
                    "Lag         none: every copy has everything\n");
}

static void assert_holds(const struct status *s, const char *line)
{
    struct buf out = { 0 };
    status_text(s, &out);
    assert_non_null(strstr(buf_cstr(&out), line));
    buf_fini(&out);
}

static void test_members(void **state)
{
    struct status_member members[] = {
        { .endpoint = SLICE_LIT("http://a:1"), .well = true },
        { .endpoint = SLICE_LIT("http://b:2"), .why = SLICE_LIT("timed out"), .unwell_ms = 1700 }
    };
    struct status s = { .leader = SLICE_LIT("host"), .members = members, .member_count = COUNT(members) };
    struct json json = { 0 };
    assert_holds(&s, "Leader      host\netcd        1 of 2 well\n");
    status_json(&s, &json);
    assert_non_null(
        strstr(buf_cstr(&json.out),
               "\"coordination\":[{\"endpoint\":\"http://a:1\",\"well\":true,\"why\":\"\",\"unwell_ms\":0},"
               "{\"endpoint\":\"http://b:2\",\"well\":false,\"why\":\"timed out\",\"unwell_ms\":1700}]"));
    buf_fini(&json.out);
}

static void test_in_trouble(void **state)
{
    struct status_node nodes[] = {
        { .id = 1, .name = SLICE_LIT("n1"), .alive = true, .copies = 8, .primaries = 7 },
        { .id = 2, .name = SLICE_LIT("n2"), .silent_ms = 42000, .copies = 1 },
    };
    struct status_move moves[] = {
        { .partition = 3, .to = 1, .state = SLICE_LIT("copies"), .copied_bytes = 512, .bytes = 1024 },
        { .partition = 4, .from = 2, .to = 1, .state = SLICE_LIT("hands over") },
        { .partition = 5, .from = 2, .state = SLICE_LIT("leaves") },
        { .partition = 6, .to = 9, .state = SLICE_LIT("waits") },
    };
    struct slice problems[] = { SLICE_LIT(
        "Node 2 (n2) has been silent for 42 s. Start it again; if it is lost for "
        "good: ternctl node remove 2 --lost.") };
    struct status s = { .partition_count = 8,
                        .placed = 8,
                        .active = 6,
                        .not_active = 1,
                        .few = 7,
                        .read_only = 2,
                        .copies = 2,
                        .min_members = 2,
                        .nodes = nodes,
                        .node_count = COUNT(nodes),
                        .behind = 1,
                        .behind_partition = 3,
                        .behind_node = 2,
                        .leader = SLICE_LIT("host tcp://10.0.0.1:7400 pid 7"),
                        .moves = moves,
                        .move_count = COUNT(moves),
                        .moves_total = 9,
                        .problems = problems,
                        .problem_count = COUNT(problems) };
    assert_text(&s, "Cluster : not healthy\n"
                    "\n"
                    "ID  NAME  ZONE  STATE        COPIES  PRIMARY  MAIL  FREE\n"
                    " 1  n1    -     alive             8        7   0 B     -\n"
                    " 2  n2    -     silent 42 s       1        0   0 B     -\n"
                    "\n"
                    "Partitions  6 of 8 served, 1 not, 1 not heard of yet\n"
                    "            2 copies of each wanted, 2 needed to write\n"
                    "            7 short of copies, 2 of these read-only\n"
                    "Lag         at most 1 entry: partition 3 on n2\n"
                    "Leader      host tcp://10.0.0.1:7400 pid 7\n"
                    "Moves       3 under way, 6 to come\n"
                    "            partition 3     new on n1  copies 50 % of 1.0 KiB\n"
                    "            partition 4     n2 -> n1  hands over\n"
                    "            partition 5     n2  leaves\n"
                    "\n"
                    "What is wrong\n"
                    "  1. Node 2 (n2) has been silent for 42 s. Start it again; if it is lost for\n"
                    "     good: ternctl node remove 2 --lost.\n");
}

/* Names of any length and script, large numbers, and control characters that would move the cursor. */
static void test_fits_always(void **state)
{
    struct slice long_name = SLICE_LIT("storage-node-17.tern-storage.production.svc.cluster.local");
    struct slice wide_name =
        SLICE_LIT("\xc3\xa4\xc3\xb6\xc3\xbc\xc3\xa4\xc3\xb6\xc3\xbc\xc3\xa4\xc3\xb6\xc3\xbc"
                  "\xc3\xa4\xc3\xb6\xc3\xbc\xc3\xa4");
    struct status_node nodes[] = {
        { .id = 999,
          .name = long_name,
          .zone = long_name,
          .silent_ms = UINT64_C(119) * 60000,
          .copies = 16384,
          .primaries = 16384,
          .bytes = UINT64_C(1023) << 40,
          .disk_total = 1,
          .disk_free = 1 },
        { .id = 1, .name = wide_name, .zone = SLICE_LIT("\x1b[2J"), .alive = true },
    };
    struct status_move move = { .partition = 16383,
                                .from = 999,
                                .to = 1,
                                .state = SLICE_LIT("copies"),
                                .copied_bytes = UINT64_C(1) << 50,
                                .bytes = UINT64_C(999) << 30 };
    struct slice problem =
        SLICE_LIT("word "
                  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
                  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa end");
    struct status s = { .partition_count = 16384,
                        .placed = 16384,
                        .active = 1,
                        .not_active = 10000,
                        .few = 16384,
                        .read_only = 16384,
                        .copies = 7,
                        .min_members = 7,
                        .nodes = nodes,
                        .node_count = COUNT(nodes),
                        .behind = UINT64_C(1) << 50,
                        .behind_partition = 16383,
                        .behind_node = 999,
                        .leader = long_name,
                        .moves = &move,
                        .move_count = 1,
                        .moves_total = 16384,
                        .problems = &problem,
                        .problem_count = 1 };
    struct buf out = { 0 };
    assert_fits(&s);
    status_text(&s, &out);
    assert_null(strchr(buf_cstr(&out), '\x1b'));
    buf_fini(&out);
    assert_fits(&(struct status){ 0 });
}

static void test_durations_and_sizes(void **state)
{
    static const struct {
        uint64_t ms;
        const char *text;
    } durations[] = {
        { 0, "0 s" }, { 119999, "119 s" }, { 120000, "2 min" }, { 7200000, "2 h" }, { 172800000, "2 d" }
    };
    static const struct {
        uint64_t bytes;
        const char *text;
    } sizes[] = { { 0, "0 B" },           { 1023, "1023 B" },     { 1024, "1.0 KiB" },
                  { 102348, "99.9 KiB" }, { 1048575, "1.0 MiB" }, { UINT64_MAX, "16777216 TiB" } };
    struct buf out = { 0 };
    for (size_t i = 0; i < COUNT(durations); i++) {
        buf_clear(&out);
        status_duration(durations[i].ms, &out);
        assert_string_equal(buf_cstr(&out), durations[i].text);
    }
    for (size_t i = 0; i < COUNT(sizes); i++) {
        buf_clear(&out);
        status_size(sizes[i].bytes, &out);
        assert_string_equal(buf_cstr(&out), sizes[i].text);
    }
    buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_healthy),
        cmocka_unit_test(test_members),
        cmocka_unit_test(test_in_trouble),
        cmocka_unit_test(test_fits_always),
        cmocka_unit_test(test_durations_and_sizes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

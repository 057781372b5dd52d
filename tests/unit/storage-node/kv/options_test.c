/* SPDX-License-Identifier: Apache-2.0 */
/* What RocksDB was really told: it writes it down beside the data. */
#include <glob.h>
#include <string.h>

#include "tests/unit/storage-node/kv/kv_test_util.h"

enum { TEXT_MAX = 256 * 1024 };

static char *read_options(const struct kv_fixture *f)
{
    glob_t found;
    char *pattern = xasprintf("%s/OPTIONS-*", f->path);
    assert_int_equal(glob(pattern, 0, NULL, &found), 0);
    FILE *file = fopen(found.gl_pathv[found.gl_pathc - 1], "r");
    assert_non_null(file);
    char *text = xcalloc(1, TEXT_MAX);
    assert_true(fread(text, 1, TEXT_MAX - 1, file) > 0);
    fclose(file);
    globfree(&found);
    free(pattern);
    return text;
}

/* One of them is not in the C interface, and setting it must not cost the others. */
static void test_all_are_told(void **state)
{
    static const char *const lines[] = {
        "\n  strict_bytes_per_sync=true\n",   "\n  bytes_per_sync=1048576\n",
        "\n  max_total_wal_size=16777216\n",  "\n  max_open_files=64\n",
        "\n  db_write_buffer_size=8388608\n", "\n  wal_recovery_mode=kTolerateCorruptedTailRecords\n",
        "\n  paranoid_checks=true\n",         "\n  create_missing_column_families=true\n",
        "\n  stats_persist_period_sec=0\n",
    };
    char *text = read_options(*state);
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        if (strstr(text, lines[i]) == NULL)
            fail_msg("not there: %s", lines[i]);
    }
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_all_are_told, setup_rocks, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

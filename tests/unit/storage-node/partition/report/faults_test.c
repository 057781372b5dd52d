/* SPDX-License-Identifier: Apache-2.0 */
#include "storage-node/partition/report/faults.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void test_set_replace_and_clear(void **state)
{
    struct faults *faults = faults_new();
    struct fault list[4];
    assert_int_equal(faults_list(faults, list, 4), 0);
    faults_set(faults, 7, FAULT_STOPPED, "one");
    faults_set(faults, 7, FAULT_CHECKSUM, "two");
    faults_set(faults, 7, FAULT_STOPPED, "three");
    assert_int_equal(faults_count(faults), 2);
    assert_int_equal(faults_list(faults, list, 4), 2);
    assert_string_equal(list[0].text, "three");
    assert_int_equal(list[1].kind, FAULT_CHECKSUM);
    assert_int_equal(faults_list(faults, list, 1), 1);

    faults_clear(faults, 7, FAULT_STOPPED);
    faults_clear(faults, 7, FAULT_STOPPED);
    faults_clear(faults, 8, FAULT_CHECKSUM);
    assert_int_equal(faults_list(faults, list, 4), 1);
    assert_string_equal(list[0].text, "two");
    faults_clear_all(faults, 7);
    assert_int_equal(faults_count(faults), 0);
    faults_free(&faults);
    assert_null(faults);
}

static void test_is_bounded(void **state)
{
    struct faults *faults = faults_new();
    static struct fault list[FAULTS_TEXTS_MAX + 1];
    char text[FAULT_TEXT_MAX + 50];
    memset(text, 'x', sizeof text);
    text[sizeof text - 1] = '\0';
    for (uint32_t p = 0; p < FAULTS_TEXTS_MAX + 10; p++)
        faults_set(faults, p, FAULT_REPLICA, text);
    assert_int_equal(faults_count(faults), FAULTS_TEXTS_MAX + 10);
    assert_int_equal(faults_list(faults, list, FAULTS_TEXTS_MAX + 1), FAULTS_TEXTS_MAX);
    assert_int_equal(strlen(list[0].text), FAULT_TEXT_MAX - 1);
    faults_clear(faults, FAULTS_TEXTS_MAX + 5, FAULT_REPLICA); /* one without a text */
    assert_int_equal(faults_count(faults), FAULTS_TEXTS_MAX + 9);
    assert_int_equal(faults_list(faults, list, FAULTS_TEXTS_MAX + 1), FAULTS_TEXTS_MAX);
    faults_clear(faults, 0, FAULT_REPLICA); /* its text's place is for the next */
    faults_set(faults, 100, FAULT_STOPPED, "later");
    assert_int_equal(faults_list(faults, list, FAULTS_TEXTS_MAX + 1), FAULTS_TEXTS_MAX);
    faults_free(&faults);
}

static void test_takes_null(void **state)
{
    struct fault list[1];
    faults_set(NULL, 1, FAULT_STOPPED, "nobody asks");
    faults_clear_all(NULL, 1);
    assert_int_equal(faults_list(NULL, list, 1), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_set_replace_and_clear),
        cmocka_unit_test(test_is_bounded),
        cmocka_unit_test(test_takes_null),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

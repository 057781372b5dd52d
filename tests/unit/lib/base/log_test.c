/* SPDX-License-Identifier: Apache-2.0 */
/* Log lines cannot be forged by what they quote; every error has a name, a class and a text. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/base/err.h"
#include "lib/base/log.h"

static int saved_stderr = -1;
static FILE *caught;

static void catch_begin(void)
{
    caught = tmpfile();
    assert_non_null(caught);
    saved_stderr = dup(STDERR_FILENO);
    dup2(fileno(caught), STDERR_FILENO);
}

static size_t catch_end(char *out, size_t size)
{
    dup2(saved_stderr, STDERR_FILENO);
    close(saved_stderr);
    rewind(caught);
    size_t len = fread(out, 1, size - 1, caught);
    out[len] = '\0';
    fclose(caught);
    return len;
}

static size_t count_char(const char *text, char c)
{
    size_t count = 0;
    for (; *text != '\0'; text++)
        count += *text == c;
    return count;
}

static void lines_cannot_be_forged(void **state)
{
    (void)state;
    char text[4096];
    catch_begin();
    log_info("test", "user=%s", "a\r\n2026-11-21T00:00:00.000Z error test: forged\x1b[31m\x7f");
    size_t len = catch_end(text, sizeof text);
    assert_int_equal(count_char(text, '\n'), 1);
    assert_int_equal(text[len - 1], '\n');
    for (size_t i = 0; i + 1 < len; i++)
        assert_true((unsigned char)text[i] >= ' ' && text[i] != 0x7f);
    assert_non_null(strstr(text, " info test: user=a"));
    assert_int_equal(text[23], 'Z'); /* milliseconds of UTC */
}

static void levels_drop_lines(void **state)
{
    (void)state;
    char text[4096];
    catch_begin();
    log_debug("test", "no");
    log_set_level(LOG_LEVEL_WARN);
    log_info("test", "no");
    log_warn("test", "yes");
    log_set_level(LOG_LEVEL_INFO);
    catch_end(text, sizeof text);
    assert_int_equal(count_char(text, '\n'), 1);
    assert_non_null(strstr(text, " warn test: yes"));
}

static void long_lines_stay_lines(void **state)
{
    (void)state;
    char *large = malloc(100001), *text = malloc(300000);
    memset(large, '\n', 100000);
    large[100000] = '\0';
    catch_begin();
    log_error("test", "%s", large);
    catch_end(text, 300000);
    assert_int_equal(count_char(text, '\n'), 1);
    free(large);
    free(text);
}

static void faults_have_references(void **state)
{
    (void)state;
    char text[4096];
    catch_begin();
    struct log_ref a = log_fault("test", "first"), b = log_fault("test", "second");
    catch_end(text, sizeof text);
    assert_true(strlen(a.text) == 8 && strcmp(a.text, b.text) != 0);
    assert_non_null(strstr(text, a.text));
    assert_non_null(strstr(text, b.text));
}

static void every_error_is_known(void **state)
{
    (void)state;
    for (int err = 0; err < ERR_COUNT; err++) {
        assert_true(strlen(err_name((enum err)err)) > 0 && strlen(err_text((enum err)err)) > 0);
        assert_int_equal(err_class((enum err)err) == ERR_CLASS_OK, err == OK);
    }
    assert_string_equal(err_name(ERR_OVER_QUOTA), "ERR_OVER_QUOTA");
    assert_int_equal(err_class(ERR_IN_DOUBT), ERR_CLASS_IN_DOUBT);
    assert_int_equal(err_class(ERR_NOT_PRIMARY), ERR_CLASS_ROUTING);
    static const int unknown[] = { ERR_COUNT, 9999 };
    for (size_t i = 0; i < 2; i++) {
        assert_string_equal(err_name((enum err)unknown[i]), "ERR_UNKNOWN");
        assert_int_equal(err_class((enum err)unknown[i]), ERR_CLASS_SYSTEM);
        assert_non_null(err_text((enum err)unknown[i]));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_cannot_be_forged), cmocka_unit_test(levels_drop_lines),
        cmocka_unit_test(long_lines_stay_lines),  cmocka_unit_test(faults_have_references),
        cmocka_unit_test(every_error_is_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/base/config.h"

struct conf {
    char *name;
    char *listen;
    int64_t threads;
    bool on;
    uint64_t limit;
    uint64_t timeout;
    struct config_strings nets;
};

static const struct config_key keys[] = {
    CONFIG_KEY_STRING(struct conf, name, "name", CONFIG_REQUIRED, "a name"),
    CONFIG_KEY_STRING(struct conf, listen, "smtp.listen", "127.0.0.1:25", "where it listens"),
    CONFIG_KEY_INT(struct conf, threads, "threads", "2", 1, 64, "threads"),
    CONFIG_KEY_BOOL(struct conf, on, "smtp.on", "true", "a switch"),
    CONFIG_KEY_SIZE(struct conf, limit, "limit", "64M", 4096, INT64_MAX, "a size"),
    CONFIG_KEY_DURATION(struct conf, timeout, "timeout", "10s", 1, 3600 * 1000, "a time"),
    CONFIG_KEY_STRINGS(struct conf, nets, "nets", "a, b", "a list"),
};
static const struct config_table table = CONFIG_TABLE(struct conf, keys);

static void test_defaults(void **state)
{
    struct conf c;
    struct buf errors = { 0 };
    assert_int_equal(config_load_text(&table, "f", slice_str("name = \"x\";"), &c, &errors), OK);
    assert_string_equal(c.name, "x");
    assert_string_equal(c.listen, "127.0.0.1:25");
    assert_int_equal(c.threads, 2);
    assert_true(c.on);
    assert_int_equal(c.limit, 64 << 20);
    assert_int_equal(c.timeout, 10000);
    assert_int_equal(c.nets.count, 2);
    assert_string_equal(c.nets.items[1], "b");
    assert_int_equal(errors.len, 0);
    config_fini(&table, &c);
    assert_null(c.name);
    buf_fini(&errors);
}

static void test_values(void **state)
{
    struct conf c;
    struct buf errors = { 0 };
    const char *text = "# comment\n"
                       "name = \"x\";\n"
                       "smtp: { listen = \"[::1]:2525\"; on = false; };\n"
                       "threads = 64; limit = 4096;\n"
                       "timeout = \"250ms\";\n"
                       "nets = [ \"10.0.0.0/8\", \"::1\", \"\" ];\n";
    assert_int_equal(config_load_text(&table, "f", slice_str(text), &c, &errors), OK);
    assert_string_equal(c.listen, "[::1]:2525");
    assert_false(c.on);
    assert_int_equal(c.threads, 64);
    assert_int_equal(c.limit, 4096);
    assert_int_equal(c.timeout, 250);
    assert_int_equal(c.nets.count, 3);
    assert_string_equal(c.nets.items[2], "");
    config_fini(&table, &c);
    buf_fini(&errors);
}

/* Each text has one mistake; what is told starts with file and line. */
static void test_mistakes(void **state)
{
    static const struct {
        const char *text;
        const char *told;
    } rows[] = {
        { "", "f: name: missing, it has no default (a name)\n" },
        { "name = \"x\";\nnmae = \"y\";\n", "f:2: nmae: unknown key (see --help)\n" },
        { "name = \"x\";\nsmtp: {\n listne = 1;\n};\n", "f:3: smtp.listne: unknown key (see --help)\n" },
        { "name = \"x\";\nsmtp = 3;\n", "f:2: smtp: must be a group { ... }\n" },
        { "name = \"x\";\nname: { a = 1; };\n", "f:2: duplicate setting name\n" },
        { "name: { a = 1; };\n", "f:1: name: must be a string\n" },
        { "name = 3;\n", "f:1: name: must be a string\n" },
        { "name = \"x\";\n\n\nthreads = \"2\";\n", "f:4: threads: must be a whole number\n" },
        { "name = \"x\"; threads = 0;\n", "f:1: threads: it must be from 1 to 64, not 0\n" },
        { "name = \"x\"; threads = 65;\n", "f:1: threads: it must be from 1 to 64, not 65\n" },
        { "name = \"x\"; threads = 2.5;\n", "f:1: threads: must be a whole number\n" },
        { "name = \"x\"; limit = \"64X\";\n", "f:1: limit: must be a size like \"64M\"\n" },
        { "name = \"x\"; limit = \"M\";\n", "f:1: limit: must be a size like \"64M\"\n" },
        { "name = \"x\"; limit = -1;\n", "f:1: limit: must be a size like \"64M\"\n" },
        { "name = \"x\"; limit = \"9223372036854775807K\";\n", "f:1: limit: must be a size like \"64M\"\n" },
        { "name = \"x\"; timeout = \"10 s\";\n", "f:1: timeout: must be a duration like \"10s\"\n" },
        { "name = \"x\"; timeout = \"2h\";\n",
          "f:1: timeout: milliseconds must be from 1 to 3600000, not 7200000\n" },
        { "name = \"x\"; smtp: { on = 1; };\n", "f:1: smtp.on: must be true or false\n" },
        { "name = \"x\"; nets = [ 1, 2 ];\n", "f:1: nets: must be a list of strings\n" },
        { "name = \"x\"; nets = \"a\";\n", "f:1: nets: must be a list of strings\n" },
        { "name = \"x\";\n  @include \"/etc/passwd\"\n", "f:2: @include is not supported\n" },
        { "name = \"x\";\nthreads = ;\n", "f:2: syntax error\n" },
        { "name = \"x\"; timeout = 1; timeout = 2;", "f:1: duplicate setting name\n" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct conf c;
        struct buf errors = { 0 };
        assert_int_equal(config_load_text(&table, "f", slice_str(rows[i].text), &c, &errors), ERR_INVALID);
        assert_string_equal(buf_cstr(&errors), rows[i].told);
        config_fini(&table, &c);
        buf_fini(&errors);
    }
}

static void test_all_mistakes_at_once(void **state)
{
    struct conf c;
    struct buf errors = { 0 };
    const char *text = "threads = 0;\nlimit = 1;\nfoo = 1;\n";
    assert_int_equal(config_load_text(&table, "f", slice_str(text), &c, &errors), ERR_INVALID);
    assert_string_equal(buf_cstr(&errors),
                        "f:1: threads: it must be from 1 to 64, not 0\n"
                        "f:2: limit: bytes must be from 4096 to 9223372036854775807, not 1\n"
                        "f:3: foo: unknown key (see --help)\n"
                        "f: name: missing, it has no default (a name)\n");
    assert_int_equal(c.threads, 2);
    config_fini(&table, &c);
    buf_fini(&errors);
}

static void test_nul(void **state)
{
    struct conf c;
    struct buf errors = { 0 };
    assert_int_equal(config_load_text(&table, "f", SLICE_LIT("name = \"x\";\0threads = 0;"), &c, &errors),
                     ERR_INVALID);
    config_fini(&table, &c);
    buf_fini(&errors);
}

/* Any prefix of a good file is accepted or refused, never worse. */
static void test_byte_by_byte(void **state)
{
    struct slice text =
        SLICE_LIT("name = \"x\"; smtp: { listen = \"a\"; }; nets = [ \"a\", \"b\" ]; timeout = \"5m\";");
    for (size_t len = 0; len <= text.len; len++) {
        struct conf c;
        struct buf errors = { 0 };
        enum err err = config_load_text(&table, "f", slice_sub(text, 0, len), &c, &errors);
        assert_true((err == OK) == (errors.len == 0));
        config_fini(&table, &c);
        buf_fini(&errors);
    }
}

static void test_set(void **state)
{
    struct conf c;
    struct buf errors = { 0 };
    assert_int_equal(config_load_text(&table, "f", slice_str("name = \"x\";"), &c, &errors), OK);
    assert_int_equal(config_set(&table, "smtp.listen", "*:25", &c, &errors), OK);
    assert_int_equal(config_set(&table, "nets", "", &c, &errors), OK);
    assert_int_equal(config_set(&table, "threads", "7", &c, &errors), OK);
    assert_int_equal(config_set(&table, "smtp.on", "false", &c, &errors), OK);
    assert_int_equal(config_set(&table, "limit", "1G", &c, &errors), OK);
    assert_string_equal(c.listen, "*:25");
    assert_int_equal(c.nets.count, 0);
    assert_int_equal(c.threads, 7);
    assert_false(c.on);
    assert_int_equal(c.limit, 1u << 30);
    assert_int_equal(errors.len, 0);
    assert_int_equal(config_set(&table, "threads", "x", &c, &errors), ERR_INVALID);
    assert_int_equal(config_set(&table, "thread", "1", &c, &errors), ERR_INVALID);
    assert_string_equal(buf_cstr(&errors),
                        "threads: must be a whole number\nthread: unknown key (see --help)\n");
    config_fini(&table, &c);
    buf_fini(&errors);
}

static void test_file(void **state)
{
    char path[] = "/tmp/config_test_XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "threads = 3;\n", 13), 13);
    close(fd);
    struct conf c;
    struct buf errors = { 0 };
    const char *given[] = { "name" };
    assert_int_equal(config_load_but(&table, path, given, 1, &c, &errors), OK);
    assert_int_equal(c.threads, 3);
    config_fini(&table, &c);
    unlink(path);
    assert_int_equal(config_load(&table, path, &c, &errors), ERR_NOT_FOUND);
    assert_true(errors.len > 0);
    config_fini(&table, &c);
    buf_fini(&errors);
}

static void test_describe(void **state)
{
    struct buf out = { 0 };
    config_describe(&table, &out);
    assert_non_null(
        strstr(buf_cstr(&out), "  threads\n      threads\n      a whole number from 1 to 64; default: 2\n"));
    assert_non_null(strstr(buf_cstr(&out), "  name\n      a name\n      a string; required\n"));
    buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults), cmocka_unit_test(test_values),
        cmocka_unit_test(test_mistakes), cmocka_unit_test(test_all_mistakes_at_once),
        cmocka_unit_test(test_nul),      cmocka_unit_test(test_byte_by_byte),
        cmocka_unit_test(test_set),      cmocka_unit_test(test_file),
        cmocka_unit_test(test_describe),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <time.h>

#include "lib/mail/date.h"

struct row {
    const char *text;
    int64_t seconds;
    int zone;
};

static const struct row rfc5322[] = {
    { "Wed, 17 Jul 1996 02:44:25 -0700", 837596665, -420 },
    { " 17 Jul 1996 02:44:25 -0700 ", 837596665, -420 },
    { "Wed,17 Jul 1996 02:44:25 -0700 (PDT)", 837596665, -420 },
    { "Wed (day), 17\r\n Jul (month (nested \\) )) 1996 02 : 44 : 25 -0700", 837596665, -420 },
    { "17 Jul 96 02:44:25 PDT", 837596665, -420 },
    { "17 Jul 096 02:44:25 PDT", 837596665, -420 },
    { "17 Jul 1996 09:44 GMT", 837596640, 0 },
    { "17 Jul 1996 09:44:25 Z", 837596665, 0 },
    { "17 Jul 1996 09:44:25", 837596665, 0 },
    { "17-Jul-1996 02:44:25 -0700", 837596665, -420 },
    { "Wednesday, 17-July-96 09:44:25 UT", 837596665, 0 },
    { "Wed Jul 17 09:44:25 1996", 837596665, 0 },
    { "Wed Jul 17 09:44:25 GMT 1996", 837596665, 0 },
    { "Jul 17 09:44:25 1996", 837596665, 0 },
    { "1 Jan 1970 00:00:00 +0000", 0, 0 },
    { "31 Dec 1969 23:59:59 +0000", -1, 0 },
    { "29 Feb 2000 12:00:00 +0530", 951805800, 330 },
    { "1 Mar 49 00:00:00 +0000", 2498169600, 0 },
    { "17 Jul 1996", 837561600, 0 },
    { "Thu, 01 Jan 1970 00:00:60 +0000", 60, 0 },
};

static const char *const bad_rfc5322[] = {
    "",
    "Wed",
    "now",
    "32 Jan 2000 00:00:00 +0000",
    "29 Feb 2001 00:00:00 +0000",
    "1 Foo 2000 00:00:00 +0000",
    "1 Jan 2000 24:00:00 +0000",
    "1 Jan 2000 00:60:00 +0000",
    "1 Jan 2 00:00:00 +0000",
    "(unclosed 1 Jan 2000",
    "123 Jan 2000",
    "0 Jan 2000 00:00:00",
    "1 Jan 20000 00:00:00",
};

static void test_rfc5322(void **state)
{
    for (size_t i = 0; i < sizeof rfc5322 / sizeof rfc5322[0]; i++) {
        struct mail_date d;
        print_message("%s\n", rfc5322[i].text);
        assert_int_equal(date_parse_rfc5322(slice_str(rfc5322[i].text), &d), OK);
        assert_int_equal(d.seconds, rfc5322[i].seconds);
        assert_int_equal(d.zone_minutes, rfc5322[i].zone);
    }
    for (size_t i = 0; i < sizeof bad_rfc5322 / sizeof bad_rfc5322[0]; i++) {
        struct mail_date d;
        print_message("%s\n", bad_rfc5322[i]);
        assert_int_equal(date_parse_rfc5322(slice_str(bad_rfc5322[i]), &d), ERR_SYNTAX);
    }
}

static void test_imap(void **state)
{
    struct mail_date d;
    struct buf b = { 0 };
    assert_int_equal(date_parse_imap(SLICE_LIT("17-Jul-1996 02:44:25 -0700"), &d), OK);
    assert_int_equal(d.seconds, 837596665);
    date_format_imap(d, &b);
    assert_string_equal(buf_cstr(&b), "\"17-Jul-1996 02:44:25 -0700\"");
    assert_int_equal(date_parse_imap(SLICE_LIT(" 1-jan-2024 00:00:00 +1400"), &d), OK);
    assert_int_equal(mail_date_day(d), 19723);
    assert_int_equal(d.seconds, 19723 * INT64_C(86400) - 14 * 3600);
    buf_clear(&b);
    date_format_imap(d, &b);
    assert_string_equal(buf_cstr(&b), "\"01-Jan-2024 00:00:00 +1400\"");
    static const char *const bad[] = {
        "",
        "17-Jul-1996",
        "17-Jul-1996 02:44:25",
        "17-Jul-1996 02:44:25 -070",
        "17-Jul-96 02:44:25 -0700",
        "17-Jul-1996 02:44:25 -0700 ",
        "17-July-1996 02:44:25 -0700",
        "31-Jun-1996 02:44:25 -0700",
        "17-Jul-1996 2:44:25 -0700",
        "17 Jul 1996 02:44:25 -0700",
        "17-Jul-1996 02:44:25 -0760",
        "17-Jul-1996 02:44:25 0700",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(date_parse_imap(slice_str(bad[i]), &d), ERR_SYNTAX);
    buf_fini(&b);
}

static void test_day(void **state)
{
    int32_t day;
    struct buf b = { 0 };
    assert_int_equal(date_parse_day(SLICE_LIT("1-Feb-1994"), &day), OK);
    assert_int_equal(day, 8797);
    date_format_day(day, &b);
    assert_string_equal(buf_cstr(&b), "1-Feb-1994");
    assert_int_equal(date_parse_day(SLICE_LIT("01-feb-1994"), &day), OK);
    assert_int_equal(date_parse_day(SLICE_LIT("1-Feb-94"), &day), ERR_SYNTAX);
    assert_int_equal(date_parse_day(SLICE_LIT("1-Feb-1994 "), &day), ERR_SYNTAX);
    assert_int_equal(date_parse_day(SLICE_LIT("0-Feb-1994"), &day), ERR_SYNTAX);
    buf_fini(&b);
}

/* Against the C library, for days over 500 years. */
static void test_calendar(void **state)
{
    for (int64_t day = -100000; day < 100000; day += 17) {
        struct mail_date d = { day * 86400 + 3661, 0 };
        time_t t = (time_t)d.seconds;
        struct tm tm;
        char want[64];
        struct buf b = { 0 };
        gmtime_r(&t, &tm);
        strftime(want, sizeof want, "%a, %d %b %Y %H:%M:%S +0000", &tm);
        date_format_rfc5322(d, &b);
        assert_string_equal(buf_cstr(&b), want);
        struct mail_date back;
        assert_int_equal(date_parse_rfc5322(buf_slice(&b), &back), OK);
        assert_int_equal(back.seconds, d.seconds);
        buf_fini(&b);
    }
}

static void test_extremes(void **state)
{
    struct buf b = { 0 };
    static const int64_t seconds[] = { INT64_MIN, INT64_MAX, INT32_MIN, INT32_MAX };
    for (size_t i = 0; i < 4; i++) {
        struct mail_date d = { seconds[i], i % 2 == 0 ? -1440 : 1440 };
        date_format_rfc5322(d, &b);
        date_format_imap(d, &b);
        (void)mail_date_day(d);
    }
    date_format_day(INT32_MIN, &b);
    date_format_day(INT32_MAX, &b);
    buf_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rfc5322),  cmocka_unit_test(test_imap),     cmocka_unit_test(test_day),
        cmocka_unit_test(test_calendar), cmocka_unit_test(test_extremes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

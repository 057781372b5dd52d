/* SPDX-License-Identifier: Apache-2.0 */
/* Which of Date and Message-ID are missing in a header, and what is written for them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "frontend/smtp/missing.h"

static void missing_fields(void **state)
{
    (void)state;
    static const struct {
        const char *header;
        bool date, id;
    } rows[] = {
        { "", true, true },
        { "\r\n", true, true },
        { "\r\nDate: x\r\nMessage-ID: <y>\r\n", true, true },
        { "Date: x\r\n\r\n", false, true },
        { "message-id: <x>\r\nSubject: y\r\n\r\n", true, false },
        { "X-Date: x\r\nResent-Message-ID: <y>\r\n\r\n", true, true },
        { "Subject: a\r\n Date: folded\r\n\r\n", true, true },
        { "Subject: a\r\ndate :x\r\nMESSAGE-ID:<y>", false, false },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct buf out = { 0 };
        missing_write(slice_str(rows[i].header), "id7", "mx.test", 1700000000123, &out);
        bool date = strstr(buf_cstr(&out), "Date: Tue, 14 Nov 2023 22:13:20 ") != NULL;
        bool id = strstr(buf_cstr(&out), "Message-ID: <1700000000123.id7@mx.test>\r\n") != NULL;
        if (date != rows[i].date || id != rows[i].id)
            fail_msg("row %zu: %s", i, buf_cstr(&out));
        buf_fini(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(missing_fields) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

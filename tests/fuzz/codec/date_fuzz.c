/* SPDX-License-Identifier: Apache-2.0 */
/* What is read can be written, and reading that gives the same moment. */
#include <assert.h>

#include "lib/mail/date.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(struct mail_date d)
{
    struct buf b = { 0 };
    struct mail_date again;
    date_format_rfc5322(d, &b);
    /* Near the ends of the calendar the zone may lead out of it. */
    if (date_parse_rfc5322(buf_slice(&b), &again) == OK && d.zone_minutes > -1440 && d.zone_minutes < 1440)
        assert(again.seconds == d.seconds && again.zone_minutes == d.zone_minutes);
    buf_clear(&b);
    date_format_imap(d, &b);
    if (date_parse_imap(slice_sub(buf_slice(&b), 1, b.len - 1), &again) == OK)
        assert(again.seconds == d.seconds && mail_date_day(again) == mail_date_day(d));
    buf_fini(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice text = slice_of(data, size);
    struct mail_date d;
    int32_t day, again;
    if (date_parse_rfc5322(text, &d) == OK)
        check(d);
    if (date_parse_imap(text, &d) == OK)
        check(d);
    if (date_parse_day(text, &day) == OK) {
        struct buf b = { 0 };
        date_format_day(day, &b);
        assert(date_parse_day(buf_slice(&b), &again) == OK && again == day);
        buf_fini(&b);
    }
    return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Dates of mail: RFC 5322 3.3 (with the obsolete forms of 4.3) and IMAP's date and date-time (RFC 9051 9). */
#ifndef LIB_MAIL_DATE_H
#define LIB_MAIL_DATE_H

#include "lib/base/buf.h"
#include "lib/base/err.h"
#include "lib/base/slice.h"

/* Octets of a date that are looked at; comments and folding count. */
enum { DATE_TEXT_MAX = 256 };

struct mail_date {
    int64_t seconds;      /* since 1970-01-01 00:00:00 UTC */
    int16_t zone_minutes; /* east of UTC, as written */
};

/* Days since 1970-01-01 of the calendar day in the date's own zone: what SEARCH compares ("disregarding time
 * and timezone"). */
int32_t mail_date_day(struct mail_date date);

/* IMAP date-time "17-Jul-1996 02:44:25 -0700" without its quotes; a day below 10 may have a blank before it.
 * Returns ERR_SYNTAX. */
MUST_CHECK enum err date_parse_imap(struct slice text, struct mail_date *out);
void date_format_imap(struct mail_date date, struct buf *out); /* with the quotes: "\"17-Jul-1996 ...\"" */
/* IMAP date "1-Feb-1994" (without quotes) as days since 1970-01-01. Returns ERR_SYNTAX. */
MUST_CHECK enum err date_parse_day(struct slice text, int32_t *day_out);
void date_format_day(int32_t day, struct buf *out); /* "1-Feb-1994" */

/* A Date: field's body as mail has it: folded, with comments, two-digit years, named zones, missing seconds
 * or zone (then UTC). Returns ERR_SYNTAX if no date can be made of it. */
MUST_CHECK enum err date_parse_rfc5322(struct slice text, struct mail_date *out);
void date_format_rfc5322(struct mail_date date, struct buf *out); /* "Wed, 17 Jul 1996 02:44:25 -0700" */

#endif

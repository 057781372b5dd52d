/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/mail/date.h"

#include "lib/base/ascii.h"

enum { DAY_SECONDS = 86400, YEAR_MAX = 9999 };

static const char month_names[12][4] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                         "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };
static const char day_names[7][4] = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat" };

/* A calendar date and time of day, zone apart. */
struct fields {
    unsigned year, month, day; /* month and day from 1 */
    unsigned hour, minute, second;
    int zone_minutes;
};

/* Days since 1970-01-01 in the proleptic Gregorian calendar; years start in March so that the leap day is the
 * last. */
static int32_t day_of(unsigned year, unsigned month, unsigned day)
{
    int32_t y = (int32_t)year - (month <= 2);
    int32_t era = (y >= 0 ? y : y - 399) / 400;
    int32_t year_of_era = y - era * 400;
    int32_t day_of_year = (153 * ((int32_t)month + (month > 2 ? -3 : 9)) + 2) / 5 + (int32_t)day - 1;
    int32_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * 146097 + day_of_era - 719468;
}

static struct fields fields_of_day(int32_t day)
{
    static const int32_t first = -719162, last = 2932896; /* 0001-01-01, 9999-12-31 */
    day = day < first ? first : day > last ? last : day;
    int32_t z = day + 719468;
    int32_t era = z / 146097;
    int32_t day_of_era = z - era * 146097;
    int32_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int32_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int32_t month = (5 * day_of_year + 2) / 153;
    struct fields f = { 0 };
    f.day = (unsigned)(day_of_year - (153 * month + 2) / 5 + 1);
    f.month = (unsigned)(month < 10 ? month + 3 : month - 9);
    f.year = (unsigned)(year_of_era + era * 400 + (f.month <= 2));
    return f;
}

static unsigned days_in_month(unsigned year, unsigned month)
{
    static const unsigned days[12] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return month == 2 && leap ? 29 : days[month - 1];
}

static bool are_valid(const struct fields *f)
{
    return f->year >= 1 && f->year <= YEAR_MAX && f->month >= 1 && f->month <= 12 && f->day >= 1 &&
           f->day <= days_in_month(f->year, f->month) && f->hour <= 23 && f->minute <= 59 &&
           f->second <= 60; /* a leap second */
}

static struct mail_date date_of(const struct fields *f)
{
    int64_t local = (int64_t)day_of(f->year, f->month, f->day) * DAY_SECONDS + f->hour * 3600 +
                    f->minute * 60 + f->second;
    return (struct mail_date){ local - f->zone_minutes * 60, (int16_t)f->zone_minutes };
}

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

/* Seconds as the date's own zone counts them; out-of-range dates do not overflow. */
static int64_t local_seconds(struct mail_date date)
{
    int64_t bound = (int64_t)INT32_MAX * DAY_SECONDS / 2;
    int64_t s = date.seconds < -bound ? -bound : date.seconds > bound ? bound : date.seconds;
    return s + date.zone_minutes * 60;
}

int32_t mail_date_day(struct mail_date date)
{
    return (int32_t)floor_div(local_seconds(date), DAY_SECONDS);
}

static struct fields fields_of(struct mail_date date)
{
    int64_t local = local_seconds(date);
    int64_t day = floor_div(local, DAY_SECONDS);
    unsigned rest = (unsigned)(local - day * DAY_SECONDS);
    struct fields f = fields_of_day((int32_t)day);
    f.hour = rest / 3600;
    f.minute = rest / 60 % 60;
    f.second = rest % 60;
    f.zone_minutes = date.zone_minutes;
    return f;
}

/* --- reading --- */

struct reader {
    struct slice rest;
};

static uint8_t peek(const struct reader *r)
{
    return r->rest.len > 0 ? r->rest.data[0] : 0;
}

static void advance(struct reader *r, size_t len)
{
    r->rest = slice_sub(r->rest, len, r->rest.len);
}

static bool skip(struct reader *r, char c)
{
    if (r->rest.len == 0 || r->rest.data[0] != (uint8_t)c)
        return false;
    advance(r, 1);
    return true;
}

/* Between `min` and `max` digits; returns how many there were, 0 if they do not fit. */
static size_t take_digits(struct reader *r, size_t min, size_t max, unsigned *out)
{
    size_t len = 0;
    unsigned value = 0;
    while (len < r->rest.len && len < max && ascii_is_digit(r->rest.data[len]))
        value = value * 10 + (r->rest.data[len++] - '0');
    if (len < min || (len < r->rest.len && ascii_is_digit(r->rest.data[len])))
        return 0;
    advance(r, len);
    *out = value;
    return len;
}

static struct slice take_word(struct reader *r)
{
    size_t len = 0;
    while (len < r->rest.len && ascii_is_alpha(r->rest.data[len]))
        len++;
    struct slice word = slice_sub(r->rest, 0, len);
    advance(r, len);
    return word;
}

/* 1 to 12 for a name or (lenient) a longer word that starts like one, else 0. */
static unsigned month_of(struct slice word, bool lenient)
{
    for (unsigned i = 0; i < 12; i++) {
        if (slice_starts_nocase(word, month_names[i]) && (lenient || word.len == 3))
            return i + 1;
    }
    return 0;
}

/* "+0130" */
static bool take_offset(struct reader *r, int *minutes_out)
{
    bool west = peek(r) == '-';
    unsigned value;
    if (!skip(r, '+') && !skip(r, '-'))
        return false;
    if (take_digits(r, 4, 4, &value) == 0 || value % 100 > 59)
        return false;
    int minutes = (int)(value / 100 * 60 + value % 100);
    *minutes_out = west ? -minutes : minutes;
    return true;
}

/* "d-Mon-yyyy" with a day of one or two digits. */
static bool take_imap_date(struct reader *r, struct fields *f)
{
    if (take_digits(r, 1, 2, &f->day) == 0 || !skip(r, '-'))
        return false;
    f->month = month_of(take_word(r), false);
    return f->month != 0 && skip(r, '-') && take_digits(r, 4, 4, &f->year) != 0;
}

enum err date_parse_imap(struct slice text, struct mail_date *out)
{
    struct reader r = { text };
    struct fields f = { 0 };
    skip(&r, ' ');
    bool good = take_imap_date(&r, &f) && skip(&r, ' ') && take_digits(&r, 2, 2, &f.hour) && skip(&r, ':') &&
                take_digits(&r, 2, 2, &f.minute) && skip(&r, ':') && take_digits(&r, 2, 2, &f.second) &&
                skip(&r, ' ') && take_offset(&r, &f.zone_minutes);
    if (!good || r.rest.len > 0 || !are_valid(&f))
        return ERR_SYNTAX;
    *out = date_of(&f);
    return OK;
}

enum err date_parse_day(struct slice text, int32_t *day_out)
{
    struct reader r = { text };
    struct fields f = { 0 };
    if (!take_imap_date(&r, &f) || r.rest.len > 0 || !are_valid(&f))
        return ERR_SYNTAX;
    *day_out = day_of(f.year, f.month, f.day);
    return OK;
}

/* Blanks, line ends and (nested) comments; an unclosed comment runs to the end. */
static void skip_cfws(struct reader *r)
{
    unsigned depth = 0;
    while (r->rest.len > 0) {
        uint8_t c = r->rest.data[0];
        if (c == '(') {
            depth++;
        } else if (c == ')' && depth > 0) {
            depth--;
        } else if (c == '\\' && depth > 0) {
            advance(r, 1);
        } else if (depth == 0 && c != ' ' && c != '\t' && c != '\r' && c != '\n') {
            return;
        }
        advance(r, 1);
    }
}

static void skip_separators(struct reader *r)
{
    do {
        skip_cfws(r);
    } while (skip(r, '-') || skip(r, ',') || skip(r, '.'));
}

/* RFC 5322 4.3: two digits are 2000-2049 or 1950-1999, three are counted from 1900. */
static bool take_year(struct reader *r, unsigned *out)
{
    unsigned year;
    size_t digits = take_digits(r, 2, 4, &year);
    if (digits == 0)
        return false;
    *out = digits == 4 ? year : digits == 3 ? year + 1900 : year < 50 ? year + 2000 : year + 1900;
    return true;
}

static bool take_time(struct reader *r, struct fields *f)
{
    skip_cfws(r);
    if (take_digits(r, 1, 2, &f->hour) == 0)
        return false;
    skip_cfws(r);
    if (!skip(r, ':'))
        return false;
    skip_cfws(r);
    if (take_digits(r, 1, 2, &f->minute) == 0)
        return false;
    skip_cfws(r);
    if (!skip(r, ':'))
        return true;
    skip_cfws(r);
    return take_digits(r, 1, 2, &f->second) != 0;
}

/* Unknown and military zones count as "-0000" (RFC 5322 4.3), as does none. */
static int take_zone(struct reader *r)
{
    static const struct {
        const char *name;
        int hours;
    } zones[] = { { "EST", -5 }, { "EDT", -4 }, { "CST", -6 }, { "CDT", -5 },
                  { "MST", -7 }, { "MDT", -6 }, { "PST", -8 }, { "PDT", -7 } };
    int minutes = 0;
    skip_cfws(r);
    struct reader before = *r;
    if (take_offset(r, &minutes))
        return minutes;
    *r = before;
    struct slice word = take_word(r);
    for (size_t i = 0; i < sizeof zones / sizeof zones[0]; i++) {
        if (slice_eq_nocase_str(word, zones[i].name))
            return zones[i].hours * 60;
    }
    return 0;
}

/* "Jul 17 02:44:25 1996", what asctime() writes and some mailers with it. */
static bool take_asctime(struct reader *r, struct fields *f)
{
    skip_cfws(r);
    if (take_digits(r, 1, 2, &f->day) == 0 || !take_time(r, f))
        return false;
    f->zone_minutes = take_zone(r); /* "02:44:25 GMT 1996" occurs */
    skip_cfws(r);
    return take_year(r, &f->year);
}

enum err date_parse_rfc5322(struct slice text, struct mail_date *out)
{
    struct reader r = { slice_sub(text, 0, DATE_TEXT_MAX) };
    struct fields f = { 0 };
    skip_separators(&r);
    struct slice word = take_word(&r); /* day of the week: not checked, often wrong */
    skip_separators(&r);
    if (word.len > 0 && ascii_is_alpha(peek(&r)))
        word = take_word(&r);
    f.month = month_of(word, true);
    if (f.month != 0) {
        if (!take_asctime(&r, &f))
            return ERR_SYNTAX;
    } else {
        if (take_digits(&r, 1, 2, &f.day) == 0)
            return ERR_SYNTAX;
        skip_separators(&r);
        f.month = month_of(take_word(&r), true);
        skip_separators(&r);
        if (f.month == 0 || !take_year(&r, &f.year))
            return ERR_SYNTAX;
        skip_separators(&r);
        if (r.rest.len > 0 && !take_time(&r, &f))
            return ERR_SYNTAX;
        f.zone_minutes = take_zone(&r);
    }
    if (!are_valid(&f))
        return ERR_SYNTAX;
    *out = date_of(&f);
    return OK;
}

/* --- writing --- */

static void add_clock(const struct fields *f, struct buf *out)
{
    unsigned zone = (unsigned)(f->zone_minutes < 0 ? -f->zone_minutes : f->zone_minutes);
    buf_addf(out, "%02u:%02u:%02u %c%02u%02u", f->hour, f->minute, f->second, f->zone_minutes < 0 ? '-' : '+',
             zone / 60 % 100, zone % 60);
}

void date_format_imap(struct mail_date date, struct buf *out)
{
    struct fields f = fields_of(date);
    buf_addf(out, "\"%02u-%s-%04u ", f.day, month_names[f.month - 1], f.year);
    add_clock(&f, out);
    buf_add_byte(out, '"');
}

void date_format_day(int32_t day, struct buf *out)
{
    struct fields f = fields_of_day(day);
    buf_addf(out, "%u-%s-%04u", f.day, month_names[f.month - 1], f.year);
}

void date_format_rfc5322(struct mail_date date, struct buf *out)
{
    struct fields f = fields_of(date);
    int32_t weekday = (mail_date_day(date) % 7 + 7 + 4) % 7; /* 1970-01-01 was a Thursday */
    buf_addf(out, "%s, %02u %s %04u ", day_names[weekday], f.day, month_names[f.month - 1], f.year);
    add_clock(&f, out);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/base/ascii.h"
#include "lib/mail/summary_priv.h"

/* What Thunderbird, Apple Mail, Outlook, mutt, K-9, mbsync and offlineimap ask for when they list a mailbox,
 * as far as it is short. The order is part of the encoding of summaries: append only, at most
 * POPULAR_COUNT_MAX. */
#define NAME(text)            \
    {                         \
        text, sizeof text - 1 \
    }
static const struct {
    const char *text;
    size_t len;
} popular[] = {
    NAME("From"),
    NAME("To"),
    NAME("Cc"),
    NAME("Bcc"),
    NAME("Subject"),
    NAME("Date"),
    NAME("Message-ID"),
    NAME("Priority"),
    NAME("X-Priority"),
    NAME("References"),
    NAME("Newsgroups"),
    NAME("In-Reply-To"),
    NAME("Content-Type"),
    NAME("Reply-To"),
    NAME("Sender"),
    NAME("List-Id"),
    NAME("Importance"),
    NAME("X-MSMail-Priority"),
    NAME("Content-Transfer-Encoding"),
    NAME("Content-Disposition"),
    NAME("Content-Description"),
    NAME("Content-Class"),
    NAME("MIME-Version"),
    NAME("Disposition-Notification-To"),
    NAME("Lines"),
    NAME("List-Post"),
    NAME("List-Subscribe"),
    NAME("List-Unsubscribe"),
    NAME("Mail-Followup-To"),
    NAME("X-Label"),
    NAME("X-TUID"),
    NAME("X-OfflineIMAP"),
    NAME("X-Uniform-Type-Identifier"),
    NAME("X-Universally-Unique-Identifier"),
    NAME("X-Mailer"),
    NAME("User-Agent"),
    NAME("Resent-From"),
    NAME("Resent-To"),
    NAME("Auto-Submitted"),
};

enum { POPULAR_COUNT = sizeof popular / sizeof popular[0] };
_Static_assert(sizeof popular / sizeof popular[0] <= POPULAR_COUNT_MAX, "left_out is a 64-bit mask");

int summary_popular_find(struct slice name)
{
    for (int i = 0; i < POPULAR_COUNT; i++) {
        if (popular[i].len == name.len && slice_eq_nocase(name, slice_of(popular[i].text, popular[i].len)))
            return i;
    }
    return -1;
}

/* FNV-1a over lower-case letters, folded to 16 bits. */
uint16_t summary_name_hash(struct slice name)
{
    uint32_t hash = 2166136261u;
    for (size_t i = 0; i < name.len; i++)
        hash = (hash ^ ascii_lower(name.data[i])) * 16777619u;
    return (uint16_t)(hash ^ hash >> 16);
}

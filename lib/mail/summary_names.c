/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/base/ascii.h"
#include "lib/mail/summary_priv.h"

/* What Thunderbird, Apple Mail, Outlook, mutt, K-9, mbsync and offlineimap ask for when they list a mailbox,
 * as far as it is short. The order is part of the encoding of summaries: append only, at most
 * POPULAR_COUNT_MAX. */
static const char *const popular[] = {
    "From",
    "To",
    "Cc",
    "Bcc",
    "Subject",
    "Date",
    "Message-ID",
    "Priority",
    "X-Priority",
    "References",
    "Newsgroups",
    "In-Reply-To",
    "Content-Type",
    "Reply-To",
    "Sender",
    "List-Id",
    "Importance",
    "X-MSMail-Priority",
    "Content-Transfer-Encoding",
    "Content-Disposition",
    "Content-Description",
    "Content-Class",
    "MIME-Version",
    "Disposition-Notification-To",
    "Lines",
    "List-Post",
    "List-Subscribe",
    "List-Unsubscribe",
    "Mail-Followup-To",
    "X-Label",
    "X-TUID",
    "X-OfflineIMAP",
    "X-Uniform-Type-Identifier",
    "X-Universally-Unique-Identifier",
    "X-Mailer",
    "User-Agent",
    "Resent-From",
    "Resent-To",
    "Auto-Submitted",
};

enum { POPULAR_COUNT = sizeof popular / sizeof popular[0] };
_Static_assert(sizeof popular / sizeof popular[0] <= POPULAR_COUNT_MAX, "left_out is a 64-bit mask");

int summary_popular_find(struct slice name)
{
    for (int i = 0; i < POPULAR_COUNT; i++) {
        if (ascii_lower((uint8_t)popular[i][0]) == ascii_lower(name.data[0]) &&
            slice_eq_nocase_str(name, popular[i]))
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

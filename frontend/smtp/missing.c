/* SPDX-License-Identifier: Apache-2.0 */
#include "frontend/smtp/missing.h"

#include "lib/mail/date.h"
#include "lib/mail/header.h"

void missing_write(struct slice header, const char *id, const char *hostname, uint64_t now_ms,
                   struct buf *out)
{
    struct header_field field;
    if (!header_find(header, "Date", &field)) {
        buf_add_str(out, "Date: ");
        date_format_rfc5322((struct mail_date){ .seconds = (int64_t)(now_ms / 1000) }, out);
        buf_add_str(out, "\r\n");
    }
    if (!header_find(header, "Message-ID", &field))
        buf_addf(out, "Message-ID: <%llu.%s@%s>\r\n", (unsigned long long)now_ms, id, hostname);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "frontend/smtp/trace.h"

#include "lib/mail/date.h"

/* RFC 3848, 6531: what the message came by. */
static const char *protocol(const struct smtp_session *s)
{
    static const char *const names[2][2][2] = {
        { { "ESMTP", "ESMTPA" }, { "ESMTPS", "ESMTPSA" } },
        { { "UTF8SMTP", "UTF8SMTPA" }, { "UTF8SMTPS", "UTF8SMTPSA" } },
    };
    if (!s->esmtp)
        return "SMTP";
    return names[s->mail.smtputf8][stream_is_tls(s->stream)][s->authenticated];
}

void trace_write(const struct smtp_session *s, const char *id, uint64_t now_ms, struct buf *out)
{
    struct addr_text peer = addr_format_ip(stream_peer(s->stream));
    const char *ipv6 = strchr(peer.text, ':') != NULL ? "IPv6:" : "";
    buf_addf(out, "Return-Path: <%.*s>\r\n", SLICE_FMT(s->mail.path));
    buf_addf(out, "Received: from %.*s ([%s%s])\r\n", SLICE_FMT(s->helo), ipv6, peer.text);
    if (stream_is_tls(s->stream))
        buf_addf(out, "\t(using %s with cipher %s)\r\n", stream_tls_version(s->stream),
                 stream_tls_cipher(s->stream));
    buf_addf(out, "\tby %s (Tern) with %s id %s", s->context->settings->hostname, protocol(s), id);
    /* With several recipients naming one would tell it to the others (RFC 5321 7.2). */
    if (s->recipient_count == 1)
        buf_addf(out, "\r\n\tfor <%.*s>", SLICE_FMT(s->recipients[0].path));
    buf_add_str(out, ";\r\n\t");
    date_format_rfc5322((struct mail_date){ .seconds = (int64_t)(now_ms / 1000) }, out);
    buf_add_str(out, "\r\n");
}

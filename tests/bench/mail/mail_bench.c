/* SPDX-License-Identifier: Apache-2.0 */
/* How fast lib/mail is, in processor time: summaries of small and large messages, formatting, text search.
 * Prints one line a figure; not a test. usage: mail_bench */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "lib/mail/imap_format.h"
#include "lib/mail/text_search.h"

enum { SMALL_ROUNDS = 20000, FETCH_COUNT = 10000, SEARCH_BYTES = 240 * 1000 * 1000, PUSH_STEP = 64 * 1024 };

/* Processor time: the machine may be busy with other things. */
static uint64_t cpu_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void add_text(struct buf *out, size_t len)
{
    static const char line[] =
        "The quick brown fox jumps over the lazy dog, and this is a line of ASCII.\r\n";
    for (size_t end = out->len + len; out->len < end;)
        buf_add(out, line, sizeof line - 1);
}

static void add_base64(struct buf *out, size_t len)
{
    for (size_t end = out->len + len; out->len < end;)
        buf_add_str(out, "VGhlIHF1aWNrIGJyb3duIGZveCBqdW1wcyBvdmVyIHRoZSBsYXp5IGRvZywgYW5kIHRoaXMgaXMg\r\n");
}

static void add_header(struct buf *out)
{
    buf_add_str(
        out,
        "Return-Path: <sender@example.org>\r\nReceived: from mail.example.org (mail.example.org "
        "[192.0.2.7])\r\n"
        "\tby mx.example.test with ESMTPS id 4XyZ; Wed, 17 Jul 2024 02:44:25 -0700 (PDT)\r\n"
        "DKIM-Signature: v=1; a=rsa-sha256; d=example.org; s=s1; h=from:to:subject:date;\r\n"
        "\tbh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=; b=AbCdEfGhIjKlMnOpQrStUvWxYz0123\r\n"
        "From: \"Some Sender\" <sender@example.org>\r\nTo: Alice <alice@example.test>, Bob "
        "<bob@example.test>\r\n"
        "Cc: list@example.test\r\nSubject: =?utf-8?Q?About_the_f=C3=BCnf_things?= we spoke of\r\n"
        "Date: Wed, 17 Jul 2024 02:44:25 -0700\r\nMessage-ID: <20240717094425.4XyZ@mail.example.org>\r\n"
        "References: <1@example.org> <2@example.org>\r\nIn-Reply-To: <2@example.org>\r\nMIME-Version: 1.0\r\n"
        "User-Agent: Mutt/2.2.9\r\n");
}

/* A text, an HTML alternative and an attachment. */
static void make_message(struct buf *out, size_t text, size_t attachment)
{
    add_header(out);
    buf_add_str(
        out,
        "Content-Type: multipart/mixed; boundary=\"=_outer_0123456789\"\r\n\r\n--=_outer_0123456789\r\n"
        "Content-Type: multipart/alternative; boundary=\"=_inner_0123456789\"\r\n\r\n--=_inner_0123456789\r\n"
        "Content-Type: text/plain; charset=utf-8\r\n\r\n");
    add_text(out, text / 2);
    buf_add_str(out, "\r\n--=_inner_0123456789\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<p>");
    add_text(out, text / 2);
    buf_add_str(
        out,
        "\r\n--=_inner_0123456789--\r\n--=_outer_0123456789\r\nContent-Type: application/pdf; "
        "name=\"a.pdf\"\r\n"
        "Content-Transfer-Encoding: base64\r\nContent-Disposition: attachment; filename=\"a.pdf\"\r\n\r\n");
    add_base64(out, attachment);
    buf_add_str(out, "\r\n--=_outer_0123456789--\r\n");
}

static void summarise(struct slice message, struct buf *out)
{
    struct summary_builder *b = summary_builder_new(SUMMARY_STORED_MAX);
    for (size_t i = 0; i < message.len; i += PUSH_STEP)
        summary_builder_push(b, slice_sub(message, i, i + PUSH_STEP));
    summary_builder_finish(b, out);
    summary_builder_free(&b);
}

static void bench_build(const char *label, size_t text, size_t attachment, unsigned rounds)
{
    struct buf message = { 0 }, out = { 0 };
    make_message(&message, text, attachment);
    uint64_t start = cpu_ns();
    for (unsigned i = 0; i < rounds; i++) {
        buf_clear(&out);
        summarise(buf_slice(&message), &out);
    }
    double ns = (double)(cpu_ns() - start) / rounds;
    printf("build %s: %zu bytes, %.1f us, %.0f MB/s, summary %zu bytes\n", label, message.len, ns / 1e3,
           (double)message.len * 1e3 / ns, out.len);
    buf_fini(&message);
    buf_fini(&out);
}

static void bench_fetch(void)
{
    struct buf message = { 0 }, encoded = { 0 }, out = { 0 };
    struct imap_format how = { 0 };
    make_message(&message, 2500, 1000);
    summarise(buf_slice(&message), &encoded);
    uint64_t start = cpu_ns();
    for (unsigned i = 0; i < FETCH_COUNT; i++) {
        struct summary s;
        buf_clear(&out);
        if (summary_open(buf_slice(&encoded), &s) != OK || imap_format_envelope(&s, &how, &out) != OK ||
            imap_format_bodystructure(&s, &how, &out) != OK)
            abort();
    }
    printf("fetch: %d envelopes and body structures in %.1f ms, %zu bytes each\n", FETCH_COUNT,
           (double)(cpu_ns() - start) / 1e6, out.len);
    start = cpu_ns();
    const struct slice names[] = { SLICE_LIT("From"),       SLICE_LIT("To"),      SLICE_LIT("Cc"),
                                   SLICE_LIT("Subject"),    SLICE_LIT("Date"),    SLICE_LIT("Message-ID"),
                                   SLICE_LIT("References"), SLICE_LIT("X-Label"), SLICE_LIT("Content-Type") };
    for (unsigned i = 0; i < FETCH_COUNT; i++) {
        struct summary s;
        buf_clear(&out);
        if (summary_open(buf_slice(&encoded), &s) != OK || !summary_header_fields(&s, names, 9, &out))
            abort();
    }
    printf("fetch: %d times 9 header fields in %.1f ms\n", FETCH_COUNT, (double)(cpu_ns() - start) / 1e6);
    buf_fini(&message);
    buf_fini(&encoded);
    buf_fini(&out);
}

static enum err read_memory(void *ctx, uint64_t offset, uint64_t len, struct slice *out)
{
    const struct buf *message = ctx;
    *out = slice_sub(buf_slice(message), offset, offset + (len < 256 * 1024 ? len : 256 * 1024));
    return OK;
}

static void bench_search(const char *label, const char *key_text, size_t text, size_t attachment)
{
    struct buf message = { 0 }, encoded = { 0 };
    struct summary s;
    struct text_key *key;
    make_message(&message, text, attachment);
    summarise(buf_slice(&message), &encoded);
    if (summary_open(buf_slice(&encoded), &s) != OK || text_key_new(slice_str(key_text), &key) != OK)
        abort();
    struct text_source source = { &message, read_memory };
    bool found = false;
    size_t done = 0, count = 0;
    uint64_t start = cpu_ns();
    for (; done < SEARCH_BYTES; done += message.len, count++) {
        if (text_search_message(key, &s, TEXT_SCOPE_TEXT, &source, &found) != OK || found)
            abort();
    }
    double ms = (double)(cpu_ns() - start) / 1e6;
    printf("search %s for \"%s\": %zu messages, %zu MB in %.0f ms\n", label, key_text, count, done / 1000000,
           ms);
    text_key_free(&key);
    buf_fini(&message);
    buf_fini(&encoded);
}

int main(void)
{
    bench_build("5 KB", 2500, 1000, SMALL_ROUNDS);
    bench_build("50 KB", 25000, 23000, SMALL_ROUNDS / 10);
    bench_build("40 MB", 10000, 40 * 1000 * 1000, 5);
    bench_fetch();
    bench_search("all text", "needle in haystack", 22000, 100);
    bench_search("attachments", "needle in haystack", 4000, 18000);
    bench_search("all text", "\xc3\xbcnfte", 22000, 100);
    return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/mail/charset.h"

#include <errno.h>
#include <gmime/gmime.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistr.h>

#include "lib/base/alloc.h"

static pthread_once_t init_once = PTHREAD_ONCE_INIT;

/* GMime takes undeclared and unknown charsets for the one that these variables name (it looks at them itself,
 * not at the locale). A server must not read mail differently for the environment it was started in. */
static void init(void)
{
    setenv("LC_ALL", "C.UTF-8", 1);
    g_mime_init();
}

void mail_init(void)
{
    pthread_once(&init_once, init);
}

static bool starts_with_any(struct slice name, const char *const *prefixes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (slice_starts_nocase(name, prefixes[i]))
            return true;
    }
    return false;
}

bool charset_is_utf8(struct slice name)
{
    static const char *const names[] = { "utf-8", "utf8", "us-ascii", "ascii", "ansi_x3.4-1968" };
    if (name.len == 0)
        return true;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (slice_eq_nocase_str(name, names[i]))
            return true;
    }
    return false;
}

/* What is not in this list of encodings may use ASCII's bytes for something else. */
bool charset_is_ascii_superset(struct slice name)
{
    static const char *const others[] = {
        "utf-7",     "utf7",        "utf-16", "utf16",       "utf-32",    "utf32",     "ucs",     "iso-10646",
        "csunicode", "unicode",     "hz",     "iso-2022",    "iso2022",   "csiso2022", "shift",   "sjis",
        "x-sjis",    "ms_kanji",    "cp932",  "windows-31j", "ms932",     "gbk",       "gb18030", "cp936",
        "ms936",     "windows-936", "big5",   "cn-big5",     "x-x-big5",  "cp950",     "ibm037",  "ebcdic",
        "cp037",     "ibm1047",     "johab",  "cp949",       "ks_c_5601", "uhc",       "tcvn",    "viscii",
    };
    return !starts_with_any(name, others, sizeof others / sizeof others[0]);
}

enum { INCOMPLETE_MAX = 16, OUT_CHUNK = 4096, RELEASED_MAX = 16 };

struct charset_conv {
    bool utf8;       /* nothing to convert, only to check: glibc's converter lets too large codes pass */
    iconv_t iconv;   /* if not utf8 */
    size_t held_len; /* of a character cut at the end of the last piece */
    uint8_t held[INCOMPLETE_MAX];
};

enum err charset_conv_new(struct slice name, struct charset_conv **out)
{
    if (name.len > CHARSET_NAME_MAX || (name.len > 0 && memchr(name.data, '\0', name.len) != NULL))
        return ERR_UNSUPPORTED;
    iconv_t converter = (iconv_t)-1;
    bool utf8 = charset_is_utf8(name);
    if (!utf8) {
        mail_init();
        char *text = slice_dup(name);
        converter = g_mime_iconv_open("utf-8", text);
        free(text);
        if (converter == (iconv_t)-1)
            return ERR_UNSUPPORTED;
    }
    struct charset_conv *c = NEW(struct charset_conv);
    c->utf8 = utf8;
    c->iconv = converter;
    *out = c;
    return OK;
}

void charset_conv_free(struct charset_conv **c)
{
    if (*c == NULL)
        return;
    if (!(*c)->utf8)
        g_mime_iconv_close((*c)->iconv);
    free(*c);
    *c = NULL;
}

static void add_replacement(struct buf *out)
{
    buf_add_str(out, "\xef\xbf\xbd");
}

/* Copy what is valid; what is left of `in` afterwards is the beginning of a character. */
static void copy_valid(struct slice *in, struct buf *out)
{
    while (in->len > 0) {
        const uint8_t *bad = u8_check(in->data, in->len);
        size_t valid = bad == NULL ? in->len : (size_t)(bad - in->data);
        buf_add(out, in->data, valid);
        *in = slice_sub(*in, valid, in->len);
        ucs4_t code;
        if (bad == NULL || u8_mbtoucr(&code, in->data, in->len) == -2)
            return;
        add_replacement(out);
        *in = slice_sub(*in, 1, in->len);
    }
}

static void convert_iconv(struct charset_conv *c, struct slice *in, struct buf *out)
{
    struct buf made = { 0 };
    while (in->len > 0) {
        char *from = (char *)in->data;
        size_t from_left = in->len, to_left = OUT_CHUNK;
        char *to = (char *)buf_reserve(&made, OUT_CHUNK);
        size_t result = iconv(c->iconv, &from, &from_left, &to, &to_left);
        int why = errno;
        made.len += OUT_CHUNK - to_left;
        *in = slice_of(from, from_left);
        if (result != (size_t)-1 || why == E2BIG)
            continue;
        if (why == EINVAL && in->len <= INCOMPLETE_MAX)
            break;
        add_replacement(&made);
        *in = slice_sub(*in, 1, in->len);
    }
    /* Whole characters come out of iconv, but not all of them are Unicode's. */
    struct slice rest = buf_slice(&made);
    copy_valid(&rest, out);
    buf_fini(&made);
}

/* Convert as much as goes; what is left of `in` afterwards is the beginning of a character. */
static void convert(struct charset_conv *c, struct slice *in, struct buf *out)
{
    if (c->utf8)
        copy_valid(in, out);
    else
        convert_iconv(c, in, out);
}

void charset_conv_push(struct charset_conv *c, struct slice bytes, struct buf *out)
{
    /* Bytes are added to a held character one by one until it is whole. */
    while (c->held_len > 0 && bytes.len > 0) {
        if (c->held_len == INCOMPLETE_MAX) {
            add_replacement(out);
            c->held_len = 0;
            break;
        }
        c->held[c->held_len++] = bytes.data[0];
        bytes = slice_sub(bytes, 1, bytes.len);
        struct slice in = slice_of(c->held, c->held_len);
        convert(c, &in, out);
        memmove(c->held, in.data, in.len);
        c->held_len = in.len;
    }
    convert(c, &bytes, out);
    if (bytes.len > 0) {
        memcpy(c->held, bytes.data, bytes.len);
        c->held_len = bytes.len;
    }
}

bool charset_conv_is_whole(const struct charset_conv *c)
{
    return c->held_len == 0;
}

/* windows-1255, windows-1258 and others compose characters: iconv keeps a letter until it sees that no accent
 * follows. */
static void release(struct charset_conv *c, struct buf *out)
{
    char *to = (char *)buf_reserve(out, RELEASED_MAX);
    size_t to_left = RELEASED_MAX;
    if (!c->utf8 && iconv(c->iconv, NULL, NULL, &to, &to_left) != (size_t)-1)
        out->len += RELEASED_MAX - to_left;
}

void charset_conv_finish(struct charset_conv *c, struct buf *out)
{
    release(c, out);
    if (c->held_len > 0)
        add_replacement(out);
    c->held_len = 0;
}

void charset_decode_words(struct slice value, struct buf *out)
{
    mail_init();
    char *text = slice_dup(value);
    for (size_t i = 0; i < value.len; i++) {
        if (text[i] == '\0')
            text[i] = '?';
    }
    char *decoded = g_mime_utils_header_decode_text(NULL, text);
    char *valid = decoded == NULL ? NULL : g_utf8_make_valid(decoded, -1);
    if (valid != NULL)
        buf_add_str(out, valid);
    g_free(valid);
    g_free(decoded);
    free(text);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/mail/mailbox_name.h"

#include "lib/base/ascii.h"
#include "lib/mail/utf8.h"

static const struct slice inbox = { (const uint8_t *)"INBOX", 5 };

/* A character that no name may have: controls (C0, DEL, C1), line and paragraph separators, the byte order
 * mark. */
static bool has_forbidden(struct slice s)
{
    for (size_t i = 0; i < s.len; i++) {
        uint8_t c = s.data[i];
        uint8_t c1 = i + 1 < s.len ? s.data[i + 1] : 0, c2 = i + 2 < s.len ? s.data[i + 2] : 0;
        if (c < 0x20 || c == 0x7f || (c == 0xc2 && c1 < 0xa0) ||
            (c == 0xe2 && c1 == 0x80 && (c2 == 0xa8 || c2 == 0xa9)) ||
            (c == 0xef && c1 == 0xbb && c2 == 0xbf))
            return true;
    }
    return false;
}

/* The name with a first level that reads INBOX in capitals. */
static struct slice capital_inbox(struct slice name, struct arena *arena)
{
    bool is_level =
        name.len == inbox.len || (name.len > inbox.len && name.data[inbox.len] == MAILBOX_SEPARATOR);
    if (!is_level || !slice_eq_nocase(slice_sub(name, 0, inbox.len), inbox) || slice_starts(name, inbox))
        return name;
    uint8_t *copy = arena_memdup(arena, name.data, name.len);
    memcpy(copy, inbox.data, inbox.len);
    return slice_of(copy, name.len);
}

static enum err check_levels(struct slice name)
{
    size_t depth = 0;
    for (size_t from = 0; from <= name.len; depth++) {
        struct slice rest = slice_sub(name, from, name.len);
        ptrdiff_t end = slice_find(rest, MAILBOX_SEPARATOR);
        size_t len = end < 0 ? rest.len : (size_t)end;
        if (len == 0)
            return ERR_SYNTAX;
        if (len > MAILBOX_LEVEL_SIZE_MAX)
            return ERR_TOO_BIG;
        from += len + 1;
    }
    return depth > MAILBOX_DEPTH_MAX ? ERR_TOO_BIG : OK;
}

enum err mailbox_name_normalise(struct slice utf8, struct arena *arena, struct slice *out)
{
    struct slice name;
    if (utf8.len > MAILBOX_NAME_SIZE_MAX)
        return ERR_TOO_BIG;
    TRY(utf8_nfc(utf8, arena, &name));
    if (name.len > MAILBOX_NAME_SIZE_MAX)
        return ERR_TOO_BIG;
    if (has_forbidden(name))
        return ERR_SYNTAX;
    TRY(check_levels(name));
    *out = capital_inbox(name, arena);
    return OK;
}

bool mailbox_name_is_inbox(struct slice name)
{
    return slice_eq(name, inbox);
}

static size_t last_separator(struct slice name) /* its index, or SIZE_MAX */
{
    for (size_t i = name.len; i > 0; i--) {
        if (name.data[i - 1] == MAILBOX_SEPARATOR)
            return i - 1;
    }
    return SIZE_MAX;
}

struct slice mailbox_name_parent(struct slice name)
{
    size_t at = last_separator(name);
    return at == SIZE_MAX ? slice_sub(name, 0, 0) : slice_sub(name, 0, at);
}

struct slice mailbox_name_leaf(struct slice name)
{
    size_t at = last_separator(name);
    return at == SIZE_MAX ? name : slice_sub(name, at + 1, name.len);
}

enum err mailbox_pattern_normalise(struct slice utf8, struct arena *arena, struct slice *out)
{
    struct slice pattern;
    if (utf8.len > MAILBOX_PATTERN_SIZE_MAX)
        return ERR_TOO_BIG;
    TRY(utf8_nfc(utf8, arena, &pattern));
    if (pattern.len > MAILBOX_PATTERN_SIZE_MAX)
        return ERR_TOO_BIG;
    if (has_forbidden(pattern))
        return ERR_SYNTAX;
    *out = capital_inbox(pattern, arena);
    return OK;
}

/* live[i]: the name so far can be matched by the first i octets of the pattern. A wildcard also matches
 * nothing, so life passes over it. */
static void pass_wildcards(struct slice pattern, bool *live)
{
    for (size_t i = 0; i < pattern.len; i++) {
        if (live[i] && (pattern.data[i] == '*' || pattern.data[i] == '%'))
            live[i + 1] = true;
    }
}

/* Take one octet of the name; false if no state is left alive. */
static bool step(struct slice pattern, bool *live, uint8_t c, bool fold)
{
    bool any = false;
    for (size_t i = pattern.len + 1; i-- > 0;) { /* downwards: live[i - 1] is still the old one */
        uint8_t at = i < pattern.len ? pattern.data[i] : 0;
        bool stays = live[i] && (at == '*' || (at == '%' && c != MAILBOX_SEPARATOR));
        uint8_t p = i > 0 ? pattern.data[i - 1] : 0;
        bool same = p == c || (fold && ascii_upper(p) == ascii_upper(c));
        live[i] = stays || (i > 0 && live[i - 1] && p != '*' && p != '%' && same);
        any = any || live[i];
    }
    return any;
}

bool mailbox_name_matches(struct slice name, struct slice pattern)
{
    bool live[MAILBOX_PATTERN_SIZE_MAX + 1];
    if (pattern.len > MAILBOX_PATTERN_SIZE_MAX)
        return false;
    memset(live, 0, pattern.len + 1);
    live[0] = true;
    bool fold = mailbox_name_is_inbox(name); /* the one name without case */
    pass_wildcards(pattern, live);
    for (size_t n = 0; n < name.len; n++) {
        if (!step(pattern, live, name.data[n], fold))
            return false;
        pass_wildcards(pattern, live);
    }
    return live[pattern.len];
}

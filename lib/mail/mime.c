/* SPDX-License-Identifier: Apache-2.0 */
/* How the scanner works: bytes are taken line by line. At the start of a line stand three questions, answered
 * as soon as enough of it is here (a line cut by the end of a piece waits in `carry`, which is bounded):
 *
 *   is it a delimiter of an open multipart?  -> everything opened inside ends before it; a part begins behind
 * it is it empty, in a header?                -> the header is read, the body begins neither -> the rest of
 * the line is skipped with memchr
 *
 * `open` is the stack of multiparts and message/rfc822 parts whose bodies the cursor is in; the part on top
 * of it or the leaf below is `current`. A closed multipart stays open for its epilogue, with an empty
 * boundary. */
#include "lib/mail/mime.h"

#include <assert.h>
#include <stdlib.h>

#include "lib/base/alloc.h"
#include "lib/base/buf.h"

enum { CARRY_MAX = MIME_BOUNDARY_MAX + 4 }; /* "--", boundary, "--" */

enum scan_state {
    SCAN_HEADER,    /* in the header of `current` */
    SCAN_BODY,      /* in its body, preamble or epilogue */
    SCAN_DELIMITER, /* behind a delimiter, up to the end of that line */
};

/* The first eight bytes of a boundary as a number, so that lines that begin with "--" for other reasons cost
 * little even under a hundred open multiparts (50 MB of "--b" lines: 1.0 s instead of 6.3 s with a comparison
 * each). */
struct boundary_head {
    uint64_t bytes, mask;
};

struct open_part {
    uint32_t index;
    struct slice boundary; /* empty: a message, or a multipart whose last delimiter is past */
    struct boundary_head head;
};

struct mime_scanner {
    struct mime_sink sink;
    struct arena facts;
    struct mime_part *parts;
    size_t count, cap;
    struct mime_totals totals;
    struct open_part open[MIME_DEPTH_MAX + 1];
    unsigned open_count;
    unsigned boundary_count; /* of `open`, with a boundary */
    bool full;               /* a bound was met: no more delimiters */

    enum scan_state state;
    uint32_t current;
    bool wanted;      /* the sink wants the body of `current` */
    bool opens_part;  /* SCAN_DELIMITER: a part begins behind it (else an epilogue) */
    bool in_line;     /* the line's start is behind us and it is no delimiter */
    bool after_cr;    /* the last byte was a CR */
    unsigned eol_len; /* of the line end right before the current line */
    uint64_t offset;  /* of the next byte to take */
    uint64_t lines;   /* line feeds before it */
    struct buf header;
    size_t carry_len;
    uint8_t carry[CARRY_MAX];
};

struct mime_scanner *mime_scanner_new(const struct mime_sink *sink)
{
    struct mime_scanner *m = NEW(struct mime_scanner);
    if (sink != NULL)
        m->sink = *sink;
    m->cap = 4;
    m->parts = NEW_ARRAY(struct mime_part, m->cap);
    m->parts[m->count++] = (struct mime_part){ .parent = MIME_NO_PART };
    return m;
}

void mime_scanner_free(struct mime_scanner **m)
{
    if (*m == NULL)
        return;
    arena_fini(&(*m)->facts);
    buf_fini(&(*m)->header);
    free((*m)->parts);
    free(*m);
    *m = NULL;
}

static bool has_8bit(const uint8_t *data, size_t len)
{
    uint64_t all = 0;
    size_t i = 0;
    for (; i + 8 <= len; i += 8) {
        uint64_t word;
        memcpy(&word, data + i, sizeof word);
        all |= word;
    }
    for (; i < len; i++)
        all |= data[i];
    return (all & 0x8080808080808080u) != 0;
}

static uint64_t body_start(const struct mime_part *part)
{
    return part->header_offset + part->header_len;
}

/* --- parts ---------------------------------------------------------------------- */

static bool is_full(const struct mime_scanner *m)
{
    return m->count >= MIME_PARTS_MAX || m->facts.used_total >= MIME_FACTS_MAX;
}

static uint32_t add_part(struct mime_scanner *m, uint32_t parent, uint64_t header_offset)
{
    if (m->count == m->cap) {
        m->cap *= 2;
        m->parts = xrealloc(m->parts, m->cap * sizeof *m->parts);
    }
    struct mime_part *above = &m->parts[parent];
    above->child_count++;
    m->parts[m->count] = (struct mime_part){
        .parent = parent,
        .depth = (uint16_t)(above->depth + 1),
        .header_offset = header_offset,
    };
    return (uint32_t)m->count++;
}

static void begin_part(struct mime_scanner *m, uint32_t parent)
{
    m->current = add_part(m, parent, m->offset);
    m->state = SCAN_HEADER;
    m->wanted = false;
    buf_clear(&m->header);
}

static struct boundary_head head_of(struct slice s)
{
    struct boundary_head head = { 0 };
    size_t len = s.len < sizeof head.bytes ? s.len : sizeof head.bytes;
    if (len > 0) {
        memcpy(&head.bytes, s.data, len);
        memset(&head.mask, 0xff, len);
    }
    return head;
}

static void push_open(struct mime_scanner *m, uint32_t index, struct slice boundary)
{
    assert(m->open_count <= MIME_DEPTH_MAX);
    m->open[m->open_count++] = (struct open_part){ index, boundary, head_of(boundary) };
    if (boundary.len > 0)
        m->boundary_count++;
}

static struct slice boundary_of(const struct mime_info *info)
{
    struct slice boundary = mime_param_get(&info->params, "boundary");
    while (boundary.len > 0 &&
           (boundary.data[boundary.len - 1] == ' ' || boundary.data[boundary.len - 1] == '\t'))
        boundary.len--;
    return slice_sub(boundary, 0, MIME_BOUNDARY_MAX);
}

static void retype(struct mime_info *info, const char *type, const char *subtype)
{
    info->type = slice_str(type);
    info->subtype = slice_str(subtype);
}

/* What a part is, by its type and by what the bounds still allow. */
static void decide_kind(struct mime_scanner *m, struct mime_part *part)
{
    struct mime_info *info = &part->info;
    bool multipart = slice_eq_nocase_str(info->type, "multipart");
    bool message =
        slice_eq_nocase_str(info->type, "message") &&
        (slice_eq_nocase_str(info->subtype, "rfc822") || slice_eq_nocase_str(info->subtype, "global"));
    if (!multipart && !message)
        return;
    if (multipart && boundary_of(info).len == 0) {
        retype(info, "text", "plain");
    } else if (part->depth >= MIME_DEPTH_MAX || is_full(m)) {
        m->totals.truncated = true;
        retype(info, "application", "octet-stream");
    } else {
        part->kind = multipart ? MIME_MULTIPART : MIME_MESSAGE;
    }
}

static bool is_digest(const struct mime_scanner *m, uint32_t index)
{
    return index != MIME_NO_PART && m->parts[index].kind == MIME_MULTIPART &&
           slice_eq_nocase_str(m->parts[index].info.subtype, "digest");
}

/* The header of `current` ended right before the cursor. Lines of a body are counted from here: body_lines
 * holds the number of line feeds before the body until the part is closed. */
static void end_header(struct mime_scanner *m, uint64_t end)
{
    struct mime_part *part = &m->parts[m->current];
    struct slice block = buf_slice(&m->header);
    part->header_len = end - part->header_offset;
    part->body_lines = m->lines;
    mime_info_parse(&m->facts, block, is_digest(m, part->parent), &part->info);
    decide_kind(m, part);
    m->wanted = m->sink.header != NULL && m->sink.header(m->sink.ctx, m->current, part, block);
    m->wanted = m->wanted && part->kind == MIME_LEAF && m->sink.body != NULL;
    m->state = SCAN_BODY;
    if (part->kind == MIME_MULTIPART) {
        push_open(m, m->current, boundary_of(&part->info));
    } else if (part->kind == MIME_MESSAGE) {
        push_open(m, m->current, SLICE_NULL);
        begin_part(m, m->current);
    }
}

/* The body ends at `end`, or at its start if the delimiter's line end belongs to the header. Returns where it
 * ended. */
static uint64_t close_part(struct mime_scanner *m, uint32_t index, uint64_t end)
{
    struct mime_part *part = &m->parts[index];
    uint64_t lines_before = part->body_lines;
    if (end < body_start(part))
        end = body_start(part);
    uint64_t lines = end == m->offset ? m->lines : m->lines - 1;
    part->body_len = end - body_start(part);
    part->body_lines = lines > lines_before ? lines - lines_before : 0;
    /* RFC 9051 has no multipart without parts, so one is made up. */
    if (part->kind == MIME_MULTIPART && part->child_count == 0) {
        uint32_t child = add_part(m, index, end);
        mime_info_parse(&m->facts, SLICE_NULL, false, &m->parts[child].info);
    }
    return end;
}

/* The leaf and everything opened above `level` end at `end`, or a line end later where a part inside has to.
 */
static void close_above(struct mime_scanner *m, unsigned level, uint64_t end)
{
    if (m->open_count == 0 || m->open[m->open_count - 1].index != m->current)
        end = close_part(m, m->current, end);
    while (m->open_count > level) {
        struct open_part *top = &m->open[--m->open_count];
        if (top->boundary.len > 0)
            m->boundary_count--;
        end = close_part(m, top->index, end);
    }
}

/* --- lines ---------------------------------------------------------------------- */

enum line_kind { LINE_UNDECIDED, LINE_PLAIN, LINE_EMPTY, LINE_DELIMITER };

/* The open multipart whose boundary begins `text` (RFC 2046 5.1.1: a longer line still matches), the longest
 * one, the innermost among equals; -1 if none. */
static int find_boundary(const struct mime_scanner *m, struct slice text)
{
    int best = -1;
    uint64_t bytes = head_of(text).bytes;
    for (int i = (int)m->open_count - 1; i >= 0; i--) {
        struct boundary_head head = m->open[i].head;
        if ((bytes & head.mask) != head.bytes)
            continue;
        struct slice boundary = m->open[i].boundary;
        if (boundary.len > 0 && slice_starts(text, boundary) &&
            (best < 0 || boundary.len > m->open[best].boundary.len))
            best = i;
    }
    return best;
}

/* What a line is by its first bytes; `whole` if no more of them will come. *level_out for a delimiter. */
static enum line_kind classify(const struct mime_scanner *m, struct slice line, bool whole, int *level_out)
{
    if (m->state == SCAN_DELIMITER)
        return LINE_PLAIN;
    if (m->state == SCAN_HEADER && (line.data[0] == '\n' || line.data[0] == '\r')) {
        if (line.data[0] == '\n' || (line.len > 1 && line.data[1] == '\n'))
            return LINE_EMPTY;
        return line.len > 1 || whole ? LINE_PLAIN : LINE_UNDECIDED;
    }
    if (line.data[0] != '-' || m->boundary_count == 0 || m->full || (line.len > 1 && line.data[1] != '-'))
        return LINE_PLAIN;
    if (!whole)
        return LINE_UNDECIDED;
    if (line.len < 2)
        return LINE_PLAIN;
    *level_out = find_boundary(m, slice_sub(line, 2, line.len));
    return *level_out < 0 ? LINE_PLAIN : LINE_DELIMITER;
}

static void take_header(struct mime_scanner *m, struct slice bytes)
{
    m->totals.header_8bit = m->totals.header_8bit || has_8bit(bytes.data, bytes.len);
    size_t room = MIME_HEADER_KEPT_MAX - m->header.len;
    if (bytes.len > room)
        m->totals.truncated = true;
    buf_add_slice(&m->header, slice_sub(bytes, 0, room));
}

static void take_body(struct mime_scanner *m, struct slice bytes)
{
    m->totals.body_8bit = m->totals.body_8bit || has_8bit(bytes.data, bytes.len);
    if (m->wanted)
        m->wanted = m->sink.body(m->sink.ctx, m->current, bytes);
}

/* Account for bytes that belong to what is being read. */
static void take(struct mime_scanner *m, struct slice bytes)
{
    if (m->state == SCAN_HEADER)
        take_header(m, bytes);
    else if (m->state == SCAN_BODY)
        take_body(m, bytes);
}

static void end_line(struct mime_scanner *m, const uint8_t *from, const uint8_t *lf)
{
    bool cr = lf > from ? lf[-1] == '\r' : m->after_cr;
    m->eol_len = cr ? 2 : 1;
    m->totals.bare_eol = m->totals.bare_eol || !cr;
    m->lines++;
    m->after_cr = false;
}

static bool may_be_special(const struct mime_scanner *m, uint8_t first)
{
    if (m->state == SCAN_HEADER && (first == '\r' || first == '\n'))
        return true;
    return first == '-' && m->boundary_count > 0 && !m->full;
}

/* Take whole lines, and the beginning of the last, up to where a line needs a closer look or the piece ends.
 * Returns where it stopped. The first line's start is decided already. */
static const uint8_t *take_lines(struct mime_scanner *m, const uint8_t *from, const uint8_t *end)
{
    const uint8_t *at = from;
    m->in_line = true;
    while (at < end) {
        const uint8_t *lf = memchr(at, '\n', (size_t)(end - at));
        if (lf == NULL) {
            m->after_cr = end[-1] == '\r';
            at = end;
            break;
        }
        end_line(m, at, lf);
        at = lf + 1;
        if (m->state == SCAN_DELIMITER || at == end || may_be_special(m, *at)) {
            m->in_line = false;
            break;
        }
    }
    take(m, slice_of(from, (size_t)(at - from)));
    m->offset += (uint64_t)(at - from);
    return at;
}

/* The line of a delimiter is over: a part begins, or the epilogue of the multipart goes on. */
static void after_delimiter(struct mime_scanner *m)
{
    m->state = SCAN_BODY;
    m->wanted = false;
    if (m->opens_part)
        begin_part(m, m->current);
}

/* A delimiter of open[level] starts at the cursor; `line` is its beginning. */
static void take_delimiter(struct mime_scanner *m, int level, struct slice line)
{
    while (m->state == SCAN_HEADER) /* a cut message/rfc822 has the header of its message, too */
        end_header(m, m->offset);
    close_above(m, (unsigned)level + 1, m->offset - m->eol_len);
    struct open_part *multipart = &m->open[level];
    m->current = multipart->index;
    m->opens_part = !slice_starts(slice_sub(line, 2 + multipart->boundary.len, line.len), SLICE_LIT("--"));
    if (m->opens_part && is_full(m)) {
        /* What follows is left to the multipart: nothing else could hold it. */
        m->full = true;
        m->totals.truncated = true;
        m->opens_part = false;
    }
    if (!m->opens_part && !m->full) {
        multipart->boundary = SLICE_NULL;
        m->boundary_count--;
    }
    m->state = SCAN_DELIMITER;
}

/* At the start of a line: decide what it is. Returns where to go on in the piece. */
static const uint8_t *start_line(struct mime_scanner *m, const uint8_t *at, const uint8_t *end, bool last)
{
    struct slice line = slice_of(at, (size_t)(end - at));
    const uint8_t *lf = memchr(at, '\n', line.len < CARRY_MAX ? line.len : CARRY_MAX);
    const uint8_t *rest = lf == NULL ? end : lf + 1;
    bool carried = m->carry_len > 0;
    if (carried) {
        size_t room = CARRY_MAX - m->carry_len;
        size_t len = (size_t)(rest - at) < room ? (size_t)(rest - at) : room;
        memcpy(m->carry + m->carry_len, at, len);
        m->carry_len += len;
        line = slice_of(m->carry, m->carry_len);
        rest = at + len;
    }
    bool whole = last || lf != NULL || line.len >= CARRY_MAX;
    int level = -1;
    enum line_kind kind = classify(m, line, whole, &level);
    if (kind == LINE_UNDECIDED) {
        if (!carried) {
            memcpy(m->carry, line.data, line.len);
            m->carry_len = line.len;
        }
        return end;
    }
    m->carry_len = 0;
    if (kind == LINE_DELIMITER)
        take_delimiter(m, level, line);
    /* A line that was carried is taken from the carry, in whole: it ends there or goes on in the piece. */
    const uint8_t *stop = line.data + line.len;
    const uint8_t *took = carried ? take_lines(m, line.data, stop) : at;
    assert(took == stop || !carried);
    if (!carried) {
        if (kind == LINE_EMPTY)
            stop = lf + 1;
        rest = take_lines(m, at, kind == LINE_EMPTY ? stop : end);
    }
    if (kind == LINE_EMPTY)
        end_header(m, m->offset);
    return rest;
}

static void take_piece(struct mime_scanner *m, const uint8_t *at, const uint8_t *end)
{
    while (at < end) {
        at = m->in_line ? take_lines(m, at, end) : start_line(m, at, end, false);
        if (m->state == SCAN_DELIMITER && !m->in_line && m->carry_len == 0)
            after_delimiter(m);
    }
}

void mime_scanner_push(struct mime_scanner *m, struct slice bytes)
{
    if (bytes.len == 0)
        return;
    m->totals.size += bytes.len;
    m->totals.has_nul = m->totals.has_nul || memchr(bytes.data, '\0', bytes.len) != NULL;
    take_piece(m, bytes.data, bytes.data + bytes.len);
}

void mime_scanner_finish(struct mime_scanner *m)
{
    if (m->carry_len > 0) {
        uint8_t line[CARRY_MAX];
        size_t len = m->carry_len;
        memcpy(line, m->carry, len);
        m->carry_len = 0;
        start_line(m, line, line + len, true);
    }
    if (m->state == SCAN_DELIMITER)
        after_delimiter(m);
    while (m->state == SCAN_HEADER)
        end_header(m, m->offset);
    close_above(m, 0, m->offset);
    m->carry_len = 0;
}

const struct mime_part *mime_scanner_parts(const struct mime_scanner *m, size_t *count_out)
{
    *count_out = m->count;
    return m->parts;
}

const struct mime_totals *mime_scanner_totals(const struct mime_scanner *m)
{
    return &m->totals;
}

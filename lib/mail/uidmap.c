/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/mail/uidmap.h"

#include <assert.h>
#include <stdlib.h>

#include "lib/base/alloc.h"

void uidmap_fini(struct uidmap *m)
{
    free(m->runs);
    *m = (struct uidmap){ 0 };
}

static uint32_t run_seq_end(const struct uidmap *m, uint32_t run) /* one past its last sequence number */
{
    return run + 1 < m->run_count ? m->runs[run + 1].seq : m->count + 1;
}

static uint32_t run_uid_last(const struct uidmap *m, uint32_t run)
{
    return m->runs[run].uid + (run_seq_end(m, run) - m->runs[run].seq) - 1;
}

uint32_t uidmap_uid_max(const struct uidmap *m)
{
    return m->run_count == 0 ? 0 : run_uid_last(m, m->run_count - 1);
}

static void add_run(struct uidmap *m, uint32_t uid, uint32_t seq)
{
    if (m->run_count == m->run_cap) {
        /* One run is the usual mailbox; beyond that, grow by halves. */
        m->run_cap = m->run_cap == 0 ? 1 : m->run_cap + m->run_cap / 2 + 1;
        m->runs = xrealloc(m->runs, (size_t)m->run_cap * sizeof *m->runs);
    }
    m->runs[m->run_count++] = (struct uidmap_run){ uid, seq };
}

static void append_range(struct uidmap *m, uint32_t first, uint32_t last)
{
    uint32_t max = uidmap_uid_max(m);
    assert(first > max && first <= last);
    if (m->run_count == 0 || first != max + 1)
        add_run(m, first, m->count + 1);
    m->count += last - first + 1;
}

void uidmap_append(struct uidmap *m, uint32_t uid)
{
    append_range(m, uid, uid);
}

uint32_t uidmap_append_set(struct uidmap *m, const struct uidset *uids)
{
    uint32_t before = m->count;
    uint32_t max = uidmap_uid_max(m);
    for (uint32_t i = 0; i < uids->count; i++) {
        struct uid_range r = uids->ranges[i];
        if (r.last > max)
            append_range(m, r.first > max ? r.first : max + 1, r.last);
    }
    return m->count - before;
}

void uidmap_load(struct uidmap *m, const struct uidset *uids)
{
    uidmap_fini(m);
    uidmap_append_set(m, uids);
}

/* The run that a sequence number from 1 to count is in. */
static uint32_t run_of_seq(const struct uidmap *m, uint32_t seq)
{
    uint32_t low = 0, high = m->run_count;
    while (high - low > 1) {
        uint32_t mid = low + (high - low) / 2;
        if (m->runs[mid].seq <= seq)
            low = mid;
        else
            high = mid;
    }
    return low;
}

/* The last run that starts at or below `uid`; run_count if there is none. */
static uint32_t run_of_uid(const struct uidmap *m, uint32_t uid)
{
    if (m->run_count == 0 || m->runs[0].uid > uid)
        return m->run_count;
    uint32_t low = 0, high = m->run_count;
    while (high - low > 1) {
        uint32_t mid = low + (high - low) / 2;
        if (m->runs[mid].uid <= uid)
            low = mid;
        else
            high = mid;
    }
    return low;
}

uint32_t uidmap_uid(const struct uidmap *m, uint32_t seq)
{
    if (seq == 0 || seq > m->count)
        return 0;
    const struct uidmap_run *r = &m->runs[run_of_seq(m, seq)];
    return r->uid + (seq - r->seq);
}

uint32_t uidmap_seq_from(const struct uidmap *m, uint32_t uid)
{
    uint32_t run = run_of_uid(m, uid);
    if (run == m->run_count)
        return 1; /* below all runs, or the map is empty */
    if (uid > run_uid_last(m, run))
        return run_seq_end(m, run);
    return m->runs[run].seq + (uid - m->runs[run].uid);
}

uint32_t uidmap_seq(const struct uidmap *m, uint32_t uid)
{
    uint32_t seq = uidmap_seq_from(m, uid);
    return uid != 0 && uidmap_uid(m, seq) == uid ? seq : 0;
}

static void insert_run(struct uidmap *m, uint32_t at, struct uidmap_run run)
{
    add_run(m, 0, 0);
    memmove(m->runs + at + 1, m->runs + at, (m->run_count - 1 - at) * sizeof *m->runs);
    m->runs[at] = run;
}

static void delete_run(struct uidmap *m, uint32_t at)
{
    m->run_count--;
    memmove(m->runs + at, m->runs + at + 1, (m->run_count - at) * sizeof *m->runs);
}

uint32_t uidmap_expunge(struct uidmap *m, uint32_t uid)
{
    uint32_t seq = uidmap_seq(m, uid);
    if (seq == 0)
        return 0;
    uint32_t run = run_of_seq(m, seq);
    uint32_t first = m->runs[run].seq, end = run_seq_end(m, run);
    uint32_t later = run + 1; /* the first run whose messages move down by one */
    if (end - first == 1) {
        delete_run(m, run);
        later = run;
    } else if (seq == first) {
        m->runs[run].uid++;
    } else if (seq + 1 < end) {
        insert_run(m, run + 1, (struct uidmap_run){ uid + 1, seq });
        later = run + 2;
    }
    for (uint32_t i = later; i < m->run_count; i++)
        m->runs[i].seq--;
    m->count--;
    return seq;
}

void uidmap_expunge_set(struct uidmap *m, const struct uidset *uids, struct uidset *seqs_out)
{
    uidmap_seqs_of(m, uids, seqs_out);
    if (seqs_out->count == 0)
        return;
    struct uidset all = { 0 }, kept = { 0 };
    uidmap_uids(m, &all);
    uidset_subtract(&all, uids, &kept);
    uidmap_load(m, &kept);
    uidset_fini(&all);
    uidset_fini(&kept);
}

void uidmap_uids(const struct uidmap *m, struct uidset *uids_out)
{
    uidset_clear(uids_out);
    for (uint32_t i = 0; i < m->run_count; i++)
        uidset_add_range(uids_out, m->runs[i].uid, run_uid_last(m, i));
}

void uidmap_uids_of(const struct uidmap *m, const struct uidset *seqs, struct uidset *uids_out)
{
    uidset_clear(uids_out);
    for (uint32_t i = 0; i < seqs->count && seqs->ranges[i].first <= m->count; i++) {
        uint32_t seq = seqs->ranges[i].first;
        uint32_t last = seqs->ranges[i].last < m->count ? seqs->ranges[i].last : m->count;
        for (uint32_t run = run_of_seq(m, seq); run < m->run_count && seq <= last; run++) {
            uint32_t end = run_seq_end(m, run);
            uint32_t stop = last < end ? last : end - 1;
            uint32_t uid = m->runs[run].uid + (seq - m->runs[run].seq);
            uidset_add_range(uids_out, uid, uid + (stop - seq));
            seq = stop + 1;
        }
    }
}

void uidmap_seqs_of(const struct uidmap *m, const struct uidset *uids, struct uidset *seqs_out)
{
    uidset_clear(seqs_out);
    for (uint32_t i = 0; i < uids->count; i++) {
        uint32_t first = uidmap_seq_from(m, uids->ranges[i].first);
        uint32_t end =
            uids->ranges[i].last == UINT32_MAX ? m->count + 1 : uidmap_seq_from(m, uids->ranges[i].last + 1);
        if (first < end)
            uidset_add_range(seqs_out, first, end - 1);
    }
}

enum err uidmap_select(const struct uidmap *m, const struct seqset *set, bool uid, struct uidset *uids_out)
{
    uidset_clear(uids_out);
    if (!uid && !seqset_is_within(set, m->count))
        return ERR_INVALID;
    struct uidset wanted = { 0 };
    if (uid) {
        struct uidset all = { 0 };
        seqset_resolve(set, uidmap_uid_max(m), &wanted);
        uidmap_uids(m, &all);
        uidset_intersect(&all, &wanted, uids_out);
        uidset_fini(&all);
    } else {
        seqset_resolve(set, m->count, &wanted);
        uidmap_uids_of(m, &wanted, uids_out);
    }
    uidset_fini(&wanted);
    return OK;
}

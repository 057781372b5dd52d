/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/replica/vdisk.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"

static void need(struct vimage *im, uint64_t index)
{
    if (index < im->cap)
        return;
    size_t cap = im->cap == 0 ? 64 : im->cap;
    while (cap <= index)
        cap *= 2;
    im->log = xrealloc(im->log, cap * sizeof *im->log);
    im->state = xrealloc(im->state, cap * sizeof *im->state);
    memset(im->log + im->cap, 0, (cap - im->cap) * sizeof *im->log);
    memset(im->state + im->cap, 0, (cap - im->cap) * sizeof *im->state);
    im->cap = cap;
}

static void empty(struct vimage *im)
{
    if (im->cap > 0) {
        memset(im->log, 0, im->cap * sizeof *im->log);
        memset(im->state, 0, im->cap * sizeof *im->state);
    }
    im->base = im->base_epoch = im->last = im->applied = im->commit = 0;
}

static void fini(struct vimage *im)
{
    free(im->log);
    free(im->state);
    *im = (struct vimage){ 0 };
}

static void copy(struct vimage *to, const struct vimage *from)
{
    fini(to);
    *to = *from;
    to->log = xmemdup(from->log, from->cap * sizeof *from->log);
    to->state = xmemdup(from->state, from->cap * sizeof *from->state);
}

static void do_write(struct vimage *im, const struct vbatch *b)
{
    im->record = true;
    im->dep = b->dep;
    im->commit = b->commit;
    if (b->cut_from != 0) {
        assert(b->cut_from > im->base && b->cut_from <= im->last);
        memset(im->log + b->cut_from, 0, (im->last + 1 - b->cut_from) * sizeof *im->log);
        im->last = b->cut_from - 1;
    }
    if (b->count == 0)
        return;
    assert(b->first == im->last + 1);
    need(im, b->first + b->count);
    memcpy(im->log + b->first, b->ents, b->count * sizeof *b->ents);
    im->last += b->count;
}

static void do_apply(struct vimage *im, const struct vbatch *b)
{
    need(im, b->index);
    for (uint64_t i = im->applied + 1; i <= b->index; i++)
        im->state[i] = im->log[i].value;
    im->applied = b->index;
}

static void do_chunk(struct vimage *im, const struct vbatch *b)
{
    if (b->chunk_first) {
        empty(im);
        im->installing = im->record = true;
    }
    im->dep = b->dep;
    need(im, b->index);
    for (uint64_t i = 0; i < b->count; i++)
        im->state[b->first + i] = b->ents[i].value;
    if (b->chunk_last) {
        im->base = im->last = im->applied = im->commit = b->index;
        im->base_epoch = b->index_epoch;
        im->installing = false;
    }
}

static void perform(struct vimage *im, const struct vbatch *b)
{
    switch (b->type) {
    case VB_WRITE:
        do_write(im, b);
        break;
    case VB_APPLY:
        do_apply(im, b);
        break;
    case VB_TRIM:
        need(im, b->index);
        memset(im->log, 0, (b->index + 1) * sizeof *im->log);
        im->base = b->index;
        im->base_epoch = b->index_epoch;
        if (im->last < im->base)
            im->last = im->base;
        break;
    case VB_CHUNK:
        do_chunk(im, b);
        break;
    case VB_WIPE:
        empty(im);
        im->installing = false;
        im->record = b->keep_record;
        im->dep = b->keep_record ? b->dep : 0;
        break;
    }
}

void vdisk_write(struct vdisk *d, struct vbatch batch)
{
    perform(&d->mem, &batch);
    if (d->count == d->cap) {
        d->cap = d->cap == 0 ? 16 : d->cap * 2;
        d->queue = xrealloc(d->queue, d->cap * sizeof *d->queue);
    }
    d->queue[d->count++] = batch;
}

uint64_t vdisk_sync(struct vdisk *d, size_t count)
{
    uint64_t token = 0;
    if (count > d->count)
        count = d->count;
    for (size_t i = 0; i < count; i++) {
        perform(&d->dur, &d->queue[i]);
        if (d->queue[i].token != 0)
            token = d->queue[i].token;
        free(d->queue[i].ents);
    }
    d->count -= count;
    if (d->count > 0)
        memmove(d->queue, d->queue + count, d->count * sizeof *d->queue);
    return token;
}

static void drop_queue(struct vdisk *d)
{
    for (size_t i = 0; i < d->count; i++)
        free(d->queue[i].ents);
    d->count = 0;
}

void vdisk_crash(struct vdisk *d, size_t keep)
{
    vdisk_sync(d, keep);
    drop_queue(d);
    copy(&d->mem, &d->dur);
}

void vdisk_lose(struct vdisk *d)
{
    drop_queue(d);
    fini(&d->mem);
    fini(&d->dur);
}

void vdisk_fini(struct vdisk *d)
{
    vdisk_lose(d);
    free(d->queue);
    *d = (struct vdisk){ 0 };
}

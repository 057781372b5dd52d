/* SPDX-License-Identifier: Apache-2.0 */
#include "storage-node/partition/report/faults.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/base/alloc.h"
#include "proto/methods.h"

struct faults {
    pthread_mutex_t lock;
    _Atomic size_t count;               /* bits set in `kinds` */
    uint8_t kinds[PARTITION_COUNT_MAX]; /* a bit each that is there */
    struct fault texts[FAULTS_TEXTS_MAX];
    size_t text_count;
};

static_assert(FAULT_KIND_COUNT <= 8, "a bit of a byte for each kind");

struct faults *faults_new(void)
{
    struct faults *faults = NEW(struct faults);
    pthread_mutex_init(&faults->lock, NULL);
    return faults;
}

void faults_free(struct faults **out)
{
    if (*out == NULL)
        return;
    pthread_mutex_destroy(&(*out)->lock);
    free(*out);
    *out = NULL;
}

static struct fault *find(struct faults *faults, uint32_t partition, enum fault_kind kind)
{
    for (size_t i = 0; i < faults->text_count; i++) {
        if (faults->texts[i].partition == partition && faults->texts[i].kind == kind)
            return &faults->texts[i];
    }
    return NULL;
}

void faults_set(struct faults *faults, uint32_t partition, enum fault_kind kind, const char *text)
{
    if (faults == NULL)
        return;
    assert(partition < PARTITION_COUNT_MAX);
    pthread_mutex_lock(&faults->lock);
    struct fault *at = find(faults, partition, kind);
    if ((faults->kinds[partition] & (1 << kind)) == 0) {
        faults->kinds[partition] |= (uint8_t)(1 << kind);
        atomic_fetch_add_explicit(&faults->count, 1, memory_order_relaxed);
    }
    if (at == NULL && faults->text_count < FAULTS_TEXTS_MAX) {
        at = &faults->texts[faults->text_count++];
        at->partition = partition;
        at->kind = kind;
    }
    if (at != NULL)
        snprintf(at->text, sizeof at->text, "%s", text);
    pthread_mutex_unlock(&faults->lock);
}

static void clear(struct faults *faults, uint32_t partition, enum fault_kind kind)
{
    struct fault *at = find(faults, partition, kind);
    if ((faults->kinds[partition] & (1 << kind)) == 0)
        return;
    faults->kinds[partition] &= (uint8_t) ~(1 << kind);
    atomic_fetch_sub_explicit(&faults->count, 1, memory_order_relaxed);
    if (at != NULL)
        *at = faults->texts[--faults->text_count];
}

void faults_clear(struct faults *faults, uint32_t partition, enum fault_kind kind)
{
    if (faults_count(faults) == 0)
        return;
    assert(partition < PARTITION_COUNT_MAX);
    pthread_mutex_lock(&faults->lock);
    clear(faults, partition, kind);
    pthread_mutex_unlock(&faults->lock);
}

void faults_clear_all(struct faults *faults, uint32_t partition)
{
    for (enum fault_kind kind = 0; kind < FAULT_KIND_COUNT; kind++)
        faults_clear(faults, partition, kind);
}

size_t faults_count(const struct faults *faults)
{
    return faults == NULL ? 0 : atomic_load_explicit(&faults->count, memory_order_relaxed);
}

size_t faults_list(struct faults *faults, struct fault *out, size_t max)
{
    if (faults_count(faults) == 0)
        return 0;
    pthread_mutex_lock(&faults->lock);
    size_t count = faults->text_count < max ? faults->text_count : max;
    for (size_t i = 0; i < count; i++)
        out[i] = faults->texts[i];
    pthread_mutex_unlock(&faults->lock);
    return count;
}

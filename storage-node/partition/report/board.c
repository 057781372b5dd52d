/* SPDX-License-Identifier: Apache-2.0 */
#include "storage-node/partition/report/board.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>

#include "lib/base/alloc.h"
#include "proto/methods.h"

struct row {
    struct board_figures figures;
    bool there, has_copy;     /* `figures`; `copy` */
    uint64_t changed;         /* number of its newest change */
    uint64_t measured_commit; /* state_bytes is of this moment */
    struct board_copy copy;
    uint64_t known; /* highest epoch; 0: it is closed */
};

struct board {
    pthread_mutex_t lock;
    uint64_t newest; /* change */
    uint32_t count;  /* rows below it may be there */
    size_t copy_count, spare_count;
    struct row *rows[PARTITION_COUNT_MAX];
};

struct board *board_new(void)
{
    struct board *board = NEW(struct board);
    pthread_mutex_init(&board->lock, NULL);
    return board;
}

void board_free(struct board **out)
{
    struct board *board = *out;
    if (board == NULL)
        return;
    for (uint32_t p = 0; p < board->count; p++)
        free(board->rows[p]);
    pthread_mutex_destroy(&board->lock);
    free(board);
    *out = NULL;
}

static bool same(const struct board_figures *a, const struct board_figures *b)
{
    if (a->epoch != b->epoch || a->active != b->active || a->last != b->last || a->commit != b->commit ||
        a->body_bytes != b->body_bytes || a->version != b->version || a->peer_count != b->peer_count)
        return false;
    for (int i = 0; i < a->peer_count; i++) {
        if (a->peers[i].node != b->peers[i].node || a->peers[i].behind != b->peers[i].behind ||
            a->peers[i].copied_bytes != b->peers[i].copied_bytes)
            return false;
    }
    return true;
}

static struct row *row_of(struct board *board, uint32_t partition)
{
    assert(partition < PARTITION_COUNT_MAX);
    if (board->rows[partition] == NULL)
        board->rows[partition] = NEW(struct row);
    if (partition >= board->count)
        board->count = partition + 1;
    return board->rows[partition];
}

void board_put(struct board *board, uint32_t partition, const struct board_figures *figures)
{
    pthread_mutex_lock(&board->lock);
    struct row *row = row_of(board, partition);
    if (!row->there || !same(&row->figures, figures)) {
        uint64_t state_bytes = row->figures.state_bytes;
        row->figures = *figures;
        row->figures.state_bytes = state_bytes;
        row->there = true;
        row->changed = ++board->newest;
    }
    pthread_mutex_unlock(&board->lock);
}

void board_remove(struct board *board, uint32_t partition)
{
    pthread_mutex_lock(&board->lock);
    if (partition < board->count && board->rows[partition] != NULL)
        board->rows[partition]->there = false;
    pthread_mutex_unlock(&board->lock);
}

/* `copy`: NULL for none. */
static void set_copy(struct board *board, struct row *row, const struct board_copy *copy)
{
    board->copy_count -= row->has_copy;
    board->spare_count -= row->has_copy && row->copy.spare;
    row->has_copy = copy != NULL;
    if (copy != NULL)
        row->copy = *copy;
    board->copy_count += row->has_copy;
    board->spare_count += row->has_copy && row->copy.spare;
}

void board_put_copy(struct board *board, const struct board_copy *copy)
{
    pthread_mutex_lock(&board->lock);
    set_copy(board, row_of(board, copy->partition), copy);
    pthread_mutex_unlock(&board->lock);
}

void board_remove_copy(struct board *board, uint32_t partition)
{
    pthread_mutex_lock(&board->lock);
    if (partition < board->count && board->rows[partition] != NULL)
        set_copy(board, board->rows[partition], NULL);
    pthread_mutex_unlock(&board->lock);
}

void board_put_known(struct board *board, uint32_t partition, uint64_t epoch)
{
    pthread_mutex_lock(&board->lock);
    row_of(board, partition)->known = epoch;
    pthread_mutex_unlock(&board->lock);
}

void board_forget(struct board *board, uint32_t partition)
{
    board_remove(board, partition);
    board_remove_copy(board, partition);
    board_put_known(board, partition, 0);
}

uint32_t board_known_count(struct board *board)
{
    pthread_mutex_lock(&board->lock);
    uint32_t count = board->count;
    pthread_mutex_unlock(&board->lock);
    return count;
}

void board_raise_known(struct board *board, uint64_t *epochs, uint32_t count)
{
    pthread_mutex_lock(&board->lock);
    for (uint32_t p = 0; p < board->count && p < count; p++) {
        const struct row *row = board->rows[p];
        if (row != NULL && row->known > epochs[p])
            epochs[p] = row->known;
    }
    pthread_mutex_unlock(&board->lock);
}

size_t board_copy_count(struct board *board, bool all)
{
    pthread_mutex_lock(&board->lock);
    size_t count = all ? board->copy_count : board->spare_count;
    pthread_mutex_unlock(&board->lock);
    return count;
}

size_t board_copies(struct board *board, bool all, struct board_copy *out, size_t max)
{
    size_t count = 0;
    pthread_mutex_lock(&board->lock);
    if (!all && board->spare_count == 0)
        max = 0;
    for (uint32_t p = 0; p < board->count && count < max; p++) {
        const struct row *row = board->rows[p];
        if (row != NULL && row->has_copy && (all || row->copy.spare))
            out[count++] = row->copy;
    }
    pthread_mutex_unlock(&board->lock);
    return count;
}

void board_set_state_bytes(struct board *board, uint32_t partition, uint64_t bytes)
{
    pthread_mutex_lock(&board->lock);
    struct row *row = row_of(board, partition);
    if (row->figures.state_bytes != bytes) {
        row->figures.state_bytes = bytes;
        row->changed = ++board->newest;
    }
    pthread_mutex_unlock(&board->lock);
}

bool board_next_unmeasured(struct board *board, uint32_t *from_inout, uint32_t *partition_out)
{
    bool found = false;
    pthread_mutex_lock(&board->lock);
    for (uint32_t i = 0; i < board->count && !found; i++) {
        uint32_t partition = (*from_inout + i) % board->count;
        struct row *row = board->rows[partition];
        if (row == NULL || !row->there || row->figures.commit == row->measured_commit)
            continue;
        row->measured_commit = row->figures.commit;
        *partition_out = partition;
        *from_inout = partition + 1;
        found = true;
    }
    pthread_mutex_unlock(&board->lock);
    return found;
}

uint32_t board_collect(struct board *board, uint64_t since, uint32_t from, size_t max, board_each *each,
                       void *arg, uint64_t *newest_out)
{
    uint32_t partition;
    pthread_mutex_lock(&board->lock);
    for (partition = from; partition < board->count && max > 0; partition++) {
        const struct row *row = board->rows[partition];
        if (row == NULL || !row->there || row->changed <= since)
            continue;
        each(arg, partition, &row->figures);
        max--;
    }
    if (partition >= board->count)
        partition = 0;
    *newest_out = board->newest;
    pthread_mutex_unlock(&board->lock);
    return partition;
}

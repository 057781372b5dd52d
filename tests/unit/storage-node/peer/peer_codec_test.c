/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "storage-node/peer/codec.h"

static const struct peer_ends ends = { .from = { .store = 0x1122334455667788, .id = 3 },
                                       .to = { .store = 9, .id = 4 } };

static void to_slices(struct buf bufs[LINK_FRAMES], struct slice out[LINK_FRAMES])
{
    for (int i = 0; i < LINK_FRAMES; i++)
        out[i] = buf_slice(&bufs[i]);
}

static void free_bufs(struct buf bufs[LINK_FRAMES])
{
    for (int i = 0; i < LINK_FRAMES; i++)
        buf_fini(&bufs[i]);
}

static struct worker_message *round_trip(const struct replica_msg *msg, struct peer_entries *entries)
{
    struct buf frames[LINK_FRAMES];
    struct slice slices[LINK_FRAMES];
    struct peer_ends got;
    struct worker_message *out = NULL;
    peer_encode(77, &ends, msg, entries, frames);
    to_slices(frames, slices);
    assert_int_equal(peer_decode(slices, &got, &out), OK);
    assert_true(replica_node_eq(got.from, ends.from) && replica_node_eq(got.to, ends.to));
    assert_int_equal(out->partition, 77);
    assert_int_equal(out->msg.type, msg->type);
    assert_int_equal(out->msg.epoch, msg->epoch);
    assert_true(replica_node_eq(out->msg.peer, ends.from));
    free_bufs(frames);
    return out;
}

static void make_entries(struct peer_entries *e)
{
    for (uint32_t i = 0; i < 3; i++) {
        e->epochs[i] = 5 + i;
        e->entry_sizes[i] = 4 + i;
        e->body_sizes[i] = i == 1 ? 0 : 10;
        buf_add(&e->entries, "abcdefgh", 4 + i);
        buf_add(&e->bodies, "0123456789", e->body_sizes[i]);
        e->count++;
    }
}

static const struct replica_msg append = {
    .type = REPLICA_MSG_APPEND,
    .epoch = 8,
    .append = { .prev_index = 100, .prev_epoch = 4, .commit = 99, .recovered = 3 }
};

static void test_append(void **state)
{
    struct peer_entries *e = calloc(1, sizeof *e);
    make_entries(e);
    struct worker_message *m = round_trip(&append, e);
    assert_int_equal(m->msg.append.prev_index, 100);
    assert_int_equal(m->msg.append.prev_epoch, 4);
    assert_int_equal(m->msg.append.commit, 99);
    assert_int_equal(m->msg.append.recovered, 3);
    assert_int_equal(m->msg.append.count, 3);
    for (uint32_t i = 0; i < 3; i++)
        assert_int_equal(m->entries[i].epoch, 5 + i);
    assert_true(m->entries[2].size > m->entries[1].size);
    worker_message_free(m);
    free(e);
}

static const struct slice rows = SLICE_LIT("rows of a copy");
enum { ACK, REFUSE, CHUNK, CHUNK_ACK, CHECK };
static const struct replica_msg small[] = {
    [ACK] = { .type = REPLICA_MSG_ACK, .epoch = 2, .ack = { .match = 1234567890123 } },
    [REFUSE] = { .type = REPLICA_MSG_REFUSE,
                 .epoch = 2,
                 .refuse = { .commit = 1, .last = 2, .prev = 3, .nonce = UINT64_MAX } },
    [CHUNK] = { .type = REPLICA_MSG_CHUNK, .epoch = 2, .chunk = { 1, 2, 3, 4, 5, true, (void *)&rows } },
    [CHUNK_ACK] = { .type = REPLICA_MSG_CHUNK_ACK, .epoch = 2, .chunk_ack = { 6, 7, 8 } },
    [CHECK] = { .type = REPLICA_MSG_CHECK, .epoch = 2, .check = { 9, 10, UINT64_MAX, 12, true } },
};

static void test_small_ones(void **state)
{
    struct worker_message *m = round_trip(&small[CHECK], NULL);
    assert_int_equal(m->msg.check.index, 9);
    assert_int_equal(m->msg.check.chain, 10);
    assert_true(m->msg.check.state == UINT64_MAX);
    assert_int_equal(m->msg.check.bodies, 12);
    assert_true(m->msg.check.damaged);
    worker_message_free(m);
    m = round_trip(&small[ACK], NULL);
    assert_int_equal(m->msg.ack.match, 1234567890123);
    worker_message_free(m);
    m = round_trip(&small[REFUSE], NULL);
    assert_memory_equal(&m->msg.refuse, &small[REFUSE].refuse, sizeof m->msg.refuse);
    worker_message_free(m);
    m = round_trip(&small[CHUNK], NULL);
    assert_int_equal(m->msg.chunk.term, 1);
    assert_int_equal(m->msg.chunk.nonce, 2);
    assert_int_equal(m->msg.chunk.seq, 3);
    assert_int_equal(m->msg.chunk.index, 4);
    assert_int_equal(m->msg.chunk.index_epoch, 5);
    assert_true(m->msg.chunk.last);
    assert_true(slice_eq(buf_slice(&m->rows), rows));
    worker_message_free(m);
    m = round_trip(&small[CHUNK_ACK], NULL);
    assert_memory_equal(&m->msg.chunk_ack, &small[CHUNK_ACK].chunk_ack, sizeof m->msg.chunk_ack);
    worker_message_free(m);
}

static enum err try_decode(const struct slice frames[LINK_FRAMES])
{
    struct peer_ends got;
    struct worker_message *m;
    enum err err = peer_decode(frames, &got, &m);
    if (err == OK)
        worker_message_free(m);
    return err;
}

static void damage(struct buf frames[LINK_FRAMES])
{
    struct slice slices[LINK_FRAMES];
    for (int f = 0; f < LINK_FRAMES; f++) {
        for (size_t i = 0; i < frames[f].len; i++) {
            to_slices(frames, slices);
            frames[f].data[i] ^= 0x15;
            enum err err = try_decode(slices);
            assert_true(err == ERR_PROTOCOL || f == 0);
            frames[f].data[i] ^= 0x15;
            uint8_t *exact = malloc(i + 1);
            memcpy(exact, frames[f].data, i);
            slices[f] = slice_of(exact, i);
            err = try_decode(slices);
            assert_true(err == ERR_PROTOCOL || f == 0);
            free(exact);
        }
    }
    to_slices(frames, slices);
    assert_int_equal(try_decode(slices), OK);
    free_bufs(frames);
}

/* Every byte of every frame changed, and every frame cut short: refused or understood, never read beyond;
 * what stands in the second and third frame is never taken for something else. */
static void test_damage(void **state)
{
    struct peer_entries *e = calloc(1, sizeof *e);
    struct buf frames[LINK_FRAMES];
    make_entries(e);
    peer_encode(77, &ends, &append, e, frames);
    damage(frames);
    free(e);
    for (size_t i = 0; i < sizeof small / sizeof small[0]; i++) {
        peer_encode(77, &ends, &small[i], NULL, frames);
        damage(frames);
    }
}

static void test_beats(void **state)
{
    struct beat_part parts[] = { { 1, 2, 3 }, { 16383, UINT64_MAX, 0 } };
    for (int answer = 0; answer < 2; answer++) {
        struct beats beats = { .answer = answer, .boot = 5, .number = 6, .parts = parts, .count = 2 }, out;
        struct buf frames[LINK_FRAMES];
        struct slice slices[LINK_FRAMES];
        struct peer_ends got;
        peer_encode_beats(&ends, &beats, frames);
        to_slices(frames, slices);
        assert_int_equal(peer_decode_beats(slices, &got, &out), OK);
        assert_true(replica_node_eq(out.peer, ends.from) && replica_node_eq(got.to, ends.to));
        assert_true(out.answer == (answer != 0) && out.boot == 5 && out.number == 6 && out.count == 2);
        assert_int_equal(out.parts[1].partition, 16383);
        assert_true(out.parts[1].epoch == UINT64_MAX);
        assert_int_equal(out.parts[0].commit, answer ? 0 : 3);
        free((void *)out.parts);
        for (size_t i = 0; i < frames[0].len; i++) {
            slices[0] = slice_of(frames[0].data, i);
            if (peer_decode_beats(slices, &got, &out) == OK)
                free((void *)out.parts);
        }
        free_bufs(frames);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_append),
        cmocka_unit_test(test_small_ones),
        cmocka_unit_test(test_damage),
        cmocka_unit_test(test_beats),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "lib/base/hash.h"
#include "storage-node/peer/codec.h"

static const struct peer_ends ends = { .from = { .store = 0x1122334455667788, .id = 3 },
                                       .to = { .store = 9, .id = 4 } };

static struct buf bundle_of(const struct replica_msg *msg, struct peer_entries *entries)
{
    struct peer_bundle bundle = { .ends = ends };
    peer_bundle_add(&bundle, 77, msg, entries);
    return peer_bundle_end(&bundle);
}

static struct worker_message *round_trip(const struct replica_msg *msg, struct peer_entries *entries)
{
    struct buf frame = bundle_of(msg, entries);
    struct peer_ends got;
    struct inbox_chain messages;
    assert_int_equal(peer_decode(buf_slice(&frame), PEER_VERSION, &got, &messages), OK);
    assert_true(replica_node_eq(got.from, ends.from) && replica_node_eq(got.to, ends.to));
    assert_ptr_equal(messages.first, messages.last);
    struct worker_message *out = (struct worker_message *)messages.first;
    assert_int_equal(out->partition, 77);
    assert_int_equal(out->msg.type, msg->type);
    assert_int_equal(out->msg.epoch, msg->epoch);
    assert_true(replica_node_eq(out->msg.peer, ends.from));
    buf_fini(&frame);
    return out;
}

static void make_entries(struct peer_entries *e)
{
    for (uint32_t i = 0; i < 3; i++) {
        struct slice entry = slice_of("abcdefgh", 4 + i), body = slice_of("0123456789", i == 1 ? 0 : 10);
        peer_entries_add(e, 5 + i, entry, body);
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
    peer_entries_fini(e);
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

/* Several messages of several kinds in one frame come out in their order. */
static struct buf bundle_of_all(void)
{
    struct peer_bundle bundle = { .ends = ends };
    struct peer_entries *e = calloc(1, sizeof *e);
    make_entries(e);
    for (uint32_t i = 0; i < sizeof small / sizeof small[0]; i++) {
        peer_bundle_add(&bundle, i, &small[i], NULL);
        peer_bundle_add(&bundle, 100 + i, &append, e);
    }
    peer_entries_fini(e);
    free(e);
    assert_int_equal(bundle.count, 2 * sizeof small / sizeof small[0]);
    struct buf frame = peer_bundle_end(&bundle);
    assert_int_equal(bundle.count, 0);
    return frame;
}

static void test_bundle(void **state)
{
    struct buf frame = bundle_of_all();
    struct peer_ends got;
    struct inbox_chain messages;
    assert_int_equal(peer_decode(buf_slice(&frame), PEER_VERSION, &got, &messages), OK);
    const struct inbox_item *item = messages.first;
    for (uint32_t i = 0; i < sizeof small / sizeof small[0]; i++) {
        const struct worker_message *m = (const struct worker_message *)item, *n;
        assert_int_equal(m->partition, i);
        assert_int_equal(m->msg.type, small[i].type);
        n = (const struct worker_message *)item->next;
        assert_int_equal(n->partition, 100 + i);
        assert_int_equal(n->msg.append.count, 3);
        item = item->next->next;
    }
    assert_null(item);
    peer_free_messages(&messages);
    assert_null(messages.first);
    buf_fini(&frame);
}

/* An empty one takes anything; then both bounds hold, and one message too many is refused. */
static void test_bounds_of_a_bundle(void **state)
{
    struct peer_bundle bundle = { .ends = ends };
    struct peer_ends got;
    struct inbox_chain messages;
    assert_true(peer_bundle_has_room(&bundle, PEER_BUNDLE_BYTES + 1));
    for (uint32_t i = 0; i < PEER_BUNDLE_COUNT_MAX; i++) {
        assert_true(peer_bundle_has_room(&bundle, 0));
        peer_bundle_add(&bundle, 1, &small[ACK], NULL);
    }
    assert_false(peer_bundle_has_room(&bundle, 0));
    struct buf frame = peer_bundle_end(&bundle);
    assert_int_equal(peer_decode(buf_slice(&frame), PEER_VERSION, &got, &messages), OK);
    peer_free_messages(&messages);
    buf_fini(&frame);
    for (uint32_t i = 0; i <= PEER_BUNDLE_COUNT_MAX; i++) {
        assert_false(i > 0 && peer_bundle_has_room(&bundle, PEER_BUNDLE_BYTES));
        peer_bundle_add(&bundle, 1, &small[ACK], NULL);
    }
    frame = peer_bundle_end(&bundle);
    assert_int_equal(peer_decode(buf_slice(&frame), PEER_VERSION, &got, &messages), ERR_PROTOCOL);
    assert_null(messages.first);
    buf_fini(&frame);
}

static enum err try_decode(struct slice frame)
{
    struct peer_ends got;
    struct inbox_chain messages;
    enum err err = peer_decode(frame, PEER_VERSION, &got, &messages);
    peer_free_messages(&messages);
    return err;
}

static void set_right_sum(struct slice frame)
{
    struct buf sum = { .data = (uint8_t *)frame.data, .cap = 8 };
    if (frame.len >= 8)
        buf_add_be64(&sum, hash_xxh3(slice_sub(frame, 8, frame.len)));
}

/* Every byte of a frame changed, and the frame cut short everywhere: refused for its sum; and with the right
 * sum refused or understood, never read beyond. */
static void test_damage(void **state)
{
    struct buf frame = bundle_of_all();
    for (size_t i = 0; i < frame.len; i++) {
        for (int sum = 0; sum < 2; sum++) {
            uint8_t *changed = malloc(frame.len), *cut = malloc(i + 1);
            memcpy(changed, frame.data, frame.len);
            memcpy(cut, frame.data, i);
            changed[i] ^= 0x15;
            if (sum == 1) {
                set_right_sum(slice_of(changed, frame.len));
                set_right_sum(slice_of(cut, i));
            }
            enum err err = try_decode(slice_of(changed, frame.len));
            assert_true(err == ERR_PROTOCOL || sum == 1);
            err = try_decode(slice_of(cut, i));
            assert_true(err == ERR_PROTOCOL || sum == 1);
            free(changed);
            free(cut);
        }
    }
    assert_int_equal(try_decode(buf_slice(&frame)), OK);
    buf_fini(&frame);
}

static void test_beats(void **state)
{
    struct beat_part parts[] = { { 1, 2, 3 }, { 16383, UINT64_MAX, 0 } };
    for (int answer = 0; answer < 2; answer++) {
        struct beats beats = { .answer = answer, .boot = 5, .number = 6, .parts = parts, .count = 2 }, out;
        struct buf frame = peer_encode_beats(&ends, &beats);
        struct peer_ends got;
        assert_int_equal(peer_decode_beats(buf_slice(&frame), PEER_VERSION, &got, &out), OK);
        assert_true(replica_node_eq(out.peer, ends.from) && replica_node_eq(got.to, ends.to));
        assert_true(out.answer == (answer != 0) && out.boot == 5 && out.number == 6 && out.count == 2);
        assert_int_equal(out.parts[1].partition, 16383);
        assert_true(out.parts[1].epoch == UINT64_MAX);
        assert_int_equal(out.parts[0].commit, answer ? 0 : 3);
        free((void *)out.parts);
        for (size_t i = 0; i < frame.len; i++) {
            uint8_t *cut = malloc(i + 1);
            memcpy(cut, frame.data, i);
            if (peer_decode_beats(slice_of(cut, i), PEER_VERSION, &got, &out) == OK)
                free((void *)out.parts);
            free(cut);
        }
        buf_fini(&frame);
    }
}

/* How a frame begins is the same in all versions: who sent a later one is known, and what it speaks. */
static void test_versions(void **state)
{
    struct peer_ends later = ends, got;
    struct inbox_chain messages;
    struct beats beats = { .answer = true }, out;
    later.version = PEER_VERSION + 1;
    later.says = (struct peer_speech){ PEER_VERSION, PEER_VERSION + 1, 7 };
    struct peer_bundle bundle = { .ends = later };
    peer_bundle_add(&bundle, 77, &small[ACK], NULL);
    struct buf frame = peer_bundle_end(&bundle), beat = peer_encode_beats(&later, &beats);
    assert_int_equal(peer_decode(buf_slice(&frame), PEER_VERSION, &got, &messages), ERR_UNSUPPORTED);
    assert_null(messages.first);
    assert_true(replica_node_eq(got.from, ends.from) && replica_node_eq(got.to, ends.to));
    assert_memory_equal(&got.says, &later.says, sizeof got.says);
    got = (struct peer_ends){ 0 };
    assert_int_equal(peer_decode_beats(buf_slice(&beat), PEER_VERSION, &got, &out), ERR_UNSUPPORTED);
    assert_true(replica_node_eq(got.from, ends.from));
    assert_memory_equal(&got.says, &later.says, sizeof got.says);
    assert_int_equal(peer_decode(buf_slice(&frame), PEER_VERSION + 1, &got, &messages), OK);
    peer_free_messages(&messages);
    assert_int_equal(peer_decode_beats(buf_slice(&beat), PEER_VERSION + 1, &got, &out), OK);
    free((void *)out.parts);
    buf_fini(&frame);
    buf_fini(&beat);
}

/* As programs wrote frames before they said what they speak. */
static void test_one_that_does_not_say(void **state)
{
    struct peer_ends got;
    struct inbox_chain messages;
    struct buf frame = bundle_of(&small[ACK], NULL);
    assert_int_equal(peer_decode(buf_slice(&frame), PEER_VERSION, &got, &messages), OK);
    assert_int_equal(got.version, PEER_VERSION_MIN);
    assert_int_equal(got.says.min, PEER_VERSION_MIN);
    assert_int_equal(got.says.max, PEER_VERSION_MIN);
    assert_int_equal(got.says.machine, 1);
    peer_free_messages(&messages);
    buf_fini(&frame);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_append),
        cmocka_unit_test(test_versions),
        cmocka_unit_test(test_one_that_does_not_say),
        cmocka_unit_test(test_small_ones),
        cmocka_unit_test(test_bundle),
        cmocka_unit_test(test_bounds_of_a_bundle),
        cmocka_unit_test(test_damage),
        cmocka_unit_test(test_beats),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

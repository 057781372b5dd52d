/* SPDX-License-Identifier: Apache-2.0 */
/* How RocksDB is set up: what each family is for decides its buffers, filters and files. */
#include "lib/base/log.h"
#include "storage-node/kv/rocks_priv.h"

enum {
    RECOVER_TOLERATE_TORN_TAIL =
        0, /* the default mode 2 silently drops acknowledged writes behind a damaged record */
    INFO_LOG_WARN = 2,
    INFO_LOG_BYTES_MAX = 4 << 20,
    INFO_LOG_FILES = 4,
    BLOOM_BITS = 10,
    BLOCK_SIZE = 16 << 10,
    BLOB_SIZE_MIN = 256, /* smaller bodies stay beside their keys */
    BLOB_FILE_SIZE = 128 << 20,
    MEMORY_LIMIT_MIN = 16 << 20,
    WRITE_BUFFER_MIN = 1 << 20,
    READ_TIER_CACHED = 1,
    SYNC_BYTES = 1 << 20, /* files in the background go to disk in pieces of this, not in one burst, ... */
};

static rocksdb_options_t *common_options(const struct rocks *r)
{
    rocksdb_options_t *o = rocksdb_options_create();
    rocksdb_options_set_compression(o, rocksdb_lz4_compression);
    rocksdb_options_set_level_compaction_dynamic_level_bytes(o, 1);

    rocksdb_block_based_table_options_t *table = rocksdb_block_based_options_create();
    rocksdb_block_based_options_set_block_cache(table, r->block_cache);
    rocksdb_block_based_options_set_block_size(table, BLOCK_SIZE);
    rocksdb_block_based_options_set_format_version(table, 5);
    rocksdb_block_based_options_set_filter_policy(table, rocksdb_filterpolicy_create_bloom_full(BLOOM_BITS));
    /* Index and filter blocks count against the cache, so that the memory limit holds for any amount of data.
     */
    rocksdb_block_based_options_set_cache_index_and_filter_blocks(table, 1);
    /* In pieces: the filter of a file with millions of small rows, in one piece, is larger than a shard of
     * the cache holds, and every look at such a file would read it anew. */
    rocksdb_block_based_options_set_index_type(table,
                                               rocksdb_block_based_table_index_type_two_level_index_search);
    rocksdb_block_based_options_set_partition_filters(table, 1);
    rocksdb_block_based_options_set_metadata_block_size(table, BLOCK_SIZE);
    rocksdb_block_based_options_set_pin_top_level_index_and_filter(table, 1);
    rocksdb_block_based_options_set_cache_index_and_filter_blocks_with_high_priority(table, 1);
    rocksdb_block_based_options_set_pin_l0_filter_and_index_blocks_in_cache(table, 1);
    rocksdb_options_set_block_based_table_factory(o, table);
    rocksdb_block_based_options_destroy(table);
    return o;
}

/* ... and the next piece waits for the one before: else a write buffer that is written out fills the disk's
 * queue, and the log's next sync waits behind all of it. Only this way does the C interface have it. */
static rocksdb_options_t *sync_piece_by_piece(rocksdb_options_t *o)
{
    rocksdb_options_t *strict = rocksdb_options_create();
    char *message = NULL;
    rocksdb_get_options_from_string(o, "strict_bytes_per_sync=true", strict, &message);
    if (message != NULL)
        log_fatal("kv", "RocksDB takes no strict_bytes_per_sync: %s", message);
    rocksdb_options_destroy(o);
    return strict;
}

static void set_write_buffer(rocksdb_options_t *o, size_t bytes)
{
    rocksdb_options_set_write_buffer_size(o, bytes < WRITE_BUFFER_MIN ? WRITE_BUFFER_MIN : bytes);
    rocksdb_options_set_max_write_buffer_number(o, 4);
}

static void set_body_options(rocksdb_options_t *o, const struct rocks *r)
{
    rocksdb_options_set_enable_blob_files(o, 1);
    rocksdb_options_set_min_blob_size(o, BLOB_SIZE_MIN);
    rocksdb_options_set_blob_file_size(o, BLOB_FILE_SIZE);
    rocksdb_options_set_blob_compression_type(o, rocksdb_lz4_compression);
    rocksdb_options_set_enable_blob_gc(o, 0);          /* rocks_blobs.c turns it on and off */
    rocksdb_options_set_blob_gc_force_threshold(o, 1); /* never by itself */
}

/* A quarter of the memory for what is not yet flushed, the rest for blocks. Bodies have no cache of their
 * own: the kernel keeps the files, and filling a second cache cost a FETCH of a large mailbox more than it
 * ever gave back. */
void rocks_options_init(struct rocks *r, const struct kv_options *options)
{
    size_t memory = options->memory_limit < MEMORY_LIMIT_MIN ? MEMORY_LIMIT_MIN : options->memory_limit;
    size_t buffers = memory / 4;
    r->block_cache = rocksdb_cache_create_lru(memory - buffers);

    rocksdb_options_t *o = common_options(r);
    rocksdb_options_set_create_if_missing(o, 1);
    rocksdb_options_set_create_missing_column_families(o, 1);
    rocksdb_options_set_paranoid_checks(o, 1);
    rocksdb_options_set_wal_recovery_mode(o, RECOVER_TOLERATE_TORN_TAIL);
    /* Into the log's file at the next kv_sync: nobody counts on what was not synced, and what is applied
     * would cost a write of its own each time. */
    rocksdb_options_set_manual_wal_flush(o, 1);
    rocksdb_options_set_max_total_wal_size(o, options->wal_size_max);
    rocksdb_options_set_max_open_files(o, options->files_open_max);
    rocksdb_options_set_max_background_jobs(o, options->background_threads < 2 ? 2
                                                                               : options->background_threads);
    rocksdb_options_set_db_write_buffer_size(o, buffers);
    rocksdb_options_set_bytes_per_sync(o, SYNC_BYTES);
    rocksdb_options_set_advise_random_on_open(o, 0); /* much is read in order: the kernel may read ahead */
    rocksdb_options_set_info_log_level(o, INFO_LOG_WARN);
    rocksdb_options_set_max_log_file_size(o, INFO_LOG_BYTES_MAX);
    rocksdb_options_set_keep_log_file_num(o, INFO_LOG_FILES);
    rocksdb_options_set_stats_dump_period_sec(o, 0);
    rocksdb_options_set_stats_persist_period_sec(o, 0);
    r->db_options = sync_piece_by_piece(o);

    for (int family = 0; family < KV_FAMILY_COUNT; family++) {
        o = common_options(r);
        set_write_buffer(o, family == KV_STATE || family == KV_BODY || family == KV_LOG ? buffers / 4
                                                                                        : buffers / 16);
        if (family == KV_STATE) {
            rocksdb_options_set_memtable_prefix_bloom_size_ratio(o, 0.05);
            rocksdb_options_set_memtable_whole_key_filtering(o, 1);
        }
        if (family == KV_BODY)
            set_body_options(o, r);
        r->family_options[family] = o;
    }

    r->read = rocksdb_readoptions_create();
    r->read_cached = rocksdb_readoptions_create();
    rocksdb_readoptions_set_read_tier(r->read_cached, READ_TIER_CACHED);
    r->write = rocksdb_writeoptions_create(); /* write-ahead log on, no sync: kv_sync does that */
    r->write_unlogged = rocksdb_writeoptions_create();
    rocksdb_writeoptions_disable_WAL(r->write_unlogged, 1);
    r->flush = rocksdb_flushoptions_create(); /* waits for the end */
}

void rocks_options_fini(struct rocks *r)
{
    rocksdb_readoptions_destroy(r->read);
    rocksdb_readoptions_destroy(r->read_cached);
    rocksdb_writeoptions_destroy(r->write);
    rocksdb_writeoptions_destroy(r->write_unlogged);
    rocksdb_flushoptions_destroy(r->flush);
    for (int family = 0; family < KV_FAMILY_COUNT; family++)
        rocksdb_options_destroy(r->family_options[family]);
    rocksdb_options_destroy(r->db_options);
    rocksdb_cache_destroy(r->block_cache);
}

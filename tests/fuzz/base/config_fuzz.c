/* SPDX-License-Identifier: Apache-2.0 */
/* Any file as configuration: refused with a reason, or accepted with every value within its bounds. */
#include <assert.h>

#include "lib/base/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
const char *__lsan_default_suppressions(void);

/* libconfig 1.5 loses the text of a string that never ends: once, in a program that then tells so and ends.
 */
const char *__lsan_default_suppressions(void)
{
    return "leak:libconfig.so";
}

struct conf {
    char *name;
    int64_t threads;
    bool on;
    uint64_t limit, timeout;
    struct config_strings nets;
};

static const struct config_key keys[] = {
    CONFIG_KEY_STRING(struct conf, name, "name", CONFIG_REQUIRED, "a name"),
    CONFIG_KEY_INT(struct conf, threads, "a.threads", "2", -3, 64, "threads"),
    CONFIG_KEY_BOOL(struct conf, on, "a.b.on", "true", "a switch"),
    CONFIG_KEY_SIZE(struct conf, limit, "limit", "64M", 4096, 1 << 30, "a size"),
    CONFIG_KEY_DURATION(struct conf, timeout, "timeout", "10s", 1, 3600 * 1000, "a time"),
    CONFIG_KEY_STRINGS(struct conf, nets, "nets", "a, b", "a list"),
};
static const struct config_table table = CONFIG_TABLE(struct conf, keys);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct conf c;
    struct buf errors = { 0 };
    enum err err = config_load_text(&table, "f", slice_of(data, size), &c, &errors);
    assert((err == OK) == (errors.len == 0));
    assert(c.name != NULL && c.threads >= -3 && c.threads <= 64 && c.limit >= 4096 && c.limit <= 1 << 30);
    assert(c.timeout >= 1 && c.timeout <= 3600 * 1000 && c.nets.count <= CONFIG_STRINGS_MAX);
    config_fini(&table, &c);
    buf_fini(&errors);
    return 0;
}

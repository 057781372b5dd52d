/* SPDX-License-Identifier: Apache-2.0 */
/* Which tables were found damaged when RocksDB merged them. From that moment it writes nothing any more, and
 * would end so after each start: the next opening takes them out (rocks_mend.c). A file beside the tables
 * remembers their numbers, one a line; the database itself can no longer be written. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/alloc.h"
#include "lib/base/log.h"
#include "storage-node/kv/rocks_failures.h"
#include "storage-node/kv/rocks_priv.h"

static const char list_name[] = "damaged-tables"; /* none of RocksDB's names, so it leaves it alone */
static const char table_end[] = ".sst";

uint64_t rocks_damaged_in(const char *message)
{
    const char *end = strstr(message, table_end);
    const char *first = end;
    while (end != NULL && first > message && first[-1] >= '0' && first[-1] <= '9')
        first--;
    return end == first ? 0 : strtoull(first, NULL, 10);
}

size_t rocks_damaged_list(const char *path, uint64_t *numbers, size_t max)
{
    char *name = xasprintf("%s/%s", path, list_name);
    FILE *file = fopen(name, "re");
    size_t count = 0;
    while (file != NULL && count < max && fscanf(file, "%" SCNu64, &numbers[count]) == 1)
        count++;
    if (file != NULL)
        fclose(file);
    free(name);
    return count;
}

static bool is_noted(const char *path, uint64_t number)
{
    uint64_t numbers[ROCKS_DAMAGED_MAX];
    size_t count = rocks_damaged_list(path, numbers, ROCKS_DAMAGED_MAX);
    for (size_t i = 0; i < count; i++) {
        if (numbers[i] == number)
            return true;
    }
    return count == ROCKS_DAMAGED_MAX;
}

/* In one write, and on disk: the process is about to end. Who cannot note it notes it at the next end. */
static bool note(const char *path, uint64_t number)
{
    char line[32];
    char *name = xasprintf("%s/%s", path, list_name);
    int len = snprintf(line, sizeof line, "%" PRIu64 "\n", number);
    int fd = open(name, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    bool noted = fd >= 0 && write(fd, line, (size_t)len) == len && fsync(fd) == 0;
    if (!noted)
        log_error("kv", "cannot write %s: %s", name, strerror(errno));
    if (fd >= 0)
        close(fd);
    free(name);
    return noted;
}

/* What RocksDB knows of and nobody here has noted, beside what `err` says. */
static enum err heard_meanwhile(const struct rocks *r, const char *doing, enum err err)
{
    char text[ROCKS_FAILURE_TEXT_MAX];
    if (atomic_load(&r->failed) != OK || rocks_failures_count() == r->failures)
        return err;
    enum err newest = rocks_failures_newest(text);
    if (err == OK)
        log_error("kv", "%s: RocksDB has failed to write: %s", doing, text);
    return newest;
}

enum err rocks_write_err(struct rocks *r, const char *doing, char *message)
{
    int none = OK;
    uint64_t number = message == NULL ? 0 : rocks_damaged_in(message);
    enum err err = rocks_err(doing, message);
    if (err == ERR_CORRUPT && number != 0 && !is_noted(r->path, number) && note(r->path, number))
        log_error("kv", "table %" PRIu64 " is damaged: the next start goes on without it", number);
    err = heard_meanwhile(r, doing, err);
    if (err != OK)
        atomic_compare_exchange_strong(&r->failed, &none, (int)err);
    return (enum err)atomic_load(&r->failed);
}

enum err rocks_damaged_forget(const char *path)
{
    char *name = xasprintf("%s/%s", path, list_name);
    bool gone = unlink(name) == 0 || errno == ENOENT;
    if (!gone)
        log_error("kv", "cannot remove %s: %s", name, strerror(errno));
    free(name);
    return gone ? OK : ERR_IO;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Runs a fuzz target without libFuzzer: over every file of the folders (or files) it is given, over every
 * prefix of the small ones, and with --smoke over a fixed number of seeded mutations of each. */
#include <dirent.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { PREFIX_MAX = 512, MUTATIONS = 300, FILE_MAX = 1 << 20 };

static uint64_t seed = 88172645463325252u;
static bool smoke;
static size_t inputs;

static uint64_t next_random(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

/* A copy of exactly this size, so that a sanitizer sees the first byte read past the end. */
static void run_copy(const uint8_t *data, size_t size)
{
    uint8_t *copy = malloc(size ? size : 1);
    if (copy == NULL)
        abort();
    memcpy(copy, data, size);
    LLVMFuzzerTestOneInput(copy, size);
    free(copy);
    inputs++;
}

static void run_mutations(const uint8_t *data, size_t size)
{
    static const uint8_t tokens[] = "\r\n\0\xff{}()\"\\ .=?<>@;:0";
    uint8_t *copy = malloc(size + 1);
    if (copy == NULL)
        abort();
    for (int i = 0; i < MUTATIONS; i++) {
        memcpy(copy, data, size);
        size_t changes = 1 + next_random() % 4;
        for (size_t c = 0; c < changes && size > 0; c++)
            copy[next_random() % size] = tokens[next_random() % (sizeof tokens - 1)];
        run_copy(copy, size > 0 ? 1 + next_random() % size : 0);
    }
    free(copy);
}

static void run_file(const char *path)
{
    static uint8_t data[FILE_MAX];
    FILE *f = fopen(path, "rb");
    if (f == NULL) {
        fprintf(stderr, "cannot open %s\n", path);
        exit(1);
    }
    size_t size = fread(data, 1, sizeof data, f);
    fclose(f);
    run_copy(data, size);
    for (size_t n = 0; n < size && n < PREFIX_MAX; n++)
        run_copy(data, n);
    if (smoke)
        run_mutations(data, size);
}

static void run_folder(const char *path)
{
    struct dirent **names;
    int n = scandir(path, &names, NULL, alphasort);
    for (int i = 0; i < n; i++) {
        if (names[i]->d_name[0] != '.') {
            char file[4096];
            snprintf(file, sizeof file, "%s/%s", path, names[i]->d_name);
            run_file(file);
        }
        free(names[i]);
    }
    if (n >= 0)
        free(names);
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        struct stat st;
        if (strcmp(argv[i], "--smoke") == 0) {
            smoke = true;
        } else if (stat(argv[i], &st) != 0) {
            fprintf(stderr, "no such corpus: %s\n", argv[i]);
            return 1;
        } else if (S_ISDIR(st.st_mode)) {
            run_folder(argv[i]);
        } else {
            run_file(argv[i]);
        }
    }
    printf("%zu inputs\n", inputs);
    return inputs == 0;
}

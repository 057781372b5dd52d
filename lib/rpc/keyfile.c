/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/rpc/keyfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zmq.h>

#include "lib/base/config.h"
#include "lib/base/log.h"

static const char *const ages[KEY_AGES] = { "current", "next", "previous" };

static enum err make_path(const char *folder, const char *name, const char *end,
                          char out[static KEY_PATH_MAX])
{
    int len = snprintf(out, KEY_PATH_MAX, "%s/%s%s", folder, name, end);
    return len < 0 || len >= KEY_PATH_MAX ? ERR_TOO_BIG : OK;
}

enum err keyfile_path(const char *folder, enum rpc_role role, char out[static KEY_PATH_MAX])
{
    return make_path(folder, rpc_role_name(role), ".key", out);
}

enum err keyfile_public_path(const char *folder, char out[static KEY_PATH_MAX])
{
    return make_path(folder, "cluster", ".pub", out);
}

/* ---- keys */

void key_pair_make(struct key_pair *out)
{
    if (zmq_curve_keypair(out->public, out->secret) != 0)
        log_fatal("keys", "ZeroMQ was built without CURVE");
}

static bool is_key(const char *text)
{
    uint8_t bytes[32];
    return strlen(text) == KEY_TEXT_SIZE - 1 && zmq_z85_decode(bytes, text) != NULL;
}

static bool is_pair(const struct key_pair *pair)
{
    char public[KEY_TEXT_SIZE];
    return is_key(pair->public) && is_key(pair->secret) && zmq_curve_public(public, pair->secret) == 0 &&
           strcmp(public, pair->public) == 0;
}

enum rpc_role public_keys_find(const struct public_keys *keys, const char *key)
{
    for (int role = RPC_ROLE_NONE + 1; role < RPC_ROLE_COUNT; role++) {
        for (int age = 0; age < KEY_AGES; age++) {
            if (keys->keys[role][age][0] != '\0' && strcmp(keys->keys[role][age], key) == 0)
                return (enum rpc_role)role;
        }
    }
    return RPC_ROLE_NONE;
}

/* ---- reading */

struct pair_text {
    char *public, *secret;
};
struct role_file {
    char *role;
    struct pair_text current, next, previous;
};

#define PAIR_KEYS(age, fallback)                                                                  \
    CONFIG_KEY_STRING(struct role_file, age.public, #age ".public", fallback, "public key, Z85"), \
        CONFIG_KEY_STRING(struct role_file, age.secret, #age ".secret", fallback, "secret key, Z85")

static const struct config_key role_file_keys[] = {
    CONFIG_KEY_STRING(struct role_file, role, "role", CONFIG_REQUIRED, "whose keys these are"),
    PAIR_KEYS(current, CONFIG_REQUIRED),
    PAIR_KEYS(next, ""),
    PAIR_KEYS(previous, ""),
};
static const struct config_table role_file_table = CONFIG_TABLE(struct role_file, role_file_keys);

struct public_text {
    char *current, *next, *previous;
};
struct public_file {
    struct public_text roles[RPC_ROLE_COUNT];
};

#define PUBLIC_KEYS(role, name)                                                                       \
    CONFIG_KEY_STRING(struct public_file, roles[role].current, name ".current", CONFIG_REQUIRED,      \
                      "public key, Z85"),                                                             \
        CONFIG_KEY_STRING(struct public_file, roles[role].next, name ".next", "", "public key, Z85"), \
        CONFIG_KEY_STRING(struct public_file, roles[role].previous, name ".previous", "", "public key, Z85")

static const struct config_key public_file_keys[] = {
    PUBLIC_KEYS(RPC_ROLE_FRONTEND, "frontend"),
    PUBLIC_KEYS(RPC_ROLE_STORAGE_NODE, "storage-node"),
    PUBLIC_KEYS(RPC_ROLE_DIRECTOR, "director"),
    PUBLIC_KEYS(RPC_ROLE_CTL, "ctl"),
};
static const struct config_table public_file_table = CONFIG_TABLE(struct public_file, public_file_keys);

static void take_text(char out[static KEY_TEXT_SIZE], const char *text)
{
    /* One that is too long stays too long for is_key: it is no key either way. */
    snprintf(out, KEY_TEXT_SIZE, "%s", strlen(text) < KEY_TEXT_SIZE ? text : "?");
}

static enum err take_role_file(const char *name, enum rpc_role role, const struct role_file *file,
                               struct role_keys *out, struct buf *errors)
{
    const struct pair_text *texts[KEY_AGES] = { &file->current, &file->next, &file->previous };
    enum err err = OK;
    *out = (struct role_keys){ 0 };
    if (rpc_role_find(file->role) != role) {
        buf_addf(errors, "%s: these are keys of the role \"%s\", not %s\n", name, file->role,
                 rpc_role_name(role));
        err = ERR_INVALID;
    }
    for (int age = 0; age < KEY_AGES; age++) {
        struct key_pair *pair = &out->pairs[age];
        take_text(pair->public, texts[age]->public);
        take_text(pair->secret, texts[age]->secret);
        bool none = age != KEY_CURRENT && pair->public[0] == '\0' && pair->secret[0] == '\0';
        if (!none && !is_pair(pair)) {
            buf_addf(errors, "%s: %s: no keys, or not a pair\n", name, ages[age]);
            err = ERR_INVALID;
        }
    }
    return err;
}

static enum err take_public_file(const char *name, const struct public_file *file, struct public_keys *out,
                                 struct buf *errors)
{
    enum err err = OK;
    *out = (struct public_keys){ 0 };
    for (int role = RPC_ROLE_NONE + 1; role < RPC_ROLE_COUNT; role++) {
        const char *const texts[KEY_AGES] = { file->roles[role].current, file->roles[role].next,
                                              file->roles[role].previous };
        for (int age = 0; age < KEY_AGES; age++) {
            char key[KEY_TEXT_SIZE];
            take_text(key, texts[age]);
            if (age != KEY_CURRENT && key[0] == '\0')
                continue;
            /* A key that speaks for two roles would speak for the more powerful one. */
            bool twice = public_keys_find(out, key) != RPC_ROLE_NONE;
            if (!is_key(key) || twice) {
                buf_addf(errors, "%s: %s.%s: %s\n", name, rpc_role_name((enum rpc_role)role), ages[age],
                         twice ? "there is the same key elsewhere" : "no key");
                err = ERR_INVALID;
            }
            memcpy(out->keys[role][age], key, sizeof key);
        }
    }
    return err;
}

enum err keyfile_read(const char *folder, enum rpc_role role, struct role_keys *out, struct buf *errors)
{
    char path[KEY_PATH_MAX];
    struct role_file file;
    TRY(keyfile_path(folder, role, path));
    enum err err = config_load(&role_file_table, path, &file, errors);
    if (err == OK)
        err = take_role_file(path, role, &file, out, errors);
    config_fini(&role_file_table, &file);
    return err;
}

enum err keyfile_parse(const char *name, enum rpc_role role, struct slice text, struct role_keys *out,
                       struct buf *errors)
{
    struct role_file file;
    enum err err = config_load_text(&role_file_table, name, text, &file, errors);
    if (err == OK)
        err = take_role_file(name, role, &file, out, errors);
    config_fini(&role_file_table, &file);
    return err;
}

enum err keyfile_read_public(const char *folder, struct public_keys *out, struct buf *errors)
{
    char path[KEY_PATH_MAX];
    struct public_file file;
    TRY(keyfile_public_path(folder, path));
    enum err err = config_load(&public_file_table, path, &file, errors);
    if (err == OK)
        err = take_public_file(path, &file, out, errors);
    config_fini(&public_file_table, &file);
    return err;
}

enum err keyfile_parse_public(const char *name, struct slice text, struct public_keys *out,
                              struct buf *errors)
{
    struct public_file file;
    enum err err = config_load_text(&public_file_table, name, text, &file, errors);
    if (err == OK)
        err = take_public_file(name, &file, out, errors);
    config_fini(&public_file_table, &file);
    return err;
}

/* ---- writing */

static enum err write_all(int fd, struct slice text)
{
    while (text.len > 0) {
        ssize_t n = write(fd, text.data, text.len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return ERR_IO;
        text = slice_sub(text, (size_t)n, text.len);
    }
    return fsync(fd) == 0 ? OK : ERR_IO;
}

static enum err sync_folder(const char *folder)
{
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    enum err err = fd >= 0 && fsync(fd) == 0 ? OK : ERR_IO;
    if (fd >= 0)
        close(fd);
    return err;
}

static enum err replace(const char *folder, const char *path, mode_t mode, struct slice text)
{
    char fresh[KEY_PATH_MAX + 8];
    snprintf(fresh, sizeof fresh, "%s.new", path);
    unlink(fresh); /* of an earlier try, perhaps with other rights */
    int fd = open(fresh, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    if (fd < 0)
        return ERR_IO;
    enum err err = fchmod(fd, mode) == 0 ? write_all(fd, text) : ERR_IO;
    close(fd);
    if (err == OK && rename(fresh, path) != 0)
        err = ERR_IO;
    return err == OK ? sync_folder(folder) : err;
}

enum err keyfile_write(const char *folder, enum rpc_role role, const struct role_keys *keys)
{
    char path[KEY_PATH_MAX];
    struct buf text = { 0 };
    TRY(keyfile_path(folder, role, path));
    buf_addf(&text,
             "// CURVE keys of Tern's role %s: for its programs alone. Made by ternctl keys; see "
             "cluster.pub.\nrole = \"%s\";\n",
             rpc_role_name(role), rpc_role_name(role));
    for (int age = 0; age < KEY_AGES; age++) {
        const struct key_pair *pair = &keys->pairs[age];
        if (pair->public[0] != '\0')
            buf_addf(&text, "%s: { public = \"%s\"; secret = \"%s\"; };\n", ages[age], pair->public,
                     pair->secret);
    }
    enum err err = replace(folder, path, 0600, buf_slice(&text));
    buf_fini(&text);
    return err;
}

enum err keyfile_write_public(const char *folder, const struct public_keys *keys)
{
    char path[KEY_PATH_MAX];
    struct buf text = { 0 };
    TRY(keyfile_public_path(folder, path));
    buf_add_str(&text,
                "// Public CURVE keys of Tern's roles: whom every program of this cluster takes. Made by "
                "ternctl keys.\n");
    for (int role = RPC_ROLE_NONE + 1; role < RPC_ROLE_COUNT; role++) {
        buf_addf(&text, "%s: {", rpc_role_name((enum rpc_role)role));
        for (int age = 0; age < KEY_AGES; age++) {
            if (keys->keys[role][age][0] != '\0')
                buf_addf(&text, " %s = \"%s\";", ages[age], keys->keys[role][age]);
        }
        buf_add_str(&text, " };\n");
    }
    enum err err = replace(folder, path, 0644, buf_slice(&text));
    buf_fini(&text);
    return err;
}

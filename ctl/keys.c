/* SPDX-License-Identifier: Apache-2.0 */
/* The keys by which programs know each other: files in a folder (lib/rpc/keyfile.h), no cluster needed. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ctl/command.h"
#include "lib/rpc/keyfile.h"

static const char *const ages[KEY_AGES] = { "current", "next", "previous" };

/* The keys of all roles. Secret keys: wiped by those who fill it. */
struct folder {
    struct role_keys roles[RPC_ROLE_COUNT];
    struct public_keys public;
};

static enum ctl_exit fail_to_write(const char *folder)
{
    return ctl_refuse(CTL_FAILED, folder, strerror(errno), "The folder must exist and be yours.");
}

static void publish(struct folder *keys)
{
    keys->public = (struct public_keys){ 0 };
    for (int role = RPC_ROLE_NONE + 1; role < RPC_ROLE_COUNT; role++) {
        for (int age = 0; age < KEY_AGES; age++)
            memcpy(keys->public.keys[role][age], keys->roles[role].pairs[age].public, KEY_TEXT_SIZE);
    }
}

static enum err write_roles(const char *folder, const struct folder *keys)
{
    for (int role = RPC_ROLE_NONE + 1; role < RPC_ROLE_COUNT; role++)
        TRY(keyfile_write(folder, (enum rpc_role)role, &keys->roles[role]));
    return OK;
}

/* ---- keys generate */

static bool is_there(const char *folder)
{
    char path[KEY_PATH_MAX];
    bool found = keyfile_public_path(folder, path) == OK && access(path, F_OK) == 0;
    for (int role = RPC_ROLE_NONE + 1; role < RPC_ROLE_COUNT; role++)
        found |= keyfile_path(folder, (enum rpc_role)role, path) == OK && access(path, F_OK) == 0;
    return found;
}

enum ctl_exit keys_generate(struct ctl *ctl)
{
    const char *folder = ctl->arguments[0];
    struct folder keys = { 0 };
    if (mkdir(folder, 0700) != 0 && errno != EEXIST)
        return fail_to_write(folder);
    if (is_there(folder))
        return ctl_refuse(
            CTL_FAILED, folder, "there are keys already",
            "To exchange them: ternctl keys rotate. To begin anew, of a cluster that does not run, "
            "remove them first.");
    for (int role = RPC_ROLE_NONE + 1; role < RPC_ROLE_COUNT; role++)
        key_pair_make(&keys.roles[role].pairs[KEY_CURRENT]);
    publish(&keys);
    enum err err = write_roles(folder, &keys);
    if (err == OK)
        err = keyfile_write_public(folder, &keys.public);
    explicit_bzero(&keys, sizeof keys);
    if (err != OK)
        return fail_to_write(folder);
    printf("Made frontend.key, storage-node.key, director.key, ctl.key (secret) and cluster.pub in %s.\n"
           "Give each machine cluster.pub and the .key of what runs there, readable by its user alone, and "
           "name the\n"
           "folder in its configuration: keys = \"DIR\". ternctl needs ctl.key: --keys DIR or TERN_KEYS.\n",
           folder);
    return CTL_OK;
}

/* ---- reading */

static bool read_public(const char *folder, struct public_keys *out)
{
    struct buf errors = { 0 };
    enum err err = keyfile_read_public(folder, out, &errors);
    if (err != OK)
        fprintf(stderr, "ternctl: %s%s", folder, errors.len > 0 ? ":\n" : "\n");
    if (err != OK && errors.len > 0)
        fputs(buf_cstr(&errors), stderr);
    if (err == ERR_NOT_FOUND)
        fprintf(stderr, "Make them: ternctl keys generate %s\n", folder);
    buf_fini(&errors);
    return err == OK;
}

static bool read_all(const char *folder, struct folder *out)
{
    struct buf errors = { 0 };
    enum err err = OK;
    if (!read_public(folder, &out->public))
        return false;
    for (int role = RPC_ROLE_NONE + 1; err == OK && role < RPC_ROLE_COUNT; role++)
        err = keyfile_read(folder, (enum rpc_role)role, &out->roles[role], &errors);
    if (err != OK)
        fprintf(stderr, "ternctl: %s\nRotating needs the folder with the keys of all roles.\n",
                errors.len > 0 ? buf_cstr(&errors) : folder);
    buf_fini(&errors);
    return err == OK;
}

/* ---- keys list */

enum ctl_exit keys_list(struct ctl *ctl)
{
    struct public_keys keys;
    struct json json = { 0 };
    struct buf rows = { 0 };
    if (!read_public(ctl->arguments[0], &keys))
        return CTL_FAILED;
    buf_add_str(&rows, "ROLE\tWHICH\tPUBLIC KEY\n");
    json_open(&json, NULL, '[');
    for (int role = RPC_ROLE_NONE + 1; role < RPC_ROLE_COUNT; role++) {
        for (int age = 0; age < KEY_AGES; age++) {
            const char *key = keys.keys[role][age];
            if (key[0] == '\0')
                continue;
            json_open(&json, NULL, '{');
            json_text(&json, "role", slice_str(rpc_role_name((enum rpc_role)role)));
            json_text(&json, "which", slice_str(ages[age]));
            json_text(&json, "public", slice_str(key));
            json_close(&json, '}');
            buf_addf(&rows, "%s\t%s\t%s\n", rpc_role_name((enum rpc_role)role), ages[age], key);
        }
    }
    json_close(&json, ']');
    return ctl_print_list(ctl, &json, &rows);
}

/* ---- keys rotate
 *
 * Three steps, each good for every role at once, and each fitting the one before and the one after (see
 * keyfile.h): 1  current         -> current + next      everybody takes the next keys; servers also serve
 * with them 2  current + next  -> current + previous  next became current: everybody speaks with them 3
 * current + previous -> current          nobody takes the old ones any more
 */

/* What a role has beside its current pair; KEY_CURRENT: nothing. */
static enum key_age extra_of_role(const struct role_keys *keys)
{
    for (int age = KEY_NEXT; age < KEY_AGES; age++) {
        if (keys->pairs[age].public[0] != '\0')
            return (enum key_age)age;
    }
    return KEY_CURRENT;
}

/* What the step begins with. Where the last one was interrupted some roles have made it and some have not: it
 * is made again, for these. */
static enum key_age extra_of(const struct folder *keys)
{
    bool has[KEY_AGES] = { false };
    for (int role = RPC_ROLE_NONE + 1; role < RPC_ROLE_COUNT; role++)
        has[extra_of_role(&keys->roles[role])] = true;
    if (has[KEY_CURRENT] && !has[KEY_PREVIOUS])
        return KEY_CURRENT;
    return has[KEY_NEXT] ? KEY_NEXT : KEY_PREVIOUS;
}

static void step(struct role_keys *keys, enum key_age extra)
{
    struct key_pair *pairs = keys->pairs;
    if (extra == KEY_CURRENT) {
        key_pair_make(&pairs[KEY_NEXT]);
    } else if (extra == KEY_NEXT) {
        pairs[KEY_PREVIOUS] = pairs[KEY_CURRENT];
        pairs[KEY_CURRENT] = pairs[KEY_NEXT];
        explicit_bzero(&pairs[KEY_NEXT], sizeof pairs[KEY_NEXT]);
    } else {
        explicit_bzero(&pairs[KEY_PREVIOUS], sizeof pairs[KEY_PREVIOUS]);
    }
}

/* The allow-list is written first where it grows and last where it shrinks, so that a program that reads in
 * between finds itself on it. */
static enum err write_step(const char *folder, const struct folder *keys, bool shrinks)
{
    if (!shrinks)
        TRY(keyfile_write_public(folder, &keys->public));
    TRY(write_roles(folder, keys));
    return shrinks ? keyfile_write_public(folder, &keys->public) : OK;
}

static void print_step(enum key_age extra, const char *folder)
{
    static const char *const done[KEY_AGES] = {
        [KEY_CURRENT] = "Step 1 of 3: each role has a next key. Nobody uses it yet.",
        [KEY_NEXT] = "Step 2 of 3: the next keys are the current ones. The old ones are still good.",
        [KEY_PREVIOUS] = "Step 3 of 3: the old keys are no longer good. The exchange is done.",
    };
    printf("%s\nNow bring the files to every machine (each its .key and cluster.pub), and send every "
           "tern-director,\n"
           "tern-storage-node and tern-frontend a SIGHUP; each logs \"keys read again\".\n",
           done[extra]);
    if (extra != KEY_PREVIOUS)
        printf("When all have done so%s: ternctl keys rotate %s\n",
               extra == KEY_NEXT ? ", and a minute later" : "", folder);
}

enum ctl_exit keys_rotate(struct ctl *ctl)
{
    const char *folder = ctl->arguments[0];
    struct folder keys = { 0 };
    bool good = read_all(folder, &keys);
    enum err err = OK;
    if (good) {
        enum key_age extra = extra_of(&keys);
        for (int role = RPC_ROLE_NONE + 1; role < RPC_ROLE_COUNT; role++) {
            if (extra_of_role(&keys.roles[role]) == extra)
                step(&keys.roles[role], extra);
        }
        publish(&keys);
        err = write_step(folder, &keys, extra == KEY_PREVIOUS);
        if (err == OK)
            print_step(extra, folder);
    }
    explicit_bzero(&keys, sizeof keys);
    if (!good)
        return CTL_FAILED;
    return err == OK ? CTL_OK : fail_to_write(folder);
}

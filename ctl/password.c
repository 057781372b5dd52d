/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/password.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/rand.h"
#include "lib/fiber/work.h"
#include "lib/mail/credential.h"

/* PBKDF2 is slow by design: on the thread pool. */
struct making {
    struct slice password, salt;
    struct scram_keys keys;
    enum err err;
};

static void make_keys(void *arg)
{
    struct making *m = arg;
    m->err = scram_make_keys(m->password, m->salt, CREDENTIAL_ITERATIONS_DEFAULT, &m->keys);
}

static enum err make_scram(struct ctl *ctl, struct slice password, struct account_credential *out)
{
    struct making *m = ARENA_NEW(&ctl->arena, struct making);
    uint8_t salt[CREDENTIAL_SALT_SIZE];
    rand_bytes(salt, sizeof salt);
    m->password = password;
    m->salt = arena_slice(&ctl->arena, slice_of(salt, sizeof salt));
    TRY(work_run(make_keys, m));
    TRY(m->err);
    *out = (struct account_credential){ .scheme = CREDENTIAL_SCRAM_SHA_256,
                                        .salt = m->salt,
                                        .stored_key = slice_of(m->keys.stored_key, sizeof m->keys.stored_key),
                                        .server_key = slice_of(m->keys.server_key, sizeof m->keys.server_key),
                                        .iterations = CREDENTIAL_ITERATIONS_DEFAULT };
    return OK;
}

/* One line; longer than any password is refused by who makes the keys. */
static bool read_line(struct ctl *ctl, struct slice *out)
{
    char line[CTL_PASSWORD_MAX + 3];
    if (isatty(STDIN_FILENO))
        fprintf(stderr, "Password (visible; better from a pipe): ");
    if (fgets(line, sizeof line, stdin) == NULL)
        return false;
    size_t len = strcspn(line, "\r\n");
    *out = arena_slice(&ctl->arena, slice_of(line, len));
    explicit_bzero(line, sizeof line);
    return true;
}

static enum ctl_exit from_stdin(struct ctl *ctl, const char *what, struct account_credential *out)
{
    struct slice password;
    if (!read_line(ctl, &password)) {
        return ctl_refuse(CTL_FAILED, what, "no password on standard input",
                          "printf '%s\\n' \"$PASSWORD\" | ternctl ...");
    }
    enum err err = make_scram(ctl, password, out);
    explicit_bzero((void *)password.data, password.len);
    if (err == ERR_INVALID)
        return ctl_refuse(CTL_FAILED, what, "a password has 1 to 1024 bytes", NULL);
    return err == OK ? CTL_OK : ctl_fail(ctl, err, what);
}

static enum ctl_exit from_hash(struct ctl *ctl, const char *what, struct account_credential *out)
{
    struct slice hash = slice_str(ctl->password_hash);
    if (!hash_is_supported(hash))
        return ctl_refuse(
            CTL_FAILED, what, "no hash that can be verified here",
            "Give a crypt(3) hash ($6$..., $y$..., $2b$...) or $argon2id$..., as the old system stores it.");
    bool argon2 = slice_starts(hash, SLICE_LIT("$argon2"));
    *out =
        (struct account_credential){ .scheme = argon2 ? CREDENTIAL_ARGON2 : CREDENTIAL_CRYPT, .hash = hash };
    return CTL_OK;
}

enum ctl_exit password_read_credential(struct ctl *ctl, const char *what, struct account_credential *out)
{
    if (ctl->given & CTL_PASSWORD_STDIN)
        return from_stdin(ctl, what, out);
    if (ctl->given & CTL_PASSWORD_HASH)
        return from_hash(ctl, what, out);
    return ctl_refuse(
        CTL_USAGE, what, "no password",
        "Say --password-stdin (one line on standard input), or --password-hash HASH to import one.");
}

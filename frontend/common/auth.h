/* SPDX-License-Identifier: Apache-2.0 */
/* Proving who a user is, for all three protocols: SASL mechanisms PLAIN, LOGIN and SCRAM-SHA-256 (RFC 4616,
 * 5802, 7677) and plain name/password commands. Slow hashes run on the thread pool; successes are cached
 * under a key of this process, bound to the credential's version, so that the next login with the same
 * password costs one hash. A failure is answered only after AUTH_FAIL_DELAY_MS, whatever its cause. */
#ifndef FRONTEND_COMMON_AUTH_H
#define FRONTEND_COMMON_AUTH_H

#include "lib/base/arena.h"
#include "lib/base/buf.h"
#include "lib/base/err.h"
#include "lib/store/account.h"

enum {
    AUTH_RESPONSE_MAX = 12 * 1024,
    AUTH_FAIL_DELAY_MS = 1000,
    AUTH_FAILURES_MAX = 5 /* a session's, then it is closed */,
    AUTH_CACHE_MAX = 20000 /* remembered successes */
};

struct auth; /* a loop's: credentials cache */
struct auth *auth_new(struct store *store);
void auth_free(struct auth **auth);

/* LOGIN, USER/PASS. `user` is an address as typed (normalised here; a subaddress tag is not allowed). On
 * success *out (in the arena). ERR_AUTH: wrong name or password (which, is not said; the delay has passed
 * already), ERR_SUSPENDED, or the store's errors. Yields. */
MUST_CHECK enum err auth_password(struct auth *auth, struct slice user, struct slice password,
                                  struct arena *arena, struct account *out);

/* One SASL exchange. */
struct auth_sasl;
/* The mechanisms, as the protocols list them: {"SCRAM-SHA-256", "PLAIN", "LOGIN"}; plaintext ones only if
 * `allow_plain`. */
const char *const *auth_mechanisms(bool allow_plain);
/* ERR_UNSUPPORTED: no such mechanism (or a plaintext one where it is not allowed). */
MUST_CHECK enum err auth_sasl_start(struct auth *auth, struct slice mechanism, bool allow_plain,
                                    struct auth_sasl **out);
/* Feed the client's next message (raw, base64 already removed; `has_data` false: the client sent no initial
 * response). OK with *done_out false: send `challenge` (raw) and feed the answer. OK with *done_out true:
 * authenticated; `challenge` may hold final server data. ERR_AUTH, ERR_SUSPENDED, ERR_SYNTAX (malformed
 * message) or the store's errors: the exchange has ended. Yields. */
MUST_CHECK enum err auth_sasl_step(struct auth_sasl *sasl, struct slice client, bool has_data,
                                   struct buf *challenge, bool *done_out);
/* A whole exchange in base64 lines, as SMTP and POP3 have it. `initial` is the client's initial response as
 * written ("=" is an empty one; empty: none). `ask` sends a challenge (already base64, NUL-terminated) and
 * reads the client's line, valid until the next ask. A line "*" ends it with ERR_CANCELLED. Final server data
 * is sent as one more challenge with an empty answer. Otherwise as auth_sasl_step, or ask's error. Yields. */
typedef enum err auth_ask(void *arg, const char *challenge, struct slice *line_out);
MUST_CHECK enum err auth_sasl_run(struct auth_sasl *sasl, struct slice initial, auth_ask *ask, void *arg);
/* Who it was, after done (in the arena). */
void auth_sasl_account(const struct auth_sasl *sasl, struct arena *arena, struct account *out);
void auth_sasl_free(struct auth_sasl **sasl);

#endif

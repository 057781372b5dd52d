/* SPDX-License-Identifier: Apache-2.0 */
/* One list of errors for the whole system. Every function that can fail returns `enum err`; OK is zero.
 * The class decides what a session tells its client and what the store client does next; each protocol
 * has one file that turns an `enum err` into its own replies. */
#ifndef LIB_BASE_ERR_H
#define LIB_BASE_ERR_H

enum err_class {
    ERR_CLASS_OK,
    ERR_CLASS_CALLER,    /* the caller's fault: told to the caller, no error in the log */
    ERR_CLASS_ROUTING,   /* the request went to the wrong place: handled in the store client, seen by nobody
                            else */
    ERR_CLASS_TEMPORARY, /* not now: the same request may succeed later; nothing happened */
    ERR_CLASS_IN_DOUBT,  /* a write whose result is unknown: never report it as "nothing happened" */
    ERR_CLASS_SYSTEM,    /* our fault: logged once where it was found, with a reference the user is shown */
};

/* X(name, class, text) - numbers travel on the wire: append only, never reorder. */
#define ERR_LIST(X)                                                           \
    X(OK, OK, "success")                                                      \
    X(ERR_INVALID, CALLER, "invalid request")                                 \
    X(ERR_NOT_FOUND, CALLER, "not found")                                     \
    X(ERR_EXISTS, CALLER, "already exists")                                   \
    X(ERR_DENIED, CALLER, "permission denied")                                \
    X(ERR_AUTH, CALLER, "authentication failed")                              \
    X(ERR_TOO_BIG, CALLER, "too large")                                       \
    X(ERR_LIMIT, CALLER, "a limit is reached")                                \
    X(ERR_OVER_QUOTA, CALLER, "over quota")                                   \
    X(ERR_CONFLICT, CALLER, "changed meanwhile")                              \
    X(ERR_NOT_EMPTY, CALLER, "not empty")                                     \
    X(ERR_IN_USE, CALLER, "in use")                                           \
    X(ERR_UNSUPPORTED, CALLER, "not supported")                               \
    X(ERR_SUSPENDED, CALLER, "account suspended")                             \
    X(ERR_SYNTAX, CALLER, "syntax error")                                     \
    X(ERR_NO_DOMAIN, CALLER, "no such domain here")                           \
    X(ERR_NOT_PRIMARY, ROUTING, "not the primary of that partition")          \
    X(ERR_STALE_MAP, ROUTING, "the map is out of date")                       \
    X(ERR_UNAVAILABLE, TEMPORARY, "temporarily unavailable")                  \
    X(ERR_BUSY, TEMPORARY, "too busy")                                        \
    X(ERR_TIMEOUT, TEMPORARY, "timed out")                                    \
    X(ERR_EXPIRED, TEMPORARY, "the request is older than what is remembered") \
    X(ERR_CLOSED, TEMPORARY, "connection closed")                             \
    X(ERR_CANCELLED, TEMPORARY, "cancelled")                                  \
    X(ERR_IN_DOUBT, IN_DOUBT, "result unknown")                               \
    X(ERR_IO, SYSTEM, "input/output error")                                   \
    X(ERR_NO_SPACE, SYSTEM, "out of disk space")                              \
    X(ERR_CORRUPT, SYSTEM, "stored data is damaged")                          \
    X(ERR_PROTOCOL, SYSTEM, "protocol violation between nodes")               \
    X(ERR_INTERNAL, SYSTEM, "internal error")                                 \
    X(ERR_UIDVALIDITY, CALLER, "the mailbox has a new UIDVALIDITY")

enum err {
#define ERR_ENUM_(name, class, text) name,
    ERR_LIST(ERR_ENUM_)
#undef ERR_ENUM_
        ERR_COUNT
};

#define MUST_CHECK __attribute__((warn_unused_result))

/* The symbol ("ERR_OVER_QUOTA"), the class and a short lower-case English text. Total over all ints:
 * a number from a newer peer is named "ERR_UNKNOWN" and has class ERR_CLASS_SYSTEM. */
const char *err_name(enum err err);
enum err_class err_class(enum err err);
const char *err_text(enum err err);

/* Return early with the error; use TRY_GOTO where something must be undone (needs a local `enum err err`). */
#define TRY(expr)                   \
    do {                            \
        enum err try_err_ = (expr); \
        if (try_err_ != OK)         \
            return try_err_;        \
    } while (0)
#define TRY_GOTO(expr, label) \
    do {                      \
        err = (expr);         \
        if (err != OK)        \
            goto label;       \
    } while (0)

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/ops/privileges.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "lib/base/log.h"

static enum err find_user(const char *user, const struct passwd **out)
{
    errno = 0;
    const struct passwd *pw = getpwnam(user);
    if (pw == NULL) {
        log_error("privileges", "no such user: %s (set user = \"\" to stay who started the program)", user);
        return ERR_NOT_FOUND;
    }
    *out = pw;
    return OK;
}

enum err privileges_check(const char *user)
{
    const struct passwd *pw;
    if (user[0] == '\0')
        return OK;
    TRY(find_user(user, &pw));
    if (geteuid() != 0 && geteuid() != pw->pw_uid) {
        log_error("privileges", "only root can become %s (set user = \"\" to stay who started the program)",
                  user);
        return ERR_DENIED;
    }
    return OK;
}

static enum err become(const struct passwd *pw)
{
    if (initgroups(pw->pw_name, pw->pw_gid) != 0 || setresgid(pw->pw_gid, pw->pw_gid, pw->pw_gid) != 0 ||
        setresuid(pw->pw_uid, pw->pw_uid, pw->pw_uid) != 0) {
        log_error("privileges", "cannot become %s: %s", pw->pw_name, strerror(errno));
        return ERR_INTERNAL;
    }
    if (pw->pw_uid != 0 && setuid(0) == 0) {
        log_error("privileges", "could become root again after becoming %s", pw->pw_name);
        return ERR_INTERNAL;
    }
    return OK;
}

enum err privileges_drop(const char *user)
{
    const struct passwd *pw;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        log_warn("privileges", "no_new_privs: %s", strerror(errno));
    if (user[0] == '\0')
        return OK;
    TRY(privileges_check(user));
    TRY(find_user(user, &pw));
    if (geteuid() == pw->pw_uid && getuid() == pw->pw_uid)
        return OK;
    TRY(become(pw));
    log_info("privileges", "running as %s", user);
    return OK;
}

enum err privileges_own(const char *user, const char *path)
{
    const struct passwd *pw;
    if (user[0] == '\0' || geteuid() != 0)
        return OK;
    TRY(find_user(user, &pw));
    if (chown(path, pw->pw_uid, pw->pw_gid) != 0) {
        log_error("privileges", "cannot give %s to %s: %s", path, user, strerror(errno));
        return ERR_IO;
    }
    return OK;
}

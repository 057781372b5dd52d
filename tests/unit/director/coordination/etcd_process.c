/* SPDX-License-Identifier: Apache-2.0 */
#include "etcd_process.h"

#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHECK(condition)                                                    \
    do {                                                                    \
        if (!(condition)) {                                                 \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
            abort();                                                        \
        }                                                                   \
    } while (0)

bool etcds_are_installed(void)
{
    return system("command -v etcd >/dev/null && command -v etcdctl >/dev/null") == 0;
}

/* On a loopback address of this process's own, where nobody else takes a port, outgoing connections neither.
 */
void etcds_free_url(char out[64])
{
    static unsigned port = 20000;
    unsigned pid = (unsigned)getpid(); /* at most 22 bits */
    snprintf(out, 64, "http://127.%u.%u.%u:%u", 64 + (pid >> 16), pid >> 8 & 255, pid & 255, port++);
}

static void run(struct etcds *etcds, size_t i, const char *client)
{
    char name[16], data[128], log[128], cluster[512] = "";
    snprintf(name, sizeof name, "e%zu", i);
    snprintf(data, sizeof data, "%s/%s", etcds->folder, name);
    snprintf(log, sizeof log, "%s/%s.log", etcds->folder, name);
    for (size_t k = 0; k < etcds->count; k++)
        snprintf(cluster + strlen(cluster), sizeof cluster - strlen(cluster), "%se%zu=%s", k == 0 ? "" : ",",
                 k, etcds->peers[k]);
    pid_t parent = getpid();
    etcds->pids[i] = fork();
    CHECK(etcds->pids[i] >= 0);
    if (etcds->pids[i] > 0)
        return;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    int out = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);
    if (getppid() != parent || out < 0)
        _exit(1);
    dup2(out, 1);
    dup2(out, 2);
    execlp("etcd", "etcd", "--name", name, "--data-dir", data, "--listen-client-urls", client,
           "--advertise-client-urls", client, "--listen-peer-urls", etcds->peers[i],
           "--initial-advertise-peer-urls", etcds->peers[i], "--initial-cluster", cluster,
           "--initial-cluster-state", "new", "--logger", "zap", (char *)NULL);
    _exit(1);
}

void etcds_start(struct etcds *etcds, size_t count)
{
    *etcds = (struct etcds){ .count = count };
    strcpy(etcds->folder, "/tmp/etcd_test_XXXXXX");
    CHECK(mkdtemp(etcds->folder) != NULL);
    for (size_t i = 0; i < count; i++) {
        etcds_free_url(etcds->clients[i]);
        etcds_free_url(etcds->peers[i]);
        etcds->endpoints[i] = etcds->clients[i];
    }
    for (size_t i = 0; i < count; i++)
        run(etcds, i, etcds->clients[i]);
}

void etcds_restart(struct etcds *etcds, size_t i, const char *elsewhere)
{
    CHECK(etcds->pids[i] == 0);
    run(etcds, i, elsewhere != NULL ? elsewhere : etcds->clients[i]);
}

void etcds_signal(struct etcds *etcds, size_t i, int signal)
{
    CHECK(etcds->pids[i] > 0);
    kill(etcds->pids[i], signal);
    if (signal != SIGKILL)
        return;
    waitpid(etcds->pids[i], NULL, 0);
    etcds->pids[i] = 0;
}

void etcds_stop(struct etcds *etcds)
{
    for (size_t i = 0; i < etcds->count; i++) {
        if (etcds->pids[i] > 0)
            etcds_signal(etcds, i, SIGKILL);
    }
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", etcds->folder);
    CHECK(system(command) == 0);
}

void etcds_shell(struct etcds *etcds, const char *format, ...)
{
    char line[1024], command[1200];
    va_list ap;
    va_start(ap, format);
    vsnprintf(line, sizeof line, format, ap);
    va_end(ap);
    snprintf(command, sizeof command, "cd %s && ( %s ) >shell.log 2>&1", etcds->folder, line);
    CHECK(system(command) == 0);
}

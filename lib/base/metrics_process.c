/* SPDX-License-Identifier: Apache-2.0 */
/* The figures every process has, under the names Prometheus' own client libraries give them. */
#include <dirent.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/metrics.h"

static double started_seconds;

static double read_started(void *arg)
{
    return started_seconds;
}

static double read_cpu_seconds(void *arg)
{
    struct rusage usage;
    if (getrusage(RUSAGE_SELF, &usage) != 0)
        return 0;
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1e-6;
}

static double read_resident_bytes(void *arg)
{
    long total = 0, resident = 0;
    FILE *f = fopen("/proc/self/statm", "re");
    if (f == NULL)
        return 0;
    if (fscanf(f, "%ld %ld", &total, &resident) != 2)
        resident = 0;
    fclose(f);
    return (double)resident * (double)sysconf(_SC_PAGESIZE);
}

static double read_open_files(void *arg)
{
    double count = 0;
    DIR *dir = opendir("/proc/self/fd");
    if (dir == NULL)
        return 0;
    while (readdir(dir) != NULL)
        count++;
    closedir(dir);
    return count > 3 ? count - 3 : 0; /* ".", ".." and the folder itself */
}

static double read_max_files(void *arg)
{
    struct rlimit limit;
    return getrlimit(RLIMIT_NOFILE, &limit) == 0 ? (double)limit.rlim_cur : 0;
}

void metrics_register_process(const char *program)
{
    started_seconds = (double)clock_real_ms() / 1000;
    metrics_gauge_func("process_start_time_seconds", "When the process started, seconds since 1970", NULL,
                       read_started, NULL);
    metrics_counter_func("process_cpu_seconds_total", "CPU time used, user and system", NULL,
                         read_cpu_seconds, NULL);
    metrics_gauge_func("process_resident_memory_bytes", "Resident memory", NULL, read_resident_bytes, NULL);
    metrics_gauge_func("process_open_fds", "Open files", NULL, read_open_files, NULL);
    metrics_gauge_func("process_max_fds", "Most files that may be open", NULL, read_max_files, NULL);
    metric_set(metrics_gauge("tern_build_info", "Always 1; the labels say what runs",
                             METRIC_LABELS("program", program, "version", TERN_VERSION)),
               1);
}

/* SPDX-License-Identifier: MIT
 * peer.h -- a PyTorch script of this folder, where torch is installed: the environment's PEER names the Python, else
 * python3. Tuned: OpenMP's threads given, big blocks kept from going back to the system. */
#ifndef VL_BENCH_PEER_H
#define VL_BENCH_PEER_H

#include "tests/bench/network.h"

#include <string.h>

/* Three numbers that the script prints first, and what it says of itself behind them; false, and a word, where it
 * cannot run. */
static inline bool peer_run(const char *script, int threads, double number[3], char *about, size_t room)
{
    const char *python = getenv("PEER") ? getenv("PEER") : "python3", *torch;
    char command[1000], line[200] = "";
    bool ok;
    FILE *f;

    snprintf(command, sizeof command,
             "env -u OPENBLAS_CORETYPE OMP_NUM_THREADS=%d MALLOC_TRIM_THRESHOLD_=8000000000 "
             "MALLOC_TOP_PAD_=500000000 MALLOC_MMAP_THRESHOLD_=4000000000 "
             "'%s' tests/bench/%s %d",
             threads, python, script, threads);
    f = popen(command, "r");
    net_need(f != NULL, "popen");
    ok = fgets(line, sizeof line, f) &&
         sscanf(line, "%lf %lf %lf", &number[0], &number[1], &number[2]) == 3 &&
         (torch = strstr(line, "torch"));
    line[strcspn(line, "\n")] = 0;
    if (ok)
        snprintf(about, room, "%s", torch);
    else
        printf("PyTorch, %s: skipped: %s\n", script, *line ? line : "no answer");
    pclose(f);
    return ok;
}

#endif

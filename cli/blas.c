/* SPDX-License-Identifier: MIT
 * blas.c -- why a second exec: OpenBLAS picks its kernels in a constructor, before main, from a
 * list of processor models. Debian 12's 0.3.21 does not know models newer than itself and takes
 * Prescott (SSE3) for them; on an AVX-512 machine of 2023 that is 33 GFLOP/s instead of 152 (sgemm
 * 1024^3, one thread). The environment variable is the library's only interface to that choice. */
#include "cli/blas.h"

#include <cblas.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#if defined __x86_64__
static int is_old(const char *core)
{
    static const char *old[] = {"Katmai",   "Coppermine",   "Northwood", "Banias",
                                "Prescott", "Core2",        "Penryn",    "Dunnington",
                                "Nehalem",  "Atom",         "Nano",      "Athlon",
                                "Opteron",  "Opteron_SSE3", "Barcelona", "Bobcat"};

    for (size_t i = 0; i < sizeof old / sizeof *old; i++)
        if (!strcasecmp(core, old[i]))
            return 1;
    return 0;
}

static const char *better_core(void)
{
    if (!is_old(openblas_get_corename()))
        return NULL;
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
        return "SkylakeX";
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        return "Haswell";
    return NULL;
}
#else
static const char *better_core(void)
{
    return NULL;
}
#endif

void cli_blas_start(char **argv)
{
    char self[4096];
    const char *core = getenv("OPENBLAS_CORETYPE") ? NULL : better_core();
    ssize_t n = core ? readlink("/proc/self/exe", self, sizeof self - 1) : 0;

    if (n > 0) {
        self[n] = 0;
        if (!setenv("OPENBLAS_CORETYPE", core, 1))
            execv(self, argv); /* returns only when it failed: then the slow kernels do */
    }
    openblas_set_num_threads(1);
}

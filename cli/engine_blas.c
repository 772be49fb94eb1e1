/* SPDX-License-Identifier: MIT
 * engine_blas.c -- what --version says of OpenBLAS. Apart from usage.c, so that tools which multiply no matrices are
 * linked without the library: loading it takes 5 ms, and where it has threads of its own they spin for 30 ms. */
#include "cli/opt.h"
#include "pipeline/blas.h"

#include <cblas.h>

void cli_print_blas(FILE *f)
{
    static const char *mode[] = {"sequential", "pthreads", "OpenMP"};
    int m = openblas_get_parallel();

    fprintf(f, "OpenBLAS      %s\n", vl_blas_config());
    fprintf(f, "              core type %s, parallel mode %s, used with %d thread\n", vl_blas_core(),
            m >= 0 && m < 3 ? mode[m] : "unknown", openblas_get_num_threads());
}

/* SPDX-License-Identifier: MIT
 * blas.h -- OpenBLAS as every program of this project wants it. */
#ifndef CLI_BLAS_H
#define CLI_BLAS_H

/* cli_blas_start -- one BLAS thread (parallelism is ours, so bytes do not depend on -j), and
 * kernels that fit the processor: where the library fell back to pre-AVX kernels on a newer
 * processor, the program is executed again with OPENBLAS_CORETYPE set. A value set by the user is
 * obeyed. Call it first in main, before input is read; cli_parse does. argv as given to main. */
void cli_blas_start(char **argv);

#endif

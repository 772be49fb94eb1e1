/* SPDX-License-Identifier: MIT
 * fuzz.h -- what fuzz targets share. A target is a file f_NAME.c with LLVMFuzzerTestOneInput, which must take any
 * bytes; what must hold is a HOLDS, whose failure ends the process as a crash does.
 *
 * `make fuzz` links it with libFuzzer; `make check` links it with driver.c, which runs the committed corpus and
 * a fixed number of mutations of each input, without a fuzzer. */
#ifndef FUZZ_H
#define FUZZ_H

#include "formats/bytes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
/* A target may have its own mutator, where checksums would stop every other mutation at the door. */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t n, size_t max, unsigned seed);
/* libFuzzer's mutations, or the driver's. */
size_t LLVMFuzzerMutate(uint8_t *data, size_t n, size_t max);

#define HOLDS(what)                                                                                          \
    do {                                                                                                     \
        if (!(what)) {                                                                                       \
            fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #what);                        \
            abort();                                                                                         \
        }                                                                                                    \
    } while (0)

/* A failed call has a message of one line; a good one has not touched what the message was. */
static inline int told(int rc, const vl_err *e)
{
    if (rc < 0) {
        HOLDS(e->code == rc);
        HOLDS(e->text[0] && !strchr(e->text, '\n'));
    }
    return rc;
}

/* A file in memory that functions can open by its path. */
typedef struct fuzz_file {
    int fd;
    char path[32];
} fuzz_file;

static inline fuzz_file fuzz_open(const uint8_t *data, size_t n)
{
    fuzz_file f = {.fd = memfd_create("input", MFD_CLOEXEC)};

    HOLDS(f.fd >= 0);
    for (size_t i = 0; i < n;) {
        ssize_t k = write(f.fd, data + i, n - i);
        HOLDS(k > 0);
        i += (size_t)k;
    }
    snprintf(f.path, sizeof f.path, "/proc/self/fd/%d", f.fd);
    return f;
}

static inline void fuzz_close(fuzz_file *f)
{
    close(f->fd);
}

/* A copy in a block of exactly n bytes: sanitizers see a read past it. free(). */
static inline uint8_t *fuzz_copy(const uint8_t *data, size_t n)
{
    uint8_t *p = malloc(n ? n : 1);

    HOLDS(p);
    if (n)
        memcpy(p, data, n);
    return p;
}

#endif

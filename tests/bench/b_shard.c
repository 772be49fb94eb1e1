/* SPDX-License-Identifier: MIT
 * b_shard -- MB/s and records/s of writing and of verified reading; median and spread of 5 runs.
 * Two loads: pairs (24 kB of JPEG-like noise and a caption) and tensors (4 MB of float32). Files
 * lie in memory where the system has /dev/shm, so the disk is not what is measured. */
#include "formats/shard.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { RUNS = 5 };

static const struct load {
    const char *name, *ext;
    int records;
    size_t bytes;
    int floats; /* values of a normal distribution instead of noise */
} loads[] = {{"pairs", "jpg", 8000, 24000, 0}, {"tensors", "npy", 64, 4000000, 1}};

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static void report(const struct load *l, const char *what, double *seconds)
{
    double mb = (double)l->records * (double)l->bytes / 1e6;

    qsort(seconds, RUNS, sizeof *seconds, by_value);
    printf("%-8s %-6s %8.0f MB/s (%.0f to %.0f)  %9.0f records/s\n", l->name, what, mb / seconds[RUNS / 2],
           mb / seconds[RUNS - 1], mb / seconds[0], l->records / seconds[RUNS / 2]);
}

static void fill(const struct load *l, uint8_t *p, int i)
{
    uint64_t x = (uint64_t)i * 2654435761u + 88172645463325252u;
    float f;

    for (size_t k = 0; k + 4 <= l->bytes; k += 4) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        f = ((float)(x & 0xffff) + (float)(x >> 16 & 0xffff) + (float)(x >> 32 & 0xffff)) * 1e-6f;
        if (l->floats)
            memcpy(p + k, &f, 4);
        else
            memcpy(p + k, &x, 4);
    }
}

static int write_one(const struct load *l, const char *path, const uint8_t *data, vl_err *e)
{
    json_t *m = json_pack("{s:s}", "kind", "pairs");
    vls_member member[2] = {{l->ext, NULL, l->bytes}, {"txt", (const uint8_t *)"a caption", 9}};
    vls_writer *w;
    char key[32];
    int rc = vls_writer_open(path, &w, e);

    if (!rc)
        rc = vls_segment_begin(w, m, 0, e);
    json_decref(m);
    for (int i = 0; !rc && i < l->records; i++) {
        vls_record rec = {key, member, 2};
        snprintf(key, sizeof key, "%08d", i);
        member[0].data = data + (size_t)(i % 16) * l->bytes;
        rc = vls_add(w, &rec, e);
    }
    if (!rc)
        rc = vls_segment_end(w, e);
    return rc ? rc : vls_writer_close(w, e);
}

static int read_one(const struct load *l, const char *path, vl_err *e)
{
    vls_reader *r;
    vls_record rec;
    const vls_segment *seg;
    int rc = vls_reader_open(path, NULL, &r, e), n = 0;

    if (rc)
        return rc;
    while ((rc = vls_next(r, &rec, &seg, e)) == 1)
        n++;
    vls_reader_close(r);
    return rc ? rc : n == l->records ? VL_OK : vl_fail(e, VL_EFORMAT, "%d records", n);
}

static int bench(const struct load *l, const char *path, vl_err *e)
{
    double write_s[RUNS], read_s[RUNS], t;
    uint8_t *data = vl_alloc(16, l->bytes, e);
    int rc = data ? VL_OK : VL_ENOMEM;

    for (int i = 0; !rc && i < 16; i++)
        fill(l, data + (size_t)i * l->bytes, i);
    for (int run = 0; !rc && run < RUNS; run++) {
        t = now();
        rc = write_one(l, path, data, e);
        write_s[run] = now() - t;
        t = now();
        if (!rc)
            rc = read_one(l, path, e);
        read_s[run] = now() - t;
    }
    free(data);
    if (rc)
        return rc;
    report(l, "write", write_s);
    report(l, "read", read_s);
    return VL_OK;
}

int main(void)
{
    char path[64];
    vl_err e;
    int rc = VL_OK;

    snprintf(path, sizeof path, "%s/b_shard.%ld", access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm",
             (long)getpid());
    for (size_t i = 0; !rc && i < sizeof loads / sizeof *loads; i++)
        rc = bench(&loads[i], path, &e);
    unlink(path);
    if (rc)
        fprintf(stderr, "b_shard: %s\n", e.text);
    return rc ? 1 : 0;
}

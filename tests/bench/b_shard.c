/* SPDX-License-Identifier: MIT
 * b_shard -- packing and reading 8,000 JPEGs of 256 pixels beside the tools that people use for it, all in one
 * run: each row once a round, five rounds, median and spread by the clock, and processor time of the median.
 *
 *   pack   vlpack (checks images and captions, content id, index) of a TSV with the captions, and of the folder
 *          with an image and a text file for each record, which the others read; GNU tar; tar | zstd -1 -T2
 *   read   records, each from verified frames, and the sums of all members; the same and the content id; both with
 *          the reader's threads and without. zstd -dc of the same file and of what zstd -1 made; xxhsum; tar -xO
 *   fetch  single records in shuffled order
 *
 * What bounds them, in processor time on a core that does SHA-256 at 1.4 GB/s and copies 8 GB/s between memory
 * and a file: the 8,000 records are 234 MB as tar.
 *   pack   SHA-256 0.16 s, zstd 0.10, opening and reading 8,000 files 0.10, writing 0.09, XXH64 0.02, the walk through the
 *          JPEGs 0.02, all else 0.03: 0.52 s, on two cores 0.26 s
 *   read   out of the file 0.04 s, zstd 0.04, XXH64 0.02, all else 0.01; with the content id 0.16 more, which is
 *          one stream: no number of threads gives it in less
 *
 * BIN names the folder of the tools. Where WDS_PYTHON names a Python with the webdataset package, its ShardWriter
 * and its reader get rows too, as shipped and with an integer mtime; they time themselves, without the
 * interpreter's start. Files lie in memory where the system has /dev/shm. */
#include "formats/order.h"
#include "formats/shard_index.h"
#include "tests/data/images.h"

#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum { RECORDS = 8000, PICTURES = 256, SIDE = 256, ROUNDS = 5, FETCHES = 4000, ROWS_MAX = 24 };

typedef struct row {
    const char *what, *name;
    int (*fn)(const struct row *r, double *seconds); /* 0: done */
    const char *command;
    const char *
        makes; /* a file that is not there when it begins: what is measured is packing, not deleting; or NULL */
    double wall[ROUNDS], cpu[ROUNDS];
    int done; /* rounds; 0: the row is left out */
} row;

static char dir[64];
static uint64_t image_bytes;

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Seconds of processor time, of this process and of children that ended. */
static double cpu_now(void)
{
    struct rusage a, b;

    getrusage(RUSAGE_SELF, &a);
    getrusage(RUSAGE_CHILDREN, &b);
    return (double)(a.ru_utime.tv_sec + a.ru_stime.tv_sec + b.ru_utime.tv_sec + b.ru_stime.tv_sec) +
           1e-6 * (double)(a.ru_utime.tv_usec + a.ru_stime.tv_usec + b.ru_utime.tv_usec + b.ru_stime.tv_usec);
}

/* ---- pictures ------------------------------------------------------------------------------- */

/* Noise of seven scales, each half as strong as the one of twice its size: the spectrum of photographs; and grain.
 * A pattern instead of the grain would leave repeats in the JPEGs for zstd to find, which photographs' hardly have. */
static void paint(uint8_t *rgb, uint64_t seed)
{
    static float sum[SIDE * SIDE];
    uint64_t x = seed * 2654435761u + 88172645463325252u;

    for (int c = 0; c < 3; c++) {
        memset(sum, 0, sizeof sum);
        for (int cells = 4; cells <= SIDE; cells *= 2) {
            int step = SIDE / cells;
            for (int cy = 0; cy < cells; cy++)
                for (int cx = 0; cx < cells; cx++) {
                    x ^= x << 13, x ^= x >> 7, x ^= x << 17;
                    float v = ((float)(x >> 40 & 0xffff) / 65536.0f - 0.5f) * 360.0f / (float)cells;
                    for (int k = 0; k < step * step; k++)
                        sum[(cy * step + k / step) * SIDE + cx * step + k % step] += v;
                }
        }
        for (int i = 0; i < SIDE * SIDE; i++) {
            x ^= x << 13, x ^= x >> 7, x ^= x << 17;
            float v = 128.0f + sum[i] + (float)(x >> 40) * 0x1p-24f * 20.0f;
            rgb[3 * i + c] = (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v);
        }
    }
}

static int write_file(const char *name, const void *p, size_t n)
{
    FILE *f = fopen(name, "wb");
    int bad = !f || fwrite(p, 1, n, f) != n;

    return (f && fclose(f)) || bad;
}

static int make_files(void)
{
    uint8_t *rgb = must(malloc(SIDE * SIDE * 3));
    FILE *list = fopen("list.tsv", "w");
    blob jpg[PICTURES];
    int bad = !list || system("mkdir img") != 0;

    for (int i = 0; i < PICTURES; i++) {
        paint(rgb, (uint64_t)i + 1);
        jpg[i] = test_jpeg(rgb, SIDE, SIDE, (jpeg_how){.stored = JCS_YCbCr});
    }
    for (int i = 0; !bad && i < RECORDS; i++) {
        char name[32], text[64];
        int n = snprintf(text, sizeof text, "a caption that says what is seen in picture %d", i);
        snprintf(name, sizeof name, "img/%06d.jpg", i);
        image_bytes += jpg[i % PICTURES].n;
        bad = write_file(name, jpg[i % PICTURES].p, jpg[i % PICTURES].n) ||
              fprintf(list, "%s\t%s\n", name, text) < 0;
        snprintf(name, sizeof name, "img/%06d.txt", i);
        bad = bad || write_file(name, text, (size_t)n);
    }
    for (int i = 0; i < PICTURES; i++)
        free(jpg[i].p);
    free(rgb);
    return (list && fclose(list)) || bad;
}

/* ---- rows ----------------------------------------------------------------------------------- */

static int command(const row *r, double *seconds)
{
    (void)seconds;
    return system(r->command);
}

/* A Python program that prints the seconds it took. */
static int timed(const row *r, double *seconds)
{
    FILE *f = popen(r->command, "r");
    int bad = !f || fscanf(f, "%lf", seconds) != 1;

    return (f && pclose(f)) || bad;
}

static int read_all(const row *r, bool one_thread, bool no_id)
{
    const vls_read_opts opts = {.one_thread = one_thread, .no_id = no_id};
    const vls_segment *seg;
    vls_reader *reader;
    vls_record rec;
    vl_err e;
    int n = 0, rc = vls_reader_open(r->command, &opts, &reader, &e);

    if (rc)
        return 1;
    while ((rc = vls_next(reader, &rec, &seg, &e)) == 1)
        n++;
    vls_reader_close(reader);
    return rc || n != RECORDS;
}

static int read_records(const row *r, double *seconds)
{
    (void)seconds;
    return read_all(r, false, true);
}

static int read_records_alone(const row *r, double *seconds)
{
    (void)seconds;
    return read_all(r, true, true);
}

static int read_id(const row *r, double *seconds)
{
    (void)seconds;
    return read_all(r, false, false);
}

static int read_id_alone(const row *r, double *seconds)
{
    (void)seconds;
    return read_all(r, true, false);
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* FETCHES records in shuffled order from an index whose tables are warm; *seconds as if all RECORDS were. */
static int fetch(const row *r, double *seconds)
{
    static double took[FETCHES];
    vls_record rec;
    vls_index *x;
    vls_order order;
    vl_err e;
    double t;
    int bad = vls_index_open(&r->command, 1, NULL, &x, &e);

    if (bad)
        return 1;
    vls_order_set(&order, vls_index_records(x), 1, 0);
    for (uint64_t i = 0; !bad && i < FETCHES; i++) {
        t = now();
        bad = vls_index_get(x, vls_order_at(&order, i), &rec, NULL, &e);
        took[i] = now() - t;
    }
    vls_index_close(x);
    qsort(took, FETCHES, sizeof *took, by_value);
    *seconds = took[FETCHES / 2] * RECORDS;
    if (!bad)
        printf("fetch: median %.0f us, 99 %% within %.0f us\n", 1e6 * took[FETCHES / 2],
               1e6 * took[FETCHES * 99 / 100]);
    return bad;
}

#define PY_WRITE(name, mtime)                                                                                \
    "$WDS_PYTHON -c 'import time,webdataset as w\n"                                                          \
    "t=time.time()\n"                                                                                        \
    "s=w.ShardWriter(\"" name "-%d.tar\",maxcount=10**9,maxsize=10**12,verbose=0" mtime ")\n"                \
    "for i in range(8000):\n"                                                                                \
    " k=\"%06d\"%i\n"                                                                                        \
    " s.write({\"__key__\":k,\"jpg\":open(\"img/\"+k+\".jpg\",\"rb\").read(),"                               \
    "\"txt\":open(\"img/\"+k+\".txt\",\"rb\").read()})\n"                                                    \
    "s.close()\n"                                                                                            \
    "print(time.time()-t)'"
#define PY_READ(name)                                                                                        \
    "$WDS_PYTHON -c 'import time,webdataset as w\n"                                                          \
    "t=time.time()\n"                                                                                        \
    "n=sum(1 for r in w.WebDataset(\"" name "-0.tar\",shardshuffle=False) if r[\"jpg\"])\n"                  \
    "assert n==8000\n"                                                                                       \
    "print(time.time()-t)'"

static row rows[ROWS_MAX] = {
    {"pack", "vlpack", command, "$BIN/vlpack -q -o a.tar.zst list.tsv", "a.tar.zst", {0}, {0}, 0},
    {"pack", "vlpack, a folder", command, "$BIN/vlpack -q -o d.tar.zst img", "d.tar.zst", {0}, {0}, 0},
    {"pack",
     "tar | zstd -1 -T2",
     command,
     "tar -C img -cf - . | zstd -q -1 -T2 -f -o t.tar.zst",
     "t.tar.zst",
     {0},
     {0},
     0},
    {"pack", "tar", command, "tar -C img -cf t.tar .", "t.tar", {0}, {0}, 0},
    {"pack", "ShardWriter", timed, PY_WRITE("wds", ""), "wds-0.tar", {0}, {0}, 0},
    {"pack", "ShardWriter, mtime 0", timed, PY_WRITE("wds0", ",mtime=0"), "wds0-0.tar", {0}, {0}, 0},
    {"read", "records", read_records, "a.tar.zst", NULL, {0}, {0}, 0},
    {"read", "records, one thread", read_records_alone, "a.tar.zst", NULL, {0}, {0}, 0},
    {"read", "and id", read_id, "a.tar.zst", NULL, {0}, {0}, 0},
    {"read", "and id, one thread", read_id_alone, "a.tar.zst", NULL, {0}, {0}, 0},
    {"read", "zstd -dc", command, "zstd -dcq a.tar.zst >/dev/null", NULL, {0}, {0}, 0},
    {"read", "zstd -dc of zstd -1", command, "zstd -dcq t.tar.zst >/dev/null", NULL, {0}, {0}, 0},
    {"read", "xxhsum -H1", command, "xxhsum -q -H1 a.tar.zst >/dev/null", NULL, {0}, {0}, 0},
    {"read", "tar -xO", command, "tar -xOf t.tar >/dev/null", NULL, {0}, {0}, 0},
    {"read", "WebDataset", timed, PY_READ("wds"), NULL, {0}, {0}, 0},
    {"read", "WebDataset, mtime 0", timed, PY_READ("wds0"), NULL, {0}, {0}, 0},
    {"fetch", "shuffled records", fetch, "a.tar.zst", NULL, {0}, {0}, 0},
};

static void run_row(row *r, int round)
{
    double own = 0, cpu, t;

    if (r->makes)
        unlink(r->makes);
    cpu = cpu_now();
    t = now();
    if (r->done != round || r->fn(r, &own))
        return;
    r->wall[round] = own > 0 ? own : now() - t;
    r->cpu[round] = cpu_now() - cpu;
    r->done++;
}

static void report(row *r)
{
    double mb = (double)image_bytes / 1e6;

    if (r->done < ROUNDS) {
        printf("%-6s %-22s -\n", r->what, r->name);
        return;
    }
    qsort(r->wall, ROUNDS, sizeof *r->wall, by_value);
    qsort(r->cpu, ROUNDS, sizeof *r->cpu, by_value);
    printf("%-6s %-22s %7.3f s (%.3f to %.3f)  cpu %6.3f s  %8.0f records/s  %6.0f MB/s\n", r->what, r->name,
           r->wall[ROUNDS / 2], r->wall[0], r->wall[ROUNDS - 1], r->cpu[ROUNDS / 2],
           RECORDS / r->wall[ROUNDS / 2], mb / r->wall[ROUNDS / 2]);
}

int main(void)
{
    char cmd[96];
    int bad;

    strcpy(dir, access("/dev/shm", W_OK) ? "/tmp/b_shard.XXXXXX" : "/dev/shm/b_shard.XXXXXX");
    if (!getenv("BIN") || !mkdtemp(dir) || chdir(dir)) {
        fputs("b_shard: BIN must name the folder of the tools\n", stderr);
        return 1;
    }
    bad = make_files();
    for (int round = 0; !bad && round < ROUNDS; round++)
        for (row *r = rows; r->name; r++)
            if (r->fn != timed || getenv("WDS_PYTHON"))
                run_row(r, round);
    printf("%d pictures of %d x %d, %.1f kB each\n", RECORDS, SIDE, SIDE,
           (double)image_bytes / RECORDS / 1e3);
    for (row *r = rows; r->name; r++)
        report(r);
    for (row *r = rows; r->name; r++)
        bad = bad || (r->fn != timed && r->done < ROUNDS);
    snprintf(cmd, sizeof cmd, "cd / && rm -rf %s", dir);
    return system(cmd) || bad;
}

/* SPDX-License-Identifier: MIT
 * driver.c -- main for a fuzz target without a fuzzer:   f_NAME [-m MUTATIONS] FILE|FOLDER...
 *
 * Each input is run as it is, cut, and as MUTATIONS mutants from a fixed seed (the target's own mutator where it
 * has one). The first run of an input may fill caches of libraries; after the second there must be as many live
 * allocations as before it (under a sanitizer, its own leak check does this). Prints the number of runs.
 * Exit 1: a leak, an input that cannot be read, none at all. A crash or a HOLDS ends by its signal, with the
 * input's name printed before. */
#include "tests/fuzz/fuzz.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <sys/stat.h>

enum { INPUT_MAX = 1 << 20 };

#pragma weak LLVMFuzzerCustomMutator

static const char *running = "?"; /* the input, for the message when a signal ends us */
static unsigned mutant;
static unsigned long n_runs;

/* ---- live allocations ------------------------------------------------------------------------------ */

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define COUNTED 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define COUNTED 0
#endif
#endif
#ifndef COUNTED
#define COUNTED 1
#endif

static long live;

#if COUNTED
/* glibc's own names for its functions: everything in the process allocates through these. */
extern void *__libc_malloc(size_t n);
extern void *__libc_calloc(size_t n, size_t size);
extern void *__libc_realloc(void *p, size_t n);
extern void *__libc_memalign(size_t align, size_t n);
extern void __libc_free(void *p);

void *malloc(size_t n)
{
    void *p = __libc_malloc(n);

    __atomic_fetch_add(&live, p != NULL, __ATOMIC_RELAXED);
    return p;
}

void *calloc(size_t n, size_t size)
{
    void *p = __libc_calloc(n, size);

    __atomic_fetch_add(&live, p != NULL, __ATOMIC_RELAXED);
    return p;
}

void *realloc(void *old, size_t n)
{
    void *p = __libc_realloc(old, n);

    __atomic_fetch_add(&live, (p != NULL) - (old && (p || !n)), __ATOMIC_RELAXED);
    return p;
}

void *memalign(size_t align, size_t n)
{
    void *p = __libc_memalign(align, n);

    __atomic_fetch_add(&live, p != NULL, __ATOMIC_RELAXED);
    return p;
}

void *aligned_alloc(size_t align, size_t n)
{
    return memalign(align, n);
}

int posix_memalign(void **out, size_t align, size_t n)
{
    void *p = memalign(align, n);

    *out = p;
    return p ? 0 : ENOMEM;
}

void free(void *p)
{
    __atomic_fetch_sub(&live, p != NULL, __ATOMIC_RELAXED);
    __libc_free(p);
}
#endif

/* ---- mutations ------------------------------------------------------------------------------------- */

static uint64_t state = 1;

static uint32_t draw(uint32_t below)
{
    state = state * 6364136223846793005u + 1442695040888963407u;
    return below ? (uint32_t)((state >> 33) % below) : 0;
}

/* One of: a bit, a byte, a number, a piece removed, doubled or moved. */
size_t LLVMFuzzerMutate(uint8_t *data, size_t n, size_t max)
{
    static const uint32_t odd[] = {0,      1,      0x7f,       0x80,       0xff,
                                   0x7fff, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff};
    size_t at = draw((uint32_t)n), k = 1 + draw(16), to;

    if (!n) {
        *data = (uint8_t)draw(256);
        return max > 0;
    }
    k = k > n - at ? n - at : k;
    switch (draw(6)) {
    case 0:
        data[at] ^= (uint8_t)(1u << draw(8));
        return n;
    case 1:
        data[at] = (uint8_t)draw(256);
        return n;
    case 2:
        for (size_t i = 0; i < k && i < 4; i++)
            data[at + i] = (uint8_t)(odd[draw(10)] >> 8 * i);
        return n;
    case 3:
        memmove(data + at, data + at + k, n - at - k);
        return n - k;
    case 4:
        if (n + k > max)
            return n;
        memmove(data + at + k, data + at, n - at);
        return n + k;
    default:
        to = draw((uint32_t)(n - k + 1));
        memmove(data + to, data + at, k);
        return n;
    }
}

/* ---- runs ------------------------------------------------------------------------------------------ */

static void on_signal(int sig)
{
    char line[512];
    int n = snprintf(line, sizeof line, "signal %d in %s, mutant %u\n", sig, running, mutant);

    if (write(STDERR_FILENO, line, (size_t)n) < 0)
        _exit(1);
    signal(sig, SIG_DFL);
    raise(sig);
}

static void run_once(const uint8_t *data, size_t n)
{
    uint8_t *copy = fuzz_copy(data, n);

    LLVMFuzzerTestOneInput(copy, n);
    free(copy);
    n_runs++;
}

/* Twice, with the allocations counted around the second time. */
static int run(const uint8_t *data, size_t n)
{
    long before;

    run_once(data, n);
    before = live;
    run_once(data, n);
    if (live == before)
        return 0;
    fprintf(stderr, "%s, mutant %u: %ld allocations are not freed\n", running, mutant, live - before);
    return 1;
}

static int run_mutants(const uint8_t *good, size_t n, unsigned n_mutants)
{
    size_t max = n + 4096;
    uint8_t *data = malloc(max);
    int bad = 0;

    HOLDS(data);
    for (mutant = 1; !bad && mutant <= n_mutants; mutant++) {
        size_t m = n;
        state = mutant;
        memcpy(data, good, n);
        for (unsigned i = 0; i <= mutant % 3; i++)
            m = LLVMFuzzerCustomMutator ? LLVMFuzzerCustomMutator(data, m, max, draw(1u << 31))
                                        : LLVMFuzzerMutate(data, m, max);
        bad = run(data, m);
    }
    for (mutant = 0; !bad && mutant < 8; mutant++) /* cut: lengths over the whole */
        bad = run(good, n * mutant / 8);
    mutant = 0;
    free(data);
    return bad;
}

static int run_file(const char *path, unsigned n_mutants)
{
    uint8_t *data = malloc(INPUT_MAX);
    FILE *f = fopen(path, "rb");
    int bad = 1;

    running = path;
    if (data && f) {
        size_t n = fread(data, 1, INPUT_MAX, f);
        bad = ferror(f) || !feof(f) || run(data, n) || run_mutants(data, n, n_mutants);
    }
    if (bad)
        fprintf(stderr, "%s: failed%s\n", path, f ? "" : ": cannot be opened");
    if (f)
        fclose(f);
    free(data);
    return bad;
}

static int not_hidden(const struct dirent *d)
{
    return d->d_name[0] != '.';
}

static int run_path(const char *path, unsigned n_mutants)
{
    struct dirent **name;
    struct stat st;
    char file[4096];
    int bad = 0, n;

    if (stat(path, &st) || !S_ISDIR(st.st_mode))
        return run_file(path, n_mutants);
    n = scandir(path, &name, not_hidden, alphasort);
    for (int i = 0; i < n; i++) {
        snprintf(file, sizeof file, "%s/%s", path, name[i]->d_name);
        bad |= run_file(file, n_mutants);
        free(name[i]);
    }
    if (n >= 0)
        free(name);
    return bad;
}

int main(int argc, char **argv)
{
    unsigned n_mutants = 0;
    int i = 1, bad = 0;

    if (argc > 2 && !strcmp(argv[1], "-m")) {
        n_mutants = (unsigned)strtoul(argv[2], NULL, 10);
        i = 3;
    }
    for (int s = 0; s < 5; s++)
        signal((int[]){SIGSEGV, SIGABRT, SIGFPE, SIGBUS, SIGILL}[s], on_signal);
    for (; i < argc; i++)
        bad |= run_path(argv[i], n_mutants);
    printf("%lu runs\n", n_runs);
    return bad || !n_runs;
}

/* SPDX-License-Identifier: MIT
 * pool.c -- threads that wait for a loop, share its tiles through one counter, and wait again.
 *
 * State: `job` counts loops started; a worker that sees a new job takes tiles until the counter passes
 * n_tiles, then reports by lowering `busy`. The caller takes tiles as well, then waits for busy == 0.
 *
 * Invariants
 *   1. fn, arg, n_tiles are written before `job` rises (release) and read after it was seen (acquire).
 *   2. `next` is reset only while busy == 0, so no worker of an earlier loop can take a tile of this one.
 *
 * Loops here last microseconds, so both sides spin a while before they sleep on the condition. */
#include "pipeline/pool.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

enum { SPINS = 4000 };

struct vl_pool {
    int n_threads; /* the caller's thread among them */
    int n_started;
    pthread_t *thread;
    pthread_mutex_t lock;
    pthread_cond_t wake, done;
    vl_tile_fn fn;
    void *arg;
    size_t n_tiles;
    atomic_size_t next;
    atomic_uint job;
    atomic_int busy;
    int quit; /* under lock */
};

typedef struct worker_arg {
    vl_pool *pool;
    int id;
} worker_arg;

static inline void relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#endif
}

static void take_tiles(vl_pool *p, int id)
{
    size_t n = p->n_tiles;

    for (;;) {
        size_t i = atomic_fetch_add_explicit(&p->next, 1, memory_order_relaxed);
        if (i >= n)
            return;
        p->fn(p->arg, i, id);
    }
}

/* Waits until `job` differs from seen; returns 0 when the pool is being freed. */
static int await_job(vl_pool *p, unsigned seen)
{
    int quit;

    for (int i = 0; i < SPINS; i++) {
        if (atomic_load_explicit(&p->job, memory_order_acquire) != seen)
            return 1;
        relax();
    }
    pthread_mutex_lock(&p->lock);
    while (atomic_load_explicit(&p->job, memory_order_acquire) == seen && !p->quit)
        pthread_cond_wait(&p->wake, &p->lock);
    quit = p->quit;
    pthread_mutex_unlock(&p->lock);
    return !quit;
}

static void *worker(void *v)
{
    worker_arg *w = v;
    vl_pool *p = w->pool;
    int id = w->id;
    unsigned seen = 0;

    free(w);
    while (await_job(p, seen)) {
        seen = atomic_load_explicit(&p->job, memory_order_acquire);
        take_tiles(p, id);
        if (atomic_fetch_sub_explicit(&p->busy, 1, memory_order_acq_rel) == 1) {
            pthread_mutex_lock(&p->lock);
            pthread_cond_signal(&p->done);
            pthread_mutex_unlock(&p->lock);
        }
    }
    return NULL;
}

static int start_workers(vl_pool *p, vl_err *e)
{
    for (int i = 1; i < p->n_threads; i++) {
        worker_arg *w = vl_alloc(1, sizeof *w, e);
        if (!w)
            return VL_ENOMEM;
        w->pool = p;
        w->id = i;
        if (pthread_create(&p->thread[i - 1], NULL, worker, w)) {
            free(w);
            return vl_fail(e, VL_EIO, "cannot start thread %d of %d", i, p->n_threads);
        }
        p->n_started++;
    }
    return VL_OK;
}

int vl_pool_new(int threads, vl_pool **out, vl_err *e)
{
    vl_pool *p;
    int rc;

    if (threads == 0) {
        long n = sysconf(_SC_NPROCESSORS_ONLN);
        threads = n < 1 ? 1 : n > VL_POOL_MAX ? VL_POOL_MAX : (int)n;
    }
    if (threads < 1 || threads > VL_POOL_MAX)
        return vl_fail(e, VL_EARG, "%d threads: 1 to %d allowed", threads, VL_POOL_MAX);
    p = vl_alloc(1, sizeof *p, e);
    if (!p)
        return VL_ENOMEM;
    p->n_threads = threads;
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->wake, NULL);
    pthread_cond_init(&p->done, NULL);
    p->thread = vl_alloc((size_t)threads, sizeof *p->thread, e);
    rc = p->thread ? start_workers(p, e) : VL_ENOMEM;
    if (rc) {
        vl_pool_free(p);
        return rc;
    }
    *out = p;
    return VL_OK;
}

void vl_pool_free(vl_pool *p)
{
    if (!p)
        return;
    pthread_mutex_lock(&p->lock);
    p->quit = 1;
    pthread_cond_broadcast(&p->wake);
    pthread_mutex_unlock(&p->lock);
    for (int i = 0; i < p->n_started; i++)
        pthread_join(p->thread[i], NULL);
    pthread_cond_destroy(&p->done);
    pthread_cond_destroy(&p->wake);
    pthread_mutex_destroy(&p->lock);
    free(p->thread);
    free(p);
}

int vl_pool_threads(const vl_pool *p)
{
    return p ? p->n_threads : 1;
}

static void await_workers(vl_pool *p)
{
    for (int i = 0; i < SPINS; i++) {
        if (atomic_load_explicit(&p->busy, memory_order_acquire) == 0)
            return;
        relax();
    }
    pthread_mutex_lock(&p->lock);
    while (atomic_load_explicit(&p->busy, memory_order_acquire) != 0)
        pthread_cond_wait(&p->done, &p->lock);
    pthread_mutex_unlock(&p->lock);
}

void vl_pool_run(vl_pool *p, size_t n_tiles, vl_tile_fn fn, void *arg)
{
    if (!p || p->n_threads == 1 || n_tiles <= 1) {
        for (size_t i = 0; i < n_tiles; i++)
            fn(arg, i, 0);
        return;
    }
    p->fn = fn;
    p->arg = arg;
    p->n_tiles = n_tiles;
    atomic_store_explicit(&p->next, 0, memory_order_relaxed);
    atomic_store_explicit(&p->busy, p->n_threads - 1, memory_order_relaxed);
    pthread_mutex_lock(&p->lock);
    atomic_fetch_add_explicit(&p->job, 1, memory_order_release);
    pthread_cond_broadcast(&p->wake);
    pthread_mutex_unlock(&p->lock);
    take_tiles(p, 0);
    await_workers(p);
}

/* SPDX-License-Identifier: MIT
 * pool.c -- threads that wait for a loop, share its tiles through one counter, and wait again.
 *
 * State: `head` holds the number of the loop and the next tile to take, in one word; `done` counts the loop's
 * finished tiles. The caller takes tiles as well, then waits for done == n_tiles. It does not wait for workers
 * that took none: on a busy machine one of them may sleep through many loops, and nobody notices.
 *
 * Invariants
 *   1. Numbers of loops are even. fn, arg, n_tiles and done are written while `head` names an odd number, of
 *      which there is no tile, and read after `head` was seen to name the loop.
 *   2. A tile is taken by moving `head` on within one loop. Where that succeeds, what was read for the loop was
 *      its own: had any of it been the next loop's, `head` would have been seen to name an odd number first
 *      (release and acquire on each).
 *
 * Loops here last microseconds, so both sides spin a while before they sleep on a condition. */
#include "pipeline/pool.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

enum { SPINS = 4000 };

struct vl_pool {
    int n_threads; /* the caller's thread among them */
    int n_started;
    pthread_t *thread;
    pthread_mutex_t lock;
    pthread_cond_t wake, finished;
    _Atomic(vl_tile_fn) fn;
    _Atomic(void *) arg;
    _Atomic uint32_t n_tiles, done;
    _Atomic uint64_t head; /* number of the loop << 32 | next tile */
    int quit;              /* under lock */
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

static uint32_t loop_of(uint64_t head)
{
    return (uint32_t)(head >> 32);
}

/* One finished tile; the last one ends the caller's wait. */
static void count_done(vl_pool *p, uint32_t n)
{
    if (atomic_fetch_add_explicit(&p->done, 1, memory_order_acq_rel) + 1 < n)
        return;
    pthread_mutex_lock(&p->lock);
    pthread_cond_signal(&p->finished);
    pthread_mutex_unlock(&p->lock);
}

/* Takes tiles of the loop that `head` names until there are none; returns its number. */
static uint32_t take_tiles(vl_pool *p, int id)
{
    uint64_t head = atomic_load_explicit(&p->head, memory_order_acquire);
    uint32_t loop = loop_of(head);

    while (loop_of(head) == loop) {
        vl_tile_fn fn = atomic_load_explicit(&p->fn, memory_order_acquire);
        void *arg = atomic_load_explicit(&p->arg, memory_order_acquire);
        uint32_t n = atomic_load_explicit(&p->n_tiles, memory_order_acquire);

        if ((uint32_t)head >= n)
            break;
        if (!atomic_compare_exchange_weak_explicit(&p->head, &head, head + 1, memory_order_acq_rel,
                                                   memory_order_acquire))
            continue;
        fn(arg, (uint32_t)head, id);
        count_done(p, n);
        head = atomic_load_explicit(&p->head, memory_order_acquire);
    }
    return loop;
}

/* Waits until another loop than `seen` is there; returns 0 when the pool is being freed. */
static int await_loop(vl_pool *p, uint32_t seen)
{
    int quit;

    for (int i = 0; i < SPINS; i++) {
        if (loop_of(atomic_load_explicit(&p->head, memory_order_acquire)) != seen)
            return 1;
        relax();
    }
    pthread_mutex_lock(&p->lock);
    while (loop_of(atomic_load_explicit(&p->head, memory_order_acquire)) == seen && !p->quit)
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
    uint32_t seen = 0;

    free(w);
    while (await_loop(p, seen))
        seen = take_tiles(p, id);
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
    pthread_cond_init(&p->finished, NULL);
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
    pthread_cond_destroy(&p->finished);
    pthread_cond_destroy(&p->wake);
    pthread_mutex_destroy(&p->lock);
    free(p->thread);
    free(p);
}

int vl_pool_threads(const vl_pool *p)
{
    return p ? p->n_threads : 1;
}

static void await_tiles(vl_pool *p, uint32_t n)
{
    for (int i = 0; i < SPINS; i++) {
        if (atomic_load_explicit(&p->done, memory_order_acquire) == n)
            return;
        relax();
    }
    pthread_mutex_lock(&p->lock);
    while (atomic_load_explicit(&p->done, memory_order_acquire) != n)
        pthread_cond_wait(&p->finished, &p->lock);
    pthread_mutex_unlock(&p->lock);
}

void vl_pool_run(vl_pool *p, size_t n_tiles, vl_tile_fn fn, void *arg)
{
    uint64_t loop; /* the odd number before this loop's own */

    if (!p || p->n_threads == 1 || n_tiles <= 1 || n_tiles > UINT32_MAX) {
        for (size_t i = 0; i < n_tiles; i++)
            fn(arg, i, 0);
        return;
    }
    loop = (uint64_t)loop_of(atomic_load_explicit(&p->head, memory_order_relaxed)) + 1;
    atomic_store_explicit(&p->head, loop << 32 | UINT32_MAX, memory_order_relaxed);
    atomic_store_explicit(&p->fn, fn, memory_order_release);
    atomic_store_explicit(&p->arg, arg, memory_order_release);
    atomic_store_explicit(&p->n_tiles, (uint32_t)n_tiles, memory_order_release);
    atomic_store_explicit(&p->done, 0, memory_order_release);
    pthread_mutex_lock(&p->lock);
    atomic_store_explicit(&p->head, (loop + 1) << 32, memory_order_release);
    pthread_cond_broadcast(&p->wake);
    pthread_mutex_unlock(&p->lock);
    take_tiles(p, 0);
    await_tiles(p, (uint32_t)n_tiles);
}

/* SPDX-License-Identifier: MIT
 * stage.c -- a ring of jobs and some threads.
 *
 * Job number i lies in slot i mod depth. Counters run along the ring, all under the lock:
 *     taken <= ready <= started <= put <= taken + depth
 * The owner moves put and taken, a worker moves started when it picks the job of that number, and
 * sets its slot's done when fn returned; ready moves over slots that are done. Workers wait for started
 * < put. An owner that finds nothing ready waits until half of what is inside is: small jobs take less time than
 * waking it for each of them would. */
#include "formats/stage.h"

#include <assert.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { THREADS_MAX = 1024 };

typedef struct slot {
    void *job;
    bool done;
} slot;

struct vl_stage {
    pthread_mutex_t lock;
    pthread_cond_t work; /* put moved, or the end */
    pthread_cond_t done; /* ready reached wanted */
    slot *ring;
    size_t depth;
    uint64_t taken, ready, started, put;
    uint64_t wanted; /* what the owner waits for ready to reach */
    bool owed;       /* put moved and nobody was woken; the owner's alone */
    bool end;
    void (*fn)(void *job, void *ctx);
    void *ctx;
    pthread_t *thread;
    int threads;
};

static void *worker(void *arg)
{
    vl_stage *s = arg;

    pthread_mutex_lock(&s->lock);
    for (;;) {
        while (s->started == s->put && !s->end)
            pthread_cond_wait(&s->work, &s->lock);
        if (s->started == s->put)
            break;
        slot *mine = &s->ring[s->started++ % s->depth];
        pthread_mutex_unlock(&s->lock);
        s->fn(mine->job, s->ctx);
        pthread_mutex_lock(&s->lock);
        mine->done = true;
        while (s->ready < s->started && s->ring[s->ready % s->depth].done)
            s->ready++;
        if (s->ready >= s->wanted)
            pthread_cond_signal(&s->done);
    }
    pthread_mutex_unlock(&s->lock);
    return NULL;
}

int vl_stage_new(int threads, size_t depth, void (*fn)(void *job, void *ctx), void *ctx, vl_stage **out,
                 vl_err *e)
{
    vl_stage *s;

    if (threads < 1 || threads > THREADS_MAX || !depth)
        return vl_fail(e, VL_EARG, "%d threads for %zu jobs, 1 to %d threads expected", threads, depth,
                       THREADS_MAX);
    if (!(s = vl_alloc(1, sizeof *s, e)))
        return VL_ENOMEM;
    pthread_mutex_init(&s->lock, NULL); /* on Linux these three cannot fail */
    pthread_cond_init(&s->work, NULL);
    pthread_cond_init(&s->done, NULL);
    s->depth = depth;
    s->fn = fn;
    s->ctx = ctx;
    if (!(s->ring = vl_alloc(depth, sizeof *s->ring, e)) ||
        !(s->thread = vl_alloc((size_t)threads, sizeof *s->thread, e))) {
        vl_stage_free(s);
        return VL_ENOMEM;
    }
    for (; s->threads < threads; s->threads++) {
        int fault = pthread_create(&s->thread[s->threads], NULL, worker, s);
        if (fault) {
            vl_stage_free(s);
            return vl_fail(e, VL_EIO, "thread: %s", strerror(fault));
        }
    }
    *out = s;
    return VL_OK;
}

/* put and taken are the owner's alone to move, so the owner may read them without the lock. */
bool vl_stage_full(const vl_stage *s)
{
    return s->put - s->taken == s->depth;
}

static void put(vl_stage *s, void *job, bool wake)
{
    assert(!vl_stage_full(s));
    pthread_mutex_lock(&s->lock);
    s->ring[s->put++ % s->depth] = (slot){.job = job};
    if (wake)
        pthread_cond_signal(&s->work);
    pthread_mutex_unlock(&s->lock);
}

void vl_stage_put(vl_stage *s, void *job)
{
    put(s, job, true);
}

void vl_stage_put_more(vl_stage *s, void *job)
{
    put(s, job, false);
    s->owed = true;
}

void *vl_stage_take(vl_stage *s)
{
    uint64_t inside = s->put - s->taken;

    if (!inside)
        return NULL;
    pthread_mutex_lock(&s->lock);
    if (s->owed)
        pthread_cond_broadcast(&s->work);
    s->owed = false;
    if (s->ready == s->taken) {
        s->wanted = s->taken + (inside > 1 ? inside / 2 : 1);
        while (s->ready < s->wanted)
            pthread_cond_wait(&s->done, &s->lock);
    }
    pthread_mutex_unlock(&s->lock);
    return s->ring[s->taken++ % s->depth].job;
}

void vl_stage_free(vl_stage *s)
{
    if (!s)
        return;
    pthread_mutex_lock(&s->lock);
    s->end = true;
    pthread_cond_broadcast(&s->work);
    pthread_mutex_unlock(&s->lock);
    for (int i = 0; i < s->threads; i++)
        pthread_join(s->thread[i], NULL);
    free(s->thread);
    free(s->ring);
    pthread_cond_destroy(&s->done);
    pthread_cond_destroy(&s->work);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

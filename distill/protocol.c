/* SPDX-License-Identifier: MIT
 * protocol.c -- see protocol.h.
 *
 * Each half is one list of jobs over all tasks, the longest first, so that the last jobs to end are short
 * ones. A job is one student on one thread; where fewer jobs are left than there are threads, one after another is
 * done by all of them. Invariants:
 *   1  a job writes to its own point or student only;
 *   2  what it computes depends on (seed, task->stream, draw, number, rates, epochs) alone;
 *   3  the choice reads points only: the data of a task and validation are all that they have seen. */
#include "distill/protocol.h"
#include "pipeline/rng.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <xxhash.h>

typedef struct job {
    size_t task, index; /* grid point or student of it */
    double cost;        /* multiply-adds of the pairs to train on */
} job;

typedef struct half { /* one of the two */
    const vld_protocol *p;
    const vl_data *test; /* NULL: choosing */
    const vld_task *task;
    vld_outcome *out;
    job *jobs;
    size_t n_jobs, done;
    vl_pool *inside; /* the threads of a job; NULL while others run beside it */
    pthread_mutex_t lock;
    size_t failed; /* the job whose error is kept, n_jobs: none */
    vl_err e;
} half;

/* ---- one student -------------------------------------------------------------------------------- */

typedef struct learner {
    const vld_protocol *p;
    const vlm_model *m;
    const vld_task *task;
    const vld_outcome *out;
    vl_pool *pool;
    vl_real *theta;
    vld_reader reader;    /* of theta, in training and after */
    double *loss;         /* [epochs] */
    double *valid;        /* [n_readings]: choosing; NULL: testing */
    const vl_data *test;  /* VLD_BY_TEST: read at each reading; else NULL */
    vld_student *student; /* testing */
    uint32_t *rank;       /* testing: [test->n_groups + test->n] of student->test */
    double flops;
} learner;

static const vlm_model *model_of(const vld_protocol *p, const vld_task *t)
{
    return t->model ? t->model : p->model;
}

/* Of the threads that a student has: others on the machine do not count. */
static double seconds_now(const half *h)
{
    struct timespec t;

    clock_gettime(h->inside ? CLOCK_PROCESS_CPUTIME_ID : CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* rank: [n_groups + n], gauges: may both be NULL. */
static int read_recall(learner *l, const vl_data *d, vld_recall *r, uint32_t *rank, vld_gauges *gauges,
                       vl_err *e)
{
    const vlm_model *m = l->m;
    double text = (double)m->text_dim * (double)m->embed_dim;
    vl_real *u = vl_alloc(d->n, m->embed_dim * sizeof *u, e);
    vl_real *v = u ? vl_alloc(d->n_caps, m->embed_dim * sizeof *v, e) : NULL;
    int rc = v ? vld_read(&l->reader, d, u, v, e) : VL_ENOMEM;

    if (!rc && !rank)
        rc = vld_recall_at(d, m->embed_dim, u, v, l->pool, r, e);
    else if (!rc)
        rc = vld_recall_ranks(d, m->embed_dim, u, v, l->pool, rank, rank + d->n_groups, e);
    if (!rc && rank)
        vld_recall_of_ranks(rank, d->n_groups, rank + d->n_groups, d->n, r);
    if (!rc && gauges)
        rc = vld_gauges_of(d, m->embed_dim, u, v, gauges, e);
    l->flops += 2 * ((m->macs - text) * (double)d->n + text * (double)d->n_caps);
    free(v);
    free(u);
    return rc;
}

/* The student as it is now: on validation, and on test with its ranks. */
static int read_student(learner *l, const vl_data *test, int epoch, vld_student *s, uint32_t *rank, vl_err *e)
{
    int rc = read_recall(l, l->p->validation, &s->valid, NULL, NULL, e);

    s->epoch = epoch;
    return rc ? rc : read_recall(l, test, &s->test, rank, &s->gauges, e);
}

/* VLD_BY_TEST: is this reading the best so far? */
static int read_best(learner *l, int epoch, vl_err *e)
{
    size_t n = l->test->n + l->test->n_groups;
    uint32_t *rank = vl_alloc(n, sizeof *rank, e);
    vld_student *s = l->student, now = *s;
    int rc = rank ? read_student(l, l->test, epoch, &now, rank, e) : VL_ENOMEM;

    if (!rc && (!s->epoch || now.test.mean > s->test.mean)) {
        *s = now;
        memcpy(l->rank, rank, n * sizeof *rank);
    }
    free(rank);
    return rc;
}

static int after_epoch(void *arg, int epoch, double loss, const vl_real *theta, vl_err *e)
{
    learner *l = arg;
    size_t n = vld_source_size(&l->task->draw[0].source);
    size_t batch = l->task->batch < n ? l->task->batch : n;
    vld_recall r;

    (void)theta; /* the reader's */
    l->loss[epoch - 1] = loss;
    l->flops += 6 * l->m->macs * (double)(n / batch * batch);
    for (int i = 0; (l->valid || l->test) && i < l->out->n_readings; i++) {
        if (l->out->at[i] != epoch)
            continue;
        int rc = l->test ? read_best(l, epoch, e) : read_recall(l, l->p->validation, &r, NULL, NULL, e);
        if (rc)
            return rc;
        if (l->valid)
            l->valid[i] = r.mean;
    }
    return VL_OK;
}

static uint64_t stream_of(const vld_task *t, const char *purpose, size_t draw, int number)
{
    return vl_rng_stream(purpose, XXH64(t->stream, strlen(t->stream), 0), draw, (uint64_t)number) |
           (uint64_t)1 << 63;
}

static int learn(learner *l, size_t draw, const double *point, int epochs, uint64_t stream, vl_err *e)
{
    const vld_draw *d = &l->task->draw[draw];
    vld_train_opts o = {.batch = l->task->batch,
                        .epochs = epochs,
                        .momentum = l->task->momentum,
                        .aug = l->task->aug,
                        .objective = l->task->objective,
                        .seed = vl_rng(l->p->seed, stream, 0)};

    for (int b = 0; b < VLM_BRANCHES; b++)
        o.rate[b] = point[b] * d->base[b];
    for (int i = 0; i < epochs; i++)
        l->loss[i] = NAN;
    vlm_init(l->m, l->p->seed, stream, l->theta);
    l->reader = (vld_reader){.model = l->m, .pool = l->pool, .theta = l->theta};
    o.reader = &l->reader;
    return vld_train(l->m, l->pool, &d->source, &o, l->theta, after_epoch, l, e);
}

static int try_point(half *h, const job *j, vl_real *theta, vl_err *e)
{
    const vld_task *t = &h->task[j->task];
    vld_outcome *out = &h->out[j->task];
    vld_point *pt = &out->point[j->index];
    learner l = {.p = h->p,
                 .m = model_of(h->p, t),
                 .task = t,
                 .out = out,
                 .pool = h->inside,
                 .theta = theta,
                 .loss = pt->loss,
                 .valid = pt->valid};
    double began = seconds_now(h);
    int rc = learn(&l, 0, t->grid[j->index], t->epochs, stream_of(t, "student of the grid", 0, 0), e);

    if (rc == VL_EMATH) {
        pt->diverged = true;
        memset(pt->valid, 0, (size_t)out->n_readings * sizeof *pt->valid);
        rc = VL_OK;
    }
    pt->seconds = seconds_now(h) - began;
    pt->flops = l.flops;
    return rc;
}

static int test_student(half *h, const job *j, vl_real *theta, vl_err *e)
{
    const vld_task *t = &h->task[j->task];
    vld_outcome *out = &h->out[j->task];
    vld_student *s = &out->student[j->index];
    learner l = {.p = h->p,
                 .m = model_of(h->p, t),
                 .task = t,
                 .out = out,
                 .pool = h->inside,
                 .theta = theta,
                 .loss = s->loss,
                 .test = t->select == VLD_BY_TEST ? h->test : NULL,
                 .student = s};
    double began = seconds_now(h);
    int rc = VL_ENOMEM;

    l.rank = vl_alloc(h->test->n_groups + h->test->n, sizeof *l.rank, e);
    if (l.rank)
        rc = learn(&l, s->draw, t->grid[out->best], out->epochs, stream_of(t, "student", s->draw, s->number),
                   e);
    if (!rc && !l.test)
        rc = read_student(&l, h->test, out->epochs, s, l.rank, e);
    if (rc == VL_EMATH) {
        s->diverged = true;
        s->epoch = out->epochs;
        memset(&s->valid, 0, sizeof s->valid);
        memset(&s->test, 0, sizeof s->test);
        memset(&s->gauges, 0, sizeof s->gauges);
        rc = VL_OK;
    }
    out->test_mean[j->index] = s->test.mean;
    s->seconds = seconds_now(h) - began;
    s->flops = l.flops;
    if (!rc) {
        const uint32_t *rank = s->diverged ? NULL : l.rank;
        pthread_mutex_lock(&h->lock); /* sums of whole numbers: the order does not show */
        vld_hits_add(&out->hits, h->test, rank, rank ? rank + h->test->n_groups : NULL);
        pthread_mutex_unlock(&h->lock);
    }
    free(l.rank);
    return rc;
}

/* ---- a half: many students ---------------------------------------------------------------------- */

static void run_job(void *arg, size_t number, int worker)
{
    half *h = arg;
    const job *j = &h->jobs[number];
    vl_err e = {0};
    vl_real *theta = NULL;
    bool go;
    int rc = VL_ENOMEM;

    (void)worker;
    pthread_mutex_lock(&h->lock);
    go = h->failed == h->n_jobs; /* after a failure nothing new begins */
    pthread_mutex_unlock(&h->lock);
    if (!go)
        return;
    theta = vl_alloc(model_of(h->p, &h->task[j->task])->n, sizeof *theta, &e);
    if (theta)
        rc = (h->test ? test_student : try_point)(h, j, theta, &e);
    free(theta);
    pthread_mutex_lock(&h->lock);
    if (rc && number < h->failed) {
        h->failed = number;
        h->e = e;
    }
    h->done++;
    if (!rc && h->p->tick) {
        vld_tick tick = {j->task, h->done, h->n_jobs, NULL, j->index, NULL};
        if (h->test)
            tick.student = &h->out[j->task].student[j->index];
        else
            tick.point = &h->out[j->task].point[j->index];
        h->p->tick(h->p->arg, &tick);
    }
    pthread_mutex_unlock(&h->lock);
}

static int longest_first(const void *a, const void *b)
{
    const job *x = a, *y = b;

    if (x->cost != y->cost)
        return x->cost > y->cost ? -1 : 1;
    if (x->task != y->task)
        return x->task < y->task ? -1 : 1;
    return x->index < y->index ? -1 : 1;
}

static size_t jobs_of(const vld_outcome *o, bool testing)
{
    return testing ? o->n_students : o->shared ? 0 : o->n_points;
}

static int run_half(const vld_protocol *p, const vl_data *test, const vld_task *task, size_t n,
                    vld_outcome *out, vl_err *e)
{
    half h = {.p = p, .test = test, .task = task, .out = out};
    size_t beside;

    for (size_t i = 0; i < n; i++)
        h.n_jobs += jobs_of(&out[i], test);
    h.jobs = vl_alloc(h.n_jobs, sizeof *h.jobs, e);
    if (!h.jobs)
        return VL_ENOMEM;
    for (size_t i = 0, k = 0; i < n; i++) {
        double pairs = (double)vld_source_size(&task[i].draw[0].source) *
                       (test ? out[i].epochs : task[i].epochs) * model_of(p, &task[i])->macs;
        for (size_t x = 0; x < jobs_of(&out[i], test); x++)
            h.jobs[k++] = (job){i, x, pairs};
    }
    qsort(h.jobs, h.n_jobs, sizeof *h.jobs, longest_first);
    h.failed = h.n_jobs;
    pthread_mutex_init(&h.lock, NULL);
    beside = h.n_jobs - h.n_jobs % (size_t)vl_pool_threads(p->pool);
    vl_pool_run(p->pool, beside, run_job, &h);
    h.inside = p->pool;
    for (size_t i = beside; i < h.n_jobs; i++)
        run_job(&h, i, 0);
    pthread_mutex_destroy(&h.lock);
    free(h.jobs);
    return h.failed < h.n_jobs ? vl_fail(e, h.e.code, "%s", h.e.text) : VL_OK;
}

/* ---- choosing ----------------------------------------------------------------------------------- */

static int check_data(const vlm_model *m, const vl_data *d, const char *what, vl_err *e)
{
    if (!d->n || !d->group)
        return vl_fail(e, VL_EARG, "%s data: empty, or its captions are not grouped", what);
    return vld_data_fits(m, d, e) ? vl_within(e, "%s data", what) : VL_OK;
}

static int check_task(const vlm_model *m, const vld_task *t, vl_err *e)
{
    size_t n = t->n_draws ? vld_source_size(&t->draw[0].source) : 0;

    if (!t->n_draws || t->n_grid < 1 || t->n_grid > VLD_MAX_GRID || t->epochs < 1 || t->readings < 1 ||
        t->readings > VLD_MAX_READINGS || t->students < 1 || t->n_draws > VLD_MAX_STUDENTS ||
        (size_t)t->students > VLD_MAX_STUDENTS / t->n_draws)
        return vl_fail(e, VL_EARG,
                       "%zu draws, %d students of each, %zu grid points, %d epochs, %d readings: 1 to %d "
                       "students in all, 1 to %d points, 1 epoch, 1 to %d readings wanted",
                       t->n_draws, t->students, t->n_grid, t->epochs, t->readings, VLD_MAX_STUDENTS,
                       VLD_MAX_GRID, VLD_MAX_READINGS);
    for (size_t i = 0; i < t->n_draws; i++) {
        const vld_source *s = &t->draw[i].source;
        int rc = s->data ? check_data(m, s->data, "training", e) : VL_OK;
        if (rc)
            return rc;
        if (vld_source_size(s) != n || n < 2 || t->batch < 2)
            return vl_fail(e, VL_EARG, "draw %zu: %zu pairs, the first has %zu; batch %zu: 2 and more wanted",
                           i, vld_source_size(s), n, t->batch);
        for (int b = 0; b < VLM_BRANCHES; b++)
            for (size_t g = 0; g < t->n_grid; g++)
                if (!(t->grid[g][b] * t->draw[i].base[b] > 0) || !isfinite(t->grid[g][b]))
                    return vl_fail(e, VL_EARG, "draw %zu: a rate of %g: rates are above 0", i,
                                   t->grid[g][b] * t->draw[i].base[b]);
    }
    return VL_OK;
}

/* o of the task that it shares with; NULL: none. */
static int outcome_new(const vld_task *t, const vld_outcome *with, vld_outcome *o, vl_err *e)
{
    o->n_readings = t->readings < t->epochs ? t->readings : t->epochs;
    for (int i = 0; i < o->n_readings; i++)
        o->at[i] = (int)((int64_t)t->epochs * (i + 1) / o->n_readings);
    o->n_points = t->n_grid;
    o->shared = with != NULL;
    o->point = with ? with->point : vl_alloc(t->n_grid, sizeof *o->point, e);
    for (size_t i = 0; !with && o->point && i < t->n_grid; i++)
        if (!(o->point[i].loss = vl_alloc((size_t)t->epochs, sizeof(double), e)) ||
            !(o->point[i].valid = vl_alloc((size_t)o->n_readings, sizeof(double), e)))
            return VL_ENOMEM;
    return o->point ? VL_OK : VL_ENOMEM;
}

static void fix_best(const vld_task *t, vld_outcome *o)
{
    o->best = 0;
    o->best_valid = -1;
    for (size_t i = 0; i < o->n_points; i++)
        for (int r = t->select == VLD_AT_LAST ? o->n_readings - 1 : 0; r < o->n_readings; r++)
            if (o->point[i].valid[r] > o->best_valid) {
                o->best = i;
                o->epochs = o->at[r];
                o->best_valid = o->point[i].valid[r];
            }
    if (t->select == VLD_BY_TEST)
        o->epochs = t->epochs;
}

/* Only what cannot differ by accident is compared: sizes that arrays hang on. */
static int check_shares(const vld_task *t, size_t i, vl_err *e)
{
    const vld_task *with = t - t->shares;

    if (t->shares > i || with->shares || with->n_grid != t->n_grid || with->epochs != t->epochs ||
        with->readings != t->readings)
        return vl_fail(e, VL_EARG, "task %zu: shares the choice of a task that is not there or not like it",
                       i);
    return VL_OK;
}

int vld_protocol_choose(const vld_protocol *p, const vld_task *task, size_t n, vld_outcome *out, vl_err *e)
{
    int rc = check_data(p->model, p->validation, "validation", e);

    for (size_t i = 0; !rc && i < n; i++)
        rc = check_task(model_of(p, &task[i]), &task[i], e);
    for (size_t i = 0; !rc && i < n; i++)
        if (task[i].shares)
            rc = check_shares(&task[i], i, e);
    for (size_t i = 0; !rc && i < n; i++)
        rc = outcome_new(&task[i], task[i].shares ? &out[i - task[i].shares] : NULL, &out[i], e);
    if (!rc)
        rc = run_half(p, NULL, task, n, out, e);
    for (size_t i = 0; !rc && i < n; i++)
        fix_best(&task[i], &out[i]);
    return rc;
}

/* ---- testing ------------------------------------------------------------------------------------ */

static int students_new(const vld_task *t, vld_outcome *o, vl_err *e)
{
    o->n_students = t->n_draws * (size_t)t->students;
    o->student = vl_alloc(o->n_students, sizeof *o->student, e);
    o->test_mean = o->student ? vl_alloc(o->n_students, sizeof(double), e) : NULL;
    if (!o->test_mean)
        return VL_ENOMEM;
    for (size_t i = 0; i < o->n_students; i++) {
        vld_student *s = &o->student[i];
        s->draw = i / (size_t)t->students;
        s->number = (int)(i % (size_t)t->students);
        for (int b = 0; b < VLM_BRANCHES; b++)
            s->rate[b] = t->grid[o->best][b] * t->draw[s->draw].base[b];
        s->loss = vl_alloc((size_t)o->epochs, sizeof *s->loss, e);
        if (!s->loss)
            return VL_ENOMEM;
    }
    return VL_OK;
}

int vld_protocol_test(const vld_protocol *p, const vl_data *test, const vld_task *task, size_t n,
                      vld_outcome *out, vl_err *e)
{
    int rc = check_data(p->model, test, "test", e);

    for (size_t i = 0; !rc && i < n; i++)
        rc = students_new(&task[i], &out[i], e);
    for (size_t i = 0; !rc && i < n; i++)
        rc = vld_hits_new(test, &out[i].hits, e);
    if (!rc)
        rc = run_half(p, test, task, n, out, e);
    for (size_t i = 0; !rc && i < n; i++)
        rc = vld_bootstrap(&out[i].hits, test, p->seed, &out[i].query_low, &out[i].query_high, e);
    return rc;
}

void vld_outcome_free(vld_outcome *o)
{
    for (size_t i = 0; o->point && !o->shared && i < o->n_points; i++) {
        free(o->point[i].loss);
        free(o->point[i].valid);
    }
    for (size_t i = 0; o->student && i < o->n_students; i++)
        free(o->student[i].loss);
    if (!o->shared)
        free(o->point);
    vld_hits_free(&o->hits);
    free(o->student);
    free(o->test_mean);
    memset(o, 0, sizeof *o);
}

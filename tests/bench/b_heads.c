/* SPDX-License-Identifier: MIT
 * b_heads.c -- training the projection heads at their published size (2304 -> 2304 for images, 768 -> 2304 for
 * texts): the step of an expert (batch 128, InfoNCE), a student of 100 epochs on 99 pairs with six readings of recall
 * on 1,000 x 5,000, and what 20 experts of 3 epochs on 145,000 pairs come to. Beside them PyTorch (peer_heads.py),
 * where it is installed. For comparison the tape's general form: the same step, and one of the adjoint.
 *
 * GFLOP/s count what the step's products come to by their sizes; the rate of square library products, one for each
 * thread, stands beside them. One thread and two, by the clock. */
#include "distill/eval_recall.h"
#include "distill/train_heads.h"
#include "tests/bench/peer.h"
#include "tests/bench/step.h"

enum { H_IMAGE = 2304, H_TEXT = 768, H_EMBED = 2304, H_BATCH = 128, STEPS = 20, SQUARE = 2304 };
enum { PAIRS = 99, EPOCHS = 100, READINGS = 6, IMAGES = 1000, CAPTIONS = 5 };
enum { BIG_PAIRS = 145000, BIG_EXPERTS = 20, BIG_EPOCHS = 3 };

static vlm_model heads(void)
{
    char spec[32];
    vlm_model m;

    snprintf(spec, sizeof spec, "heads:%d", H_IMAGE);
    net_need(!vlm_parse_heads(spec, H_TEXT, H_EMBED, 14.3, &m, NULL), "vlm_parse_heads");
    return m;
}

typedef struct square {
    vl_real *a; /* [3 of each thread][SQUARE,SQUARE] */
} square;

static void multiply_square(void *arg, size_t tile, int worker)
{
    const size_t n = (size_t)SQUARE * SQUARE;
    vl_real *a = ((square *)arg)->a + 3 * tile * n;

    (void)worker;
    vl_gemm(0, 0, SQUARE, SQUARE, SQUARE, 1, a, SQUARE, a + n, SQUARE, 0, a + 2 * n, SQUARE);
}

/* Flops a second of library products, one for each thread; the best of some. */
static double product_rate(vl_pool *pool)
{
    const size_t n = (size_t)SQUARE * SQUARE, threads = (size_t)vl_pool_threads(pool);
    square s = {malloc(3 * threads * n * sizeof *s.a)};
    double best = 1e9;

    net_need(s.a != NULL, "malloc");
    vl_rng_normal(1, 1, 3 * threads * n, 1, s.a);
    for (int i = 0; i <= NET_REPS; i++) {
        double t = net_clock();
        vl_pool_run(pool, threads, multiply_square, &s);
        t = net_clock() - t;
        best = i && t < best ? t : best;
    }
    free(s.a);
    return 2 * (double)threads * (double)n * SQUARE / best;
}

/* ---- the step of an expert ---------------------------------------------------------------------- */

/* Up, and down to the weights of both layers and to the second's input; three products of the loss. */
static double step_flops(const vlm_model *m)
{
    double second = (double)H_BATCH * H_EMBED * H_EMBED;

    return 2 * (2 * H_BATCH * m->macs + 2 * second + 3.0 * H_BATCH * H_BATCH * H_EMBED);
}

static double expert_step(const vlm_model *m, int threads)
{
    const size_t rows[VLM_BRANCHES] = {0};
    const vl_real *none[VLM_BRANCHES] = {0};
    double t[STEPS], rate, flops = step_flops(m);
    vl_pool *pool = net_pool(threads);
    vl_real *theta = net_weights(m, 0);
    vld_heads h;
    bench_times s;

    rate = product_rate(pool);
    net_need(!vld_heads_new(m, NULL, pool, H_BATCH, false, rows, theta, &h, NULL), "vld_heads_new");
    vld_heads_begin(&h, none);
    vl_rng_normal(1, 1, H_BATCH * H_IMAGE, 1, h.head[VLM_IMAGE].x);
    vl_rng_normal(1, 2, H_BATCH * H_TEXT, 1, h.head[VLM_TEXT].x);
    h.head[VLM_IMAGE].rule.rate = h.head[VLM_TEXT].rule.rate = VL_R(0.01);
    for (int i = -2; i < STEPS; i++) {
        const vl_draws draws = {1, 0, (uint64_t)(i + 2)};
        double begin = net_clock();
        vld_heads_forward(&h, &draws);
        vld_heads_backward(&h);
        if (i >= 0)
            t[i] = net_clock() - begin;
    }
    s = net_median(t, STEPS);
    printf("expert step      -j %d  %7.1f ms (%.1f to %.1f)  %.1f steps/s  %.0f GFLOP/s, %.0f %% of library "
           "products' %.0f\n",
           threads, 1e3 * s.median, 1e3 * s.min, 1e3 * s.max, 1 / s.median, 1e-9 * flops / s.median,
           100 * flops / s.median / rate, 1e-9 * rate);
    vld_heads_free(&h);
    free(theta);
    vl_pool_free(pool);
    return s.median;
}

static void peer_step(int threads, double ours)
{
    char about[100];
    double s[3];

    if (peer_run("peer_heads.py step 20", threads, s, about, sizeof about))
        printf("PyTorch                %7.1f ms (%.1f to %.1f)  %.1f steps/s: %.2f times as long  %s\n",
               1e3 * s[0], 1e3 * s[1], 1e3 * s[2], 1 / s[0], s[0] / ours, about);
}

/* ---- a student ---------------------------------------------------------------------------------- */

static vl_data made_up(void)
{
    vl_data d = {.n = IMAGES, .feature_dim = H_IMAGE, .text_dim = H_TEXT, .n_caps = IMAGES * CAPTIONS};

    d.features = malloc(d.n * H_IMAGE * sizeof *d.features);
    d.text = malloc(d.n_caps * H_TEXT * sizeof *d.text);
    d.cap = malloc((d.n + 1) * sizeof *d.cap);
    net_need(d.features && d.text && d.cap, "malloc");
    vl_rng_normal(1, 3, d.n * H_IMAGE, 1, d.features);
    vl_rng_normal(1, 4, d.n_caps * H_TEXT, 1, d.text);
    for (size_t i = 0; i <= d.n; i++)
        d.cap[i] = i * CAPTIONS;
    net_need(!vl_data_group(&d, NULL), "vl_data_group");
    return d;
}

typedef struct student {
    vld_reader reader;
    const vl_data *d;
    vl_pool *pool;
    vl_real *u, *v;
    double reading; /* seconds */
} student;

static bool reads_after(int epoch)
{
    for (int i = 1; i <= READINGS; i++)
        if (epoch == EPOCHS * i / READINGS)
            return true;
    return false;
}

static int after_epoch(void *arg, int epoch, double loss, const vl_real *theta, vl_err *e)
{
    student *s = arg;
    double begin = net_clock();
    vld_recall r;

    (void)loss;
    (void)theta;
    if (!reads_after(epoch))
        return VL_OK;
    net_need(!vld_read(&s->reader, s->d, s->u, s->v, e) &&
                 !vld_recall_at(s->d, H_EMBED, s->u, s->v, s->pool, &r, e),
             "a reading");
    s->reading += net_clock() - begin;
    return VL_OK;
}

static void one_student(const vlm_model *m, int threads, double *t)
{
    vld_train_opts o = {.batch = PAIRS,
                        .epochs = EPOCHS,
                        .rate = {0.01, 0.01},
                        .momentum = 0.9,
                        .weight_decay = 5e-4,
                        .seed = 1};
    vl_data d = made_up();
    student s = {.d = &d, .pool = net_pool(threads)};
    vl_real *theta = net_weights(m, 0);
    vld_source source = {0};
    vld_set set;

    net_need(!vld_set_new(m, PAIRS, &set, NULL), "vld_set_new");
    vl_rng_normal(1, 1, PAIRS * H_IMAGE, 1, set.image);
    vl_rng_normal(1, 2, PAIRS * H_TEXT, 1, set.text);
    source.set = &set;
    s.u = malloc(d.n * H_EMBED * sizeof *s.u);
    s.v = malloc(d.n_caps * H_EMBED * sizeof *s.v);
    net_need(s.u && s.v, "malloc");
    s.reader = (vld_reader){.model = m, .pool = s.pool, .theta = theta};
    o.reader = &s.reader;
    t[2] = -net_clock();
    net_need(!vld_train(m, s.pool, &source, &o, theta, after_epoch, &s, NULL), "vld_train");
    t[2] += net_clock();
    t[1] = s.reading;
    t[0] = t[2] - t[1];
    free(s.v);
    free(s.u);
    free(theta);
    vld_set_free(&set);
    vl_data_free(&d);
    vl_pool_free(s.pool);
}

static void students(const vlm_model *m, int threads)
{
    char about[100];
    double t[3], other[3];

    one_student(m, threads, t);
    printf("student          -j %d  %7.2f s: %d epochs of %d pairs %.2f s, %d readings of %d x %d %.2f s\n",
           threads, t[2], EPOCHS, PAIRS, t[0], READINGS, IMAGES, IMAGES * CAPTIONS, t[1]);
    if (peer_run("peer_heads.py student 100 6", threads, other, about, sizeof about))
        printf("PyTorch                %7.2f s: training %.2f s, readings %.2f s: %.2f times as long  %s\n",
               other[2], other[0], other[1], other[2] / t[2], about);
}

/* ---- the whole ---------------------------------------------------------------------------------- */

static void size_up(const vlm_model *m, double step)
{
    const double steps = (double)(BIG_PAIRS / H_BATCH) * BIG_EPOCHS * BIG_EXPERTS;

    printf("%d experts of %d epochs on %d pairs: %.0f steps, %.0f s at this rate; features %.2f GB, "
           "snapshots of "
           "all epochs %.2f GB\n",
           BIG_EXPERTS, BIG_EPOCHS, BIG_PAIRS, steps, steps * step,
           4e-9 * BIG_PAIRS * (double)(m->image_n + m->text_dim),
           4e-9 * (double)m->n * BIG_EXPERTS * (BIG_EPOCHS + 1));
}

int main(int argc, char **argv)
{
    const vlm_objective soft = {VLM_WBCE, VLM_SIM_LOWRANK, 10, 3, 1};
    int only = argc > 1 ? atoi(argv[1]) : 0;
    const vlm_model m = heads();

    setvbuf(stdout, NULL, _IOLBF, 0);
    printf("%s, texts %d, embedding %d, core %s\n", m.spec, H_TEXT, H_EMBED, vl_blas_core());
    for (int threads = 1; threads <= 2; threads++) {
        if (only && only != threads)
            continue;
        double step = expert_step(&m, threads);
        peer_step(threads, step);
        size_up(&m, step);
        students(&m, threads);
        step_measure("forward and backward", &m, threads, H_BATCH, NULL, VLM_TRAIN);
        step_measure("the same and the tangent", &m, threads, 20, &soft, VLM_ADJOINT);
    }
    return 0;
}

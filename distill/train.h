/* SPDX-License-Identifier: MIT
 * train.h -- plain training of one network by SGD on real data or on a synthetic set: experts and students
 * alike. Batches, captions, views, masks and blends are functions of (seed, epoch, step). */
#ifndef VLD_TRAIN_H
#define VLD_TRAIN_H

#include "distill/embed.h"
#include "distill/smooth.h"
#include "distill/unroll.h"
#include "pipeline/data.h"

/* Where batches come from: exactly one of data and set. */
typedef struct vld_source {
    const vl_data *data;
    const uint32_t *subset; /* rows of data to use, [n_subset]; NULL: all */
    size_t n_subset;
    const vld_set *set;
} vld_source;

size_t vld_source_size(const vld_source *s);

/* What a step on data looked at, after its forward sweep. Borrowed for the call. */
typedef struct vld_step {
    size_t batch;
    const uint32_t *row, *caption; /* [batch] of the data; captions count over all records */
    const vlm_graph *graph;
} vld_step;
typedef void (*vld_step_fn)(void *arg, const vld_step *s);

typedef struct vld_train_opts {
    size_t batch; /* cut to the size of the source */
    int epochs;
    double rate[VLM_BRANCHES];
    double momentum;         /* 0: plain */
    double weight_decay;     /* per step, times rate */
    bool cosine;             /* the rate falls to 0 along half a cosine; else constant */
    vld_smooth_opts smooth;  /* what steps go along in place of the gradient */
    vl_augment aug;          /* of pixels */
    vlm_objective objective; /* data have no similarity: VL_EARG where it has one to be learned */
    uint64_t seed;
    int first_epoch; /* epochs that theta has behind it: training goes on as if it had not stopped (without
                        momentum, whose velocity is not in theta: VL_EARG) */
    vld_form form;   /* of heads: VLD_FORM_DENSE is the tape's general one, else their own (train_heads.h) */
    /* What each() reads embeddings with, of this model and theta; NULL: it looks at theta. With a reader theta is
     * current after the last epoch alone, and first layers of heads may be trained by the source's rows
     * (train_rows.h). It ends with the training. */
    vld_reader *reader;
    vld_step_fn watch; /* called at each step with data as the source; NULL: nobody */
    void *watch_arg;
} vld_train_opts;

/* Called after each epoch (epoch counts from 1) with the weights (see reader); a non-zero result ends the training and is
 * returned. loss: mean over the epoch's steps, nats. */
typedef int (*vld_epoch_fn)(void *arg, int epoch, double loss, const vl_real *theta, vl_err *e);

/* vld_train -- trains theta[m->n] in place. Steps an epoch: n / batch, the remainder of a pass left out.
 * Errors: VL_EMATH when the loss is not finite, VL_ENOMEM, what each() returns. */
VL_MUST_USE int vld_train(const vlm_model *m, vl_pool *pool, const vld_source *src, const vld_train_opts *o,
                          vl_real *theta, vld_epoch_fn each, void *arg, vl_err *e);

/* vld_data_fits -- are data what the network takes? VL_EARG with both sides' numbers. */
VL_MUST_USE int vld_data_fits(const vlm_model *m, const vl_data *d, vl_err *e);

/* vld_data_image -- x [m->image_n]: record `row` of the data as the model takes it; pixels under the view. */
void vld_data_image(const vlm_model *m, const vl_data *d, size_t row, vl_view view, vl_real *x);

/* vld_set_pair -- pair i of a set becomes record `row` of the data with caption number cap (over all records). */
void vld_set_pair(const vlm_model *m, const vl_data *d, size_t row, size_t cap, size_t i, vld_set *out);

#endif

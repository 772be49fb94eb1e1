/* SPDX-License-Identifier: MIT
 * distill_method.c -- the published methods, each a set of vldistill's options. Every option can be overridden by
 * itself; vldistill --method NAME --help shows what the set holds.
 *
 *             loss     similarity  gradient  blend  steps
 *   mtt-vl    infonce  none        exact     -      SGD, momentum 0.5
 *   tesla-vl  wbce     none        tesla     -      the same
 *   lors      wbce     low rank    tesla     -      the same
 *   repblend  wbce     low rank    tesla     1      the same; experts of scope heads
 *   lora      infonce  none        exact     -      mtt-vl's; experts by low-rank factors
 *
 * Steps, rank, alpha and batch go with data set and budget.
 * covmatch, mdm and krr train nothing inside (distill/single_loss.h) and take no budget but rho and lambda.
 * Source: Wu et al. 2024 (mtt-vl, lora), Xu et al. 2024 (tesla-vl, lors), Zhang et al. 2025 (repblend), and the settings
 * of their published scripts. Their learning rates of images and texts are steps here; rates of the inner
 * training start at 0.1 and move by SGD of 0.01. */
#include "cli/distill.h"

#include <stdlib.h>
#include <string.h>

const char distill_methods[] = "best|mtt-vl|tesla-vl|lors|repblend|lora|covmatch|mdm|krr";

/* Of a data set at about 100, 200 and 500 pairs. */
typedef struct budget {
    const char *dataset;
    int64_t up_to; /* pairs */
    double step, step_similarity, alpha;
    int64_t rank, batch, batch_blended, start_max;
    const char *normaliser;
    int64_t iterations;
} budget;

static const budget budgets[] = {
    {"flickr30k", 149, 100, 10, 3, 10, 20, 20, 2, "split", 3000},
    {"flickr30k", 349, 1000, 10, 1, 5, 20, 20, 2, "split", 3000},
    {"flickr30k", INT64_MAX, 1000, 100, 0.01, 20, 40, 20, 3, "split", 3000},
    {"coco", 149, 1000, 5, 1, 10, 20, 20, 2, "merged", 3000},
    {"coco", 349, 1000, 50, 1, 20, 20, 20, 2, "merged", 2000},
    {"coco", INT64_MAX, 5000, 500, 1, 40, 30, 20, 2, "merged", 3000},
};
static const char *const low_rank[] = {"lowrank:10", "lowrank:5",  "lowrank:20",
                                       "lowrank:10", "lowrank:20", "lowrank:40"};

static size_t budget_of(const char *dataset, int64_t pairs)
{
    size_t i = 0;

    while (strcmp(budgets[i].dataset, dataset) || pairs > budgets[i].up_to)
        i++;
    return i;
}

/* What those that match trajectories have in common. */
static void published(const budget *b, distill_options *o)
{
    o->inner_steps = 8;
    o->warm_steps = 0;
    o->expert_epochs = 1;
    o->start_max = b->start_max;
    o->iterations = b->iterations;
    o->batch = b->batch;
    o->normaliser = b->normaliser;
    o->optimizer = "sgd";
    o->momentum = 0.5;
    o->schedule = "constant";
    o->rate_image = o->rate_text = 0.1;
    o->step_image = o->step_text = b->step;
    o->step_rates = 0.01;
}

static void with_similarity(const budget *b, distill_options *o)
{
    o->similarity = low_rank[b - budgets];
    o->alpha = b->alpha;
    o->step_similarity = b->step_similarity;
}

/* Weights are the authors', where there are some; steps are Adam's, and between what suits pixels and rows of unit
 * length. */
static void single_level(bool coco, distill_options *o)
{
    o->expert_epochs = 1;
    o->step_image = 0.005;
    if (!strcmp(o->method, "covmatch")) {
        o->rho = o->pairs < 150 ? 2 : 1;
        o->lambda = o->pairs < 350 ? 0.1 : coco ? 0.5 : 0.6;
    } else if (!strcmp(o->method, "mdm")) {
        o->real_batch = 64;
        o->gke = 0.8;
        o->sigma = 0.5;
    }
}

void distill_preset(distill_options *o)
{
    const char *method = o->method;
    const budget *b;

    if (!strcmp(method, "best"))
        return;
    if (vld_single_find(method)) {
        single_level(!strcmp(o->dataset, "coco"), o);
        return;
    }
    b = &budgets[budget_of(o->dataset, o->pairs)];
    published(b, o);
    if (!strcmp(method, "lora"))
        o->match = "lora";
    if (!strcmp(method, "mtt-vl") || !strcmp(method, "lora")) {
        o->step_image = o->step_text = 1000;
        o->start_max = 2;
        o->batch = 100;
        o->normaliser = "split";
        o->iterations = 2000;
        return;
    }
    o->loss = "wbce";
    o->gradient = "tesla";
    if (strcmp(method, "tesla-vl"))
        with_similarity(b, o);
    if (!strcmp(method, "repblend")) {
        o->blend = 1;
        o->batch = b->batch_blended;
    }
}

/* "none", "full" or "lowrank:R" */
static int similarity(const char *text, vlm_objective *out, vl_err *e)
{
    const char *rank = text + strlen("lowrank:");

    if (!strcmp(text, "none"))
        return VL_OK;
    out->sim = !strcmp(text, "full") ? VLM_SIM_FULL : VLM_SIM_LOWRANK;
    if (out->sim == VLM_SIM_FULL)
        return VL_OK;
    if (!strncmp(text, "lowrank:", strlen("lowrank:")) && *rank &&
        strspn(rank, "0123456789") == strlen(rank) && strlen(rank) < 6 && atoi(rank) > 0) {
        out->rank = (size_t)atoi(rank);
        return VL_OK;
    }
    return vl_fail(e, VL_EARG, "--similarity: '%.40s' is none of none, full, lowrank:RANK", text);
}

int distill_objective(const distill_options *o, vlm_objective *out, vl_err *e)
{
    int rc;

    *out = (vlm_objective){.alpha = o->alpha, .blend = o->blend};
    for (int i = 0; vld_loss_name[i]; i++)
        if (!strcmp(o->loss, vld_loss_name[i]))
            out->loss = (vlm_loss)i;
    rc = similarity(o->similarity, out, e);
    if (!rc && out->loss == VLM_INFONCE && out->sim != VLM_SIM_NONE)
        return vl_fail(e, VL_EARG, "--similarity %s: infonce takes none, ence does", o->similarity);
    return rc;
}

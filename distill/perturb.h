/* SPDX-License-Identifier: MIT
 * perturb.h -- noise on the weights that an inner training starts from, so that a set does not lean on the exact place
 * where experts begin.
 *
 *   theta += sigma sd(tensor) z,   z standard normal, sd of each tensor's values about their mean
 *
 * A tensor whose values are all the same (a bias before training, a factor that begins at zero) stays as it is.
 * Source: Shen et al. 2023 (AST), with each tensor's own spread as the unit. */
#ifndef VLD_PERTURB_H
#define VLD_PERTURB_H

#include "pipeline/model.h"

/* vld_perturb -- theta [m->n], in place; z is a function of (seed, iter). sigma >= 0; 0 changes nothing. The same at
 * any number of threads. */
void vld_perturb(const vlm_model *m, vl_pool *pool, double sigma, uint64_t seed, uint64_t iter,
                 vl_real *theta);

#endif

/* SPDX-License-Identifier: MIT */
#include "distill/select.h"

#include <stddef.h>

const vld_select_method vld_select_methods[] = {
    {"random", vld_select_random, 0},
    {"k-center", vld_select_kcenter, 1},
    {NULL, NULL, 0},
};

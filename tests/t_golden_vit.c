/* SPDX-License-Identifier: MIT
 * t_golden_vit.c -- the vision transformer and its exact unrolled gradient against PyTorch's, in float. */
#define GOLDEN_BOUND 1e-5
#include "tests/golden_vit_cases.h"

int main(void)
{
    return cmocka_run_group_tests(golden_vit_tests, NULL, NULL);
}

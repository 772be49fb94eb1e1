/* SPDX-License-Identifier: MIT
 * t64_single_golden.c -- single-level losses, their gradients and merged experts against PyTorch's, in double. */
#define GOLDEN_BOUND 1e-9
#include "tests/single_cases.h"

int main(void)
{
    return cmocka_run_group_tests(single_tests, NULL, NULL);
}

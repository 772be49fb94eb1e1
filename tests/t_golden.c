/* SPDX-License-Identifier: MIT
 * t_golden.c -- losses, gradients, second derivatives and whole iterations against PyTorch's, in float. */
#define GOLDEN_BOUND 1e-5
#include "tests/golden_cases.h"

int main(void)
{
    return cmocka_run_group_tests(golden_tests, NULL, NULL);
}

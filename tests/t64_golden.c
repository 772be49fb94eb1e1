/* SPDX-License-Identifier: MIT
 * t64_golden.c -- losses, gradients, second derivatives and whole iterations against PyTorch's, in double. */
#define GOLDEN_BOUND 1e-9
#include "tests/golden_cases.h"

int main(void)
{
    return cmocka_run_group_tests(golden_tests, NULL, NULL);
}

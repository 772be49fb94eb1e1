/* SPDX-License-Identifier: MIT
 * t64_forms.c -- unroll_forms.h in double. */
#define FORMS_BOUND 1e-9
#include "tests/unroll_forms.h"

int main(void)
{
    return cmocka_run_group_tests(form_tests, NULL, NULL);
}

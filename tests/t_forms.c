/* SPDX-License-Identifier: MIT
 * t_forms.c -- unroll_forms.h in float. */
#define FORMS_BOUND 1e-5
#include "tests/unroll_forms.h"

int main(void)
{
    return cmocka_run_group_tests(form_tests, NULL, NULL);
}

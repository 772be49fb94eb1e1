/* SPDX-License-Identifier: MIT
 * t_train_heads.c -- the forms of training heads, in float. */
#include "tests/train_heads_forms.h"

/* SPDX-License-Identifier: MIT
 * t64_train_heads.c -- the forms of training heads, in double. */
#include "tests/train_heads_forms.h"

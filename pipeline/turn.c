/* SPDX-License-Identifier: MIT */
#include "pipeline/turn.h"

#include <stdbool.h>
#include <string.h>

enum { SIDE = 16 };
typedef vl_real lanes __attribute__((vector_size(SIDE * sizeof(vl_real))));

/* Two rows S apart change places in every other S lanes: after S = 1, 2, 4, 8 each lane is where its row was. */
#define LOW(s, l)  ((l) & (s) ? SIDE + (l) - (s) : (l))
#define HIGH(s, l) ((l) & (s) ? SIDE + (l) : (l) + (s))
#define ALL(of, s)                                                                                           \
    of(s, 0), of(s, 1), of(s, 2), of(s, 3), of(s, 4), of(s, 5), of(s, 6), of(s, 7), of(s, 8), of(s, 9),      \
        of(s, 10), of(s, 11), of(s, 12), of(s, 13), of(s, 14), of(s, 15)
#define EXCHANGE(s)                                                                                          \
    _Pragma("GCC unroll 16") for (int i = 0; i < SIDE; i++) if (!(i & (s)))                                  \
    {                                                                                                        \
        lanes a = v[i], b = v[i + (s)];                                                                      \
        v[i] = __builtin_shufflevector(a, b, ALL(LOW, s));                                                   \
        v[i + (s)] = __builtin_shufflevector(a, b, ALL(HIGH, s));                                            \
    }

static inline void turn_square(const vl_real *in, size_t ldi, vl_real *out, size_t ldo, bool add)
{
    lanes v[SIDE], was;

    for (size_t i = 0; i < SIDE; i++)
        memcpy(&v[i], in + i * ldi, sizeof was);
    EXCHANGE(1)
    EXCHANGE(2)
    EXCHANGE(4)
    EXCHANGE(8)
    for (size_t i = 0; i < SIDE; i++) {
        if (add) {
            memcpy(&was, out + i * ldo, sizeof was);
            v[i] += was;
        }
        memcpy(out + i * ldo, &v[i], sizeof was);
    }
}

static inline void turn(size_t rows, size_t columns, const vl_real *in, size_t ldi, vl_real *out, size_t ldo,
                        bool add)
{
    for (size_t r = 0; r < rows; r += SIDE)
        for (size_t c = 0; c < columns; c += SIDE) {
            size_t r_end = r + SIDE < rows ? r + SIDE : rows, c_end = c + SIDE < columns ? c + SIDE : columns;
            if (r_end - r == SIDE && c_end - c == SIDE) {
                turn_square(in + r * ldi + c, ldi, out + c * ldo + r, ldo, add);
                continue;
            }
            for (size_t i = r; i < r_end; i++)
                for (size_t k = c; k < c_end; k++)
                    out[k * ldo + i] = in[i * ldi + k] + (add ? out[k * ldo + i] : 0);
        }
}

void vl_turn(size_t rows, size_t columns, const vl_real *in, size_t ldi, vl_real *out, size_t ldo)
{
    turn(rows, columns, in, ldi, out, ldo, false);
}

void vl_turn_add(size_t rows, size_t columns, const vl_real *in, size_t ldi, vl_real *out, size_t ldo)
{
    turn(rows, columns, in, ldi, out, ldo, true);
}

#!/usr/bin/env python3
"""pow10_table   Writes src/base/f64_pow10.h: powers of ten as 128 bits, for f64_digits.

    tools/pow10_table.py > src/base/f64_pow10.h
"""
from fractions import Fraction

LEAST, MOST = -292, 324


def bits(e):
    """10^e times a power of two, at least 2^127 and below 2^128; rounded up where it is not whole."""
    power = Fraction(10) ** e
    shift = 127 - ((e * 1741647) >> 19)
    g = power * (Fraction(2) ** shift)
    assert 1 << 127 <= g < 1 << 128
    return -(-g.numerator // g.denominator)


def main():
    print('''/* f64_pow10.h — powers of ten with 128 bits, as tools/pow10_table.py writes them.
 *
 * What        Row i is 10^(i + F64_POW10_LEAST) times the power of two that makes it fill 128 bits.
 * Invariants  exact where it is whole, else the next greater one
 * Ownership   constants
 * Threads     constants
 * Errors      none
 * Format      { upper 64 bits, lower 64 bits }
 */
#ifndef EPI_BASE_F64_POW10_H
#define EPI_BASE_F64_POW10_H

#include <stdint.h>

enum { F64_POW10_LEAST = %d, F64_POW10_MOST = %d };

static const struct f64_pow10 {
    uint64_t hi, lo;
} f64_pow10_bits[F64_POW10_MOST - F64_POW10_LEAST + 1] = {''' % (LEAST, MOST))
    rows = ['{ 0x%016x, 0x%016x },' % (g >> 64, g & (1 << 64) - 1) for g in map(bits, range(LEAST, MOST + 1))]
    for i in range(0, len(rows), 2):
        print('    ' + ' '.join(rows[i:i + 2]))
    print('''};

#endif''')


main()

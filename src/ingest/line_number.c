#include "ingest/line_number.h"

/* The number by the full parser, if it is made of digits, signs, dots and e alone. */
static const uint8_t *line_number_slow(const uint8_t *p, const uint8_t *end, double *out)
{
    const uint8_t *q = p;
    while (q < end && (((uint8_t)(*q - '0') < 10) || *q == '.' || *q == '-' || *q == '+' ||
                          *q == 'e' || *q == 'E'))
        q++;
    if (q == p || *q == 'I' || *q == 'N') {
        static const struct { str word; uint64_t bits;
        } words[] = {
            { S("NaN"), NORMAL_NAN_BITS },
            { S("+Inf"), 0x7ff0000000000000u },
            { S("-Inf"), 0xfff0000000000000u },
        };
        for (size_t k = 0; k < ARRAY_LEN(words); k++) {
            if (!str_has_prefix(str_of(p, (size_t)(end - p)), words[k].word)) continue;
            *out = f64_of_bits(words[k].bits);
            return p + words[k].word.n;
        }
        return NULL;
    }
    return f64_parse(str_of(p, (size_t)(q - p)), out) ? q : NULL;
}

const uint8_t *line_number(const uint8_t *p, const uint8_t *end, double *out)
{
    const uint8_t *from = p;
    bool neg = *p == '-';
    p += neg;
    uint64_t m = 0;
    const uint8_t *q = line_mantissa(p, &m);
    if (UNLIKELY(!q || q == p)) return line_number_slow(from, end, out);
    if (LIKELY(*q == '\n' && m < (1ull << 53))) {
        *out = neg ? -(double)m : (double)m;
        return q;
    }
    int exp10 = 0;
    if (*q == '.') {
        const uint8_t *dot = q + 1;
        q = line_mantissa(dot, &m);
        if (!q) return line_number_slow(from, end, out);
        exp10 = -(int)(q - dot);
    }
    if (*q == 'e' || *q == 'E') {
        bool down = q[1] == '-';
        q += 1 + (q[1] == '-' || q[1] == '+');
        int x = 0;
        const uint8_t *digits = q;
        for (; (uint8_t)(*q - '0') < 10 && x < 1000; q++) x = x * 10 + (*q - '0');
        if (q == digits || x >= 1000) return line_number_slow(from, end, out);
        exp10 += down ? -x : x;
    }
    if (m >= (1ull << 53) || exp10 < -22 || exp10 > 22) return line_number_slow(from, end, out);
    static const double tens[] = { 1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11,
        1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22 };
    double v = exp10 < 0 ? (double)m / tens[-exp10] : (double)m * tens[exp10];
    *out = neg ? -v : v;
    return q;
}

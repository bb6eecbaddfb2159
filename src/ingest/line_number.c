#include "ingest/line_number.h"

const uint8_t *line_number_slow(const uint8_t *p, const uint8_t *end, double *out)
{
    const uint8_t *q = p;
    while (q < end && (((uint8_t)(*q - '0') < 10) || *q == '.' || *q == '-' || *q == '+' || *q == 'e' || *q == 'E')) q++;
    if (q == p || *q == 'I' || *q == 'N') {
        static const struct { str word; uint64_t bits; } words[] = {
            { S("NaN"), NORMAL_NAN_BITS }, { S("+Inf"), 0x7ff0000000000000u }, { S("-Inf"), 0xfff0000000000000u },
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

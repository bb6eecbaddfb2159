#include "chunk/start_time.h"

enum { FIRST_KNOWN = 0x80, CHANGE_MASK = 0x7f, CHANGE_MAX = 127 };

static int64_t minus(int64_t a, int64_t b) { return (int64_t)((uint64_t)a - (uint64_t)b); }

void start_time_put(struct start_time *s, struct bits *b, uint32_t i, int64_t t, int64_t before,
                    int64_t st)
{
    bool changing = s->header & CHANGE_MASK;
    if (i == 0) {
        if (st) {
            bits_put_varint(b, minus(t, st));
            s->header = FIRST_KNOWN;
        }
    } else if (changing || st != s->st || i == CHANGE_MAX) {
        int64_t diff = minus(before, st);
        bits_put_varbit(b, changing ? minus(diff, s->diff) : diff);
        if (!changing) s->header |= (uint8_t)i;
        s->diff = diff;
    }
    s->st = st;
}

void start_time_take(struct start_time *s, struct bit_reader *r, uint32_t i, int64_t t,
                     int64_t before)
{
    uint32_t change = s->header & CHANGE_MASK;
    if (i == 0) {
        if (s->header & FIRST_KNOWN) s->st = minus(t, bits_take_varint(r));
    } else if (change && i >= change) {
        uint64_t read = (uint64_t)bits_take_varbit(r);
        s->diff = (int64_t)(i == change ? read : (uint64_t)s->diff + read);
        s->st = minus(before, s->diff);
    }
}

#include "ingest/expo_lex.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#define LETTER (C_NAME | C_NAME1 | C_LABEL | C_LABEL1 | C_TEXT_VALUE | C_OM_VALUE)
#define PLAIN (C_TEXT_VALUE | C_OM_VALUE)

const uint8_t expo_class[256] = {
    [1 ... 8] = PLAIN,
    ['\t'] = C_OM_VALUE | C_BLANK,
    ['\v' ... 0x1f] = PLAIN,
    [' '] = C_BLANK,
    ['!' ... '/'] = PLAIN,
    ['0' ... '9'] = C_NAME | C_LABEL | C_DIGIT | PLAIN,
    [':'] = C_NAME | C_NAME1 | PLAIN,
    [';' ... '@'] = PLAIN,
    ['A' ... 'Z'] = LETTER,
    ['[' ... '^'] = PLAIN,
    ['_'] = LETTER,
    ['`'] = PLAIN,
    ['a' ... 'z'] = LETTER,
    ['{'] = C_OM_VALUE,
    ['|' ... 0xff] = PLAIN,
};

bool lex_word(struct expo *x, const char *rest)
{
    for (; *rest; rest++)
        if (lex_next(x) != (uint8_t)*rest) return false;
    return true;
}

/* Distance to the first of: quote, backslash, newline, NUL. The padding ends it. */
static size_t lex_plain(const uint8_t *p)
{
    size_t n = 0;
#ifdef __SSE2__
    const __m128i quote = _mm_set1_epi8('"'), slash = _mm_set1_epi8('\\'),
                  newline = _mm_set1_epi8('\n');
    for (;; n += 16) {
        __m128i v = _mm_loadu_si128((const __m128i *)(const void *)(p + n));
        __m128i hit = _mm_or_si128(_mm_or_si128(_mm_cmpeq_epi8(v, quote), _mm_cmpeq_epi8(v, slash)),
            _mm_or_si128(_mm_cmpeq_epi8(v, newline), _mm_cmpeq_epi8(v, _mm_setzero_si128())));
        unsigned mask = (unsigned)_mm_movemask_epi8(hit);
        if (mask) return n + (size_t)__builtin_ctz(mask);
    }
#else
    while (p[n] != '"' && p[n] != '\\' && p[n] != '\n' && p[n] != 0) n++;
    return n;
#endif
}

bool lex_quoted(struct expo *x, bool newlines)
{
    for (;;) {
        uint8_t c = lex_next(x);
        if (c != '"' && c != '\\' && c != '\n' && c != 0) {
            x->i += lex_plain(x->b + x->i) - 1;
            continue;
        }
        if (c == '"') {
            (void)lex_next(x);
            return true;
        }
        if (c == '\\') {
            c = lex_next(x);
            if (c == 0 || c == '\n') return false;
        } else if (c == 0 || !newlines) {
            return false;
        }
    }
}

/* Everything up to the newline is a comment; a NUL ends the page. */
static enum expo_tok text_lex_comment(struct expo *x)
{
    for (uint8_t c = x->i < x->n ? x->b[x->i] : 0;; c = lex_next(x)) {
        if (c == 0) return TOK_EOF;
        if (c == '\n') {
            x->state = LEX_INIT;
            return TOK_COMMENT;
        }
    }
}

/* Help text or type: the rest of the line. Only blanks: white space, and the text is empty. */
static enum expo_tok text_lex_rest(struct expo *x, uint8_t c)
{
    if (expo_class[c] & C_BLANK) {
        while (expo_class[c] & C_BLANK) c = lex_next(x);
        if (c == 0 || c == '\n') return TOK_SPACE;
    }
    while (c != 0 && c != '\n') c = lex_next(x);
    x->state = LEX_INIT;
    return TOK_TEXT;
}

static enum expo_tok text_lex_hash(struct expo *x)
{
    uint8_t c = lex_next(x);
    if (!(expo_class[c] & C_BLANK)) return text_lex_comment(x);
    while (expo_class[c] & C_BLANK) c = lex_next(x);
    x->state = LEX_COMMENT;
    if (c != 'H' && c != 'T') return text_lex_comment(x);
    if (!lex_word(x, c == 'H' ? "ELP" : "YPE")) return text_lex_comment(x);
    if (!(expo_class[lex_next(x)] & C_BLANK)) return text_lex_comment(x);
    return lex_run(x, C_BLANK, LEX_META1, c == 'H' ? TOK_HELP : TOK_TYPE);
}

static enum expo_tok text_lex_init(struct expo *x, uint8_t c)
{
    if (expo_class[c] & C_NAME1) return lex_run(x, C_NAME, LEX_VALUE, TOK_NAME);
    switch (c) {
    case '{': return lex_one(x, LEX_LABELS, TOK_OPEN);
    case '\n': return lex_one(x, LEX_INIT, TOK_LINEBREAK);
    case '#': return text_lex_hash(x);
    case 0: return lex_one(x, LEX_INIT, TOK_EOF);
    default: return TOK_INVALID;
    }
}

static enum expo_tok text_lex_labels(struct expo *x, uint8_t c)
{
    if (expo_class[c] & C_LABEL1) return lex_run(x, C_LABEL, LEX_LABELS, TOK_LABEL);
    switch (c) {
    case '"': return lex_quoted(x, true) ? TOK_QUOTED : TOK_INVALID;
    case '}': return lex_one(x, LEX_VALUE, TOK_CLOSE);
    case '=': return lex_one(x, LEX_LVALUE, TOK_EQUAL);
    case ',': return lex_one(x, LEX_LABELS, TOK_COMMA);
    default: return TOK_INVALID;
    }
}

enum expo_tok text_lex(struct expo *x)
{
    if (x->i >= x->n) return TOK_EOF;
    x->tok = x->i;
    uint8_t c = x->b[x->i];
    if (x->state == LEX_META2) return text_lex_rest(x, c);
    if (expo_class[c] & C_BLANK) return lex_run(x, C_BLANK, x->state, TOK_SPACE);
    switch (x->state) {
    case LEX_INIT: return text_lex_init(x, c);
    case LEX_META1:
        if (expo_class[c] & C_NAME1) return lex_run(x, C_NAME, LEX_META2, TOK_NAME);
        if (c != '"' || !lex_quoted(x, true)) return TOK_INVALID;
        x->state = LEX_META2;
        return TOK_NAME;
    case LEX_LABELS: return text_lex_labels(x, c);
    case LEX_LVALUE:
        if (c != '"' || !lex_quoted(x, true)) return TOK_INVALID;
        x->state = LEX_LABELS;
        return TOK_VALUE_OF_LABEL;
    case LEX_VALUE:
        if (c == '{') return lex_one(x, LEX_LABELS, TOK_OPEN);
        if (expo_class[c] & C_TEXT_VALUE) return lex_run(x, C_TEXT_VALUE, LEX_TIMESTAMP, TOK_VALUE);
        return TOK_INVALID;
    case LEX_TIMESTAMP:
        if (c == '\n') return lex_one(x, LEX_INIT, TOK_LINEBREAK);
        if (expo_class[c] & C_DIGIT) return lex_run(x, C_DIGIT, LEX_TIMESTAMP, TOK_TIMESTAMP);
        return TOK_INVALID;
    default: return TOK_INVALID;
    }
}

static enum expo_tok openmetrics_lex_init(struct expo *x, uint8_t c)
{
    if (expo_class[c] & C_NAME1) return lex_run(x, C_NAME, LEX_VALUE, TOK_NAME);
    if (c == '{') return lex_one(x, LEX_LABELS, TOK_OPEN);
    if (c != '#' || lex_next(x) != ' ') return TOK_INVALID;
    c = lex_next(x);
    x->state = LEX_COMMENT;
    static const struct { uint8_t first; const char *rest; enum expo_tok tok; } words[] = {
        { 'H', "ELP ", TOK_HELP }, { 'T', "YPE ", TOK_TYPE }, { 'U', "NIT ", TOK_UNIT },
    };
    for (size_t k = 0; k < ARRAY_LEN(words); k++) {
        if (c != words[k].first) continue;
        return lex_word(x, words[k].rest) ? lex_one(x, LEX_META1, words[k].tok) : TOK_INVALID;
    }
    if (c != 'E' || !lex_word(x, "OF")) return TOK_INVALID;
    if (lex_next(x) == '\n') (void)lex_next(x);
    x->state = LEX_INIT;
    return TOK_EOF_WORD;
}

/* A space and what follows up to a space or newline. */
static enum expo_tok openmetrics_lex_field(
    struct expo *x, uint8_t c, uint8_t state, enum expo_tok tok)
{
    if (c != ' ' || !(expo_class[lex_next(x)] & C_OM_VALUE)) return TOK_INVALID;
    return lex_run(x, C_OM_VALUE, state, tok);
}

static enum expo_tok openmetrics_lex_timestamp(struct expo *x, uint8_t c)
{
    if (c == '\n') return lex_one(x, LEX_INIT, TOK_LINEBREAK);
    if (c != ' ') return TOK_INVALID;
    c = lex_next(x);
    if (!(expo_class[c] & C_OM_VALUE)) return TOK_INVALID;
    if (c != '#') return lex_run(x, C_OM_VALUE, LEX_TIMESTAMP, TOK_TIMESTAMP);
    c = lex_next(x);
    if (c != ' ')
        return expo_class[c] & C_OM_VALUE ? lex_run(x, C_OM_VALUE, LEX_TIMESTAMP, TOK_TIMESTAMP)
                                          : TOK_TIMESTAMP;
    return lex_next(x) == '{' ? lex_one(x, LEX_EXEMPLAR, TOK_COMMENT) : TOK_INVALID;
}

/* Inside braces: of a series (labels) or of an exemplar, which differ in where they lead and
 * whether names may hold newlines. */
static enum expo_tok openmetrics_lex_labels(struct expo *x, uint8_t c, bool exemplar)
{
    if (expo_class[c] & C_LABEL1) return lex_run(x, C_LABEL, x->state, TOK_LABEL);
    switch (c) {
    case '"': return lex_quoted(x, !exemplar) ? TOK_QUOTED : TOK_INVALID;
    case '}': return lex_one(x, exemplar ? LEX_EVALUE : LEX_VALUE, TOK_CLOSE);
    case '=': return lex_one(x, exemplar ? LEX_EVALUE : LEX_LVALUE, TOK_EQUAL);
    case ',': return lex_one(x, x->state, TOK_COMMA);
    default: return TOK_INVALID;
    }
}

static enum expo_tok openmetrics_lex_value(struct expo *x, uint8_t back_to)
{
    if (!lex_quoted(x, false)) return TOK_INVALID;
    x->state = back_to;
    return TOK_VALUE_OF_LABEL;
}

static enum expo_tok openmetrics_lex_rest(struct expo *x, uint8_t c)
{
    if (c != ' ') return TOK_INVALID;
    while (c != 0 && c != '\n') c = lex_next(x);
    return c == 0 ? TOK_INVALID : lex_one(x, LEX_INIT, TOK_TEXT);
}

enum expo_tok openmetrics_lex(struct expo *x)
{
    if (x->i >= x->n) return TOK_EOF;
    x->tok = x->i;
    uint8_t c = x->b[x->i];
    switch (x->state) {
    case LEX_INIT: return openmetrics_lex_init(x, c);
    case LEX_META1:
        if (expo_class[c] & C_NAME1) return lex_run(x, C_NAME, LEX_META2, TOK_NAME);
        if (c != '"' || !lex_quoted(x, true)) return TOK_INVALID;
        x->state = LEX_META2;
        return TOK_NAME;
    case LEX_META2: return openmetrics_lex_rest(x, c);
    case LEX_LABELS: return openmetrics_lex_labels(x, c, false);
    case LEX_LVALUE: return c == '"' ? openmetrics_lex_value(x, LEX_LABELS) : TOK_INVALID;
    case LEX_VALUE:
        if (c == '{') return lex_one(x, LEX_LABELS, TOK_OPEN);
        return openmetrics_lex_field(x, c, LEX_TIMESTAMP, TOK_VALUE);
    case LEX_TIMESTAMP: return openmetrics_lex_timestamp(x, c);
    case LEX_EXEMPLAR: return openmetrics_lex_labels(x, c, true);
    case LEX_EVALUE:
        if (c == '"') return openmetrics_lex_value(x, LEX_EXEMPLAR);
        return openmetrics_lex_field(x, c, LEX_ETIMESTAMP, TOK_VALUE);
    case LEX_ETIMESTAMP:
        if (c == '\n') return lex_one(x, LEX_INIT, TOK_LINEBREAK);
        return openmetrics_lex_field(x, c, LEX_ETIMESTAMP, TOK_TIMESTAMP);
    default: return TOK_INVALID;
    }
}

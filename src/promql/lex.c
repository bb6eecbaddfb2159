/* lex.c — PromQL text to tokens.
 *
 * The language is lexed in modes: outside of braces, inside them (where keywords are names), in the
 * brackets of a range (until the first number), and the values and histograms of a series
 * description. A mode is a function that reads one token, or a part of one, and names the mode that
 * goes on. Words of errors and the positions where a mode gives up are what users see, so the modes
 * give up where Prometheus' lexer does, also where that is odd: after the first number in brackets
 * the outer mode goes on, in its own words. */
#include "promql/lex.h"

#include "base/utf8.h"

#define END_OF_INPUT UINT32_MAX

static bool is_space(uint32_t r) { return r == ' ' || r == '\t' || r == '\n' || r == '\r'; }
static bool is_digit(uint32_t r) { return r - '0' < 10; }
static bool is_alpha(uint32_t r) { return r == '_' || (r | 0x20) - 'a' < 26; }
static bool is_alnum(uint32_t r) { return is_alpha(r) || is_digit(r); }

static uint32_t next(struct lexer *l)
{
    if (l->pos >= l->in.n) {
        l->width = 0;
        return END_OF_INPUT;
    }
    uint32_t r = l->in.p[l->pos];
    l->width = 1;
    if (r >= 0x80) {
        size_t w;
        r = utf8_rune(str_from(l->in, l->pos), &w);
        l->width = (uint32_t)w;
    }
    l->pos += l->width;
    return r;
}
static void backup(struct lexer *l) { l->pos -= l->width; }    /* once per next */
static uint32_t peek(struct lexer *l)
{
    uint32_t r = next(l);
    backup(l);
    return r;
}
static void emit(struct lexer *l, enum token t)
{
    *l->out = (struct item){ t, l->start, str_slice(l->in, l->start, l->pos) };
    l->start = l->pos;
    l->scanned = true;
}
static str so_far(const struct lexer *l) { return str_slice(l->in, l->start, l->pos); }

static bool one_of(uint32_t r, const char *set)
{
    return r != 0 && r < 0x80 && strchr(set, (int)r) != NULL;
}
static bool accept(struct lexer *l, const char *set)
{
    if (one_of(next(l), set)) return true;
    backup(l);
    return false;
}
static bool is_next(struct lexer *l, const char *set) { return one_of(peek(l), set); }

/* Takes the place of a token that the same step emitted. */
static enum lex_state fail(struct lexer *l, str words)
{
    *l->out = (struct item){ TOK_ERROR, l->start, words };
    l->scanned = true;
    return LEX_DONE;
}

static void buf_rune_escape(struct buf *b, uint32_t r)
{
    static const char names[] = "abtnvfr";                     /* from 0x07 on */
    if (r >= 7 && r <= 13) buf_fmt(b, "\\%c", names[r - 7]);
    else if (r < ' ' || r == 0x7f) buf_fmt(b, "\\x%02x", r);
    else if (r < 0x10000) buf_fmt(b, "\\u%04x", r);
    else buf_fmt(b, "\\U%08x", r);
}

/* As Go's %q prints a rune; the end of input prints as U+FFFD. */
static void buf_rune_quote(struct buf *b, uint32_t r)
{
    if (r > 0x10FFFF) r = RUNE_ERROR;
    buf_u8(b, '\'');
    if (r == '\'' || r == '\\') buf_fmt(b, "\\%c", (int)r);
    else if (rune_is_print(r)) buf_rune(b, r);
    else buf_rune_escape(b, r);
    buf_u8(b, '\'');
}

static enum lex_state fail_buf(struct lexer *l, struct buf *b)
{
    str words = arena_str(l->a, buf_view(b));
    buf_fini(b);
    return fail(l, words);
}
static enum lex_state fail_rune(struct lexer *l, const char *words, uint32_t r)
{
    struct buf b = { 0 };
    buf_fmt(&b, "%s ", words);
    buf_rune_quote(&b, r);
    return fail_buf(l, &b);
}
static enum lex_state fail_quoted(struct lexer *l, const char *words, str what)
{
    struct buf b = { 0 };
    buf_fmt(&b, "%s ", words);
    buf_go_quote(&b, what);
    return fail_buf(l, &b);
}
/* U+0063 'c' */
static enum lex_state fail_code_point(
    struct lexer *l, const char *before, uint32_t r, const char *after)
{
    struct buf b = { 0 };
    buf_fmt(&b, "%sU+%04X", before, r);
    if (rune_is_print(r)) {
        buf_str(&b, S(" '"));
        buf_rune(&b, r);
        buf_u8(&b, '\'');
    }
    buf_fmt(&b, "%s", after);
    return fail_buf(l, &b);
}

static enum lex_state lex_space(struct lexer *l)
{
    while (is_space(peek(l))) next(l);
    l->start = l->pos;
    return LEX_STATEMENTS;
}

static enum lex_state lex_comment(struct lexer *l)
{
    for (uint32_t r = next(l); r != '\r' && r != '\n' && r != END_OF_INPUT;) r = next(l);
    backup(l);
    emit(l, TOK_COMMENT);
    return LEX_STATEMENTS;
}

/* [.][d][d._eE]* with the rules of what may follow what; whether it is a number after all is for
 * the parser. */
static bool scan_number(struct lexer *l)
{
    uint32_t first = l->pos;
    const char *digits = "0123456789", *any = "0123456789._eE";
    /* not in series: 0x2 is 0, repeated */
    if (!l->series && accept(l, "0") && accept(l, "xX")) {
        accept(l, "_");
        digits = "0123456789abcdefABCDEF";
        any = "0123456789abcdefABCDEF._eE";
    }
    accept(l, ".");
    accept(l, digits);
    bool dot = false, exponent = false;
    while (is_next(l, any)) {
        if (dot && accept(l, ".")) return false;
        if (exponent && accept(l, "eE")) return false;
        if (accept(l, ".")) {
            dot = true;
            /* no fraction in hexadecimal */
            if (accept(l, "_.") || strlen(digits) > 10) return false;
        } else if (accept(l, "eE")) {
            exponent = true;
            accept(l, "+-");
            if (accept(l, "._eE") || peek(l) == END_OF_INPUT) return false;
        } else if (accept(l, "_")) {
            if (accept(l, "._eE") || peek(l) == END_OF_INPUT) return false;
        } else {
            while (accept(l, digits)) continue;
        }
    }
    if (l->pos == first) return false;
    uint32_t r = peek(l);
    return (l->series && r == 'x') || !is_alnum(r);
}

static enum lex_state lex_number(struct lexer *l)
{
    if (!scan_number(l)) return fail_quoted(l, "bad number syntax:", so_far(l));
    emit(l, TOK_NUMBER);
    return LEX_STATEMENTS;
}

/* The digits before the first unit are read. Wrong units (hs) are found when the duration is
 * parsed. */
static bool scan_duration_rest(struct lexer *l)
{
    if (!accept(l, "smhdwy")) return false;
    accept(l, "s");
    while (accept(l, "0123456789")) {
        while (accept(l, "0123456789")) continue;
        if (!accept(l, "smhdw")) return false;                 /* y only comes first */
        accept(l, "s");
    }
    return !is_alnum(next(l));
}

static enum lex_state lex_number_or_duration(struct lexer *l)
{
    if (scan_number(l)) {
        emit(l, TOK_NUMBER);
        return LEX_STATEMENTS;
    }
    if (scan_duration_rest(l)) {
        backup(l);
        emit(l, TOK_DURATION);
        return LEX_STATEMENTS;
    }
    return fail_quoted(l, "bad number or duration syntax:", so_far(l));
}

static uint32_t hex_digit(uint32_t r)
{
    if (is_digit(r)) return r - '0';
    if (r != END_OF_INPUT && (r | 0x20) - 'a' < 6) return (r | 0x20) - 'a' + 10;
    return 16;
}

/* After the backslash. An escape that is wrong is an error token, after which the string goes
 * on. */
static void lex_escape(struct lexer *l)
{
    uint32_t r = next(l), base = 16, most = 0x10FFFF;
    int n = 0;
    if (r == l->string_open || one_of(r, "abfnrtv\\")) return;
    if (r >= '0' && r <= '7') {
        n = 3, base = 8, most = 255;
    } else if (r == 'x' || r == 'u' || r == 'U') {
        n = r == 'x' ? 2 : r == 'u' ? 4 : 8;
        if (r == 'x') most = 255;
        r = next(l);
    } else if (r == END_OF_INPUT) {
        fail(l, S("escape sequence not terminated"));
        return;
    } else {
        fail_code_point(l, "unknown escape sequence ", r, "");
        return;
    }
    uint32_t x = 0;
    while (n > 0) {
        uint32_t d = hex_digit(r);
        if (d >= base) {
            if (r == END_OF_INPUT) fail(l, S("escape sequence not terminated"));
            else fail_code_point(l, "illegal character ", r, " in escape sequence");
            return;
        }
        x = x * base + d;
        if (--n > 0) r = next(l);
    }
    if (x > most || (x >= 0xD800 && x < 0xE000))
        fail(l, S("escape sequence is an invalid Unicode code point"));
}

static enum lex_state lex_string(struct lexer *l)
{
    for (;;) {
        uint32_t r = next(l);
        if (r == '\\') {
            lex_escape(l);
            if (l->scanned) return LEX_STRING;
        } else if (r == RUNE_ERROR) {
            fail(l, S("invalid UTF-8 rune"));
            return LEX_STRING;
        } else if (r == END_OF_INPUT || r == '\n') {
            return fail(l, S("unterminated quoted string"));
        } else if (r == l->string_open) {
            emit(l, TOK_STRING);
            return LEX_STATEMENTS;
        }
    }
}

static enum lex_state lex_raw_string(struct lexer *l)
{
    for (;;) {
        uint32_t r = next(l);
        if (r == RUNE_ERROR || r == END_OF_INPUT) {
            fail(l, r == RUNE_ERROR ? S("invalid UTF-8 rune") : S("unterminated raw string"));
            return LEX_RAW_STRING;
        }
        if (r == l->string_open) {
            emit(l, TOK_STRING);
            return LEX_STATEMENTS;
        }
    }
}

static enum lex_state lex_identifier(struct lexer *l)
{
    while (is_alnum(next(l))) continue;
    backup(l);
    emit(l, TOK_IDENTIFIER);
    return LEX_STATEMENTS;
}

static bool before_left_paren(const struct lexer *l)
{
    size_t at = l->pos;
    while (at < l->in.n && is_space(l->in.p[at])) at++;
    return at < l->in.n && l->in.p[at] == '(';
}

static enum lex_state lex_word(struct lexer *l)
{
    uint32_t r;
    bool colon = false;
    while (is_alnum(r = next(l)) || r == ':') colon |= r == ':';
    backup(l);
    enum token t = token_find(WORDS_KEYWORDS, so_far(l));
    /* names unless called: queries with such metrics go on working */
    if (t == TOK_FILL || t == TOK_FILL_LEFT || t == TOK_FILL_RIGHT) {
        if (!before_left_paren(l)) t = TOK_IDENTIFIER;
    } else if (t == TOK_UNKNOWN) {
        t = colon ? TOK_METRIC_IDENTIFIER : TOK_IDENTIFIER;
    }
    emit(l, t);
    return l->series && peek(l) != '{' ? LEX_VALUES : LEX_STATEMENTS;
}

static bool starts_duration_word(uint32_t r) { return one_of(r, "smrSMR"); }

/* step, range, max_of, min_of; the first letter is read. */
static bool scan_duration_word(struct lexer *l)
{
    while (is_alpha(next(l))) continue;
    backup(l);
    enum token t = token_find(WORDS_DURATION, so_far(l));
    if (t == TOK_UNKNOWN) return false;
    emit(l, t);
    return true;
}

static enum lex_state lex_right_paren(struct lexer *l, enum lex_state then)
{
    emit(l, TOK_RIGHT_PAREN);
    if (--l->paren_depth < 0) return fail_rune(l, "unexpected right parenthesis", ')');
    return then;
}

/* After '[', up to the first number. */
static enum lex_state lex_duration(struct lexer *l)
{
    uint32_t r = next(l);
    switch (r) {
    case END_OF_INPUT: return fail(l, S("unexpected end of input in duration expression"));
    case ']':
        emit(l, TOK_RIGHT_BRACKET);
        l->bracket_open = l->got_colon = false;
        return LEX_STATEMENTS;
    case ':':
        emit(l, TOK_COLON);
        if (!l->got_duration)
            return fail(l, S("unexpected colon before duration in duration expression"));
        if (l->got_colon) return fail(l, S("unexpected repeated colon in duration expression"));
        l->got_colon = true;
        return LEX_DURATION;
    case '(':
        emit(l, TOK_LEFT_PAREN);
        l->paren_depth++;
        return LEX_DURATION;
    case ')': return lex_right_paren(l, LEX_DURATION);
    case '+': emit(l, TOK_ADD); return LEX_DURATION;
    case '-': emit(l, TOK_SUB); return LEX_DURATION;
    case '*': emit(l, TOK_MUL); return LEX_DURATION;
    case '/': emit(l, TOK_DIV); return LEX_DURATION;
    case '%': emit(l, TOK_MOD); return LEX_DURATION;
    case '^': emit(l, TOK_POW); return LEX_DURATION;
    case ',': emit(l, TOK_COMMA); return LEX_DURATION;
    default: break;
    }
    if (is_space(r)) {
        lex_space(l);
        return LEX_DURATION;
    }
    if (starts_duration_word(r) && scan_duration_word(l)) return LEX_DURATION;
    if (is_digit(r) || (r == '.' && is_digit(peek(l)))) {
        backup(l);
        l->got_duration = true;
        return LEX_NUMBER_OR_DURATION;
    }
    return fail_rune(l, "unexpected character in duration expression:", r);
}

static enum lex_state lex_left_bracket(struct lexer *l)
{
    if (l->bracket_open) return fail_rune(l, "unexpected left bracket", '[');
    l->got_colon = false;
    emit(l, TOK_LEFT_BRACKET);
    if (is_space(peek(l))) lex_space(l);
    l->bracket_open = true;
    return LEX_DURATION;
}

/* A letter or colon; in brackets only a colon or one of the duration words. */
static enum lex_state lex_letter(struct lexer *l, uint32_t r)
{
    if (!l->bracket_open) {
        backup(l);
        return LEX_WORD;
    }
    if (r == ':') {
        if (l->got_colon) return fail_rune(l, "unexpected colon", r);
        emit(l, TOK_COLON);
        l->got_colon = true;
        return LEX_STATEMENTS;
    }
    if (starts_duration_word(r) && scan_duration_word(l)) return LEX_STATEMENTS;
    struct buf b = { 0 };
    buf_str(&b, S("unexpected character: "));
    buf_rune_quote(&b, r);
    buf_str(&b, S(", expected ':'"));
    return fail_buf(l, &b);
}

static enum lex_state lex_end(struct lexer *l)
{
    if (l->paren_depth != 0) return fail(l, S("unclosed left parenthesis"));
    if (l->bracket_open) return fail(l, S("unclosed left bracket"));
    emit(l, TOK_EOF);
    return LEX_DONE;
}

/* `one`, or `two` if the next rune is c. */
static enum lex_state emit_if(struct lexer *l, uint32_t c, enum token two, enum token one)
{
    if (peek(l) == c) {
        next(l);
        one = two;
    }
    emit(l, one);
    return LEX_STATEMENTS;
}
static enum lex_state lex_compare(
    struct lexer *l, enum token equal, enum token slash, enum token alone)
{
    if (peek(l) == '/') return emit_if(l, '/', slash, alone);
    return emit_if(l, '=', equal, alone);
}

static enum lex_state lex_statements(struct lexer *l)
{
    if (l->hist != LEX_HIST_NONE) return LEX_HISTOGRAM;
    if (l->brace_open) return LEX_BRACES;
    uint32_t r = next(l);
    switch (r) {
    case END_OF_INPUT: return lex_end(l);
    case '#': return LEX_COMMENT;
    case ' ': case '\t': case '\n': case '\r': return LEX_SPACE;
    case ',': emit(l, TOK_COMMA); return LEX_STATEMENTS;
    case '*': emit(l, TOK_MUL); return LEX_STATEMENTS;
    case '/': emit(l, TOK_DIV); return LEX_STATEMENTS;
    case '%': emit(l, TOK_MOD); return LEX_STATEMENTS;
    case '+': emit(l, TOK_ADD); return LEX_STATEMENTS;
    case '-': emit(l, TOK_SUB); return LEX_STATEMENTS;
    case '^': emit(l, TOK_POW); return LEX_STATEMENTS;
    case '@': emit(l, TOK_AT); return LEX_STATEMENTS;
    case '=':
        if (peek(l) == '~') return fail_rune(l, "unexpected character after '=':", '~');
        return emit_if(l, '=', TOK_EQLC, TOK_EQL);
    case '!':
        if ((r = next(l)) != '=') return fail_rune(l, "unexpected character after '!':", r);
        emit(l, TOK_NEQ);
        return LEX_STATEMENTS;
    case '<': return lex_compare(l, TOK_LTE, TOK_TRIM_UPPER, TOK_LSS);
    case '>': return lex_compare(l, TOK_GTE, TOK_TRIM_LOWER, TOK_GTR);
    case '"': case '\'':
        l->string_open = r;
        return LEX_STRING;
    case '`':
        l->string_open = r;
        return LEX_RAW_STRING;
    case '(':
        emit(l, TOK_LEFT_PAREN);
        l->paren_depth++;
        return LEX_STATEMENTS;
    case ')': return lex_right_paren(l, LEX_STATEMENTS);
    case '{':
        emit(l, TOK_LEFT_BRACE);
        l->brace_open = true;
        return LEX_BRACES;
    case '[': return lex_left_bracket(l);
    case ']':
        if (!l->bracket_open) return fail_rune(l, "unexpected right bracket", r);
        emit(l, TOK_RIGHT_BRACKET);
        l->bracket_open = false;
        return LEX_STATEMENTS;
    default: break;
    }
    if (is_digit(r) || (r == '.' && is_digit(peek(l)))) {
        /* r is one byte, and the first of the token */
        l->pos = l->start;
        return LEX_NUMBER_OR_DURATION;
    }
    if (is_alpha(r) || r == ':') return lex_letter(l, r);
    return fail_rune(l, "unexpected character:", r);
}

/* Inside of a selector's braces keywords are names. */
static enum lex_state lex_braces(struct lexer *l)
{
    uint32_t r = next(l);
    switch (r) {
    case END_OF_INPUT: return fail(l, S("unexpected end of input inside braces"));
    case '#': return LEX_COMMENT;
    case ' ': case '\t': case '\n': case '\r': return LEX_SPACE;
    case ',': emit(l, TOK_COMMA); return LEX_BRACES;
    case '"': case '\'':
        l->string_open = r;
        return LEX_STRING;
    case '`':
        l->string_open = r;
        return LEX_RAW_STRING;
    case '=':
        emit_if(l, '~', TOK_EQL_REGEX, TOK_EQL);
        return LEX_BRACES;
    case '!':
        r = next(l);
        if (r != '~' && r != '=')
            return fail_rune(l, "unexpected character after '!' inside braces:", r);
        emit(l, r == '~' ? TOK_NEQ_REGEX : TOK_NEQ);
        return LEX_BRACES;
    case '{': return fail_rune(l, "unexpected left brace", r);
    case '}':
        emit(l, TOK_RIGHT_BRACE);
        l->brace_open = false;
        return l->series ? LEX_VALUES : LEX_STATEMENTS;
    default: break;
    }
    if (is_alpha(r)) {
        backup(l);
        return LEX_IDENTIFIER;
    }
    return fail_rune(l, "unexpected character inside braces:", r);
}

/* The values of a series description. */
static enum lex_state lex_values(struct lexer *l)
{
    if (l->hist != LEX_HIST_NONE) return LEX_HISTOGRAM;
    uint32_t r = next(l);
    switch (r) {
    case END_OF_INPUT: return LEX_STATEMENTS;
    case ' ': case '\t': case '\n': case '\r':
        emit(l, TOK_SPACE);
        lex_space(l);
        return LEX_VALUES;
    case '+': emit(l, TOK_ADD); return LEX_VALUES;
    case '-': emit(l, TOK_SUB); return LEX_VALUES;
    case 'x': emit(l, TOK_TIMES); return LEX_VALUES;
    case '_': emit(l, TOK_BLANK); return LEX_VALUES;
    default: break;
    }
    if (r == '{' && peek(l) == '{') {
        l->hist = LEX_HIST_OPEN;
        next(l);
        emit(l, TOK_OPEN_HIST);
        return LEX_HISTOGRAM;
    }
    if (is_digit(r) || (r == '.' && is_digit(peek(l)))) {
        l->pos = l->start;
        lex_number(l);
        return LEX_VALUES;
    }
    if (is_alpha(r)) {
        backup(l);
        return LEX_WORD;
    }
    return fail_rune(l, "unexpected character in series sequence:", r);
}

/* After "}}": the operator that may follow is lexed before the values go on. */
static void lex_close_histogram(struct lexer *l)
{
    next(l);
    emit(l, TOK_CLOSE_HIST);
    uint32_t r = peek(l);
    l->hist = r == 'x'   ? LEX_HIST_TIMES
              : r == '+' ? LEX_HIST_ADD
              : r == '-' ? LEX_HIST_SUB
                         : LEX_HIST_NONE;
}

static enum lex_state lex_histogram(struct lexer *l)
{
    if (l->hist == LEX_HIST_TIMES || l->hist == LEX_HIST_ADD || l->hist == LEX_HIST_SUB) {
        enum token t = l->hist == LEX_HIST_TIMES ? TOK_TIMES
                       : l->hist == LEX_HIST_ADD ? TOK_ADD
                                                 : TOK_SUB;
        l->hist = LEX_HIST_NONE;
        next(l);
        emit(l, t);
        return LEX_VALUES;
    }
    if (l->bracket_open) return LEX_BUCKETS;
    uint32_t r = next(l);
    if (is_space(r)) {
        emit(l, TOK_SPACE);
        return LEX_SPACE;
    }
    if (is_alpha(r) || is_digit(r)) {
        backup(l);
        return is_digit(r) ? LEX_NUMBER : LEX_DESCRIPTOR;
    }
    switch (r) {
    case ':': emit(l, TOK_COLON); return LEX_HISTOGRAM;
    case '-': emit(l, TOK_SUB); return LEX_HISTOGRAM;
    case '[':
        l->bracket_open = true;
        l->got_colon = l->got_duration = false;
        emit(l, TOK_LEFT_BRACKET);
        return LEX_BUCKETS;
    case '}':
        if (peek(l) != '}') break;
        lex_close_histogram(l);
        return l->hist == LEX_HIST_NONE ? LEX_VALUES : LEX_HISTOGRAM;
    default: break;
    }
    return fail_rune(l, "histogram description incomplete unexpected:", r);
}

static enum lex_state lex_descriptor(struct lexer *l)
{
    while (is_alpha(next(l))) continue;
    backup(l);
    str word = so_far(l);
    enum token t = token_find(WORDS_DESCRIPTORS, word);
    if (t != TOK_UNKNOWN) {
        if (peek(l) != ':') {
            fail(l, S("missing `:` for histogram descriptor"));
            return LEX_STATEMENTS;
        }
        emit(l, t);
        return LEX_HISTOGRAM;
    }
    t = token_find(WORDS_KEYWORDS, word);
    if (t != TOK_NUMBER) t = token_find(WORDS_RESET_HINTS, word);
    if (t == TOK_UNKNOWN) {
        fail_quoted(l, "bad histogram descriptor found:", word);
        return LEX_STATEMENTS;
    }
    emit(l, t);
    return LEX_HISTOGRAM;
}

static enum lex_state lex_buckets(struct lexer *l)
{
    uint32_t r = next(l);
    if (is_space(r)) {
        emit(l, TOK_SPACE);
        return LEX_SPACE;
    }
    if (r == '-') {
        emit(l, TOK_SUB);
        return LEX_NUMBER;
    }
    if (is_digit(r)) {
        backup(l);
        return LEX_NUMBER;
    }
    if (r == ']') {
        l->bracket_open = false;
        emit(l, TOK_RIGHT_BRACKET);
        return LEX_HISTOGRAM;
    }
    /* a letter at a time, until it is Inf or NaN */
    if (is_alpha(r)) {
        if (token_find(WORDS_KEYWORDS, so_far(l)) != TOK_NUMBER) return LEX_BUCKETS;
        emit(l, TOK_NUMBER);
        return LEX_STATEMENTS;
    }
    return fail_rune(l, "invalid character in buckets description:", r);
}

static enum lex_state lex_step(struct lexer *l)
{
    switch (l->state) {
    case LEX_STATEMENTS: return lex_statements(l);
    case LEX_BRACES: return lex_braces(l);
    case LEX_VALUES: return lex_values(l);
    case LEX_HISTOGRAM: return lex_histogram(l);
    case LEX_BUCKETS: return lex_buckets(l);
    case LEX_DURATION: return lex_duration(l);
    case LEX_STRING: return lex_string(l);
    case LEX_RAW_STRING: return lex_raw_string(l);
    case LEX_SPACE: return lex_space(l);
    case LEX_NUMBER: return lex_number(l);
    case LEX_NUMBER_OR_DURATION: return lex_number_or_duration(l);
    case LEX_WORD: return lex_word(l);
    case LEX_IDENTIFIER: return lex_identifier(l);
    case LEX_DESCRIPTOR: return lex_descriptor(l);
    case LEX_COMMENT: return lex_comment(l);
    case LEX_DONE: break;
    }
    emit(l, TOK_EOF);
    return LEX_DONE;
}

void lex_init(struct lexer *l, str in, bool series, struct arena *a)
{
    *l = (struct lexer){ .in = in, .state = LEX_STATEMENTS, .series = series, .a = a };
}

void lex_next(struct lexer *l, struct item *out)
{
    l->scanned = false;
    l->out = out;
    while (!l->scanned) l->state = lex_step(l);
    l->last_pos = out->pos;
}

#include "base/path.h"

#include "base/utf8.h"

str path_clean(struct arena *a, str path)
{
    if (path.n == 0) return S(".");
    bool rooted = path.p[0] == '/';
    uint8_t *out = arena_alloc(a, path.n + 1);
    size_t n = 0, floor = 0;           /* floor: what .. may not take away */
    if (rooted) out[n++] = '/';
    floor = n;
    for (str rest = path, part; rest.n;) {
        (void)str_cut(rest, '/', &part, &rest);
        if (part.n == 0 || str_eq(part, S("."))) continue;
        if (str_eq(part, S("..")) && n > floor) {
            n--;
            while (n > floor && out[n] != '/') n--;
            continue;
        }
        if (str_eq(part, S("..")) && rooted) continue;
        if (n > rooted) out[n++] = '/';
        memcpy(out + n, part.p, part.n);
        n += part.n;
        if (str_eq(part, S(".."))) floor = n;
    }
    return n ? str_of(out, n) : S(".");
}

str path_dir(str path)
{
    size_t slash = str_rindex(path, '/');
    if (slash == SIZE_MAX) return S(".");
    return slash == 0 ? S("/") : str_slice(path, 0, slash);
}

str path_base(str path)
{
    size_t slash = str_rindex(path, '/');
    return slash == SIZE_MAX ? path : str_from(path, slash + 1);
}

str path_in(struct arena *a, str dir, str path)
{
    if (path.n == 0 || path.p[0] == '/') return path;
    return path_clean(a, arena_fmt(a, "%.*s/%.*s", STR_ARG(dir), STR_ARG(path)));
}

bool path_has_glob(str pattern)
{
    for (size_t i = 0; i < pattern.n; i++)
        if (memchr("*?[\\", pattern.p[i], 4)) return true;
    return false;
}

/* The next piece: whether stars stand before it, and its text up to the next star outside of a
 * class. */
static bool chunk_next(str *pattern, str *chunk)
{
    str p = *pattern;
    bool star = false, in_class = false;
    for (; p.n && p.p[0] == '*'; p = str_from(p, 1)) star = true;
    size_t i = 0;
    for (; i < p.n && (in_class || p.p[i] != '*'); i++) {
        if (p.p[i] == '\\') i += i + 1 < p.n;
        else if (p.p[i] == '[') in_class = true;
        else if (p.p[i] == ']') in_class = false;
    }
    *chunk = str_slice(p, 0, i);
    *pattern = str_from(p, i);
    return star;
}

/* One rune of a class. False: the pattern is bad. */
static bool class_rune(str *chunk, uint32_t *out)
{
    if (!chunk->n || chunk->p[0] == '-' || chunk->p[0] == ']') return false;
    if (chunk->p[0] == '\\') *chunk = str_from(*chunk, 1);
    if (!chunk->n) return false;
    size_t width;
    *out = utf8_rune(*chunk, &width);
    if (*out == RUNE_ERROR && width == 1) return false;
    *chunk = str_from(*chunk, width);
    return chunk->n > 0;
}

/* A class, REQUIRES: chunk begins behind its bracket. False: the pattern is bad. */
static bool class_match(str *chunk, uint32_t r, bool *match)
{
    bool negated = chunk->n && chunk->p[0] == '^';
    if (negated) *chunk = str_from(*chunk, 1);
    *match = false;
    for (size_t ranges = 0;; ranges++) {
        if (ranges && chunk->n && chunk->p[0] == ']') break;
        uint32_t lo, hi;
        if (!class_rune(chunk, &lo)) return false;
        hi = lo;
        if (chunk->p[0] == '-') {
            *chunk = str_from(*chunk, 1);
            if (!class_rune(chunk, &hi)) return false;
        }
        *match = *match || (lo <= r && r <= hi);
    }
    *chunk = str_from(*chunk, 1);
    *match = *match != negated;
    return true;
}

/* Does the name begin with the chunk? *rest: what follows. What is left of a chunk that does not
 * fit is still checked. */
static bool chunk_match(str chunk, str name, str *rest, bool *bad)
{
    bool fits = true;
    while (chunk.n) {
        fits = fits && name.n;
        size_t width = 1;
        uint32_t r = fits ? utf8_rune(name, &width) : 0;
        uint8_t c = chunk.p[0];
        chunk = str_from(chunk, 1);
        if (c == '[') {
            bool match;
            *bad = !class_match(&chunk, r, &match);
            if (*bad) return false;
            fits = fits && match;
        } else if (c == '?') {
            fits = fits && r != '/';
        } else {
            if (c == '\\') {
                *bad = !chunk.n;
                if (*bad) return false;
                c = chunk.p[0];
                chunk = str_from(chunk, 1);
            }
            fits = fits && name.p[0] == c;
            width = 1;
        }
        if (fits) name = str_from(name, width);
    }
    *rest = name;
    return fits;
}

/* What stands behind a star: the first place where the chunk fits, to the end if it is the last. */
static bool star_match(str chunk, bool last, str *name, bool *bad)
{
    for (size_t i = 0; i < name->n && name->p[i] != '/'; i++) {
        str rest;
        if (chunk_match(chunk, str_from(*name, i + 1), &rest, bad) && !(last && rest.n)) {
            *name = rest;
            return true;
        }
        if (*bad) return false;
    }
    return false;
}

bool path_match(str pattern, str name, bool *bad_out)
{
    bool bad = false, fits = true;
    while (pattern.n && fits && !bad) {
        str chunk, rest;
        bool star = chunk_next(&pattern, &chunk);
        if (star && !chunk.n) {
            fits = str_index(name, '/') == SIZE_MAX;
            name = STR_EMPTY;
            break;
        }
        fits = chunk_match(chunk, name, &rest, &bad) && (!rest.n || pattern.n);
        if (fits) name = rest;
        else if (!bad && star) fits = star_match(chunk, !pattern.n, &name, &bad);
    }
    /* it does not fit: is the rest well formed? */
    while (pattern.n && !bad) {
        str chunk, rest;
        (void)chunk_next(&pattern, &chunk);
        (void)chunk_match(chunk, STR_EMPTY, &rest, &bad);
    }
    if (bad_out) *bad_out = bad;
    return fits && !bad && !name.n;
}

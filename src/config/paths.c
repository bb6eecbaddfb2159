#include "config/paths.h"

#include "base/vec.h"

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

str path_in(struct arena *a, str dir, str path)
{
    if (path.n == 0 || path.p[0] == '/') return path;
    return path_clean(a, arena_fmt(a, "%.*s/%.*s", STR_ARG(dir), STR_ARG(path)));
}

/* One class behind its bracket; *rest is what follows. */
static bool glob_class(str pattern, uint8_t c, str *rest)
{
    size_t i = 0;
    bool negated = i < pattern.n && pattern.p[i] == '^', match = false;
    i += negated;
    for (size_t first = i; i < pattern.n && (pattern.p[i] != ']' || i == first);) {
        if (pattern.p[i] == '\\' && i + 1 < pattern.n) i++;
        uint8_t lo = pattern.p[i++], hi = lo;
        if (i + 1 < pattern.n && pattern.p[i] == '-' && pattern.p[i + 1] != ']') {
            hi = pattern.p[i + 1];
            i += 2;
        }
        match |= c >= lo && c <= hi;
    }
    *rest = str_from(pattern, i + 1);
    return match != negated;
}

bool path_glob(str pattern, str name)
{
    str star = STR_EMPTY, again = STR_EMPTY;
    bool starred = false;
    for (;;) {
        str rest;
        if (pattern.n && pattern.p[0] == '*') {
            starred = true;
            star = pattern = str_from(pattern, 1);
            again = name;
            continue;
        }
        if (pattern.n == 0 && name.n == 0) return true;
        bool match = false;
        if (pattern.n && name.n) {
            uint8_t p = pattern.p[0], c = name.p[0];
            rest = str_from(pattern, 1);
            if (p == '?') match = c != '/';
            else if (p == '[') match = glob_class(rest, c, &rest) && c != '/';
            else if (p == '\\' && rest.n) match = rest.p[0] == c, rest = str_from(rest, 1);
            else match = p == c;
        }
        if (match) {
            pattern = rest;
            name = str_from(name, 1);
            continue;
        }
        if (!starred || again.n == 0 || again.p[0] == '/') return false;
        again = name = str_from(again, 1);
        pattern = star;
    }
}

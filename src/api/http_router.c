#include "api/http_router.h"

#include "base/url.h"

/* One search: what the helpers below read, and where they answer. */
struct finding { const struct http_opts *o; struct http_req *r; struct http_resp *early; };

static str next_segment(str *path)
{
    if (path->n && path->p[0] == '/') *path = str_from(*path, 1);
    size_t end = str_index(*path, '/');
    str seg = str_slice(*path, 0, end == SIZE_MAX ? path->n : end);
    *path = str_from(*path, seg.n);
    return seg;
}

/* Does the path fit the pattern? Parameters go to `out`: ":name" takes one segment, "*name" the
 * rest. */
static bool pattern_match(str pattern, str path, http_pairs *out)
{
    out->n = 0;
    while (pattern.n && path.n) {
        str want = next_segment(&pattern);
        if (want.n && want.p[0] == '*') {
            vec_push(out, ((struct http_pair){ str_from(want, 1), path }));
            return true;
        }
        str got = next_segment(&path);
        if (want.n && want.p[0] == ':') {
            if (!got.n) return false;
            vec_push(out, ((struct http_pair){ str_from(want, 1), got }));
        } else if (!str_eq(want, got)) {
            return false;
        }
    }
    return !pattern.n && !path.n;
}

/* The path without empty, "." and ".." segments, as Go's servers want it; a slash at its end
 * stays. */
static str clean_path(str path, struct arena *a)
{
    uint8_t *p = arena_alloc(a, path.n + 2);
    size_t n = 0;
    for (str rest = path; rest.n;) {
        str seg = next_segment(&rest);
        if (!seg.n || str_eq(seg, S("."))) continue;
        if (str_eq(seg, S(".."))) {
            while (n && p[--n] != '/') {}
            continue;
        }
        p[n++] = '/';
        memcpy(p + n, seg.p, seg.n);
        n += seg.n;
    }
    if (!n || path.p[path.n - 1] == '/') p[n++] = '/';
    p[n] = 0;
    return str_of(p, n);
}

static bool redirect_unclean(struct finding *c)
{
    str clean = clean_path(c->r->path, &c->r->arena);
    if (str_eq(clean, c->r->path)) return false;
    struct buf to = { 0 };
    buf_url_escape(&to, clean, URL_PATH);
    if (c->r->query.n) buf_fmt(&to, "?%.*s", STR_ARG(c->r->query));
    http_redirect(c->r, c->early, 307, buf_view(&to));
    buf_fini(&to);
    return true;
}

/* Like pattern_match, but letters' cases do not count: *fixed is the path with those of the
 * pattern. */
static bool pattern_match_nocase(str pattern, str path, struct arena *a, str *fixed)
{
    bool slash = path.n && path.p[path.n - 1] == '/';
    str out = STR_EMPTY;
    if (slash != (pattern.p[pattern.n - 1] == '/')) return false;
    while (pattern.n && path.n) {
        str want = next_segment(&pattern), got = next_segment(&path);
        bool param = want.n && want.p[0] == ':';
        if ((want.n && want.p[0] == '*') || (param ? !got.n : !str_eq_nocase(want, got)))
            return false;
        out = arena_fmt(a, "%.*s/%.*s", STR_ARG(out), STR_ARG(param ? got : want));
    }
    *fixed = out;
    return !pattern.n && !path.n;
}

static void redirect_to(struct finding *c, str path)
{
    const struct http_opts *o = c->o;
    bool mounted = o->mount.n && str_has_prefix(path, o->mount);
    str to = mounted ? str_from(path, o->mount.n)
                     : arena_fmt(&c->r->arena, "%.*s%.*s", STR_ARG(o->prefix), STR_ARG(path));
    struct buf escaped = { 0 };
    buf_url_escape(&escaped, to, URL_PATH);
    if (c->r->query.n) buf_fmt(&escaped, "?%.*s", STR_ARG(c->r->query));
    http_redirect(c->r, c->early, c->r->method == HTTP_GET ? 301 : 307, buf_view(&escaped));
    buf_fini(&escaped);
}

/* A path that only lacks or has one slash too many, or is written in other cases, is sent to the
 * right one. A mounted router does not know what stands before it and leaves it away, as
 * Prometheus' does; its own part of the path is taken as it is. */
static bool redirect_near(struct finding *c, str path)
{
    const struct http_opts *o = c->o;
    if (path.n <= 1 && !o->prefix.n) return false;
    str other = path.n > 1 && path.p[path.n - 1] == '/'
                    ? str_slice(path, 0, path.n - 1)
                    : arena_fmt(&c->r->arena, "%.*s/", STR_ARG(path));
    const str tries[] = { other, path, other };
    for (size_t k = 0; k < ARRAY_LEN(tries); k++)
        for (size_t i = 0; i < o->n_routes; i++) {
            const struct http_route *route = &o->routes[i];
            str fixed = tries[k], pattern = str_z(route->pattern);
            if (!(route->methods & c->r->method)) continue;
            if (k && str_has_prefix(pattern, o->mount) && !str_has_prefix(path, o->mount))
                continue;
            if (k ? !pattern_match_nocase(pattern, tries[k], &c->r->arena, &fixed)
                  : !pattern_match(pattern, tries[k], &c->r->path_params))
                continue;
            redirect_to(c, fixed);
            return true;
        }
    return false;
}

/* The folder that a router is mounted on, without its slash, leads to it with the slash. */
static bool redirect_mount(struct finding *c)
{
    const struct http_opts *o = c->o;
    if (!o->mount.n) return false;
    str mount = arena_fmt(&c->r->arena, "%.*s%.*s", STR_ARG(o->prefix), STR_ARG(o->mount));
    if (!str_eq(c->r->path, mount)) return false;
    str to = arena_fmt(&c->r->arena, "%.*s/", STR_ARG(mount));
    if (c->r->query.n)
        to = arena_fmt(&c->r->arena, "%.*s?%.*s", STR_ARG(to), STR_ARG(c->r->query));
    http_redirect(c->r, c->early, 307, to);
    return true;
}

/* "GET, OPTIONS, POST": OPTIONS is answered wherever something else is. */
static str allow_text(unsigned methods, struct arena *a)
{
    static const struct { unsigned m; str name;
    } all[] = {
        { HTTP_DELETE, S("DELETE") },
        { HTTP_GET, S("GET") },
        { HTTP_HEAD, S("HEAD") },
        { HTTP_OPTIONS, S("OPTIONS") },
        { HTTP_POST, S("POST") },
        { HTTP_PUT, S("PUT") },
    };
    str text = STR_EMPTY;
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        if ((methods | HTTP_OPTIONS) & all[i].m)
            text = text.n ? arena_fmt(a, "%.*s, %.*s", STR_ARG(text), STR_ARG(all[i].name))
                          : all[i].name;
    return text;
}

/* The path below the route prefix; false: it is not there. */
static bool strip_prefix(const struct http_opts *o, str path, str *out)
{
    *out = path;
    if (!o->prefix.n) return true;
    if (!str_has_prefix(path, o->prefix)) return false;
    *out = str_from(path, o->prefix.n);
    return !out->n || out->p[0] == '/';
}

const struct http_route *http_router_find(
    const struct http_opts *o, struct http_req *r, struct http_resp *early)
{
    struct finding c = { o, r, early };
    str path;
    if (r->method == HTTP_OPTIONS && str_eq(r->path, S("*"))) return NULL; /* of the server */
    if (redirect_unclean(&c)) return NULL;
    if (o->prefix.n && str_eq(r->path, S("/")) && r->method == HTTP_GET) {
        http_redirect(r, early, 302, o->prefix);
        return NULL;
    }
    if (redirect_mount(&c)) return NULL;
    unsigned allowed = 0;
    bool under = strip_prefix(o, r->path, &path);
    for (size_t i = 0; under && path.n && i < o->n_routes; i++) {
        const struct http_route *route = &o->routes[i];
        if (!pattern_match(str_z(route->pattern), path, &r->path_params)) continue;
        allowed |= route->methods;
        if (route->methods & r->method) return route;
    }
    if (under && redirect_near(&c, path)) return NULL;
    if (!(allowed & ~(unsigned)HTTP_OPTIONS)) {
        http_text(early, 404, S("404 page not found\n"));
        return NULL;
    }
    http_resp_header(early, S("Allow"), allow_text(allowed, &r->arena));
    if (r->method != HTTP_OPTIONS) http_text(early, 405, S("Method Not Allowed\n"));
    return NULL;
}

#include "io/http_pems.h"

#include "base/map.h"
#include "base/mem.h"
#include "base/vec.h"

#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

struct pem_file { uint64_t hash; str pem; int fd; char path[32]; };
struct http_pems { VEC(struct pem_file *) files; };

struct http_pems *http_pems_new(void) { return NEW(struct http_pems); }

void http_pems_free(struct http_pems *p)
{
    if (!p) return;
    for (size_t i = 0; i < p->files.n; i++) {
        close(p->files.at[i]->fd);
        mem_free((void *)p->files.at[i]->pem.p);
        mem_free(p->files.at[i]);
    }
    vec_fini(&p->files);
    mem_free(p);
}

str http_pems_path(struct http_pems *p, str pem)
{
    uint64_t hash = hash_str(pem);
    for (size_t i = 0; i < p->files.n; i++) {
        const struct pem_file *f = p->files.at[i];
        if (f->hash == hash && str_eq(f->pem, pem)) return str_z(f->path);
    }
    int fd = memfd_create("pem", MFD_CLOEXEC);
    ssize_t put = fd < 0 ? -1 : pwrite(fd, pem.p, pem.n, 0);
    if (put != (ssize_t)pem.n) {
        if (fd >= 0) close(fd);
        return S("/dev/null");
    }
    struct pem_file *f = NEW(struct pem_file);
    *f = (struct pem_file){ .hash = hash, .pem = mem_str(pem), .fd = fd };
    snprintf(f->path, sizeof(f->path), "/proc/self/fd/%d", fd);
    vec_push(&p->files, f);
    return str_z(f->path);
}

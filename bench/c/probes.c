/* probes   What single steps of the machine cost, by a small program of its own that shares nothing
 * with the laboratory: NAME \t VALUE.
 *
 * getpid_ns            the system call
 * pipe_one_ns          a byte handed to another process by a pipe, both on core 0
 * pipe_across_ns       the same, on cores 0 and 1
 * touch_us             the first touch of an anonymous page of 4 KiB
 * drop_0_us .. drop_2  a page touched and given back, beside so many threads that run
 * map_ns, pread_ns     4 KiB of a cached file anywhere, looked at in a map or copied
 *
 *     bench_probes FILE        FILE: 64 MiB or more, of which it reads
 */
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { PAGE = 4096, FILE_BYTES = 64 << 20, CALLS = 500000, ROUNDS = 20000, READS = 200000 };

static double now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void stay_on(int core)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(core, &set);
    sched_setaffinity(0, sizeof(set), &set);
}

static void getpids(void)
{
    double began = now_ns();
    for (int i = 0; i < CALLS; i++) syscall(SYS_getpid);
    printf("getpid_ns\t%.1f\n", (now_ns() - began) / CALLS);
}

static void pipes(const char *name, int core)
{
    int there[2], back[2];
    char c = 0;
    if (pipe(there) || pipe(back)) exit(1);
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        close(there[1]);
        stay_on(core);
        while (read(there[0], &c, 1) == 1 && write(back[1], &c, 1) == 1) continue;
        _exit(0);
    }
    close(there[0]);
    cpu_set_t before;
    sched_getaffinity(0, sizeof(before), &before);
    stay_on(0);
    double began = now_ns();
    for (int i = 0; i < ROUNDS; i++)
        if (write(there[1], &c, 1) != 1 || read(back[0], &c, 1) != 1) exit(1);
    printf("%s\t%.0f\n", name, (now_ns() - began) / ROUNDS / 2);
    sched_setaffinity(0, sizeof(before), &before);
    close(there[1]);
    close(back[0]);
    close(back[1]);
    waitpid(child, NULL, 0);
}

static uint8_t *anonymous(size_t n)
{
    uint8_t *p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) exit(1);
    madvise(p, n, MADV_NOHUGEPAGE);
    return p;
}

static void touches(void)
{
    volatile uint8_t *p = anonymous(FILE_BYTES);
    double began = now_ns();
    for (size_t i = 0; i < FILE_BYTES; i += PAGE) p[i] = 1;
    printf("touch_us\t%.3f\n", (now_ns() - began) / (FILE_BYTES / PAGE) / 1e3);
    munmap((void *)p, FILE_BYTES);
}

static _Atomic int spin;
static void *spins(void *arg)
{
    while (atomic_load_explicit(&spin, memory_order_relaxed)) continue;
    return arg;
}

static void drops(int beside)
{
    pthread_t t[2];
    volatile uint8_t *p = anonymous(PAGE);
    atomic_store(&spin, 1);
    for (int i = 0; i < beside; i++)
        if (pthread_create(&t[i], NULL, spins, NULL)) exit(1);
    double began = now_ns();
    for (int i = 0; i < ROUNDS; i++) {
        *p = 1;
        madvise((void *)p, PAGE, MADV_DONTNEED);
    }
    printf("drop_%d_us\t%.3f\n", beside, (now_ns() - began) / ROUNDS / 1e3);
    atomic_store(&spin, 0);
    for (int i = 0; i < beside; i++) pthread_join(t[i], NULL);
    munmap((void *)p, PAGE);
}

static uint64_t next(uint64_t *s) { return *s = *s * 6364136223846793005u + 1442695040888963407u; }

static void reads(const char *path)
{
    static uint8_t page[PAGE];
    int fd = open(path, O_RDONLY);
    const uint8_t *map = mmap(NULL, FILE_BYTES, PROT_READ, MAP_SHARED, fd, 0);
    uint64_t s = 1, sum = 0;
    if (fd < 0 || map == MAP_FAILED) exit(1);
    madvise((void *)map, FILE_BYTES, MADV_RANDOM);
    for (size_t i = 0; i < FILE_BYTES; i += PAGE) sum += map[i];
    double began = now_ns();
    for (int i = 0; i < READS; i++) {
        const uint64_t *at = (const void *)(map + (next(&s) >> 40) % (FILE_BYTES / PAGE) * PAGE);
        for (size_t k = 0; k < PAGE / sizeof(*at); k++) sum += at[k];
    }
    double mid = now_ns();
    for (int i = 0; i < READS; i++) {
        off_t at = (off_t)((next(&s) >> 40) % (FILE_BYTES / PAGE) * PAGE);
        if (pread(fd, page, PAGE, at) != PAGE) exit(1);
        const uint64_t *words = (const void *)page;
        for (size_t k = 0; k < PAGE / sizeof(*words); k++) sum += words[k];
    }
    printf("map_ns\t%.0f\npread_ns\t%.0f\n", (mid - began) / READS, (now_ns() - mid) / READS);
    fprintf(stderr, "%llu\n", (unsigned long long)sum);
    close(fd);
}

int main(int argc, char **argv)
{
    if (argc != 2) return 2;
    getpids();
    pipes("pipe_one_ns", 0);
    if (sysconf(_SC_NPROCESSORS_ONLN) > 1) pipes("pipe_across_ns", 1);
    touches();
    for (int i = 0; i <= 2; i++) drops(i);
    reads(argv[1]);
    return 0;
}

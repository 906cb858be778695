/* The life of the shim: its page, its settings, when a process is armed. */
#include <dlfcn.h>
#include <fcntl.h>
#include <link.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "settings.h"
#include "shim_time.h"

#define PAGE_VARIABLE "LOOPCHECK_SHIM_PAGE" /* the file behind the page */
#define SETTINGS_VARIABLE "LOOPCHECK_SHIM"  /* words: time faults=linux|posix loud seed=N counts spare-main */

_Static_assert(sizeof(struct shim_page) <= SHIM_PAGE_BYTES, "the page is too small");

struct shim_page *shim_page;
bool shim_is_armed;
struct shim_object shim_kit, shim_interpreter;

static bool wants_counts; /* printed when this process ends */

static const char *const names[SHIM_COUNTS] = {
    [SHIM_COUNT_READ] = "read",
    [SHIM_COUNT_WRITE] = "write",
    [SHIM_COUNT_ACCEPT] = "accept",
    [SHIM_COUNT_WAIT] = "wait",
    [SHIM_COUNT_WAKE] = "wake-up",
    [SHIM_COUNT_CONTROL] = "epoll_ctl",
    [SHIM_COUNT_TIMER] = "timer call",
    [SHIM_COUNT_SLEEP] = "sleep",
    [SHIM_COUNT_CLOCK] = "clock",
    [SHIM_COUNT_RAW] = "syscall()",
    [SHIM_COUNT_RING] = "ring refused",
    [SHIM_COUNT_LOCK] = "lock",
    [SHIM_COUNT_CONDITION] = "condition wait",
    [SHIM_COUNT_ALLOCATION] = "allocation",
    [SHIM_COUNT_GIL] = "GIL hand-off",
    [SHIM_COUNT_JUMP] = "jump in time",
    [SHIM_COUNT_FAULT] = "fault",
};

/* glibc has two versions of the functions of condition variables, and plain dlsym may find the older one, which works
 * on another layout of pthread_cond_t. */
static void *newest(const char *name)
{
    static const char *const versions[] = {"GLIBC_2.3.2", "GLIBC_2.17"};
    for (size_t i = 0; i < sizeof versions / sizeof *versions; i++) {
        void *found = dlvsym(RTLD_NEXT, name, versions[i]);
        if (found != NULL)
            return found;
    }
    return dlsym(RTLD_NEXT, name);
}

void *shim_real(const char *name)
{
    void *found = strncmp(name, "pthread_cond_", 13) == 0 ? newest(name) : dlsym(RTLD_NEXT, name);
    if (found == NULL) {
        fprintf(stderr, "loopcheck: the shim finds no %s in this process\n", name);
        abort();
    }
    return found;
}

static void give_up(const char *why, const char *what, size_t size)
{
    fprintf(stderr, "loopcheck: " SETTINGS_VARIABLE ": %s: %.*s\n", why, size < 100 ? (int)size : 100, what);
    _exit(2);
}

struct search {
    uintptr_t address;
    struct shim_object found;
};

static int is_here(struct dl_phdr_info *info, size_t size, void *arg)
{
    struct search *search = arg;
    (void)size;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const uintptr_t begin = info->dlpi_addr + info->dlpi_phdr[i].p_vaddr;
        const struct shim_object part = {begin, begin + info->dlpi_phdr[i].p_memsz};
        if (info->dlpi_phdr[i].p_type != PT_LOAD || !shim_is_in(&part, (const void *)search->address))
            continue;
        search->found = part;
        return 1;
    }
    return 0;
}

/* The object that an address is in. */
static struct shim_object object_of(const void *address)
{
    struct search search = {.address = (uintptr_t)address};
    if (address != NULL)
        dl_iterate_phdr(is_here, &search);
    return search.found;
}

static void take_settings(void)
{
    const char *line = getenv(SETTINGS_VARIABLE), *word;
    struct settings settings;
    size_t size;
    const char *why = settings_read(&settings, line == NULL ? "" : line, &word, &size);
    if (why != NULL)
        give_up(why, word, size);
    if (settings.adversary.level != ADVERSARY_OFF)
        shim_page->adversary = settings.adversary;
    shim_page->has_time |= settings.has_time;
    wants_counts |= settings.has_counts;
    if (settings.spares_main) /* the kit is the program itself, the loop a library */
        shim_kit = object_of((const void *)getauxval(AT_ENTRY));
}

static struct shim_page *map(int fd)
{
    void *found = mmap(NULL, SHIM_PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    return found == MAP_FAILED ? NULL : found;
}

static void map_inherited(const char *path)
{
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return; /* whoever made it is gone: this process stays outside */
    shim_page = map(fd);
    close(fd);
}

/* A page of this process's own. Its file has no name but through /proc, so that nothing is left over. */
static void make_page(void)
{
    char path[64];
    int fd = memfd_create("loopcheck-shim", MFD_CLOEXEC);
    if (fd < 0 || ftruncate(fd, SHIM_PAGE_BYTES) != 0)
        give_up("there is no memory to share", "", 0);
    int high = fcntl(fd, F_DUPFD_CLOEXEC, 900); /* out of the way of programs that count fds from 3 */
    if (high >= 0) {
        close(fd);
        fd = high;
    }
    shim_page = map(fd);
    snprintf(path, sizeof path, "/proc/%d/fd/%d", (int)getpid(), fd);
    setenv(PAGE_VARIABLE, path, 1);
}

/* Where the clocks start: ahead of the real ones, at a number of seconds that is the same from run to run for days, and
 * at the beginning of a second of the calendar, so that what a loop rounds is rounded the same way each time. */
static void start_clocks(void)
{
    struct timespec real, boot;
    const int64_t second_ns = 1000000000;
    int64_t start_ns = ((int64_t)1 << 20) * second_ns;
    while (start_ns < shim_real_now_ns())
        start_ns *= 2;
    REAL(clock_gettime)(CLOCK_REALTIME, &real);
    REAL(clock_gettime)(CLOCK_BOOTTIME, &boot);
    shim_page->to_real_time_ns = (real.tv_sec + 1) * second_ns - start_ns;
    shim_page->to_boot_time_ns = shim_to_ns(&boot) < start_ns ? 0 : shim_to_ns(&boot) - start_ns;
    atomic_store(&shim_page->now_ns, start_ns);
}

static void after_fork_in_child(void)
{
    if (shim_is_armed)
        shim_join_tree();
}

static void join(void)
{
    static bool has_handler;
    /* The others of the tree look at this process in /proc, which some systems allow to ancestors only. */
    prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY, 0, 0, 0);
    if (!has_handler)
        pthread_atfork(NULL, NULL, after_fork_in_child);
    has_handler = true;
    shim_interpreter = object_of(dlsym(RTLD_DEFAULT, "Py_IsInitialized")); /* once: a fork may come while another */
    shim_is_armed = true;                                                  /* thread holds the linker's lock */
    shim_join_tree();
}

static void arm(void)
{
    take_settings();
    for (int i = 0; i < SHIM_COUNTS; i++)
        strncpy(shim_page->counters[i].name, names[i], sizeof shim_page->counters[i].name - 1);
    start_clocks();
    join();
    atomic_store(&shim_page->is_armed, 1);
}

/* Arms this process, and with it those that it starts from now on. The page has to be zeroed memory, or as another
 * process left it. kit: an address in the code whose calls meet no faults, or NULL. Returns 0, or -1 when the
 * environment names no page. */
SHIM_EXPORT int lc_shim_arm(void *kit);
SHIM_EXPORT int lc_shim_arm(void *kit)
{
    if (shim_page == NULL)
        return -1;
    shim_kit = object_of(kit);
    arm();
    return 0;
}

/* ---- another program in this process --------------------------------------------------------- */

/* It joins the tree by loading the shim, or it works outside: a static one, or one with another environment. */
static bool leave(void)
{
    return shim_is_armed && shim_leave_tree();
}

static int come_back(bool has_left, int result)
{
    if (has_left)
        shim_join_tree();
    return result;
}

SHIM_EXPORT int execve(const char *path, char *const arguments[], char *const environment[])
{
    const bool has_left = leave();
    return come_back(has_left, REAL(execve)(path, arguments, environment));
}

SHIM_EXPORT int execv(const char *path, char *const arguments[])
{
    const bool has_left = leave();
    return come_back(has_left, REAL(execv)(path, arguments));
}

SHIM_EXPORT int execvp(const char *file, char *const arguments[])
{
    const bool has_left = leave();
    return come_back(has_left, REAL(execvp)(file, arguments));
}

__attribute__((constructor)) static void load(void)
{
    const char *path = getenv(PAGE_VARIABLE), *settings = getenv(SETTINGS_VARIABLE);
    if (path != NULL && *path != '\0') {
        map_inherited(path);
        if (shim_page != NULL && atomic_load(&shim_page->is_armed)) {
            join();
            shim_timers_forget(-2); /* exec closed what they were */
        }
    } else if (settings != NULL && *settings != '\0') {
        make_page();
        if (shim_page == NULL)
            give_up("there is no memory to share", "", 0);
        arm();
    }
}

__attribute__((destructor)) static void unload(void)
{
    if (!wants_counts || shim_page == NULL)
        return;
    for (int i = 0; i < SHIM_COUNTS; i++)
        if (atomic_load(&shim_page->counters[i].count) > 0)
            fprintf(stderr, "loopcheck: %s %llu\n", shim_page->counters[i].name,
                    (unsigned long long)atomic_load(&shim_page->counters[i].count));
}

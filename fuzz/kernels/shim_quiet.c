/* Is every other thread of the tree asleep? The kernel says so in /proc, not our own books: a thread that somebody has
 * just woken is running (R) there at once, so that no call that wakes has to be watched.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "shim_time.h"

enum { TEXT_BYTES = 512, DIRECTORY_BYTES = 2048 };

/* ---- the books: who belongs to the tree, who sleeps in a call of ours ------------------------ */

static bool is_process_alive(int pid)
{
    return shim_is_thread_alive(pid, pid);
}

void shim_join_tree(void)
{
    const int pid = getpid();
    for (int i = 0; i < SHIM_PROCESSES_MAX; i++)
        if (atomic_load(&shim_page->pids[i]) == pid)
            return;
    for (int i = 0; i < SHIM_PROCESSES_MAX; i++) {
        int had = atomic_load(&shim_page->pids[i]);
        if ((had == 0 || !is_process_alive(had)) && atomic_compare_exchange_strong(&shim_page->pids[i], &had, pid))
            return;
    }
}

bool shim_leave_tree(void)
{
    const int pid = getpid(); /* a vfork child has not joined */
    bool has_left = false;
    for (int i = 0; i < SHIM_PROCESSES_MAX; i++) {
        int had = pid;
        has_left |= atomic_compare_exchange_strong(&shim_page->pids[i], &had, 0);
    }
    return has_left;
}

static bool is_of_tree(int pid)
{
    for (int i = 0; i < SHIM_PROCESSES_MAX; i++)
        if (atomic_load(&shim_page->pids[i]) == pid)
            return true;
    return false;
}

struct shim_sleeper *shim_sleep_begin(int64_t deadline_ns)
{
    const int tid = gettid(), pid = getpid();
    for (int i = 0; i < SHIM_SLEEPERS_MAX; i++) {
        struct shim_sleeper *s = &shim_page->sleepers[i];
        int nobody = 0;
        if (atomic_load(&s->tid) != 0 || !atomic_compare_exchange_strong(&s->tid, &nobody, tid))
            continue;
        atomic_store(&s->pid, pid);
        atomic_store(&s->deadline_ns, deadline_ns);
        return s;
    }
    return NULL;
}

void shim_sleep_end(struct shim_sleeper *sleeper)
{
    if (sleeper == NULL)
        return;
    atomic_store(&sleeper->deadline_ns, SHIM_NEVER_NS); /* before the slot is another's */
    atomic_store(&sleeper->tid, 0);
}

/* Does the thread sleep in a call of ours? Then until when, at the soonest. */
static bool is_sleeper(int tid, int64_t *deadline_ns)
{
    bool is_known = false;
    *deadline_ns = SHIM_NEVER_NS;
    for (int i = 0; i < SHIM_SLEEPERS_MAX; i++) {
        const int64_t found_ns = atomic_load(&shim_page->sleepers[i].deadline_ns);
        if (atomic_load(&shim_page->sleepers[i].tid) != tid)
            continue;
        is_known = true;
        *deadline_ns = found_ns < *deadline_ns ? found_ns : *deadline_ns;
    }
    return is_known;
}

/* ---- who asks ------------------------------------------------------------------------------ */

bool shim_is_prober(void)
{
    return shim_may_probe(shim_page, gettid(), shim_real_now_ns());
}

void shim_stop_probing(void)
{
    shim_leave_probing(shim_page, gettid());
}

/* ---- /proc --------------------------------------------------------------------------------- */

/* Reads a small file as text. False when it is gone. */
static bool read_text(char text[TEXT_BYTES], const char *format, int pid, int tid)
{
    char path[64];
    snprintf(path, sizeof path, format, pid, tid);
    int fd = (int)REAL(syscall)(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t size = REAL(syscall)(SYS_read, fd, text, TEXT_BYTES - 1);
    REAL(syscall)(SYS_close, fd);
    text[size > 0 ? size : 0] = '\0';
    return size >= 0;
}

/* R, S, D, Z ..., or 0: there is no such thread. */
static char state_of(int pid, int tid)
{
    char text[TEXT_BYTES];
    if (!read_text(text, "/proc/%d/task/%d/stat", pid, tid))
        return 0;
    const char *after_name = strrchr(text, ')'); /* the name may hold anything */
    return after_name != NULL && after_name[1] == ' ' ? after_name[2] : 0;
}

static bool is_gone(char state)
{
    return state == 0 || state == 'Z' || state == 'X';
}

bool shim_is_thread_alive(int pid, int tid)
{
    return !is_gone(state_of(pid, tid));
}

/* Is this a call in which a thread waits for others of the tree? Many are made inside libc (pthread_join, a mutex), or
 * raw, where no shim sees them. In any other call (poll in getaddrinfo, connect) it waits for an outsider. */
static bool is_waiting_call(long number)
{
    static const long calls[] = {
        SYS_futex,           SYS_wait4,         SYS_waitid,          SYS_read,
        SYS_rt_sigtimedwait, SYS_rt_sigsuspend, SYS_clock_nanosleep, SYS_restart_syscall,
#ifdef SYS_pause
        SYS_pause,
#endif
#ifdef SYS_nanosleep
        SYS_nanosleep, /* the sanitizers' own threads sleep so */
#endif
    };
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
        if (calls[i] == number)
            return true;
    return false;
}

/* One look at all threads but the caller's. `held` is the futex word of a mutex that the caller holds: who waits for it
 * runs as soon as the caller sleeps. */
struct look {
    const void *held;
    struct shim_calm *calm;
    int own_tid;
    bool is_asleep;
    uint64_t sum; /* over how often each has run */
};

/* Does the thread sleep until another one of the tree, or the clock, wakes it? Its deadline is taken here, too: one
 * that waits for a condition is in the books only now and then. */
static bool is_thread_asleep(const struct look *look, int pid, int tid)
{
    char text[TEXT_BYTES], *end;
    const char state = state_of(pid, tid);
    int64_t deadline_ns;
    if (is_gone(state))
        return true;
    if (state != 'S')
        return false;
    const bool is_known = is_sleeper(tid, &deadline_ns);
    if (deadline_ns <= look->calm->since_ns)
        return false;
    if (deadline_ns < look->calm->next_ns)
        look->calm->next_ns = deadline_ns;
    if (is_known && look->held == NULL)
        return true;
    if (!read_text(text, "/proc/%d/task/%d/syscall", pid, tid))
        return is_known;
    const long number = strtol(text, &end, 10);
    if (end == text) /* "running" */
        return false;
    if (look->held != NULL && number == SYS_futex && strtoull(end, NULL, 16) == (uintptr_t)look->held)
        return false;
    return is_known || is_waiting_call(number);
}

/* A child that is not of the tree (it has not loaded the shim yet, or never will) works outside. */
static void look_at_children(struct look *look, int pid, int tid)
{
    char text[TEXT_BYTES], *rest = text;
    if (!read_text(text, "/proc/%d/task/%d/children", pid, tid))
        return;
    for (long child = strtol(rest, &rest, 10); child > 0 && look->is_asleep; child = strtol(rest, &rest, 10))
        look->is_asleep = is_of_tree((int)child) || !is_process_alive((int)child);
}

static void look_at_thread(struct look *look, int pid, int tid)
{
    char text[TEXT_BYTES];
    look_at_children(look, pid, tid);
    if (tid == look->own_tid)
        return;
    if (read_text(text, "/proc/%d/task/%d/schedstat", pid, tid))
        for (const char *c = text; *c != '\0'; c++)
            look->sum = look->sum * 31 + (unsigned char)*c;
    look->is_asleep = look->is_asleep && is_thread_asleep(look, pid, tid);
}

static void look_at_process(struct look *look, int pid)
{
    char bytes[DIRECTORY_BYTES], path[32];
    long size;
    snprintf(path, sizeof path, "/proc/%d/task", pid);
    int fd = (int)REAL(syscall)(SYS_openat, AT_FDCWD, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return;
    while (look->is_asleep && (size = REAL(syscall)(SYS_getdents64, fd, bytes, sizeof bytes)) > 0)
        for (long at = 0; at < size && look->is_asleep;) {
            const struct dirent64 *entry = (const void *)(bytes + at);
            at += entry->d_reclen;
            if (entry->d_name[0] != '.')
                look_at_thread(look, pid, atoi(entry->d_name));
        }
    REAL(syscall)(SYS_close, fd);
}

static struct look look_at_tree(const void *held, struct shim_calm *calm)
{
    struct look look = {.held = held, .calm = calm, .own_tid = gettid(), .is_asleep = true, .sum = 1};
    for (int i = 0; i < SHIM_PROCESSES_MAX && look.is_asleep; i++) {
        int pid = atomic_load(&shim_page->pids[i]);
        if (pid != 0 && pid != look.own_tid && !is_process_alive(pid))
            atomic_compare_exchange_strong(&shim_page->pids[i], &pid, 0);
        else if (pid != 0)
            look_at_process(&look, pid);
    }
    return look;
}

/* Two looks, so that nobody slept, ran and slept again while the first went round. */
bool shim_is_quiet(const void *held, struct shim_calm *calm)
{
    int saved = errno;
    *calm = (struct shim_calm){shim_now_ns(), SHIM_NEVER_NS};
    if (!shim_find_next(calm) || shim_is_data_in_flight()) {
        errno = saved;
        return false;
    }
    struct look first = look_at_tree(held, calm);
    struct look second = first.is_asleep ? look_at_tree(held, calm) : first;
    errno = saved;
    if (!second.is_asleep || second.sum != first.sum)
        return false;
    atomic_store(&shim_page->busy_since_ns, 0);
    return true;
}

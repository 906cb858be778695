#include "helper.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdbool.h>

/* Whoever holds the baton owns work and arg. */
static struct {
    bool is_made;
    sem_t to_helper, to_caller; /* the baton, handed to either side */
    void (*work)(void *arg);
    void *arg;
} helper;

static void wait_for(sem_t *baton)
{
    while (sem_wait(baton) != 0)
        ; /* a signal came first */
}

static void *serve(void *unused)
{
    (void)unused;
    for (;;) {
        wait_for(&helper.to_helper);
        helper.work(helper.arg);
        sem_post(&helper.to_caller);
    }
    return NULL;
}

static int make_helper(void)
{
    pthread_t thread;
    if (sem_init(&helper.to_helper, 0, 0) != 0 || sem_init(&helper.to_caller, 0, 0) != 0)
        return -errno;
    int error = pthread_create(&thread, NULL, serve, NULL);
    if (error != 0)
        return -error;
    pthread_detach(thread); /* it ends with the process */
    helper.is_made = true;
    return 0;
}

int helper_run(void (*work)(void *arg), void *arg)
{
    int error = helper.is_made ? 0 : make_helper();
    if (error < 0)
        return error;
    helper.work = work;
    helper.arg = arg;
    sem_post(&helper.to_helper);
    wait_for(&helper.to_caller);
    return 0;
}

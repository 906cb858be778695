/* One helper thread of this process, which runs only while it is handed the baton. */
#ifndef HELPER_H
#define HELPER_H

/* Runs work(arg) on the helper and returns when it is done. The thread is made by the first call and then stays, since
 * making one costs more than a whole program. Returns 0 or -errno: there was no thread to be had. */
int helper_run(void (*work)(void *arg), void *arg);

#endif

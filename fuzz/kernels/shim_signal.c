/* A wait under virtual time is many short ones. A signal that is handled between two of them has to end it all the
 * same, and blocking signals there would let the kernel hand them to another thread. So each handler is called through
 * one of ours, which counts for its thread.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>

#include "shim_time.h"

enum { SIGNALS = 65 };

/* As the program set them. One that it sets while it runs may be called already by its new address with old flags, as
 * little as with the kernel's own. */
static struct sigaction wanted[SIGNALS];
static __thread volatile unsigned handled, interrupting;

unsigned shim_signals_handled(void)
{
    return handled;
}

unsigned shim_signals_interrupting(void)
{
    return interrupting;
}

static void handle(int number, siginfo_t *info, void *context)
{
    const int flags = wanted[number].sa_flags;
    handled++;
    interrupting += (flags & SA_RESTART) == 0;
    if (flags & SA_SIGINFO)
        wanted[number].sa_sigaction(number, info, context);
    else
        wanted[number].sa_handler(number);
}

static bool is_function(const struct sigaction *action)
{
    return action->sa_handler != SIG_DFL && action->sa_handler != SIG_IGN;
}

/* Also in a process that is not armed: it may be, later, with the same handlers. The table keeps what a vfork child
 * sets to the default. */
SHIM_EXPORT int sigaction(int number, const struct sigaction *action, struct sigaction *had)
{
    struct sigaction ours, before;
    if (shim_page == NULL || number <= 0 || number >= SIGNALS)
        return REAL(sigaction)(number, action, had);
    const struct sigaction previous = wanted[number];
    if (action != NULL && is_function(action)) {
        ours = *action;
        ours.sa_flags |= SA_SIGINFO;
        ours.sa_sigaction = handle;
        wanted[number] = *action;
    } else if (action != NULL) {
        ours = *action;
    }
    int result = REAL(sigaction)(number, action == NULL ? NULL : &ours, &before);
    if (result != 0)
        wanted[number] = previous;
    else if (had != NULL && before.sa_sigaction == handle)
        *had = previous;
    else if (had != NULL)
        *had = before;
    return result;
}

SHIM_EXPORT __sighandler_t signal(int number, __sighandler_t handler)
{
    struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART}, had;
    if (shim_page == NULL)
        return REAL(signal)(number, handler);
    return sigaction(number, &action, &had) == 0 ? had.sa_handler : SIG_ERR;
}

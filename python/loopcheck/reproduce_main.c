/* What a reproducer in C ends with: the end of every handle and of the loop, and the verdict. */

/* ---- the end, and the verdict --------------------------------------------------------------- */

static int open_fds(void)
{
    int count = 0;
    for (int fd = 0; fd < 1024; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

static const char *story_of(struct handle *h)
{
#ifdef TURNS
    if (h == &order && strcmp(h->story + h->last, "step") == 0)
        take_back(h);
#endif
    return h->story[0] != 0 ? h->story : "nothing";
}

/* Prints what was seen. Returns the exit status. */
static int verdict(void)
{
    bool is_shown = true, is_right = true;
    printf("%s\n", loop_name());
    for (size_t i = 0; all[i] != NULL; i++)
        printf("    %-5s %s\n", all[i]->name, story_of(all[i]));
    printf("what the defect is about:\n");
    for (size_t i = 0; expected[i].handle != NULL; i++) {
        const struct expectation *e = &expected[i];
        printf("    %-5s saw now    %s\n", e->handle->name, story_of(e->handle));
        printf("          when found %s\n", e->found);
        if (e->right != NULL)
            printf("          reference  %s\n", e->right);
        is_shown &= strcmp(story_of(e->handle), e->found) == 0;
        is_right &= e->right == NULL || strcmp(story_of(e->handle), e->right) == 0;
    }
    printf("%s\n", is_shown ? "the defect shows"
                   : is_right
                       ? "the defect does not show"
                       : "the defect does not show, but what was seen is another thing than on the reference loop");
    fflush(stdout);
    return is_shown;
}

/* The loop hangs, or the process dies: that is seen, too. */
static void on_signal(int number)
{
    const char *name = number == SIGSEGV   ? "SIGSEGV"
                       : number == SIGABRT ? "SIGABRT"
                       : number == SIGBUS  ? "SIGBUS"
                       : number == SIGFPE  ? "SIGFPE"
                                           : "SIGILL";
    if (number == SIGALRM)
        note(&loop_itself, false, "hangs");
    else
        note(&loop_itself, false, "died of %s", name);
    _exit(verdict());
}

static bool is_all_closed(void)
{
    for (size_t i = 0; all[i] != NULL; i++)
        if (all[i]->state == CLOSING)
            return false;
    return true;
}

/* Takes what still arrives, ends every handle, and closes the loop. */
static void finish(void)
{
    for (int i = 0; i < 4; i++)
        step();
#ifdef HOOKS
    is_closing = true;
#endif
#ifdef DRAINS
    drain();
#endif
#ifdef SERVERS
    for (size_t i = 0; all[i] != NULL; i++)
        if (all[i]->streams != NULL)
            destroy(all[i]);
    for (int i = 0; i < 4; i++)
        poll_once();
#endif
    for (size_t i = 0; all[i] != NULL; i++)
        if (all[i]->name[0] != 'f')
            destroy(all[i]);
    for (int i = 0; i < 4 && !is_all_closed(); i++)
        poll_once();
    const int error = loop_close();
    if (error < 0)
        note(&loop_itself, false, "closing it failed: %s", error_name(error));
#ifdef SOCKETS
    close_sockets();
#endif
}

int main(void)
{
    static const int numbers[] = {SIGALRM, SIGSEGV, SIGABRT, SIGBUS, SIGFPE, SIGILL};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        signal(numbers[i], on_signal);
    signal(SIGPIPE, SIG_IGN);
    alarm(LIMIT_S);
    loop_thread = pthread_self();
#ifdef FDS
    loop_open(); /* what a library opens only once is no leak */
    loop_close();
    const int fds = open_fds();
#endif
    loop_open();
    program();
    finish();
#ifdef FDS
    if (open_fds() > fds)
        note(&loop_itself, false, "%d fds left open", open_fds() - fds);
#endif
    return verdict();
}

/* canary NAME: has that defect. Exit status 0: nothing reported it; 2: there is no such canary. */
#include "canaries.h"

#include <stdio.h>

int main(int argc, char **argv)
{
    if (argc == 2 && canary_run(argv[1]) == 0)
        return 0;
    (void)fprintf(stderr, "canary: %s: no such canary\n", argc == 2 ? argv[1] : "(no name)");
    return 2;
}

/* Defects on purpose, one for each kind of report. A sanitizer that says nothing about its canary is not on. */
#ifndef CANARIES_H
#define CANARIES_H

/* Does what the canary of this name does. 0: it did, and no sanitizer ended the process; -1: there is no such canary.
 */
int canary_run(const char *name);

#endif

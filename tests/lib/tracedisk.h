/*
 * Notes every call on a disk that changes what is on it or makes it stable: a line each, "PATH CALL
 * NUMBERS = RESULT", in the order in which they were made. What must be the same on two disks is
 * compared so.
 */
#ifndef TOPICFS_TESTS_TRACEDISK_H
#define TOPICFS_TESTS_TRACEDISK_H

#include "daemon/store/disk.h"

#include <stdio.h>

/* From now on; out is borrowed. One disk at a time; again after it was opened anew. */
void tracedisk_begin(struct disk *d, FILE *out);
/* No more of it, whatever a process does that takes itself for alive. */
void tracedisk_end(void);

#endif

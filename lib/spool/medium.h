/* What the spool lies on. */
#ifndef VMTA_SPOOL_MEDIUM_H
#define VMTA_SPOOL_MEDIUM_H

struct spool;

/*
 * Why what is promised of a spool (DESIGN, "The durability contract") may not
 * hold on its kind of filesystem: a text without end, NULL when nothing is
 * known against it. Mount options and disks do not show here.
 */
const char *spool_medium_doubt(const struct spool *sp);

#endif

/*
 * Names of batch files: DUE-PRI-ID-OPEN-BYTES-JOB. The name is a hint that
 * is enough to plan; the file decides. Its due time is never later than the
 * next try of the earliest open recipient inside that is not held.
 */
#ifndef VMTA_SPOOL_NAME_H
#define VMTA_SPOOL_NAME_H

#include <stdint.h>

#include "base/id.h"

#define BATCH_NAME_MAX 96 /* room for a name with its NUL */
/* Due time of a batch whose open recipients are all held. */
#define BATCH_DUE_NEVER INT64_C(253402300799)

struct batch_name {
	int64_t due; /* seconds, UTC */
	int prio;    /* 0 to 100 */
	struct id id;
	uint32_t open;	/* recipients that are not final */
	uint64_t bytes; /* of content that they still need */
	uint32_t job;	/* batch_job_hash */
};

/* The name as text; returns buf. */
const char *batch_name_format(const struct batch_name *n,
    char buf[BATCH_NAME_MAX]);
/* 0, or -1 when s is not exactly what batch_name_format writes. */
int batch_name_parse(const char *s, struct batch_name *ret_n);
/* The low 32 bits of XXH3-64 of a job's name; 0 for NULL and "". */
uint32_t batch_job_hash(const char *job);

#endif

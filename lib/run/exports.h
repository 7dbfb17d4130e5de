/* The acct-files of a worker: exports of the journal, in threads. */
#ifndef VMTA_RUN_EXPORTS_H
#define VMTA_RUN_EXPORTS_H

#include <sys/queue.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct worker;
struct exporter;

TAILQ_HEAD(exporter_list, exporter);

struct exports {
	struct exporter_list orphans; /* of former tables, that still run */
	struct exporter **file;	      /* one an acct-file section */
	size_t n;
	unsigned int busy; /* jobs in other threads, of former ones too */
	bool cleaning;
	int64_t next_look;  /* monotonic ms */
	int64_t next_clean; /* monotonic ms */
};

/* The table for the configuration in force. */
void exports_load(struct worker *w);
/* Forget it; jobs that run end by themselves. */
void exports_unload(struct worker *w);
/*
 * Let each acct-file look at the journal, once a second; remove old segments,
 * once an hour. id, size: the worker's own segment and its durable octets.
 */
void exports_tick(struct worker *w, const char *id, uint64_t size);
/* Does a job run in another thread? */
bool exports_busy(const struct worker *w);
/* The journal is retired: the acct-files take the rest of it. Blocks. */
void exports_last(struct worker *w);

#endif

/* Inside of submissions: for lib/submit only. */
#ifndef VMTA_SUBMIT_IMPL_H
#define VMTA_SUBMIT_IMPL_H

#include <pthread.h>

#include "base/buf.h"
#include "base/id.h"
#include "base/map.h"
#include "mail/message.h"
#include "spool/commit.h"
#include "spool/spool.h"
#include "spool/submit.h"
#include "submit/print.h"
#include "submit/select.h"
#include "submit/submit.h"

/* A recipient of the present message: offsets into its texts. */
struct rcpt {
	size_t smtp, domain, notify, orcpt;
	uint32_t index; /* rcptIndex */
	int prio;
	bool suppressed;
	struct target target;
	size_t content; /* which of the message's contents it gets */
};

/* What is told when a commit is durable. */
struct note {
	char id[ID_LEN + 1];
	size_t rcpts;
};

/* A commit, open or on its way to the disk. */
struct load {
	struct commit *c; /* NULL: none */
	struct note *note;
	size_t n, cap;	     /* messages */
	uint64_t suppressed; /* recipients */
	struct map share;    /* `POOL DOMAIN` -> struct share */
};

/* The member that gets a domain's next recipients. */
struct share {
	const char *vmta;
	unsigned int left;
};

struct submit {
	struct sys *sys;
	struct conf *conf;
	struct conf_source src;
	struct selector *sel;
	const char **strip; /* header_strip */
	char *source, *source_type, *source_mta;
	uid_t uid;
	bool dot_ends;
	char notify[8];
	struct addr_local local; /* completes unqualified addresses */
	struct addr self;	 /* default sender, when has_self */
	bool has_self;
	struct verr self_err; /* why there is none */
	struct spool *sp;     /* NULL until it is needed */

	/* submit id */
	char hash[SUBMIT_HASH_LEN + 1]; /* "": none */
	struct spool_submission before; /* what earlier calls have taken */
	struct print print;		/* of what this one was given */
	char end_id[ID_LEN + 1];	/* submit_id */
	uint64_t seq;			/* messages accepted by this call */
	char last_print[SUBMIT_PRINT_LEN + 1]; /* as the last one was */
	char first_print[SUBMIT_PRINT_LEN + 1];
	int lock_fd;

	/* the present message */
	bool begun;
	bool ended; /* message_end was called */
	struct id id;
	char date[64];
	struct buf msgid; /* of Message-ID */
	struct buf job, envid, schedule;
	struct message msg;
	struct rcpt *rcpt;
	size_t n_rcpt, cap_rcpt;
	size_t n_seen; /* duplicates included */
	struct buf text;
	struct map dups; /* addresses in lower case */

	/* commits */
	bool one_commit;
	struct load open;
	struct load flight;
	bool flying; /* thread runs */
	pthread_t thread;
	int flight_rc;
	struct verr flight_err;
	struct verr warning; /* code != 0: of a commit that is accepted */
	struct verr broken;  /* code != 0: the submission is broken off */
	uint64_t accepted, rejected;
	uint64_t suppressed;   /* recipients that are durable */
	struct supset *supset; /* NULL: not asked yet */
	void (*durable)(void *arg, const char *id, size_t rcpts);
	void *durable_arg;
};

/*
 * The VirtualMTA for a recipient of that domain in this commit; draws from
 * the pool's counter. NULL with err when that failed.
 */
const char *route_vmta(struct submit *s, const struct target *t,
    const char *domain, struct verr *err);
/* Take the next n turns of a pool; *ret_k: the first. 0 or -1. */
int route_draw(struct submit *s, const struct conf_pool *p, uint64_t n,
    uint64_t *ret_k, struct verr *err);
/* The name of the VirtualMTA whose turn is number k. */
const char *route_member(const struct submit *s, const struct conf_pool *p,
    uint64_t k);
/* The member of a pool whose turn is number k. */
const struct conf_member *route_turn(const struct conf_pool *p, uint64_t k);

/*
 * Is a recipient on one of the source's suppression lists? A list that cannot
 * be read says nothing: the mail's owner will wait for it. 1, 0 or -1: the
 * spool is not there.
 */
int submit_is_suppressed(struct submit *s, const char *smtp, struct verr *err);

/* submit_key; 1, with err: another process has the key just now. */
int submit_key_try(struct submit *s, const char *key, struct verr *err);
/* Open the spool unless it is. 0 or -1. */
int submit_spool(struct submit *s, struct verr *err);
/* Put the message, whose recipients have their targets, into the open commit.
 * 0; -1 with err, never VEX_DATA: the commit is no longer whole. */
int load_message(struct submit *s, const struct submit_env *env,
    struct verr *err);
/* The open commit; a new one after a look at the free space. NULL: err. */
struct commit *load_commit(struct submit *s, struct verr *err);
/* A message has been put into it. 0 or -1 when cutting it failed. */
int load_note(struct submit *s, const char *id, size_t rcpts, struct verr *err);
void load_release(struct load *l);
/* One more message is accepted; note it. */
void submit_accept(struct submit *s);
/* What c counts for the submit id, up to the last message, msgid. */
void submit_note(const struct submit *s, const char *msgid, struct commit *c);
/*
 * With a submit id: have earlier calls taken the message that was accepted
 * just now? 1 yes; 0 no; -1 (VEX_DATA): they have taken others, and the
 * submission is broken off.
 */
int submit_taken(struct submit *s, struct verr *err);
/* Break the submission off; returns -1. */
int submit_break(struct submit *s, const struct verr *err);
/* -1 with the error, when it is broken off. */
int submit_alive(const struct submit *s, struct verr *err);

#endif

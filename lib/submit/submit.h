/*
 * The submission: one set of rules by which mail enters, whoever brings it.
 *
 *	s = submit_open(sys, conf, &who);
 *	submit_begin(s, &err);			a message
 *	submit_data(s, bytes, n, &err);
 *	submit_rcpt(s, &rcpt, &err);
 *	submit_end(s, &env, &err);		... and the next
 *	submit_finish(s, &err);			all of it is durable
 *	submit_close(s);
 *
 * Errors: VEX_DATA means that this message is refused; nothing of it is kept
 * and the next one may follow. Any other code means that the submission is
 * broken off (disk full, I/O): what was not durable then is not in the spool,
 * and every later call fails in the same way.
 *
 * The spool is not touched before the first message that is accepted. A
 * handle belongs to one thread; two handles have nothing in common.
 */
#ifndef VMTA_SUBMIT_SUBMIT_H
#define VMTA_SUBMIT_SUBMIT_H

#include <sys/types.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/sys.h"
#include "conf/conf.h"
#include "mail/addr.h"
#include "mail/addrlist.h"

struct submit;
struct map;

/* A commit is cut at so many messages or octets. */
#define SUBMIT_COMMIT_MSGS 256
#define SUBMIT_COMMIT_BYTES (8u * 1024 * 1024)
#define SUBMIT_COPIES_BYTES (64u * 1024 * 1024) /* of one message */
#define SUBMIT_COMMIT_RCPTS 20000
/* Recipients of a domain that one member of a pool gets in a row. */
#define SUBMIT_POOL_SHARE 64

#define SUBMIT_PRIO_DEFAULT 50
#define SUBMIT_JOB_MAX 255 /* octets */

/* Who submits. Texts are copied. */
struct submit_who {
	const char *source;	 /* `user:www-data`: names the conf section */
	const char *source_type; /* srcType of accounting, `api` */
	const char *source_mta;	 /* srcMta of accounting, `localhost` */
	const char *user;   /* local part of the default sender; NULL: none */
	uid_t uid;	    /* whose submit ids */
	bool users;	    /* names without a domain are users of this host */
	bool dot_ends;	    /* a line with a lone dot ends a message */
	const char *notify; /* of recipients of the header, NULL: none */
};

/* What is said about a message beside its recipients. */
struct submit_env {
	const struct addr *from; /* NULL: user@host-name */
	const char *vmta;  /* VirtualMTA or pool; NULL: the source's default */
	const char *job;   /* NULL or "": none */
	const char *envid; /* xtext; NULL or "": none */
	char ret;	   /* 'F', 'H'; 0: not given */
	int prio;	   /* 0 to 100; -1: not given */
	int64_t due;	   /* seconds, UTC; 0: at once */
	const char *schedule;  /* windows (mail/schedule.h); NULL or "": none */
	bool add_from;	       /* add From where it is absent, */
	const char *full_name; /* with this name; NULL: none */
	bool verp;	       /* a sender address for each recipient */
	bool hold;	       /* it waits for vmta-queue release, */
	/*
	 * except for these addresses, in lower case, that go out first (any
	 * value; NULL: none). Must live until submit_end.
	 */
	const struct map *seeds;
};

/* An address as it is a key of seeds; ret has room for ADDR_MAX + 1. */
void submit_fold(const char *smtp, char *ret);

struct submit_rcpt {
	const char *smtp;   /* as on the wire: struct addr smtp */
	const char *domain; /* addr_domain */
	const char *notify; /* letters of NSFD; NULL or "": none */
	const char *orcpt;  /* `type;xtext`; NULL or "": none */
};

/*
 * A new submission, never NULL; c gets a reference. Free with submit_close,
 * which drops what is not durable. err is never NULL below.
 */
struct submit *submit_open(struct sys *sys, struct conf *c,
    const struct submit_who *who);
void submit_close(struct submit *s);

/*
 * Call fn (in the handle's thread) for each message once it is durable, with
 * the number of its recipients. id is "-" when a repeated submission skips
 * the message and its id is not known.
 */
void submit_on_durable(struct submit *s,
    void (*fn)(void *arg, const char *id, size_t rcpts), void *arg);

/*
 * Make the submission repeatable: with the same key (1 to 1000 octets) and
 * uid, messages that an earlier call accepted are accepted again without
 * being queued again. When they turn out to be others, or others were refused
 * between them, the submission is broken off with VEX_DATA. To be called before
 * the first message. 0; -1, VEX_TEMP when another process has the key just now.
 */
int submit_key(struct submit *s, const char *key, struct verr *err);

/* What holds for the source. */
const struct conf_source *submit_source(const struct submit *s);
/* The largest message (octets) and most recipients of one; 0: no limit. */
size_t submit_max_size(const struct submit *s);
size_t submit_max_rcpt(const struct submit *s);
/* May batch SMTP be submitted? 0 or -1 (VEX_DATA). */
int submit_bsmtp_ok(const struct submit *s, struct verr *err);
/*
 * Would env be accepted? 0; -1 (VEX_DATA): an unknown or forbidden
 * VirtualMTA, sender, priority, a job or envelope id that cannot be.
 */
int submit_env_ok(struct submit *s, const struct submit_env *env,
    struct verr *err);

/*
 * An address as this source may write it: names of this host are completed
 * (domain-suffix, and host-name for users). As addr_parse.
 */
int submit_addr(const struct submit *s, const char *p, size_t n,
    enum addr_kind kind, struct addr *ret_a, struct verr *err);

/* The mailboxes of a list, in the same way. As addrlist_parse. */
int submit_addr_list(const struct submit *s, const char *p, size_t n,
    addrlist_fn *fn, void *arg, struct verr *err);

/* Begin a message; one that was begun is dropped. 0 or -1. */
int submit_begin(struct submit *s, struct verr *err);
/* The next n octets of it, lines in LF or CRLF. 0 or -1. */
int submit_data(struct submit *s, const char *p, size_t n, struct verr *err);
/*
 * Add a recipient; its place in the submission is the number of calls
 * before, and one that is there already (case does not count) is counted and
 * left out. Texts are copied. 0 or -1.
 */
int submit_rcpt(struct submit *s, const struct submit_rcpt *r,
    struct verr *err);
/*
 * The message is complete; add the recipients that its header names (To, Cc,
 * Bcc, or Resent- alone). 0 or -1.
 */
int submit_header_rcpts(struct submit *s, struct verr *err);
/* The message is complete: check it, put it in the commit. 0 or -1. */
int submit_end(struct submit *s, const struct submit_env *given,
    struct verr *err);
/*
 * The id of the message that submit_end accepted last; "-" when a repeated
 * submission skipped it and its id is not known.
 */
const char *submit_id(const struct submit *s);
/* Forget the message that was begun. */
void submit_drop(struct submit *s);

/* Messages that are accepted but not handed over to be made durable. */
size_t submit_waiting(const struct submit *s);
/*
 * Do not cut commits: all that is accepted becomes one commit, at
 * submit_finish.
 */
void submit_one_commit(struct submit *s);
/*
 * Begin to make durable what is waiting; returns before that is done. Called
 * by submit_end where a commit is full. 0 or -1.
 */
int submit_flush(struct submit *s, struct verr *err);
/*
 * Wait until nothing is on its way to the disk (no other thread of the handle
 * runs then). What is waiting stays so. 0 or -1.
 */
int submit_settle(struct submit *s, struct verr *err);
/* Make everything durable. 0, or -1. */
int submit_finish(struct submit *s, struct verr *err);
/*
 * The same, where no message follows. -1 (VEX_DATA), too, when an earlier call
 * with the same key has taken more messages than this one had.
 */
int submit_complete(struct submit *s, struct verr *err);
/*
 * What could not be done after a commit was durable, and is left to the next
 * run; NULL: nothing. What was submitted is accepted all the same.
 */
const char *submit_warning(const struct submit *s);
/*
 * Something between two messages was refused before it came here: a repeated
 * call must refuse it, too.
 */
void submit_pass(struct submit *s);
/* Forget what is waiting. */
void submit_discard(struct submit *s);

/* Is the submission broken off? */
bool submit_broken(const struct submit *s);

/* Messages that are durable (skipped ones included), and were refused. */
uint64_t submit_accepted(const struct submit *s);
uint64_t submit_rejected(const struct submit *s);
/*
 * Recipients of durable messages that are on a suppression list: they get a
 * record, and no mail.
 */
uint64_t submit_suppressed(const struct submit *s);

#endif

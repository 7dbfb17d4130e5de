/*
 * Limits answer one question: now, or when, and why? Every kind of limit is a
 * struct limiter with a table of three functions; the caller has a list of
 * limiters that an event (a connection, a message) must pass and asks them
 * all. Here is the kind that counts what is in use; shape/total.h has the one
 * that is shared by processes.
 */
#ifndef VMTA_SHAPE_LIMIT_H
#define VMTA_SHAPE_LIMIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LIMIT_NEVER INT64_MAX /* only when somebody else is done */

/* Which limit: its directive and whose it is (limit_text has the words). */
enum limit_why {
	LIMIT_NONE,	   /* nothing holds it back */
	LIMIT_QUEUE_CONNS, /* max-smtp-out of the queue */
	LIMIT_VMTA_CONNS,  /* max-smtp-out of the VirtualMTA */
	LIMIT_TOTAL_CONNS, /* total-max-smtp-out */
	LIMIT_FILES,	   /* descriptors that this process may have */
	LIMIT_WHYS
};

struct limit_answer {
	bool now;
	int64_t when_ms; /* monotonic; LIMIT_NEVER; the asking time if now */
	enum limit_why why;
	int64_t limit; /* the value of the directive */
};

struct limiter;

struct limiter_ops {
	/* May `amount` units (connections, messages, octets) go at now_ms? */
	struct limit_answer (*ask)(const struct limiter *l, int64_t now_ms,
	    int64_t amount);
	/* Count them. False: somebody was faster (shared limits only). */
	bool (*take)(struct limiter *l, int64_t now_ms, int64_t amount);
	/* They are done; unused: they never happened, as if not taken. */
	void (*give)(struct limiter *l, int64_t amount, bool unused);
};

/* First member of every kind. */
struct limiter {
	const struct limiter_ops *ops;
	enum limit_why why;
};

/* At most max at a time. */
struct slots {
	struct limiter lim;
	int64_t max; /* 0: no limit; may be changed at any time */
	int64_t used;
};

void slots_init(struct slots *s, enum limit_why why, int64_t max);

/*
 * Ask n limiters (NULL ones are skipped); the latest answer wins and keeps
 * its reason, of equals the first.
 */
struct limit_answer limit_ask(struct limiter *const *l, size_t n,
    int64_t now_ms, int64_t amount);
/*
 * Take from all of them or from none. The answer is that of limit_ask; .now
 * says that it was taken. What was taken must be given back by limit_give
 * with the same list.
 */
struct limit_answer limit_take(struct limiter *const *l, size_t n,
    int64_t now_ms, int64_t amount);
/* unused: the thing never happened (a rate gives its share back). */
void limit_give(struct limiter *const *l, size_t n, int64_t amount,
    bool unused);

/* `at max-smtp-out 20 of queue`; "" when now. Returns buf. */
const char *limit_text(const struct limit_answer *a, char *buf, size_t n);

#endif

/*
 * For cppcheck, which reads no system headers: the list heads of sys/queue.h.
 * A head without a name would stop its parser.
 */
#define LIST_HEAD(name, type)          \
	struct name {                  \
		struct type *lh_first; \
	}
#define SLIST_HEAD(name, type)          \
	struct name {                   \
		struct type *slh_first; \
	}
#define STAILQ_HEAD(name, type)          \
	struct name {                    \
		struct type *stqh_first; \
	}
#define TAILQ_HEAD(name, type)          \
	struct name {                   \
		struct type *tqh_first; \
	}

/*
 * Lists by name. One that cannot be read is remembered with the reason, and
 * tried again with the next look at the disk: who is on it is not known, so
 * nobody may be sent to.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/map.h"
#include "base/mem.h"
#include "spool/spool.h"
#include "spool/suplist.h"
#include "spool/supset.h"

#define SUPSET_LOOK_US 1000000 /* between two looks at the disk */

struct supset_list {
	char *name;
	struct suplist *list; /* NULL: err says why */
	struct verr err;
};

struct supset {
	struct spool *sp;
	struct map lists;
	unsigned int gen;
	int64_t looked; /* monotonic us */
};

struct supset *
supset_new(struct spool *sp)
{
	struct supset *x = xcalloc(1, sizeof(*x));

	x->sp = sp;
	x->gen = 1;
	x->looked = sp->sys->mono(sp->sys);
	return (x);
}

static void
list_free(void *arg)
{
	struct supset_list *l = arg;

	suplist_close(l->list);
	free(l->name);
	free(l);
}

void
supset_free(struct supset *x)
{
	if (x == NULL)
		return;
	map_release(&x->lists, list_free);
	free(x);
}

/* Is the file that is open still the one of that name? */
static bool
list_stands(struct supset *x, const struct supset_list *l)
{
	char file[SPOOL_VMTA_MAX + sizeof(SUPLIST_SUFFIX)];
	struct sys *sys = x->sp->sys;
	struct stat st;
	bool same;
	int dfd;

	if (l->list == NULL || (dfd = suplist_dir(x->sp, false, NULL)) == -1)
		return (false);
	(void)snprintf(file, sizeof(file), "%s" SUPLIST_SUFFIX, l->name);
	same = sys->fstatat(sys, dfd, file, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	    suplist_same(l->list, &st);
	(void)sys->close(sys, dfd);
	return (same);
}

/* Open it (anew). Is it another, or another reason why not? */
static bool
list_load(struct supset *x, struct supset_list *l)
{
	struct verr before = l->err;

	suplist_close(l->list);
	l->list = NULL;
	l->err = (struct verr)VERR_INIT;
	if (suplist_open(x->sp, l->name, &l->list, &l->err) == 0)
		return (true);
	return (strcmp(before.text, l->err.text) != 0);
}

/* Look at the disk, when it is time. */
static void
set_look(struct supset *x)
{
	int64_t now = x->sp->sys->mono(x->sp->sys);
	struct supset_list *l;
	bool changed = false;
	size_t i = 0;

	if (now - x->looked < SUPSET_LOOK_US)
		return;
	x->looked = now;
	while ((l = map_next(&x->lists, &i, NULL)) != NULL)
		if (!list_stands(x, l) && list_load(x, l))
			changed = true;
	if (changed && ++x->gen == 0)
		x->gen = 1;
}

/* The list of that name. */
static struct supset_list *
set_get(struct supset *x, const char *name)
{
	struct supset_list *l = map_get(&x->lists, name);

	if (l != NULL)
		return (l);
	l = xcalloc(1, sizeof(*l));
	l->name = xstrdup(name);
	(void)list_load(x, l);
	(void)map_put(&x->lists, name, l);
	return (l);
}

unsigned int
supset_gen(struct supset *x)
{
	set_look(x);
	return (x->gen);
}

int
supset_find(struct supset *x, const struct conf_list *lists, const char *smtp,
    const char **ret_list, struct verr *err)
{
	char fold[ADDR_MAX + 1];
	struct supset_list *l;
	const char *name = NULL;
	int rc;

	if (lists->n == 0)
		return (0);
	set_look(x);
	suplist_fold(smtp, fold);
	while ((name = conf_list_next(lists, name)) != NULL) {
		l = set_get(x, name);
		if (l->list == NULL) {
			*err = l->err;
			return (-1);
		}
		rc = suplist_find(l->list, fold, err);
		if (rc == -1)
			return (verr_prefix(err, "suppression list %s", name));
		if (rc == 1) {
			*ret_list = name;
			return (1);
		}
	}
	return (0);
}

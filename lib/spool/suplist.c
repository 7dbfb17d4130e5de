/*
 * Reading suppression lists. The file, version 1, is a constant database
 * (tinycdb), mapped, and a line behind it:
 *
 *	aADDRESS dDOMAIN sDOMAIN wDOMAIN lLOCAL rEXPRESSION	entries; no
 *value M	`vmta-suppress 1 N N N N N N`: entries of each kind R	the
 *regular expressions, each with a NUL
 *	END NNNNNNNNNNNNNNNN					octets of the
 *file
 *
 * Keys are what a text is after the same normalisation on both sides: domains
 * in lower-case A-labels, ASCII letters of local parts in lower case, quotes
 * only where they are needed. What no entry of a list is of is not asked for,
 * so that a list of addresses costs one look.
 *
 * A file of another length than it says was cut, and is not asked: what is
 * missing might be somebody who wants no mail. Nobody writes into one (lists
 * are replaced), so a mapping never changes or shrinks under us.
 */
#include <assert.h>
#include <cdb.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/regex.h"
#include "spool/spool.h"
#include "spool/store.h"
#include "spool/suplist_int.h"

static const char suplist_letter[SUPLIST_KINDS + 1] = "adswlr";

struct suplist {
	struct sys *sys;
	int fd;
	bool mapped;
	struct cdb cdb;
	struct stat st;
	uint64_t count[SUPLIST_KINDS];
	struct regex **regex;
	size_t n_regex;
};

/* ---- entries --------------------------------------------------------------
 */

/* May these octets be a local part without quotes (RFC 5321, RFC 6531)? */
static bool
local_plain(const char *p, size_t n)
{
	static const char odd[] = "!#$%&'*+-/=?^_`{|}~";
	size_t i;

	for (i = 0; i < n; i++) {
		if (p[i] == '.') {
			if (i == 0 || i + 1 == n || p[i - 1] == '.')
				return (false);
		} else if ((unsigned char)p[i] < 0x80 &&
		    !isalnum((unsigned char)p[i]) && strchr(odd, p[i]) == NULL)
			return (false);
	}
	return (n > 0);
}

/* A quoted local part of n octets, with as few quotes as can be; its length. */
static size_t
local_unquote(const char *p, size_t n, char *ret)
{
	char text[ADDR_LOCAL_MAX];
	size_t i, k = 0, len = 0;

	for (i = 1; i + 1 < n && k < sizeof(text); i++) {
		if (p[i] == '\\' && i + 2 < n)
			i++;
		text[k++] = p[i];
	}
	if (local_plain(text, k)) {
		memcpy(ret, text, k);
		return (k);
	}
	ret[len++] = '"';
	for (i = 0; i < k; i++) {
		if (text[i] == '"' || text[i] == '\\')
			ret[len++] = '\\';
		ret[len++] = text[i];
	}
	ret[len++] = '"';
	return (len);
}

void
suplist_fold(const char *smtp, char ret[ADDR_MAX + 1])
{
	const char *at = strrchr(smtp, '@');
	size_t n = at != NULL ? (size_t)(at - smtp) : 0, len = n, i;

	if (n > ADDR_LOCAL_MAX || at == NULL)
		len = 0; /* no address: it is on no list */
	else if (*smtp == '"')
		len = local_unquote(smtp, n, ret);
	else
		memcpy(ret, smtp, n);
	for (i = 0; i < len; i++)
		if (ret[i] >= 'A' && ret[i] <= 'Z')
			ret[i] = (char)(ret[i] + ('a' - 'A'));
	(void)snprintf(ret + len, ADDR_MAX + 1 - len, "%s",
	    at != NULL ? at : "");
}

/* `/RE/` */
static int
entry_regex(const char *p, size_t n, struct buf *key, struct verr *err)
{
	struct regex *re;

	if (n < 3 || p[n - 1] != '/')
		return (verr_set(err, VEX_DATA, "expression without its end"));
	if (regex_new(p + 1, n - 2, REGEX_CASELESS, &re, err) == -1) {
		err->code = VEX_DATA;
		return (-1);
	}
	regex_free(re);
	buf_add(key, p + 1, n - 2);
	return (0);
}

/* A domain. */
static int
entry_domain(const char *p, size_t n, struct buf *key, struct verr *err)
{
	char domain[ADDR_DOMAIN_MAX + 1];

	if (addr_domain_parse(p, n, domain, err) == -1)
		return (-1);
	buf_adds(key, domain);
	return (0);
}

/* `user@`: what an address with it has before its @. */
static int
entry_local(const char *p, size_t n, struct buf *key, struct verr *err)
{
	char text[ADDR_LOCAL_MAX + 16], fold[ADDR_MAX + 1];
	struct addr a;
	int len;

	if (n > ADDR_LOCAL_MAX + 1)
		return (verr_set(err, VEX_DATA, "local part over %d octets",
		    ADDR_LOCAL_MAX));
	len = snprintf(text, sizeof(text), "%.*sa.invalid", (int)n, p);
	if (addr_parse(text, (size_t)len, ADDR_RCPT, &a, err) == -1)
		return (-1);
	suplist_fold(a.smtp, fold);
	buf_add(key, fold, (size_t)(strrchr(fold, '@') - fold));
	return (0);
}

static int
entry_address(const char *p, size_t n, struct buf *key, struct verr *err)
{
	char fold[ADDR_MAX + 1];
	struct addr a;

	if (addr_parse(p, n, ADDR_RCPT, &a, err) == -1)
		return (-1);
	suplist_fold(a.smtp, fold);
	buf_adds(key, fold);
	return (0);
}

/* Which kind of entry is it? *skip: octets before the text itself. */
static enum suplist_kind
entry_kind(const char *p, size_t n, size_t *ret_skip)
{
	*ret_skip = 0;
	if (*p == '/')
		return (SUPLIST_REGEX);
	if (n > 2 && memcmp(p, "*.", 2) == 0) {
		*ret_skip = 2;
		return (SUPLIST_BELOW);
	}
	if (n > 4 && memcmp(p, "[*.]", 4) == 0) {
		*ret_skip = 4;
		return (SUPLIST_TREE);
	}
	if (*p == '@') {
		*ret_skip = 1;
		return (SUPLIST_DOMAIN);
	}
	if (p[n - 1] == '@')
		return (SUPLIST_LOCAL);
	return (memchr(p, '@', n) != NULL ? SUPLIST_ADDRESS : SUPLIST_DOMAIN);
}

int
suplist_entry(const char *p, size_t n, enum suplist_kind *ret_kind,
    struct buf *ret_key, struct verr *err)
{
	size_t skip;

	if (n == 0)
		return (verr_set(err, VEX_DATA, "no entry"));
	if (n > SUPLIST_ENTRY_MAX)
		return (verr_set(err, VEX_DATA, "entry over %d octets",
		    SUPLIST_ENTRY_MAX));
	if (memchr(p, '\0', n) != NULL)
		return (verr_set(err, VEX_DATA, "NUL octet"));
	*ret_kind = entry_kind(p, n, &skip);
	buf_clear(ret_key);
	buf_addc(ret_key, suplist_letter[*ret_kind]);
	p += skip;
	n -= skip;
	switch (*ret_kind) {
	case SUPLIST_REGEX:
		return (entry_regex(p, n, ret_key, err));
	case SUPLIST_LOCAL:
		return (entry_local(p, n, ret_key, err));
	case SUPLIST_ADDRESS:
		return (entry_address(p, n, ret_key, err));
	default:
		return (entry_domain(p, n, ret_key, err));
	}
}

enum suplist_kind
suplist_kind(const char *key)
{
	const char *letter = strchr(suplist_letter, *key);

	assert(*key != '\0' && letter != NULL);
	return ((enum suplist_kind)(letter - suplist_letter));
}

void
suplist_text(const char *key, size_t n, struct buf *ret_text)
{
	static const char *const before[SUPLIST_KINDS] = { "", "", "*.", "[*.]",
		"", "/" };
	static const char *const after[SUPLIST_KINDS] = { "", "", "", "", "@",
		"/" };
	enum suplist_kind kind = suplist_kind(key);

	buf_adds(ret_text, before[kind]);
	buf_add(ret_text, key + 1, n - 1);
	buf_adds(ret_text, after[kind]);
}

/* ---- a list ---------------------------------------------------------------
 */

int
suplist_dir(struct spool *sp, bool make, struct verr *err)
{
	return (make ? store_dir(sp, "suppress", err) :
		       spool_dir(sp, sp->state_fd, "suppress", err));
}

/* The database's value of a key: 1 and where it is, 0: none, -1: damaged. */
static int
list_value(struct suplist *l, const char *key, size_t n, const char **ret_p,
    size_t *ret_n, struct verr *err)
{
	int rc = cdb_find(&l->cdb, key, (unsigned int)n);

	if (rc > 0 && ret_p != NULL) {
		*ret_n = cdb_datalen(&l->cdb);
		*ret_p = cdb_getdata(&l->cdb);
		if (*ret_p == NULL)
			rc = -1;
	}
	if (rc < 0)
		return (verr_set(err, VEX_DATA, "damaged"));
	return (rc > 0);
}

/* The line at the end: is all of the file there? */
static int
list_whole(struct suplist *l, struct verr *err)
{
	char want[SUPLIST_END_LEN + 1], end[SUPLIST_END_LEN + 1] = "";
	uint64_t size = (uint64_t)l->st.st_size;
	ssize_t n;

	if (size < SUPLIST_LEAST || size > SUPLIST_MOST)
		return (verr_set(err, VEX_DATA, "no suppression list"));
	n = sys_pread_all(l->sys, l->fd, end, SUPLIST_END_LEN,
	    (off_t)(size - SUPLIST_END_LEN));
	if (n == -1)
		return (verr_sys(err, "read"));
	(void)snprintf(want, sizeof(want), SUPLIST_END, size);
	if (strcmp(want, end) != 0)
		return (verr_set(err, VEX_DATA, "its end is missing"));
	return (0);
}

/* The record M. */
static int
list_head(struct suplist *l, struct verr *err)
{
	const size_t skip = strlen(SUPLIST_HEAD);
	unsigned long version;
	const char *p = NULL;
	char text[256], *at;
	size_t n = 0, i;

	if (list_value(l, "M", 1, &p, &n, err) != 1 || p == NULL ||
	    n >= sizeof(text) || n < skip || memcmp(p, SUPLIST_HEAD, skip) != 0)
		return (verr_set(err, VEX_DATA, "no suppression list"));
	memcpy(text, p, n);
	text[n] = '\0';
	version = strtoul(text + skip, &at, 10);
	for (i = 0; i < SUPLIST_KINDS; i++)
		l->count[i] = strtoull(at, &at, 10);
	if (version > SUPLIST_VERSION)
		return (verr_set(err, VEX_UNAVAILABLE,
		    "of a newer version (%lu)", version));
	if (version < 1 || l->count[SUPLIST_REGEX] > SUPLIST_REGEX_MAX)
		return (verr_set(err, VEX_DATA, "damaged"));
	return (0);
}

/* The record R: compile what is in it. */
static int
list_regexes(struct suplist *l, struct verr *err)
{
	const char *p = NULL, *end, *nul;
	size_t n = 0;

	if (l->count[SUPLIST_REGEX] == 0)
		return (0);
	if (list_value(l, "R", 1, &p, &n, err) != 1)
		return (verr_set(err, VEX_DATA, "damaged"));
	l->regex = xcalloc((size_t)l->count[SUPLIST_REGEX], sizeof(*l->regex));
	for (end = p + n; p < end; p = nul + 1) {
		nul = memchr(p, '\0', (size_t)(end - p));
		if (nul == NULL || l->n_regex == l->count[SUPLIST_REGEX])
			return (verr_set(err, VEX_DATA, "damaged"));
		if (regex_new(p, (size_t)(nul - p), REGEX_CASELESS,
			&l->regex[l->n_regex], err) == -1)
			return (-1);
		l->n_regex++;
	}
	return (0);
}

/* A file of ours, mapped. */
static int
list_file(struct suplist *l, struct spool *sp, const char *name,
    struct verr *err)
{
	const int flags = O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;
	char file[SPOOL_VMTA_MAX + sizeof(SUPLIST_SUFFIX)];
	int dfd = suplist_dir(sp, false, err);

	if (dfd == -1)
		return (-1);
	(void)snprintf(file, sizeof(file), "%s" SUPLIST_SUFFIX, name);
	l->fd = l->sys->openat(l->sys, dfd, file, flags, 0);
	if (l->fd == -1)
		(void)verr_sys(err, "open");
	(void)l->sys->close(l->sys, dfd);
	if (l->fd == -1 || file_own(l->sys, l->fd, "it", err) == -1)
		return (-1);
	if (l->sys->fstat(l->sys, l->fd, &l->st) == -1)
		return (verr_sys(err, "stat"));
	if (list_whole(l, err) == -1)
		return (-1);
	if (cdb_init(&l->cdb, l->fd) == -1)
		return (verr_sys(err, "map"));
	l->mapped = true;
	return (0);
}

int
suplist_open(struct spool *sp, const char *name, struct suplist **ret_l,
    struct verr *err)
{
	struct suplist *l;

	if (!spool_vmta_valid(name))
		return (verr_set(err, VEX_DATA,
		    "bad name of a suppression list"));
	l = xcalloc(1, sizeof(*l));
	l->sys = sp->sys;
	l->fd = -1;
	if (list_file(l, sp, name, err) == -1 || list_head(l, err) == -1 ||
	    list_regexes(l, err) == -1) {
		suplist_close(l);
		if (err->err == ENOENT) {
			(void)verr_set(err, VEX_DATA, "there is none");
			err->err = ENOENT;
		}
		return (verr_prefix(err, "suppression list %s", name));
	}
	*ret_l = l;
	return (0);
}

void
suplist_close(struct suplist *l)
{
	size_t i;

	if (l == NULL)
		return;
	for (i = 0; i < l->n_regex; i++)
		regex_free(l->regex[i]);
	free(l->regex);
	if (l->mapped)
		cdb_free(&l->cdb);
	if (l->fd != -1)
		(void)l->sys->close(l->sys, l->fd);
	free(l);
}

bool
suplist_same(const struct suplist *l, const struct stat *st)
{
	return (l->st.st_dev == st->st_dev && l->st.st_ino == st->st_ino &&
	    l->st.st_size == st->st_size &&
	    l->st.st_mtim.tv_sec == st->st_mtim.tv_sec &&
	    l->st.st_mtim.tv_nsec == st->st_mtim.tv_nsec);
}

uint64_t
suplist_count(const struct suplist *l, enum suplist_kind kind)
{
	return (l->count[kind]);
}

int
suplist_has(struct suplist *l, const char *key, size_t n, struct verr *err)
{
	return (list_value(l, key, n, NULL, NULL, err));
}

/* Is this text there as an entry of that kind? */
static int
find_kind(struct suplist *l, enum suplist_kind kind, const char *p, size_t n,
    struct verr *err)
{
	char key[ADDR_MAX + 2];

	if (l->count[kind] == 0)
		return (0);
	key[0] = suplist_letter[kind];
	memcpy(key + 1, p, n);
	return (suplist_has(l, key, n + 1, err));
}

/* The domain, and those that it is below. */
static int
find_domain(struct suplist *l, const char *domain, struct verr *err)
{
	const char *p;
	int rc;

	rc = find_kind(l, SUPLIST_DOMAIN, domain, strlen(domain), err);
	if (rc == 0)
		rc = find_kind(l, SUPLIST_TREE, domain, strlen(domain), err);
	if (*domain == '[')
		return (rc);
	for (p = strchr(domain, '.'); p != NULL && rc == 0;
	     p = strchr(p, '.')) {
		p++;
		rc = find_kind(l, SUPLIST_BELOW, p, strlen(p), err);
		if (rc == 0)
			rc = find_kind(l, SUPLIST_TREE, p, strlen(p), err);
	}
	return (rc);
}

static int
find_regex(struct suplist *l, const char *fold, struct verr *err)
{
	size_t i;

	for (i = 0; i < l->n_regex; i++)
		switch (regex_match(l->regex[i], fold, strlen(fold))) {
		case REGEX_YES:
			return (1);
		case REGEX_NO:
			break;
		case REGEX_GAVE_UP:
		default:
			return (verr_set(err, VEX_DATA,
			    "an expression takes too many steps"));
		}
	return (0);
}

int
suplist_find(struct suplist *l, const char *fold, struct verr *err)
{
	const char *at = strrchr(fold, '@');
	int rc;

	if (at == NULL)
		return (0);
	rc = find_kind(l, SUPLIST_ADDRESS, fold, strlen(fold), err);
	if (rc == 0)
		rc = find_domain(l, at + 1, err);
	if (rc == 0)
		rc = find_kind(l, SUPLIST_LOCAL, fold, (size_t)(at - fold),
		    err);
	return (rc == 0 ? find_regex(l, fold, err) : rc);
}

int
suplist_walk(struct suplist *l,
    int (*cb)(void *arg, const char *key, size_t n, struct verr *err),
    void *arg, struct verr *err)
{
	struct cdb other = l->cdb; /* the same mapping */
	unsigned int at, n;
	const char *key;
	int rc;

	(void)cdb_seqinit(&at, &l->cdb);
	while ((rc = cdb_seqnext(&at, &l->cdb)) > 0) {
		n = cdb_keylen(&l->cdb);
		key = cdb_getkey(&l->cdb);
		if (key == NULL)
			break;
		if (n < 2) /* M, R */
			continue;
		if (strchr(suplist_letter, *key) == NULL)
			break;
		/* given twice: the first counts */
		if (cdb_find(&other, key, n) <= 0)
			break;
		if (cdb_datapos(&other) != cdb_datapos(&l->cdb))
			continue;
		if ((rc = cb(arg, key, n, err)) != 0)
			return (rc);
	}
	return (rc == 0 ? 0 : verr_set(err, VEX_DATA, "damaged"));
}

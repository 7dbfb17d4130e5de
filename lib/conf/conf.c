/*
 * Open the configuration, and give out its parts.
 *
 * The spool, where the image lies, is found by a look at the top level of the
 * main file; if the image in it was made from these very files, nothing else
 * is read. Otherwise the files are parsed. When they do not parse, an image
 * that was made from the same main file stays in force, however old.
 *
 * Structs with pointers cannot lie in the image; they are made when asked
 * for, and kept.
 */
#include <sys/mman.h>
#include <arpa/inet.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/mem.h"
#include "conf/check.h"
#include "conf/impl.h"
#include "conf/lex.h"

/* Octets that a search for the spool reads at once. */
#define CONF_PIECE 16384

char *
conf_default_path(bool secure)
{
	const char *env = secure ? NULL : getenv("VMTA_CONFIG");
	char exe[4096];
	struct buf path = BUF_INIT;
	ssize_t n;
	int i;

	if (env != NULL && *env != '\0')
		return (xstrdup(env));
	n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
	if (n <= 0)
		return (NULL);
	exe[n] = '\0';
	for (i = 0; i < 2 && strrchr(exe, '/') != NULL; i++)
		*strrchr(exe, '/') = '\0';
	buf_addf(&path, "%s/etc/vmta.conf", exe);
	return (buf_take(&path));
}

const char *
conf_blob(const struct conf *c, const struct img_set *set)
{
	return (set->blob != 0 ? image_str(c->img, set->blob) : NULL);
}

void
conf_apply(const struct conf *c, const struct img_set *set, uint32_t n,
    void *base)
{
	size_t rows;
	const struct conf_param *p = conf_params(&rows);
	uint32_t i;

	for (i = 0; i < n; i++)
		conf_value_store(&p[set[i].param], base, set[i].a, set[i].b,
		    conf_blob(c, &set[i]));
}

void
conf_defaults(unsigned scope, void *base)
{
	/* blobs of defaults live as long as the process */
	static struct conf_value *defs;
	const struct conf_param *p;
	size_t i, n;

	p = conf_params(&n);
	if (defs == NULL) {
		defs = xcalloc(n, sizeof(*defs));
		for (i = 0; i < n; i++)
			conf_value_default(&p[i], &defs[i]);
	}
	for (i = 0; i < n; i++)
		if (p[i].scope == scope)
			conf_value_store(&p[i], base, defs[i].a, defs[i].b,
			    defs[i].blob);
}

/* The settings of a section. */
static const struct img_set *
conf_settings(const struct conf *c, const struct img_sec *sec)
{
	const struct img_set *set = image_table(c->img, IMG_SET);

	return (set + sec->set);
}

/* Fill what every configuration has. */
static void
conf_prepare(struct conf *c)
{
	const struct img_sec *sec = image_table(c->img, IMG_GLOBAL);
	struct buf spool = BUF_INIT;

	c->refs = 1;
	conf_defaults(CONF_GLOBAL, &c->global);
	conf_apply(c, conf_settings(c, sec), sec->nset, &c->global);
	if (*c->global.spool != '/') {
		/* the default; what a file says is absolute already */
		buf_addf(&spool, "%s/%s", conf_prefix(c), c->global.spool);
		c->spool = buf_take(&spool);
		c->global.spool = c->spool;
	}
	if (*c->global.host_name == '\0') {
		if (gethostname(c->host, sizeof(c->host) - 1) == -1 ||
		    c->host[0] == '\0')
			(void)snprintf(c->host, sizeof(c->host), "localhost");
		c->global.host_name = c->host;
	}
	c->vmta = xcalloc(conf_vmta_n(c) + 1, sizeof(struct conf_vmta *));
	c->pool = xcalloc(conf_pool_n(c) + 1, sizeof(struct conf_pool *));
	c->acct = xcalloc(conf_acct_n(c) + 1, sizeof(struct conf_acct *));
	conf_queue_defaults(c);
}

/* Take over what a tree knows of its files. */
static void
conf_seen(struct conf *c, struct tree *t)
{
	c->seen = t->key;
	c->nseen = t->nkey;
	t->key = NULL;
	t->nkey = 0;
}

/* Read, check, compile; t keeps what was read. */
static int
conf_compile(const char *file, struct tree *t, struct buf *ret_img,
    struct verr *err)
{
	if (read_files(file, t, err) == -1 || verify_tree(t, err) == -1)
		return (-1);
	return (image_build(t, ret_img, err));
}

/* A configuration from an image in memory. */
static struct conf *
conf_from_buf(struct buf *img, const char *file)
{
	struct conf *c = xcalloc(1, sizeof(*c));

	c->size = img->len;
	c->own = buf_take(img);
	c->img = (const struct img_head *)(const void *)c->own;
	c->file = xstrdup(file);
	conf_prepare(c);
	return (c);
}

int
conf_parse(struct sys *sys, const char *file, struct conf **ret_c,
    struct verr *err)
{
	char *path = file != NULL ? xstrdup(file) : conf_default_path(false);
	struct buf img = BUF_INIT;
	struct tree t;
	int rc;

	(void)sys;
	if (path == NULL)
		return (verr_set(err, VEX_CONFIG, "no configuration file"));
	tree_init(&t);
	rc = conf_compile(path, &t, &img, err);
	if (rc == 0)
		*ret_c = conf_from_buf(&img, path);
	buf_release(&img);
	tree_release(&t);
	free(path);
	return (rc);
}

/*
 * lex_spool over size octets of a file. It says so at its head, or nowhere;
 * what is between is only searched for the word, in pieces: each tool of each
 * message does this, and memory that is touched for the first time costs more
 * than all that is done with it. As lex_spool; -1 when it cannot be read.
 */
static int
conf_find_spool(struct sys *sys, int fd, size_t size, struct buf *ret_spool)
{
	static const char word[] = "spool";
	const size_t overlap = sizeof(word) - 2;
	struct buf all = BUF_INIT;
	char piece[CONF_PIECE];
	const char *last;
	size_t off = 0;
	ssize_t n;
	int found;

	do {
		n = sys_pread_all(sys, fd, piece, sizeof(piece), (off_t)off);
		if (n == -1 || (off == 0 && n == 0))
			return (-1);
		if (memmem(piece, (size_t)n, word, sizeof(word) - 1) != NULL)
			break;
		off += sizeof(piece) - overlap;
	} while (off < size);
	if (off >= size)
		return (0);
	last = off == 0 ? memrchr(piece, '\n', (size_t)n) : NULL;
	if (last != NULL &&
	    lex_spool(piece, (size_t)(last - piece), ret_spool) == 1)
		return (1);
	buf_clear(ret_spool);
	n = sys_pread_all(sys, fd, buf_room(&all, size + 1), size, 0);
	found = n > 0 ? lex_spool(all.p, (size_t)n, ret_spool) : -1;
	buf_release(&all);
	return (found);
}

/* The absolute spool directory that the main file names; caller frees. */
static char *
conf_quick_spool(struct sys *sys, const char *file, char **ret_abs)
{
	struct buf spool = BUF_INIT, out = BUF_INIT;
	struct tree t;
	struct stat st;
	int fd, found = -1;

	tree_init(&t);
	fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd != -1 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
	    read_paths(file, &t, NULL) == 0)
		found = conf_find_spool(sys, fd, (size_t)st.st_size, &spool);
	if (fd != -1)
		(void)close(fd);
	if (found == 0)
		buf_adds(&spool, "spool");
	if (found != -1) {
		if (*buf_str(&spool) != '/')
			buf_addf(&out, "%s/", t.prefix);
		buf_adds(&out, buf_str(&spool));
		*ret_abs = xstrdup(t.main_path);
	}
	buf_release(&spool);
	tree_release(&t);
	return (found != -1 ? buf_take(&out) : NULL);
}

/* The image of the spool, if it was made from this main file. */
static struct conf *
conf_from_image(struct sys *sys, const char *spool, const char *abs,
    const char *file)
{
	struct conf *c;
	size_t size;
	void *img;

	img = image_load(sys, spool, &size);
	if (img == NULL)
		return (NULL);
	c = xcalloc(1, sizeof(*c));
	c->refs = 1;
	c->map = img;
	c->img = img;
	c->size = size;
	if (strcmp(image_str(c->img, c->img->main_path), abs) != 0) {
		conf_unref(c);
		return (NULL);
	}
	c->file = xstrdup(file);
	return (c);
}

/* Parse; keep old (or NULL) when that fails. Takes old over. */
static int
conf_renew(struct sys *sys, const char *file, struct conf *old,
    struct conf **ret_c, struct verr *err)
{
	struct buf img = BUF_INIT;
	struct verr why = VERR_INIT;
	struct tree t;
	int rc;

	tree_init(&t);
	rc = conf_compile(file, &t, &img, &why);
	if (rc == 0) {
		*ret_c = conf_from_buf(&img, file);
		img.p = (*ret_c)->own;
		img.len = (*ret_c)->size;
		image_store(sys, conf_spool(*ret_c), &img, &t);
		conf_unref(old);
	} else if (old != NULL) {
		conf_prepare(old);
		old->stale = xstrdup(why.text);
		conf_seen(old, &t);
		*ret_c = old;
		rc = 0;
	} else {
		conf_unref(old);
		if (err != NULL)
			*err = why;
	}
	if (rc == -1)
		buf_release(&img);
	tree_release(&t);
	return (rc);
}

int
conf_open(struct sys *sys, const char *file, struct conf **ret_c,
    struct verr *err)
{
	char *path = file != NULL ? xstrdup(file) : conf_default_path(false);
	char *spool, *abs = NULL;
	struct conf *c = NULL;
	int rc = 0;

	if (path == NULL)
		return (verr_set(err, VEX_CONFIG, "no configuration file"));
	spool = conf_quick_spool(sys, path, &abs);
	if (spool != NULL)
		c = conf_from_image(sys, spool, abs, path);
	if (c != NULL && image_fresh(c->img)) {
		conf_prepare(c);
		*ret_c = c;
	} else {
		rc = conf_renew(sys, path, c, ret_c, err);
	}
	free(spool);
	free(abs);
	free(path);
	return (rc);
}

struct conf *
conf_ref(struct conf *c)
{
	c->refs++;
	return (c);
}

void
conf_unref(struct conf *c)
{
	size_t i;

	if (c == NULL || --c->refs > 0)
		return;
	for (i = 0; c->vmta != NULL && i < conf_vmta_n(c); i++)
		free(c->vmta[i]);
	for (i = 0; c->pool != NULL && i < conf_pool_n(c); i++)
		free(c->pool[i]);
	for (i = 0; c->acct != NULL && i < conf_acct_n(c); i++)
		free(c->acct[i]);
	for (i = 0; i < c->nseen; i++)
		free(c->seen[i].path);
	if (c->map != NULL)
		(void)munmap(c->map, c->size);
	free(c->own);
	free(c->vmta);
	free(c->pool);
	free(c->acct);
	free(c->seen);
	free(c->hash);
	free(c->work);
	free(c->file);
	free(c->stale);
	free(c->spool);
	free(c);
}

bool
conf_changed(const struct conf *c)
{
	struct tree_key now;
	struct stat st;
	size_t i;

	if (c->stale == NULL)
		return (!image_fresh(c->img));
	for (i = 0; i < c->nseen; i++) {
		memset(&now, 0, sizeof(now));
		if (stat(c->seen[i].path, &st) == 0)
			tree_key_fill(&now, &st);
		if (now.dev != c->seen[i].dev || now.ino != c->seen[i].ino ||
		    now.size != c->seen[i].size ||
		    now.mtime != c->seen[i].mtime)
			return (true);
	}
	return (false);
}

bool
conf_same(const struct conf *a, const struct conf *b)
{
	return (a->size == b->size && memcmp(a->img, b->img, a->size) == 0);
}

const char *
conf_stale(const struct conf *c)
{
	return (c->stale);
}

struct conf_list
conf_warnings(const struct conf *c)
{
	struct conf_list l = { c->img->nwarn, image_str(c->img, c->img->warn) };

	return (l);
}

const char *
conf_spool(const struct conf *c)
{
	return (c->global.spool);
}

const char *
conf_file(const struct conf *c)
{
	return (c->file);
}

const char *
conf_prefix(const struct conf *c)
{
	return (image_str(c->img, c->img->prefix));
}

const struct conf_global *
conf_global(const struct conf *c)
{
	return (&c->global);
}

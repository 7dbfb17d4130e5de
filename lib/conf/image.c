/*
 * A tree becomes an image. Everything is gathered in one buffer a table, the
 * buffers are put together at the end.
 *
 * Equal blobs are kept once: 5,000 VirtualMTAs that all say `10m,30m,2h` say
 * it once, and equal settings have equal offsets.
 */
#include <stdlib.h>
#include <string.h>

#include "base/map.h"
#include "base/mem.h"
#include "conf/check.h"
#include "conf/image.h"
#include "conf/scope.h"

struct image_blob {
	uint64_t hash;
	uint32_t at; /* in IMG_BLOB; 0: free */
	uint32_t len;
};

struct image_ref {
	const struct tree_sec *sec;
};

struct image {
	const struct tree *t;
	struct verr *err;
	struct buf table[IMG_TABLES];
	struct image_blob *blob; /* open addressing */
	size_t nblob, cap;
	struct image_ref *vmta, *pool, *rules; /* sorted by name */
	size_t nvmta, npool, nrules;
};

/* Where a blob is, or the free slot for it. */
static struct image_blob *
image_blob_find(struct image *im, const void *p, size_t len, uint64_t hash)
{
	size_t i = hash & (im->cap - 1);

	for (; im->blob[i].at != 0; i = (i + 1) & (im->cap - 1))
		if (im->blob[i].hash == hash && im->blob[i].len == len &&
		    memcmp(buf_str(&im->table[IMG_BLOB]) + im->blob[i].at, p,
			len) == 0)
			break;
	return (&im->blob[i]);
}

/* More room for blobs. */
static void
image_blob_grow(struct image *im)
{
	struct image_blob *old = im->blob, *b;
	size_t i, n = im->cap;

	im->cap = n > 0 ? n * 2 : 1024;
	im->blob = xcalloc(im->cap, sizeof(*im->blob));
	for (i = 0; i < n; i++) {
		if (old[i].at == 0)
			continue;
		b = image_blob_find(im, im->table[IMG_BLOB].p + old[i].at,
		    old[i].len, old[i].hash);
		*b = old[i];
	}
	free(old);
}

/* Keep a blob, at a multiple of 8; returns where (0 is never used). */
static uint32_t
image_blob(struct image *im, const void *p, size_t len)
{
	static const char zeros[8];
	struct buf *out = &im->table[IMG_BLOB];
	uint64_t hash = map_hash(p, len);
	struct image_blob *b;

	if (im->nblob * 2 >= im->cap)
		image_blob_grow(im);
	b = image_blob_find(im, p, len, hash);
	if (b->at != 0)
		return (b->at);
	if (out->len == 0)
		buf_add(out, zeros, sizeof(zeros));
	b->hash = hash;
	b->len = (uint32_t)len;
	b->at = (uint32_t)out->len;
	im->nblob++;
	buf_add(out, p, len);
	buf_add(out, zeros, (8 - len % 8) % 8);
	return (b->at);
}

static uint32_t
image_string(struct image *im, const char *s)
{
	return (image_blob(im, s, strlen(s) + 1));
}

/* Elements of a table so far. */
static uint32_t
image_count(const struct image *im, enum img_table table, size_t size)
{
	return ((uint32_t)(im->table[table].len / size));
}

/* The settings of a section; returns where they begin in IMG_SET. */
static uint32_t
image_settings(struct image *im, const struct tree_sec *sec)
{
	uint32_t at = image_count(im, IMG_SET, sizeof(struct img_set));
	const struct tree_set *from;
	struct img_set set;
	size_t i;

	for (i = 0; i < sec->nset; i++) {
		from = &sec->set[i];
		memset(&set, 0, sizeof(set));
		set.param = (uint32_t)conf_param_index(from->param);
		set.file = from->file;
		set.line = (uint32_t)from->line;
		set.a = from->value.a;
		set.b = from->value.b;
		set.hash = conf_value_hash(&from->value);
		if (from->value.len > 0)
			set.blob = image_blob(im, from->value.blob,
			    from->value.len);
		buf_add(&im->table[IMG_SET], &set, sizeof(set));
	}
	return (at);
}

/* One pattern of a domain section whose settings begin at `set`. */
static void
image_domain(struct image *im, const struct scope_entry *e, uint32_t set)
{
	struct img_dom dom;

	memset(&dom, 0, sizeof(dom));
	dom.key = image_string(im, e->pattern.key);
	dom.title = image_string(im, e->sec->title);
	dom.file = e->sec->file;
	dom.line = (uint32_t)e->sec->line;
	dom.set = set;
	dom.nset = (uint32_t)e->sec->nset;
	dom.kind = (uint8_t)e->pattern.kind;
	dom.itself = e->pattern.itself ? 1 : 0;
	dom.macro = e->macro ? 1 : 0;
	dom.family = (uint8_t)e->pattern.net.family;
	dom.bits = (uint8_t)e->pattern.net.bits;
	memcpy(dom.addr, e->pattern.net.addr, sizeof(dom.addr));
	buf_add(&im->table[IMG_DOM], &dom, sizeof(dom));
}

/* The domain sections among secs; they become those of `to`. */
static int
image_domains(struct image *im, const struct tree_sec *secs, size_t n,
    struct img_sec *to)
{
	struct scope_entry *e = NULL;
	uint32_t *set;
	size_t i, ne;

	if (scope_build(im->t, secs, n, &e, &ne, im->err) == -1)
		return (-1);
	set = xcalloc(n + 1, sizeof(*set));
	for (i = 0; i < n; i++)
		if (secs[i].kind == CONF_DOMAIN)
			set[i] = image_settings(im, &secs[i]);
	to->dom = image_count(im, IMG_DOM, sizeof(struct img_dom));
	to->ndom = (uint32_t)ne;
	for (i = 0; i < ne; i++)
		image_domain(im, &e[i], set[e[i].sec - secs]);
	free(set);
	free(e);
	return (0);
}

/* The index of a name in a sorted array; it is there. */
static uint32_t
image_index(const struct image_ref *secs, size_t n, const char *name,
    size_t len)
{
	size_t lo = 0, mid;
	int rc;

	while (lo < n) {
		mid = lo + (n - lo) / 2;
		rc = strncmp(secs[mid].sec->title, name, len);
		if (rc == 0)
			rc = secs[mid].sec->title[len] == '\0' ? 0 : 1;
		if (rc == 0)
			return ((uint32_t)mid);
		if (rc < 0)
			lo = mid + 1;
		else
			n = mid;
	}
	return (IMG_NONE);
}

/* The members of a pool. */
static void
image_members(struct image *im, const struct tree_sec *sec, struct img_sec *to)
{
	const struct tree_set *set = tree_get(sec, "virtual-mta");
	struct conf_member m;
	const char *s = set->value.blob, *weight;
	int64_t i, n;
	size_t len;

	to->aux = image_count(im, IMG_MEMBER, sizeof(m));
	to->naux = (uint32_t)set->value.a;
	for (i = 0; i < set->value.a; i++) {
		len = strcspn(s, " \t");
		weight = s + len + strspn(s + len, " \t");
		if (*weight == '\0' || unit_int(weight, &n) == -1)
			n = 1;
		m.vmta = image_index(im->vmta, im->nvmta, s, len);
		m.weight = (uint32_t)n;
		buf_add(&im->table[IMG_MEMBER], &m, sizeof(m));
		s += strlen(s) + 1;
	}
}

/* One section of the table `table`. */
static int
image_section(struct image *im, enum img_table table,
    const struct tree_sec *sec)
{
	struct img_sec to;
	int rc;

	memset(&to, 0, sizeof(to));
	to.dompool = IMG_NONE;
	to.name = image_string(im, sec->title != NULL ? sec->title : "");
	to.file = sec->file;
	to.line = (uint32_t)sec->line;
	to.set = image_settings(im, sec);
	to.nset = (uint32_t)sec->nset;
	if (table == IMG_GLOBAL)
		rc = image_domains(im, im->t->sec, im->t->nsec, &to);
	else
		rc = image_domains(im, sec->sub, sec->nsub, &to);
	if (rc == 0 && table == IMG_POOL)
		image_members(im, sec, &to);
	buf_add(&im->table[table], &to, sizeof(to));
	return (rc);
}

/* Tell every VirtualMTA its pools, when both tables are there. */
static void
image_pools_of(struct image *im)
{
	struct img_sec *vmta, *pool;
	const struct conf_member *m;
	struct buf *refs;
	uint32_t i, k;

	vmta = (struct img_sec *)(void *)im->table[IMG_VMTA].p;
	pool = (struct img_sec *)(void *)im->table[IMG_POOL].p;
	m = (const struct conf_member *)(void *)im->table[IMG_MEMBER].p;
	refs = xcalloc(im->nvmta + 1, sizeof(*refs));
	for (i = 0; i < im->npool; i++)
		for (k = 0; k < pool[i].naux; k++) {
			buf_add(&refs[m[pool[i].aux + k].vmta], &i, sizeof(i));
			if (pool[i].ndom > 0)
				vmta[m[pool[i].aux + k].vmta].dompool = i;
		}
	for (i = 0; i < im->nvmta; i++) {
		vmta[i].aux = image_count(im, IMG_REF, sizeof(uint32_t));
		vmta[i].naux = (uint32_t)(refs[i].len / sizeof(uint32_t));
		buf_add(&im->table[IMG_REF], refs[i].p, refs[i].len);
		buf_release(&refs[i]);
	}
	free(refs);
}

static int
image_by_title(const void *a, const void *b)
{
	const struct image_ref *x = a, *y = b;

	return (strcmp(x->sec->title, y->sec->title));
}

/* The sections of one kind, sorted by title; caller frees. */
static struct image_ref *
image_sorted(const struct tree *t, unsigned kind, size_t *ret_n)
{
	struct image_ref *secs = xcalloc(t->nsec + 1, sizeof(*secs));
	size_t i, n = 0;

	for (i = 0; i < t->nsec; i++)
		if (t->sec[i].kind == kind)
			secs[n++].sec = &t->sec[i];
	qsort(secs, n, sizeof(*secs), image_by_title);
	*ret_n = n;
	return (secs);
}

/* All sections. */
static int
image_sections(struct image *im)
{
	const struct tree *t = im->t;
	size_t i;
	int rc;

	rc = image_section(im, IMG_GLOBAL, &t->global);
	for (i = 0; i < im->nvmta && rc == 0; i++)
		rc = image_section(im, IMG_VMTA, im->vmta[i].sec);
	for (i = 0; i < im->npool && rc == 0; i++)
		rc = image_section(im, IMG_POOL, im->pool[i].sec);
	for (i = 0; i < im->nrules && rc == 0; i++)
		rc = image_section(im, IMG_RULES, im->rules[i].sec);
	for (i = 0; i < t->nsec && rc == 0; i++) {
		if (t->sec[i].kind == CONF_SOURCE)
			rc = image_section(im, IMG_SOURCE, &t->sec[i]);
		else if (t->sec[i].kind == CONF_ACCT)
			rc = image_section(im, IMG_ACCT, &t->sec[i]);
	}
	if (rc == 0)
		image_pools_of(im);
	return (rc);
}

/* The files, and warnings as one list. */
static void
image_files(struct image *im, struct img_head *h)
{
	const struct tree *t = im->t;
	struct buf warn = BUF_INIT;
	struct img_key key;
	uint32_t at;
	size_t i;

	for (i = 0; i < t->nkey; i++) {
		memset(&key, 0, sizeof(key));
		key.dev = t->key[i].dev;
		key.ino = t->key[i].ino;
		key.size = t->key[i].size;
		key.mtime = t->key[i].mtime;
		key.path = image_string(im, t->key[i].path);
		buf_add(&im->table[IMG_KEY], &key, sizeof(key));
	}
	for (i = 0; i < t->nfile; i++) {
		at = image_string(im, t->file[i]);
		buf_add(&im->table[IMG_FILE], &at, sizeof(at));
	}
	for (i = 0; i < t->nwarn; i++)
		buf_add(&warn, t->warn[i], strlen(t->warn[i]) + 1);
	buf_addc(&warn, '\0');
	h->warn = image_blob(im, warn.p, warn.len);
	h->nwarn = (uint32_t)t->nwarn;
	h->main_path = image_string(im, t->main_path);
	h->prefix = image_string(im, t->prefix);
	buf_release(&warn);
}

/* Size of an element of each table. */
static const size_t image_size[IMG_TABLES] = { sizeof(struct img_sec),
	sizeof(struct img_sec), sizeof(struct img_sec), sizeof(struct img_sec),
	sizeof(struct img_sec), sizeof(struct img_sec), sizeof(struct img_dom),
	sizeof(struct img_set), sizeof(struct conf_member), sizeof(uint32_t),
	sizeof(struct img_key), sizeof(uint32_t), 1 };

/* What an image of this build looks like. */
static uint64_t
image_layout(void)
{
	uint64_t h = conf_params_hash();
	size_t i;

	for (i = 0; i < IMG_TABLES; i++)
		h = h * 31 + image_size[i];
	return (h * 31 + sizeof(struct img_head));
}

/* The checksum: of the head without itself, and of the rest. */
static uint64_t
image_sum(const void *img, size_t size)
{
	struct img_head h;

	memcpy(&h, img, sizeof(h));
	h.sum = 0;
	return (map_hash(&h, sizeof(h)) * 31 +
	    map_hash((const char *)img + sizeof(h), size - sizeof(h)));
}

/* Head and tables, one after the other. */
static void
image_join(struct image *im, struct img_head *h, struct buf *ret_img)
{
	static const char zeros[8];
	int i;

	buf_add(ret_img, h, sizeof(*h));
	for (i = 0; i < IMG_TABLES; i++) {
		buf_add(ret_img, zeros, (8 - ret_img->len % 8) % 8);
		h->table[i].at = (uint32_t)ret_img->len;
		h->table[i].n = (uint32_t)(im->table[i].len / image_size[i]);
		buf_add(ret_img, im->table[i].p, im->table[i].len);
	}
	memcpy(h->magic, IMG_MAGIC, sizeof(h->magic));
	h->version = IMG_VERSION;
	h->tables = IMG_TABLES;
	h->layout = image_layout();
	h->size = ret_img->len;
	memcpy(ret_img->p, h, sizeof(*h));
	h->sum = image_sum(ret_img->p, ret_img->len);
	memcpy(ret_img->p, h, sizeof(*h));
}

int
image_build(const struct tree *t, struct buf *ret_img, struct verr *err)
{
	struct image im = { .t = t, .err = err };
	struct img_head h;
	int i, rc;

	memset(&h, 0, sizeof(h));
	im.vmta = image_sorted(t, CONF_VMTA, &im.nvmta);
	im.pool = image_sorted(t, CONF_POOL, &im.npool);
	im.rules = image_sorted(t, CONF_RULES, &im.nrules);
	rc = image_sections(&im);
	if (rc == 0) {
		image_files(&im, &h);
		image_join(&im, &h, ret_img);
	}
	for (i = 0; i < IMG_TABLES; i++)
		buf_release(&im.table[i]);
	free(im.blob);
	free(im.vmta);
	free(im.pool);
	free(im.rules);
	return (rc);
}

bool
image_valid(const void *img, size_t size)
{
	const struct img_head *h = img;
	uint64_t end;
	int i;

	if (size < sizeof(*h) ||
	    memcmp(h->magic, IMG_MAGIC, sizeof(h->magic)) != 0 ||
	    h->version != IMG_VERSION || h->tables != IMG_TABLES ||
	    h->layout != image_layout() || h->size != size)
		return (false);
	for (i = 0; i < IMG_TABLES; i++) {
		end = h->table[i].at + (uint64_t)h->table[i].n * image_size[i];
		if (h->table[i].at < sizeof(*h) || end > size)
			return (false);
	}
	return (h->table[IMG_GLOBAL].n == 1 && h->sum == image_sum(img, size));
}

const void *
image_table(const struct img_head *h, enum img_table table)
{
	return ((const char *)h + h->table[table].at);
}

const char *
image_str(const struct img_head *h, uint32_t at)
{
	return ((const char *)image_table(h, IMG_BLOB) + at);
}

bool
image_fresh(const struct img_head *h)
{
	const struct img_key *key = image_table(h, IMG_KEY);
	struct tree_key now;
	struct stat st;
	uint32_t i;

	for (i = 0; i < h->table[IMG_KEY].n; i++) {
		memset(&now, 0, sizeof(now));
		if (stat(image_str(h, key[i].path), &st) == 0)
			tree_key_fill(&now, &st);
		if (now.dev != key[i].dev || now.ino != key[i].ino ||
		    now.size != key[i].size || now.mtime != key[i].mtime)
			return (false);
	}
	return (true);
}

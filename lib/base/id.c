/*
 * Ids of messages, batches, segments and requests. The random part comes from
 * the kernel for each block of 32 ids; a fork cannot repeat one, since the
 * block is thrown away when the process id changes.
 */
#include <string.h>
#include <unistd.h>

#include "base/id.h"

static const char id_alphabet[] = "0123456789abcdefghijklmnopqrstuv";

/* n characters of v, most significant first. */
static void
id_put(char *to, uint64_t v, int n)
{
	while (n-- > 0) {
		to[n] = id_alphabet[v & 31];
		v >>= 5;
	}
}

/* 64 random bits. */
static int
id_random(struct sys *sys, uint64_t *ret_r)
{
	static _Thread_local uint64_t block[32];
	static _Thread_local size_t left;
	static _Thread_local pid_t owner;

	if (left == 0 || owner != getpid()) {
		left = 0;
		if (sys->random(sys, block, sizeof(block)) == -1)
			return (-1);
		left = sizeof(block) / sizeof(block[0]);
		owner = getpid();
	}
	*ret_r = block[--left];
	return (0);
}

int
id_new(struct sys *sys, struct id *ret_id)
{
	uint64_t r;

	if (id_random(sys, &r) == -1)
		return (-1);
	id_put(ret_id->s, (uint64_t)sys_now(sys), 8);
	id_put(ret_id->s + 8, r, 13);
	ret_id->s[ID_LEN] = '\0';
	return (0);
}

int
id_make(struct sys *sys, struct id *ret_id, struct verr *err)
{
	if (id_new(sys, ret_id) == 0)
		return (0);
	(void)verr_sys(err, "no random numbers");
	if (err != NULL)
		err->code = VEX_TEMP;
	return (-1);
}

int
id_new_at(struct sys *sys, const struct id *at, struct id *ret_id)
{
	struct id id;

	if (id_new(sys, &id) == -1)
		return (-1);
	memcpy(id.s, at->s, 8);
	*ret_id = id;
	return (0);
}

bool
id_valid(const char *s)
{
	return (strlen(s) == ID_LEN && strspn(s, id_alphabet) == ID_LEN);
}

int64_t
id_time(const struct id *id)
{
	int64_t t = 0;
	const char *at;
	int i;

	for (i = 0; i < 8; i++) {
		at = strchr(id_alphabet, id->s[i]);
		t = t << 5 | (at != NULL ? at - id_alphabet : 0);
	}
	return (t);
}

/*
 * A main for a fuzz target without libFuzzer: gives it each file of its
 * arguments, and of directories among them, and says how many there were.
 *
 *	TARGET FILE|DIR...
 *
 * A finding ends the program, as it does under libFuzzer; the file is named
 * before it is tried, in case.
 */
#include <dirent.h>
#include <signal.h>

#include "base/file.h"
#include "fuzz.h"

static unsigned long replayed;
static const char *replaying;

/* What was being tried when it ended. */
static void
replay_died(int signum)
{
	const char *what = "replay: in ";

	(void)!write(STDERR_FILENO, what, strlen(what));
	(void)!write(STDERR_FILENO, replaying, strlen(replaying));
	(void)!write(STDERR_FILENO, "\n", 1);
	(void)signal(signum, SIG_DFL);
	(void)raise(signum);
}

static void
replay_file(const char *path)
{
	struct buf b = BUF_INIT;
	uint8_t *p;

	replaying = path;
	if (file_read(sys_real(), AT_FDCWD, path, 16U << 20, &b, NULL) == -1) {
		(void)fprintf(stderr, "replay: cannot read %s\n", path);
		exit(66);
	}
	p = xmalloc(b.len > 0 ? b.len : 1);
	memcpy(p, b.p, b.len);
	(void)LLVMFuzzerTestOneInput(p, b.len);
	free(p);
	buf_release(&b);
	replayed++;
}

static void
replay_path(const char *path)
{
	struct dirent **list;
	struct stat st;
	struct buf b = BUF_INIT;
	int i, n;

	if (stat(path, &st) == -1 || !S_ISDIR(st.st_mode)) {
		replay_file(path);
		return;
	}
	n = scandir(path, &list, NULL, alphasort);
	for (i = 0; i < n; i++) {
		if (list[i]->d_name[0] != '.') {
			buf_clear(&b);
			buf_addf(&b, "%s/%s", path, list[i]->d_name);
			replay_file(b.p);
		}
		free(list[i]);
	}
	free(list);
	buf_release(&b);
}

int
main(int argc, char **argv)
{
	static const int deadly[] = { SIGABRT, SIGSEGV, SIGBUS, SIGFPE,
		SIGILL };
	size_t i;
	int arg;

	for (i = 0; i < LEN(deadly); i++)
		(void)signal(deadly[i], replay_died);
	for (arg = 1; arg < argc; arg++)
		replay_path(argv[arg]);
	(void)printf("%lu inputs\n", replayed);
	return (0);
}

/* Rights: root is given up for the spool's owner. */
#include <sys/stat.h>
#include <errno.h>
#include <grp.h>
#include <unistd.h>

#include "conf/conf.h"
#include "run/run.h"

int
run_become_owner(const struct conf *c, struct verr *err)
{
	const char *path = conf_spool(c);
	struct stat st;

	(void)umask(077);
	if (geteuid() != 0)
		return (0);
	if (stat(path, &st) == -1) {
		if (errno == ENOENT)
			return (0);
		return (verr_sys(err, "%s", path));
	}
	if (st.st_uid == 0)
		return (0);
	if (setgroups(0, NULL) == -1 || setgid(st.st_gid) == -1 ||
	    setuid(st.st_uid) == -1)
		return (verr_sys(err, "become the owner of %s", path));
	return (0);
}

# Programs that send mail with /usr/sbin/sendmail, which is ours for them: in a
# mount namespace, as a user without rights, set-uid to another who has the
# spool. To be loaded after common.
#
#	programs_prefix			$P
#	as USER COMMAND...		there; $P/home is his
#	queued				`RCPT SOURCE` of each recipient, sorted
#	disk_full, disk_free

# shellcheck shell=bash

programs_prefix() {
	need_root
	need_command setpriv unshare
	need_user nobody
	need_user daemon
	P=$(mktemp -d "${TMPDIR:-/tmp}/vmta-programs.XXXXXX")
	echo "$P" >>"$BATS_TEST_TMPDIR/.dirs"
	chmod 755 "$P"
	mkdir "$P/bin" "$P/etc" "$P/sbin" "$P/real"
	install -d -o nobody -g nogroup "$P/home"
	install -d -o daemon -g daemon -m 0700 "$P/spool"
	install -o daemon -g daemon -m 4755 "$BUILD/bin/vmta-inject" "$P/bin"
	cat >"$P/etc/vmta.conf" <<-'END'
		host-name = mta.example
		min-free-space = 0
		min-free-inodes = 0
		source 'local' { default-virtual-mta = v1 }
		virtual-mta v1 { smtp-source-host = '127.0.0.1 v1.example' }
	END
	unset VMTA_CONFIG
	mount -t tmpfs -o size=2m,mode=0700,uid=1,gid=1 vmta-test \
		"$P/spool" 2>/dev/null || skip "needs to mount a tmpfs"
	chown daemon:daemon "$P/spool"
	sbin_links
	setpriv --reuid=nobody --clear-groups "$P/bin/vmta-inject" --version \
		>/dev/null || skip "set-uid programs cannot run below $P"
	cat >"$P/enter" <<-END
		#!/bin/bash
		# everything that follows sees our sendmail
		mount --bind /usr/sbin "$P/real" &&
		mount --bind "$P/sbin" /usr/sbin && exec "\$@"
	END
	chmod +x "$P/enter"
}

# $P/sbin: /usr/sbin with sendmail as a link to ours, whether or not the
# machine has one.
sbin_links() {
	printf '%s\n' /usr/sbin/* | sed "s,^/usr/sbin,$P/real," |
		xargs ln -s -t "$P/sbin"
	ln -sfn "$P/bin/vmta-inject" "$P/sbin/sendmail"
}

programs_end() {
	[ -z "${P:-}" ] || umount "$P/spool" 2>/dev/null || true
	end_test
}

inside() {
	unshare -m --propagation private "$P/enter" "$@"
}

as() {
	local user=$1
	shift
	chown -R "$user" "$P/home"
	(cd "$P/home" && inside setpriv --reuid="$user" \
		--regid="$(id -g "$user")" --clear-groups env -i \
		PATH=/usr/bin:/bin:/usr/sbin HOME="$P/home" USER="$user" \
		LOGNAME="$user" LC_ALL=C.UTF-8 TERM=dumb "$@")
}

# The batches' recipients with their source.
queued() {
	find "$P/spool/queue" -path '*/new/*' -type f -exec awk '
		FNR == 1 { source = "" }
		/^source: / { source = $2 }
		/^R / { print $NF, source }' {} + 2>/dev/null | sort
}

# All of them are gone.
forget() {
	find "$P/spool/queue" -type f -delete
}

disk_full() {
	head -c 3000000 /dev/zero >"$P/spool/ballast" 2>/dev/null || true
}

disk_free() {
	rm "$P/spool/ballast"
}

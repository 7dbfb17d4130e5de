# Peers that know their users and directories by names fixed at compile time:
# they run as root in a mount namespace of their own, in which these names
# exist. The machine's own users and directories stay as they are.
#
#	load helper/common
#	load helper/private
# shellcheck shell=bash disable=SC2034 # see common.bash

need_private() {
	need_root
	need_command unshare mount
	unshare -m --propagation private true 2>/dev/null ||
		skip "needs mount namespaces"
}

# private_users DIR NAME:UID...: DIR/passwd and DIR/group, those of the
# machine and these (each with a group of its name and number).
private_users() {
	local dir=$1 name id
	shift
	cp /etc/passwd "$dir/passwd"
	cp /etc/group "$dir/group"
	while IFS=: read -r name id; do
		sed -i "/^$name:/d" "$dir/passwd" "$dir/group"
		echo "$name:x:$id:$id::/nonexistent:/bin/false" >>"$dir/passwd"
		echo "$name:x:$id:" >>"$dir/group"
	done < <(printf '%s\n' "$@")
}

# start_private NAME DIR COMMAND...: start it (as start does) with DIR/passwd
# and DIR/group for the machine's. DIR/mounts has a line `FROM TO` for each
# directory FROM that shall be TO; where the machine has no such TO, all of the
# directory above is empty but for what is mounted there.
start_private() {
	local name=$1 dir=$2
	shift 2
	# shellcheck disable=SC2016
	start "$name" unshare -m --propagation private bash -euc '
		dir=$1
		shift
		mount --bind "$dir/passwd" /etc/passwd
		mount --bind "$dir/group" /etc/group
		while read -r from to; do
			[ -e "$to" ] || {
				mount -t tmpfs -o mode=755 none "${to%/*}"
				mkdir "$to"
			}
			mount --bind "$from" "$to"
		done <"$dir/mounts"
		exec "$@"' bash "$dir" "$@"
}

#!/usr/bin/env bats
# The house: what make install does, and that lint finds what it is for.

bats_require_minimum_version 1.5.0
load helper/common

# A tree with a file of each kind, and the scripts under test.
setup() {
	cd "$BATS_TEST_TMPDIR"
	mkdir -p tree/share/systemd tree/bin tree/etc tree/t
	cp "$ROOT/share/install" tree/share/
	cp -r "$ROOT/t/lint" tree/t/
	echo tool >tree/bin/tool
	echo first >tree/etc/x.conf
	echo 'ExecStart=/opt/vmta/bin/tool' >tree/share/systemd/x.service
	cat >tree/share/files <<-'END'
		# a comment
		0700	nosuchuser:nosuchuser	spool/
		4755	nosuchuser:nosuchuser	bin/tool
		0644+	root:root	etc/x.conf
		0644	root:root	share/systemd/x.*	units/
	END
}

install_tree() {
	tree/share/install share/files "$PWD/root" /srv/v
}

# lint NAME: one check on the tree, as a project of its own.
lint_tree() {
	git -C tree init -q
	run tree/t/lint/"$1".sh
}

@test "install: modes, destinations; no set-uid without its user" {
	install_tree
	run -0 find root/srv/v -mindepth 1 -printf '%m %P\n'
	equal "644 etc/x.conf
644 units/x.service
700 spool
755 bin
755 bin/tool
755 etc
755 units" "$(sort <<<"$output")"
}

@test "install: units name the prefix" {
	install_tree
	equal 'ExecStart=/srv/v/bin/tool' "$(cat root/srv/v/units/x.service)"
}

@test "install: a configuration that is there stays, a tool does not" {
	install_tree
	echo mine >root/srv/v/etc/x.conf
	echo new >tree/bin/tool
	install_tree
	equal mine "$(cat root/srv/v/etc/x.conf)"
	equal new "$(cat root/srv/v/bin/tool)"
}

@test "install: a file that is not there is an error" {
	rm tree/bin/tool
	run -1 install_tree
	[[ $output == *"no bin/tool here"* ]]
}

@test "install: set-uid and owner when root installs and the user exists" {
	need_root
	need_user nobody
	sed -i 's/nosuchuser:nosuchuser/nobody:nogroup/' tree/share/files
	install_tree
	equal "4755 nobody" "$(stat -c '%a %U' root/srv/v/bin/tool)"
	equal "700 nobody" "$(stat -c '%a %U' root/srv/v/spool)"
}

@test "install: a symbolic link stays one, and is replaced" {
	ln -s tool tree/bin/link
	echo '0755 root:root bin/link' >>tree/share/files
	install_tree
	ln -sf other root/srv/v/bin/link
	install_tree
	equal tool "$(readlink root/srv/v/bin/link)"
}

@test "everything in share/files is in the tree or is a tool" {
	while read -r mode _ source _; do
		case $mode in '' | '#'*) continue ;; esac
		case $source in
		*/) continue ;;
		bin/*) source=$source.c ;;
		lib/libvmta-submit.*) source=lib/api/vmta-submit.map ;;
		esac
		compgen -G "$ROOT/$source" >/dev/null || fail "no $source"
	done <"$ROOT/share/files"
}

@test "deps: nothing to do needs neither root nor network" {
	echo dpkg >have.txt
	run -0 unshare -rn "$ROOT/share/deps/install" have.txt ||
		skip "needs user namespaces"
	equal "" "$output"
}

@test "lint layers: an include upward fails, one downward does not" {
	mkdir -p tree/lib/base tree/lib/spool
	echo '#include "base/err.h"' >tree/lib/spool/a.c
	lint_tree layers
	equal 0 "$status" "$output"
	echo '#include "spool/a.h"' >tree/lib/base/b.c
	lint_tree layers
	equal 1 "$status"
	equal "lib/base/b.c:1: base must not include spool" "$output"
}

@test "lint banned: strcpy fails, a comment about it does not" {
	mkdir -p tree/lib/base
	printf '/*\n * strcpy(3) is not used.\n */\n' >tree/lib/base/a.c
	lint_tree banned
	equal 0 "$status" "$output"
	printf 'void\nf(char *a)\n{\n\tstrcpy(a, "b");\n}\n' >>tree/lib/base/a.c
	lint_tree banned
	equal 1 "$status"
}

@test "lint space: white space at the end fails" {
	lint_tree space
	equal 0 "$status" "$output"
	printf 'x \n' >tree/x
	lint_tree space
	equal 1 "$status"
}

@test "README: each row has a test that bears its number" {
	awk '/^\t[PV][0-9][0-9]\t/ { row = $1; next }
		/^\t\t\t/ && row != "" { print row, $1 }' "$ROOT/t/README" \
		>"$BATS_TEST_TMPDIR/rows"
	[ "$(cut -d ' ' -f 1 "$BATS_TEST_TMPDIR/rows" | sort -u | wc -l)" -ge 56 ]
	while read -r row file; do
		case $file in
		*.bats) grep -Eq "^@test \"[A-Z0-9, ]*\\b$row\\b" "$ROOT/t/$file" ;;
		*) grep -q "$row" "$ROOT/t/$file" ;;
		esac || fail "t/$file has no test of $row"
	done <"$BATS_TEST_TMPDIR/rows"
}

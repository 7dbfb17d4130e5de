# Each tool's manual page names the options that --help names, with the same
# arguments, and no other; mandoc has nothing to say.

load helper/common

MAN=$ROOT/share/man

# helped TOOL [COMMAND]: its options as --help has them, one a line:
# `--config FILE`, `-C FILE`.
helped() {
	"$BUILD/bin/$1" "${@:2}" --help | awk '
		/^  -/ {
			n = match(substr($0, 3), /  /)
			s = n ? substr($0, 3, n - 1) : substr($0, 3)
			n = split(s, name, ", ")
			arg = name[n]
			if (!sub(/^[^ ]* /, "", arg))
				arg = ""
			for (i = 1; i <= n; i++) {
				sub(/ .*/, "", name[i])
				print name[i] (arg == "" ? "" : " " arg)
			}
		}' | sort -u
}

# paged PAGE: the options that its lists describe, the same way.
paged() {
	awk '
		/^\.It Fl / {
			sub(/^\.It /, "")
			n = split($0, part, / , /)
			for (i = 1; i <= n; i++) {
				split(part[i], w, " ")
				o = "-" w[2]
				arg = part[i]
				if (!sub(/^.* Ar /, " ", arg))
					arg = ""
				else if (part[i] ~ / Ns /) {
					arg = part[i]
					sub(/^Fl [^ ]* Ar /, " ", arg)
					gsub(/ Ns Ar | Ns /, "", arg)
				}
				gsub(/ \| /, "|", arg)
				print o arg
			}
		}' "$1" | sort -u
}

@test "each tool has a page, and mandoc finds nothing wrong" {
	need_command mandoc
	for tool in "$BUILD"/bin/vmta-*; do
		[ -f "$MAN/$(basename "$tool").8" ] ||
			fail "no page for $tool"
	done
	run mandoc -T lint -W warning "$MAN"/*.[1-8]
	equal '' "$output"
}

@test "the pages name each option of --help, and no other" {
	for tool in bounce inject queue report runq; do
		helped "vmta-$tool" >"$BATS_TEST_TMPDIR/help"
		paged "$MAN/vmta-$tool.8" >"$BATS_TEST_TMPDIR/page"
		[ -s "$BATS_TEST_TMPDIR/help" ]
		diff -u "$BATS_TEST_TMPDIR/help" "$BATS_TEST_TMPDIR/page"
	done
	for command in '' config route spool; do
		# shellcheck disable=SC2086
		helped vmta-check $command
	done | sort -u >"$BATS_TEST_TMPDIR/help"
	paged "$MAN/vmta-check.8" >"$BATS_TEST_TMPDIR/page"
	diff -u "$BATS_TEST_TMPDIR/help" "$BATS_TEST_TMPDIR/page"
}

@test "commands: the pages name those that --help names" {
	for tool in check queue report; do
		"$BUILD/bin/vmta-$tool" --help |
			sed -n '1s/^usage: [^ ]* *\(\[OPTION ...\] \)\{0,1\}\([^ ]*\).*/\2/p
				/^commands:/,$s/^  \([a-z]\{1,\}\) .*/\1/p' |
			tr '|' '\n' | grep -v COMMAND \
			>"$BATS_TEST_TMPDIR/commands"
		[ -s "$BATS_TEST_TMPDIR/commands" ]
		while read -r c; do
			grep -Eq "^\.(Cm|It Cm|Ss) (.*\| )?$c( |\$)" \
				"$MAN/vmta-$tool.8" ||
				fail "vmta-$tool.8 does not name $c"
		done <"$BATS_TEST_TMPDIR/commands"
	done
}

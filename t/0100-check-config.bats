# vmta-check config, and what is generated from the parameter table.

load helper/common

CHECK=$BUILD/bin/vmta-check

setup() {
	P=$(scratch)
	mkdir -p "$P/etc" "$P/spool"
}

teardown() {
	end_test
}

# conf: standard input becomes the configuration file.
conf() {
	cat >"$P/etc/vmta.conf"
}

@test "a right file: exit 0, one line on stderr, nothing on stdout" {
	conf <<-'END'
		virtual-mta a { smtp-source-host = '127.0.0.1 a.example' }
	END
	out=$("$CHECK" config -C "$P/etc/vmta.conf" 2>"$P/err")
	equal '' "$out" stdout
	equal 1 "$(wc -l <"$P/err")" 'lines on stderr'
	grep -q "^$P/etc/vmta.conf: ok, 1 virtual-mta" "$P/err"
}

@test "a wrong file: exit 78 and FILE:LINE: at the beginning" {
	conf <<<$'# one\n\nmax-smpt-out = 3'
	run "$CHECK" config -C "$P/etc/vmta.conf"
	equal 78 "$status" status
	[[ $output == "$P/etc/vmta.conf:3: unknown directive 'max-smpt-out'"* ]]
	run "$CHECK" config -C "$P/none"
	equal 78 "$status" status
	[[ $output == "$P/none: No such file"* ]]
}

@test "a wrong included file is named relative to the file that names it" {
	mkdir "$P/etc/conf.d"
	conf <<<"include('conf.d/*.conf')"
	echo 'bogus = 1' >"$P/etc/conf.d/x.conf"
	cd "$P"
	run "$CHECK" config -C etc/vmta.conf
	equal 78 "$status" status
	[[ $output == "etc/conf.d/x.conf:1: "* ]]
	cd etc
	run "$CHECK" config -C vmta.conf
	[[ $output == "conf.d/x.conf:1: "* ]]
}

@test "VMTA_CONFIG names the file, -C wins" {
	conf <<<'bogus = 1'
	: >"$P/etc/good.conf"
	VMTA_CONFIG=$P/etc/vmta.conf run "$CHECK" config
	equal 78 "$status" status
	VMTA_CONFIG=$P/etc/vmta.conf run "$CHECK" config --config \
		"$P/etc/good.conf"
	equal 0 "$status" status
}

@test "a parameter that is not in force is warned of, once" {
	conf <<<"domain 'x' { max-msg-rate = 5/h  use-starttls = yes }"
	run "$CHECK" config -C "$P/etc/vmta.conf"
	equal 0 "$status" status
	equal "$P/etc/vmta.conf:1: max-msg-rate is not in force in this version" \
		"${lines[0]}"
	equal 2 "${#lines[@]}" lines
}

@test "--explain shows each value and where it comes from" {
	conf <<-'END'
		virtual-mta news {
			smtp-source-host = '127.0.0.1 a.example'
			domain 'gmail.com' { max-smtp-out = 5 }
		}
	END
	cd "$P"
	run "$CHECK" config -C etc/vmta.conf --explain Gmail.com/news
	equal 0 "$status" status
	equal "max-smtp-out = 5   # etc/vmta.conf:3 (domain 'gmail.com' in virtual-mta news)" \
		"$(grep '^max-smtp-out' <<<"$output")"
	equal 'bounce-after = 4d12h   # default' \
		"$(grep '^bounce-after' <<<"$output")"
	run "$CHECK" config -C etc/vmta.conf --explain gmail.com/none
	equal 65 "$status" status
	run "$CHECK" config -C etc/vmta.conf --explain gmail.com
	equal 64 "$status" status
}

@test "--print-defaults is a configuration, and the default one" {
	"$CHECK" config --print-defaults >"$P/etc/vmta.conf"
	run "$CHECK" config -C "$P/etc/vmta.conf"
	equal 0 "$status" status
	equal 1 "${#lines[@]}" lines
	grep -q '^	retry-after = .10m.   # ' "$P/etc/vmta.conf"
}

@test "the parameter section of vmta.conf(5) is that of the table" {
	"$CHECK" config --print-manual >"$P/table"
	sed '1,/^\.\\" From here to the end mark/d; /^\.\\" end of vmta-check/,$d' \
		"$ROOT/share/man/vmta.conf.5" >"$P/page"
	diff "$P/page" "$P/table"
}

@test "the configuration of a checkout is right, without a warning" {
	run "$CHECK" config -C "$ROOT/etc/vmta.conf"
	equal 0 "$status" status
	equal 1 "${#lines[@]}" lines
}

@test "no image is read or written" {
	mkdir "$P/spool/state"
	conf </dev/null
	touch -d '1 hour ago' "$P/etc/vmta.conf"
	"$CHECK" config -C "$P/etc/vmta.conf"
	equal '' "$(ls -A "$P/spool/state")"
}

@test "usage: unknown options, commands, arguments are 64" {
	for args in '' bogus -x '--bogus' 'config -x' 'config --bogus' \
		'config x' 'config --explain' 'config -C'; do
		# shellcheck disable=SC2086
		run "$CHECK" $args
		equal 64 "$status" "status of '$args'"
		equal 1 "${#lines[@]}" "lines of '$args'"
	done
}

@test "--help and --version: stdout, 0; the page has all options" {
	out=$("$CHECK" --help 2>"$P/err")
	grep -q '^  config ' <<<"$out"
	equal '' "$(cat "$P/err")" stderr
	"$CHECK" --version | grep -qE '^vmta-check \(vmta\) [0-9]'
	"$CHECK" config --version | grep -qE '^vmta-check config \(vmta\) [0-9]'
	"$CHECK" config --help | grep -oE -- '--[a-z-]+' | while read -r opt; do
		grep -q -- "Fl -${opt#--}" "$ROOT/share/man/vmta-check.8" ||
			fail "$opt is not in the page"
	done
}

@test "a full standard output is an error" {
	[ -e /dev/full ] || skip 'no /dev/full'
	run bash -c '"$1" config --print-defaults >/dev/full' - "$CHECK"
	[ "$status" != 0 ]
}

# What the tests of pickup directories share; inject.bash is loaded before.
# shellcheck shell=bash disable=SC2034,SC2154

# pconf [LINES...]: the configuration of iconf with two pickup directories,
# spool/pickup (whose files may rest) and $IN, each with its own source.
pconf() {
	IN=$P/in BAD=$P/spool/bad
	mkdir -p "$IN" "$P/spool/pickup"
	chmod 0700 "$P/spool/pickup"
	iconf "pickup = {'spool/pickup', 'in source=news'}" \
		"source 'pickup' { default-virtual-mta = b }" \
		"source 'pickup:news' { default-virtual-mta = c }" "$@"
}

# rconf [LINES...]: the same; names say what is complete.
rconf() {
	pconf 'pickup-rename-only = yes' "$@"
}

# pfile NUMBER [LINES...]: a pickup file, with lines of the envelope.
pfile() {
	printf '%s\n' 'x-sender: s@y.example' "x-receiver: u$1@x.example" \
		"${@:2}" "Subject: number $1" '' "body $1"
}

# drop NAME: standard input becomes $IN/NAME, whole.
drop() {
	cat >"$P/dropping" && mv "$P/dropping" "$IN/$1"
}

# take ARG...: vmta-inject --pickup.
take() {
	run --separate-stderr timeout 120 "$P/bin/vmta-inject" --pickup "$@"
}

# taken CODE ACCEPTED REJECTED [ARG...]: a run that ends so.
taken() {
	take "${@:4}"
	equal "$1" "$status" "exit code ($stderr)"
	equal "accepted $2 rejected $3 suppressed 0" "${lines[-1]}"
}

# What lies in the directories, without those of claims.
left() {
	find "$IN" "$P/spool/pickup" -mindepth 1 ! -type d -printf '%P\n' | sort
}

# The names of the bad files, without what was added to them.
bad() {
	find "$BAD" -type f ! -name '*.why' -printf '%f\n' |
		sed 's/\.[0-9a-v]\{21\}$//' | sort
}

# why NAME: why it is bad.
why() {
	cat "$BAD/$1".?????????????????????.why
}

# What the lint scripts share; they source it. `cd` to the root is done here.
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1
set -uo pipefail

# files PATTERN...: the project's files, tracked or new, that match one of the
# git path patterns; those that were deleted are left out.
files() {
	local f
	git ls-files --cached --others --exclude-standard -- "$@" | sort -u |
		while read -r f; do
			[ ! -f "$f" ] || echo "$f"
		done
}

c_files() {
	files '*.c' '*.h'
}

# Shell scripts, by name or by their first line. bats files have a syntax of
# their own, which shellcheck knows too.
shell_files() {
	local f
	files '*.sh' '*.bash' '*.bats' .ci/run share t | sort -u |
		while read -r f; do
			case $f in
			*.sh | *.bash | *.bats) echo "$f" ;;
			*) head -c 40 "$f" | head -n 1 |
				grep -q '^#!.*sh$' && echo "$f" ;;
			esac
		done
}

# need COMMAND...: say what is missing (make deps-lint installs it).
need() {
	local c
	for c; do
		command -v "$c" >/dev/null || {
			echo "$c is missing: make deps-lint" >&2
			exit 1
		}
	done
}

# The flags that tools which parse C need.
C_FLAGS=(-std=c17 -D_GNU_SOURCE '-DVMTA_VERSION="lint"'
	'-DVMTA_PREFIX="/opt/vmta"' -Ilib -Ilib/api)

# Read by the scripts beside it, which are run from anywhere. Bash.

cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1

# git shows nothing to a build whose user does not own the checkout, which would be an error.
export GOFLAGS="${GOFLAGS:-} -buildvcs=false"

say() { printf '== %s\n' "$*"; }

skip() { printf 'skipped: %s\n' "$*"; }

# scratch makes a directory that is removed at the end, readable by all users, and names it in $scratch. Its name is short:
# unix sockets lie in it.
scratch() {
	scratch=$(mktemp -d /tmp/stay.XXXXXX) || exit 1
	chmod 755 "$scratch"
	trap 'rm -rf "$scratch"' EXIT
}

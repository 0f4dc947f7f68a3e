#!/bin/sh
# Installs BlamePrompt Enterprise, or only what it needs. See usage below.
#
# For tests: BLAMEPROMPT_PG_ROOTS replaces the places beside PATH where
# PostgreSQL's server programs are looked for; DESTDIR is put before /etc and
# PREFIX.
set -eu

min_postgres=14
min_git=2.35
pg_roots=${BLAMEPROMPT_PG_ROOTS-"/usr/lib/postgresql/*/bin /usr/pgsql-*/bin /usr/libexec/postgresql* /usr/local/pgsql/bin"}
prefix=${PREFIX:-/usr/local}
destdir=${DESTDIR-}
dry_run=no

usage() {
	cat <<USAGE
Usage: ./install.sh [--dry-run]          install the programs of ./bin into PREFIX/bin
                                         and their pages into PREFIX/share/man
       ./install.sh --deps [--dry-run]   install what they need and is missing:
                                         PostgreSQL's server programs >= $min_postgres, git >= $min_git,
                                         and ssh for remotes that are reached by it
       ./install.sh --help

--deps uses apt-get, dnf or apk, as root or through sudo, and neither creates
nor starts a PostgreSQL cluster. Where nothing is missing it does nothing and
needs no rights. --dry-run prints the commands instead of running them.

Environment: PREFIX (default /usr/local), DESTDIR.
USAGE
}

say() { printf '%s\n' "$*"; }

fail() {
	printf 'install.sh: %s\n' "$*" >&2
	exit 1
}

# run runs a command, or prints it.
run() {
	if [ "$dry_run" = yes ]; then
		say "+ $*"
	else
		"$@"
	fi
}

# as_root is run, with root's rights.
as_root() {
	if [ "$(id -u)" = 0 ]; then
		run "$@"
	elif command -v sudo >/dev/null 2>&1; then
		run sudo "$@"
	else
		fail "this needs root, and sudo is not there; run as root: $0 --deps"
	fi
}

# at_least VERSION MINIMUM compares major.minor; a missing minor is 0.
at_least() {
	printf '%s\n' "$1" "$2" | awk -F. '
		NR == 1 { major = $1 + 0; minor = $2 + 0 }
		NR == 2 { exit !(major > $1 || major == $1 && minor >= $2 + 0) }'
}

# find_postgres prints version and directory of the first fit installation:
# on PATH, then in the places where distributions put the server programs.
find_postgres() {
	old_ifs=$IFS
	IFS=:
	# shellcheck disable=SC2086 # PATH is split on purpose
	set -- $PATH
	IFS=$old_ifs
	# shellcheck disable=SC2086 # the patterns are split and expanded on purpose
	for dir in "$@" $pg_roots; do
		[ -x "$dir/postgres" ] || continue
		real=$(readlink -f "$dir/postgres")
		[ -x "$(dirname "$real")/initdb" ] || continue
		version=$("$real" --version 2>/dev/null | sed -n 's/^postgres (PostgreSQL) \([0-9][^ ]*\).*/\1/p')
		if [ -n "$version" ] && at_least "$version" "$min_postgres"; then
			say "$version in $(dirname "$real")"
			return 0
		fi
	done
	return 1
}

find_git() {
	version=$(git --version 2>/dev/null | sed -n 's/^git version \([0-9.]*[0-9]\).*/\1/p')
	[ -n "$version" ] && at_least "$version" "$min_git" && say "$version"
}

# find_missing sets missing to the subset of "postgres git ssh" that is not there.
find_missing() {
	missing=
	if found=$(find_postgres); then
		say "PostgreSQL $found: fine"
	else
		missing=postgres
	fi
	if found=$(find_git); then
		say "git $found: fine"
	else
		missing="$missing git"
	fi
	if command -v ssh >/dev/null 2>&1 && command -v ssh-keygen >/dev/null 2>&1; then
		say "ssh: fine"
	else
		missing="$missing ssh"
	fi
}

# packages PG_PACKAGES SSH_PACKAGE prints the packages for what is missing.
packages() {
	for what in $missing; do
		case $what in
		postgres) printf '%s ' "$1" ;;
		git) printf 'git ca-certificates ' ;;
		ssh) printf '%s ' "$2" ;;
		esac
	done
}

# Debian's package creates and starts a system cluster unless this file says
# otherwise. It is there only while the package is installed.
no_cluster=$destdir/etc/postgresql-common/createcluster.d/blameprompt.conf

forbid_cluster() {
	as_root mkdir -p "$(dirname "$no_cluster")"
	# shellcheck disable=SC2016 # the inner shell expands it
	as_root sh -c 'echo "create_main_cluster = false" >"$1"' sh "$no_cluster"
	trap allow_cluster EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM
}

allow_cluster() {
	trap - EXIT
	as_root rm -f "$no_cluster"
	as_root rmdir -p --ignore-fail-on-non-empty "$(dirname "$no_cluster")"
}

check_apt_version() {
	[ "$dry_run" = no ] || return 0
	version=$(apt-cache policy postgresql | sed -n 's/^ *Candidate: \([0-9]*\).*/\1/p')
	at_least "${version:-0}" "$min_postgres" ||
		fail "this distribution's PostgreSQL (${version:-none}) is older than $min_postgres; add the repository" \
			"of https://www.postgresql.org/download/ or set BLAMEPROMPT_DATABASE_URL to a server elsewhere"
}

install_apt() {
	as_root apt-get update -q
	case $missing in
	*postgres*)
		check_apt_version
		forbid_cluster
		;;
	esac
	# shellcheck disable=SC2046 # one word per package
	as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $(packages postgresql openssh-client)
	case $missing in *postgres*) allow_cluster ;; esac
}

install_dnf() {
	# shellcheck disable=SC2046 # one word per package
	as_root dnf install -y $(packages "postgresql-server postgresql-contrib" openssh-clients)
}

install_apk() {
	# shellcheck disable=SC2046 # one word per package
	as_root apk add $(packages "postgresql postgresql-contrib" openssh-client)
}

install_deps() {
	find_missing
	[ -n "$missing" ] || return 0
	say "missing: ${missing# }"
	if command -v apt-get >/dev/null 2>&1; then
		install_apt
	elif command -v dnf >/dev/null 2>&1; then
		install_dnf
	elif command -v apk >/dev/null 2>&1; then
		install_apk
	else
		fail "no apt-get, dnf or apk here; install PostgreSQL's server programs >= $min_postgres, git >= $min_git and ssh by hand"
	fi
	[ "$dry_run" = no ] || return 0
	find_missing
	[ -z "$missing" ] ||
		fail "still missing or too old: ${missing# }; PostgreSQL >= $min_postgres, git >= $min_git and ssh are needed"
}

install_programs() {
	bin=$(dirname "$0")/bin
	[ -x "$bin/blamepromptd" ] || fail "$bin/blamepromptd is not there; run \"make build\" first"
	run install -d "$destdir$prefix/bin" || fail "cannot write to $prefix/bin; run as root or set PREFIX"
	for program in "$bin"/*; do
		run install -m 755 "$program" "$destdir$prefix/bin/$(basename "$program")" ||
			fail "cannot write to $prefix/bin; run as root or set PREFIX"
	done
	man=$(dirname "$0")/docs/man
	run install -d "$destdir$prefix/share/man/man1" || fail "cannot write to $prefix/share/man; run as root or set PREFIX"
	for page in "$man"/*.1; do
		run install -m 644 "$page" "$destdir$prefix/share/man/man1/$(basename "$page")" ||
			fail "cannot write to $prefix/share/man; run as root or set PREFIX"
	done
	say "installed in $prefix/bin and $prefix/share/man"
}

action=install_programs
for arg in "$@"; do
	case $arg in
	--deps) action=install_deps ;;
	--dry-run) dry_run=yes ;;
	-h | --help)
		usage
		exit 0
		;;
	*)
		usage >&2
		fail "unknown argument: $arg"
		;;
	esac
done
$action

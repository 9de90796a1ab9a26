#!/bin/sh
# Installs the programs that peers.test.ts talks to, on Debian and its kin. Run as root; the tests that need an absent one are
# skipped with a message, except where CI=true.
set -eu
apt-get update
apt-get install -y --no-install-recommends curl nginx-light

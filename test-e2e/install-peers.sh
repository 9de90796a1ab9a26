#!/bin/sh
# Installs the programs that peers.test.ts talks to, and those that redirect connections for the original_dst listener filter, on Debian and
# its kin. Run as root; the tests that need an absent one are skipped with a message, except where CI=true.
set -eu
apt-get update
apt-get install -y --no-install-recommends curl nginx-light redis-server iproute2 iptables

#!/bin/bash
# Runs once in Elasticsearch's image: a certificate authority and Elasticsearch's certificate into /tls (for Elasticsearch),
# and the authority's certificate alone into /ca (for everybody else). What exists is kept.
set -euo pipefail
umask 077
tls=${TLS:-/tls}
ca=${CA:-/ca}
scratch=$(mktemp -d)
cd "${ES_HOME:-/usr/share/elasticsearch}"
if [ ! -f "$tls/ca/ca.crt" ]; then
  bin/elasticsearch-certutil ca --silent --pem --days 3650 --out "$scratch/ca.zip"
  unzip -q -o "$scratch/ca.zip" -d "$tls"
fi
if [ ! -f "$tls/elasticsearch/elasticsearch.crt" ]; then
  bin/elasticsearch-certutil cert --silent --pem --days 3650 --name elasticsearch --dns elasticsearch --dns localhost \
    --ip 127.0.0.1 --ca-cert "$tls/ca/ca.crt" --ca-key "$tls/ca/ca.key" --out "$scratch/elasticsearch.zip"
  unzip -q -o "$scratch/elasticsearch.zip" -d "$tls"
fi
# Elasticsearch runs as user 1000 in group 0: it may read, and only it.
chown -R root:0 "$tls"
find "$tls" -type d -exec chmod 0750 {} +
find "$tls" -type f -exec chmod 0640 {} +
chmod 0600 "$tls/ca/ca.key"
install -m 0644 "$tls/ca/ca.crt" "$ca/ca.crt"
chmod 0755 "$ca"
rm -rf "$scratch"

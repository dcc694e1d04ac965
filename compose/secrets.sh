#!/bin/sh
# Makes what compose/compose.yaml needs and no repository may hold: compose/.env from .env.example, and compose/secrets/.
# Every secret is random. What exists is kept, so running it again is harmless.
set -eu
cd "$(dirname "$0")"
random() { head -c 24 /dev/urandom | od -An -v -tx1 | tr -d ' \n'; }
# Kafka wants 16 bytes in URL-safe base64.
cluster_id() { head -c 16 /dev/urandom | base64 | tr '+/' '-_' | tr -d '='; }

umask 077
if [ ! -f .env ]; then
  sed -e "s|^\(ELASTIC_PASSWORD\)=.*|\1=$(random)|" -e "s|^\(KIBANA_PASSWORD\)=.*|\1=$(random)|" \
      -e "s|^\(KIBANA_KEY\)=.*|\1=$(random)|" -e "s|^\(KAFKA_CLUSTER_ID\)=.*|\1=$(cluster_id)|" .env.example > .env.new
  mv .env.new .env
  echo "made compose/.env"
fi
mkdir -p secrets
chmod 0700 secrets
for name in elasticsearch.password kibana.password web.token inbox.secret serve.token; do
  [ -s "secrets/$name" ] && continue
  random > "secrets/$name.new"
  # Only you can enter the folder; inside the container another user reads the file.
  chmod 0444 "secrets/$name.new"
  mv -f "secrets/$name.new" "secrets/$name"
  echo "made compose/secrets/$name"
done

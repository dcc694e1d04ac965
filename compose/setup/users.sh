#!/bin/bash
# Runs once in Elasticsearch's image, when Elasticsearch answers: Kibana's password, and two users of ours with the
# rights in role.json and role-kibana.json and no others. Passwords go through standard input, never through arguments.
set -euo pipefail
elasticsearch=${ELASTICSEARCH_URL:-https://elasticsearch:9200}
ca=${CA_FILE:-/ca/ca.crt}
secrets=${SECRETS:-/run/secrets}
here=$(dirname "$0")

# ask METHOD PATH, the body on standard input; fails with Elasticsearch's words on anything but 2xx.
ask() {
  local answer status
  answer=$(printf 'user = "elastic:%s"\n' "$ELASTIC_PASSWORD" | curl --silent --show-error --retry 20 --retry-delay 3 \
    --retry-connrefused --cacert "$ca" --config - --request "$1" --header 'content-type: application/json' \
    --write-out '\n%{http_code}' --data-binary @<(cat <&3) "$elasticsearch$2")
  status=${answer##*$'\n'}
  case $status in
    2??) ;;
    *) echo "users: $1 $2 was answered $status: ${answer%$'\n'*}" >&2; exit 1 ;;
  esac
}

ask POST /_security/user/kibana_system/_password 3< <(printf '{"password": "%s"}' "$KIBANA_PASSWORD")
ask PUT /_security/role/opinionwatch 3< "$here/role.json"
ask PUT /_security/role/opinionwatch_kibana 3< "$here/role-kibana.json"
ask PUT /_security/user/opinionwatch 3< <(
  printf '{"password": "%s", "roles": ["opinionwatch"]}' "$(head -n 1 "$secrets/elasticsearch.password")")
ask PUT /_security/user/opinionwatch_kibana 3< <(
  printf '{"password": "%s", "roles": ["opinionwatch_kibana"]}' "$(head -n 1 "$secrets/kibana.password")")
echo "users: kibana_system, opinionwatch and opinionwatch_kibana are ready"

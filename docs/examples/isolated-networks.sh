#!/usr/bin/env bash
# Makes, uses and removes isolated networks with curl and jq.
set -euo pipefail

usage() {
	cat <<'USAGE'
Usage: isolated-networks.sh HOST

OVIRT_URL, OVIRT_USERNAME and OVIRT_PASSWORD say where isonetd is and who asks,
for example https://host1:8443/ovirt-engine/api and admin@internal. OVIRT_CAFILE
names the CA to trust.
USAGE
}

case ${1:-} in
-h | --help) usage && exit ;;
'' | -*) usage >&2 && exit 2 ;;
esac
host_name=$1
call() { curl -sS --fail-with-body ${OVIRT_CAFILE:+--cacert "$OVIRT_CAFILE"} "$@"; }

# The password goes through a pipe, because everybody can see arguments.
token=$(call "${OVIRT_URL%/api}/sso/oauth/token" -H 'Accept: application/json' \
	-d grant_type=password -d scope=ovirt-app-api --data-urlencode "username=$OVIRT_USERNAME" \
	--data-urlencode password@<(printf %s "$OVIRT_PASSWORD") | jq -r .access_token)

# api METHOD PATH [BODY] prints the answer; a refusal ends the script.
api() {
	call -X "$1" --oauth2-bearer "$token" \
		-H 'Accept: application/json' -H 'Content-Type: application/json' ${3:+-d "$3"} "$OVIRT_URL$2"
}
attached() {
	api GET "/hosts/$host/networkattachments?follow=network" |
		jq -r '"attached: " + ([.network_attachment[]?.network.name] | sort | join(" "))'
}

host=$(api GET "/hosts?search=name%3D$host_name" | jq -er '.host[0].id')

# A network, and its attachment to the host. It names no NIC.
red=$(api POST /networks '{"name": "red", "mtu": 1400, "data_center": {"name": "Default"}}' | jq -r .id)
attachment=$(api POST "/hosts/$host/networkattachments" '{"network": {"name": "red"}}' | jq -r .id)
attached
api GET "/hosts/$host/networkattachments/$attachment/statistics" |
	jq -r '.statistic[] | select(.kind == "counter") | "\(.name) \(.values.value[0].datum // "unknown")"'

# A label of the host attaches every network with the same label.
blue=$(api POST /networks '{"name": "blue", "data_center": {"name": "Default"}}' | jq -r .id)
api POST "/networks/$blue/networklabels" '{"id": "lab"}' >/dev/null
api POST "/hosts/$host/networklabels" '{"id": "lab"}' >/dev/null
attached

# setupnetworks changes everything at once, or nothing.
api POST "/hosts/$host/setupnetworks" '{
	"removed_network_attachments": {"network_attachment": [{"network": {"name": "red"}}]},
	"removed_labels": {"network_label": [{"id": "lab"}]}
}' >/dev/null
attached

api DELETE "/networks/$red" >/dev/null
api DELETE "/networks/$blue" >/dev/null
call -o /dev/null "${OVIRT_URL%/api}/services/sso-logout" -d scope=ovirt-app-api -d "token=$token"

#!/usr/bin/python3
"""Makes, uses and removes isolated networks with Python's standard library.

Usage: isolated_networks.py HOST

OVIRT_URL, OVIRT_USERNAME and OVIRT_PASSWORD say where isonetd is and who asks,
for example https://host1:8443/ovirt-engine/api and admin@internal.
OVIRT_CAFILE names the CA to trust.
"""

import json
import os
import ssl
import sys
import urllib.error
import urllib.parse
import urllib.request

API = os.environ["OVIRT_URL"]
ENGINE = API.removesuffix("/api")
TLS = ssl.create_default_context(cafile=os.environ.get("OVIRT_CAFILE"))


def send(url, token=None, method=None, body=None, form=None):
    """Sends a request and returns the JSON answer."""
    headers = {"Accept": "application/json"}
    data = None
    if token:
        headers |= {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    if body is not None:
        data = json.dumps(body).encode()
    if form is not None:
        data = urllib.parse.urlencode(form).encode()
    request = urllib.request.Request(url, data, headers, method=method)
    try:
        with urllib.request.urlopen(request, context=TLS) as reply:
            return json.load(reply)
    except urllib.error.HTTPError as error:
        sys.exit(f"{request.method} {url}: {error.code}: {error.read().decode()}")


def main(host_name):
    token = send(f"{ENGINE}/sso/oauth/token", form={
        "grant_type": "password", "scope": "ovirt-app-api",
        "username": os.environ["OVIRT_USERNAME"], "password": os.environ["OVIRT_PASSWORD"],
    })["access_token"]

    def api(method, path, body=None):
        return send(API + path, token, method, body)

    search = urllib.parse.quote(f'name="{host_name}"')
    host = "/hosts/" + api("GET", f"/hosts?search={search}")["host"][0]["id"]

    def show_attached():
        attachments = api("GET", f"{host}/networkattachments?follow=network")
        names = sorted(a["network"]["name"] for a in attachments.get("network_attachment", []))
        print("attached:", *names)

    # A network, and its attachment to the host. It names no NIC.
    center = {"name": "Default"}
    red = api("POST", "/networks", {"name": "red", "mtu": 1400, "data_center": center})["id"]
    attachment = api("POST", f"{host}/networkattachments", {"network": {"name": "red"}})["id"]
    show_attached()
    for statistic in api("GET", f"{host}/networkattachments/{attachment}/statistics")["statistic"]:
        if statistic["kind"] == "counter":
            values = statistic["values"].get("value", [])
            print(statistic["name"], *(v["datum"] for v in values))

    # A label of the host attaches every network with the same label.
    blue = api("POST", "/networks", {"name": "blue", "data_center": center})["id"]
    api("POST", f"/networks/{blue}/networklabels", {"id": "lab"})
    api("POST", f"{host}/networklabels", {"id": "lab"})
    show_attached()

    # setupnetworks changes everything at once, or nothing.
    api("POST", f"{host}/setupnetworks", {
        "removed_network_attachments": {"network_attachment": [{"network": {"name": "red"}}]},
        "removed_labels": {"network_label": [{"id": "lab"}]},
    })
    show_attached()

    for network in red, blue:
        api("DELETE", f"/networks/{network}")
    send(f"{ENGINE}/services/sso-logout", form={"scope": "ovirt-app-api", "token": token})


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])

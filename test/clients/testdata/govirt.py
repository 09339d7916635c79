#!/usr/bin/python3
"""Reads with libgovirt what it knows of a server, and prints it as JSON.

Usage: govirt.py URL basic USER PASSWORD
       govirt.py URL token TOKEN
"""

import json
import os
import sys

import gi

gi.require_version("GoVirt", "1.0")
from gi.repository import GoVirt  # noqa: E402


def main(url, how, *credentials):
    proxy = GoVirt.Proxy.new("unused")  # the constructor forces https
    proxy.set_property("url-format", url)
    if "OVIRT_CAFILE" in os.environ:
        proxy.props.ssl_ca_file = os.environ["OVIRT_CAFILE"]
    if how == "basic":
        proxy.props.username, proxy.props.password = credentials
    else:
        (proxy.props.sso_token,) = credentials
    api = proxy.fetch_api()
    found = {}
    for name, collection in {
        "hosts": api.get_hosts(), "clusters": api.get_clusters(),
        "data_centers": api.get_data_centers(), "vms": api.get_vms(),
        "searched_vms": api.search_vms("name=none"), "searched_clusters": api.search_clusters("name=Default"),
        "searched_data_centers": api.search_data_centers("name=Another"),
    }.items():
        collection.fetch(proxy)
        found[name] = {r.props.name: r.props.guid for r in collection.get_resources().values()}
    host = next(iter(api.get_hosts().get_resources().values()))
    found["cluster_of_the_host"] = fetched(host.get_cluster(), proxy)
    cluster = next(iter(api.get_clusters().get_resources().values()))
    found["data_center_of_the_cluster"] = fetched(cluster.get_data_center(), proxy)
    print(json.dumps(found))


def fetched(resource, proxy):
    resource.refresh(proxy)
    return resource.props.name


main(*sys.argv[1:])

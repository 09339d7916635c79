#!/usr/bin/python3
"""Makes, uses and removes isolated networks with oVirt's Python SDK.

Usage: isolated_networks_sdk.py HOST

It needs ovirt-engine-sdk-python (module ovirtsdk4). OVIRT_URL, OVIRT_USERNAME
and OVIRT_PASSWORD say where isonetd is and who asks, for example
https://host1:8443/ovirt-engine/api and admin@internal. OVIRT_CAFILE names the
CA to trust.
"""

import contextlib
import os
import sys

from ovirtsdk4 import Connection, services, types


def main(host_name):
    with contextlib.closing(Connection(
        url=os.environ["OVIRT_URL"], username=os.environ["OVIRT_USERNAME"], password=os.environ["OVIRT_PASSWORD"],
        ca_file=os.environ.get("OVIRT_CAFILE"),
    )) as connection:
        use(connection, host_name)


def use(connection, host_name):
    networks = connection.system_service().networks_service()
    hosts = connection.system_service().hosts_service()
    host_id = hosts.list(search=f'name="{host_name}"')[0].id
    host = hosts.host_service(host_id)
    attachments = host.network_attachments_service()

    def show_attached():
        names = sorted(a.network.name for a in attachments.list(follow="network"))
        print("attached:", *names)

    # A network, and its attachment to the host. It names no NIC.
    center = types.DataCenter(name="Default")
    red = networks.add(types.Network(name="red", mtu=1400, data_center=center))
    attachment = attachments.add(types.NetworkAttachment(network=types.Network(name="red")))
    show_attached()

    # The SDK has no method for the statistics of an attachment, but it reads
    # them by their path.
    path = f"/hosts/{host_id}/networkattachments/{attachment.id}/statistics"
    for statistic in services.StatisticsService(connection, path).list():
        if statistic.kind == types.StatisticKind.COUNTER:
            print(statistic.name, *(int(v.datum) for v in statistic.values))

    # A label of the host attaches every network with the same label. Labels of
    # a host are reached by their path, too.
    blue = networks.add(types.Network(name="blue", data_center=center))
    networks.network_service(blue.id).network_labels_service().add(types.NetworkLabel(id="lab"))
    host_labels = services.NetworkLabelsService(connection, f"/hosts/{host_id}/networklabels")
    host_labels.add(types.NetworkLabel(id="lab"))
    show_attached()

    # setupnetworks changes everything at once, or nothing.
    host.setup_networks(
        removed_network_attachments=[types.NetworkAttachment(network=types.Network(name="red"))],
        removed_labels=[types.NetworkLabel(id="lab")],
    )
    show_attached()

    for network in red, blue:
        networks.network_service(network.id).remove()


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])

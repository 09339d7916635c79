// Command example makes, uses and removes isolated networks with oVirt's Go
// SDK.
package main

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	ovirtsdk "github.com/ovirt/go-ovirt"
)

const usage = `Usage: example HOST

OVIRT_URL, OVIRT_USERNAME and OVIRT_PASSWORD say where isonetd is and who asks,
for example https://host1:8443/ovirt-engine/api and admin@internal. OVIRT_CAFILE
names the CA to trust.`

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, usage)
		os.Exit(2)
	}
	if err := run(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "example:", err)
		os.Exit(1)
	}
}

func run(hostName string) (err error) {
	builder := ovirtsdk.NewConnectionBuilder().URL(os.Getenv("OVIRT_URL")).
		Username(os.Getenv("OVIRT_USERNAME")).Password(os.Getenv("OVIRT_PASSWORD"))
	if ca := os.Getenv("OVIRT_CAFILE"); ca != "" {
		builder.CAFile(ca)
	}
	conn, err := builder.Build()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()

	hosts, err := conn.SystemService().HostsService().List().Search(`name="` + hostName + `"`).Send()
	if err != nil {
		return err
	}
	if len(hosts.MustHosts().Slice()) == 0 {
		return fmt.Errorf("there is no host %s", hostName)
	}
	return use(conn, hosts.MustHosts().Slice()[0].MustId())
}

func use(conn *ovirtsdk.Connection, hostID string) error {
	networks := conn.SystemService().NetworksService()
	host := conn.SystemService().HostsService().HostService(hostID)
	center := ovirtsdk.NewDataCenterBuilder().Name("Default").MustBuild()

	// A network, and its attachment to the host. It names no NIC.
	red, err := networks.Add().Network(
		ovirtsdk.NewNetworkBuilder().Name("red").Mtu(1400).DataCenter(center).MustBuild()).Send()
	if err != nil {
		return err
	}
	toRed := ovirtsdk.NewNetworkAttachmentBuilder().Network(
		ovirtsdk.NewNetworkBuilder().Name("red").MustBuild()).MustBuild()
	attached, err := host.NetworkAttachmentsService().Add().Attachment(toRed).Send()
	if err != nil {
		return err
	}
	if err := showAttached(host); err != nil {
		return err
	}
	if err := showTraffic(conn, hostID, attached.MustAttachment().MustId()); err != nil {
		return err
	}

	// A label of the host attaches every network with the same label. The SDK
	// has no method for labels of a host, but it reaches them by their path.
	lab := ovirtsdk.NewNetworkLabelBuilder().Id("lab").MustBuild()
	blue, err := networks.Add().Network(
		ovirtsdk.NewNetworkBuilder().Name("blue").DataCenter(center).NetworkLabelsOfAny(lab).MustBuild()).Send()
	if err != nil {
		return err
	}
	hostLabels := ovirtsdk.NewNetworkLabelsService(conn, "/hosts/"+hostID+"/networklabels")
	if _, err := hostLabels.Add().Label(lab).Send(); err != nil {
		return err
	}
	if err := showAttached(host); err != nil {
		return err
	}

	// SetupNetworks changes everything at once, or nothing.
	if _, err := host.SetupNetworks().RemovedNetworkAttachmentsOfAny(toRed).RemovedLabelsOfAny(lab).Send(); err != nil {
		return err
	}
	if err := showAttached(host); err != nil {
		return err
	}

	for _, network := range []*ovirtsdk.Network{red.MustNetwork(), blue.MustNetwork()} {
		if _, err := networks.NetworkService(network.MustId()).Remove().Send(); err != nil {
			return err
		}
	}
	return nil
}

func showAttached(host *ovirtsdk.HostService) error {
	list, err := host.NetworkAttachmentsService().List().Follow("network").Send()
	if err != nil {
		return err
	}
	var names []string
	for _, attachment := range list.MustAttachments().Slice() {
		names = append(names, attachment.MustNetwork().MustName())
	}
	slices.Sort(names)
	fmt.Println("attached:", strings.Join(names, " "))
	return nil
}

// showTraffic reads the statistics by their path, because the SDK has no method
// for those of an attachment.
func showTraffic(conn *ovirtsdk.Connection, host, attachment string) error {
	path := "/hosts/" + host + "/networkattachments/" + attachment + "/statistics"
	list, err := ovirtsdk.NewStatisticsService(conn, path).List().Send()
	if err != nil {
		return err
	}
	for _, statistic := range list.MustStatistics().Slice() {
		if statistic.MustKind() != ovirtsdk.STATISTICKIND_COUNTER {
			continue
		}
		fmt.Print(statistic.MustName())
		for _, value := range statistic.MustValues().Slice() {
			fmt.Printf(" %.0f", value.MustDatum())
		}
		fmt.Println()
	}
	return nil
}

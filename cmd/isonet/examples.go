package main

import (
	"strings"

	"github.com/spf13/cobra"
)

// examples are what the help of each command shows, by the command's whole name.
func examples() map[string][]string {
	return map[string][]string{
		"isonet": {
			"isonet network create blue --mtu 9000",
			"isonet attach blue",
			"isonet status",
		},
		"isonet adopt": {
			"isonet adopt br-old green --dry-run   # what is in the way?",
			"isonet adopt br-old green",
		},
		"isonet attach": {"isonet attach blue green"},
		"isonet backup": {
			"isonet backup isonet.json",
			"isonet backup - | ssh backup tee isonet.json",
		},
		"isonet cluster": {
			"isonet cluster init --address 192.0.2.1 --members 192.0.2.1,192.0.2.2,192.0.2.3",
			"isonet cluster status",
		},
		"isonet cluster backup": {"isonet cluster backup /root/fleet.db"},
		"isonet cluster init": {
			"isonet cluster init --address 192.0.2.1   # one member, for a start",
			"isonet cluster init --address 192.0.2.1 --members 192.0.2.1,192.0.2.2,192.0.2.3 --passphrase-file /root/passphrase",
		},
		"isonet cluster join":    {"isonet cluster join - --address 192.0.2.2   # with a token of 'isonet token server 192.0.2.2'"},
		"isonet cluster remove":  {"isonet cluster remove 192.0.2.3 --yes"},
		"isonet cluster renew":   {"isonet cluster renew"},
		"isonet cluster restore": {"isonet cluster restore /root/fleet.db --yes"},
		"isonet cluster status": {
			"isonet cluster status",
			"isonet cluster status -o json",
		},
		"isonet cluster upgrade": {"isonet cluster upgrade"},
		"isonet completion": {
			"isonet completion bash > /etc/bash_completion.d/isonet",
			"isonet completion zsh",
		},
		"isonet context": {
			"isonet context list",
			"isonet context use lab",
		},
		"isonet context delete": {"isonet context delete lab"},
		"isonet context list":   {"isonet context list"},
		"isonet context show": {
			"isonet context show",
			"isonet context show lab -o yaml",
		},
		"isonet context use": {
			"isonet context use lab",
			"isonet context use local   # the isonetd of this host",
		},
		"isonet detach": {
			"isonet detach green",
			"isonet detach green --force   # although its ports are in use",
			"isonet detach --all --yes   # without a question",
		},
		"isonet diff": {"isonet diff -f lab.yaml"},
		"isonet doctor": {
			"isonet doctor",
			"isonet doctor blue",
			"isonet doctor -o json | jq .networks[].isolation.findings",
		},
		"isonet export": {
			"isonet export > lab.yaml",
			"isonet setup -f lab.yaml",
		},
		"isonet fleet": {"isonet fleet status"},
		"isonet fleet status": {
			"isonet fleet status",
			"isonet fleet status --all --sort=-behind",
			"isonet fleet status -o name > lookat.txt",
		},
		"isonet guard": {
			"isonet guard list",
			"isonet guard release vnet4",
		},
		"isonet guard list": {"isonet guard list"},
		"isonet guard release": {
			"isonet guard release vnet4 --dry-run",
			"isonet guard release vnet4",
		},
		"isonet host": {
			"isonet host list",
			"isonet host rename host1 rack1-a",
		},
		"isonet host activate": {"isonet host activate host1"},
		"isonet host drain": {
			"isonet host drain host1 --dry-run",
			"isonet host drain host1",
		},
		"isonet host delete": {
			"isonet host delete host2",
			"isonet host delete host2 --force   # although it has networks",
		},
		"isonet host join": {"isonet host join -   # with a token of 'isonet token host NAME'"},
		"isonet host list": {"isonet host list"},
		"isonet host register": {
			"isonet host register --dry-run",
			"isonet host register",
		},
		"isonet host rename": {"isonet host rename host1 rack1-a"},
		"isonet label": {
			"isonet network update blue --label lab",
			"isonet label add lab   # attaches blue",
		},
		"isonet history": {
			"isonet history",
			"isonet history --since 24h --by admin",
		},
		"isonet label add": {"isonet label add lab web"},
		"isonet label delete": {
			"isonet label delete lab",
			"isonet label delete lab --force   # although ports are in use",
		},
		"isonet label list": {"isonet label list"},
		"isonet login": {
			"isonet login https://host1:8443 --user ann",
			"isonet login https://host1:8443 --user ann --cacert ca.pem --name lab",
			"pass isonet/ann | isonet login https://host1:8443 --user ann --password-file -",
		},
		"isonet logout": {
			"isonet logout",
			"isonet logout lab",
		},
		"isonet network": {
			"isonet network create blue --mtu 9000 --label lab",
			"isonet network list",
		},
		"isonet network create": {
			"isonet network create blue",
			"isonet network create green --mtu 9000 --label lab --description 'test network'",
		},
		"isonet network delete": {
			"isonet network delete blue green",
			"isonet network delete --all --yes   # without a question",
		},
		"isonet network list": {
			"isonet network list",
			"isonet network list -o json",
		},
		"isonet network show": {
			"isonet network show blue",
			"isonet network show blue -o yaml",
		},
		"isonet network update": {
			"isonet network update blue --mtu 1400 --wait-hosts   # until all hosts have it",
			"isonet network update blue --name azure --label=   # and no label",
		},
		"isonet plan": {
			"isonet plan",
			"isonet plan -f lab.yaml",
		},
		"isonet port": {
			"isonet port list --stale",
			"isonet port prune blue",
		},
		"isonet port list": {
			"isonet port list",
			"isonet port list blue -o json",
		},
		"isonet port prune": {
			"isonet port prune blue --dry-run",
			"isonet port prune blue",
		},
		"isonet prove": {
			"sudo isonet prove blue",
			"sudo isonet prove blue --all --timeout 10m",
		},
		"isonet release": {
			"isonet release green --dry-run",
			"isonet release green",
		},
		"isonet restore": {
			"isonet restore isonet.json --dry-run",
			"isonet restore isonet.json",
		},
		"isonet setup": {
			"isonet setup -f lab.yaml --dry-run",
			"isonet setup -f lab.yaml",
			"generate-networks | isonet setup -f -",
			"isonet setup -f lab.yaml --prune --yes   # detach what the file does not name",
			"isonet setup --schema > setup.schema.json",
		},
		"isonet stats": {"isonet stats blue"},
		"isonet status": {
			"isonet status",
			"isonet status blue",
			"isonet status > /dev/null || echo look at it",
		},
		"isonet token": {
			"isonet token host rack1-a --for 10m",
			"isonet token list",
		},
		"isonet token host":   {"isonet token host rack1-a", "isonet token host rack1-a --replace   # after it was installed anew"},
		"isonet token list":   {"isonet token list"},
		"isonet token revoke": {"isonet token revoke rack1-a"},
		"isonet token server": {"isonet token server 192.0.2.2"},
		"isonet top": {
			"isonet top",
			"isonet top --ports --sort lost",
			"isonet top --once -o json",
		},
		"isonet validate": {"isonet validate -f lab.yaml"},
		"isonet version":  {"isonet version"},
		"isonet wait": {
			"isonet wait blue --for active,isolated --timeout 30s",
			"isonet wait blue green --for deleted",
		},
		"isonet watch": {
			"isonet watch",
			"isonet watch -o json | jq -r .networks[].state",
		},
	}
}

// addExamples gives the commands their examples.
func addExamples(cmd *cobra.Command, all map[string][]string) {
	if lines := all[cmd.CommandPath()]; len(lines) > 0 {
		cmd.Example = "  " + strings.Join(lines, "\n  ")
	}
	for _, child := range cmd.Commands() {
		addExamples(child, all)
	}
}

package plan

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Command returns the ovs-vsctl(8) command that plugs the port into a bridge, with
// all that it had, for a shell.
func (p Port) Command(bridge string) string {
	args := []string{"ovs-vsctl", "add-port", bridge, p.Name}
	if len(p.Interfaces) != 1 || p.Interfaces[0].Name != p.Name {
		args = []string{"ovs-vsctl", "add-bond", bridge, p.Name}
		for _, i := range p.Interfaces {
			args = append(args, i.Name)
		}
	}
	set := func(table, name string, columns []string) {
		if len(columns) > 0 {
			args = append(append(args, "--", "set", table, name), columns...)
		}
	}
	port := append(p.vlanArguments(), p.Rest.arguments()...)
	set("Port", p.Name, append(append(port, mapArguments("external_ids", p.ExternalIDs)...), mapArguments("other_config", p.OtherConfig)...))
	if q := p.QoS; q != nil {
		args = append(append(args, "--", "set", "Port", p.Name, "qos=@qos", "--", "--id=@qos", "create", "QoS"), q.Rest.arguments()...)
		numbers := slices.Sorted(maps.Keys(q.Queues))
		for _, n := range numbers {
			args = append(args, fmt.Sprintf("queues:%d=@queue%d", n, n))
		}
		for _, n := range numbers {
			args = append(append(args, "--", fmt.Sprintf("--id=@queue%d", n), "create", "Queue"), q.Queues[n].arguments()...)
		}
	}
	for _, i := range p.Interfaces {
		var columns []string
		if i.Type != "" {
			columns = append(columns, "type="+i.Type)
		}
		set("Interface", i.Name, append(append(columns, i.Rest.arguments()...), mapArguments("external_ids", i.ExternalIDs)...))
	}
	for n, a := range args {
		args[n] = quoted(a)
	}
	return strings.Join(args, " ")
}

func (p Port) vlanArguments() []string {
	var args []string
	if p.VLANMode != "" {
		args = append(args, "vlan_mode="+p.VLANMode)
	}
	if p.Tag >= 0 {
		args = append(args, fmt.Sprintf("tag=%d", p.Tag))
	}
	if len(p.Trunks) > 0 {
		args = append(args, "trunks="+strings.Trim(strings.Join(strings.Fields(fmt.Sprint(p.Trunks)), ","), "[]"))
	}
	if p.LACP != "" {
		args = append(args, "lacp="+p.LACP)
	}
	return args
}

// mapArguments sets each key by itself, so that no other is lost.
func mapArguments(column string, m map[string]string) []string {
	var args []string
	for _, key := range slices.Sorted(maps.Keys(m)) {
		args = append(args, fmt.Sprintf("%s:%s=%s", column, atom(key), atom(m[key])))
	}
	return args
}

func (c Columns) arguments() []string {
	var args []string
	for _, name := range slices.Sorted(maps.Keys(c)) {
		var value any
		if json.Unmarshal([]byte(c[name]), &value) != nil {
			continue
		}
		list, _ := value.([]any)
		switch {
		case len(list) == 2 && list[0] == "map":
			m := map[string]string{}
			pairs, _ := list[1].([]any)
			for _, pair := range pairs {
				if kv, ok := pair.([]any); ok && len(kv) == 2 {
					m[fmt.Sprint(kv[0])] = fmt.Sprint(kv[1])
				}
			}
			args = append(args, mapArguments(name, m)...)
		case len(list) == 2 && list[0] == "set":
			members, _ := list[1].([]any)
			texts := make([]string, len(members))
			for n, member := range members {
				texts[n] = fmt.Sprint(member)
			}
			args = append(args, name+"="+strings.Join(texts, ","))
		default:
			text, isText := value.(string)
			if isText {
				text = atom(text)
			} else {
				text = c[name]
			}
			args = append(args, name+"="+text)
		}
	}
	return args
}

// atom writes a text as ovs-vsctl(8) reads it: with quotes unless it is a plain
// word.
func atom(text string) string {
	if plain(text, "_-.") && text != "true" && text != "false" {
		return text
	}
	return strconv.Quote(text)
}

// quoted quotes an argument for a shell.
func quoted(argument string) string {
	if plain(argument, "_-.=:,/@+") {
		return argument
	}
	return "'" + strings.ReplaceAll(argument, "'", `'\''`) + "'"
}

func plain(text, more string) bool {
	return text != "" && !strings.ContainsFunc(text, func(r rune) bool {
		letter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
		return !letter && (r < '0' || r > '9') && !strings.ContainsRune(more, r)
	})
}

package plan

// VM returns the name of the VM that a port is of, as libvirt or an operator wrote
// it on the port, else the VM's id; "" if neither is known.
func (p Port) VM() string {
	for _, key := range []string{"vm-name", "vm-id"} {
		for _, i := range p.Interfaces {
			if name := i.ExternalIDs[key]; name != "" {
				return name
			}
		}
	}
	return ""
}

package plan

// mtus returns the greatest MTU, in bytes, that each of a port's devices has had
// since it was plugged in, by what was kept of the port: 0 where nothing is
// known.
func (p KeptPort) mtus(now Port, devices []Identity, links *Links) []int {
	mtus := make([]int, len(now.Interfaces))
	for n, i := range now.Interfaces {
		if devices[n].Index == 0 {
			continue
		}
		d, _ := links.Index(devices[n].Index)
		mtus[n] = max(i.MTU, d.MTU)
		if n < len(p.MTUs) && n < len(p.Devices) && p.Devices[n] == devices[n] {
			mtus[n] = max(mtus[n], p.MTUs[n])
		}
	}
	return mtus
}

// LargerThan returns the interfaces whose devices have had a larger MTU since they
// were plugged in, by name, with that MTU in bytes. Their guests may not have
// learned that it got smaller.
func (k Kept) LargerThan(mtu int) map[string]int {
	var larger map[string]int
	for _, p := range k.Ports {
		for n, had := range p.MTUs {
			if had > mtu && n < len(p.Interfaces) {
				if larger == nil {
					larger = map[string]int{}
				}
				larger[p.Interfaces[n].Name] = had
			}
		}
	}
	return larger
}

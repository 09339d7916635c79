package openflow

import "encoding/binary"

// Meter bounds the rate of frames (section 7.3.4.4).
type Meter struct {
	ID uint32
	// Config is the rest of its description as on the wire: flags, and the bands,
	// without the size of bursts where that follows from the rate.
	Config string
}

// bandLength is the length of the one kind of bands that Open vSwitch has.
const bandLength = 16

// PacketMeter drops what is over a rate in frames per second.
func PacketMeter(id, rate uint32) Meter {
	b := []byte{0, 2, 0, 1, 0, 16} // OFPMF_PKTPS, OFPMBT_DROP
	b = binary.BigEndian.AppendUint32(b, rate)
	return Meter{ID: id, Config: string(append(b, 0, 0, 0, 0, 0, 0, 0, 0))}
}

// AddMeter makes a meter.
func AddMeter(m Meter) Request { return m.request(0) }

// ModifyMeter changes a meter.
func ModifyMeter(m Meter) Request { return m.request(1) }

// DeleteMeter removes a meter, and the flows that name it.
func DeleteMeter(id uint32) Request { return Meter{ID: id, Config: "\x00\x00"}.request(2) }

func (m Meter) request(command byte) Request {
	b := append([]byte{0, command}, m.Config[:2]...)
	b = binary.BigEndian.AppendUint32(b, m.ID)
	return Request{Type: meterMod, Body: append(b, m.Config[2:]...)}
}

// MetersRequest asks for all meters. Its answer is parts of the kind MeterConfig.
func MetersRequest() Request { return ask(MeterConfig, allMeters()) }

// MeterStatsRequest asks for what all meters counted. Its answer is parts of the
// kind MeterStats.
func MeterStatsRequest() Request { return ask(MeterStats, allMeters()) }

func allMeters() []byte { return append(binary.BigEndian.AppendUint32(nil, any32), 0, 0, 0, 0) }

// DecodeMeters calls each with the meters of a part of the kind MeterConfig
// (section 7.3.5.13).
func DecodeMeters(body []byte, each func(Meter)) error {
	return entries("meter", body, 0, 8, func(b []byte) error {
		const burst = 1 << 2 // OFPMF_BURST
		bands := append([]byte(nil), b[8:]...)
		for i := 0; b[3]&burst == 0 && i+bandLength <= len(bands); i += bandLength {
			clear(bands[i+8 : i+12])
		}
		each(Meter{ID: binary.BigEndian.Uint32(b[4:]), Config: string(b[2:4]) + string(bands)})
		return nil
	})
}

// DecodeMeterStats calls each with the ids of the meters of a part of the kind
// MeterStats, and with how many frames were over their limits (section 7.3.5.12).
func DecodeMeterStats(body []byte, each func(id uint32, dropped uint64)) error {
	const fixed, band = 40, 16
	return entries("counters of a meter", body, 4, fixed, func(b []byte) error {
		var dropped uint64
		for bands := b[fixed:]; len(bands) >= band; bands = bands[band:] {
			dropped += known(binary.BigEndian.Uint64(bands))
		}
		each(binary.BigEndian.Uint32(b), dropped)
		return nil
	})
}

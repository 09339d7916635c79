package wire

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"time"
)

// BackupFormat and BackupVersion say what a backup is. A reader refuses another format,
// and a version that is newer than its own.
const (
	BackupFormat  = "isonet-backup"
	BackupVersion = 1
)

// Backup is the reply of GET isonet/backup: all that operators asked for, at one moment.
type Backup struct {
	Format  string    `json:"format"`
	Version int       `json:"version"`
	Made    time.Time `json:"made"`
	// Revision counts the changes of the store that it was made of.
	Revision    int64              `json:"revision"`
	Networks    []BackupNetwork    `json:"networks"`
	Hosts       []BackupHost       `json:"hosts"`
	Attachments []BackupAttachment `json:"attachments"`
	// Checksum is the SHA-256 of the rest, in hexadecimal digits.
	Checksum string `json:"checksum"`
}

// BackupNetwork is a network of a backup.
type BackupNetwork struct {
	ID            string `json:"id"`
	Name          string `json:"name"`
	Description   string `json:"description,omitempty"`
	Comment       string `json:"comment,omitempty"`
	MTU           int    `json:"mtu,omitempty"` // in bytes; 0 is the default
	Label         string `json:"label,omitempty"`
	Bridge        string `json:"bridge"`
	PortIsolation bool   `json:"port_isolation,omitempty"`
	Settings[bool, int]
}

// BackupHost is a host of a backup.
type BackupHost struct {
	ID       string `json:"id"`
	SystemID string `json:"system_id"`
	Name     string `json:"name"`
	// Named says that an operator chose the name.
	Named  bool     `json:"named,omitempty"`
	Labels []string `json:"labels,omitempty"`
}

// BackupAttachment is a network that is attached to a host by itself.
type BackupAttachment struct {
	Host       string            `json:"host"`
	Network    string            `json:"network"`
	Properties map[string]string `json:"properties,omitempty"`
}

// Sum returns what the checksum of the backup must be.
func (b Backup) Sum() string {
	b.Checksum = ""
	data, err := json.Marshal(b)
	if err != nil {
		panic(err) // it has nothing but texts, numbers and times
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// RestoreRequest is the body of POST isonet/restore.
type RestoreRequest struct {
	Backup Backup `json:"backup"`
	// Older lets a backup be restored that does not have the newest changes.
	Older bool `json:"older,omitempty"`
	// Force lets bridges go although ports are plugged in.
	Force bool `json:"force,omitempty"`
	// ConnectivityTimeout is that of setupnetworks, in seconds; 0 is the default.
	ConnectivityTimeout int `json:"connectivity_timeout,omitempty"`
}

// Restored is the reply of POST isonet/restore: the names of networks that were made,
// changed and removed, and of hosts that got other networks or labels.
type Restored struct {
	Created []string `json:"created"`
	Changed []string `json:"changed"`
	Removed []string `json:"removed"`
	Hosts   []string `json:"hosts"`
}

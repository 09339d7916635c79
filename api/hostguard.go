package api

import (
	"net/http"

	"github.com/isonet/isonet/change"
)

// DeviceRelease is the body of POST isonet/guard/release and its reply.
type DeviceRelease struct {
	// Device is the name of a network device of this host that the host guard is on
	// although it is on none of isonet's bridges any more.
	Device string `json:"device"`
}

// releaseDevice answers POST isonet/guard/release: the host guard comes off a
// device.
func (a *API) releaseDevice(c *call) error {
	var request DeviceRelease
	if err := c.readJSON(&request); err != nil {
		return err
	}
	if request.Device == "" {
		return refuse(errIncomplete, "The request needs the name of a device.")
	}
	c.allowReply(change.Timeout)
	if err := a.writer.ReleaseDevice(c.r.Context(), request.Device); err != nil {
		return err
	}
	return c.sendJSON(http.StatusOK, request)
}

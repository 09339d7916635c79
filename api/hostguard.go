package api

import (
	"net/http"

	"github.com/isonet/isonet/change"
	"github.com/isonet/isonet/wire"
)

// releaseDevice answers POST isonet/guard/release: the host guard comes off a
// device.
func (a *API) releaseDevice(c *call) error {
	var request wire.DeviceRelease
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

package api_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/isonet/isonet/api"
	"github.com/isonet/isonet/model"
)

// A rate that nobody knows any more has no value; the totals stay, and tell how
// old they are.
func TestStatisticsOfASilentNetwork(t *testing.T) {
	w := newWorld(t, func(c *api.Config) {
		c.Traffic = traffic{iso1: {
			Total:   model.Counters{ReceivedBytes: 1<<64 - 1, TransmittedBytes: 9007199254740993},
			Created: epoch, Updated: epoch.Add(time.Hour),
		}, iso3: {
			Created: epoch, Updated: epoch.Add(time.Hour), Rate: &model.Rate{Interval: 5 * time.Second, Until: epoch.Add(2 * time.Hour)},
		}}
	})
	for name, network := range map[string]model.ID{"statistics_unknown_rate": iso1, "statistics_no_traffic": iso3} {
		path := attachmentsPath + "/" + attachmentID(network) + "/statistics"
		golden(t, name+".xml", w.must(http.StatusOK, "GET", path, "").Body.Bytes())
		golden(t, name+".json", w.must(http.StatusOK, "GET", path, "", jsonReply).Body.Bytes())
	}
}

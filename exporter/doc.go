// Package exporter publishes isonet's state as Prometheus metrics. A scrape
// reads snapshots and does no I/O.
package exporter

//go:generate go run ./internal/metricsdoc ../docs/metrics.md

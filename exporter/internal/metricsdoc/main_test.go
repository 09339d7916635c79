package main

import (
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/isonet/isonet/exporter"
)

func TestDocumentIsCurrent(t *testing.T) {
	have, err := os.ReadFile("../../../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(document(exporter.Metrics()), string(have)); diff != "" {
		t.Errorf("docs/metrics.md is not current, run \"go generate ./exporter\" (-want +have):\n%s", diff)
	}
}

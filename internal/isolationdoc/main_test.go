package main

import (
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestDocumentIsCurrent(t *testing.T) {
	have, err := os.ReadFile("../../docs/isolation.md")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(document(), string(have)); diff != "" {
		t.Errorf("docs/isolation.md is not current, run \"go generate ./model/isolation\" (-want +have):\n%s", diff)
	}
}

package kernel

import (
	"fmt"
	"os"
	"testing"
)

// What test/bench measures, on the kernel's datapath. The figures are those of an
// emulated machine: only ratios of the same run mean something elsewhere.
func BenchmarkOnTheKernelsDatapath(b *testing.B) {
	m, job := prepare(b)
	build(b, job, []string{"test/bench"})
	job.Script = setting() + fmt.Sprintf("export ISONET_BENCH_NETWORKS='%s'\ncd %s/test/bench\n"+
		"./run.test -test.run='^$' -test.bench='%s' -test.benchtime='%sx' -test.timeout=0\n",
		os.Getenv("ISONET_BENCH_NETWORKS"), source, os.Getenv("ISONET_KERNEL_BENCH"), os.Getenv("ISONET_KERNEL_ROUNDS"))
	for b.Loop() {
		if err := m.Run(b.Context(), job, os.Stdout); err != nil {
			b.Fatal(err)
		}
	}
}

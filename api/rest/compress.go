package rest

import (
	"fmt"
	"net/http"

	"github.com/klauspost/compress/gzhttp"
	"github.com/klauspost/compress/gzip"
)

const (
	// leastCompressed is the fewest bytes of a reply that are worth it.
	leastCompressed = 2 << 10
	// compressedSuffix tells the entity tag of a compressed reply from that of the plain
	// one (RFC 9110 section 8.8.3.3).
	compressedSuffix = "-gzip"
)

// Compression returns what makes the replies of a handler compressed for clients that
// accept gzip: those with documents, not a stream, whose lines must arrive one by one.
func Compression() (func(http.Handler) http.HandlerFunc, error) {
	wrap, err := gzhttp.NewWrapper(
		gzhttp.MinSize(leastCompressed), gzhttp.CompressionLevel(gzip.BestSpeed), gzhttp.SuffixETag(compressedSuffix), gzhttp.EnableZstd(false),
		gzhttp.ContentTypes([]string{"application/json", "application/xml"}),
	)
	if err != nil {
		return nil, fmt.Errorf("set up the compression of replies: %w", err)
	}
	return wrap, nil
}

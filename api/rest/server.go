package rest

import (
	"context"
	"log"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"
)

const (
	headerTimeout = 10 * time.Second
	readTimeout   = 30 * time.Second
	// writeTimeout is for each part of a reply (partSize), and for what comes before the first
	// one. Writes extend that by the time that they may wait for Open vSwitch.
	writeTimeout   = 60 * time.Second
	idleTimeout    = 2 * time.Minute
	maxHeaderBytes = 16 << 10
)

// serverLog takes the messages of net/http. What strangers cause is of no interest, so
// that they cannot fill the log.
type serverLog struct{ logger *slog.Logger }

func (l serverLog) Write(message []byte) (int, error) {
	level, text := slog.LevelWarn, strings.TrimSpace(string(message))
	if strings.HasPrefix(text, "http: TLS handshake error") {
		level = slog.LevelDebug
	}
	l.logger.Log(context.Background(), level, text)
	return len(message), nil
}

// NewServer returns a server for the handler of an API, with bounds on
// everything that a client can make slow or large, except on the number of
// connections, which is the listener's: see Gate. Its Shutdown ends the streams of
// isonet/watch.
func NewServer(handler http.Handler, logger *slog.Logger) *http.Server {
	ctx, cancel := context.WithCancel(context.Background())
	server := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          log.New(serverLog{logger}, "", 0),
		BaseContext:       func(net.Listener) context.Context { return ctx },
		ConnContext:       withGuest,
		// net/http itself would answer 'OPTIONS *' without asking who it is.
		DisableGeneralOptionsHandler: true,
	}
	server.RegisterOnShutdown(cancel)
	return server
}

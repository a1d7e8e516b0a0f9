package devstack

import (
	"errors"
	"fmt"
	"net"
	"strconv"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/rs/zerolog"
)

// NATSConfig says which NATS server is wanted.
type NATSConfig struct {
	// Dir holds JetStream's files; what is there is used again.
	Dir string
	// Port to listen on; 0 picks a free one.
	Port int
	// SyncAlways flushes each message to the disk before it is acknowledged to
	// its publisher. Without it a power cut may lose the last two minutes.
	SyncAlways bool
	// MaxStore limits what all streams may hold, in bytes; 64 GiB when 0.
	// Nothing is reserved, but a stream with a larger limit is refused.
	MaxStore int64
	// Log takes the server's own log; notices become debug lines. The zero
	// value drops it.
	Log zerolog.Logger
}

// NATS is a NATS server with JetStream in this process. Its methods must not be
// called concurrently.
type NATS struct {
	// URL stays the same over a Restart.
	URL string

	cfg    NATSConfig
	server *server.Server
}

// StartNATS starts a server and returns when clients can connect. It takes no
// signals: whoever starts it has to shut it down.
func StartNATS(cfg NATSConfig) (*NATS, error) {
	if cfg.Dir == "" {
		return nil, errors.New("starting NATS: no folder is given for its streams")
	}
	n := &NATS{cfg: cfg}
	if err := n.start(); err != nil {
		return nil, err
	}
	return n, nil
}

// Restart starts the server again on the same folder and port; one that runs is
// shut down first.
func (n *NATS) Restart() error {
	n.Shutdown()
	return n.start()
}

// Shutdown ends the server and returns when its files are closed. Clients are
// cut off; they reconnect after a Restart.
func (n *NATS) Shutdown() {
	if n.server == nil {
		return
	}
	n.server.Shutdown()
	n.server.WaitForShutdown()
	n.server = nil
}

func (n *NATS) start() error {
	const host, anyPort, defaultStore = "127.0.0.1", -1, 64 << 30
	port, maxStore := n.cfg.Port, n.cfg.MaxStore
	if port == 0 {
		port = anyPort
	}
	if maxStore == 0 {
		maxStore = defaultStore
	}
	srv, err := server.NewServer(&server.Options{
		Host: host, Port: port, NoSigs: true,
		JetStream: true, StoreDir: n.cfg.Dir, JetStreamMaxStore: maxStore,
		SyncAlways: n.cfg.SyncAlways, DisableJetStreamBanner: true,
	})
	if err != nil {
		return fmt.Errorf("starting NATS: %w", err)
	}
	log := &natsLog{log: n.cfg.Log, fatal: make(chan error, 1)}
	srv.SetLoggerV2(log, false, false, false)
	srv.Start()
	if err := log.outcome(srv); err != nil {
		srv.Shutdown()
		srv.WaitForShutdown()
		return fmt.Errorf("starting NATS on %s with its streams in %s: %w",
			net.JoinHostPort(host, strconv.Itoa(n.cfg.Port)), n.cfg.Dir, err)
	}
	n.server, n.URL = srv, srv.ClientURL()
	n.cfg.Port = srv.Addr().(*net.TCPAddr).Port
	return nil
}

// natsLog is the server's logger. The server goes on after what it calls fatal
// and leaves it to its logger to end the process; we return the first instead.
type natsLog struct {
	log   zerolog.Logger
	fatal chan error
}

// outcome says how the start of a server went.
func (l *natsLog) outcome(srv *server.Server) error {
	select {
	case err := <-l.fatal:
		return err
	default:
	}
	if !srv.ReadyForConnections(startTimeout) {
		return errors.New("it isn't ready for connections")
	}
	return nil
}

func (l *natsLog) Fatalf(format string, v ...any) {
	select {
	case l.fatal <- fmt.Errorf(format, v...):
	default:
		l.Errorf(format, v...)
	}
}

func (l *natsLog) Errorf(format string, v ...any)  { l.log.Error().Msgf("nats: "+format, v...) }
func (l *natsLog) Warnf(format string, v ...any)   { l.log.Warn().Msgf("nats: "+format, v...) }
func (l *natsLog) Noticef(format string, v ...any) { l.log.Debug().Msgf("nats: "+format, v...) }
func (l *natsLog) Debugf(format string, v ...any)  { l.log.Trace().Msgf("nats: "+format, v...) }
func (l *natsLog) Tracef(format string, v ...any)  { l.log.Trace().Msgf("nats: "+format, v...) }

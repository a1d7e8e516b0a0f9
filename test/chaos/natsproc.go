package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"syncworker/internal/devstack"
)

// natsEnv, when set, makes this program the NATS server of that configuration:
// a process of its own that can be killed.
const natsEnv = "SYNCWORKER_CHAOS_NATS"

// serveNATS is that program.
func serveNATS(file string) error {
	options, err := server.ProcessConfigFile(file)
	if err != nil {
		return fmt.Errorf("reading %s: %w", file, err)
	}
	srv, err := server.NewServer(options)
	if err != nil {
		return fmt.Errorf("starting NATS: %w", err)
	}
	srv.ConfigureLogger()
	srv.Start()
	srv.WaitForShutdown()
	return nil
}

// natsNode is one NATS server. Port and folder outlive its process.
type natsNode struct {
	name    string
	port    int
	cluster int // port of its routes; 0: stands alone
	dir     string
	process *child
}

// natsServers are one node, or a cluster of three.
type natsServers struct{ nodes []*natsNode }

func newNATS(dir string, nodes int) (*natsServers, error) {
	ports, err := devstack.FreePorts(2 * nodes)
	if err != nil {
		return nil, err
	}
	s := &natsServers{}
	for i := range nodes {
		n := &natsNode{name: "n" + strconv.Itoa(i+1), port: ports[i], dir: filepath.Join(dir, "nats"+strconv.Itoa(i+1))}
		if nodes > 1 {
			n.cluster = ports[nodes+i]
		}
		s.nodes = append(s.nodes, n)
	}
	for _, n := range s.nodes {
		if err := s.configure(n); err != nil {
			return nil, err
		}
		if err := n.start(); err != nil {
			return nil, err
		}
	}
	return s, nil
}

func (s *natsServers) configure(n *natsNode) error {
	if err := os.MkdirAll(filepath.Join(n.dir, "store"), 0o755); err != nil {
		return fmt.Errorf("making the folder of NATS: %w", err)
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "server_name: %s\nlisten: \"127.0.0.1:%d\"\nlog_file: %q\n", n.name, n.port, n.logFile())
	fmt.Fprintf(&b, "jetstream: {store_dir: %q, max_file: 8GB, sync_interval: always}\n", n.store())
	if n.cluster != 0 {
		var routes []string
		for _, o := range s.nodes {
			routes = append(routes, fmt.Sprintf("\"nats://127.0.0.1:%d\"", o.cluster))
		}
		fmt.Fprintf(&b, "cluster: {name: chaos, listen: \"127.0.0.1:%d\", routes: [%s]}\n", n.cluster, strings.Join(routes, ", "))
	}
	return os.WriteFile(n.configFile(), b.Bytes(), 0o600)
}

func (n *natsNode) configFile() string { return filepath.Join(n.dir, "nats.conf") }
func (n *natsNode) logFile() string    { return filepath.Join(n.dir, "nats.log") }
func (n *natsNode) store() string      { return filepath.Join(n.dir, "store") }
func (n *natsNode) address() string    { return net.JoinHostPort("127.0.0.1", strconv.Itoa(n.port)) }

// start runs the node's process; it does nothing where it runs.
func (n *natsNode) start() error {
	if n.process != nil && n.process.alive() {
		return nil
	}
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("finding this program: %w", err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), natsEnv+"="+n.configFile())
	cmd.Stderr = os.Stderr
	if n.process, err = startChild(cmd); err != nil {
		return fmt.Errorf("running NATS: %w", err)
	}
	return nil
}

func (n *natsNode) kill() { n.process.kill() }

// stop ends all nodes.
func (s *natsServers) stop() {
	for _, n := range s.nodes {
		if n.process != nil {
			n.kill()
		}
	}
}

// addresses are where clients connect, by node.
func (s *natsServers) addresses() []string {
	var all []string
	for _, n := range s.nodes {
		all = append(all, n.address())
	}
	return all
}

// await returns when every node accepts connections.
func (s *natsServers) await(ctx context.Context) error {
	for _, n := range s.nodes {
		if err := awaitPort(ctx, n.address()); err != nil {
			return fmt.Errorf("NATS node %s isn't ready, see %s: %w", n.name, n.logFile(), err)
		}
	}
	return nil
}

func awaitPort(ctx context.Context, address string) error {
	for {
		conn, err := net.DialTimeout("tcp", address, time.Second)
		if err == nil {
			return conn.Close()
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(50 * time.Millisecond):
		}
	}
}

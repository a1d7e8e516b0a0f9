package devstack

import (
	"fmt"
	"net"
)

// FreePorts returns ports of 127.0.0.1 that nobody listens on. Whoever is to have
// them may find that somebody was faster.
func FreePorts(n int) ([]int, error) {
	var ports []int
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, fmt.Errorf("looking for a free port: %w", err)
		}
		defer l.Close() //nolint:errcheck // nothing was sent
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
	}
	return ports, nil
}

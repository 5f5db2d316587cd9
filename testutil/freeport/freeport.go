// Package freeport finds ports on loopback for servers that are told their address before they
// listen on it.
package freeport

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
)

// The ports are taken from below those that systems give to outgoing connections (Linux from 32768,
// others from 49152): a port that is free now is then not taken a moment later by somebody's
// client.
const (
	first = 10_000
	last  = 32_000
)

// Addrs returns n different addresses, as in 127.0.0.1:12345, on which nobody listens.
func Addrs(n int) ([]string, error) {
	addrs := make([]string, 0, n)
	for range 100 * n {
		if len(addrs) == n {
			break
		}
		addr := fmt.Sprintf("127.0.0.1:%d", first+rand.IntN(last-first))
		l, err := net.Listen("tcp", addr)
		if err != nil {
			continue
		}
		defer l.Close() // held until all are found, so that none is found twice
		addrs = append(addrs, addr)
	}
	if len(addrs) < n {
		return nil, errors.New("no free ports")
	}
	return addrs, nil
}

// Package freeport finds ports on loopback for servers that are told their address before they
// listen on it.
package freeport

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"

	"github.com/tssbackup/tssbackup/internal/durable"
)

// The ports are taken from below those that systems give to outgoing connections (Linux from 32768,
// others from 49152): a port that is free now is then not taken a moment later by somebody's
// client.
const (
	first = 10_000
	last  = 32_000
)

var (
	mu sync.Mutex
	// taken are the locks on the ports that were given to this process, by which no other one gets
	// them while it runs, though nobody listens there for a while.
	taken = map[int]func(){}
)

// Addrs returns n different addresses, as in 127.0.0.1:12345, on which nobody listens. They are
// this process's until it ends: neither it nor another one gets them from here again.
func Addrs(n int) ([]string, error) {
	mu.Lock()
	defer mu.Unlock()
	locks := filepath.Join(os.TempDir(), fmt.Sprintf("freeports-%d", os.Getuid()))
	if err := durable.MakeFolder(locks); err != nil {
		return nil, err
	}
	addrs := make([]string, 0, n)
	for range 100 * n {
		if len(addrs) == n {
			break
		}
		port := first + rand.IntN(last-first)
		if _, ok := taken[port]; ok {
			continue
		}
		unlock, err := durable.TryLock(filepath.Join(locks, strconv.Itoa(port)))
		if errors.Is(err, durable.ErrLocked) {
			continue
		}
		if err != nil {
			return nil, err
		}
		addr := fmt.Sprintf("127.0.0.1:%d", port)
		l, err := net.Listen("tcp", addr)
		if err != nil {
			unlock()
			continue
		}
		_ = l.Close()
		taken[port] = unlock
		addrs = append(addrs, addr)
	}
	if len(addrs) < n {
		return nil, errors.New("no free ports")
	}
	return addrs, nil
}

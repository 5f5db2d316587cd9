package publish

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/bifrost/ceremony"
	"github.com/tssbackup/tssbackup/bifrost/outbox"
	"github.com/tssbackup/tssbackup/bifrost/vault"
	"github.com/tssbackup/tssbackup/internal/durable"
)

// errKilled is what a dead process gets from everything that it still tries.
var errKilled = errors.New("killed")

// mortality says when a member's process is killed, once. A process that is killed does nothing to
// the world any more: no change to its disk, no transaction, no ceremony, no envelope, no proof.
// Then it is started again.
type mortality struct {
	// dieAt names a point: the process is killed by the first thing that it does once the point is
	// reached. The steps of the outbox are points, and "keyshares" (they are in their store),
	// "sent" (a transaction was handed to the node) and "closed".
	dieAt string
	// dieBefore and dieAfter number a change to the disk, from 1.
	dieBefore, dieAfter int

	// epoch is that of which points tell, the first if 0.
	epoch uint64

	// lost says that its host is lost with the process, which is not started again there.
	lost bool

	changes, broadcasts int
	deaths              int
	dead                bool
	kill                context.CancelFunc
}

// acts is asked before the process does something, a change to its disk or another thing, and after
// it has done what others see.
func (m *member) acts(disk bool) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.dead {
		return errKilled
	}
	behind := m.changes
	if disk {
		m.changes++
	}
	due := m.dieBefore > 0 && disk && m.changes == m.dieBefore ||
		m.dieAfter > 0 && behind >= m.dieAfter ||
		m.dieAt != "" && m.reached(m.dieAt)
	if !due || m.deaths > 0 {
		return nil
	}
	m.deaths, m.dead = m.deaths+1, true
	if m.kill != nil {
		m.kill()
	}
	return errKilled
}

// reached reports whether what is on the disk, or was sent, is as far as the point.
func (m *member) reached(point string) bool {
	in := func(pattern string) []string {
		list, err := filepath.Glob(filepath.Join(m.home, pattern))
		must(err)
		return list
	}
	open := in("outbox/*.json")
	switch point {
	case "sent":
		return m.broadcasts > 0
	case "keyshares":
		return len(in(fmt.Sprintf("keyshares/%d/localstate-*", max(m.epoch, 1)))) == 2
	case "closed":
		return len(open) == 0 && len(in("outbox/closed/"+outbox.VoteName(max(m.epoch, 1)))) > 0
	}
	for _, path := range open {
		data, err := os.ReadFile(path)
		var r outbox.Record
		if err == nil && json.Unmarshal(data, &r) == nil && string(r.Step) == point {
			return true
		}
	}
	return false
}

// mortal lets the changes to the member's disk ask first.
func (m *member) mortal(t *testing.T) {
	t.Cleanup(durable.Inject(func(_, path string) error {
		if path != m.home && !strings.HasPrefix(path, m.home+string(filepath.Separator)) {
			return nil
		}
		return m.acts(true)
	}))
}

// born begins a life of the member's process; its context ends with it.
func (m *member) born(ctx context.Context) (*Publisher, context.Context) {
	life, kill := context.WithCancel(ctx)
	m.mu.Lock()
	m.dead, m.kill = false, kill
	m.mu.Unlock()
	p := m.open()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.pub = p
	return p, life
}

// run starts the process, and starts it again whenever it was killed.
func (m *member) run() {
	ctx, cancel := context.WithCancel(context.Background())
	m.stop, m.stopped = cancel, make(chan struct{})
	p, life := m.born(ctx)
	go func() {
		defer close(m.stopped)
		for {
			_ = p.Run(life) // it returns no error
			if ctx.Err() != nil || m.lost {
				return
			}
			p, life = m.born(ctx)
		}
	}()
}

func (m *member) halt() {
	if m.stop != nil {
		m.stop()
		<-m.stopped
		m.stop = nil
	}
}

// mortalChain takes nothing from a dead process.
type mortalChain struct {
	Chain
	m *member
}

func (c mortalChain) Broadcast(ctx context.Context, tx []byte) error {
	if _, _, msg := decode(tx); isSmall(msg) {
		return c.Chain.Broadcast(ctx, tx)
	}
	if err := c.m.acts(false); err != nil {
		return err
	}
	err := c.Chain.Broadcast(ctx, tx)
	c.m.mu.Lock()
	c.m.broadcasts++
	c.m.mu.Unlock()
	if killed := c.m.acts(false); killed != nil {
		return killed
	}
	return err
}

// mortalTss takes a dead process into no ceremony.
type mortalTss struct {
	seat
	m *member
}

func (s mortalTss) Keygen(ctx context.Context, req ceremony.KeygenRequest) (*ceremony.KeygenResult, error) {
	if err := s.m.acts(false); err != nil {
		return nil, err
	}
	return s.seat.Keygen(ctx, req)
}

func (s mortalTss) Reshare(ctx context.Context, req ceremony.ReshareRequest) (*ceremony.KeygenResult, error) {
	if err := s.m.acts(false); err != nil {
		return nil, err
	}
	return s.seat.Reshare(ctx, req)
}

func (s mortalTss) Present(ctx context.Context, k vault.Keygen) (Present, error) {
	s.m.mu.Lock()
	err := s.m.unverified
	s.m.mu.Unlock()
	if err != nil {
		return Present{}, err
	}
	return s.m.w.chain.Present(ctx, k)
}

func (s mortalTss) Keysign(ctx context.Context, req ceremony.KeysignRequest) ([]byte, error) {
	if err := s.m.acts(false); err != nil {
		return nil, err
	}
	return s.seat.Keysign(ctx, req)
}

// changesOfAVote is how many changes to its disk a member makes from the keygen to the closed
// record of its vote.
func changesOfAVote(t *testing.T, prepare func(m *member)) int {
	w := newWorld(t, 4)
	for _, m := range w.members {
		prepare(m)
	}
	w.chain.open(1, 1000, w.infos())
	w.start()
	w.awaitReady(1)
	w.awaitClosed(1)
	for _, m := range w.members {
		m.halt()
	}
	require.Equal(t, w.members[0].changes, w.members[1].changes)
	return w.members[1].changes
}

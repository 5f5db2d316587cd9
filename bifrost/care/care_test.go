package care

import (
	"bytes"
	"context"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/bifrost/chain"
	"github.com/tssbackup/tssbackup/bifrost/home"
	"github.com/tssbackup/tssbackup/bifrost/vault"
	"github.com/tssbackup/tssbackup/testutil/fakemember"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// world is a signer with two vaults, its own node and another one of the same chain, and what is
// made of it.
type world struct {
	*fakemember.Member
	now time.Time
	log bytes.Buffer
	cfg home.Config

	counted
}

// counted are metrics.
type counted struct {
	restored, failed, untrusted, damaged int
	verified                             time.Time
	drills                               []DrillResult
}

func (c *counted) Restored()             { c.restored++ }
func (c *counted) RestoreFailed()        { c.failed++ }
func (c *counted) Damaged()              { c.damaged++ }
func (c *counted) Untrusted()            { c.untrusted++ }
func (c *counted) Verified(at time.Time) { c.verified = at }
func (c *counted) Drilled(r DrillResult) { c.drills = append(c.drills, r) }

func newWorld(t *testing.T) *world {
	return &world{Member: fakemember.New(t), now: time.Now(), cfg: fakemember.Config()}
}

func client(t *testing.T, url string) *chain.Client {
	c, err := chain.New(url, 0)
	require.NoError(t, err)
	return c
}

func (w *world) nodes(t *testing.T, witnesses ...string) Nodes {
	n, err := NewNodes(client(t, w.OwnURL), witnesses)
	require.NoError(t, err)
	return n
}

// verifier verifies by the own node and these witnesses.
func (w *world) verifier(t *testing.T, witnesses ...string) *Verifier {
	v, err := NewVerifier(VerifierConfig{
		ChainID: w.cfg.ChainID, Prefix: w.cfg.Prefix, Trust: w.cfg.Trust, Member: types.SignerAddress(w.PubKey),
		Nodes: w.nodes(t, witnesses...), Store: w.TrustDir(), Folder: home.TrustDir(w.Home),
		Log: zerolog.New(&w.log), Metrics: w,
	})
	require.NoError(t, err)
	v.now = func() time.Time { return w.now }
	return v
}

func (w *world) config(t *testing.T, witnesses ...string) Config {
	member := Member{
		Address: w.Address, PubKey: w.PubKey, Prefix: w.cfg.Prefix, Mnemonic: w.Mnemonic,
	}
	return Config{
		Member: member,
		Nodes:  w.nodes(t, witnesses...), Verifier: w.verifier(t, witnesses...), Store: w.Store(t),
		Held: func(_ context.Context, v vault.Vault) (Held, error) {
			return member.Held(w.Store(t), v)
		},
		Scrypt: new(sync.Mutex), Log: zerolog.New(&w.log), Metrics: w,
	}
}

func (w *world) repairer(t *testing.T) *Repairer {
	r := NewRepairer(w.config(t, w.OtherURL))
	r.now = func() time.Time { return w.now }
	return r
}

func (w *world) drill(t *testing.T, witnesses ...string) *Drill {
	d := NewDrill(w.config(t, witnesses...))
	d.wait, d.patience = time.Millisecond, 20*time.Millisecond
	return d
}

// Package care keeps a signer's keyshares where they belong and its backups fit to bring them back.
// A [Repairer] restores what should be here and is not, or is not what it was. A [Drill] recovers
// the latest backups from another node, up to the writing, and compares them with what is here.
//
// Both decide by the chain's records of vaults and backups, and no node is believed about those: a
// [Verifier] has them verified, from a trusted header on.
package care

import (
	"context"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/tssbackup/tssbackup/bifrost/chain"
	"github.com/tssbackup/tssbackup/bifrost/restore"
	"github.com/tssbackup/tssbackup/bifrost/vault"
)

// Config is what a [Repairer] and a [Drill] work with.
type Config struct {
	Member   Member
	Nodes    Nodes
	Verifier *Verifier
	// Store is what the Repairer restores to, and Held what the Drill compares with.
	Store Store
	Held  func(ctx context.Context, v vault.Vault) (Held, error)
	// Members asks the other members of a vault for an envelope that they hold and no node has.
	// Kept has those that are in this home too, which a repair tries first. Each may be nil.
	Members, Kept restore.Source
	// Scrypt is held while an envelope is opened: a run takes 256 MiB.
	Scrypt  *sync.Mutex
	Log     zerolog.Logger
	Metrics Metrics
}

// Store keeps the keyshare files; keystore.Store is one.
type Store interface {
	restore.Store
	// SetAside moves a file of an epoch out of the way and keeps it; it returns where.
	SetAside(epoch uint64, name string) (string, error)
	// Place gives files their place that were found to be of an epoch.
	Place(epoch uint64, names ...string) error
}

// Metrics is told what comes of the care.
type Metrics interface {
	// Restored and RestoreFailed are told of one vault each.
	Restored()
	RestoreFailed()
	// Damaged is told of each vault of which a keyshare file is found to be wrong.
	Damaged()
	// Verified is told the time of a header when a look verified it, Untrusted that what the nodes
	// showed in a look could not be trusted.
	Verified(header time.Time)
	Untrusted()
	// Drilled is told the result of each drill.
	Drilled(DrillResult)
}

// Nodes are those that are asked.
type Nodes struct {
	Own *chain.Client
	// Witnesses are the others, none of which is the own one.
	Witnesses []*chain.Client
}

// NewNodes adds to the own node the witnesses at these addresses.
func NewNodes(own *chain.Client, witnesses []string) (Nodes, error) {
	n := Nodes{Own: own}
	for _, address := range witnesses {
		w, err := chain.New(address, 0)
		if err != nil {
			return n, err
		}
		// The own node, named once more, witnesses nothing.
		if !w.Same(own) {
			n.Witnesses = append(n.Witnesses, w)
		}
	}
	return n, nil
}

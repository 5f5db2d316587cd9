package network

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/bifrost/envelope"
	"github.com/tssbackup/tssbackup/bifrost/keyfiles"
	"github.com/tssbackup/tssbackup/bifrost/vault"
	"github.com/tssbackup/tssbackup/testutil/dealer"
	"github.com/tssbackup/tssbackup/testutil/fixture"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// Backups are a vault of all validators, with keyshares that stand every check, and what its
// members have published.
type Backups struct {
	Vault *dealer.Vault
	// Opened is the height at which the vault's churn was opened: the chain knew nothing of the
	// vault then.
	Opened int64
	// Envelopes are those of the validators, in order, and Heights the blocks that carry them, or
	// say that the members hold them.
	Envelopes [][]byte
	Heights   []int64
}

// BackUp takes the validators, whose signers are registered, through a churn in which each
// publishes its keyshares.
func (n *Network) BackUp() *Backups {
	n.t.Helper()
	return n.Publish(n.StartChurn())
}

// Publish takes the validators through the churn that is open, of one keygen among all of them, in
// which each publishes its keyshares. Where the members hold the envelopes, all of them are asked.
func (n *Network) Publish(churn types.Churn) *Backups {
	n.t.Helper()
	var pubKeys [][]byte
	for _, v := range n.Validators {
		pubKeys = append(pubKeys, v.Signer.Key.PubKey().Bytes())
	}
	prefix := n.cfg.Chain.Addresses.withDefaults().Prefix
	name := fmt.Sprintf("%s, keygen %d", n.ChainID, churn.KeygenIds[0])
	b := &Backups{Vault: dealer.NewVault(name, prefix, pubKeys), Opened: churn.OpenedHeight}
	keys := Vault{b.Vault.PrivateKeys}
	ballot := n.Ballot(churn.KeygenIds[0])
	for i, v := range n.Validators {
		b.Envelopes = append(
			b.Envelopes, SealFiles(n.t, v.Signer, b.toSeal(n.t, ballot, i)...))
	}
	if ballot.Placement == types.Placement_PLACEMENT_MEMBERS {
		for _, key := range ballot.keys() {
			i := slices.IndexFunc(pubKeys, func(k []byte) bool { return bytes.Equal(k, key) })
			ballot.Held = append(ballot.Held, b.Envelopes[i])
		}
	}
	for i, v := range n.Validators {
		vote := ballot.Vote(keys, v.Signer, b.Envelopes[i])
		if i > 0 {
			vote = ballot.Named(vote)
		}
		res := n.SendVote(v.Signer, vote)
		b.Heights = append(b.Heights, res.Height)
	}
	n.SendVote(n.Validators[0].Signer, ballot.Check(keys, n.Validators[0].Signer))
	n.WaitChurn(types.ChurnStatus_CHURN_STATUS_COMPLETE)
	return b
}

// toSeal are the files that a validator's envelope holds: of a split vault its secrets.
func (b *Backups) toSeal(t testing.TB, ballot Ballot, validator int) []fixture.File {
	t.Helper()
	files := b.Vault.Files[validator]
	if !ballot.Split {
		return files
	}
	v := vault.Vault{PubKey: b.Vault.PubKey(), Vault: types.Vault{
		PubKeyEd25519: b.Vault.PubKeyEd25519(), Epoch: ballot.KeygenID, Split: true,
	}}
	for _, key := range ballot.keys() {
		v.Members = append(v.Members, types.Member{PubKey: key})
	}
	whole := []envelope.File{envelope.File(files[0]), envelope.File(files[1])}
	secrets, err := keyfiles.SecretsFile(v, whole, b.Vault.Deal(ballot.keys()).Group(ballot.keys()))
	require.NoError(t, err)
	return []fixture.File{fixture.File(secrets)}
}

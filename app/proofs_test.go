package app_test

import (
	"bytes"
	"testing"

	errorsmod "cosmossdk.io/errors"
	abci "github.com/cometbft/cometbft/abci/types"
	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/testutil/appchain"
	"github.com/tssbackup/tssbackup/testutil/dealer"
	"github.com/tssbackup/tssbackup/testutil/network"
	"github.com/tssbackup/tssbackup/verenc"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

const (
	chainID  = "tssbackup-app"
	keygenID = 1
)

// churn is a chain on which a keygen is open that made the vault.
type churn struct {
	*appchain.Chain
	t      testing.TB
	vault  network.Vault
	ballot network.Ballot
}

func newChurn(t testing.TB, cfg appchain.Config) *churn {
	t.Helper()
	cfg.ChainID = chainID
	c := &churn{Chain: appchain.New(t, cfg), t: t, vault: network.NewVault("app")}
	c.ballot = c.Ballot(keygenID)
	return c
}

// vote is a good vote of a member.
func (c *churn) vote(member network.Account) *types.MsgTssPool {
	return c.ballot.Vote(c.vault, member, network.Seal(c.t, member, 1_000))
}

// dealt are the shares of the vault's keys.
func (c *churn) dealt() *dealer.Dealt {
	return c.vault.Deal(c.Members)
}

// statement is what the proof of a member is to prove.
func (c *churn) statement(member network.Account) verenc.Statement {
	st, ok := c.dealt().Public.Statement(chainID, keygenID, c.vault.PubKey(), c.vault.PubKeyEd25519(),
		member.Address(), member.Recipient(0).Public())
	require.True(c.t, ok)
	return st
}

// prove proves a statement by a recipient key and shares that fit it.
func (c *churn) prove(key *verenc.RecipientKey, st verenc.Statement, shares []verenc.Share) []byte {
	proof, err := verenc.Prove(key, st, shares)
	require.NoError(c.t, err)
	return proof
}

// garbage looks like an envelope to everyone who does not have the mnemonic: the bytes behind a
// good one's header are others.
func (c *churn) garbage(member network.Account) []byte {
	envelope := network.Seal(c.t, member, 1_000)
	for i := len(envelope) - 900; i < len(envelope); i++ {
		envelope[i] ^= 0x5a
	}
	return envelope
}

// smallest is the shortest that has the form of an envelope: the header of a good one and a payload
// of one byte.
func (c *churn) smallest(member network.Account) []byte {
	envelope := network.Seal(c.t, member, 1_000)
	mac := bytes.Index(envelope, []byte("\n--- "))
	header := mac + 2 + bytes.IndexByte(envelope[mac+1:], '\n')
	return envelope[:header+16+1+16]
}

// attemptBytes is what the count of a member's attempts takes in state: a prefix, the keygen, the
// address, the count.
const attemptBytes = 1 + 8 + 20 + 8

// Of a proof over two shares: where the first seed lies, and from the end the last row, E‖w‖w.
const (
	firstSeed = 69
	lastRow   = 96
)

// flipped is a proof of the right form that does not hold: a bit of a seed is another.
func flipped(proof []byte) []byte {
	proof = bytes.Clone(proof)
	proof[firstSeed] ^= 1
	return proof
}

// TestHostileSigners has what a member may vote with that has lost its keyshares or never wants
// them found.
func TestHostileSigners(t *testing.T) {
	rows := []struct {
		name string
		vote func(c *churn, m, other network.Account) *types.MsgTssPool
		want *errorsmod.Error // nil when the vote is accepted
	}{
		{
			// Nobody can look into the envelope. Its member alone would miss it, which its fire
			// drill tells; what the vault's key needs is in the proof.
			name: "an envelope of garbage with a true proof is accepted: the shares can be opened",
			vote: func(c *churn, m, _ network.Account) *types.MsgTssPool {
				return c.ballot.Vote(c.vault, m, c.garbage(m))
			},
		},
		{
			name: "an envelope of garbage with a proof that does not hold",
			vote: func(c *churn, m, _ network.Account) *types.MsgTssPool {
				vote := c.ballot.Vote(c.vault, m, c.garbage(m))
				vote.Proof = flipped(vote.Proof)
				return vote
			},
			want: types.ErrInvalidProof,
		},
		{
			name: "a proof for another share",
			vote: func(c *churn, m, other network.Account) *types.MsgTssPool {
				vote, st := c.vote(m), c.statement(m)
				st.Shares = c.statement(other).Shares
				vote.Proof = c.prove(m.Recipient(0), st, c.dealt().Shares(other.Key.PubKey().Bytes()))
				return vote
			},
			want: types.ErrInvalidProof,
		},
		{
			name: "a proof for another share, which the list names",
			vote: func(c *churn, m, other network.Account) *types.MsgTssPool {
				vote, st := c.vote(m), c.statement(m)
				st.Shares = c.statement(other).Shares
				vote.Proof = c.prove(m.Recipient(0), st, c.dealt().Shares(other.Key.PubKey().Bytes()))
				for i, e := range vote.PublicShares.Secp256k1 {
					if bytes.Equal(e.Member, m.Address()) {
						vote.PublicShares.Secp256k1[i].Point = st.Shares[0].Point
					}
				}
				return vote
			},
			want: types.ErrInvalidShares,
		},
		{
			name: "another member's proof",
			vote: func(c *churn, m, other network.Account) *types.MsgTssPool {
				vote := c.vote(m)
				vote.Proof = c.vote(other).Proof
				return vote
			},
			want: types.ErrInvalidProof,
		},
		{
			name: "a proof to a recipient key of the same mnemonic that is not the one in state",
			vote: func(c *churn, m, _ network.Account) *types.MsgTssPool {
				vote, st := c.vote(m), c.statement(m)
				st.Recipient = m.Recipient(1).Public()
				vote.Proof = c.prove(m.Recipient(1), st, c.dealt().Shares(m.Key.PubKey().Bytes()))
				return vote
			},
			want: types.ErrInvalidProof,
		},
		{
			name: "a proof for the same shares in another keygen",
			vote: func(c *churn, m, _ network.Account) *types.MsgTssPool {
				vote := c.vote(m)
				vote.Proof = c.vault.Prove(chainID, keygenID+1, c.Members, m)
				return vote
			},
			want: types.ErrInvalidProof,
		},
		{
			name: "a proof for the same shares on another chain",
			vote: func(c *churn, m, _ network.Account) *types.MsgTssPool {
				vote := c.vote(m)
				vote.Proof = c.vault.Prove(chainID+"-2", keygenID, c.Members, m)
				return vote
			},
			want: types.ErrInvalidProof,
		},
		{
			name: "a proof for the member's shares of another vault",
			vote: func(c *churn, m, _ network.Account) *types.MsgTssPool {
				vote := c.vote(m)
				vote.Proof = network.NewVault("another").Prove(chainID, keygenID, c.Members, m)
				return vote
			},
			want: types.ErrInvalidProof,
		},
		{
			name: "a proof for the secp256k1 key alone",
			vote: func(c *churn, m, _ network.Account) *types.MsgTssPool {
				vote, st := c.vote(m), c.statement(m)
				st.Shares = st.Shares[:1]
				vote.Proof = c.prove(m.Recipient(0), st, c.dealt().Shares(m.Key.PubKey().Bytes())[:1])
				return vote
			},
			want: types.ErrInvalidProof,
		},
		{
			name: "a proof for the ed25519 key alone",
			vote: func(c *churn, m, _ network.Account) *types.MsgTssPool {
				vote, st := c.vote(m), c.statement(m)
				st.Shares = st.Shares[1:]
				vote.Proof = c.prove(m.Recipient(0), st, c.dealt().Shares(m.Key.PubKey().Bytes())[1:])
				return vote
			},
			want: types.ErrInvalidProof,
		},
		{
			name: "a vote without a proof",
			vote: func(c *churn, m, _ network.Account) *types.MsgTssPool {
				vote := c.vote(m)
				vote.Proof = nil
				return vote
			},
			want: types.ErrProofMissing,
		},
		{
			name: "a vote without public shares",
			vote: func(c *churn, m, _ network.Account) *types.MsgTssPool {
				vote := c.vote(m)
				vote.Proof, vote.PublicShares = nil, nil
				return vote
			},
			want: types.ErrInvalidShares,
		},
		{
			name: "the public shares of another vault",
			vote: func(c *churn, m, _ network.Account) *types.MsgTssPool {
				vote := c.vote(m)
				another := network.NewVault("another")
				vote.PublicShares = &another.Deal(c.Members).Public
				return vote
			},
			want: types.ErrInvalidShares,
		},
		{
			name: "two members' public shares exchanged",
			vote: func(c *churn, m, _ network.Account) *types.MsgTssPool {
				vote := c.vote(m)
				list := vote.PublicShares.Ed25519
				list[0].Point, list[1].Point = list[1].Point, list[0].Point
				return vote
			},
			want: types.ErrInvalidShares,
		},
	}
	for _, change := range []struct {
		name   string
		change func(proof []byte) []byte
	}{
		{"a proof without its last byte", func(p []byte) []byte { return p[:len(p)-1] }},
		{"a proof without its last row", func(p []byte) []byte { return p[:len(p)-lastRow] }},
		{"one byte of a proof", func(p []byte) []byte { return p[:1] }},
		{"a proof with a byte after it", func(p []byte) []byte { return append(p, 0) }},
		{"a proof with as many bytes after it as a vote may have", func(p []byte) []byte { return append(p, make([]byte, 20<<10)...) }},
		{"a proof of another suite", func(p []byte) []byte { p[0]++; return p }},
		{"a proof with another salt", func(p []byte) []byte { p[1] ^= 1; return p }},
		{"a proof with another commitment", func(p []byte) []byte { p[33] ^= 1; return p }},
		{"a proof with another nonce", func(p []byte) []byte { p[68] ^= 1; return p }},
		{"a proof with a bit of a seed flipped", flipped},
		{"a proof with a bit of an ephemeral key flipped", func(p []byte) []byte { p[len(p)-lastRow] ^= 1; return p }},
		{"a proof with a bit of a masked share flipped", func(p []byte) []byte { p[len(p)-lastRow+63] ^= 1; return p }},
		{"a proof with a masked secp256k1 share above the order", func(p []byte) []byte {
			copy(p[len(p)-lastRow+32:], bytes.Repeat([]byte{0xff}, 32))
			return p
		}},
		{"a proof with a masked ed25519 share above the order", func(p []byte) []byte {
			copy(p[len(p)-lastRow+64:], bytes.Repeat([]byte{0xff}, 32))
			return p
		}},
		{"nothing but zeros", func(p []byte) []byte { return make([]byte, len(p)) }},
	} {
		rows = append(rows, struct {
			name string
			vote func(c *churn, m, other network.Account) *types.MsgTssPool
			want *errorsmod.Error
		}{change.name, func(c *churn, m, _ network.Account) *types.MsgTssPool {
			vote := c.vote(m)
			vote.Proof = change.change(vote.Proof)
			return vote
		}, types.ErrInvalidProof})
	}

	// Here votes bring public shares, which a group part has instead: the keeper's tests spoil that.
	c := newChurn(t, appchain.Config{Params: func(p *types.Params) { p.SplitBackups = false }})
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			c := &churn{Chain: c.Fork(t), t: t, vault: c.vault, ballot: c.ballot}
			m, other := c.Signers[0], c.Signers[1]
			before := c.StateBytes()
			vote := row.vote(c, m, other)
			c.ballot.Certify(vote) // though all others had signed for it
			result := c.Block(c.Tx(m, network.TxOptions{}, vote))[0]
			if row.want == nil {
				require.Zero(t, result.Code, result.Log)
				require.True(t, c.proven(m))
				return
			}
			requireError(t, row.want, result)
			require.False(t, c.proven(m))
			// Nothing of it is in state but the attempt, if it was counted.
			require.LessOrEqual(t, c.StateBytes(), before+attemptBytes)
			// The refusal is not the end: a good vote is accepted.
			sequence := c.App.AccountKeeper.GetAccount(c.Ctx(), m.Address()).GetSequence()
			result = c.Block(c.TxAt(m, sequence, network.TxOptions{}, c.vote(m)))[0]
			require.Zero(t, result.Code, result.Log)
			require.True(t, c.proven(m))
		})
	}
}

// proven reports whether state holds a proof of the member.
func (c *churn) proven(member network.Account) bool {
	proof, err := c.App.TssbackupKeeper.Proofs.Get(c.Ctx(), proofKey(member))
	require.NoError(c.t, err)
	return proof.IsProven()
}

// TestNeededMembersMustBeProven has the deadline come with some members whose proofs were refused.
func TestNeededMembersMustBeProven(t *testing.T) {
	const members, needed = 6, 5
	rows := []struct {
		name   string
		proven int
		want   types.KeygenStatus
	}{
		{"one proven member too few, and the keygen fails", needed - 1, types.KeygenStatus_KEYGEN_STATUS_FAILED},
		{"exactly as many as needed, and the vault is active", needed, types.KeygenStatus_KEYGEN_STATUS_READY},
	}
	c := newChurn(t, appchain.Config{Members: members})
	require.EqualValues(t, needed, c.Keygen(keygenID).Needed)
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			c := &churn{Chain: c.Fork(t), t: t, vault: c.vault, ballot: c.ballot}
			for i, m := range c.Signers {
				vote := c.vote(m)
				if i >= row.proven {
					vote.Proof = flipped(vote.Proof)
				}
				if i == 1 {
					check := c.Block(c.Tx(m, network.TxOptions{}, c.ballot.Check(c.vault, m)))[0]
					require.Zero(t, check.Code, check.Log)
				}
				result := c.Block(c.Tx(m, network.TxOptions{}, vote))[0]
				if i < row.proven {
					require.Zero(t, result.Code, result.Log)
				} else {
					requireError(t, types.ErrInvalidProof, result)
				}
				require.Equal(t, types.KeygenStatus_KEYGEN_STATUS_OPEN, c.Keygen(keygenID).Status)
			}
			for range appchain.Deadline {
				c.Block()
			}
			require.Equal(t, row.want, c.Keygen(keygenID).Status)
			name, err := types.ParseVault(c.vault.Name())
			require.NoError(t, err)
			vault, err := c.App.TssbackupKeeper.Vaults.Get(c.Ctx(), name)
			if row.want == types.KeygenStatus_KEYGEN_STATUS_FAILED {
				require.Error(t, err)
				return
			}
			require.NoError(t, err)
			require.Equal(t, types.VaultStatus_VAULT_STATUS_ACTIVE, vault.Status)
			for i, m := range c.Signers {
				require.Equal(t, i < row.proven, c.proven(m))
			}
		})
	}
}

// TestFloodOfFalseProofs has a member fill the mempool with proofs that do not hold: three attempts
// are free.
func TestFloodOfFalseProofs(t *testing.T) {
	c := newChurn(t, appchain.Config{MinGasPrices: network.MinGasPrices})
	m := c.Signers[0]
	vote := c.vote(m)
	vote.Proof = flipped(vote.Proof)
	var held [][]byte
	first := c.Sequence(m)
	for range 3 * types.MaxExemptAttempts {
		// CheckTx runs no messages, so that it does not see that a proof is false. It counts.
		tx := c.TxAt(m, first+uint64(len(held)), network.TxOptions{}, vote)
		if res := c.Check(tx); res.Code == 0 {
			held = append(held, tx)
		} else {
			require.Equal(t, types.ErrTooManyAttempts.ABCICode(), res.Code, res.Log)
		}
	}
	require.Len(t, held, types.MaxExemptAttempts)
	for _, result := range c.Block(held...) {
		requireError(t, types.ErrInvalidProof, result)
	}
	next := c.TxAt(m, first+uint64(len(held)), network.TxOptions{}, vote)
	require.Equal(t, types.ErrTooManyAttempts.ABCICode(), c.Check(next).Code)
	requireError(t, types.ErrTooManyAttempts, c.Block(next)[0])
}

func requireError(t *testing.T, want *errorsmod.Error, result *abci.ExecTxResult) {
	t.Helper()
	require.Equal(t, want.Codespace(), result.Codespace, result.Log)
	require.Equal(t, want.ABCICode(), result.Code, result.Log)
}

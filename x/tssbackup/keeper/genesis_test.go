package keeper_test

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"testing"

	sdk "github.com/cosmos/cosmos-sdk/types"
	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// busy is a chain with a record of every kind: a retired, a retiring and an active vault, a failed
// churn, an open one with votes, attempts and a validator that sits out.
func busy(t testing.TB) *chain {
	params := provenParams()
	params.Sample = types.Fraction{Numerator: 3, Denominator: 4}
	params.PenaltyBlocks = 100
	params.ChurnInterval = 50
	c, vals := startChain(t, params, 5)
	first := newVault("first")
	c.complete(c.startChurn()[0], first)
	keygen := c.keygen(c.startChurn()[0]) // fails
	c.untilBlame(keygen)
	for _, m := range keygen.Members {
		if !m.Address().Equals(vals[0].addr()) {
			c.mustRun(blame(keygen.Id, bech(m.Address()), vals[0].account()))
		}
	}
	c.untilClosed(keygen.Id)
	c.complete(c.startChurn()[0], newVault("second"))
	c.complete(c.startChurn()[0], newVault("third"))
	c.mustRun(&types.MsgRetireVault{Authority: authority, Vault: first.name()})
	keygen = c.keygen(c.startChurn()[0])
	for _, m := range keygen.Members {
		c.mustRun(newJoin(keygen.Id, m, "first").msg)
	}
	c.mustRun(newJoin(keygen.Id, keygen.Members[3], "again").msg)
	require.NoError(t, c.k.CountAttempt(c.ctx, types.Exemption{KeygenID: keygen.Id, Member: keygen.Members[3].Address(), Small: true}))
	c.mustRun(newVault("fourth").vote(keygen, keygen.Members[0]))
	require.NoError(t, c.k.CountAttempt(c.ctx, types.Exemption{KeygenID: keygen.Id, Member: keygen.Members[2].Address()}))
	vals[4].signer = signerKey("new")
	c.mustRun(vals[4].register())
	for _, m := range c.coverage(newVault("third").name())[0].List {
		if m.Asked {
			c.mustRun(&types.MsgPublishBackup{Signer: m.Address, Vault: newVault("third").name(), KeysharesBackup: envelope("again", 100)})
		}
	}
	c.endBlock()
	return c
}

func TestGenesisRoundTrip(t *testing.T) {
	c := busy(t)
	gs := c.export()
	for name, n := range map[string]int{
		"signers": len(gs.Signers), "owners": len(gs.SignerOwners), "sit-outs": len(gs.SitOuts), "churns": len(gs.Churns),
		"keygens": len(gs.Keygens), "votes": len(gs.Votes), "attempts": len(gs.Attempts), "vaults": len(gs.Vaults),
		"backups": len(gs.Backups), "recipient owners": len(gs.RecipientOwners), "public shares": len(gs.PublicShares),
		"joins": len(gs.Joins), "sessions": len(gs.Sessions), "join attempts": len(gs.JoinAttempts),
		"certificates": len(gs.Certificates),
		"proofs":       len(gs.Proofs), "proof expiries": len(gs.ProofExpiries), "churn expiries": len(gs.ChurnExpiries),
	} {
		require.NotZero(t, n, name)
	}
	require.NoError(t, gs.Validate())
	next := exportInto(t, c)
	require.Equal(t, c.dump(), next.dump())
	require.Equal(t, answers(t, c), answers(t, next))

	// Both go on in the same way.
	for _, chain := range []*chain{c, next} {
		keygen := chain.keygen(chain.export().LastKeygenId)
		chain.mustRun(newVault("fourth").vote(keygen, keygen.Members[2]))
		chain.endBlocks(60)
	}
	require.Equal(t, c.dump(), next.dump())
}

func TestGenesisAtAnEarlierHeightIsRefused(t *testing.T) {
	c := busy(t)
	next := newChain(t, c.staking)
	next.ctx = next.ctx.WithBlockHeight(1)
	require.ErrorContains(t, next.k.InitGenesis(next.ctx, *c.export()), "initial height")
}

func TestDefaultGenesis(t *testing.T) {
	c := newChain(t, &fakeStaking{})
	c.ctx = c.ctx.WithBlockHeight(0)
	require.NoError(t, c.k.InitGenesis(c.ctx, *types.DefaultGenesis()))
	require.Equal(t, types.DefaultGenesis(), c.export())
	require.Equal(t, c.dump(), exportInto(t, c).dump())
}

func TestGenesisIsValidatedStrictly(t *testing.T) {
	good := busy(t).export()
	require.NoError(t, good.Validate())
	last := len(good.Keygens) - 1
	tests := []struct {
		name   string
		change func(gs *types.GenesisState)
	}{
		{"parameters that do not fit", func(gs *types.GenesisState) { gs.Params.KeygenDeadline = 0 }},
		{"a negative next churn height", func(gs *types.GenesisState) { gs.NextChurnHeight = -1 }},
		{"a churn above the last number", func(gs *types.GenesisState) { gs.LastChurnId-- }},
		{"a keygen above the last number", func(gs *types.GenesisState) { gs.LastKeygenId-- }},
		{"a churn number after which there is none", func(gs *types.GenesisState) { gs.LastChurnId = math.MaxUint64 }},
		{"a keygen number after which there is none", func(gs *types.GenesisState) { gs.LastKeygenId = math.MaxUint64 }},
		{"a stranger at fault", func(gs *types.GenesisState) { gs.Keygens[1].Silent = [][]byte{bytes.Repeat([]byte{1}, 20)} }},
		{"an operator without an address", func(gs *types.GenesisState) { gs.SignerOwners[0].Owner.Operator = nil }},
		{"a signer with an earlier recipient key than its latest", func(gs *types.GenesisState) {
			for i, o := range gs.SignerOwners {
				if bytes.Equal(o.Address, gs.Signers[0].Signer.Address) {
					gs.SignerOwners[i].Owner.Latest.Index++
				}
			}
		}},
		{"a signer owner with another's recipient key", func(gs *types.GenesisState) {
			gs.SignerOwners[0].Owner.Latest.Key = gs.SignerOwners[1].Owner.Latest.Key
		}},
		{"a signer owner twice", func(gs *types.GenesisState) { gs.SignerOwners[1] = gs.SignerOwners[0] }},
		{"a signer that its operator does not own", func(gs *types.GenesisState) {
			gs.Signers[0].Signer, gs.Signers[1].Signer = gs.Signers[1].Signer, gs.Signers[0].Signer
		}},
		{"a signer with another address", func(gs *types.GenesisState) { gs.Signers[0].Signer.Address = gs.Signers[1].Signer.Address }},
		{"a signer without a key", func(gs *types.GenesisState) { gs.Signers[0].Signer.PubKey = nil }},
		{"signers out of order", func(gs *types.GenesisState) {
			gs.Signers[0], gs.Signers[1] = gs.Signers[1], gs.Signers[0]
		}},
		{"a sit-out without an end", func(gs *types.GenesisState) { gs.SitOuts[0].SitOut.Until = 0 }},
		{"a sit-out for no fault", func(gs *types.GenesisState) { gs.SitOuts[0].SitOut.Count = 0 }},
		{"a churn without a status", func(gs *types.GenesisState) { gs.Churns[0].Status = 0 }},
		{"a churn that is closed before it opened", func(gs *types.GenesisState) { gs.Churns[1].ClosedHeight = gs.Churns[1].OpenedHeight - 1 }},
		{"a churn without keygens", func(gs *types.GenesisState) { gs.Churns[0].KeygenIds = nil }},
		{"a churn twice", func(gs *types.GenesisState) { gs.Churns[1] = gs.Churns[0] }},
		{"two open churns", func(gs *types.GenesisState) {
			gs.Churns[1].Status, gs.Churns[1].ClosedHeight = types.ChurnStatus_CHURN_STATUS_OPEN, 0
		}},
		{"a missing keygen", func(gs *types.GenesisState) { gs.Keygens = gs.Keygens[1:] }},
		{"a keygen of no churn", func(gs *types.GenesisState) {
			gs.Keygens = append(gs.Keygens, types.Keygen{Id: gs.LastKeygenId})
		}},
		{"a keygen of another churn", func(gs *types.GenesisState) { gs.Keygens[0].ChurnId = 2 }},
		{"a keygen with two members", func(gs *types.GenesisState) { gs.Keygens[last].Members = gs.Keygens[last].Members[:2] }},
		{"a keygen with a wrong threshold", func(gs *types.GenesisState) { gs.Keygens[last].Threshold-- }},
		{"a keygen that needs less than the threshold", func(gs *types.GenesisState) { gs.Keygens[last].Needed = 1 }},
		{"a keygen that needs more than its members", func(gs *types.GenesisState) { gs.Keygens[last].Needed = 9 }},
		{"a keygen that asks too few", func(gs *types.GenesisState) {
			for i := range gs.Keygens[last].Members {
				gs.Keygens[last].Members[i].Asked = false
			}
		}},
		{"members out of order", func(gs *types.GenesisState) {
			m := gs.Keygens[last].Members
			m[0], m[1] = m[1], m[0]
		}},
		{"a member that was never registered", func(gs *types.GenesisState) {
			gs.Keygens[last].Members[0].PubKey = append([]byte{2}, make([]byte, 31)...)
			gs.Keygens[last].Members[0].PubKey = append(gs.Keygens[last].Members[0].PubKey, 1)
		}},
		{"an open keygen of a closed churn", func(gs *types.GenesisState) {
			gs.Keygens[1].Status, gs.Keygens[1].ClosedHeight = open, 0
		}},
		{"a ready keygen of a failed churn", func(gs *types.GenesisState) {
			gs.Keygens[1].Status, gs.Keygens[1].Vault = ready, newVault("x").pubKey()
		}},
		{"a failed keygen with a vault", func(gs *types.GenesisState) { gs.Keygens[1].Vault = newVault("x").pubKey() }},
		{"a complete keygen with members", func(gs *types.GenesisState) { gs.Keygens[0].Members = gs.Vaults[0].Vault.Members }},
		{"a keygen closed after its churn", func(gs *types.GenesisState) { gs.Keygens[0].ClosedHeight = 40 }},
		{"a vote on no keygen", func(gs *types.GenesisState) { gs.Votes[0].KeygenId = 77 }},
		{"a stranger's vote", func(gs *types.GenesisState) { gs.Votes[0].Member = bytes.Repeat([]byte{1}, 20) }},
		{"a vote twice", func(gs *types.GenesisState) { gs.Votes = append(gs.Votes, gs.Votes[len(gs.Votes)-1]) }},
		{"a vote after the deadline", func(gs *types.GenesisState) { gs.Votes[0].Vote.Height = 1000 }},
		{"a vote with a short hash", func(gs *types.GenesisState) {
			vote(gs).Commitment.Sha256 = []byte{1}
		}},
		{"a vote with a key that is no point", func(gs *types.GenesisState) { vote(gs).Result.PubKeyEd25519 = make([]byte, 32) }},
		{"a vote with a result and a blame", func(gs *types.GenesisState) { vote(gs).Blamed = gs.Votes[0].Vote.Blamed }},
		{"a vote without the envelope that was asked for", func(gs *types.GenesisState) { vote(gs).Commitment = nil }},
		{"a vote for a vault that exists", func(gs *types.GenesisState) { vote(gs).Result.PubKey = gs.Vaults[0].PubKey }},
		{"an attempt for no keygen", func(gs *types.GenesisState) { gs.Attempts[0].KeygenId = 77 }},
		{"too many attempts", func(gs *types.GenesisState) { gs.Attempts[0].Count = 4 }},
		{"too many joins", func(gs *types.GenesisState) { gs.JoinAttempts[0].Count = types.MaxExemptJoins + 1 }},
		{"a stranger's join", func(gs *types.GenesisState) { gs.Joins[0].Member = []byte{1} }},
		{"a join without a session", func(gs *types.GenesisState) { gs.Sessions = nil }},
		{"a join for the attempt after the next", func(gs *types.GenesisState) { gs.Joins[0].Join.Attempt = 3 }},
		{"a join with a short nonce", func(gs *types.GenesisState) { gs.Joins[0].Join.Nonce = []byte{1} }},
		{"a join after its time", func(gs *types.GenesisState) { gs.Joins[0].Join.Height = math.MaxInt64 }},
		{"joins out of order", func(gs *types.GenesisState) { gs.Joins[0], gs.Joins[1] = gs.Joins[1], gs.Joins[0] }},
		{"a session that counts other joins", func(gs *types.GenesisState) { gs.Sessions[0].Session.Joined++ }},
		{"a session without an id", func(gs *types.GenesisState) { gs.Sessions[0].Session.Id = nil }},
		{"a session without a member", func(gs *types.GenesisState) {
			gs.Sessions[0].Session.Members = gs.Sessions[0].Session.Members[1:]
		}},
		{"a session with a join for another attempt", func(gs *types.GenesisState) { gs.Sessions[0].Session.Members[0].Attempt = 2 }},
		{"a session of a closed keygen", func(gs *types.GenesisState) { gs.Sessions[0].KeygenId = 1 }},
		{"no attempts", func(gs *types.GenesisState) { gs.Attempts[0].Count = 0 }},
		{"a stranger's attempt", func(gs *types.GenesisState) { gs.Attempts[0].Member = []byte{1} }},
		{"a vault that no keygen made", func(gs *types.GenesisState) { gs.Vaults[0].PubKey = newVault("x").pubKey() }},
		{"a vault twice", func(gs *types.GenesisState) { gs.Vaults[1] = gs.Vaults[0] }},
		{"a missing vault", func(gs *types.GenesisState) { gs.Vaults = gs.Vaults[:1] }},
		{"a vault without an ed25519 key", func(gs *types.GenesisState) { gs.Vaults[0].Vault.PubKeyEd25519 = nil }},
		{"a vault without a status", func(gs *types.GenesisState) { gs.Vaults[0].Vault.Status = 0 }},
		{"a vault with a status that does not fit its heights", func(gs *types.GenesisState) {
			for i := range gs.Vaults {
				gs.Vaults[i].Vault.Status = types.VaultStatus_VAULT_STATUS_RETIRED
			}
		}},
		{"a vault that was active before its churn closed", func(gs *types.GenesisState) { gs.Vaults[0].Vault.ActiveHeight-- }},
		{"a live churn that is not complete", func(gs *types.GenesisState) { gs.LiveChurnId = 5 }},
		{"no live churn", func(gs *types.GenesisState) { gs.LiveChurnId = 0 }},
		{"a churn expiry of a churn that is complete", func(gs *types.GenesisState) { gs.ChurnExpiries[0].ChurnId = 1 }},
		{"a churn expiry of no churn", func(gs *types.GenesisState) { gs.ChurnExpiries[0].ChurnId = 99 }},
		{"a churn expiry at the failure", func(gs *types.GenesisState) { gs.ChurnExpiries[0].Height = gs.Churns[1].ClosedHeight }},
		{"two expiries of a churn", func(gs *types.GenesisState) {
			later := gs.ChurnExpiries[0]
			later.Height++
			gs.ChurnExpiries = append(gs.ChurnExpiries, later)
		}},
		{"a backup of no epoch", func(gs *types.GenesisState) { gs.Backups[0].Epoch = 99 }},
		{"a stranger's backup", func(gs *types.GenesisState) { gs.Backups[0].Member = []byte{1} }},
		{"a backup twice", func(gs *types.GenesisState) { gs.Backups[1] = gs.Backups[0] }},
		{"a backup of no bytes", func(gs *types.GenesisState) { gs.Backups[0].Backup.First.Size_ = 0 }},
		{"a backup with a short hash at last", func(gs *types.GenesisState) {
			gs.Backups[0].Backup.Latest = &types.Commitment{Sha256: []byte{1}, Size_: 1, Height: 1 << 20}
		}},
		{"a backup whose latest is before its first", func(gs *types.GenesisState) {
			earlier := gs.Backups[0].Backup.First
			earlier.Height--
			gs.Backups[0].Backup.Latest = &earlier
		}},
		{"a vault with another threshold than its keygen", func(gs *types.GenesisState) { gs.Keygens[0].Threshold-- }},
		{"a vault that needed fewer than its keygen", func(gs *types.GenesisState) { gs.Vaults[0].Vault.Needed-- }},
		{"a vault that needed none", func(gs *types.GenesisState) {
			v := &gs.Vaults[0].Vault
			for i := range gs.Keygens {
				if gs.Keygens[i].Id == v.Epoch {
					gs.Keygens[i].Needed = 0
				}
			}
			v.Needed = 0
		}},
		{"a vault that needed more than it has members", func(gs *types.GenesisState) {
			v := &gs.Vaults[0].Vault
			for i := range gs.Keygens {
				if gs.Keygens[i].Id == v.Epoch {
					gs.Keygens[i].Needed = uint32(len(v.Members)) + 1
				}
			}
			v.Needed = uint32(len(v.Members)) + 1
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			bz, err := testCodec.Marshal(good)
			require.NoError(t, err)
			var gs types.GenesisState
			require.NoError(t, testCodec.Unmarshal(bz, &gs))
			tt.change(&gs)
			require.Error(t, gs.Validate())
			next := newChain(t, &fakeStaking{})
			next.ctx = next.ctx.WithBlockHeight(1 << 30)
			require.Error(t, next.k.InitGenesis(next.ctx, gs))
		})
	}
}

// TestGenesisOfAKeygenThatWaits has what the end of a block relies on when it makes a vault of a
// keygen that was ready before.
func TestGenesisOfAKeygenThatWaits(t *testing.T) {
	c, a, b := openTwo(t)
	vault := newVault("a")
	c.allVote(a, vault)
	c.mustRun(newVault("b").vote(b, b.Members[0]))
	c.endBlock()
	require.NoError(t, c.export().Validate())
	tests := []struct {
		name   string
		change func(gs *types.GenesisState)
	}{
		{"one of the votes that it needs is missing", func(gs *types.GenesisState) { gs.Votes = gs.Votes[1:] }},
		{"one of the votes has another ed25519 key", func(gs *types.GenesisState) {
			vote(gs).Result.PubKeyEd25519 = newVault("other").pubKeyEd25519()
		}},
		{"it has another vault than its votes", func(gs *types.GenesisState) { gs.Keygens[0].Vault = newVault("b").pubKey() }},
		{"its sibling is ready without votes", func(gs *types.GenesisState) {
			gs.Keygens[1].Status, gs.Keygens[1].Vault = ready, newVault("b").pubKey()
			gs.Keygens[1].ClosedHeight = gs.Keygens[0].ClosedHeight
		}},
		{"its sibling has its vault", func(gs *types.GenesisState) {
			k := &gs.Keygens[1]
			k.Status, k.Vault, k.ClosedHeight = ready, vault.pubKey(), gs.Keygens[0].ClosedHeight
			first := *vote(gs)
			gs.Votes = gs.Votes[:3]
			gs.Certificates[1].Certificate.Result = *first.Result
			addresses := make([][]byte, len(k.Members))
			for i, m := range k.Members {
				addresses[i] = m.Address()
			}
			slices.SortFunc(addresses, bytes.Compare)
			for _, addr := range addresses {
				gs.Votes = append(gs.Votes, types.GenesisVote{KeygenId: k.Id, Member: addr, Vote: first})
			}
		}},
		{"a stranger was silent", func(gs *types.GenesisState) { gs.Keygens[0].Silent = [][]byte{bytes.Repeat([]byte{1}, 20)} }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			gs := c.export()
			tt.change(gs)
			require.ErrorIs(t, gs.Validate(), types.ErrInvalidGenesis)
		})
	}
}

// TestGenesisOfCertificates has the rules of a certificate, of the votes beside it, and of a keygen
// that is ready. Keygen 1 is ready and waits for its sibling, keygen 2 has a certificate, and
// keygen 3 none; one of its members voted that it failed.
func TestGenesisOfCertificates(t *testing.T) {
	params := testParams()
	params.MaxVaultMembers = 5
	c, _ := startChain(t, params, 11)
	ids := c.startChurn()
	require.Len(t, ids, 3)
	a, b, z := c.keygen(ids[0]), c.keygen(ids[1]), c.keygen(ids[2])
	c.begin(z)
	c.endBlock()
	c.allVote(a, newVault("a"))
	c.mustRun(newJoin(b.Id, b.Members[1], "for the next attempt").msg)
	c.unchecked = true
	c.mustRun(newVault("b").vote(b, b.Members[0]))
	c.untilBlame(z)
	c.mustRun(blame(z.Id, bech(z.Members[0].Address())))
	c.endBlock()
	require.Equal(t, ready, c.keygen(a.Id).Status)
	require.NoError(t, c.export().Validate())
	require.Equal(t, c.dump(), exportInto(t, c).dump())
	// voteOf is the vote of a member of a keygen.
	voteOf := func(gs *types.GenesisState, keygen uint64) *types.Vote {
		for i := range gs.Votes {
			if gs.Votes[i].KeygenId == keygen {
				return &gs.Votes[i].Vote
			}
		}
		panic("no such vote")
	}
	tests := []struct {
		name   string
		change func(gs *types.GenesisState, certificates []types.GenesisCertificate)
		err    string
	}{
		{"a certificate of no keygen", func(_ *types.GenesisState, cs []types.GenesisCertificate) {
			cs[1].KeygenId = 77
		}, "certificate 1 is of no open keygen"},
		{"a certificate twice", func(gs *types.GenesisState, cs []types.GenesisCertificate) {
			gs.Certificates = append(gs.Certificates, cs[1])
		}, "certificate 2 is not in ascending order"},
		{"certificates out of order", func(_ *types.GenesisState, cs []types.GenesisCertificate) {
			cs[0], cs[1] = cs[1], cs[0]
		}, "certificate 1 is not in ascending order"},
		{"a certificate of no attempt", func(_ *types.GenesisState, cs []types.GenesisCertificate) {
			cs[1].Certificate.Attempt = 0
		}, "certificate 1 is not of the latest session"},
		{"a certificate of an attempt before", func(gs *types.GenesisState, _ []types.GenesisCertificate) {
			s := &gs.Sessions[1].Session
			s.Attempt++
			for i := range s.Members {
				s.Members[i].Attempt++
			}
			for i := range gs.Joins {
				if gs.Joins[i].KeygenId == b.Id {
					gs.Joins[i].Join.Attempt++
				}
			}
		}, "certificate 1 is not of the latest session"},
		{"a certificate without a session", func(gs *types.GenesisState, _ []types.GenesisCertificate) {
			gs.Sessions = gs.Sessions[1:]
			gs.Joins = slices.DeleteFunc(gs.Joins, func(j types.GenesisJoin) bool { return j.KeygenId == a.Id })
		}, "certificate 0 is not of the latest session"},
		{"a certificate before its session", func(gs *types.GenesisState, cs []types.GenesisCertificate) {
			cs[1].Certificate.Height = gs.Sessions[1].Session.Height - 1
		}, "certificate 1 is not of the latest session"},
		{"a certificate after its time", func(_ *types.GenesisState, cs []types.GenesisCertificate) {
			cs[1].Certificate.Height = b.CertificateDeadline() + 1
		}, "certificate 1 is not of the latest session"},
		{"a certificate of a key that is no point", func(_ *types.GenesisState, cs []types.GenesisCertificate) {
			cs[1].Certificate.Result.PubKey = make([]byte, 33)
		}, "certificate 1: "},
		{"a certificate without an ed25519 key", func(_ *types.GenesisState, cs []types.GenesisCertificate) {
			cs[1].Certificate.Result.PubKeyEd25519 = nil
		}, "certificate 1: "},
		{"one signature of a vault alone", func(_ *types.GenesisState, cs []types.GenesisCertificate) {
			cs[0].Certificate.SignatureEd25519 = nil
		}, "certificate 0 has malformed signatures"},
		{"a short signature of a vault", func(_ *types.GenesisState, cs []types.GenesisCertificate) {
			cs[0].Certificate.Signature = cs[0].Certificate.Signature[1:]
		}, "certificate 0 has malformed signatures"},
		{"a vote for a result without a certificate", func(gs *types.GenesisState, cs []types.GenesisCertificate) {
			gs.Certificates = cs[:1]
		}, "for another result than the certificate"},
		{"a vote for another result than the certificate's", func(_ *types.GenesisState, cs []types.GenesisCertificate) {
			cs[1].Certificate.Result.PubKeyEd25519 = newVault("other").pubKeyEd25519()
		}, "for another result than the certificate"},
		{"a vote for the vault with other public shares", func(_ *types.GenesisState, cs []types.GenesisCertificate) {
			cs[1].Certificate.Result.SharesHash = make([]byte, 32)
		}, "for another result than the certificate"},
		{"a blame beside a certificate", func(gs *types.GenesisState, _ []types.GenesisCertificate) {
			*voteOf(gs, b.Id) = types.Vote{Height: b.CertificateDeadline() + 1}
		}, "is a blame, and there is a certificate"},
		{"a blame before its time", func(gs *types.GenesisState, _ []types.GenesisCertificate) {
			voteOf(gs, z.Id).Height = z.CertificateDeadline()
		}, "one that is too early"},
		{"a blame with an envelope", func(gs *types.GenesisState, _ []types.GenesisCertificate) {
			voteOf(gs, z.Id).Commitment = voteOf(gs, a.Id).Commitment
		}, "a blame with an envelope"},
		{"a certificate that no vote brought", func(gs *types.GenesisState, _ []types.GenesisCertificate) {
			gs.Votes = slices.DeleteFunc(gs.Votes, func(v types.GenesisVote) bool { return v.KeygenId == b.Id })
			gs.PublicShares = slices.DeleteFunc(gs.PublicShares, func(s types.GenesisPublicShares) bool {
				return s.KeygenId == b.Id
			})
		}, "certificate 1 was brought by no vote"},
		{"a certificate of another block than its vote", func(_ *types.GenesisState, cs []types.GenesisCertificate) {
			cs[1].Certificate.Height++
		}, "certificate 1 was brought by no vote"},
		{"a ready keygen whose vault has not signed", func(_ *types.GenesisState, cs []types.GenesisCertificate) {
			cs[0].Certificate.Signature, cs[0].Certificate.SignatureEd25519 = nil, nil
		}, "keygen 1 is ready without votes and signatures"},
		{"a ready keygen without a certificate and votes", func(gs *types.GenesisState, cs []types.GenesisCertificate) {
			gs.Certificates = cs[1:]
			gs.Votes = slices.DeleteFunc(gs.Votes, func(v types.GenesisVote) bool { return v.KeygenId == a.Id })
		}, "keygen 1 is ready without votes and signatures"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			gs := c.export()
			tt.change(gs, gs.Certificates)
			err := gs.Validate()
			require.ErrorIs(t, err, types.ErrInvalidGenesis)
			require.ErrorContains(t, err, tt.err)
		})
	}
	t.Run("a certificate of a keygen that is closed", func(t *testing.T) {
		gs := busy(t).export()
		gs.Certificates[0].KeygenId = 1
		require.ErrorContains(t, gs.Validate(), "certificate 0 is of no open keygen")
	})
}

// beating is a chain with a claim, a heartbeat, an exempt one that was counted, a beacon, a vault
// that began to retire after a pause, and a pause that goes on.
func beating(t testing.TB) *chain {
	c, vals, epoch := beatingChain(t, beatParams(), 4)
	require.NoError(t, c.k.Pause(c.ctx))
	c.endBlocks(5)
	require.NoError(t, c.k.Resume(c.ctx))
	c.complete(c.startChurn()[0], newVault("second"))
	c.untilHeight(2*types.BeaconInterval + 1)
	claim := claimOf(vals[1].account(), 0, "a claim")
	for _, msg := range []sdk.Msg{vals[0].beat(epoch, 200, machine), claim} {
		e, ok, err := c.k.ExemptVote(c.ctx, msg)
		require.NoError(t, err)
		require.True(t, ok)
		require.NoError(t, c.k.CountAttempt(c.ctx, e))
		c.mustRun(msg)
	}
	c.endBlock()
	require.NoError(t, c.k.Pause(c.ctx))
	c.endBlocks(3)
	return c
}

func TestGenesisOfTermsHeartbeatsAndPausesIsValidatedStrictly(t *testing.T) {
	c := beating(t)
	require.Equal(t, c.dump(), exportInto(t, c).dump())
	// beaten is the heartbeat that came.
	beaten := func(gs *types.GenesisState) *types.Heartbeat {
		for i := range gs.Heartbeats {
			if gs.Heartbeats[i].Heartbeat.MachineHeight != 0 {
				return &gs.Heartbeats[i].Heartbeat
			}
		}
		panic("no such heartbeat")
	}
	retiring := func(gs *types.GenesisState) *types.Vault {
		for i := range gs.Vaults {
			if gs.Vaults[i].Vault.Status == types.VaultStatus_VAULT_STATUS_RETIRING {
				return &gs.Vaults[i].Vault
			}
		}
		panic("no such vault")
	}
	require.EqualValues(t, 5, retiring(c.export()).RetiringPaused)
	most := c.export().Pause.Total + beatParams().MaxPause
	tests := []struct {
		name   string
		change func(gs *types.GenesisState)
		err    string
	}{
		{"a term of a stranger", func(gs *types.GenesisState) { gs.SignerTerms[0].Address = []byte{1} }, "of no signer"},
		{"a term twice", func(gs *types.GenesisState) {
			gs.SignerTerms = append(gs.SignerTerms, gs.SignerTerms[0])
		}, "not in ascending order"},
		{"a zeroth term", func(gs *types.GenesisState) { gs.SignerTerms[0].Term.Term = 0 }, "no number"},
		{"a term after which there is none", func(gs *types.GenesisState) {
			gs.SignerTerms[0].Term.Term = math.MaxUint64
		}, "no next one"},
		{"a short nonce", func(gs *types.GenesisState) { gs.SignerTerms[0].Term.Nonce = []byte{1} }, "a nonce of 1 bytes"},
		{"addresses that cannot be printed", func(gs *types.GenesisState) {
			gs.SignerTerms[0].Term.Addresses = "\n"
		}, "no printable"},
		{"claims of a stranger", func(gs *types.GenesisState) { gs.Claims[0].Address = []byte{1} }, "of no signer"},
		{"no claims", func(gs *types.GenesisState) { gs.Claims[0].Window.Count = 0 }, "not 1 to 3"},
		{"too many claims", func(gs *types.GenesisState) { gs.Claims[0].Window.Count = 4 }, "not 1 to 3"},
		{"a signer's owner without a signer", func(gs *types.GenesisState) {
			gs.SignerOwners[0].Owner.Operator = []byte{1}
		}, "not owned by its operator"},
		{"an operator without a signer", func(gs *types.GenesisState) {
			gs.Signers = gs.Signers[1:]
		}, "its operator has no signer"},
		{"a member without a heartbeat", func(gs *types.GenesisState) {
			gs.Heartbeats = gs.Heartbeats[1:]
		}, "7 heartbeats of 8 members"},
		{"a heartbeat twice", func(gs *types.GenesisState) {
			gs.Heartbeats[1] = gs.Heartbeats[0]
		}, "not in ascending order"},
		{"a heartbeat of a stranger", func(gs *types.GenesisState) { gs.Heartbeats[0].Member = []byte{1} }, "not a member's"},
		{"heartbeats where none is due", func(gs *types.GenesisState) {
			gs.Params.HeartbeatInterval, gs.Params.HeartbeatGrace = 0, 0
		}, "of no vault that heartbeats are due of"},
		{"a heartbeat that is never due", func(gs *types.GenesisState) { beaten(gs).Due = 0 }, "heights do not fit"},
		{"a heartbeat without a beacon", func(gs *types.GenesisState) { beaten(gs).BeaconHeight = 0 }, "heights do not fit"},
		{"a heartbeat before its beacon", func(gs *types.GenesisState) { beaten(gs).BeaconHeight = 300 }, "heights do not fit"},
		{"overdue, and none was missed", func(gs *types.GenesisState) { beaten(gs).Overdue = true }, "none was missed"},
		{"put back by as much as the pause can last", func(gs *types.GenesisState) { beaten(gs).Paused = most }, ""},
		{"put back by more", func(gs *types.GenesisState) { beaten(gs).Paused = most + 1 }, "by more than all pauses"},
		{"put back by more than a pause that is over", func(gs *types.GenesisState) {
			beaten(gs).Paused = gs.Pause.Total + 1
			gs.Pause.Since, gs.Pause.Until = 0, 0
		}, "by more than all pauses"},
		{"retiring after more", func(gs *types.GenesisState) { retiring(gs).RetiringPaused = most + 1 }, "after more than all"},
		{"attempts of a stranger", func(gs *types.GenesisState) {
			gs.HeartbeatAttempts[0].Member = []byte{1}
		}, "not a member's"},
		{"too many attempts", func(gs *types.GenesisState) {
			gs.HeartbeatAttempts[0].Window.Count = 4
		}, "not in 1 to 3"},
		{"three beacons", func(gs *types.GenesisState) {
			gs.Beacons = append(gs.Beacons, gs.Beacons[1])
		}, "more than two beacons"},
		{"beacons out of order", func(gs *types.GenesisState) {
			gs.Beacons[0], gs.Beacons[1] = gs.Beacons[1], gs.Beacons[0]
		}, "beacon 1 is not before"},
		{"a beacon of another block", func(gs *types.GenesisState) { gs.Beacons[0].Height++ }, "beacon 0 is malformed"},
		{"a beacon without a hash", func(gs *types.GenesisState) { gs.Beacons[0].AppHash = nil }, "beacon 0 is malformed"},
		{"a pause that ends before it begins", func(gs *types.GenesisState) {
			gs.Pause.Until = gs.Pause.Since
		}, "out of order"},
		{"a pause that only ends", func(gs *types.GenesisState) { gs.Pause.Since = 0 }, "out of order"},
		{"a pause without an end", func(gs *types.GenesisState) {
			gs.Pause.Until = gs.Pause.Since + 1<<32 + 1
		}, "longer than any may be"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			gs := c.export()
			tt.change(gs)
			err := gs.Validate()
			if tt.err == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorIs(t, err, types.ErrInvalidGenesis)
			require.ErrorContains(t, err, tt.err)
		})
	}
	t.Run("attempts of a window to come", func(t *testing.T) {
		gs := c.export()
		gs.HeartbeatAttempts[0].Window.Start = 300
		next := newChain(t, c.staking)
		next.ctx = next.ctx.WithBlockHeight(c.ctx.BlockHeight())
		require.ErrorContains(t, next.k.InitGenesis(next.ctx, *gs), "heights up to 300")
	})
}

func TestGenesisBeforeATryWasOpenedIsRefused(t *testing.T) {
	params := testParams()
	params.MaxVaultMembers = 5
	c, _ := startChain(t, params, 8)
	id := c.startChurn()[0]
	c.untilClosed(id) // at its deadline, which nothing but its end tells
	gs := c.export()
	next := newChain(t, c.staking)
	next.ctx = next.ctx.WithBlockHeight(c.keygen(id).ClosedHeight - 1)
	require.ErrorContains(t, next.k.InitGenesis(next.ctx, *gs), "initial height")
}

// vote is the first vote for a result with an envelope.
func vote(gs *types.GenesisState) *types.Vote {
	for i := range gs.Votes {
		if gs.Votes[i].Vote.Commitment != nil {
			return &gs.Votes[i].Vote
		}
	}
	panic(fmt.Sprint("no such vote among ", len(gs.Votes)))
}

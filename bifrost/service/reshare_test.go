package service

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/bifrost/care"
	"github.com/tssbackup/tssbackup/bifrost/chain"
	"github.com/tssbackup/tssbackup/bifrost/home"
	"github.com/tssbackup/tssbackup/bifrost/vault"
	"github.com/tssbackup/tssbackup/testutil/fakenode"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// reshareRecords are verified records of one vault and a reshare of it.
type reshareRecords struct {
	care.Records
	height int64
	vault  vault.Vault
	keygen vault.Keygen
	shares types.PublicShares
}

func (r reshareRecords) Height() int64 { return r.height }

func (r reshareRecords) Vault(context.Context, []byte) (vault.Vault, error) { return r.vault, nil }

func (r reshareRecords) Keygen(context.Context, uint64) (vault.Keygen, error) { return r.keygen, nil }

func (r reshareRecords) Proofs(context.Context, vault.Vault) (chain.Proofs, error) {
	return chain.Proofs{Shares: r.shares}, nil
}

func testReshare() vault.Keygen {
	v := testVault(nil)
	k := vault.Keygen{Deal: 3, OpenedHeight: 90, Deadline: 190}
	k.Id, k.Threshold = 9, 3
	k.Reshare = &types.Reshare{Vault: v.PubKey, Epoch: 7}
	k.Members = []types.Member{{PubKey: []byte{4}}, {PubKey: []byte{5}}}
	return k
}

// What a member deals, and to whom, is what is verified, whatever a node shows.
func TestWhatAReshareHandsOnIsVerified(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(r *reshareRecords)
		behind bool
		says   string
	}{
		{"as the node shows it", func(*reshareRecords) {}, false, ""},
		{"one of whom may deal was excluded meanwhile", func(r *reshareRecords) { r.keygen.Able = [][]byte{{1}} }, false, ""},
		{"records of before it opened", func(r *reshareRecords) { r.height = 89 }, true, "before reshare 9"},
		{"no such reshare", func(r *reshareRecords) { r.keygen = vault.Keygen{} }, false, "not verified"},
		{"a keygen of that number", func(r *reshareRecords) { r.keygen.Reshare = nil }, false, "not verified"},
		{"other members", func(r *reshareRecords) { r.keygen.Members = r.keygen.Members[:1] }, false, "not verified"},
		{"another threshold", func(r *reshareRecords) { r.keygen.Threshold = 2 }, false, "not verified"},
		{"fewer who deal", func(r *reshareRecords) { r.keygen.Deal = 2 }, false, "not verified"},
		{"another epoch", func(r *reshareRecords) { r.keygen.Reshare = &types.Reshare{Vault: r.vault.PubKey, Epoch: 6} }, false, "not verified"},
		{"another vault", func(r *reshareRecords) { r.keygen.Reshare = &types.Reshare{Vault: []byte{2}, Epoch: 7} }, false, "not verified"},
		{"a vault that has its next epoch", func(r *reshareRecords) { r.vault.Epoch = 9 }, false, "is in epoch 9"},
		{"a vault without public shares", func(r *reshareRecords) { r.shares = types.PublicShares{} }, false, "no public shares"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := reshareRecords{
				height: 90, vault: testVault(nil), keygen: testReshare(),
				shares: types.PublicShares{Secp256k1: []types.PublicShare{{Id: []byte{1}}}},
			}
			c.change(&r)
			p, behind, err := presentOf(t.Context(), r, testReshare())
			require.Equal(t, c.behind, behind)
			if c.says != "" {
				require.ErrorContains(t, err, c.says)
				return
			}
			require.NoError(t, err)
			require.Equal(t, r.shares, p.Shares)
			require.EqualValues(t, 7, p.Epoch)
		})
	}
}

// Whoever signs, hands a vault on or exports its keyshares does so by a header that is no older than
// ten minutes: the vault may be in another epoch by now.
func TestNothingIsDoneByAnOldRecord(t *testing.T) {
	for _, c := range []struct {
		name string
		age  time.Duration
		old  bool
	}{
		{"a chain that goes on", time.Minute, false},
		{"one that has stood for nine minutes", 9 * time.Minute, false},
		{"one that has stood for eleven minutes", 11 * time.Minute, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			node, url := fakenode.New(t)
			node.Start = time.Now().Add(-c.age)
			v := testVault(nil)
			node.Vaults = []types.VaultInfo{{
				Vault: v.Name(), PubKeyEd25519: strings.Repeat("ab", 32), Epoch: 7, Threshold: 1,
				Status:  types.VaultStatus_VAULT_STATUS_ACTIVE,
				Members: []types.MemberInfo{{PubKey: "03" + strings.Repeat("00", 32)}},
			}}
			cfg := home.Config{ChainID: node.ChainID, Prefix: "cosmos", Node: url}
			cfg.Trust.Period = home.Duration(chain.DefaultTrustingPeriod)
			own, err := chain.New(url, 0)
			require.NoError(t, err)
			s := &service{chain: own}
			s.verifier, err = care.NewVerifier(care.VerifierConfig{
				ChainID: cfg.ChainID, Prefix: cfg.Prefix, Trust: cfg.Trust, Nodes: care.Nodes{Own: own},
				Store: chain.TrustDir(t.TempDir()), Log: zerolog.Nop(),
			})
			require.NoError(t, err)
			for act, by := range map[string]func() error{
				"export": func() error {
					got, height, err := VaultRecord(t.Context(), t.TempDir(), cfg, v.Name(), func(string) {})
					require.Equal(t, c.old, height == 0)
					require.True(t, c.old || got.Epoch == 7)
					return err
				},
				"sign": func() error {
					got, err := s.verifiedVault(t.Context(), v.Name())
					require.True(t, c.old || got.Epoch == 7)
					return err
				},
				"reshare": func() error {
					_, err := reshares{s: s}.Present(t.Context(), vault.Keygen{})
					if !c.old { // it was read, and there is no such reshare
						require.ErrorContains(t, err, "not verified to be as the node shows it")
						return nil
					}
					return err
				},
			} {
				err := by()
				if !c.old {
					require.NoError(t, err, act)
					continue
				}
				require.ErrorIs(t, err, chain.ErrUnreachable, act)
				require.ErrorContains(t, err, "11m", act)
			}
		})
	}
}

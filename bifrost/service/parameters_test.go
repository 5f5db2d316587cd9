package service

import (
	"bytes"
	"context"
	"errors"
	"testing"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/bifrost/care"
	"github.com/tssbackup/tssbackup/bifrost/chain"
	"github.com/tssbackup/tssbackup/bifrost/home"
	"github.com/tssbackup/tssbackup/bifrost/vault"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// oneVault are records of one vault, or of none.
type oneVault struct {
	care.Records
	vault vault.Vault
	err   error
}

func (r oneVault) Vault(context.Context, []byte) (vault.Vault, error) { return r.vault, r.err }

func testVault(change func(v *vault.Vault)) vault.Vault {
	v := vault.Vault{PubKey: append([]byte{2}, make([]byte, 32)...), Vault: types.Vault{
		Epoch: 7, PubKeyEd25519: make([]byte, 32), Members: []types.Member{{PubKey: []byte{3}}},
	}}
	if change != nil {
		change(&v)
	}
	return v
}

func TestOnlyVaultsOfAVerifiedKeygenSignWithoutProofs(t *testing.T) {
	down := errors.New("no node answers")
	for _, c := range []struct {
		name    string
		records oneVault
		look    error
		want    bool
		err     error
	}{
		{"a keygen of this chain", oneVault{vault: testVault(nil)}, nil, true, nil},
		{"a vault that the chain does not know", oneVault{err: chain.ErrNotFound}, nil, false, nil},
		{"a record without an epoch", oneVault{vault: testVault(func(v *vault.Vault) { v.Epoch = 0 })}, nil, false, nil},
		{"another epoch than the own node says", oneVault{vault: testVault(func(v *vault.Vault) { v.Epoch = 8 })}, nil, false, nil},
		{"another ed25519 key", oneVault{vault: testVault(func(v *vault.Vault) { v.PubKeyEd25519[0] = 1 })}, nil, false, nil},
		{"other members", oneVault{vault: testVault(func(v *vault.Vault) { v.Members[0].PubKey[0] = 4 })}, nil, false, nil},
		{"a record that cannot be verified", oneVault{err: down}, nil, false, down},
		{"no header that can be verified", oneVault{vault: testVault(nil)}, down, false, down},
	} {
		t.Run(c.name, func(t *testing.T) {
			look := func(context.Context) (care.Records, error) { return c.records, c.look }
			got, err := provenInKeygen(t.Context(), look, testVault(nil))
			require.Equal(t, c.want, got)
			require.ErrorIs(t, err, c.err)
		})
	}
}

func TestAVaultThatTheOperatorNamesSignsWithoutProofsAndAWarning(t *testing.T) {
	var log bytes.Buffer
	v := testVault(nil)
	s := &service{cfg: home.Config{TrustParameters: []string{v.Name()}}, log: zerolog.New(&log)}
	require.True(t, s.trustParameters(t.Context(), v))
	require.Contains(t, log.String(), "trust_parameters")
	require.Contains(t, log.String(), v.Name())
	require.Contains(t, log.String(), `"level":"warn"`)
}

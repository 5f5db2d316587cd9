package service

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/bifrost/care"
	"github.com/tssbackup/tssbackup/bifrost/home"
	"github.com/tssbackup/tssbackup/bifrost/vault"
	"github.com/tssbackup/tssbackup/testutil/fakemember"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

func TestKeysharesTellsWhatIsOnTheDisk(t *testing.T) {
	m := fakemember.New(t)
	m.Save(t, m.Vaults[0])
	s := &service{keyshares: m.Store(t), member: care.Member{
		Address: m.Address, PubKey: m.PubKey, Prefix: fakemember.Config().Prefix, Mnemonic: m.Mnemonic,
	}}
	ask := func(body any) (int, care.Held, string) {
		raw, err := json.Marshal(body)
		require.NoError(t, err)
		w := httptest.NewRecorder()
		s.handleKeyshares(w, httptest.NewRequest(http.MethodPost, "/v1/keyshares", bytes.NewReader(raw)))
		answer := w.Body.String()
		require.NotContains(t, answer, "local_data", "no keyshare is told")
		var held care.Held
		require.NoError(t, json.Unmarshal([]byte(answer), &held))
		return w.Code, held, answer
	}

	record := func(i int) vault.Vault {
		v := vault.Vault{
			PubKey: m.Vaults[i].Keys.Secp256k1,
			Vault:  types.Vault{PubKeyEd25519: m.Vaults[i].Keys.Ed25519, Epoch: uint64(i + 1)},
		}
		for _, of := range m.Own.Vaults[i].Members {
			key, err := hex.DecodeString(of.PubKey)
			require.NoError(t, err)
			v.Members = append(v.Members, types.Member{PubKey: key})
		}
		return v
	}
	code, held, _ := ask(record(0))
	require.Equal(t, http.StatusOK, code)
	require.Len(t, held.SHA256, 2)
	require.Empty(t, held.Error)

	code, held, _ = ask(record(1))
	require.Equal(t, http.StatusOK, code)
	require.Empty(t, held.SHA256)
	require.Contains(t, held.Error, "not exist")

	damaged := m.File(m.Vaults[0], 1)
	require.NoError(t, os.WriteFile(damaged, []byte("{}"), 0o600))
	_, held, _ = ask(record(0))
	require.Len(t, held.SHA256, 2)
	require.Contains(t, held.Error, "damaged")

	code, _, answer := ask("no record")
	require.Equal(t, http.StatusBadRequest, code)
	require.Contains(t, answer, "error")
}

// A stopped process takes connections and says nothing.
func TestASilentBifrostIsNamed(t *testing.T) {
	dir := t.TempDir()
	l, err := net.Listen("unix", home.SocketPath(dir))
	require.NoError(t, err)
	defer l.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	for what, ask := range map[string]func() error{
		"a bifrost runs in this home, and has not answered at " + home.SocketPath(dir): func() error {
			_, err := NewControl(dir).Status(ctx)
			return err
		},
		"the claim is not in a block yet": func() error {
			_, err := NewControl(dir).Promote(ctx, 1)
			return err
		},
	} {
		err := ask()
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.NotErrorIs(t, err, ErrNotRunning)
		require.ErrorContains(t, err, what)
		require.NotContains(t, err.Error(), "http://")
	}
}

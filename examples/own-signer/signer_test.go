package ownsigner

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/decred/dcrd/dcrec/secp256k1/v4/ecdsa"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/bifrost/chain"
	"github.com/tssbackup/tssbackup/bifrost/envelope"
	"github.com/tssbackup/tssbackup/bifrost/keyfiles"
	"github.com/tssbackup/tssbackup/bifrost/publish"
	"github.com/tssbackup/tssbackup/bifrost/signer"
	"github.com/tssbackup/tssbackup/sanity"
	"github.com/tssbackup/tssbackup/testutil/dealer"
	"github.com/tssbackup/tssbackup/testutil/network"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// board is the network between the signers, and the keygen that all of them run: each finds there
// what the others left.
type board struct {
	mu     sync.Mutex
	vaults map[string]*dealer.Vault
	signed map[string]map[string][]byte
	posted chan struct{}
}

// vault is what a keygen among these members makes: for each the files of its keyshares.
func (b *board) vault(id []byte, members [][]byte) *dealer.Vault {
	b.mu.Lock()
	defer b.mu.Unlock()
	v := b.vaults[string(id)]
	if v == nil {
		v = dealer.NewVault(hex.EncodeToString(id), "cosmos", members)
		b.vaults[string(id)] = v
	}
	return v
}

// post leaves what a member signed, and returns what all did once they have.
func (b *board) post(ctx context.Context, id []byte, members [][]byte, me, signed []byte) ([][]byte, error) {
	b.mu.Lock()
	if b.signed[string(id)] == nil {
		b.signed[string(id)] = map[string][]byte{}
	}
	b.signed[string(id)][string(me)] = signed
	close(b.posted)
	b.posted = make(chan struct{})
	b.mu.Unlock()
	for {
		b.mu.Lock()
		there, posted := b.signed[string(id)], b.posted
		all := make([][]byte, 0, len(members))
		for _, m := range members {
			if s := there[string(m)]; s != nil {
				all = append(all, s)
			}
		}
		b.mu.Unlock()
		if len(all) == len(members) {
			return all, nil
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-posted:
		}
	}
}

// goTSS is a signer's own keygen and keysign, as far as this test needs them: the files are those
// of a keygen, and the vault signs with its private keys, which no real vault has anywhere.
type goTSS struct {
	*board
	me     []byte
	folder string
}

func (g goTSS) Keygen(_ context.Context, id []byte, members [][]byte, _ int) ([]byte, []byte, error) {
	v := g.vault(id, members)
	for i, m := range members {
		if !bytes.Equal(m, g.me) {
			continue
		}
		for _, f := range v.Files[i] {
			if err := os.WriteFile(filepath.Join(g.folder, f.Name), f.Data, 0o600); err != nil {
				return nil, nil, err
			}
		}
	}
	return v.Keys.Secp256k1, v.Keys.Ed25519, nil
}

func (g goTSS) Exchange(ctx context.Context, id []byte, members [][]byte, signed []byte) ([][]byte, error) {
	return g.post(ctx, id, members, g.me, signed)
}

func (g goTSS) Keysign(_ context.Context, _ string, pubKey string, _ [][]byte, message []byte) ([]byte, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, v := range g.vaults {
		for i, f := range v.Files[0] {
			if !strings.Contains(f.Name, pubKey) {
				continue
			}
			if i == 0 {
				return ecdsa.SignCompact(v.Secp256k1, message, true)[1:], nil
			}
			return ed25519.Sign(v.Ed25519, message), nil
		}
	}
	return nil, os.ErrNotExist
}

// TestAnExistingSignerPublishesItsBackups has four signers with keygens of their own take a churn
// to its end at real nodes: each envelope and each proof stands in state, and what the mnemonic
// opens is the folder's files, with the group part.
func TestAnExistingSignerPublishesItsBackups(t *testing.T) {
	n := network.New(t, network.Config{
		Tssbackup: func(gs *types.GenesisState) { gs.Params.SplitBackups = true },
	})
	n.RegisterSigners()
	b := &board{vaults: map[string]*dealer.Vault{}, signed: map[string]map[string][]byte{}, posted: make(chan struct{})}
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	type member struct {
		address, folder string
		envelope        func() []byte
		mnemonic        *sanity.Mnemonic
	}
	var members []member
	for _, v := range n.Validators {
		mnemonic, err := sanity.ParseMnemonic([]byte(v.Signer.Mnemonic))
		require.NoError(t, err)
		dir := t.TempDir()
		own := goTSS{board: b, me: v.Signer.Key.PubKey().Bytes(), folder: filepath.Join(dir, "keyshares")}
		require.NoError(t, os.Mkdir(own.folder, 0o700))
		cfg, err := Publish(Config{
			ChainID: n.ChainID, Node: v.RPC(), Prefix: "cosmos", HDPath: signer.DefaultHDPath,
			Keyshares: own.folder, Outbox: filepath.Join(dir, "outbox"), Mnemonic: mnemonic, Log: zerolog.Nop(),
		}, own)
		require.NoError(t, err)
		var mu sync.Mutex
		var sealed []byte
		cfg.Poll = 50 * time.Millisecond
		cfg.Seal = func(files []envelope.File, _ int) (out []byte, err error) { // cheaper than what adapt.Seal does
			out, err = envelope.Seal(files, mnemonic, envelope.WithWorkFactor(1))
			mu.Lock()
			defer mu.Unlock()
			sealed = out
			return out, err
		}
		p, err := publish.New(cfg)
		require.NoError(t, err)
		running.Go(func() { _ = p.Run(ctx) })
		members = append(members, member{cfg.Address, own.folder, func() []byte {
			mu.Lock()
			defer mu.Unlock()
			return sealed
		}, mnemonic})
	}
	n.StartChurn()
	n.WaitChurn(types.ChurnStatus_CHURN_STATUS_COMPLETE)

	client, err := chain.New(n.Validators[0].RPC(), 0)
	require.NoError(t, err)
	require.Len(t, b.vaults, 1)
	for _, v := range b.vaults {
		name := types.VaultName(v.Keys.Secp256k1)
		record, err := client.Vault(t.Context(), name)
		require.NoError(t, err)
		group, err := n.Query().Group(t.Context(), &types.QueryGroupRequest{Vault: name})
		require.NoError(t, err)
		for _, m := range members {
			commitments, err := client.Backup(t.Context(), name, m.address)
			require.NoError(t, err)
			require.Len(t, commitments, 1)
			sum := sha256.Sum256(m.envelope())
			require.Equal(t, sum[:], commitments[0].Sha256)
			proof, err := client.Proof(t.Context(), name, m.address)
			require.NoError(t, err)
			require.True(t, proof.IsProven())
			files, err := envelope.Open(m.envelope(), m.mnemonic)
			require.NoError(t, err)
			secrets, ok := keyfiles.FindSecrets(files)
			require.True(t, ok)
			files, err = keyfiles.Join(record, secrets, group.Group)
			require.NoError(t, err)
			require.Len(t, files, 2)
			for _, f := range files {
				there, err := os.ReadFile(filepath.Join(m.folder, f.Name))
				require.NoError(t, err)
				require.Equal(t, string(there), string(f.Data))
			}
		}
	}
}

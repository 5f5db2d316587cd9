package tss

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"
	"github.com/decred/dcrd/dcrec/secp256k1/v4/ecdsa"
	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/bifrost/ceremony"
	"github.com/tssbackup/tssbackup/bifrost/keyshare"
	"github.com/tssbackup/tssbackup/testutil/fixture"
)

func requireECDSA(t *testing.T, vault, digest, signature []byte) {
	t.Helper()
	require.Len(t, signature, 64)
	pub, err := secp256k1.ParsePubKey(vault)
	require.NoError(t, err)
	var r, s secp256k1.ModNScalar
	require.False(t, r.SetByteSlice(signature[:32]))
	require.False(t, s.SetByteSlice(signature[32:]))
	require.False(t, s.IsOverHalfOrder())
	require.True(t, ecdsa.NewSignature(&r, &s).Verify(digest, pub))
}

// A whole vault: keygen of both keys among four, then signatures by all and by exactly the
// threshold.
func TestVault(t *testing.T) {
	noLeak(t)
	made := 0
	net := newCluster(t, 4, func(cfg *Config) {
		cfg.PreParams, cfg.Bech32Prefix = storeOf(t, made), "cosmos"
		made++
	})
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()

	results := make([]*ceremony.KeygenResult, 4)
	start := time.Now()
	for _, err := range net.each(net.all(), func(i int, n *Node) (err error) {
		r := net.keygenOf(i, 3, "attempt")
		r.Members = slices.Concat(r.Members[i:], r.Members[:i]) // in any order
		r.Session.Keys = slices.Concat(r.Session.Keys[i:], r.Session.Keys[:i])
		r.Envelopes = &ceremony.Envelopes{
			Asked: net.pick(3, 1, 2), Check: checkTestEnvelope,
			Seal: func(_ context.Context, res ceremony.KeygenResult) ([]byte, error) {
				return fmt.Appendf(nil, "envelope of %x in %x", n.pub, res.Secp256k1), nil
			},
		}
		if results[i], err = n.Keygen(ctx, r); err != nil {
			return err
		}
		digest, err := r.Keep(ctx, *results[i])
		if err != nil {
			return err
		}
		return checkCertificate(results[i].Certificate, r.Members, hash(digest))
	}) {
		require.NoError(t, err)
	}
	t.Logf("keygen of 4: %s", time.Since(start))

	vault := keyshare.VaultKeys{Secp256k1: results[0].Secp256k1, Ed25519: results[0].Ed25519}
	for i, r := range results {
		require.Equal(t, vault.Secp256k1, r.Secp256k1)
		require.Equal(t, vault.Ed25519, r.Ed25519)
		require.Len(t, r.Files, 2)
		require.Len(t, r.Envelopes, 3)
		for j, asked := range net.pick(3, 1, 2) {
			require.Equal(t, fmt.Sprintf("envelope of %x in %x", asked, vault.Secp256k1),
				string(r.Envelopes[j]), "in the order in which they were asked for")
		}
		for _, f := range r.Files {
			k, err := keyshare.Parse(f.Data)
			require.NoError(t, err)
			require.Equal(t, f.Name, k.FileName())
			require.NoError(t, k.Check(vault, net.members[i], net.members))
		}
	}

	digest := sha256.Sum256([]byte("message"))
	zeros := append(make([]byte, 5), digest[5:]...)
	for _, c := range []struct {
		name    string
		file    int
		signers []int
		message []byte
	}{
		{"ecdsa, all members", 0, []int{0, 1, 2, 3}, digest[:]},
		{"ecdsa, exactly the threshold, a digest that begins with zeros", 0, []int{3, 0, 2}, zeros},
		{"eddsa, all members", 1, []int{0, 1, 2, 3}, []byte("any message")},
		{"eddsa, exactly the threshold", 1, []int{1, 2, 3}, bytes.Repeat([]byte("long "), 1000)},
		{"eddsa, a message that begins with zeros", 1, []int{0, 1, 2}, []byte{0, 0, 7}},
		{"eddsa, a message of zeros", 1, []int{0, 1, 3}, make([]byte, 32)},
	} {
		t.Run(c.name, func(t *testing.T) {
			start := time.Now()
			var signers [][]byte
			for _, i := range c.signers {
				signers = append(signers, net.members[i])
			}
			signatures := make([][]byte, 4)
			errs := net.each(c.signers, func(i int, n *Node) (err error) {
				signatures[i], err = n.Keysign(ctx, ceremony.KeysignRequest{
					ID: "sign " + c.name, Keyshare: results[i].Files[c.file].Data, Signers: signers, Message: c.message,
					TrustParameters: true, // they were proven in the keygen
				})
				return err
			})
			for _, i := range c.signers {
				require.NoError(t, errs[i])
				if c.file == 0 {
					requireECDSA(t, vault.Secp256k1, c.message, signatures[i])
				} else {
					require.True(t, ed25519.Verify(vault.Ed25519, c.message, signatures[i]))
				}
			}
			t.Logf("keysign of %d: %s", len(c.signers), time.Since(start))
		})
	}

	t.Run("requests that are refused", func(t *testing.T) {
		good := ceremony.KeysignRequest{ID: "x", Keyshare: results[0].Files[0].Data, Signers: net.members, Message: digest[:]}
		for name, change := range map[string]func(r *ceremony.KeysignRequest){
			"too few signers":            func(r *ceremony.KeysignRequest) { r.Signers = net.members[:2] },
			"a signer twice":             func(r *ceremony.KeysignRequest) { r.Signers = append(net.members[:3:3], net.members[0]) },
			"a stranger":                 func(r *ceremony.KeysignRequest) { r.Signers = append(net.members[:3:3], results[0].Secp256k1) },
			"this node not among them":   func(r *ceremony.KeysignRequest) { r.Signers = net.members[1:] },
			"another member's keyshare":  func(r *ceremony.KeysignRequest) { r.Keyshare = results[1].Files[0].Data },
			"no keyshare":                func(r *ceremony.KeysignRequest) { r.Keyshare = nil },
			"a short digest":             func(r *ceremony.KeysignRequest) { r.Message = digest[:31] },
			"a digest beyond the order":  func(r *ceremony.KeysignRequest) { r.Message = bytes.Repeat([]byte{0xff}, 32) },
			"an empty message":           func(r *ceremony.KeysignRequest) { r.Keyshare, r.Message = results[0].Files[1].Data, nil },
			"no id":                      func(r *ceremony.KeysignRequest) { r.ID = "" },
			"a key that is not a signer": func(r *ceremony.KeysignRequest) { r.Signers = append(net.members[:3:3], []byte("key")) },
		} {
			r := good
			change(&r)
			_, err := net.nodes[0].Keysign(ctx, r)
			require.Error(t, err, name)
			var blame *ceremony.BlameError
			require.NotErrorAs(t, err, &blame, name)
		}
	})
}

// Keyshares that an earlier keygen left, as restored from a backup, sign. Their members' signer
// keys are gone, so others stand in as peers.
func TestFixtureKeysharesSign(t *testing.T) {
	net := newCluster(t, 4, nil)
	digest := sha256.Sum256([]byte("message"))
	for file, signers := range [][]int{{0, 1, 3}, {0, 1, 2, 3}} {
		var members [][]byte
		for _, i := range signers {
			members = append(members, net.members[i])
		}
		signatures := make([][]byte, 4)
		shares := make([]*keyshare.Keyshare, 4)
		errs := net.each(signers, func(i int, n *Node) (err error) {
			if shares[i], err = keyshare.Parse(fixture.Keyshares(t, 4, i)[file].Data); err != nil {
				return err
			}
			var keys [][]byte
			for _, j := range signers {
				keys = append(keys, shares[i].Participants()[j])
			}
			_, parties, err := checkMembers("x", keys)
			if err != nil {
				return err
			}
			signatures[i], err = n.keysign(context.Background(), fmt.Sprint("sign ", file), shares[i], members, parties, digest[:], true)
			return err
		})
		for _, i := range signers {
			require.NoError(t, errs[i])
			require.True(t, verifies(shares[i], digest[:], signatures[i]))
		}
		if file == 0 {
			requireECDSA(t, shares[0].VaultKey(), digest[:], signatures[0])
		} else {
			require.True(t, ed25519.Verify(shares[0].VaultKey(), digest[:], signatures[0]))
		}
	}
}

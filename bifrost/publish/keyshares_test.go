package publish

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/bifrost/envelope"
	"github.com/tssbackup/tssbackup/bifrost/keyshare"
	"github.com/tssbackup/tssbackup/bifrost/keystore"
	"github.com/tssbackup/tssbackup/bifrost/outbox"
	"github.com/tssbackup/tssbackup/bifrost/vault"
	"github.com/tssbackup/tssbackup/testutil/dealer"
	"github.com/tssbackup/tssbackup/testutil/fixture"
	"github.com/tssbackup/tssbackup/testutil/homekeys"
	"github.com/tssbackup/tssbackup/verenc"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// real is a member of a fixture's vault, with its keyshares in its home.
type real struct {
	p     *Publisher
	vault vault.Vault
	files []envelope.File
}

func newReal(t *testing.T, size, member int) *real {
	r := &real{}
	for _, f := range fixture.Keyshares(t, size, member) {
		k, err := keyshare.Parse(f.Data)
		require.NoError(t, err)
		r.vault.Epoch, r.vault.Members = 1, nil
		for _, m := range k.Participants() {
			r.vault.Members = append(r.vault.Members, types.Member{PubKey: m})
		}
		if k.Group() == verenc.Secp256k1 {
			r.vault.PubKey = k.VaultKey()
		} else {
			r.vault.PubKeyEd25519 = k.VaultKey()
		}
		r.files = append(r.files, envelope.File{Name: f.Name, Data: f.Data})
	}
	k, err := keyshare.Parse(r.files[0].Data)
	require.NoError(t, err)
	store, err := keystore.Open(t.TempDir(), homekeys.New(t))
	require.NoError(t, err)
	r.p, err = New(Config{PubKey: k.LocalParty(), Prefix: "cosmos", Store: store, Outbox: outbox.NewOutbox(t.TempDir(), homekeys.New(t))})
	require.NoError(t, err)
	require.NoError(t, r.p.store.Save(r.vault.Epoch, r.files))
	return r
}

func TestSharesOfRealKeygens(t *testing.T) {
	for _, size := range fixture.Sizes {
		var first types.PublicShares
		for member := range fixture.Members(t, size) {
			r := newReal(t, size, member)
			shares, err := r.p.readKeyshares(r.vault)
			require.NoError(t, err)
			require.Equal(t, r.files, shares.files)
			if member == 0 {
				first = shares.public
				require.NoError(t, first.CheckForm(1, r.vault.Members))
				require.NoError(t, first.CheckPoints())
				require.NoError(t, first.Check(r.vault.PubKey, r.vault.PubKeyEd25519))
			}
			require.Equal(t, first, shares.public, "all members have the same")

			// What a member proves with its secret shares, everyone can verify.
			if member == 1 {
				local := r.p.cfg.PubKey
				key := dealer.RecipientKey(local, 0)
				st, ok := first.Statement("chain-1", 7, r.vault.PubKey, r.vault.PubKeyEd25519, types.SignerAddress(local), key.Public())
				require.True(t, ok)
				proof, err := verenc.Prove(key, st, shares.own)
				require.NoError(t, err)
				_, err = verenc.Verify(st, proof)
				require.NoError(t, err)
			}
			shares.wipe()
			require.NotContains(t, string(shares.files[0].Data), "pub_key")
			require.NotEqual(t, first, shares.own[0].Public())
		}
	}
}

func TestKeysharesThatAreNotThoseOfTheVault(t *testing.T) {
	for name, row := range map[string]struct {
		spoil func(t *testing.T, r *real)
		says  string
	}{
		"a file is missing": {func(_ *testing.T, r *real) {
			r.vault.PubKey = r.vault.Members[0].PubKey // a key like any other
		}, errNoKeyshares.Error()},
		"another was to be a member": {func(_ *testing.T, r *real) {
			r.vault.Members[0].PubKey = r.vault.PubKey
		}, "is not among the keyshare's participants"},
		"the ed25519 file is under the name of the secp256k1 one": {func(t *testing.T, r *real) {
			store, err := keystore.Open(t.TempDir(), homekeys.New(t))
			require.NoError(t, err)
			r.p.store = store
			require.NoError(t, r.p.store.Save(r.vault.Epoch, []envelope.File{
				{Name: r.files[0].Name, Data: r.files[1].Data}, r.files[1],
			}))
		}, "it holds the keyshare of"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newReal(t, fixture.Sizes[0], 0)
			row.spoil(t, r)
			_, err := r.p.readKeyshares(r.vault)
			require.ErrorContains(t, err, row.says)
		})
	}
}

// A keyshare file is parsed and checked once for the proof and the message together, in either kind
// of publication. That each signing does so too is package tss's.
func TestKeysharesAreReadOnceForProofAndMessage(t *testing.T) {
	w := newWorld(t, 4)
	w.chain.open(1, 1000, w.infos())
	w.start()
	w.awaitReady(1)
	for _, m := range w.members {
		m.halt()
		require.Equal(t, 6, m.checked, "two files, before they were kept, before they were stored and after")
	}
}

func TestARecordsKeysharesAreWipedOnceAStepIsWithoutThem(t *testing.T) {
	w := newWorld(t, 4)
	p := w.members[0].open()
	secret := func() []envelope.File { return []envelope.File{{Name: "a", Data: []byte("secret")}} }
	first, second := secret(), secret()
	e := &entry{rec: &outbox.Record{
		ChainID: testChain, Signer: w.members[0].address, Kind: outbox.Vote, Epoch: 1,
	}}
	for _, step := range []struct {
		name     string
		step     outbox.Step
		files    []envelope.File
		wiped    []envelope.File
		notWiped []envelope.File
	}{
		{"a result", outbox.StepResult, first, nil, first},
		{"the result of another attempt", outbox.StepResult, second, first, second},
		{"its certificate", outbox.StepCertified, second, nil, second},
		{"the keyshares are in their store", outbox.StepSaved, nil, second, nil},
	} {
		next := *e.rec
		next.Step, next.Keyshares = step.step, step.files
		require.NoError(t, p.save(e, &next), step.name)
		for _, f := range step.wiped {
			require.Equal(t, make([]byte, len("secret")), f.Data, step.name)
		}
		for _, f := range step.notWiped {
			require.Equal(t, "secret", string(f.Data), step.name)
		}
	}
}

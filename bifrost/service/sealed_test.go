package service

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"filippo.io/age"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/bifrost/envelope"
	"github.com/tssbackup/tssbackup/bifrost/home"
	"github.com/tssbackup/tssbackup/bifrost/keyshare"
	"github.com/tssbackup/tssbackup/bifrost/outbox"
	"github.com/tssbackup/tssbackup/bifrost/registration"
	"github.com/tssbackup/tssbackup/bifrost/signer"
	"github.com/tssbackup/tssbackup/sanity"
	"github.com/tssbackup/tssbackup/testutil/disk"
	"github.com/tssbackup/tssbackup/testutil/fakemember"
	"github.com/tssbackup/tssbackup/testutil/fixture"
	"github.com/tssbackup/tssbackup/testutil/homekeys"
	"github.com/tssbackup/tssbackup/testutil/secrets"
)

func leaked(t *testing.T, dir string, known map[string][]byte) []string {
	found, err := secrets.In(dir, known)
	require.NoError(t, err)
	return found
}

// A home as bifrost kept it before, with everything in plaintext, holds no secret once bifrost has
// been started in it, and everything is there.
func TestAHomeInPlaintextIsSealedAtTheStart(t *testing.T) {
	m := fakemember.New(t)
	put := func(path string, data []byte) {
		path = filepath.Join(m.Home, path)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
		require.NoError(t, os.WriteFile(path, data, 0o600))
	}
	known := map[string][]byte{}
	var files []envelope.File
	for i, f := range m.Vaults[0].Files[0] {
		k, err := keyshare.Parse(f.Data)
		require.NoError(t, err)
		xi := k.ECDSA()
		if i == 0 {
			known["the share"], known["a prime"] = []byte(xi.Xi.String()), []byte(xi.PaillierSK.LambdaN.String())
			known["the share in bytes"] = xi.Xi.Bytes()
		} else {
			known["the share of ed25519"] = []byte(k.EdDSA().Xi.String())
		}
		put(filepath.Join("keyshares", f.Name), f.Data)
		put(filepath.Join("keyshares/damaged", f.Name+".20261126T151845.000000000Z"), f.Data)
		files = append(files, envelope.File{Name: f.Name, Data: f.Data})
	}
	record, err := json.Marshal(&outbox.Record{
		Version: 1, ChainID: "fake-1", Signer: m.Address, Kind: outbox.Vote, Epoch: 7, Step: outbox.StepResult, Keyshares: files,
	})
	require.NoError(t, err)
	put("outbox/keygen-7.json", record)
	var pre struct{ P, Q json.Number }
	params := fixture.PreParams()[0].Data
	require.NoError(t, json.Unmarshal(params, &pre))
	known["a prime of the pre-parameters"] = []byte(pre.P)
	put("preparams/00112233445566778899aabbccddeeff.json", params)
	put("preparams/found.primes", fmt.Appendf(nil, "[%s,%s]", pre.P, pre.Q))
	require.NotEmpty(t, leaked(t, m.Home, known), "the search finds what is there")
	before := disk.Tree(t, m.Home)

	start := func(mnemonic *sanity.Mnemonic) (*service, error) {
		keys, err := HomeKeys(fakemember.Config(), mnemonic)
		require.NoError(t, err)
		s := &service{home: m.Home, log: zerolog.Nop(), request: &registration.Request{Address: m.Address}}
		s.key, err = signer.Derive(mnemonic, signer.DefaultHDPath)
		require.NoError(t, err)
		return s, s.openHome(keys)
	}
	_, err = start(fakemember.Mnemonic(t, 1))
	require.ErrorIs(t, err, registration.ErrRefused, "nothing is sealed with another signer's words")
	require.Equal(t, before, disk.Tree(t, m.Home))
	for range 2 { // the second start finds everything in order
		s, err := start(m.Mnemonic)
		require.NoError(t, err)
		require.Empty(t, leaked(t, m.Home, known))
		for _, f := range files {
			data, err := s.keyshares.Load(7, f.Name)
			require.NoError(t, err)
			require.Equal(t, f.Data, data)
		}
		records, err := s.outbox.Load()
		require.NoError(t, err)
		require.Equal(t, files, records[0].Keyshares)
		n, err := s.params.Count()
		require.NoError(t, err)
		require.Equal(t, 1, n)
		aside, err := s.keyshares.Aside()
		require.NoError(t, err)
		require.Len(t, aside, 2)
	}
	require.FileExists(t, filepath.Join(home.PreParamsDir(m.Home), "found.primes.age"))

	cfg := fakemember.Config()
	cfg.Keystore.Recipients = []string{"age1pq1x", "age1x"}
	_, err = HomeKeys(cfg, m.Mnemonic)
	require.ErrorIs(t, err, home.ErrConfig)
}

func TestForWhomAHomeIsBackedUp(t *testing.T) {
	m, err := sanity.ParseMnemonic([]byte(homekeys.Words))
	require.NoError(t, err)
	own := homekeys.New(t).Recipients()[0]
	id, err := age.GenerateX25519Identity()
	require.NoError(t, err)
	x25519 := id.Recipient().String()
	pq, err := age.GenerateHybridIdentity()
	require.NoError(t, err)
	hybrid := pq.Recipient().String()
	for name, c := range map[string]struct {
		keystore, backup []string
		mnemonic         bool
		says             string
	}{
		"nobody else":            {},
		"both kinds of places":   {keystore: []string{x25519}, backup: []string{x25519}},
		"hybrids":                {keystore: []string{hybrid}, backup: []string{hybrid}, mnemonic: true},
		"hybrids of the backups": {backup: []string{hybrid}, mnemonic: true},
		"a mix": {
			keystore: []string{x25519}, backup: []string{hybrid},
			says: "backup.recipients, with those of the keystore: ",
		},
		"the other mix": {
			keystore: []string{hybrid}, backup: []string{x25519},
			says: "backup.recipients, with those of the keystore: ",
		},
		"the home, for its own mnemonic": {
			backup: []string{own}, mnemonic: true, says: "backup.include_mnemonic: ",
		},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := fakemember.Config()
			cfg.Keystore.Recipients, cfg.Backup.Recipients = c.keystore, c.backup
			cfg.Backup.IncludeMnemonic = c.mnemonic
			o, err := BackupOwner(t.TempDir(), cfg, m)
			if c.says != "" {
				require.ErrorIs(t, err, home.ErrConfig)
				require.ErrorContains(t, err, c.says)
				return
			}
			require.NoError(t, err)
			require.Equal(t, c.mnemonic, o.Mnemonic != nil)
			require.Len(t, o.Keys.Recipients(), 1+len(c.keystore)+len(c.backup))
		})
	}
}

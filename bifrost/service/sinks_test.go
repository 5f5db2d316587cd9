package service

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/bifrost/care"
	"github.com/tssbackup/tssbackup/bifrost/chain"
	"github.com/tssbackup/tssbackup/bifrost/envelope"
	"github.com/tssbackup/tssbackup/bifrost/held"
	"github.com/tssbackup/tssbackup/bifrost/home"
	"github.com/tssbackup/tssbackup/bifrost/keyfiles"
	"github.com/tssbackup/tssbackup/bifrost/keystore"
	"github.com/tssbackup/tssbackup/bifrost/restore"
	"github.com/tssbackup/tssbackup/bifrost/sink"
	"github.com/tssbackup/tssbackup/bifrost/vault"
	"github.com/tssbackup/tssbackup/internal/cid"
	"github.com/tssbackup/tssbackup/sanity"
	"github.com/tssbackup/tssbackup/testutil/dealer"
	"github.com/tssbackup/tssbackup/testutil/fakeipfs"
	"github.com/tssbackup/tssbackup/testutil/fakemember"
	"github.com/tssbackup/tssbackup/testutil/fakes3"
	"github.com/tssbackup/tssbackup/testutil/homekeys"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

func TestASinkThatCannotBeOpenedIsAnErrorOfTheConfiguration(t *testing.T) {
	_, err := OpenSink(home.Sink{Name: "b", URL: "s3://bucket", CredentialsFile: filepath.Join(t.TempDir(), "none")})
	require.ErrorIs(t, err, home.ErrConfig)
	_, err = OpenSink(home.Sink{Name: "b", URL: "ftp://bucket"})
	require.ErrorIs(t, err, home.ErrConfig)
}

// TestEnvelopesAreCopiedByVerifiedRecords has the envelopes of a signer's vaults copied to a bucket
// from its nodes, one of which lies.
func TestEnvelopesAreCopiedByVerifiedRecords(t *testing.T) {
	m := fakemember.New(t)
	m.OneVault()
	m.Publish(t)
	server, url := fakes3.New(t)
	credentials := filepath.Join(t.TempDir(), "bucket")
	require.NoError(t, os.WriteFile(credentials, []byte(fakes3.AccessKey+"\n"+fakes3.SecretKey+"\n"), 0o600))
	s := observed(t, m)
	s.cfg.Sinks = []home.Sink{{Name: "bucket", URL: url, What: home.SinkEnvelopes, CredentialsFile: credentials}}
	require.NoError(t, s.newSinks())
	require.Contains(t, s.metrics.series(t), "bifrost_sink_last_success_timestamp_seconds bucket")
	require.Zero(t, s.metrics.series(t)["bifrost_sink_last_success_timestamp_seconds bucket"])

	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { s.sinks[0].copier.Run(ctx) })
	require.NoError(t, s.sinks[0].copier.Wait(ctx))
	cancel()
	running.Wait()
	require.Len(t, server.Objects, 1)
	for key, data := range server.Objects {
		name := key[len("p/"):]
		require.True(t, IsEnvelope(name), name)
		require.NoError(t, CheckEnvelope(name, data))
		require.ErrorIs(t, CheckEnvelope(name, append(data, 0)), sink.ErrAltered)
	}
	st := s.status()
	require.Len(t, st.Sinks, 1)
	require.Equal(t, 1, st.Sinks[0].Files)
	require.Equal(t, home.SinkEnvelopes, st.Sinks[0].What)
	require.NotZero(t, s.metrics.series(t)["bifrost_sink_last_success_timestamp_seconds bucket"])
}

func TestNamesOfEnvelopes(t *testing.T) {
	name := restore.EnvelopeFile(make([]byte, 32))
	require.True(t, IsEnvelope(name))
	for _, other := range []string{"", name + "x", "x/" + name, name[:len(name)-5] + ".age", "envelopes/zz.age"} {
		require.False(t, IsEnvelope(other), other)
	}
}

// groupRecords are records of one split vault and one that is not.
type groupRecords struct {
	care.Records
	vaults []vault.Vault
	group  []byte
	err    error
	// carried is in a block, when it is there.
	carried []byte
}

func (r groupRecords) Vaults(context.Context, []byte) ([]vault.Vault, error) { return r.vaults, nil }

func (r groupRecords) Group(context.Context, vault.Vault) ([]byte, error) { return r.group, r.err }

func (r groupRecords) CarriedGroup(context.Context, vault.Vault) ([]byte, error) {
	if r.carried == nil {
		return nil, chain.ErrNoBlock
	}
	return r.carried, nil
}

func (r groupRecords) Backup(_ context.Context, v vault.Vault, _ []byte) ([]types.Commitment, error) {
	sum := sha256.Sum256(envelopeOf(v))
	return []types.Commitment{{Sha256: sum[:], Size_: uint64(len(envelopeOf(v))), Height: 1}}, nil
}

func (r groupRecords) Envelope(_ context.Context, v vault.Vault, _ []byte, _ types.Commitment) ([]byte, error) {
	return envelopeOf(v), nil
}

func envelopeOf(v vault.Vault) []byte { return append([]byte("the envelope of "), v.PubKey...) }

func newGroupRecords(t *testing.T) groupRecords {
	keys := dealer.NewPrivateKeys("split")
	v := vault.Vault{PubKey: keys.PubKey(), Vault: types.Vault{PubKeyEd25519: keys.PubKeyEd25519(), Epoch: 3, Split: true}}
	for _, name := range []string{"a", "b", "c"} {
		v.Members = append(v.Members, types.Member{PubKey: dealer.NewPrivateKeys(name).PubKey()})
	}
	group := bytes.Repeat([]byte{7}, 3*sanity.GroupMemberBytes)
	var err error
	v.SharesHash, err = v.GroupHash(group)
	require.NoError(t, err)
	sum := sha256.Sum256(group)
	v.Group = &types.GroupName{Hash: v.SharesHash, Sha256: sum[:], Height: 1}
	whole := vault.Vault{PubKey: dealer.NewPrivateKeys("whole").PubKey()}
	return groupRecords{vaults: []vault.Vault{v, whole}, group: group}
}

// TestGroupPartsAreCopiedBesideEnvelopes copies what is published of a split vault and of another
// to a folder, which names it by the group hash, and to a node of IPFS, which names all by its
// SHA-256.
func TestGroupPartsAreCopiedBesideEnvelopes(t *testing.T) {
	records := newGroupRecords(t)
	look := func(context.Context) (care.Records, error) { return records, nil }
	v := records.vaults[0]

	dir := t.TempDir()
	folder, err := sink.Open("file://"+dir, sink.Credentials{})
	require.NoError(t, err)
	done, err := sink.Copy(t.Context(), &envelopes{look: look}, folder, 0, true)
	require.NoError(t, err)
	require.Len(t, done.Copied, 3)
	require.Equal(t, restore.GroupFile(v.SharesHash), done.Copied[0], "without it an envelope is of no use")
	done, err = sink.Copy(t.Context(), &envelopes{look: look}, folder, 0, true)
	require.NoError(t, err)
	require.Empty(t, done.Copied)
	data, err := folder.Get(t.Context(), restore.GroupFile(v.SharesHash))
	require.NoError(t, err)
	require.NoError(t, CheckGroup(restore.GroupFile(v.SharesHash), data))
	group, err := restore.GroupFiles(folder.Get)(t.Context(), v)
	require.NoError(t, err)
	require.Equal(t, records.group, group)

	_, url, _ := fakeipfs.New(t, func(data []byte) string {
		sum := sha256.Sum256(data)
		return cid.Of(sum[:])
	})
	ipfs, err := sink.Open(url, sink.Credentials{})
	require.NoError(t, err)
	for _, want := range []int{3, 0} {
		done, err = sink.Copy(t.Context(), &envelopes{look: look, bySum: true}, ipfs, 0, true)
		require.NoError(t, err)
		require.Len(t, done.Copied, want)
		require.Len(t, done.Held, 3)
	}
	sum := sha256.Sum256(records.group)
	data, err = ipfs.Get(t.Context(), restore.EnvelopeFile(sum[:]))
	require.NoError(t, err)
	require.Equal(t, records.group, data, "the CID is that of its SHA-256, which the record holds")
}

// What the members of a vault hold is copied as far as it is here, whosever it is.
func TestHeldEnvelopesOfAllMembersAreCopied(t *testing.T) {
	v := vault.Vault{PubKey: dealer.NewPrivateKeys("held").PubKey(), Vault: types.Vault{
		Epoch: 3, Placement: types.Placement_PLACEMENT_MEMBERS,
	}}
	store := held.Open(t.TempDir())
	require.NoError(t, store.Put(3, [][]byte{[]byte("mine"), []byte("another's")}))
	records := heldRecords{groupRecords{vaults: []vault.Vault{v}}}
	look := func(context.Context) (care.Records, error) { return records, nil }
	dir := t.TempDir()
	folder, err := sink.Open("file://"+dir, sink.Credentials{})
	require.NoError(t, err)
	done, err := sink.Copy(t.Context(), &envelopes{look: look, kept: store}, folder, 0, true)
	require.NoError(t, err)
	require.Len(t, done.Copied, 2)
	require.NoError(t, store.Put(3, [][]byte{[]byte("not here yet")}))
	done, err = sink.Copy(t.Context(), &envelopes{look: look, kept: store}, folder, 0, true)
	require.NoError(t, err)
	require.Len(t, done.Copied, 1)
	data, err := folder.Get(t.Context(), done.Copied[0])
	require.NoError(t, err)
	require.Equal(t, "not here yet", string(data))
}

// heldRecords are those of a vault whose members hold the envelopes.
type heldRecords struct{ groupRecords }

func (heldRecords) Backups(context.Context, vault.Vault) ([][]types.Commitment, error) {
	return [][]types.Commitment{
		{types.Held([]byte("mine"))},
		{types.Held([]byte("another's")), types.Held([]byte("not here yet"))},
	}, nil
}

func TestAGroupPartThatIsNotTheRecordsIsNotCopied(t *testing.T) {
	records := newGroupRecords(t)
	altered := records
	altered.group = append([]byte{8}, records.group[1:]...)
	lost := records
	lost.err = errors.New("gone")
	for name, r := range map[string]groupRecords{"another": altered, "none": lost} {
		t.Run(name, func(t *testing.T) {
			folder, err := sink.Open("file://"+t.TempDir(), sink.Credentials{})
			require.NoError(t, err)
			look := func(context.Context) (care.Records, error) { return r, nil }
			done, err := sink.Copy(t.Context(), &envelopes{look: look}, folder, 0, true)
			require.NoError(t, err)
			require.Len(t, done.Unfit, 1)
			require.Len(t, done.Copied, 2, "the envelopes are")
		})
	}
}

func TestNamesOfGroupParts(t *testing.T) {
	records := newGroupRecords(t)
	v := records.vaults[0]
	name := restore.GroupFile(v.SharesHash)
	require.True(t, IsGroup(name))
	require.False(t, IsEnvelope(name))
	for _, other := range []string{"", name + "x", "x/" + name, restore.EnvelopeFile(v.SharesHash), "envelopes/zz.group"} {
		require.False(t, IsGroup(other), other)
	}
	data, err := v.EncodeGroup(records.group)
	require.NoError(t, err)
	require.ErrorIs(t, CheckGroup(restore.GroupFile(make([]byte, 32)), data), sink.ErrAltered)
	require.ErrorIs(t, CheckGroup(name, data[1:]), sink.ErrAltered)
	require.ErrorIs(t, CheckGroup(name, bytes.Replace(data, []byte("Bwc"), []byte("Bgc"), 1)), sink.ErrAltered)
}

// TestWhereAGroupPartIsFound has state keep it, then a block alone, and then the member itself.
func TestWhereAGroupPartIsFound(t *testing.T) {
	records := newGroupRecords(t)
	ctx, v := t.Context(), records.vaults[0]
	group, err := groupOf(ctx, records, v)
	require.NoError(t, err)
	require.Equal(t, records.group, group)
	records.err, records.carried = fmt.Errorf("state: %w", chain.ErrNotFound), []byte("carried")
	group, err = groupOf(ctx, records, v)
	require.NoError(t, err)
	require.Equal(t, records.carried, group)
	records.carried = nil
	_, err = groupOf(ctx, records, v)
	require.ErrorIs(t, err, chain.ErrNotFound)
	records.err = chain.ErrState
	_, err = groupOf(ctx, records, v)
	require.ErrorIs(t, err, chain.ErrState, "a node that lies is no reason to look elsewhere")
	require.NotErrorIs(t, err, chain.ErrNotFound)
}

func TestTheGroupPartOfOwnKeyshares(t *testing.T) {
	var keys [][]byte
	for _, name := range []string{"a", "b", "c"} {
		keys = append(keys, dealer.NewPrivateKeys(name).PubKey())
	}
	slices.SortFunc(keys, bytes.Compare)
	dealt := dealer.NewVault("own", "cosmos", keys)
	v := vault.Vault{PubKey: dealt.PubKey(), Vault: types.Vault{PubKeyEd25519: dealt.PubKeyEd25519(), Epoch: 3, Split: true}}
	for _, key := range keys {
		v.Members = append(v.Members, types.Member{PubKey: key})
	}
	want := dealt.Deal(keys).Group(keys)
	hash, err := v.GroupHash(want)
	require.NoError(t, err)
	v.Group = &types.GroupName{Hash: hash}
	mnemonic, err := sanity.ParseMnemonic([]byte(homekeys.Words))
	require.NoError(t, err)
	store, err := keystore.Open(t.TempDir(), homekeys.Of(t, mnemonic))
	require.NoError(t, err)
	_, err = OwnGroup(store, v, "cosmos", keys[1])
	require.ErrorIs(t, err, fs.ErrNotExist)

	var files []envelope.File
	for _, f := range dealt.Files[1] {
		files = append(files, envelope.File(f))
	}
	require.NoError(t, store.Save(3, files))
	group, err := OwnGroup(store, v, "cosmos", keys[1])
	require.NoError(t, err)
	require.Equal(t, want, group)
	_, err = OwnGroup(store, v, "cosmos", keys[0])
	require.ErrorIs(t, err, keyfiles.ErrKeyshares)
	v.Group.Hash = make([]byte, 32)
	_, err = OwnGroup(store, v, "cosmos", keys[1])
	require.ErrorIs(t, err, vault.ErrGroup)
}

package types_test

import (
	"crypto/sha256"
	"encoding/hex"
	"testing"

	"cosmossdk.io/collections"
	sdksecp256k1 "github.com/cosmos/cosmos-sdk/crypto/keys/secp256k1"
	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/verenc"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

func TestParams(t *testing.T) {
	tests := []struct {
		name   string
		change func(p *types.Params)
		ok     bool
	}{
		{"the defaults", func(*types.Params) {}, true},
		{"no deadline", func(p *types.Params) { p.KeygenDeadline = 0 }, false},
		{"a deadline of 31 blocks", func(p *types.Params) { p.KeygenDeadline = 31 }, false},
		{"a deadline of 32 blocks", func(p *types.Params) { p.KeygenDeadline = 32 }, true},
		{"an interval longer than the deadline", func(p *types.Params) { p.ChurnInterval = 1801 }, true},
		{"an interval of the deadline", func(p *types.Params) { p.ChurnInterval = 1800 }, false},
		{"a penalty of the retry interval", func(p *types.Params) { p.PenaltyBlocks = p.RetryInterval }, false},
		{"a penalty of the interval, without a retry", func(p *types.Params) {
			p.RetryInterval, p.ChurnInterval, p.PenaltyBlocks = 0, 2000, 2000
		}, false},
		{"a penalty longer than the interval, without a retry", func(p *types.Params) {
			p.RetryInterval, p.ChurnInterval, p.PenaltyBlocks = 0, 2000, 2001
		}, true},
		{"a penalty, and churns by message alone", func(p *types.Params) { p.RetryInterval, p.PenaltyBlocks = 0, 1 }, true},
		{"no penalty", func(p *types.Params) { p.PenaltyBlocks = 0 }, true},
		{"no retry", func(p *types.Params) { p.RetryInterval = 0 }, true},
		{"vaults of four", func(p *types.Params) { p.MaxVaultMembers = 4 }, false},
		{"vaults of five", func(p *types.Params) { p.MaxVaultMembers = 5 }, true},
		{"vaults of more than 512", func(p *types.Params) { p.MaxVaultMembers = 513 }, false},
		{"a share above one", func(p *types.Params) { p.Sample.Numerator = 2 }, false},
		{"a share of nothing", func(p *types.Params) { p.MinCoverage.Numerator = 0 }, false},
		{"a share without a denominator", func(p *types.Params) { p.MinCoverage.Denominator = 0 }, false},
		{"a share in too small parts", func(p *types.Params) { p.Sample = types.Fraction{Numerator: 1, Denominator: 1_000_001} }, false},
		{"envelopes of less than 1 KiB", func(p *types.Params) { p.MaxEnvelopeBytes = 1023 }, false},
		{"envelopes of more than 4 MiB", func(p *types.Params) { p.MaxEnvelopeBytes = 4<<20 + 1 }, false},
		{"a sample of which all are needed", func(p *types.Params) {
			p.Sample, p.MinCoverage = types.Fraction{Numerator: 2, Denominator: 3}, types.Fraction{Numerator: 1, Denominator: 1}
		}, false},
		{"everybody, of whom all are needed", func(p *types.Params) {
			p.MinCoverage = types.Fraction{Numerator: 1, Denominator: 1}
		}, true},
		{"a sample in vaults that bear nobody absent", func(p *types.Params) {
			p.Sample, p.MaxVaultMembers = types.Fraction{Numerator: 4, Denominator: 5}, 5
		}, false},
		{"a sample in vaults that bear one", func(p *types.Params) {
			p.Sample, p.MaxVaultMembers = types.Fraction{Numerator: 4, Denominator: 5}, 6
		}, true},
		// 40 members have a threshold of 27: 14 churns of 2,520 blocks.
		{"a penalty window of as many churns as a vault may spoil", func(p *types.Params) { p.PenaltyWindow = 14 * 2520 }, true},
		{"a penalty window of less", func(p *types.Params) { p.PenaltyWindow = 14*2520 - 1 }, false},
		{"a penalty window of less, without a retry", func(p *types.Params) {
			p.RetryInterval, p.ChurnInterval, p.PenaltyBlocks, p.PenaltyWindow = 0, 2000, 2001, 14*3800-1
		}, false},
		{"no penalty window, and no penalty", func(p *types.Params) { p.PenaltyWindow, p.PenaltyBlocks = 0, 0 }, true},
		{"an endless penalty window", func(p *types.Params) { p.PenaltyWindow = 1 << 63 }, false},
		{"no try", func(p *types.Params) { p.MaxTries = 0 }, false},
		{"one try", func(p *types.Params) { p.MaxTries = 1 }, true},
		{"17 tries", func(p *types.Params) { p.MaxTries = 17 }, false},
		{"no work", func(p *types.Params) { p.MinWorkFactor = 0 }, false},
		{"a work factor of 20", func(p *types.Params) { p.MinWorkFactor = 20 }, true},
		{"a work factor of 21", func(p *types.Params) { p.MinWorkFactor = 21 }, false},
		{"an endless delay", func(p *types.Params) { p.RetirementDelay = 1 << 63 }, false},
		{"an endless retention", func(p *types.Params) { p.ProofRetention = 1 << 63 }, false},
		{"an endless retention of keygens", func(p *types.Params) { p.KeygenRetention = 1 << 63 }, false},
		{"failed keygens kept for ever", func(p *types.Params) { p.KeygenRetention = 0 }, true},
		{"proofs kept for ever, and not required", func(p *types.Params) { p.ProofRetention, p.ProofsOptional = 0, true }, true},
		{"envelopes with the members", func(p *types.Params) { p.Placement = types.Placement_PLACEMENT_MEMBERS }, true},
		{"envelopes elsewhere", func(p *types.Params) { p.Placement = 2 }, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := types.DefaultParams()
			tt.change(&p)
			if tt.ok {
				require.NoError(t, p.Validate())
			} else {
				require.ErrorIs(t, p.Validate(), types.ErrInvalidParams)
			}
		})
	}
}

func TestWhoIsAskedAndNeeded(t *testing.T) {
	p := types.DefaultParams()
	tests := []struct{ n, threshold, asked, needed int }{
		{3, 2, 3, 3}, {4, 3, 4, 4}, {5, 4, 5, 5}, {6, 4, 6, 5}, {7, 5, 7, 6}, {12, 8, 12, 10}, {20, 14, 20, 17}, {100, 67, 100, 84},
	}
	for _, tt := range tests {
		require.Equal(t, tt.threshold, verenc.Threshold(tt.n))
		require.Equal(t, tt.asked, p.Asked(tt.n))
		require.Equal(t, tt.needed, p.Needed(tt.n))
	}
	p.Sample = types.Fraction{Numerator: 7, Denominator: 10}
	require.Equal(t, 15, p.Asked(20), "one more than the sample, so that one may be absent")
	require.Equal(t, 14, p.Needed(20), "never below the threshold")
	require.Equal(t, 70, p.Asked(100))
	require.Equal(t, 67, p.Needed(100))
	p.Sample = types.Fraction{Numerator: 1, Denominator: 100}
	for n := types.MinMembers; n <= 512; n++ {
		if n <= 5 {
			require.Equal(t, verenc.Threshold(n), p.Asked(n), "all of %d would have to publish too", n)
			continue
		}
		require.Greater(t, p.Asked(n), p.Needed(n), "one of %d may be absent", n)
		require.LessOrEqual(t, p.Asked(n), n)
	}
}

// The messages that are signed are part of the interface: other programs build them too.
func TestSignedMessages(t *testing.T) {
	pubKey, ed := make([]byte, 33), make([]byte, 32)
	for i := range pubKey {
		pubKey[i] = byte(i)
	}
	for i := range ed {
		ed[i] = byte(100 + i)
	}
	want := "tssbackup/check/v1" + "\x00\x00\x00\x06test-1" + "\x00\x00\x00\x00\x00\x00\x01\x02" + string(pubKey) + string(ed)
	sum := sha256.Sum256([]byte(want))
	require.Equal(t, sum[:], types.CheckMessage("test-1", 258, pubKey, ed))

	session := make([]byte, 32)
	want = "tssbackup/done/v1" + "\x00\x00\x00\x20" + string(session) + "\x00\x00\x00\x21" + string(pubKey) +
		"\x00\x00\x00\x20" + string(ed) + "\x00\x00\x00\x02ha"
	sum = sha256.Sum256([]byte(want))
	result := types.Result{PubKey: pubKey, PubKeyEd25519: ed, SharesHash: []byte("ha")}
	require.Equal(t, sum[:], types.DoneMessage(session, result))

	want = "tssbackup/register/v1" + "\x00\x00\x00\x06test-1" + "\x00\x00\x00\x14operator-of-20-bytes" + "\x00\x00\x00\x21" + string(pubKey) +
		"\x00\x00\x00\x20" + string(ed) + "\x00\x00\x01\x02"
	recipient := types.Recipient{Key: ed, Index: 258}
	require.Equal(t, want, string(types.RegisterMessage("test-1", []byte("operator-of-20-bytes"), pubKey, recipient)))
}

func TestVerifySecp256k1AcceptsWhatTheSDKSigns(t *testing.T) {
	key := sdksecp256k1.GenPrivKey()
	msg := []byte("message")
	sig, err := key.Sign(msg)
	require.NoError(t, err)
	digest := sha256.Sum256(msg)
	require.True(t, types.VerifySecp256k1(key.PubKey().Bytes(), digest[:], sig))
	for i := range sig {
		bad := append([]byte{}, sig...)
		bad[i] ^= 1
		require.False(t, types.VerifySecp256k1(key.PubKey().Bytes(), digest[:], bad))
	}
	require.False(t, types.VerifySecp256k1(key.PubKey().Bytes(), digest[:], make([]byte, 64)))
	require.False(t, types.VerifySecp256k1(nil, digest[:], sig))
}

func TestKeysAreThoseOfTheCollections(t *testing.T) {
	vault, member := make([]byte, 33), make([]byte, 20)
	for i := range vault {
		vault[i] = byte(i)
	}
	key, err := collections.EncodeKeyWithPrefix(types.BackupsPrefix.Bytes(), types.EpochMemberKeyCodec, collections.Join(uint64(7), member))
	require.NoError(t, err)
	require.Equal(t, key, types.BackupKey(7, member))
	require.Equal(t, "090000000000000007"+hex.EncodeToString(member), hex.EncodeToString(key))

	key, err = collections.EncodeKeyWithPrefix(types.VaultsPrefix.Bytes(), collections.BytesKey, vault)
	require.NoError(t, err)
	require.Equal(t, key, types.VaultKey(vault))
	key, err = collections.EncodeKeyWithPrefix(types.KeygensPrefix.Bytes(), collections.Uint64Key, 7)
	require.NoError(t, err)
	require.Equal(t, key, types.KeygenKey(7))
	key, err = collections.EncodeKeyWithPrefix(types.SignersPrefix.Bytes(), collections.BytesKey, member)
	require.NoError(t, err)
	require.Equal(t, key, types.SignerKey(member))
	key, err = collections.EncodeKeyWithPrefix(types.SignerOwnersPrefix.Bytes(), collections.BytesKey, member)
	require.NoError(t, err)
	require.Equal(t, key, types.SignerOwnerKey(member))
	key, err = collections.EncodeKeyWithPrefix(types.ProofsPrefix.Bytes(), types.EpochMemberKeyCodec, collections.Join(uint64(7), member))
	require.NoError(t, err)
	require.Equal(t, key, types.ProofKey(7, member))
	for name, tc := range map[string]struct{ prefix, got []byte }{
		"join": {types.JoinsPrefix.Bytes(), types.JoinKey(7, member)},
		"vote": {types.VotesPrefix.Bytes(), types.VoteKey(7, member)},
	} {
		key, err = collections.EncodeKeyWithPrefix(tc.prefix, types.EpochMemberKeyCodec, collections.Join(uint64(7), member))
		require.NoError(t, err)
		require.Equal(t, key, tc.got, name)
	}
	for name, tc := range map[string]struct{ prefix, got []byte }{
		"churn":       {types.ChurnsPrefix.Bytes(), types.ChurnKey(7)},
		"session":     {types.SessionsPrefix.Bytes(), types.SessionKey(7)},
		"certificate": {types.CertificatesPrefix.Bytes(), types.CertificateKey(7)},
	} {
		key, err = collections.EncodeKeyWithPrefix(tc.prefix, collections.Uint64Key, 7)
		require.NoError(t, err)
		require.Equal(t, key, tc.got, name)
	}
	require.Equal(t, types.ChurnSequencePrefix.Bytes(), types.ChurnSequenceKey())
	key, err = collections.EncodeKeyWithPrefix(types.SitOutsPrefix.Bytes(), collections.BytesKey, member)
	require.NoError(t, err)
	require.Equal(t, key, types.SitOutKey(member))
	hash := vault[:32]
	key, err = collections.EncodeKeyWithPrefix(types.PublicSharesPrefix.Bytes(), types.EpochMemberKeyCodec, collections.Join(uint64(7), hash))
	require.NoError(t, err)
	require.Equal(t, key, types.PublicSharesKey(7, hash))
	require.Equal(t, []byte{10}, types.LiveVaultsKey())
	require.Equal(t, []byte{0}, types.ParamsKey())
}

// TestSharesHash has the bytes that the hash is over.
func TestSharesHash(t *testing.T) {
	pubKey, ed := []byte("key of secp256k1"), []byte("key of ed25519")
	entry := func(s string) types.PublicShare {
		return types.PublicShare{Member: []byte("m" + s), Id: []byte("i" + s), Point: []byte("p" + s)}
	}
	shares := types.PublicShares{
		Secp256k1: []types.PublicShare{entry("1"), entry("2")},
		Ed25519:   []types.PublicShare{entry("3")},
	}
	want := "tssbackup/shares/v1" +
		"\x00\x00\x00\x10key of secp256k1\x00\x00\x00\x02" +
		"\x00\x00\x00\x02m1\x00\x00\x00\x02i1\x00\x00\x00\x02p1" +
		"\x00\x00\x00\x02m2\x00\x00\x00\x02i2\x00\x00\x00\x02p2" +
		"\x00\x00\x00\x0ekey of ed25519\x00\x00\x00\x01" +
		"\x00\x00\x00\x02m3\x00\x00\x00\x02i3\x00\x00\x00\x02p3"
	sum := sha256.Sum256([]byte(want))
	require.Equal(t, sum[:], shares.Hash(pubKey, ed))
	require.NotEqual(t, sum[:], shares.Hash(ed, pubKey))
	require.Empty(t, types.PublicShares{}.Hash(pubKey, ed))
}

func TestParseVault(t *testing.T) {
	name := "02" + hex.EncodeToString(make([]byte, 31)) + "ab"
	key, err := types.ParseVault(name)
	require.NoError(t, err)
	require.Equal(t, name, types.VaultName(key))
	for _, bad := range []string{"", name[2:], name + "00", "02AB" + name[4:], "0x" + name[2:], name[:65] + "g", " " + name[1:]} {
		_, err := types.ParseVault(bad)
		require.ErrorIs(t, err, types.ErrInvalidVault, bad)
	}
}

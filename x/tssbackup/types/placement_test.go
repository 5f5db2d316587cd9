package types_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"testing"

	sdkaddress "github.com/cosmos/cosmos-sdk/codec/address"
	sdksecp256k1 "github.com/cosmos/cosmos-sdk/crypto/keys/secp256k1"
	"github.com/decred/dcrd/dcrec/secp256k1/v4"
	"github.com/decred/dcrd/dcrec/secp256k1/v4/ecdsa"
	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// entry is one of a list of envelopes, with a hash of bytes that are all the same.
func entry(fill byte, size uint64) []byte {
	return binary.BigEndian.AppendUint64(bytes.Repeat([]byte{fill}, types.HashSize), size)
}

func TestEnvelopesAreListedInOneWay(t *testing.T) {
	held := types.Held([]byte("an envelope"))
	sum := sha256.Sum256([]byte("an envelope"))
	require.Equal(t, types.Commitment{
		Sha256: sum[:], Size_: 11, Placement: types.Placement_PLACEMENT_MEMBERS,
	}, held)
	require.True(t, held.IsHeld())
	require.True(t, held.Matches([]byte("an envelope")))
	require.False(t, types.Commitment{}.IsHeld())

	list := types.EncodeEnvelopes([]types.Commitment{held, types.Held([]byte("another"))})
	require.Equal(t, append(sum[:], 0, 0, 0, 0, 0, 0, 0, 11), list[:40])
	want := sha256.Sum256(append([]byte("tssbackup/envelopes/v1"), list...))
	require.Equal(t, want[:], types.EnvelopesHash(list))
}

func TestListsOfEnvelopes(t *testing.T) {
	tests := []struct {
		name  string
		list  []byte
		asked int
		ok    bool
	}{
		{"one envelope", entry(1, 1150), 1, true},
		{"two in the order of the members", append(entry(9, 1), entry(1, 2)...), 2, true},
		{"the same envelope twice, which harms whoever sent it second", append(entry(1, 5), entry(1, 5)...), 2, true},
		{"the largest envelope", entry(1, types.MaxHeldEnvelope), 1, true},
		{"an envelope of one byte more", entry(1, types.MaxHeldEnvelope+1), 1, false},
		{"an envelope of no byte", entry(1, 0), 1, false},
		{"a size of 64 bits", entry(1, 1<<63), 1, false},
		{"fewer than are asked", entry(1, 5), 2, false},
		{"more than are asked", append(entry(1, 5), entry(2, 5)...), 1, false},
		{"a byte too few", entry(1, 5)[:39], 1, false},
		{"a byte too many", append(entry(1, 5), 0), 1, false},
		{"nothing", nil, 1, false},
		{"nothing of nobody", nil, 0, false},
		{"nothing of fewer than nobody", nil, -1, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			envelopes, err := types.ParseEnvelopes(tt.list, tt.asked)
			if !tt.ok {
				require.ErrorIs(t, err, types.ErrInvalidEnvelopes)
				return
			}
			require.NoError(t, err)
			require.Len(t, envelopes, tt.asked)
			require.Equal(t, tt.list, types.EncodeEnvelopes(envelopes))
		})
	}
}

func FuzzParseEnvelopes(f *testing.F) {
	f.Add([]byte{}, 0)
	f.Add(entry(1, 1150), 1)
	f.Add(append(entry(1, 1), entry(2, types.MaxHeldEnvelope)...), 2)
	f.Add(entry(1, types.MaxHeldEnvelope+1), 1)
	f.Add(entry(1, 1)[:39], 1)
	f.Fuzz(func(t *testing.T, list []byte, asked int) {
		envelopes, err := types.ParseEnvelopes(list, asked)
		if err != nil {
			require.ErrorIs(t, err, types.ErrInvalidEnvelopes)
			require.Nil(t, envelopes)
			return
		}
		require.Equal(t, list, types.EncodeEnvelopes(envelopes), "one list for the same envelopes")
		for _, c := range envelopes {
			require.True(t, c.IsHeld())
			require.Zero(t, c.Height)
			require.LessOrEqual(t, c.Size_, uint64(types.MaxHeldEnvelope))
		}
	})
}

// receiptsOf are four members and, of the envelope of the first, the receipts of the others.
func receiptsOf(t testing.TB, message []byte) ([]types.Member, []types.Receipt) {
	var members []types.Member
	var receipts []types.Receipt
	codec := sdkaddress.NewBech32Codec("cosmos")
	for i := range byte(4) {
		key := &sdksecp256k1.PrivKey{Key: bytes.Repeat([]byte{i + 1}, 32)}
		members = append(members, types.Member{PubKey: key.PubKey().Bytes(), Asked: true})
		if i == 0 {
			continue
		}
		address, err := codec.BytesToString(members[i].Address())
		require.NoError(t, err)
		receipts = append(receipts, types.Receipt{
			Member: address,
			Signature: ecdsa.SignCompact(
				secp256k1.PrivKeyFromBytes(key.Key), message, true,
			)[1:],
		})
	}
	return members, receipts
}

func TestReceipts(t *testing.T) {
	sum := bytes.Repeat([]byte{7}, types.HashSize)
	message := types.ReceiptMessage("test-1", 3, []byte("publisher"), sum, 1150)
	want := sha256.Sum256([]byte("tssbackup/receipt/v1" + "\x00\x00\x00\x06test-1" + "\x00\x00\x00\x00\x00\x00\x00\x03" +
		"\x00\x00\x00\x09publisher" + string(sum) + "\x00\x00\x00\x00\x00\x00\x04\x7e"))
	require.Equal(t, want[:], message)
	members, receipts := receiptsOf(t, message)
	codec := sdkaddress.NewBech32Codec("cosmos")
	own, err := codec.BytesToString(members[0].Address())
	require.NoError(t, err)

	tests := []struct {
		name   string
		change func(list []types.Receipt)
		ok     bool
	}{
		{"of all other members", func([]types.Receipt) {}, true},
		{"in another order", func(list []types.Receipt) { list[0], list[2] = list[2], list[0] }, true},
		{"one twice", func(list []types.Receipt) { list[1] = list[0] }, false},
		{"one of who publishes", func(list []types.Receipt) { list[0].Member = own }, false},
		{"one signed by another member", func(list []types.Receipt) { list[0].Signature = list[1].Signature }, false},
		{"one without a signature", func(list []types.Receipt) { list[0].Signature = nil }, false},
		{"one with another byte", func(list []types.Receipt) {
			list[0].Signature = append([]byte{list[0].Signature[0] ^ 1}, list[0].Signature[1:]...)
		}, false},
		{"one of a stranger", func(list []types.Receipt) {
			list[0].Member, err = codec.BytesToString(bytes.Repeat([]byte{1}, 20))
		}, false},
		{"one of no address", func(list []types.Receipt) { list[0].Member = "cosmos1" }, false},
		{"one with the address of an operator", func(list []types.Receipt) {
			list[0].Member, err = sdkaddress.NewBech32Codec("cosmosvaloper").BytesToString(members[1].Address())
		}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			list := append([]types.Receipt{}, receipts...)
			tt.change(list)
			require.NoError(t, err)
			err := types.CheckReceipts(list, message, members[0].Address(), members, codec)
			if tt.ok {
				require.NoError(t, err)
			} else {
				require.ErrorIs(t, err, types.ErrInvalidReceipts)
			}
		})
	}
	t.Run("of another message", func(t *testing.T) {
		other := types.ReceiptMessage("test-1", 4, []byte("publisher"), sum, 1150)
		require.ErrorIs(t,
			types.CheckReceipts(receipts, other, members[0].Address(), members, codec), types.ErrInvalidReceipts)
	})
}

func TestHowManyReceiptsItTakes(t *testing.T) {
	for _, tt := range []struct {
		receipts, members int
		threshold         uint32
		ok                bool
	}{
		{1, 4, 3, false}, {2, 4, 3, true}, {3, 4, 3, true}, {4, 4, 3, false}, {1, 3, 2, true}, {0, 3, 2, false},
	} {
		err := types.CheckReceiptCount(tt.receipts, tt.members, tt.threshold)
		if tt.ok {
			require.NoError(t, err)
		} else {
			require.ErrorIs(t, err, types.ErrInvalidReceipts)
		}
	}
}

func FuzzCheckReceipts(f *testing.F) {
	sum := bytes.Repeat([]byte{7}, types.HashSize)
	message := types.ReceiptMessage("test-1", 3, []byte("publisher"), sum, 1150)
	members, receipts := receiptsOf(f, message)
	codec := sdkaddress.NewBech32Codec("cosmos")
	for _, r := range receipts {
		f.Add(r.Member, r.Signature)
	}
	f.Add("", []byte{})
	f.Add(receipts[0].Member, make([]byte, 64))
	f.Fuzz(func(t *testing.T, member string, signature []byte) {
		list := []types.Receipt{{Member: member, Signature: signature}}
		err := types.CheckReceipts(list, message, members[0].Address(), members, codec)
		addr, parse := codec.StringToBytes(member)
		m, of := types.FindMember(members[1:], addr)
		if err == nil {
			require.NoError(t, parse)
			require.True(t, of)
			require.True(t, types.VerifySecp256k1(m.PubKey, message, signature))
			require.ErrorIs(t, types.CheckReceipts(append(list, list...), message, members[0].Address(), members, codec),
				types.ErrInvalidReceipts, "the same twice")
		}
	})
}

func TestADoneNamesTheEnvelopesThatMembersHold(t *testing.T) {
	session, hash := make([]byte, 32), bytes.Repeat([]byte{3}, 32)
	result := types.Result{PubKey: make([]byte, 33), PubKeyEd25519: make([]byte, 32), SharesHash: []byte("ha"), EnvelopesHash: hash}
	want := sha256.Sum256([]byte("tssbackup/done/v1" + "\x00\x00\x00\x20" + string(session) + "\x00\x00\x00\x21" + string(result.PubKey) +
		"\x00\x00\x00\x20" + string(result.PubKeyEd25519) + "\x00\x00\x00\x02ha" + "\x00\x00\x00\x20" + string(hash)))
	require.Equal(t, want[:], types.DoneMessage(session, result))

	bare := types.Result{PubKey: result.PubKey, PubKeyEd25519: result.PubKeyEd25519}
	shares, envelopes := bare, bare
	shares.SharesHash, envelopes.EnvelopesHash = hash, hash
	require.NotEqual(t, shares.Key(), envelopes.Key(), "two results")
	require.NotEqual(t, bare.Key(), envelopes.Key())
}

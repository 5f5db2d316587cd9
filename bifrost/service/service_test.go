package service

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	abci "github.com/cometbft/cometbft/abci/types"
	sdkerrors "github.com/cosmos/cosmos-sdk/types/errors"
	"github.com/cosmos/gogoproto/proto"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/bifrost/chain"
	"github.com/tssbackup/tssbackup/bifrost/home"
	"github.com/tssbackup/tssbackup/bifrost/keyshare"
	"github.com/tssbackup/tssbackup/bifrost/publish"
	"github.com/tssbackup/tssbackup/bifrost/signer"
	"github.com/tssbackup/tssbackup/bifrost/tss"
	"github.com/tssbackup/tssbackup/testutil/fakenode"
	"github.com/tssbackup/tssbackup/testutil/fixture"
	"github.com/tssbackup/tssbackup/verenc"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

const testOperator = "cosmosvaloper1qqqsyqcyq5rqwzqfpg9scrgwpugpzysnxz90a2"

func testConfig() home.Config {
	c := home.DefaultConfig()
	c.ChainID, c.Operator = "fake-1", testOperator
	return c
}

func TestMessageDigest(t *testing.T) {
	want := sha256.Sum256([]byte("tssbackup/message/v1\x00\x00\x00\x05hello"))
	require.Equal(t, want[:], MessageDigest("hello"))
}

func TestChooseSigners(t *testing.T) {
	vault := types.VaultInfo{Threshold: 3, Members: []types.MemberInfo{{Address: "d"}, {Address: "c"}, {Address: "b"}, {Address: "a"}}}
	for _, row := range []struct {
		name      string
		addresses []string
		want      string
		err       string
	}{
		{"all members when none is named", nil, "abcd", ""},
		{"those that are named", []string{"d", "a", "b"}, "abd", ""},
		{"fewer than the threshold", []string{"a", "b"}, "", "needs 3"},
		{"a stranger", []string{"a", "b", "x", "c"}, "", "not all of the signers"},
		{"one named twice", []string{"a", "b", "b"}, "", "named twice"},
		{"without this one", []string{"b", "c", "d"}, "", "not among the signers"},
	} {
		t.Run(row.name, func(t *testing.T) {
			signers, err := chooseSigners(vault, "a", row.addresses)
			if row.err != "" {
				require.ErrorContains(t, err, row.err)
				return
			}
			require.NoError(t, err)
			got := ""
			for _, s := range signers {
				got += s.Address
			}
			require.Equal(t, row.want, got)
		})
	}
}

func TestRegistrationIsChecked(t *testing.T) {
	for _, row := range []struct {
		name       string
		signers    map[string]string // by operator
		former     string            // a signer of testOperator before
		chainID    string
		catchingUp bool
		recipient  string // of this signer, when not that of its mnemonic at index 2
		fails      bool
		state      string
		err        error
	}{
		{name: "the operator's signer", signers: map[string]string{testOperator: "me"}, state: StateReady},
		{name: "the recipient key is another mnemonic's", signers: map[string]string{testOperator: "me"}, recipient: recipientOf(t, 1, 2), err: errRecipient},
		{name: "the recipient key is that of another index", signers: map[string]string{testOperator: "me"}, recipient: recipientOf(t, 0, 3), err: ErrRefused},
		{name: "nobody is registered", state: StateUnregistered},
		{name: "another signer is the operator's", signers: map[string]string{testOperator: "other"}, err: ErrRefused},
		{name: "this signer was the operator's", signers: map[string]string{testOperator: "other"}, former: "me", state: StateReplaced},
		{name: "this signer is another operator's", signers: map[string]string{"someone": "me"}, err: ErrRefused},
		{name: "another chain", chainID: "other-1", err: home.ErrConfig},
		{name: "a node that is behind knows nothing", catchingUp: true, fails: true},
	} {
		t.Run(row.name, func(t *testing.T) {
			fake, url := fakenode.New(t)
			if row.chainID != "" {
				fake.ChainID = row.chainID
			}
			fake.CatchingUp = row.catchingUp
			fake.Answers["/tssbackup.v1.Query/Signer"] = func(data []byte) abci.ResponseQuery {
				var req types.QuerySignerRequest
				require.NoError(t, proto.Unmarshal(data, &req))
				for operator, address := range row.signers {
					if req.Address == operator || req.Address == address || req.Address == row.former {
						info := types.SignerInfo{Operator: operator, Address: address, RecipientKey: recipientOf(t, 0, 2), RecipientIndex: 2}
						if row.recipient != "" {
							info.RecipientKey = row.recipient
						}
						value, err := proto.Marshal(&types.QuerySignerResponse{Signer: info})
						require.NoError(t, err)
						return abci.ResponseQuery{Value: value}
					}
				}
				return abci.ResponseQuery{Codespace: sdkerrors.RootCodespace, Code: sdkerrors.ErrKeyNotFound.ABCICode()}
			}
			client, err := chain.New(url, 0)
			require.NoError(t, err)
			state, err := checkRegistration(context.Background(), client, testConfig(), "me", testMnemonic(t, 0))
			require.Equal(t, row.state, state)
			require.Equal(t, row.fails || row.err != nil, err != nil, "%v", err)
			if row.err != nil {
				require.ErrorIs(t, err, row.err)
			}
		})
	}
}

// recipientOf is a recipient key of a test's mnemonic.
func recipientOf(t *testing.T, mnemonic byte, index uint32) string {
	key, err := signer.DeriveRecipient(testMnemonic(t, mnemonic), index)
	require.NoError(t, err)
	return hex.EncodeToString(key.Public())
}

func TestNextRecipientIndex(t *testing.T) {
	for _, row := range []struct {
		name  string
		known *types.SignerInfo
		next  uint32
	}{
		{"a signer that is not registered", nil, 0},
		{"a registered one", &types.SignerInfo{Operator: testOperator, Address: "me", RecipientIndex: 4}, 5},
		{"one that was replaced", &types.SignerInfo{Operator: testOperator, Address: "other", RecipientIndex: 4}, 0},
	} {
		t.Run(row.name, func(t *testing.T) {
			fake, url := fakenode.New(t)
			fake.Answers["/tssbackup.v1.Query/Signer"] = func([]byte) abci.ResponseQuery {
				if row.known == nil {
					return abci.ResponseQuery{Codespace: sdkerrors.RootCodespace, Code: sdkerrors.ErrKeyNotFound.ABCICode()}
				}
				value, err := proto.Marshal(&types.QuerySignerResponse{Signer: *row.known})
				require.NoError(t, err)
				return abci.ResponseQuery{Value: value}
			}
			c := testConfig()
			c.Node = url
			next, err := NextRecipientIndex(t.Context(), c, "me")
			require.NoError(t, err)
			require.Equal(t, row.next, next)
			fake.Lock()
			fake.ChainID = "other-1"
			fake.Unlock()
			_, err = NextRecipientIndex(t.Context(), c, "me")
			require.ErrorIs(t, err, home.ErrConfig)
		})
	}
}

func TestRegistrationIsWhatTheChainTakes(t *testing.T) {
	m := testMnemonic(t, 0)
	key, err := signer.Derive(m, signer.DefaultHDPath)
	require.NoError(t, err)
	unhex := func(s string) []byte {
		b, err := hex.DecodeString(s)
		require.NoError(t, err)
		return b
	}
	for _, index := range []uint32{0, 7} {
		r, err := NewRegistration(testConfig(), key, m, index)
		require.NoError(t, err)
		operator, err := testConfig().OperatorAddress()
		require.NoError(t, err)
		recipient := types.Recipient{Key: unhex(r.RecipientKey), Index: index}
		require.Equal(t, recipientOf(t, 0, index), r.RecipientKey)
		digest := sha256.Sum256(types.RegisterMessage("fake-1", operator, key.PubKey(), recipient))
		require.True(t, types.VerifySecp256k1(unhex(r.PubKey), digest[:], unhex(r.Signature)))
		require.NoError(t, verenc.VerifyPossession(recipient.Key, "fake-1", key.Address(), unhex(r.Possession)))
		require.Contains(t, r.Command, fmt.Sprintf(" register-signer %s %s %s %d %s --from cosmos1", r.PubKey, r.Signature, r.RecipientKey, index, r.Possession))
	}
}

// TestProve is of real shares and the real scheme: what the service proves, everyone
// verifies and the mnemonic opens.
func TestProve(t *testing.T) {
	w := newWorld(t)
	var shares []verenc.Share
	public := types.PublicShares{}
	for i, f := range w.vaults[0].Files[0] {
		k, err := keyshare.Parse(f.Data)
		require.NoError(t, err)
		share, err := k.Share()
		require.NoError(t, err)
		shares = append(shares, share)
		of, err := k.PublicShares()
		require.NoError(t, err)
		for _, s := range of {
			entry := types.PublicShare{Member: types.SignerAddress(s.Member), Id: s.ID, Point: s.Point}
			if i == 0 {
				public.Secp256k1 = append(public.Secp256k1, entry)
			} else {
				public.Ed25519 = append(public.Ed25519, entry)
			}
		}
	}
	keys := w.vaults[0].Keys
	require.NoError(t, public.Check(keys.Secp256k1, keys.Ed25519))
	key, err := signer.DeriveRecipient(w.mnemonic, 2)
	require.NoError(t, err)
	st, ok := public.Statement("fake-1", 5, keys.Secp256k1, keys.Ed25519, types.SignerAddress(w.pubKey), key.Public())
	require.True(t, ok)

	proof, err := prove(w.mnemonic)(st, 2, shares)
	require.NoError(t, err)
	stored, err := verenc.Verify(st, proof)
	require.NoError(t, err)
	opened, err := stored.Open(key, st.Shares)
	require.NoError(t, err)
	require.Equal(t, shares[0].Bytes(), opened[0].Bytes())
	require.Equal(t, shares[1].Bytes(), opened[1].Bytes())

	_, err = prove(w.mnemonic)(st, 3, shares)
	require.ErrorIs(t, err, publish.ErrRecipient)
	_, err = prove(testMnemonic(t, 1))(st, 2, shares)
	require.ErrorIs(t, err, publish.ErrRecipient)
	shares[0], shares[1] = shares[1], shares[0]
	_, err = prove(w.mnemonic)(st, 2, shares)
	require.Error(t, err)
}

func TestVaultsOfAFormerSignerAreNamed(t *testing.T) {
	fake, url := fakenode.New(t)
	member := func(operator, address string) types.MemberInfo {
		return types.MemberInfo{Operator: operator, Address: address}
	}
	vault := func(name string, members ...types.MemberInfo) types.VaultInfo {
		return types.VaultInfo{Vault: name, Status: types.VaultStatus_VAULT_STATUS_ACTIVE, Members: members}
	}
	fake.Vaults = []types.VaultInfo{
		vault("02aa", member(testOperator, "old"), member("other", "x")),
		vault("02bb", member(testOperator, "me"), member("other", "x")),
		vault("02cc", member("other", "x")),
	}
	client, err := chain.New(url, 0)
	require.NoError(t, err)
	former, err := formerVaults(context.Background(), client, testOperator, "me")
	require.NoError(t, err)
	require.Equal(t, []FormerVault{{Vault: "02aa", Address: "old"}}, former)
}

func TestAttemptsOfOneKeygenShareTheirPreParams(t *testing.T) {
	store := tss.NewPreParams(filepath.Join(t.TempDir(), "preparams"), zerolog.Nop())
	for _, f := range fixture.PreParams()[:2] {
		require.NoError(t, store.Import(f.Data))
	}
	c := &ceremonies{preParams: store, log: zerolog.Nop()}
	ctx := context.Background()
	first, err := c.take(ctx, "keygen/1")
	require.NoError(t, err)
	again, err := c.take(ctx, "keygen/1")
	require.NoError(t, err)
	require.Same(t, first, again)
	second, err := c.take(ctx, "keygen/2")
	require.NoError(t, err)
	require.NotEqual(t, hex.EncodeToString(first.NTildei.Bytes()), hex.EncodeToString(second.NTildei.Bytes()))
	c.drop()

	// There is none left: the keygen waits for one, and not past its deadline.
	short, cancel := context.WithTimeout(ctx, 10*time.Millisecond)
	defer cancel()
	_, err = c.take(short, "keygen/2")
	require.ErrorIs(t, err, tss.ErrNoPreParams)
}

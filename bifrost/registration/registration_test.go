package registration

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"testing"

	abci "github.com/cometbft/cometbft/abci/types"
	sdkerrors "github.com/cosmos/cosmos-sdk/types/errors"
	"github.com/cosmos/gogoproto/proto"
	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/bifrost/chain"
	"github.com/tssbackup/tssbackup/bifrost/home"
	"github.com/tssbackup/tssbackup/bifrost/signer"
	"github.com/tssbackup/tssbackup/testutil/fakemember"
	"github.com/tssbackup/tssbackup/testutil/fakenode"
	"github.com/tssbackup/tssbackup/verenc"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

func TestRegistrationIsChecked(t *testing.T) {
	for _, row := range []struct {
		name       string
		signers    map[string]string // by operator
		former     string            // a signer of fakemember.Operator before
		chainID    string
		catchingUp bool
		recipient  string // of this signer, when not that of its mnemonic at index 2
		fails      bool
		state      State
		err        error
	}{
		{
			name:    "the operator's signer",
			signers: map[string]string{fakemember.Operator: "me"}, state: Ready,
		},
		{
			name:    "the recipient key is another mnemonic's",
			signers: map[string]string{fakemember.Operator: "me"}, recipient: fakemember.Recipient(t, 1, 2), err: ErrRecipient,
		},
		{
			name:    "the recipient key is that of another index",
			signers: map[string]string{fakemember.Operator: "me"}, recipient: fakemember.Recipient(t, 0, 3), err: ErrRefused,
		},
		{name: "nobody is registered", state: Unregistered},
		{
			name:    "another signer is the operator's",
			signers: map[string]string{fakemember.Operator: "other"}, err: ErrRefused,
		},
		{
			name:    "this signer was the operator's",
			signers: map[string]string{fakemember.Operator: "other"}, former: "me", state: Replaced,
		},
		{
			name:    "this signer is another operator's",
			signers: map[string]string{"someone": "me"}, err: ErrRefused,
		},
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
						info := types.SignerInfo{Operator: operator, Address: address, RecipientKey: fakemember.Recipient(t, 0, 2), RecipientIndex: 2}
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
			state, err := Check(context.Background(), client, fakemember.Config(), "me", fakemember.Mnemonic(t, 0))
			require.Equal(t, row.state, state)
			require.Equal(t, row.fails || row.err != nil, err != nil, "%v", err)
			if row.err != nil {
				require.ErrorIs(t, err, row.err)
			}
		})
	}
}

func TestNextIndex(t *testing.T) {
	for _, row := range []struct {
		name  string
		known *types.SignerInfo
		next  uint32
	}{
		{"a signer that is not registered", nil, 0},
		{"a registered one", &types.SignerInfo{Operator: fakemember.Operator, Address: "me", RecipientIndex: 4}, 5},
		{"one that was replaced", &types.SignerInfo{Operator: fakemember.Operator, Address: "other", RecipientIndex: 4}, 0},
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
			c := fakemember.Config()
			c.Node = url
			next, err := NextIndex(t.Context(), c, "me")
			require.NoError(t, err)
			require.Equal(t, row.next, next)
			fake.Lock()
			fake.ChainID = "other-1"
			fake.Unlock()
			_, err = NextIndex(t.Context(), c, "me")
			require.ErrorIs(t, err, home.ErrConfig)
		})
	}
}

func TestRequestIsWhatTheChainTakes(t *testing.T) {
	m := fakemember.Mnemonic(t, 0)
	key, err := signer.Derive(m, signer.DefaultHDPath)
	require.NoError(t, err)
	unhex := func(s string) []byte {
		b, err := hex.DecodeString(s)
		require.NoError(t, err)
		return b
	}
	for _, index := range []uint32{0, 7} {
		r, err := NewRequest(fakemember.Config(), key, m, index)
		require.NoError(t, err)
		operator, err := fakemember.Config().OperatorAddress()
		require.NoError(t, err)
		recipient := types.Recipient{Key: unhex(r.RecipientKey), Index: index}
		require.Equal(t, fakemember.Recipient(t, 0, index), r.RecipientKey)
		digest := sha256.Sum256(types.RegisterMessage("fake-1", operator, key.PubKey(), recipient))
		require.True(t, types.VerifySecp256k1(unhex(r.PubKey), digest[:], unhex(r.Signature)))
		require.NoError(t, verenc.VerifyPossession(recipient.Key, "fake-1", key.Address(), unhex(r.Possession)))
		require.Contains(t, r.Command, fmt.Sprintf(" register-signer %s %s %s %d %s --from cosmos1", r.PubKey, r.Signature, r.RecipientKey, index, r.Possession))
	}
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
		vault("02aa", member(fakemember.Operator, "old"), member("other", "x")),
		vault("02bb", member(fakemember.Operator, "me"), member("other", "x")),
		vault("02cc", member("other", "x")),
	}
	client, err := chain.New(url, 0)
	require.NoError(t, err)
	former, err := findFormer(context.Background(), client, fakemember.Operator, "me")
	require.NoError(t, err)
	require.Equal(t, []FormerVault{{Vault: "02aa", Address: "old"}}, former)
}

func TestProblemsOfARegistration(t *testing.T) {
	for _, row := range []struct {
		name     string
		status   Status
		problems []string
	}{
		{"it is registered", Status{State: Ready}, nil},
		{"its recipient key is wrong", Status{State: Ready, Error: "x"}, []string{"x"}},
		{"it is not registered", Status{State: Unregistered}, []string{"the signer is not registered"}},
		{"it was replaced", Status{State: Replaced}, []string{"the operator has another signer by now"}},
		{"it was replaced, as is known", Status{State: Replaced, expected: true}, nil},
		{"the node is away", Status{State: Waiting, Error: "x"}, []string{"waiting for the node: x"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			require.Equal(t, row.problems, row.status.Problems())
		})
	}
}

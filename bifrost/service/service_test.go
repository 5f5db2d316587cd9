package service

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	abci "github.com/cometbft/cometbft/abci/types"
	sdkerrors "github.com/cosmos/cosmos-sdk/types/errors"
	"github.com/cosmos/gogoproto/proto"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/bifrost/chain"
	"github.com/tssbackup/tssbackup/bifrost/tss"
	"github.com/tssbackup/tssbackup/testutil/fakenode"
	"github.com/tssbackup/tssbackup/testutil/fixture"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

const testOperator = "cosmosvaloper1qqqsyqcyq5rqwzqfpg9scrgwpugpzysnxz90a2"

func testConfig() Config {
	c := DefaultConfig()
	c.ChainID, c.Operator = "fake-1", testOperator
	return c
}

func TestConfigIsReadAsItWasWritten(t *testing.T) {
	c := testConfig()
	c.P2P.Peers = []string{"/ip4/10.0.0.1/tcp/5040/p2p/16Uiu2", "/dns4/a/tcp/1/p2p/16Uiu3"}
	c.Metrics.Listen = ""
	c.ChainID = `quoted "name"`
	c.Trust = Trust{Period: Duration(36 * time.Hour), Height: 7, Hash: strings.Repeat("ab", 32)}
	text, err := c.Encode()
	require.NoError(t, err)
	home := t.TempDir()
	require.NoError(t, os.WriteFile(ConfigPath(home), text, 0o600))
	got, err := LoadConfig(home)
	require.NoError(t, err)
	require.Equal(t, c, got)
}

func TestConfigIsChecked(t *testing.T) {
	for _, row := range []struct {
		name   string
		change func(*Config)
		err    string
	}{
		{"no chain id", func(c *Config) { c.ChainID = "" }, "chain_id"},
		{"an operator that is an account", func(c *Config) { c.Operator = "cosmos1qqqsyqcyq5rqwzqfpg9scrgwpugpzysnzs23v9" }, "cosmosvaloper1"},
		{"an operator of another chain", func(c *Config) { c.Prefix = "thor" }, "thorvaloper1"},
		{"a node that is no URL", func(c *Config) { c.Node = "localhost" }, "node"},
		{"an unknown log level", func(c *Config) { c.Log.Level = "loud" }, "loud"},
		{"an unknown log format", func(c *Config) { c.Log.Format = "xml" }, "xml"},
		{"a negative number of pre-parameters", func(c *Config) { c.PreParams = -1 }, "preparams"},
		{"a trusted height without its hash", func(c *Config) { c.Trust.Height = 7 }, "belong together"},
		{"a trusted height below zero", func(c *Config) { c.Trust.Height = -1 }, "trust.height"},
		{"a hash that is none", func(c *Config) { c.Trust.Height, c.Trust.Hash = 7, "abcd" }, "64 hex digits"},
		{"no trusting period", func(c *Config) { c.Trust.Period = 0 }, "trust.period"},
		{"metrics without a port", func(c *Config) { c.Metrics.Listen = "localhost" }, "metrics"},
	} {
		t.Run(row.name, func(t *testing.T) {
			c := testConfig()
			require.NoError(t, c.Validate())
			row.change(&c)
			require.ErrorContains(t, c.Validate(), row.err)
		})
	}
}

func TestConfigOfAnEarlierVersionHasTheDefaultTrust(t *testing.T) {
	home := t.TempDir()
	require.NoError(t, os.WriteFile(ConfigPath(home), fmt.Appendf(nil, "chain_id = \"fake-1\"\noperator = %q\n", testOperator), 0o600))
	got, err := LoadConfig(home)
	require.NoError(t, err)
	require.Equal(t, DefaultConfig().Trust, got.Trust)

	require.NoError(t, os.WriteFile(ConfigPath(home), fmt.Appendf(nil, "chain_id = \"fake-1\"\noperator = %q\n[trust]\nperiod = \"a week\"\n", testOperator), 0o600))
	_, err = LoadConfig(home)
	require.ErrorContains(t, err, "a week")
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
		fails      bool
		state      string
		err        error
	}{
		{name: "the operator's signer", signers: map[string]string{testOperator: "me"}, state: StateReady},
		{name: "nobody is registered", state: StateUnregistered},
		{name: "another signer is the operator's", signers: map[string]string{testOperator: "other"}, err: ErrRefused},
		{name: "this signer was the operator's", signers: map[string]string{testOperator: "other"}, former: "me", state: StateReplaced},
		{name: "this signer is another operator's", signers: map[string]string{"someone": "me"}, err: ErrRefused},
		{name: "another chain", chainID: "other-1", err: ErrConfig},
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
						value, err := proto.Marshal(&types.QuerySignerResponse{Signer: types.SignerInfo{Operator: operator, Address: address}})
						require.NoError(t, err)
						return abci.ResponseQuery{Value: value}
					}
				}
				return abci.ResponseQuery{Codespace: sdkerrors.RootCodespace, Code: sdkerrors.ErrKeyNotFound.ABCICode()}
			}
			client, err := chain.New(url, 0)
			require.NoError(t, err)
			state, err := checkRegistration(context.Background(), client, testConfig(), "me")
			require.Equal(t, row.state, state)
			require.Equal(t, row.fails || row.err != nil, err != nil, "%v", err)
			if row.err != nil {
				require.ErrorIs(t, err, row.err)
			}
		})
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

func TestHomeIsForOneProcessAndItsOwner(t *testing.T) {
	home := filepath.Join(t.TempDir(), "home")
	require.Error(t, CheckHome(home))
	require.NoError(t, os.Mkdir(home, 0o755))
	require.ErrorContains(t, CheckHome(home), "0700")
	require.NoError(t, os.Chmod(home, 0o700))
	require.NoError(t, CheckHome(home))

	unlock, err := lockHome(home)
	require.NoError(t, err)
	_, err = lockHome(home)
	require.ErrorIs(t, err, ErrHomeInUse)
	unlock()
	unlock, err = lockHome(home)
	require.NoError(t, err)
	unlock()
}

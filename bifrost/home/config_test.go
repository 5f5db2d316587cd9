package home

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/bifrost/chain"
	"github.com/tssbackup/tssbackup/bifrost/signer"
)

const testOperator = "cosmosvaloper1qqqsyqcyq5rqwzqfpg9scrgwpugpzysnxz90a2"

// exportKey is a recipient of age.
const exportKey = "age1y33c4vfduqpg7da4ka5kve333z9lvm6madyyuraqfjf3ns0cssmqvnctp9"

func testConfig() Config {
	c := DefaultConfig()
	c.ChainID, c.Operator = "fake-1", testOperator
	return c
}

func TestDefaultsAreThoseOfTheKeyAndOfTheLightClient(t *testing.T) {
	c := DefaultConfig()
	require.Equal(t, signer.DefaultHDPath, c.HDPath)
	require.Equal(t, chain.DefaultTrustingPeriod, time.Duration(c.Trust.Period))
}

func TestConfigIsReadAsItWasWritten(t *testing.T) {
	c := testConfig()
	c.P2P.Peers = []string{"/ip4/10.0.0.1/tcp/5040/p2p/16Uiu2", "/dns4/a/tcp/1/p2p/16Uiu3"}
	c.Metrics.Listen = ""
	c.TrustParameters = []string{"02" + strings.Repeat("ab", 32)}
	c.Backup = Backup{
		Dir: "/mnt/backups", Period: Duration(time.Hour), Strict: true, Recipients: []string{"age1x"},
		IncludeMnemonic: true,
	}
	c.Export.Whitelist = []string{exportKey}
	c.Notify = Notify{WebhookFile: "/etc/hook", PingFile: "ping"}
	c.Sinks = []Sink{
		{Name: "nas", URL: "file:///mnt/nas", What: "home", Required: true},
		{Name: "bucket", URL: "s3://b/p?endpoint=https://h&region=r", What: "both", CredentialsFile: "bucket", MaxBytes: 7},
	}
	c.ChainID = `quoted "name"`
	c.Prefix, c.OperatorPrefix = "thor", "thorv"
	c.Operator = "thorv1qqqsyqcyq5rqwzqfpg9scrgwpugpzysn9e6mcr"
	c.Trust = Trust{Period: Duration(36 * time.Hour), Height: 7, Hash: strings.Repeat("ab", 32)}
	home := t.TempDir()
	require.NoError(t, c.Write(home))
	got, err := Load(home)
	require.NoError(t, err)
	require.Equal(t, c, got)
}

func TestConfigIsChecked(t *testing.T) {
	for _, row := range []struct {
		name   string
		change func(*Config)
		err    string
	}{
		{
			"backups in a folder that depends on where bifrost was started",
			func(c *Config) { c.Backup.Dir = "backups" }, "not an absolute path",
		},
		{
			"backups that never end", func(c *Config) { c.Backup.Period = 0 },
			"backup.period = 0s is less than a second",
		},
		{
			"a mnemonic that is backed up for nobody",
			func(c *Config) { c.Backup.IncludeMnemonic = true },
			"backup.include_mnemonic needs backup.recipients",
		},
		{
			"a sink without a name",
			func(c *Config) { c.Sinks = []Sink{{URL: "file:///x", What: "envelopes"}} }, "name \"\" is not made of",
		},
		{
			"two sinks of one name", func(c *Config) {
				one := Sink{Name: "a", URL: "file:///x", What: "envelopes"}
				c.Sinks = []Sink{one, one}
			}, "two have this name",
		},
		{
			"a sink for what there is not",
			func(c *Config) { c.Sinks = []Sink{{Name: "a", What: "keys"}} }, "none of home, envelopes, both",
		},
		{
			"copies of backups that nobody makes",
			func(c *Config) { c.Sinks = []Sink{{Name: "a"}} }, "backup.dir names no folder",
		},
		{
			"a vote that waits for its own envelope", func(c *Config) {
				c.Backup.Dir = "/b"
				c.Sinks = []Sink{{Name: "a", What: "both", Required: true}}
			}, "required is for what = \"home\" alone",
		},
		{
			"the home for everybody", func(c *Config) {
				c.Backup.Dir = "/b"
				c.Sinks = []Sink{{Name: "a", URL: "ipfs://127.0.0.1:5001", What: "both"}}
			}, "IPFS gets envelopes alone",
		},
		{
			"a bound on what nobody counts",
			func(c *Config) { c.Sinks = []Sink{{Name: "a", URL: "ipfs://127.0.0.1:5001", MaxBytes: 1}} },
			"max_bytes is not for it",
		},
		{
			"envelopes by mail", func(c *Config) {
				c.Backup.Dir = "/b"
				c.Sinks = []Sink{{Name: "a", URL: "mailto:a@b", What: "both"}}
			}, "a mailbox gets backups of the home alone",
		},
		{
			"a vote that waits for mail", func(c *Config) {
				c.Backup.Dir = "/b"
				c.Sinks = []Sink{{Name: "a", URL: "mailto:a@b", Required: true}}
			}, "it cannot be required",
		},
		{
			"a sink of less than nothing",
			func(c *Config) { c.Sinks = []Sink{{Name: "a", What: "envelopes", MaxBytes: -1}} }, "max_bytes is negative",
		},
		{
			"credentials that depend on where bifrost was started",
			func(c *Config) { c.Sinks = []Sink{{Name: "a", What: "envelopes", CredentialsFile: "x/y"}} },
			"neither an absolute path nor the name",
		},
		{"no chain id", func(c *Config) { c.ChainID = "" }, "chain_id"},
		{
			"an operator that is an account",
			func(c *Config) { c.Operator = "cosmos1qqqsyqcyq5rqwzqfpg9scrgwpugpzysnrk363e" },
			"as that of an operator it is cosmosvaloper1",
		},
		{
			"an operator with a slip in it",
			func(c *Config) { c.Operator = "cosmosvaloper1qqqsyqcyq5rqwzqfpg9scrgwpugpzysnzs23v8" },
			"its checksum does not fit",
		},
		{
			"an operator of another prefix",
			func(c *Config) { c.Prefix = "thor" },
			"prefix should be cosmos",
		},
		{
			"an operator without the prefix that operators have",
			func(c *Config) { c.OperatorPrefix = "thorv" },
			"that begins with thorv1",
		},
		{
			"a prefix of operators in upper case", func(c *Config) { c.OperatorPrefix = "THORV" },
			"operator_prefix",
		},
		{"no operator", func(c *Config) { c.Operator = "" }, "operator is not set"},
		{"an operator of another chain", func(c *Config) { c.Prefix = "thor" }, "thorvaloper1"},
		{"a node that is no URL", func(c *Config) { c.Node = "localhost" }, "node"},
		{"an unknown log level", func(c *Config) { c.Log.Level = "loud" }, "loud"},
		{"an unknown log format", func(c *Config) { c.Log.Format = "xml" }, "xml"},
		{
			"a vault by its first digits", func(c *Config) { c.TrustParameters = []string{"02ab"} },
			"trust_parameters",
		},
		{"a negative number of pre-parameters", func(c *Config) { c.PreParams = -1 }, "preparams"},
		{
			"a trusted height without its hash", func(c *Config) { c.Trust.Height = 7 },
			"belong together",
		},
		{"a trusted height below zero", func(c *Config) { c.Trust.Height = -1 }, "trust.height"},
		{
			"a hash that is none", func(c *Config) { c.Trust.Height, c.Trust.Hash = 7, "abcd" },
			"64 hex digits",
		},
		{
			"an export to a key with a slip in it",
			func(c *Config) { c.Export.Whitelist = []string{exportKey[:len(exportKey)-1] + "q"} },
			"export.whitelist",
		},
		{
			"an export to a key of the hybrid kind",
			func(c *Config) { c.Export.Whitelist = []string{"age1pq1qqqq"} }, "export.whitelist",
		},
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
	got, err := Load(home)
	require.NoError(t, err)
	require.Equal(t, DefaultConfig().Trust, got.Trust)

	require.NoError(t, os.WriteFile(ConfigPath(home), fmt.Appendf(nil, "chain_id = \"fake-1\"\noperator = %q\n[trust]\nperiod = \"a week\"\n", testOperator), 0o600))
	_, err = Load(home)
	require.ErrorContains(t, err, "a week")
}

package home

import (
	"bytes"
	"cmp"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"text/template"
	"time"

	"github.com/cosmos/cosmos-sdk/types/bech32"
	"github.com/pelletier/go-toml/v2"

	"github.com/tssbackup/tssbackup/internal/durable"
)

// ErrConfig means that the configuration does not fit the node.
var ErrConfig = errors.New("the configuration does not fit the node")

// Config is the file config.toml.
type Config struct {
	ChainID string `toml:"chain_id"`
	Node    string `toml:"node"`
	// Witnesses are other nodes: what decides about restores is verified with them, fire drills
	// recover from them, and so does bifrost when its own node has not kept an envelope.
	Witnesses []string `toml:"witnesses"`
	Operator  string   `toml:"operator"`
	Prefix    string   `toml:"prefix"`
	// OperatorPrefix is that of operators' addresses. When it is empty it is Prefix and valoper.
	OperatorPrefix string `toml:"operator_prefix"`
	HDPath         string `toml:"hd_path"`
	PreParams      int    `toml:"preparams"`
	// TrustParameters names vaults, by their secp256k1 keys in hex, with which this signer signs
	// although their members' parameters are proven by nobody.
	TrustParameters []string `toml:"trust_parameters"`
	Keystore        Keystore `toml:"keystore"`
	Backup          Backup   `toml:"backup"`
	Export          Export   `toml:"export"`
	Sinks           []Sink   `toml:"sink"`
	Notify          Notify   `toml:"notify"`
	Trust           Trust    `toml:"trust"`
	P2P             P2P      `toml:"p2p"`
	Metrics         Listen   `toml:"metrics"`
	Log             Log      `toml:"log"`
}

// Keystore says for whom keyshares are sealed on the disk.
type Keystore struct {
	// Recipients of age can open them beside the mnemonic. They are all of one kind, age1… or
	// age1pq1….
	Recipients []string `toml:"recipients"`
}

// Backup says where the home is backed up, and for whom.
type Backup struct {
	// Dir is an absolute path, or empty: then there are no backups.
	Dir string `toml:"dir"`
	// Period is the time between two looks at the home for what changed.
	Period Duration `toml:"period"`
	// Strict lets no vote for a vault go out before its keyshares are backed up.
	Strict bool `toml:"strict"`
	// Recipients of age can open the backups beside the mnemonic and those of the keystore, and are
	// of the same kind.
	Recipients []string `toml:"recipients"`
	// IncludeMnemonic has the mnemonic backed up as well, for Recipients alone.
	IncludeMnemonic bool `toml:"include_mnemonic"`
}

// Export says to whom keyshares may be exported when a vault's members agree.
type Export struct {
	// Whitelist are the wrapping keys: X25519 recipients of age.
	Whitelist []string `toml:"whitelist"`
}

// validate errs when a wrapping key is none.
func (e Export) validate() error {
	for _, key := range e.Whitelist {
		prefix, raw, err := bech32.DecodeAndConvert(key)
		if err != nil || prefix != "age" || len(raw) != 32 || strings.ToLower(key) != key {
			return fmt.Errorf("export.whitelist: %.100q is no X25519 recipient of age, age1…", key)
		}
	}
	return nil
}

// Notify says who is told of problems. The files hold a URL each, which is a secret: an absolute
// path, or the name of a credential of systemd; empty for none.
type Notify struct {
	// WebhookFile has the URL that gets a POST when the problems are others.
	WebhookFile string `toml:"webhook_file"`
	// PingFile has the URL that gets a GET every five minutes while there is none.
	PingFile string `toml:"ping_file"`
}

// A Sink is a place that keeps copies.
type Sink struct {
	Name string `toml:"name"`
	// URL says where it is. It has no credentials in it.
	URL string `toml:"url"`
	// What is copied there: one of SinkHome, SinkEnvelopes and SinkBoth. Empty means the first, and
	// for IPFS, which keeps nothing else, the second.
	What string `toml:"what"`
	// CredentialsFile is an absolute path, or the name of a credential of systemd; empty for none.
	CredentialsFile string `toml:"credentials_file"`
	// Required has votes wait for the copy as they wait for the backup.
	Required bool `toml:"required"`
	// MaxBytes is the most that the sink may hold, or that is mailed at once; 0 for any.
	MaxBytes int64 `toml:"max_bytes"`
}

// What a sink gets copies of.
const (
	SinkHome      = "home"
	SinkEnvelopes = "envelopes"
	SinkBoth      = "both"
)

// Kind is what is copied to the sink, which a default may say.
func (s Sink) Kind() string {
	if s.What == "" && s.IsIPFS() {
		return SinkEnvelopes
	}
	return cmp.Or(s.What, SinkHome)
}

// IsIPFS reports whether the sink is a node of IPFS.
func (s Sink) IsIPFS() bool { return strings.HasPrefix(s.URL, "ipfs:") }

// IsMail reports whether it is a mailbox, which gets each backup as one file, and is not looked at.
func (s Sink) IsMail() bool { return strings.HasPrefix(s.URL, "mailto:") }

// HasHome reports whether the sink gets the backups of the home, HasEnvelopes whether it gets
// envelopes.
func (s Sink) HasHome() bool { return s.Kind() != SinkEnvelopes }

// HasEnvelopes reports whether the sink gets envelopes.
func (s Sink) HasEnvelopes() bool { return s.Kind() != SinkHome }

var sinkName = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,62}$`)

// validateSinks errs when the sinks cannot be used with the rest of the configuration.
func (c Config) validateSinks() error {
	known := map[string]bool{}
	for _, s := range c.Sinks {
		switch {
		case !sinkName.MatchString(s.Name):
			return fmt.Errorf("sink: name %q is not made of a to z, 0 to 9, _ and -", s.Name)
		case known[s.Name]:
			return fmt.Errorf("sink %s: two have this name", s.Name)
		case !slices.Contains([]string{"", SinkHome, SinkEnvelopes, SinkBoth}, s.What):
			return fmt.Errorf("sink %s: what = %q is none of home, envelopes, both", s.Name, s.What)
		case s.IsIPFS() && s.HasHome():
			return fmt.Errorf("sink %s: IPFS gets envelopes alone, which are public anyway: backups are not "+
				"for everybody", s.Name)
		case s.IsIPFS() && s.MaxBytes != 0:
			return fmt.Errorf("sink %s: a node of IPFS does not say how much it holds: max_bytes is not "+
				"for it", s.Name)
		case s.IsMail() && s.HasEnvelopes():
			return fmt.Errorf("sink %s: a mailbox gets backups of the home alone", s.Name)
		case s.IsMail() && s.Required:
			return fmt.Errorf("sink %s: mail is accepted and not known to be kept: it cannot be required",
				s.Name)
		case s.HasHome() && c.Backup.Dir == "":
			return fmt.Errorf("sink %s: it gets copies of backups, and backup.dir names no folder for "+
				"them", s.Name)
		case s.Required && s.HasEnvelopes():
			return fmt.Errorf("sink %s: required is for what = \"home\" alone: an envelope is published "+
				"after the vote", s.Name)
		case s.MaxBytes < 0:
			return fmt.Errorf("sink %s: max_bytes is negative", s.Name)
		case s.CredentialsFile != "" && !filepath.IsAbs(s.CredentialsFile) &&
			filepath.Base(s.CredentialsFile) != s.CredentialsFile:
			return fmt.Errorf("sink %s: credentials_file is neither an absolute path nor the name of a "+
				"credential of systemd", s.Name)
		}
		known[s.Name] = true
	}
	return nil
}

// Trust says from what on the chain's records are verified.
type Trust struct {
	// Period is how long a verified header may be built upon.
	Period Duration `toml:"period"`
	// Height and Hash, in hex, are those of a block that is known from elsewhere. They are looked
	// at until a newer header is kept.
	Height int64  `toml:"height"`
	Hash   string `toml:"hash"`
}

// Duration is written as 168h or 90m.
type Duration time.Duration

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *Duration) UnmarshalText(text []byte) error {
	parsed, err := time.ParseDuration(string(text))
	*d = Duration(parsed)
	return err
}

func (d Duration) String() string { return time.Duration(d).String() }

// HashBytes are the 32 bytes of the block's hash, nil when none is set. It errs when the three do
// not make sense together.
func (t Trust) HashBytes() ([]byte, error) {
	switch {
	case t.Period <= 0:
		return nil, errors.New("trust.period is not positive")
	case t.Height < 0:
		return nil, errors.New("trust.height is negative")
	case (t.Height != 0) != (t.Hash != ""):
		return nil, errors.New("trust.height and trust.hash belong together")
	case t.Hash == "":
		return nil, nil
	}
	hash, err := hex.DecodeString(t.Hash)
	if err != nil || len(hash) != 32 {
		return nil, errors.New("trust.hash is not a block's hash, 64 hex digits")
	}
	return hash, nil
}

// P2P says how the other signers are reached.
type P2P struct {
	Listen []string `toml:"listen"`
	// Public are the multiaddrs of Listen as others dial them, without a peer id. They are in the
	// signer's claims on chain, for everyone to read.
	Public []string `toml:"public"`
	Peers  []string `toml:"peers"`
	// Networks are CIDRs in which signers are dialled by what they say of themselves, beside what
	// is public.
	Networks []string `toml:"networks"`
}

// maxPublic is how many characters a claim has for addresses.
const maxPublic = 256

// Claimed is what a claim says of where this signer is reached.
func (p P2P) Claimed() string { return strings.Join(p.Public, " ") }

// Prefixes are the networks. It errs when one is none.
func (p P2P) Prefixes() (all []netip.Prefix, err error) {
	for _, s := range p.Networks {
		n, err := netip.ParsePrefix(s)
		if err != nil {
			return nil, fmt.Errorf("p2p.networks: %q is no network such as 10.0.0.0/8", s)
		}
		all = append(all, n.Masked())
	}
	return all, nil
}

// Listen is an address to serve on, none when it is empty.
type Listen struct {
	Listen string `toml:"listen"`
}

// Log says what is logged and how: one of zerolog's levels from trace to error, and json or
// console.
type Log struct {
	Level  string `toml:"level"`
	Format string `toml:"format"`
}

// DefaultConfig lacks only the chain id and the operator.
func DefaultConfig() Config {
	return Config{
		Node:            "http://127.0.0.1:26657",
		Witnesses:       []string{},
		Prefix:          "cosmos",
		HDPath:          "m/44'/118'/0'/0/0",
		PreParams:       2,
		TrustParameters: []string{},
		Keystore:        Keystore{Recipients: []string{}},
		Backup:          Backup{Period: Duration(5 * time.Minute), Recipients: []string{}},
		Export:          Export{Whitelist: []string{}},
		Trust:           Trust{Period: Duration(7 * 24 * time.Hour)},
		P2P: P2P{
			Listen: []string{"/ip4/0.0.0.0/tcp/5040"}, Public: []string{}, Peers: []string{},
			Networks: []string{},
		},
		Metrics: Listen{Listen: "127.0.0.1:5041"},
		Log:     Log{Level: "info", Format: "json"},
	}
}

// Validate errs when bifrost cannot run with the configuration.
func (c Config) Validate() error {
	switch {
	case c.ChainID == "":
		return errors.New("chain_id is not set")
	case c.Prefix == "" || strings.ToLower(c.Prefix) != c.Prefix:
		return fmt.Errorf("prefix %q is not a bech32 prefix in lower case", c.Prefix)
	case strings.ToLower(c.OperatorPrefix) != c.OperatorPrefix:
		return fmt.Errorf("operator_prefix %q is not a bech32 prefix in lower case", c.OperatorPrefix)
	case c.PreParams < 0 || c.PreParams > 64:
		return fmt.Errorf("preparams = %d is not between 0 and 64", c.PreParams)
	case c.Log.Format != "json" && c.Log.Format != "console":
		return fmt.Errorf("log.format %q is neither json nor console", c.Log.Format)
	}
	if c.Backup.Dir != "" && !filepath.IsAbs(c.Backup.Dir) {
		return fmt.Errorf("backup.dir %q is not an absolute path", c.Backup.Dir)
	}
	if time.Duration(c.Backup.Period) < time.Second {
		return fmt.Errorf("backup.period = %s is less than a second", c.Backup.Period)
	}
	if c.Backup.IncludeMnemonic && len(c.Backup.Recipients) == 0 {
		return errors.New("backup.include_mnemonic needs backup.recipients: the mnemonic is sealed for " +
			"them alone")
	}
	if err := c.validateSinks(); err != nil {
		return err
	}
	if err := c.Export.validate(); err != nil {
		return err
	}
	if u, err := url.Parse(strings.TrimSpace(c.Node)); err != nil || u.Host == "" {
		return errors.New("node is not a URL such as http://127.0.0.1:26657")
	}
	for _, w := range c.Witnesses {
		if u, err := url.Parse(strings.TrimSpace(w)); err != nil || u.Host == "" {
			return errors.New("witnesses holds what is not a URL such as http://10.0.0.2:26657")
		}
	}
	for _, name := range c.TrustParameters {
		key, err := hex.DecodeString(name)
		if err != nil || len(key) != 33 || strings.ToLower(name) != name {
			return fmt.Errorf("trust_parameters: %q is not a vault's secp256k1 key, "+
				"66 hex digits in lower case", name)
		}
	}
	if _, err := c.OperatorAddress(); err != nil {
		return err
	}
	if _, err := c.Trust.HashBytes(); err != nil {
		return err
	}
	if _, err := c.P2P.Prefixes(); err != nil {
		return err
	}
	if n := len(c.P2P.Claimed()); n > maxPublic {
		return fmt.Errorf("p2p.public has %d characters, and a claim has room for %d", n, maxPublic)
	}
	if c.Metrics.Listen != "" {
		if _, _, err := net.SplitHostPort(c.Metrics.Listen); err != nil {
			return fmt.Errorf("metrics.listen: %w", err)
		}
	}
	if !slices.Contains([]string{"trace", "debug", "info", "warn", "error"}, c.Log.Level) {
		return fmt.Errorf("log.level %q is none of trace, debug, info, warn, error", c.Log.Level)
	}
	return nil
}

// BackupRecipients are those for whom the home is backed up, beside the mnemonic.
func (c Config) BackupRecipients() []string {
	return slices.Concat(c.Keystore.Recipients, c.Backup.Recipients)
}

// Load reads config.toml in a home. A key that it does not know is an error: a misspelt one must
// not be passed over.
func Load(home string) (Config, error) {
	data, err := os.ReadFile(ConfigPath(home))
	if errors.Is(err, fs.ErrNotExist) {
		return Config{}, fmt.Errorf("%w: make one with bifrost init", err)
	}
	if err != nil {
		return Config{}, err
	}
	c := DefaultConfig()
	dec := toml.NewDecoder(bytes.NewReader(data)).DisallowUnknownFields()
	if err := dec.Decode(&c); err != nil {
		var unknown *toml.StrictMissingError
		if errors.As(err, &unknown) {
			var keys []string
			for _, e := range unknown.Errors {
				keys = append(keys, strings.Join(e.Key(), "."))
			}
			return Config{}, fmt.Errorf(
				"%s: unknown: %s",
				ConfigPath(home),
				strings.Join(keys, ", "),
			)
		}
		var value *toml.DecodeError
		if errors.As(err, &value) {
			row, _ := value.Position()
			return Config{}, fmt.Errorf("%s: line %d: %w", ConfigPath(home), row, err)
		}
		return Config{}, fmt.Errorf("%s: %w", ConfigPath(home), err)
	}
	if err := c.Validate(); err != nil {
		return Config{}, fmt.Errorf("%s: %w", ConfigPath(home), err)
	}
	return c, nil
}

// Write writes the configuration into a home as a commented file, and never replaces another one.
func (c Config) Write(home string) error {
	var text bytes.Buffer
	if err := configTemplate.Execute(&text, c); err != nil {
		return err
	}
	return durable.Write(ConfigPath(home), text.Bytes())
}

var configTemplate = template.Must(template.New("config").Funcs(template.FuncMap{
	"list": func(list []string) string {
		quoted := make([]string, len(list))
		for i, s := range list {
			quoted[i] = fmt.Sprintf("%q", s)
		}
		return "[" + strings.Join(quoted, ", ") + "]"
	},
}).Parse(`# Configuration of bifrost, the signer beside a validator.

# The chain. bifrost does not start beside a node of another one.
chain_id = {{printf "%q" .ChainID}}

# CometBFT RPC of the validator's own node. What it answers is believed for keygens
# and votes, and verified for what is restored.
node = {{printf "%q" .Node}}

# CometBFT RPC of other nodes, better not of this validator. They witness the headers
# by which the chain's records are verified. The fire drill recovers the latest backup
# from them daily and after each publication, and bifrost restores lost keyshares from
# them when its own node has not kept the envelope. They are not believed: an
# envelope's hash is compared. Without any, a drill says little, and the own node
# alone says which chain is the true one when bifrost starts for the first time.
# witnesses = ["http://10.0.0.2:26657"]
witnesses = {{list .Witnesses}}

# The validator's operator address. bifrost does not start when the chain knows
# another signer for it, or a recipient key that the mnemonic does not derive.
operator = {{printf "%q" .Operator}}

# The bech32 prefix of the chain's accounts, and the path at which the signer's key
# is derived from the mnemonic. A change of the path is a change of the signer.
prefix = {{printf "%q" .Prefix}}
hd_path = {{printf "%q" .HDPath}}

# The prefix of the addresses of validators' operators, where it is not the one above
# and valoper.
# operator_prefix = "thorv"
operator_prefix = {{printf "%q" .OperatorPrefix}}

# How many sets of pre-parameters to keep ready. Each keygen uses one up; making one
# takes minutes on one core.
preparams = {{.PreParams}}

# Vaults, by their secp256k1 keys in hex, with which to sign although nobody has proven
# the parameters in their keyshare files. The signers of a vault that no keygen of this
# chain made prove theirs to each other first, and sign nothing when one cannot. What is
# named here signs without: a member whose parameters are bad may learn this signer's
# keyshare from that. All signers of a vault must name it.
trust_parameters = {{list .TrustParameters}}

[keystore]
# Keyshares lie sealed on this disk, for the mnemonic alone. Recipients of age that can
# open them as well, all of one kind: age1… or, safe from quantum computers too,
# age1pq1…. After a change, bifrost keystore reseal brings the files that are there to
# it; copies of them stay readable with the former keys.
recipients = {{list .Keystore.Recipients}}

[backup]
# Where copies of this home are kept, sealed: the absolute path of a folder outside of
# it, better on another machine. bifrost writes there when it has made keyshares, before
# it signs for them; before it votes; in every period in which something changed; and
# when it ends. Without a folder it writes none, and the keyshares of a keygen are
# lost with this host until their vote stands.
dir = {{printf "%q" .Backup.Dir}}
period = {{printf "%q" .Backup.Period}}

# The signature for new keyshares waits for their copy, and a vote for its own, for at
# most half of their time: then they go out without, and the log alarms, because a
# signer that is silent pays for it. With strict = true they wait on.
strict = {{.Backup.Strict}}

# Who can open the copies beside the mnemonic and the recipients of the keystore:
# recipients of age, of the same kind as those.
recipients = {{list .Backup.Recipients}}

# With true the copies hold the mnemonic as well, sealed for these recipients alone.
# Whoever has the key of one, and a copy, then has all that the mnemonic opens, for ever:
# keep the key off line, and not where the copies are.
include_mnemonic = {{.Backup.IncludeMnemonic}}

[export]
# The wrapping keys to which bifrost export may hand keyshares of this signer, when as many
# members of the vault as sign approve of it: X25519 recipients of age, age1…. Empty: none.
whitelist = {{list .Export.Whitelist}}

[trust]
# Before a keyshare is restored, the records of vaults and backups are verified by the
# validators' signatures, from a trusted header on. The latest one is kept in the
# folder trust beside this file. How long it may be built upon: well under the chain's
# unbonding time.
period = {{printf "%q" .Trust.Period}}

# Height and hash of a recent block as a source beside the nodes shows it: what to
# begin with. They are looked at until a newer header is kept. Without them (0 and
# empty) bifrost begins with a header on which the node and its witnesses agree, and
# logs it.
height = {{.Trust.Height}}
hash = {{printf "%q" .Trust.Hash}}

[p2p]
# Where the other signers reach this one: multiaddrs without a peer id.
listen = {{list .P2P.Listen}}

# The same as they dial it: the public name or address, without a peer id. It is on chain
# for everyone to read, with this signer's claims, and the others need no more to find
# it. Empty: they have to name it among their peers.
# public = ["/dns4/signer.example.org/tcp/5040"]
public = {{list .P2P.Public}}

# Where the other signers are that do not say so themselves, or that are reached
# elsewhere from here: multiaddrs with the peer id, which bifrost init prints for each.
# Only members of a vault are ever let in.
# peers = ["/dns4/signer.example.org/tcp/5040/p2p/16Uiu2HA..."]
peers = {{list .P2P.Peers}}

# Who is not among the peers is dialled where it says that it is, if that is public or in
# one of these networks: not on loopback, in private networks or on a link.
# networks = ["10.8.0.0/16"]
networks = {{list .P2P.Networks}}

[metrics]
# Serves /metrics for Prometheus, /livez (the process runs) and /readyz (200 when
# there is no problem, else 503 and the problems). Empty: nothing is served.
listen = {{printf "%q" .Metrics.Listen}}

[log]
# trace, debug, info, warn or error; json or console.
level = {{printf "%q" .Log.Level}}
format = {{printf "%q" .Log.Format}}

[notify]
# Who is told of what bifrost status names: the files, which nobody else may read, or the
# credentials of systemd, that hold a URL. The webhook gets a POST with a text when they
# are others than before; the ping a GET every five minutes while there is none, so that
# whoever misses it knows. Empty: nobody.
webhook_file = {{printf "%q" .Notify.WebhookFile}}
ping_file = {{printf "%q" .Notify.PingFile}}

# Places that keep copies, as many as there are tables like this one. What is copied is
# sealed, and found by its name: nothing is ever replaced or removed there.
#
# url      file:///mnt/nas/bifrost, a folder that is there,
#          s3://bucket/prefix?endpoint=https://s3.example.org&region=eu-1, or
#          ipfs://127.0.0.1:5001, the API of a node of IPFS, or
#          mailto:ops@example.org?server=smtp.example.org:587&from=bifrost@example.org,
#          which gets each backup as one file and is not known to keep it
# what     "home" (the folder under [backup]; the default), "envelopes" (the backups that
#          this signer published; all that IPFS gets), or "both"
# credentials_file  two lines, the id of the access key and the secret: the absolute path
#          of a file that nobody else may read, or the name of a credential of systemd
# required with true what waits for the backup waits for the copy as well
# max_bytes  the most that it may hold, or the largest file to mail
#
# [[sink]]
# name = "bucket"
# url = "s3://backups/validator-1?endpoint=https://s3.example.org&region=eu-1"
# credentials_file = "/etc/bifrost/bucket"
{{range .Sinks}}
[[sink]]
name = {{printf "%q" .Name}}
url = {{printf "%q" .URL}}
what = {{printf "%q" .What}}
credentials_file = {{printf "%q" .CredentialsFile}}
required = {{.Required}}
max_bytes = {{.MaxBytes}}
{{end -}}
`))

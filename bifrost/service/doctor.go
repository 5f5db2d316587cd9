package service

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/multiformats/go-multiaddr"
	"github.com/rs/zerolog"

	"github.com/tssbackup/tssbackup/bifrost/chain"
	"github.com/tssbackup/tssbackup/bifrost/home"
	"github.com/tssbackup/tssbackup/bifrost/keystore"
	"github.com/tssbackup/tssbackup/bifrost/registration"
	"github.com/tssbackup/tssbackup/bifrost/signer"
	"github.com/tssbackup/tssbackup/sanity"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// Level is what a row of the doctor's says.
type Level string

// The levels of a finding.
const (
	LevelOK   Level = "ok"
	LevelWarn Level = "warn"
	LevelFail Level = "fail"
)

// Finding is one row of the doctor's.
type Finding struct {
	Check  string `json:"check"`
	Level  Level  `json:"level"`
	Detail string `json:"detail"`
}

// DoctorOptions say whom to examine.
type DoctorOptions struct {
	Home   string
	Config home.Config
	// Mnemonic has passed CheckSeal; without one, MnemonicErr says why. The caller
	// wipes it.
	Mnemonic    *sanity.Mnemonic
	MnemonicErr error
	// Nodes are the witnesses, and where the fire drill recovers from.
	Nodes []string
}

const (
	// peerTimeout is how long a peer may take to accept a connection.
	peerTimeout = 5 * time.Second
	// A node's latest block is a block time old at least.
	warnAhead, failAhead = 2 * time.Second, 10 * time.Second
	warnOld, failOld     = time.Minute, 10 * time.Minute
)

// doctor gathers findings.
type doctor struct {
	DoctorOptions
	findings []Finding
}

// Doctor examines a bifrost that may or may not run, and changes nothing.
func Doctor(ctx context.Context, o DoctorOptions) []Finding {
	d := &doctor{DoctorOptions: o}
	d.files()
	d.process(ctx)
	id := d.identify()
	node, err := chain.New(o.Config.Node, 0)
	if err != nil {
		d.add("node", LevelFail, "%v", err)
	} else if d.node(ctx, node) {
		d.chainChecks(ctx, node, id)
	}
	d.peers(ctx)
	return d.findings
}

func (d *doctor) add(check string, level Level, format string, args ...any) {
	d.findings = append(d.findings, Finding{check, level, fmt.Sprintf(format, args...)})
}

// files looks at who may read what is in the home.
func (d *doctor) files() {
	n, bad := 0, 0
	err := filepath.WalkDir(d.Home, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil // a running bifrost is done with it
		}
		if err != nil {
			return err
		}
		n++
		if info.Mode()&fs.ModeSymlink == 0 && info.Mode().Perm()&0o077 != 0 {
			bad++
			d.add("files", LevelFail, "others may use %s (mode %04o): give it mode %s", path, info.Mode().Perm(), map[bool]string{true: "0700", false: "0600"}[info.IsDir()])
		}
		return nil
	})
	switch {
	case err != nil:
		d.add("files", LevelFail, "%v", err)
	case bad == 0:
		d.add("files", LevelOK, "%d files and folders in %s are their owner's alone", n, d.Home)
	}
}

// process asks the bifrost that runs in the home.
func (d *doctor) process(ctx context.Context) {
	status, err := NewControl(d.Home).Status(ctx)
	switch {
	case errors.Is(err, ErrNotRunning):
		d.add("process", LevelWarn, "no bifrost runs in this home")
	case err != nil:
		d.add("process", LevelFail, "%v", err)
	case len(status.Problems) > 0:
		for _, p := range status.Problems {
			d.add("process", LevelFail, "%s", p)
		}
	default:
		d.add("process", LevelOK, "bifrost is %s", status.State)
	}
}

// identify derives who the mnemonic is. It returns nil when there is none.
func (d *doctor) identify() *identity {
	if d.MnemonicErr != nil {
		d.add("mnemonic", LevelFail, "%v", d.MnemonicErr)
		return nil
	}
	key, err := signer.Derive(d.Mnemonic, d.Config.HDPath)
	if err != nil {
		d.add("mnemonic", LevelFail, "hd_path: %v", err)
		return nil
	}
	defer key.Wipe()
	id := &identity{address: key.Bech32(d.Config.Prefix), pubKey: key.PubKey(), prefix: d.Config.Prefix, mnemonic: d.Mnemonic}
	d.add("mnemonic", LevelOK, "%d words pass every check and derive %s", d.Mnemonic.Words(), id.address)
	return id
}

// node looks at the own node, and tells whether it can be asked.
func (d *doctor) node(ctx context.Context, node *chain.Client) bool {
	before := time.Now()
	status, err := node.Status(ctx)
	switch {
	case err != nil:
		d.add("node", LevelFail, "%s: %v", node.Name(), err)
		return false
	case status.ChainID != d.Config.ChainID:
		d.add("node", LevelFail, "%s is a node of chain %q, config.toml says %q", node.Name(), status.ChainID, d.Config.ChainID)
		return false
	case status.CatchingUp:
		d.add("node", LevelFail, "%s is catching up, at block %d", node.Name(), status.Height)
		return true
	}
	d.add("node", LevelOK, "%s is in sync at block %d", node.Name(), status.Height)
	level, text := clockSkew(before, time.Now(), status.Time)
	d.add("clock", level, "%s", text)
	return true
}

// clockSkew compares the time of the latest block with this machine's clock before
// and after the question.
func clockSkew(before, after, block time.Time) (Level, string) {
	ahead, old := block.Sub(after), before.Sub(block)
	text := fmt.Sprintf("the latest block is %s old", old.Round(time.Second))
	switch {
	case ahead > failAhead:
		return LevelFail, fmt.Sprintf("the latest block is %s in the future: the clock is slow", ahead.Round(time.Second))
	case ahead > warnAhead:
		return LevelWarn, fmt.Sprintf("the latest block is %s in the future: the clock may be slow", ahead.Round(time.Second))
	case old > failOld:
		return LevelFail, text + ": the chain stands still, or the clock is fast"
	case old > warnOld:
		return LevelWarn, text + ": the chain is slow, or the clock is fast"
	}
	return LevelOK, text
}

// trust proves the records as bifrost does, and keeps nothing. It returns nil when
// they are not proven.
func (d *doctor) trust(ctx context.Context, p *prover) records {
	var alone, first bool
	var faults []string
	p.trust.Report = func(node string, err error) {
		if node != "" {
			err = fmt.Errorf("%s: %w", node, err)
		}
		faults = append(faults, err.Error())
	}
	p.trust.Confirm = func(shown chain.FirstHeader) error {
		first = true
		return p.confirm(shown)
	}
	alone = len(p.nodes) == 1
	proven, err := p.look(ctx)
	for _, f := range faults {
		d.add("trust", LevelWarn, "%s", f)
	}
	if err != nil {
		d.add("trust", LevelFail, "%v", err)
		return nil
	}
	header, _ := p.status()
	level, text := LevelOK, fmt.Sprintf("header %d, %s old, is verified", header.Height, max(0, p.now().Sub(header.Time)).Round(time.Second))
	switch {
	case first && alone:
		level, text = LevelWarn, text+" by nothing but the own node's word: set witnesses, or height and hash under [trust], in config.toml"
	case first:
		text += ", on which the own node and its witnesses agree; none is kept from an earlier time"
	case alone:
		level, text = LevelWarn, text+" from the trusted one, by the own node alone: set witnesses in config.toml"
	default:
		text += " from the trusted one, with witnesses"
	}
	d.add("trust", level, "%s; its hash is %s", text, header.Hash)
	return proven
}

// chainChecks are those that compare with the chain.
func (d *doctor) chainChecks(ctx context.Context, node *chain.Client, id *identity) {
	witnesses, err := newWitnesses(d.Config.Node, d.Nodes)
	if err != nil {
		d.add("trust", LevelFail, "%v", err)
		return
	}
	member := ""
	if id != nil {
		member = id.address
	}
	prover, err := newProver(d.Home, d.Config, member, node, witnesses, readOnly{chain.TrustDir(home.TrustDir(d.Home))}, zerolog.Nop())
	if err != nil {
		d.add("trust", LevelFail, "%v", err)
		return
	}
	proven := d.trust(ctx, prover)
	if id == nil {
		d.add("signer", LevelFail, "without a mnemonic neither the signer nor keyshares nor backups can be checked")
		return
	}
	state, err := registration.Check(ctx, node, d.Config, id.address, id.mnemonic)
	if errors.Is(err, registration.ErrRecipient) {
		d.add("recipient", LevelFail, "%v", err)
		state, err = registration.Ready, nil
	} else if state == registration.Ready {
		d.add("recipient", LevelOK, "the mnemonic derives the recipient key that the chain holds for new keygens")
	}
	switch {
	case err != nil:
		d.add("signer", LevelFail, "%v", err)
	case state == registration.Ready:
		d.add("signer", LevelOK, "the chain knows %s as the signer of %s", id.address, d.Config.Operator)
	case state == registration.Replaced:
		d.add("signer", LevelWarn, "%s has another signer by now; this one goes on for its older vaults", d.Config.Operator)
	default:
		d.add("signer", LevelFail, "%s is not registered as the signer of %s", id.address, d.Config.Operator)
	}
	if proven == nil {
		d.add("keyshares", LevelFail, "which should be here is not proven")
		return
	}
	vaults, err := proven.Vaults(ctx, id.address)
	if err != nil {
		d.add("keyshares", LevelFail, "%v", err)
		return
	}
	if len(vaults) == 0 {
		d.add("keyshares", LevelOK, "the signer is in no live vault yet")
		return
	}
	store := keystore.NewStore(home.KeysharesDir(d.Home))
	for _, v := range vaults {
		d.proof(ctx, node, *id, v)
		if err := id.checkFiles(store, v); err != nil {
			d.add("keyshares", LevelFail, "vault %s: %v", v.Vault, err)
			continue
		}
		d.add("keyshares", LevelOK, "vault %s: both are here and are this signer's shares of it", v.Vault)
	}
	d.drill(ctx, newDrill(*id, prover.look, node, witnesses, store), vaults)
}

// proof looks whether the chain holds this signer's proof of a vault, and whether the
// mnemonic derives the recipient key that it was made to.
func (d *doctor) proof(ctx context.Context, node *chain.Client, id identity, v types.VaultInfo) {
	asked := false
	for _, m := range v.Members {
		asked = asked || m.Address == id.address && m.Asked
	}
	if !asked || v.SharesHash == "" {
		return // there is nothing to prove, or nothing to prove it by
	}
	info, err := node.Proof(ctx, v.Vault, id.address)
	if err == nil && info.RecipientKey == "" {
		return // deleted, or never to be made
	}
	if err == nil {
		err = registration.CheckRecipient(id.mnemonic, info.RecipientKey, info.RecipientIndex)
	}
	switch {
	case err != nil:
		d.add("recipient", LevelFail, "vault %s: %v", v.Vault, err)
	case len(info.Stored) == 0:
		d.add("recipient", LevelWarn, "vault %s: nobody can verify this signer's backup: the chain holds no proof of it", v.Vault)
	default:
		d.add("recipient", LevelOK, "vault %s: the proof of block %d is to a recipient key of the mnemonic", v.Vault, info.Height)
	}
}

// drill recovers the latest backups up to the writing.
func (d *doctor) drill(ctx context.Context, drill *drill, vaults []types.VaultInfo) {
	drill.scrypt = new(sync.Mutex) // it opens one at a time anyway
	result := drill.run(ctx)
	if result.Error != "" {
		d.add("drill", LevelFail, "%s", result.Error)
		return
	}
	asked := map[string]bool{}
	for _, v := range vaults {
		for _, m := range v.Members {
			asked[v.Vault] = asked[v.Vault] || m.Address == drill.address && m.Asked
		}
	}
	for _, v := range result.Vaults {
		switch {
		case v.Height > 0 && result.OwnNodeOnly:
			d.add("drill", LevelWarn, "vault %s: the backup of block %d opens and is what is on the disk, but only the own node was asked: "+
				"give --node, or witnesses in config.toml", v.Vault, v.Height)
		case v.Height > 0:
			d.add("drill", LevelOK, "vault %s: the backup of block %d came from %s, opens, and is what is on the disk", v.Vault, v.Height, result.Node)
		case asked[v.Vault]:
			d.add("drill", LevelFail, "vault %s: no backup is published", v.Vault)
		default:
			d.add("drill", LevelOK, "vault %s: this signer was not asked for a backup", v.Vault)
		}
	}
}

// peers dials the other signers.
func (d *doctor) peers(ctx context.Context) {
	if len(d.Config.P2P.Peers) == 0 {
		d.add("peers", LevelWarn, "config.toml names none: only those that know this signer's address find it")
		return
	}
	errs := make([]error, len(d.Config.P2P.Peers))
	var dials sync.WaitGroup
	for i, peer := range d.Config.P2P.Peers {
		dials.Go(func() { errs[i] = dialPeer(ctx, peer) })
	}
	dials.Wait()
	for i, peer := range d.Config.P2P.Peers {
		if errs[i] != nil {
			d.add("peers", LevelFail, "%s: %v", peer, errs[i])
			continue
		}
		d.add("peers", LevelOK, "%s accepts connections", peer)
	}
}

// dialPeer opens a TCP connection and closes it. Who answers is not checked: that
// needs a ceremony.
func dialPeer(ctx context.Context, peer string) error {
	network, address, err := tcpAddress(peer)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, peerTimeout)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, network, address)
	if err != nil {
		return err
	}
	return conn.Close()
}

// tcpAddress is what to dial for a multiaddr.
func tcpAddress(peer string) (network, address string, err error) {
	addr, err := multiaddr.NewMultiaddr(peer)
	if err != nil {
		return "", "", err
	}
	var host, port string
	multiaddr.ForEach(addr, func(c multiaddr.Component) bool {
		switch name := c.Protocol().Name; name {
		case "ip4", "dns4":
			host, network = c.Value(), "tcp4"
		case "ip6", "dns6":
			host, network = c.Value(), "tcp6"
		case "dns":
			host, network = c.Value(), "tcp"
		case "tcp":
			port = c.Value()
			return false
		}
		return true
	})
	if host == "" || port == "" {
		return "", "", errors.New("it names no host and TCP port, as /ip4/10.0.0.2/tcp/5040/p2p/ID does")
	}
	return network, net.JoinHostPort(strings.TrimSuffix(host, "."), port), nil
}

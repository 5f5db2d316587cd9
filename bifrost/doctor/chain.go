package doctor

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/tssbackup/tssbackup/bifrost/care"
	"github.com/tssbackup/tssbackup/bifrost/chain"
	"github.com/tssbackup/tssbackup/bifrost/home"
	"github.com/tssbackup/tssbackup/bifrost/keystore"
	"github.com/tssbackup/tssbackup/bifrost/registration"
	"github.com/tssbackup/tssbackup/bifrost/restore"
	"github.com/tssbackup/tssbackup/bifrost/service"
	"github.com/tssbackup/tssbackup/bifrost/signer"
	"github.com/tssbackup/tssbackup/bifrost/vault"
)

// chain are the checks that compare with the chain. Member is nil without a mnemonic.
func (d *examination) chain(ctx context.Context, node *chain.Client, member *care.Member) {
	nodes, err := care.NewNodes(node, d.Nodes)
	if err != nil {
		d.add("trust", Fail, "%v", err)
		d.skip("the witnesses are not all addresses of nodes", onChain[2:]...)
		return
	}
	verifier, records := d.trust(ctx, nodes, member)
	if member == nil {
		d.skip("there is no mnemonic", "signer", "recipient", "keyshares", "drill", "addresses")
		return
	}
	d.signer(ctx, node, *member)
	if records == nil {
		d.skip("which vaults there are is not verified", "keyshares", "drill", "addresses")
		return
	}
	vaults, err := records.Vaults(ctx, member.Raw())
	if err != nil {
		d.add("keyshares", Fail, "%v", err)
		d.skip("which vaults there are is not known", "drill", "addresses")
		return
	}
	d.addresses(ctx, node, *member, vaults)
	if len(vaults) == 0 {
		d.add("keyshares", OK, "the signer is in no live vault yet")
		return
	}
	held := func(ctx context.Context, v vault.Vault) (care.Held, error) {
		return d.held(ctx, *member, v)
	}
	for _, v := range vaults {
		d.proof(ctx, node, *member, v)
		files, err := held(ctx, v)
		if err == nil && files.Error != "" {
			err = errors.New(files.Error)
		}
		if err != nil {
			d.add("keyshares", Fail, "vault %s: %v", v.Name(), err)
			continue
		}
		d.add(
			"keyshares",
			OK,
			"vault %s: both are here and are this signer's shares of it",
			v.Name(),
		)
	}
	d.drill(ctx, vaults, care.NewDrill(care.Config{
		Member: *member, Nodes: nodes, Verifier: verifier, Held: held, Members: d.members(records),
		Scrypt: new(sync.Mutex), // it opens one at a time anyway
		Log:    zerolog.Nop(),
	}), *member)
}

// held is what is on the disk of a vault. A bifrost that runs in the home is asked, and looks by
// itself; without one the doctor looks, and has the home while it does.
func (d *examination) held(
	ctx context.Context,
	member care.Member,
	v vault.Vault,
) (care.Held, error) {
	held, err := service.NewControl(d.Home).Keyshares(ctx, v)
	if !errors.Is(err, service.ErrNotRunning) {
		return held, err
	}
	release, err := home.Lock(d.Home)
	if errors.Is(err, home.ErrInUse) {
		return held, fmt.Errorf("%w, and it does not answer", err)
	}
	if err != nil {
		return held, err
	}
	defer release()
	keys, err := service.HomeKeys(d.Config, d.Mnemonic)
	if err != nil {
		return held, err
	}
	store, err := keystore.Open(home.KeysharesDir(d.Home), keys)
	if err != nil {
		return held, err
	}
	return member.Held(store, v)
}

// members asks the other members of a vault for the envelopes that they hold. It is nil when they
// cannot be asked, which another check says.
func (d *examination) members(records care.Records) restore.Source {
	key, err := signer.Derive(d.Mnemonic, d.Config.HDPath)
	if err != nil {
		return nil
	}
	defer key.Wipe()
	source, err := service.FromMembers(d.Config, key, records.TermOf)
	if err != nil {
		return nil
	}
	return source
}

// trust verifies the records as bifrost does, and keeps nothing. The records are nil when they are
// not verified, and the verifier when that cannot be tried.
func (d *examination) trust(
	ctx context.Context, nodes care.Nodes, member *care.Member,
) (*care.Verifier, care.Records) {
	var first bool
	var faults []string
	folder := home.TrustDir(d.Home)
	c := care.VerifierConfig{
		ChainID: d.Config.ChainID, Prefix: d.Config.Prefix, Trust: d.Config.Trust, Nodes: nodes,
		Store: care.ReadOnly{TrustStore: chain.TrustDir(folder)}, Folder: folder,
		First: func() { first = true },
		Report: func(node string, err error) {
			if node != "" {
				err = fmt.Errorf("%s: %w", node, err)
			}
			faults = append(faults, err.Error())
		},
		Log: zerolog.Nop(),
	}
	if member != nil {
		c.Member = member.Raw()
	}
	verifier, err := care.NewVerifier(c)
	if err != nil {
		d.add("trust", Fail, "%v", err)
		return nil, nil
	}
	answered := d.witnesses(ctx, nodes)
	records, err := verifier.Look(ctx)
	for _, f := range faults {
		d.add("trust", Warn, "%s", f)
	}
	if err != nil {
		d.add("trust", Fail, "%v", err)
		return verifier, nil
	}
	header, _ := verifier.Status()
	age := max(0, time.Since(header.Time)).Round(time.Second)
	level, text := OK, fmt.Sprintf("header %d, %s old, is verified", header.Height, age)
	switch alone := answered == 0; {
	case first && alone:
		level, text = Warn, text+" by nothing but the own node's word: "+
			"set witnesses, or height and hash under [trust], in config.toml"
	case first:
		text += ", on which the own node and its witnesses agree; none is kept from an earlier time"
	case alone && len(nodes.Witnesses) > 0:
		level, text = Warn, text+" from the trusted one, by the own node alone: no witness answers"
	case alone:
		level, text = Warn, text+" from the trusted one, by the own node alone: "+
			"set witnesses in config.toml"
	case answered < len(nodes.Witnesses):
		text += fmt.Sprintf(" from the trusted one, with %d of %d witnesses",
			answered, len(nodes.Witnesses))
	default:
		text += " from the trusted one, with witnesses"
	}
	d.add("trust", level, "%s; its hash is %s", text, header.Hash)
	return verifier, records
}

// witnesses asks each of them who it is, and returns how many answer that are nodes of the chain
// beside the own one: no other witnesses anything.
func (d *examination) witnesses(ctx context.Context, nodes care.Nodes) (answered int) {
	own, _ := nodes.Own.Status(ctx)
	said := make([]chain.Status, len(nodes.Witnesses))
	errs := make([]error, len(nodes.Witnesses))
	var asking sync.WaitGroup
	for i, w := range nodes.Witnesses {
		asking.Go(func() { said[i], errs[i] = w.Status(ctx) })
	}
	asking.Wait()
	seen := map[string]string{own.ID: "the own node"}
	for i, w := range nodes.Witnesses {
		id := said[i].ID
		switch of, known := seen[id]; {
		case errs[i] != nil:
			d.add("witness", Skipped, "%s is not counted: %v", w.Name(), errs[i])
		case said[i].ChainID != d.Config.ChainID:
			d.add("witness", Fail, "%s is a node of chain %q", w.Name(), said[i].ChainID)
		case id != "" && known:
			d.add("witness", Warn, "%s is not counted: it is %s under another address",
				w.Name(), of)
		default:
			answered++
			seen[id] = w.Name()
			d.add("witness", OK, "%s answers, at block %d", w.Name(), said[i].Height)
		}
	}
	return answered
}

// signer asks the chain whether it knows the signer and the recipient key.
func (d *examination) signer(ctx context.Context, node *chain.Client, member care.Member) {
	state, err := registration.Check(ctx, node, d.Config, member.Address, member.Mnemonic)
	switch {
	case errors.Is(err, registration.ErrRecipient):
		d.add("recipient", Fail, "%v", err)
		state, err = registration.Ready, nil
	case state == registration.Ready:
		d.add("recipient", OK,
			"the mnemonic derives the recipient key that the chain holds for new keygens")
	case state != registration.Replaced: // to whose key nothing is made any more
		d.skip("the chain shows no such signer", "recipient")
	}
	operator := d.Config.Operator
	switch {
	case err != nil:
		d.add("signer", Fail, "%v", err)
	case state == registration.Ready:
		d.add("signer", OK, "the chain knows %s as the signer of %s", member.Address, operator)
	case state == registration.Replaced:
		d.add("signer", Warn, "%s has another signer by now; this one goes on for its older vaults",
			operator)
	default:
		d.add("signer", Fail, "%s is not registered as the signer of %s", member.Address, operator)
	}
}

// asked reports whether a member was asked for a backup of a vault.
func asked(v vault.Vault, member care.Member) bool {
	m, _ := v.Member(member.Raw())
	return m.Asked
}

// proof looks whether the chain holds this signer's proof of a vault, and whether the mnemonic
// derives the recipient key that it was made to.
func (d *examination) proof(
	ctx context.Context, node *chain.Client, member care.Member, v vault.Vault,
) {
	if !asked(v, member) || len(v.SharesHash) == 0 {
		return // there is nothing to prove, or nothing to prove it by
	}
	proof, err := node.Proof(ctx, v.Name(), member.Address)
	if err == nil && len(proof.Recipient.Key) == 0 {
		return // deleted, or never to be made
	}
	if err == nil {
		err = registration.CheckRecipient(
			member.Mnemonic, hex.EncodeToString(proof.Recipient.Key), proof.Recipient.Index)
	}
	switch {
	case err != nil:
		d.add("recipient", Fail, "vault %s: %v", v.Name(), err)
	case !proof.IsProven():
		d.add("recipient", Warn, "vault %s: nobody can verify this signer's backup: "+
			"the chain holds no proof of it", v.Name())
	default:
		d.add(
			"recipient",
			OK,
			"vault %s: the proof of block %d is to a recipient key of the mnemonic",
			v.Name(),
			proof.Height,
		)
	}
}

// drill recovers the latest backups up to the writing.
func (d *examination) drill(
	ctx context.Context, vaults []vault.Vault, drill *care.Drill, member care.Member,
) {
	result := drill.Once(ctx)
	if result.Error != "" {
		d.add("drill", Fail, "%s", result.Error)
		return
	}
	wanted := map[string]bool{}
	for _, v := range vaults {
		wanted[v.Name()] = asked(v, member)
	}
	for _, v := range result.Vaults {
		switch {
		case v.Height > 0 && result.OwnNodeOnly:
			d.add(
				"drill",
				Warn,
				"vault %s: the backup of block %d opens and is what is on the disk, "+
					"but only the own node was asked: give --node, or witnesses in config.toml",
				v.Vault,
				v.Height,
			)
		case v.Height > 0:
			d.add("drill", OK, "vault %s: the backup of block %d came from %s, opens, "+
				"and is what is on the disk", v.Vault, v.Height, result.Node)
		case wanted[v.Vault]:
			d.add("drill", Fail, "vault %s: no backup is published", v.Vault)
		default:
			d.add("drill", OK, "vault %s: this signer was not asked for a backup", v.Vault)
		}
	}
}

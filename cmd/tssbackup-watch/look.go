package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/cosmos/cosmos-sdk/types/bech32"

	"github.com/tssbackup/tssbackup/bifrost/audit"
	"github.com/tssbackup/tssbackup/bifrost/chain"
	"github.com/tssbackup/tssbackup/bifrost/command"
	chainvault "github.com/tssbackup/tssbackup/bifrost/vault"
	"github.com/tssbackup/tssbackup/internal/cid"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

const (
	// shownChurns is how many churns are shown.
	shownChurns = 8
	// auditsInALook bounds how many vaults' proofs are repeated before a look is shown.
	auditsInALook = 4
	// maxMoniker is how many characters of a moniker are shown.
	maxMoniker = 70
	// monikersAgain is when they are asked for again on a chain that keeps none.
	monikersAgain = time.Hour
)

// looker reads the chain's state with proofs, and makes a report of it.
type looker struct {
	// prefix and operators are those of addresses; an empty operators follows from prefix.
	prefix, operators string
	nodes             int
	warn              func(text string)
	// repeat makes the checks of a vault's proofs again; tests whose proofs are none replace it.
	repeat func(context.Context, string, *chain.State, chainvault.Vault) (*audited, error)

	// closed are keygens that do not change any more, by number.
	closed map[uint64]keygen
	// audits are what was found about vaults' proofs, by vault and epoch.
	audits map[string]*audited
	// prefixChecked tells that the chain's prefix was compared with the one that was given, and
	// noMonikers when it was found to show none.
	prefixChecked bool
	noMonikers    time.Time
}

func newLooker(prefix, operators string, nodes int, warn func(string)) *looker {
	l := &looker{
		prefix: prefix, operators: operators, nodes: nodes, warn: warn,
		closed: map[uint64]keygen{}, audits: map[string]*audited{},
	}
	l.repeat = l.auditOf
	return l
}

// audited is what repeating the checks of a vault's proofs gave.
type audited struct {
	// Of tells which proofs there were.
	Of    string  `json:"of"`
	Error string  `json:"error"`
	Proof []proof `json:"proofs"`
}

// look is one pass over the state. The report before tells since when something is missing.
func (l *looker) look(
	ctx context.Context, chainID string, state *chain.State, before *report, now time.Time,
) (*report, error) {
	height, hash, at := state.Header()
	r := &report{
		ChainID: command.OneLine(chainID),
		Verified: &verified{
			Height: height, Hash: fmt.Sprintf("%X", hash), BlockTime: at.UTC(), At: now.UTC(),
		},
		Vaults: []vault{}, Churns: []churn{}, SitOut: []sitOut{},
	}
	state.ShowOperators(l.operators)
	vaults, err := state.Vaults(ctx, nil)
	if err != nil {
		return nil, err
	}
	l.checkPrefix(ctx, state, vaults)
	names := &names{looker: l, state: state, now: now, of: map[string]*named{}}
	covered, err := state.Coverage(ctx, nil)
	if err != nil {
		return nil, err
	}
	audits := auditsInALook
	for i, c := range covered {
		v := describe(vaults[i], c, before, now)
		if err := l.audit(ctx, chainID, state, vaults[i], &v, &audits); err != nil {
			return nil, err
		}
		v.judge()
		if err := v.claims(ctx, state, vaults[i].Members); err != nil {
			return nil, err
		}
		names.add(vaults[i].Members)
		r.Vaults = append(r.Vaults, v)
	}
	l.forget(r)
	if r.Churns, err = l.churns(ctx, state, names); err != nil {
		return nil, err
	}
	if err := names.resolve(ctx); err != nil {
		return nil, err
	}
	for i := range r.Vaults {
		for j := range r.Vaults[i].Members {
			m := &r.Vaults[i].Members[j]
			m.Moniker = names.of[m.Address].moniker
		}
	}
	for i := range r.Churns {
		for j := range r.Churns[i].Keygens {
			for k := range r.Churns[i].Keygens[j].Members {
				m := &r.Churns[i].Keygens[j].Members[k]
				m.Operator, m.Moniker = names.of[m.Address].operator, names.of[m.Address].moniker
			}
		}
	}
	if r.SitOut, err = names.sitOuts(ctx); err != nil {
		return nil, err
	}
	r.judge()
	return r, nil
}

// checkPrefix warns when a node shows addresses with another prefix than the one that was given.
// What it shows is not verified, so the given one stays.
func (l *looker) checkPrefix(ctx context.Context, state *chain.State, vaults []chainvault.Vault) {
	if l.prefixChecked || len(vaults) == 0 || len(vaults[0].Members) == 0 {
		return
	}
	l.prefixChecked = true
	if found, err := state.ShownPrefix(ctx, vaults[0]); err == nil && found != l.prefix {
		l.warn(fmt.Sprintf("a node shows addresses with the prefix %s, and here they are shown with "+
			"%s: give --prefix if that is wrong", found, l.prefix))
	}
}

// claims adds the latest claims of the members' signers.
func (v *vault) claims(ctx context.Context, state *chain.State, of []types.Member) error {
	var signers [][]byte
	for _, m := range of {
		signers = append(signers, types.SignerAddress(m.PubKey))
	}
	terms, err := state.TermsOf(ctx, signers...)
	if err != nil {
		return err
	}
	for i, t := range terms {
		v.Members[i].Term = claimed{
			Term: t.Term, Height: t.Height, Addresses: command.OneLine(t.Addresses),
		}
	}
	return nil
}

// describe shows a vault.
func describe(of chainvault.Vault, c types.VaultCoverage, before *report, now time.Time) vault {
	v := vault{
		Vault: of.Name(), PubKeyEd25519: hex.EncodeToString(of.PubKeyEd25519),
		Status: status(of.Status.String(), "VAULT_STATUS_"),
		Epoch:  of.Epoch, ChurnID: of.ChurnId, ActiveHeight: of.ActiveHeight,
		EpochHeight: of.EpochHeight, Former: []formerEpoch{}, Margin: int(c.Margin),
		Placement: c.Placement.Word(),
		Threshold: int(c.Threshold), Needed: int(c.Needed),
		Asked: int(c.Asked), Published: int(c.Published), Proven: int(c.Proven),
		Members: []member{},
	}
	for _, f := range c.Former {
		v.Former = append(v.Former, formerEpoch{
			f.Epoch, int(f.Threshold), int(f.Outside), int(f.Margin()),
		})
	}
	for _, m := range c.List {
		shown := member{
			Address: m.Address, Operator: m.Operator, Asked: m.Asked, Proven: m.Proven,
			Backups: []backup{}, Proof: proof{Result: "pending"},
		}
		if !m.Proven {
			shown.Proof = proof{Result: string(audit.None)}
		}
		for _, commitment := range m.Commitments {
			shown.Backups = append(shown.Backups, describeBackup(commitment))
		}
		if m.Asked && len(m.Commitments) == 0 {
			shown.Missing = &missing{
				Height: max(of.ActiveHeight, of.EpochHeight),
				Seen:   before.missingSince(v, m.Address, now),
			}
		}
		if b := m.Heartbeat; b != nil {
			shown.Heartbeat = &heartbeat{
				b.MachineHeight, b.PaperHeight, b.Due, b.Missed, b.Overdue,
			}
		}
		v.Members = append(v.Members, shown)
	}
	return v
}

func describeBackup(c types.CommitmentInfo) backup {
	b := backup{
		SHA256: c.Sha256, Size: c.Size_, Height: c.Height, Placement: c.Placement.Word(),
	}
	if sum, err := hex.DecodeString(c.Sha256); err == nil && len(sum) == types.HashSize {
		b.CID = cid.Of(sum)
	}
	return b
}

// missingSince is when a member's backup was first seen to be missing.
func (r *report) missingSince(of vault, address string, now time.Time) time.Time {
	if r != nil {
		for _, v := range r.Vaults {
			if v.Vault != of.Vault || v.Epoch != of.Epoch {
				continue
			}
			for _, m := range v.Members {
				if m.Address == address && m.Missing != nil {
					return m.Missing.Seen
				}
			}
		}
	}
	return now.UTC()
}

// audit adds what repeating the checks of the proofs gives. It is done once for each set of proofs;
// what is not looked at yet is pending.
func (l *looker) audit(
	ctx context.Context,
	chainID string,
	state *chain.State,
	of chainvault.Vault,
	v *vault,
	left *int,
) error {
	key := fmt.Sprintf("%s/%d", v.Vault, v.Epoch)
	proven := make([]byte, len(v.Members))
	for i, m := range v.Members {
		proven[i] = '0'
		if m.Proven {
			proven[i] = '1'
		}
	}
	done := l.audits[key]
	if (done == nil || done.Of != string(proven)) && *left > 0 {
		*left--
		var err error
		if done, err = l.repeat(ctx, chainID, state, of); err != nil {
			return err
		}
		done.Of = string(proven)
		l.audits[key] = done
	}
	if done == nil {
		return nil
	}
	v.Error = done.Error
	for i := range v.Members {
		m := &v.Members[i]
		if i < len(done.Proof) && m.Proven {
			m.Proof = done.Proof[i]
		}
		if done.Error != "" || m.Proof.Result == string(audit.Failed) {
			if m.Proven {
				v.Proven--
			}
			m.Proven = false
		}
	}
	return nil
}

// auditOf makes the checks of a vault's proofs again, as far as a node still shows their blocks.
func (l *looker) auditOf(
	ctx context.Context, chainID string, state *chain.State, of chainvault.Vault,
) (*audited, error) {
	proofs, err := state.Proofs(ctx, of)
	if err != nil {
		return nil, err
	}
	record := audit.Record{
		Vault: of, Shares: proofs.Shares, Group: proofs.Group, Proofs: proofs.Members,
	}
	a, err := audit.New(chainID, nil, record)
	if err != nil {
		return &audited{Error: command.OneLine(err.Error())}, nil
	}
	for _, height := range a.Heights() {
		// What is not shown stays accepted by consensus.
		err := state.Block(ctx, height, func(txs [][]byte) error { return a.Block(height, txs) })
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err != nil && !errors.Is(err, chain.ErrNoBlock) {
			l.warn(err.Error())
		}
	}
	a.Judge(l.nodes)
	done := &audited{}
	for _, m := range a.Members() {
		done.Proof = append(done.Proof, proof{
			Result: string(m.Result), Height: m.Height, Text: explain(m),
		})
	}
	return done, nil
}

// explain says in a line what is known of a proof.
func explain(m audit.Member) string {
	switch m.Result {
	case audit.None:
		return "no proof was accepted"
	case audit.Repeated:
		return fmt.Sprintf("checked here, in block %s", number(m.Height))
	case audit.Accepted:
		return fmt.Sprintf("accepted by consensus in block %s", number(m.Height))
	case audit.Imported:
		return fmt.Sprintf("accepted in block %s under a former name of the chain", number(m.Height))
	}
	return "the check fails: " + command.OneLine(m.Err.Error())
}

// forget drops what was found about vaults that are no more.
func (l *looker) forget(r *report) {
	for key := range l.audits {
		if !slices.ContainsFunc(r.Vaults, func(v vault) bool {
			return key == fmt.Sprintf("%s/%d", v.Vault, v.Epoch)
		}) {
			delete(l.audits, key)
		}
	}
}

// churns are the latest churns with their keygens.
func (l *looker) churns(
	ctx context.Context, state *chain.State, names *names,
) ([]churn, error) {
	latest, err := state.Churns(ctx, shownChurns)
	if err != nil {
		return nil, err
	}
	churns, kept := []churn{}, map[uint64]keygen{}
	for _, c := range latest {
		shown := churn{
			ID: c.Id, Status: status(c.Status.String(), "CHURN_STATUS_"),
			OpenedHeight: c.OpenedHeight, Deadline: c.Deadline, ClosedHeight: c.ClosedHeight,
			Keygens: []keygen{},
		}
		ids := slices.Concat(c.KeygenIds, c.FailedIds)
		slices.Sort(ids)
		for _, id := range ids {
			k, ok := l.closed[id]
			if !ok {
				of, err := state.Keygen(ctx, id)
				if err != nil {
					return nil, err
				}
				if of.Status == types.KeygenStatus_KEYGEN_STATUS_UNSPECIFIED {
					continue
				}
				if k, err = l.keygen(of); err != nil {
					return nil, err
				}
				names.add(of.Members)
			}
			names.addAddresses(k.Members)
			// A keygen that is ready waits for its siblings, and changes until its churn is closed.
			if c.Status != types.ChurnStatus_CHURN_STATUS_OPEN {
				kept[id] = k
			}
			// Names are filled in later, and change: each report has its own.
			k.Members = slices.Clone(k.Members)
			shown.Keygens = append(shown.Keygens, k)
		}
		churns = append(churns, shown)
	}
	l.closed = kept
	return churns, nil
}

// keygen shows a keygen.
func (l *looker) keygen(of chainvault.Keygen) (keygen, error) {
	k := keygen{
		ID: of.Id, Try: of.Try, Status: status(of.Status.String(), "KEYGEN_STATUS_"),
		Threshold: int(of.Threshold), Needed: int(of.Needed),
		OpenedHeight: of.OpenedHeight, Deadline: of.Deadline, ClosedHeight: of.ClosedHeight,
		Certified: of.Certificate != nil, Members: []keygenMember{},
	}
	if r := of.Reshare; r != nil {
		k.Reshare = &reshare{types.VaultName(r.Vault), r.Epoch}
	}
	if len(of.Vault) > 0 {
		k.Vault = types.VaultName(of.Vault)
	}
	if of.Session != nil {
		k.Attempt = of.Session.Attempt
	}
	// The members of a keygen that has made its vault are the vault's, and so is what they did.
	if len(of.Vault) > 0 && len(of.Votes) == 0 {
		return k, nil
	}
	var members [][]byte
	for _, m := range of.Members {
		members = append(members, m.Address())
	}
	// Of a reshare others may be at fault too.
	for _, a := range of.Blamed {
		if !types.ContainsAddress(members, a) {
			members = append(members, a)
		}
	}
	for i, raw := range members {
		shown := keygenMember{Blames: []string{}}
		var err error
		if shown.Address, err = bech32.ConvertAndEncode(l.prefix, raw); err != nil {
			return k, err
		}
		_, waits := of.Waits(raw)
		shown.Joined = waits || of.Session != nil && i < len(of.Members)
		if vote := of.VoteOf(raw); vote != nil {
			shown.Vote, shown.Proven = "result", vote.Proven
			if vote.Result == nil {
				shown.Vote = "blame"
			}
			for _, blamed := range vote.Blamed {
				address, err := bech32.ConvertAndEncode(l.prefix, blamed)
				if err != nil {
					return k, err
				}
				shown.Blames = append(shown.Blames, address)
			}
		}
		switch {
		case types.ContainsAddress(of.Blamed, raw):
			shown.Fault = "blamed"
		case types.ContainsAddress(of.Silent, raw):
			shown.Fault = "silent"
		}
		k.Members = append(k.Members, shown)
	}
	return k, nil
}

// names finds out whose signers members are, by their addresses.
type names struct {
	*looker
	state *chain.State
	now   time.Time
	of    map[string]*named
	order []string
}

type named struct {
	raw, operatorRaw  []byte
	operator, moniker string
}

func (n *names) add(members []types.Member) {
	for _, m := range members {
		address, err := bech32.ConvertAndEncode(n.prefix, m.Address())
		if err == nil && n.of[address] == nil {
			n.of[address] = &named{raw: m.Address()}
			n.order = append(n.order, address)
		}
	}
}

func (n *names) addAddresses(members []keygenMember) {
	for _, m := range members {
		_, raw, err := bech32.DecodeAndConvert(m.Address)
		if err == nil && n.of[m.Address] == nil {
			n.of[m.Address] = &named{raw: raw}
			n.order = append(n.order, m.Address)
		}
	}
}

// resolve reads operators and monikers.
func (n *names) resolve(ctx context.Context) error {
	signers := make([][]byte, len(n.order))
	for i, address := range n.order {
		signers[i] = n.of[address].raw
	}
	owners, err := n.state.OperatorsOf(ctx, signers)
	if err != nil {
		return err
	}
	operators := n.operators
	if operators == "" {
		operators = n.prefix + "valoper"
	}
	var known []*named
	var raws [][]byte
	for i, address := range n.order {
		of := n.of[address]
		if of.operatorRaw = owners[i]; owners[i] == nil {
			continue
		}
		if of.operator, err = bech32.ConvertAndEncode(operators, owners[i]); err != nil {
			return err
		}
		known, raws = append(known, of), append(raws, owners[i])
	}
	if n.now.Sub(n.noMonikers) < monikersAgain {
		return nil
	}
	monikers, err := n.state.Monikers(ctx, raws)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		// A name is for people, and no reason to show nothing.
		n.noMonikers = n.now
		n.warn("validators are shown without their names: " + err.Error())
		return nil
	}
	for i, of := range known {
		of.moniker = tidy(monikers[i])
	}
	return nil
}

// tidy is what a validator calls itself, in one line that is not too long.
func tidy(moniker string) string {
	text := []rune(strings.TrimSpace(command.OneLine(strings.ToValidUTF8(moniker, ""))))
	if len(text) > maxMoniker {
		return string(text[:maxMoniker]) + "…"
	}
	return string(text)
}

// sitOuts are the operators among them that sit out.
func (n *names) sitOuts(ctx context.Context) ([]sitOut, error) {
	var of []*named
	var raws [][]byte
	seen := map[string]bool{}
	for _, address := range n.order {
		one := n.of[address]
		if one.operatorRaw != nil && !seen[one.operator] {
			seen[one.operator] = true
			of, raws = append(of, one), append(raws, one.operatorRaw)
		}
	}
	known, err := n.state.SitOuts(ctx, raws)
	if err != nil {
		return nil, err
	}
	outs := []sitOut{}
	for i, s := range known {
		// The state is that after a block, and the next one opens a churn.
		if n.state.Height()+1 < s.Until {
			outs = append(outs, sitOut{
				Operator: of[i].operator, Moniker: of[i].moniker, Until: s.Until, Faults: s.Count,
			})
		}
	}
	return outs, nil
}

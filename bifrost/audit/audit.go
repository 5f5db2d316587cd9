// Package audit repeats, from what a chain's state and its blocks hold, the checks by which
// consensus accepted the proofs of a vault's members: that the public shares are those of the
// vault's keys, that what is kept of each proof can be read, and, where the block that carried a
// proof is at hand, that the proof holds and gives what state keeps of it.
//
// It is fed with data and asks nobody. The records are taken as they are: who wants to know that a
// chain holds them has them verified. Blocks may come from anywhere, since a proof that holds and
// gives the stored form of the record is the one that was accepted, whoever showed it.
//
//	a, err := audit.New(chainID, nil, record)        // the lists, and the stored forms
//	for _, height := range a.Heights() {
//		err := a.Block(height, txs)              // the proofs themselves
//	}
//	a.Judge(nodes)
//	a.Members()
package audit

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"github.com/tssbackup/tssbackup/bifrost/vault"
	"github.com/tssbackup/tssbackup/verenc"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// ErrCheck means that a record does not hold what consensus can have accepted.
var ErrCheck = errors.New("a check of the proofs fails")

// Record is everything that state says about the proofs of a vault.
type Record struct {
	Vault vault.Vault
	// Shares are the public shares whose hash the vault names, empty when it names none. Of a split
	// vault they are those in the group part.
	Shares types.PublicShares
	// Group is, of a split vault, the record of the group part whose hash the vault names.
	Group types.Group
	// Proofs are in the order of the vault's members.
	Proofs []types.Proof
}

// Result is what is known of a member's proof.
type Result string

const (
	// None means that no proof was accepted.
	None Result = "none"
	// Repeated means that the proof was checked here, and gives what state keeps of it.
	Repeated Result = "repeated"
	// Accepted means that consensus accepted the proof in the block that the record names. It was
	// not repeated: the block is pruned, or what one node shows as it does not hold the proof.
	Accepted Result = "accepted"
	// Imported means that what state keeps of the proof was made under another chain id, or for
	// another statement than this chain's. It came with the state that the chain began from, and
	// its block is none of this chain's.
	Imported Result = "imported"
	// Failed means that a check fails.
	Failed Result = "failed"
)

// Member is what is known of one member's proof.
type Member struct {
	// Height is the block that carried the proof, 0 when there is none.
	Height int64
	Result Result
	// Err tells why a check failed, and of a proof that was not repeated, why what was shown as its
	// block does not bear it out.
	Err error
}

// Audit is the check of one vault.
type Audit struct {
	record  Record
	members []*member
	byRaw   map[string]*member
}

type member struct {
	Member
	index     int // in the vault's record
	raw       []byte
	statement verenc.Statement
	stored    []byte
	// doubts counts the views of its block that did not bear the proof out.
	doubts int
}

// New checks everything that needs no block. Its error wraps [ErrCheck] unless all of this is true:
//
//   - the vault's threshold is that of its members;
//   - the public shares have the hash that the vault names, and hold each member exactly once in
//     each list; of a split vault the group part's record has that hash, and they are its points;
//   - all points of each list lie on the polynomial of the vault's key, of the degree that belongs
//     to the threshold.
//
// A vault that names no public shares has no proofs, which is no error. What is wrong with one
// member's proof is told by [Audit.Members]: its recipient key must decode strictly, and the stored
// form be readable, hold two shares, and be made for this member. Former names of the chain, from
// before it was exported and began again, are tried too; when any are given, a stored form must
// have been made under one of the names.
func New(chainID string, formerChainIDs []string, record Record) (*Audit, error) {
	a := &Audit{record: record, byRaw: map[string]*member{}}
	if err := a.check(chainID, formerChainIDs); err != nil {
		return nil, fmt.Errorf("%w: vault %s: %w", ErrCheck, record.Vault.Name(), err)
	}
	return a, nil
}

func (a *Audit) check(chainID string, former []string) error {
	v := a.record.Vault
	if len(a.record.Proofs) != len(v.Members) {
		return fmt.Errorf(
			"%d records of proofs for %d members",
			len(a.record.Proofs),
			len(v.Members),
		)
	}
	for i, m := range v.Members {
		of := &member{index: i, raw: m.Address(), stored: a.record.Proofs[i].Stored}
		of.Height, of.Result = a.record.Proofs[i].Height, None
		a.members, a.byRaw[string(of.raw)] = append(a.members, of), of
	}
	if len(v.SharesHash) == 0 {
		return a.checkEmpty()
	}
	if want := verenc.Threshold(len(v.Members)); uint64(v.Threshold) != uint64(want) {
		return fmt.Errorf("the threshold is %d, and that of %d members is %d",
			v.Threshold, len(v.Members), want)
	}
	got, err := a.hash()
	if err != nil {
		return err
	}
	if !bytes.Equal(got, v.SharesHash) {
		return fmt.Errorf(
			"the public shares have the hash %x, and the vault names %x",
			got,
			v.SharesHash,
		)
	}
	if err := a.record.Shares.CheckForm(v.Epoch, v.Members); err != nil {
		return fmt.Errorf("public shares: %w", err)
	}
	if err := a.record.Shares.Check(v.PubKey, v.PubKeyEd25519); err != nil {
		return fmt.Errorf("public shares: %w", err)
	}
	// contexts are those of all members under all names of the chain.
	contexts := map[[32]byte]*member{}
	for _, id := range append([]string{chainID}, former...) {
		for i, m := range a.members {
			st, _ := a.record.Shares.Statement(
				id,
				v.Epoch,
				v.PubKey,
				v.PubKeyEd25519,
				m.raw,
				a.record.Proofs[i].Recipient.Key,
			)
			if id == chainID {
				m.statement = st
			}
			if ctx, err := st.Context(); err == nil {
				contexts[ctx] = m
			}
		}
	}
	for i, m := range a.members {
		m.Result, m.Err = m.judge(a.record.Proofs[i], contexts, len(former) > 0)
	}
	return nil
}

// hash is that of the public shares, by which a vault names them: of a split one, that of its group
// part.
func (a *Audit) hash() ([]byte, error) {
	v, shares := a.record.Vault, a.record.Shares
	if !v.Split {
		return shares.Hash(v.PubKey, v.PubKeyEd25519), nil
	}
	points, err := a.record.Group.PublicShares(v.Epoch, v.Members)
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(
		points.Hash(v.PubKey, v.PubKeyEd25519), shares.Hash(v.PubKey, v.PubKeyEd25519),
	) {
		return nil, errors.New("the public shares are not the points of the group part")
	}
	return types.GroupHash(v.PubKey, v.PubKeyEd25519, v.Members, a.record.Group.Points)
}

func (a *Audit) checkEmpty() error {
	if !a.record.Shares.IsEmpty() || len(a.record.Group.Points) > 0 {
		return errors.New("there are public shares, and the vault names none")
	}
	for _, m := range a.members {
		if len(m.stored) > 0 {
			return fmt.Errorf(
				"member %d has a proof, and the vault names no public shares",
				m.index+1,
			)
		}
	}
	return nil
}

// judge tells what the record alone says of a proof.
func (m *member) judge(
	proof types.Proof,
	contexts map[[32]byte]*member,
	allNames bool,
) (Result, error) {
	if !proof.IsProven() {
		return None, nil
	}
	if err := verenc.CheckRecipient(proof.Recipient.Key); err != nil {
		return Failed, err
	}
	stored, err := verenc.ParseStored(proof.Stored)
	if err != nil {
		return Failed, err
	}
	if stored.Shares() != len(m.statement.Shares) {
		return Failed, fmt.Errorf(
			"the stored form holds %d shares, and the vault has %d keys",
			stored.Shares(),
			len(m.statement.Shares),
		)
	}
	if proof.Height <= 0 {
		return Failed, fmt.Errorf("block %d cannot have carried a proof", proof.Height)
	}
	ctx := stored.Context()
	if own, err := m.statement.Context(); err == nil && own == ctx {
		return Accepted, nil
	}
	switch of := contexts[ctx]; {
	case of == m:
		return Imported, nil
	case of != nil:
		return Failed, fmt.Errorf("the stored form is that of member %d", of.index+1)
	case allNames:
		return Failed, errors.New(
			"the stored form was made under none of the chain's names, or for another statement",
		)
	}
	return Imported, nil
}

// Members are in the order of the vault's members.
func (a *Audit) Members() []Member {
	all := make([]Member, len(a.members))
	for i, m := range a.members {
		all[i] = m.Member
	}
	return all
}

// Heights are the blocks whose proofs are to be repeated, in ascending order. That of an imported
// proof is among them: this chain may have a block of that height, and if that carries a proof of
// the member, the record is wrong.
func (a *Audit) Heights() []int64 {
	var heights []int64
	for _, m := range a.members {
		if m.Result == Accepted || m.Result == Imported {
			heights = append(heights, m.Height)
		}
	}
	slices.Sort(heights)
	return slices.Compact(heights)
}

// Block repeats the proofs that were accepted in the block of a height, with its transactions as
// somebody shows them. Whether it is that block is not verified. A proof that is found in it and
// holds is repeated, for it speaks for itself. The error, which wraps [ErrCheck], tells which
// members' proofs it does not bear out, for somebody else to be asked; [Audit.Judge] says what
// follows from that.
func (a *Audit) Block(height int64, txs [][]byte) error {
	carried := a.carried(txs)
	var failed []error
	for _, m := range a.members {
		if m.Height != height || m.Result != Accepted && m.Result != Imported {
			continue
		}
		proofs := carried[m]
		if len(proofs) == 0 && m.Result == Imported {
			continue
		}
		if err := m.repeat(proofs); err != nil {
			m.doubts, m.Err = m.doubts+1, err
			failed = append(failed, fmt.Errorf("%w: member %d: %w", ErrCheck, m.index+1, err))
			continue
		}
		m.Result, m.Err = Repeated, nil
	}
	return errors.Join(failed...)
}

// Judge ends the audit, after so many nodes were asked for each block. A proof that no view of its
// block bore out has failed when two views did not, or the only node's. One node's view against
// others that have no block left stays a doubt, which the member's Err tells: what the records say
// is verified, and that node's view is not.
func (a *Audit) Judge(nodes int) {
	for _, m := range a.members {
		if m.doubts > 0 && m.Result != Repeated && m.doubts >= min(2, nodes) {
			m.Result = Failed
		}
	}
}

// maxTries is how many different proofs of a member that give the stored form are checked in one
// view of a block. An honest member sends one. Others differ in what the stored form does not hold,
// and put in front of it they cost whoever looks some milliseconds each.
const maxTries = 64

// repeat checks the proof that gives the stored form. The others that a member sent were refused,
// or for another state.
func (m *member) repeat(proofs [][]byte) error {
	if len(proofs) == 0 {
		return errors.New("the block carries no proof of the member")
	}
	tried := map[string]bool{}
	var last error
	for _, proof := range proofs {
		if !gives(proof, m.stored) || tried[string(proof)] {
			continue
		}
		if len(tried) == maxTries {
			return fmt.Errorf(
				"it is not among the first %d proofs of the member that resemble it",
				maxTries,
			)
		}
		tried[string(proof)] = true
		stored, err := verenc.Verify(m.statement, proof)
		if err == nil && bytes.Equal(stored.Bytes(), m.stored) {
			return nil
		}
		if err == nil {
			err = errors.New("it gives another stored form than state's")
		}
		last = err
	}
	if len(tried) == 0 {
		return errors.New(
			"the block carries a proof of the member, which gives another stored form than state's",
		)
	}
	return last
}

// Where the parts of a proof and of a stored form are that both have: the commitment with the
// nonce, and the rows at the end.
const (
	proofCommitment  = 1 + 32
	storedCommitment = 1 + 32
	storedRows       = storedCommitment + 32 + 4
)

// gives reports whether a proof, if it holds, gives the stored form. It is cheap.
func gives(proof, stored []byte) bool {
	if len(proof) < len(stored) || len(stored) < storedRows {
		return false
	}
	return bytes.Equal(
		proof[proofCommitment:proofCommitment+36],
		stored[storedCommitment:storedRows],
	) &&
		bytes.HasSuffix(proof, stored[storedRows:])
}

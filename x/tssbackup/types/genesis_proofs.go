package types

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/tssbackup/tssbackup/verenc"
)

// checkRecipients checks who owns which recipient key.
func (g genesisIndex) checkRecipients(gs GenesisState) error {
	var last []byte
	for i, o := range gs.RecipientOwners {
		if err := verenc.CheckRecipient(o.Key); err != nil {
			return fmt.Errorf("recipient owner %d: %w", i, err)
		}
		if bytes.Compare(last, o.Key) >= 0 {
			return fmt.Errorf("recipient owner %d is not in ascending order", i)
		}
		last = o.Key
		if _, ok := g.owners[string(o.Address)]; !ok {
			return fmt.Errorf("recipient owner %d was never registered", i)
		}
		g.recipients[string(o.Key)] = o.Address
	}
	for i, o := range gs.SignerOwners {
		if !bytes.Equal(g.recipients[string(o.Owner.Latest.Key)], o.Address) {
			return fmt.Errorf("signer owner %d: the signer does not own its recipient key", i)
		}
	}
	return nil
}

// membersOf are the members of a keygen, or of the vault whose present epoch it is.
func (g genesisIndex) membersOf(keygenID uint64) []Member {
	if v, ok := g.vaults[string(g.made[keygenID])]; ok && v.Epoch == keygenID {
		return v.Members
	}
	return g.keygens[keygenID].Members
}

// sharesOf is what names the public shares of a keygen that made an epoch, empty when there are
// none.
func (g genesisIndex) sharesOf(keygenID uint64) []byte {
	if ended := g.keygens[keygenID].Ended; ended != nil {
		return ended.SharesHash
	}
	return g.vaults[string(g.made[keygenID])].SharesHash
}

// keptProofs reports whether state keeps the proofs of a keygen: all of one whose churn is open or
// whose vault is not retired, and none of one that failed. Of a retired vault it keeps all or none,
// and so of an epoch that is over.
func (g genesisIndex) keptProofs(k Keygen) (must, may bool) {
	switch {
	case k.Status == KeygenStatus_KEYGEN_STATUS_FAILED:
		return false, false
	case g.churns[k.ChurnId].Status == ChurnStatus_CHURN_STATUS_OPEN:
		return true, true
	}
	if k.Ended != nil {
		return k.Ended.GraceHeight == 0, true
	}
	v := g.vaults[string(g.made[k.Id])]
	return v.IsLive(), true
}

// checkShares checks the public shares and the group parts: that each is of a result in state, and
// each result's are there. That they lie on the polynomials of the vault's keys was checked when
// they were voted for, and takes longer than a start should.
func (g genesisIndex) checkShares(gs GenesisState) error {
	type key struct {
		keygen uint64
		hash   string
	}
	results := map[key]Result{} // whose public shares, or group parts, must be there
	for _, v := range gs.Votes {
		k := g.keygens[v.KeygenId]
		if v.Vote.Result == nil || k.Status == KeygenStatus_KEYGEN_STATUS_FAILED {
			continue
		}
		if len(v.Vote.Result.SharesHash) > 0 {
			k := key{v.KeygenId, string(v.Vote.Result.SharesHash)}
			if before, ok := results[k]; ok && before.Key() != v.Vote.Result.Key() {
				return errors.New("two results have the public shares of one")
			}
			results[k] = *v.Vote.Result
		} else if k.Split {
			return fmt.Errorf("a vote on keygen %d names no group part", k.Id)
		}
	}
	for epoch, pubKey := range g.made {
		if hash := g.sharesOf(epoch); len(hash) > 0 {
			results[key{epoch, string(hash)}] = Result{
				PubKey:        pubKey,
				PubKeyEd25519: g.vaults[string(pubKey)].PubKeyEd25519,
				SharesHash:    hash,
			}
		}
	}
	var lastID uint64
	var last []byte
	for i, s := range gs.PublicShares {
		if s.KeygenId < lastID || s.KeygenId == lastID && bytes.Compare(last, s.Hash) >= 0 {
			return fmt.Errorf("public shares %d are not in ascending order", i)
		}
		lastID, last = s.KeygenId, s.Hash
		r, ok := results[key{s.KeygenId, string(s.Hash)}]
		if !ok || g.keygens[s.KeygenId].Split {
			return fmt.Errorf("public shares %d are of no result", i)
		}
		delete(results, key{s.KeygenId, string(s.Hash)})
		if err := s.Shares.CheckForm(s.KeygenId, g.membersOf(s.KeygenId)); err != nil {
			return fmt.Errorf("public shares %d: %w", i, err)
		}
		if err := s.Shares.CheckPoints(); err != nil {
			return fmt.Errorf("public shares %d: %w", i, err)
		}
		if !bytes.Equal(s.Shares.Hash(r.PubKey, r.PubKeyEd25519), s.Hash) {
			return fmt.Errorf("public shares %d do not have their hash", i)
		}
	}
	lastID, last = 0, nil
	for i, p := range gs.Groups {
		if p.KeygenId < lastID || p.KeygenId == lastID && bytes.Compare(last, p.Hash) >= 0 {
			return fmt.Errorf("group part %d is not in ascending order", i)
		}
		lastID, last = p.KeygenId, p.Hash
		r, ok := results[key{p.KeygenId, string(p.Hash)}]
		if !ok || !g.keygens[p.KeygenId].Split {
			return fmt.Errorf("group part %d is of no result", i)
		}
		delete(results, key{p.KeygenId, string(p.Hash)})
		if err := p.check(r, g.membersOf(p.KeygenId)); err != nil {
			return fmt.Errorf("group part %d: %w", i, err)
		}
		vault, made := g.vaults[string(g.made[p.KeygenId])]
		name := vault.Group
		if ended := g.keygens[p.KeygenId].Ended; ended != nil {
			name = ended.Group
		}
		if sum := sha256.Sum256(p.Group); made &&
			(!bytes.Equal(sum[:], name.Sha256) || p.Height != name.Height) {
			return fmt.Errorf("group part %d is not as its vault names it", i)
		}
	}
	if len(results) > 0 {
		return fmt.Errorf("the public shares of %d results are missing", len(results))
	}
	return nil
}

func (g genesisIndex) checkProofs(gs GenesisState) error {
	votes := map[string]Vote{}
	name := func(keygen uint64, member []byte) string { return fmt.Sprint(keygen, "/", string(member)) }
	for _, v := range gs.Votes {
		votes[name(v.KeygenId, v.Member)] = v.Vote
	}
	var lastID uint64
	var last []byte
	count := map[uint64]int{}
	proven := map[string]bool{}
	for i, p := range gs.Proofs {
		k, ok := g.keygens[p.KeygenId]
		if !ok {
			return fmt.Errorf("proof %d is of no keygen", i)
		}
		if _, may := g.keptProofs(k); !may {
			return fmt.Errorf("proof %d is of a keygen that failed", i)
		}
		if _, ok := FindMember(g.membersOf(k.Id), p.Member); !ok {
			return fmt.Errorf("proof %d is not a member's", i)
		}
		if p.KeygenId < lastID || p.KeygenId == lastID && bytes.Compare(last, p.Member) >= 0 {
			return fmt.Errorf("proof %d is not in ascending order", i)
		}
		lastID, last = p.KeygenId, p.Member
		count[k.Id]++
		if !bytes.Equal(g.recipients[string(p.Proof.Recipient.Key)], p.Member) {
			return fmt.Errorf("proof %d: the member does not own the recipient key", i)
		}
		if err := checkStored(p.Proof); err != nil {
			return fmt.Errorf("proof %d: %w", i, err)
		}
		if !p.Proof.IsProven() {
			continue
		}
		proven[name(k.Id, p.Member)] = true
		hash := g.sharesOf(k.Id)
		if vote, ok := votes[name(k.Id, p.Member)]; ok && vote.Result != nil &&
			vote.Commitment != nil {
			hash = vote.Result.SharesHash
		}
		if len(hash) == 0 {
			return fmt.Errorf("proof %d is of no public shares", i)
		}
	}
	for _, k := range gs.Keygens {
		must, _ := g.keptProofs(k)
		if n := len(g.membersOf(k.Id)); count[k.Id] != n && (must || count[k.Id] != 0) {
			return fmt.Errorf("keygen %d has %d members and the proofs of %d", k.Id, n, count[k.Id])
		}
	}
	// A vault that is live has what it became active for.
	backed := map[uint64]uint32{}
	for _, b := range gs.Backups {
		if proven[name(b.Epoch, b.Member)] {
			backed[b.Epoch]++
		}
	}
	for i, v := range gs.Vaults {
		k := g.keygens[v.Vault.Epoch]
		if v.Vault.IsLive() && k.RequireProofs &&
			(len(v.Vault.SharesHash) == 0 || backed[k.Id] < k.Needed) {
			return fmt.Errorf(
				"vault %d lives with %d proven members, and needed %d",
				i,
				backed[k.Id],
				k.Needed,
			)
		}
	}
	for i, v := range gs.Votes {
		k := g.keygens[v.KeygenId]
		if k.Status == KeygenStatus_KEYGEN_STATUS_FAILED || !k.RequireShares() ||
			v.Vote.Result == nil {
			continue
		}
		if len(v.Vote.Result.SharesHash) == 0 || k.RequireProofs &&
			v.Vote.Commitment != nil && !proven[name(v.KeygenId, v.Member)] {
			return fmt.Errorf(
				"vote %d is without public shares or a proof, which its keygen requires",
				i,
			)
		}
	}
	return nil
}

// checkStored checks the form of what state keeps of a proof.
func checkStored(p Proof) error {
	if !p.IsProven() {
		if p.Height != 0 {
			return errors.New("a height without a proof")
		}
		return nil
	}
	if p.Height < 0 {
		return errors.New("height is negative")
	}
	stored, err := verenc.ParseStored(p.Stored)
	if err != nil {
		return err
	}
	if stored.Shares() != 2 {
		return errors.New("the stored form is not that of a share of each of the vault's keys")
	}
	return nil
}

// checkExpiries checks when the proofs of retired vaults, and of epochs that are over, are deleted.
func (g genesisIndex) checkExpiries(gs GenesisState) error {
	var last GenesisProofExpiry
	seen := map[uint64]bool{}
	for i, e := range gs.ProofExpiries {
		v, ok := g.vaults[string(g.made[e.KeygenId])]
		over := v.RetiredHeight
		if ended := g.keygens[e.KeygenId].Ended; ended != nil {
			over = ended.GraceHeight
		}
		if !ok || over == 0 || seen[e.KeygenId] {
			return fmt.Errorf("proof expiry %d is of no retired vault, or of one that has one", i)
		}
		seen[e.KeygenId] = true
		if e.Height <= over {
			return fmt.Errorf("proof expiry %d is not after the retirement", i)
		}
		if e.Height < last.Height || e.Height == last.Height && e.KeygenId <= last.KeygenId {
			return fmt.Errorf("proof expiry %d is not in ascending order", i)
		}
		last = e
	}
	return nil
}

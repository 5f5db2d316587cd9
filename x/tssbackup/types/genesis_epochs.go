package types

import (
	"bytes"
	"errors"
	"fmt"
)

// checkEnded checks what a keygen says of the end of its epoch, by itself.
func checkEnded(k Keygen) error {
	e := k.Ended
	if e == nil {
		return nil
	}
	if e.Height <= k.ClosedHeight || e.GraceHeight != 0 && e.GraceHeight < e.Height {
		return errors.New("ended before it was closed, or had its grace before")
	}
	if n := len(e.SharesHash); n != 0 && n != HashSize {
		return errors.New("the hash of its public shares is malformed")
	}
	return checkGroupName(k.Split, e.Group, e.SharesHash)
}

// checkEpochs checks the epochs of a vault: each reshares the one before, which ended with it, and
// no threshold of a former one is outside the present one. That the first made the vault is checked
// before.
func (g genesisIndex) checkEpochs(gv GenesisVault) error {
	v := gv.Vault
	if len(v.Former) >= MaxEpochs {
		return fmt.Errorf("more than %d epochs", MaxEpochs)
	}
	present := g.keygens[v.Epoch]
	if present.Ended != nil || (v.EpochHeight != 0) != (len(v.Former) != 0) {
		return errors.New("its epoch has ended, or began at no height")
	}
	if len(v.Former) != 0 && v.EpochHeight != g.churns[present.ChurnId].ClosedHeight {
		return errors.New("its epoch did not begin with the end of its reshare")
	}
	if v.RetiredHeight != 0 && v.RetiredHeight < v.EpochHeight {
		return errors.New("it was retired before its epoch began")
	}
	if v.GraceUntil != 0 && (!v.IsLive() || len(v.Former) == 0 || v.GraceUntil <= v.EpochHeight) {
		return errors.New("it has a grace for no epoch")
	}
	for i, f := range v.Former {
		next := v.Epoch
		if i+1 < len(v.Former) {
			next = v.Former[i+1].Epoch
		}
		k, after := g.keygens[f.Epoch], g.keygens[next]
		if next <= f.Epoch || !bytes.Equal(g.made[next], gv.PubKey) || after.Reshare == nil ||
			!bytes.Equal(after.Reshare.Vault, gv.PubKey) || after.Reshare.Epoch != f.Epoch {
			return fmt.Errorf("epoch %d is not followed by epoch %d", f.Epoch, next)
		}
		if k.Ended == nil || k.Ended.Height != g.churns[after.ChurnId].ClosedHeight {
			return fmt.Errorf("epoch %d did not end when the next began", f.Epoch)
		}
		grace := f.Epoch == v.GraceEpoch()
		if grace != (k.Ended.GraceHeight == 0) || grace && len(k.Ended.SharesHash) == 0 {
			return fmt.Errorf("the grace of epoch %d is not that of its vault", f.Epoch)
		}
		if f.Threshold != k.Threshold || f.Outside != CountOutside(k.Members, v.Members) ||
			f.Outside >= f.Threshold {
			return fmt.Errorf("a threshold of epoch %d is outside, or it is miscounted", f.Epoch)
		}
	}
	return nil
}

// checkReshares checks the reshares: of which epoch of which vault each is, and of one that is open
// that it may come to its end.
func (g genesisIndex) checkReshares(gs GenesisState) error {
	for _, k := range gs.Keygens {
		if k.Reshare == nil {
			continue
		}
		if err := g.checkReshare(k); err != nil {
			return fmt.Errorf("reshare %d: %w", k.Id, err)
		}
	}
	return nil
}

func (g genesisIndex) checkReshare(k Keygen) error {
	c := g.churns[k.ChurnId]
	if !c.Named || len(c.KeygenIds) != 1 || len(c.FailedIds) != 0 || k.Try != 1 {
		return errors.New("it is not alone in a churn that none follows")
	}
	v, ok := g.vaults[string(k.Reshare.Vault)]
	if !ok || !bytes.Equal(g.made[k.Reshare.Epoch], k.Reshare.Vault) {
		return errors.New("it is of no vault, or of no epoch of it")
	}
	d := g.dealing(k)
	if len(k.Reshare.Excluded) != len(g.membersOf(k.Reshare.Epoch))-len(d.Members) ||
		len(d.Members) < int(d.Threshold) {
		return errors.New("who does not deal is no member, or too few are left")
	}
	participants := Participants(g.membersOf(k.Id), g.membersOf(k.Reshare.Epoch))
	for _, addr := range k.Blamed {
		if _, ok := FindMember(participants, addr); !ok {
			return errors.New("who is at fault takes no part")
		}
	}
	if k.Status == KeygenStatus_KEYGEN_STATUS_FAILED {
		return nil
	}
	if k.Status == KeygenStatus_KEYGEN_STATUS_READY {
		if len(g.made[k.Id]) == 0 {
			return errors.New("ready, and no epoch")
		}
		return nil
	}
	if !v.IsLive() || v.Epoch != k.Reshare.Epoch || v.GraceUntil != 0 ||
		len(v.SharesHash) == 0 || len(v.Former)+1 >= MaxEpochs {
		return errors.New("the vault cannot be reshared")
	}
	former := append([]FormerEpoch{{Epoch: v.Epoch, Threshold: v.Threshold}}, v.Former...)
	for _, f := range former {
		if CountOutside(g.membersOf(f.Epoch), k.Members) >= f.Threshold {
			return fmt.Errorf("a threshold of epoch %d would be outside", f.Epoch)
		}
	}
	return nil
}

// dealers are the members of the epoch that a keygen reshares who may deal, and how many do.
type dealers struct {
	Members   []Member
	Threshold uint32
}

// dealing is who may deal in a keygen: nobody unless it is a reshare.
func (g genesisIndex) dealing(k Keygen) dealers {
	if k.Reshare == nil {
		return dealers{}
	}
	return dealers{
		Members:   k.Reshare.Able(g.membersOf(k.Reshare.Epoch)),
		Threshold: g.keygens[k.Reshare.Epoch].Threshold,
	}
}

// isOfReshared reports whether an address is a member's of the epoch that a keygen reshares.
func (g genesisIndex) isOfReshared(k Keygen, address []byte) bool {
	if k.Reshare == nil {
		return false
	}
	_, ok := FindMember(g.membersOf(k.Reshare.Epoch), address)
	return ok
}

// checkDealers checks who deals in the latest attempt at a keygen.
func (g genesisIndex) checkDealers(k Keygen, s Session) error {
	d := g.dealing(k)
	if s.Attempt == 0 {
		d.Threshold = 0
	}
	if len(s.Dealers) != int(d.Threshold) {
		return fmt.Errorf("%d dealers, not %d", len(s.Dealers), d.Threshold)
	}
	var last []byte
	for i, dealer := range s.Dealers {
		if bytes.Compare(last, dealer.PubKey) >= 0 {
			return fmt.Errorf("dealer %d is not in ascending order", i)
		}
		last = dealer.PubKey
		// One that dealt in the latest attempt may have been excluded since.
		of := g.membersOf(k.Reshare.Epoch)
		if _, ok := FindMember(of, SignerAddress(dealer.PubKey)); !ok {
			return fmt.Errorf("dealer %d may not deal", i)
		}
		if err := checkJoin(dealer.Join, k); err != nil || dealer.Join.Attempt != s.Attempt {
			return fmt.Errorf("dealer %d has a malformed join", i)
		}
	}
	return nil
}

package types

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/tssbackup/tssbackup/verenc"
)

// DefaultGenesis returns the state of a new chain.
func DefaultGenesis() *GenesisState {
	return &GenesisState{Params: DefaultParams()}
}

// OpenChurn returns the churn that is open, if one is.
func (gs GenesisState) OpenChurn() (Churn, bool) {
	for _, c := range gs.Churns {
		if c.Status == ChurnStatus_CHURN_STATUS_OPEN {
			return c, true
		}
	}
	return Churn{}, false
}

// AllKeygenIds are the numbers of all keygens of the churn that state keeps, in ascending order.
func (c Churn) AllKeygenIds() []uint64 {
	ids := slices.Concat(c.KeygenIds, c.FailedIds)
	slices.Sort(ids)
	return ids
}

// Validate checks the whole state: every record by itself, that records are in the order of the
// store and none is there twice, and that records agree.
func (gs GenesisState) Validate() error {
	if err := gs.Params.Validate(); err != nil {
		return err
	}
	g := genesisIndex{
		owners:  map[string]SignerOwner{},
		churns:  map[uint64]Churn{},
		keygens: map[uint64]Keygen{},
		vaults:  map[string]Vault{},
		made:    map[uint64][]byte{},

		recipients: map[string][]byte{},

		sessions:     map[uint64]Session{},
		certificates: map[uint64]Certificate{},
	}
	for _, check := range []func(GenesisState) error{
		g.checkSigners, g.checkTerms, g.checkRecipients, g.checkChurns, g.checkKeygens,
		g.checkVaults, g.checkReshares,
		g.checkSessions, g.checkCertificates, g.checkVotes, g.checkAttempts,
		g.checkBackups, g.checkShares, g.checkProofs, g.checkExpiries, g.checkChurnExpiries,
		checkPause, g.checkHeartbeats, checkBeacons,
	} {
		if err := check(gs); err != nil {
			return ErrInvalidGenesis.Wrap(err.Error())
		}
	}
	return nil
}

// genesisIndex is what has been checked so far, by key.
type genesisIndex struct {
	owners  map[string]SignerOwner
	churns  map[uint64]Churn
	keygens map[uint64]Keygen
	vaults  map[string]Vault
	made    map[uint64][]byte // the vault that a keygen made, or gave an epoch

	recipients map[string][]byte // the signer that a recipient key belongs to

	sessions     map[uint64]Session     // by keygen
	certificates map[uint64]Certificate // by keygen
}

func (g genesisIndex) checkSigners(gs GenesisState) error {
	var last []byte
	for i, o := range gs.SignerOwners {
		if err := checkAddress(o.Address); err != nil {
			return fmt.Errorf("signer owner %d: %w", i, err)
		}
		if err := checkAddress(o.Owner.Operator); err != nil {
			return fmt.Errorf("signer owner %d: operator: %w", i, err)
		}
		if bytes.Compare(last, o.Address) >= 0 {
			return fmt.Errorf("signer owner %d is not in ascending order", i)
		}
		last = o.Address
		g.owners[string(o.Address)] = o.Owner
	}
	last = nil
	registered := make(map[string]bool, len(gs.Signers))
	for i, s := range gs.Signers {
		if err := CheckPubKey(s.Signer.PubKey); err != nil {
			return fmt.Errorf("signer %d: %w", i, err)
		}
		if !bytes.Equal(SignerAddress(s.Signer.PubKey), s.Signer.Address) {
			return fmt.Errorf("signer %d: address is not the key's", i)
		}
		owner := g.owners[string(s.Signer.Address)]
		if !bytes.Equal(owner.Operator, s.Operator) {
			return fmt.Errorf("signer %d is not owned by its operator", i)
		}
		latest, r := owner.Latest, s.Signer.Recipient
		if !bytes.Equal(latest.Key, r.Key) || latest.Index != r.Index {
			return fmt.Errorf("signer %d does not have its latest recipient key", i)
		}
		if s.Signer.Height < 0 {
			return fmt.Errorf("signer %d: height is negative", i)
		}
		if bytes.Compare(last, s.Operator) >= 0 {
			return fmt.Errorf("signer %d is not in ascending order", i)
		}
		last = s.Operator
		registered[string(s.Operator)] = true
	}
	for i, o := range gs.SignerOwners {
		if !registered[string(o.Owner.Operator)] {
			return fmt.Errorf("signer owner %d: its operator has no signer", i)
		}
	}
	last = nil
	for i, s := range gs.SitOuts {
		if err := checkAddress(s.Operator); err != nil {
			return fmt.Errorf("sit-out %d: %w", i, err)
		}
		if s.SitOut.Until <= 0 || s.SitOut.Count == 0 {
			return fmt.Errorf("sit-out %d ends at no height, or is for no fault", i)
		}
		if bytes.Compare(last, s.Operator) >= 0 {
			return fmt.Errorf("sit-out %d is not in ascending order", i)
		}
		last = s.Operator
	}
	return nil
}

// checkTerms checks the claims, which are those of signers that were registered.
func (g genesisIndex) checkTerms(gs GenesisState) error {
	var last []byte
	for i, t := range gs.SignerTerms {
		if _, ok := g.owners[string(t.Address)]; !ok {
			return fmt.Errorf("term %d is of no signer", i)
		}
		if bytes.Compare(last, t.Address) >= 0 {
			return fmt.Errorf("term %d is not in ascending order", i)
		}
		last = t.Address
		if t.Term.Term == 0 || t.Term.Term == math.MaxUint64 || t.Term.Height < 0 {
			return fmt.Errorf("term %d has no number, no next one, or a negative height", i)
		}
		if err := CheckClaim(t.Term.Nonce, t.Term.Addresses); err != nil {
			return fmt.Errorf("term %d: %w", i, err)
		}
	}
	last = nil
	for i, w := range gs.Claims {
		if _, ok := g.owners[string(w.Address)]; !ok {
			return fmt.Errorf("claims %d are of no signer", i)
		}
		if bytes.Compare(last, w.Address) >= 0 {
			return fmt.Errorf("claims %d are not in ascending order", i)
		}
		last = w.Address
		if w.Window.Start < 0 || w.Window.Count == 0 || w.Window.Count > MaxExemptClaims {
			return fmt.Errorf("claims %d are not 1 to %d", i, MaxExemptClaims)
		}
	}
	return nil
}

func (g genesisIndex) checkChurns(gs GenesisState) error {
	if gs.NextChurnHeight < 0 {
		return errors.New("next churn height is negative")
	}
	if gs.LastChurnId == math.MaxUint64 || gs.LastKeygenId == math.MaxUint64 {
		return errors.New("there is no number for the next churn or keygen")
	}
	var last, lastKeygen uint64
	open := false
	for i, c := range gs.Churns {
		if c.Id <= last || c.Id > gs.LastChurnId {
			return fmt.Errorf("churn %d is not in ascending order or above the last number", i)
		}
		last = c.Id
		if c.OpenedHeight < 0 || c.Deadline <= c.OpenedHeight {
			return fmt.Errorf("churn %d: heights are out of order", c.Id)
		}
		switch c.Status {
		case ChurnStatus_CHURN_STATUS_OPEN:
			if open {
				return errors.New("two churns are open")
			}
			open = true
			if c.ClosedHeight != 0 {
				return fmt.Errorf("churn %d is open and closed", c.Id)
			}
		case ChurnStatus_CHURN_STATUS_COMPLETE, ChurnStatus_CHURN_STATUS_FAILED:
			if c.ClosedHeight < c.OpenedHeight || c.ClosedHeight == 0 {
				return fmt.Errorf("churn %d: heights are out of order", c.Id)
			}
		default:
			return fmt.Errorf("churn %d has no status", c.Id)
		}
		if len(c.KeygenIds) == 0 {
			return fmt.Errorf("churn %d has no keygen", c.Id)
		}
		if !slices.IsSorted(c.KeygenIds) || !slices.IsSorted(c.FailedIds) {
			return fmt.Errorf("churn %d: keygens are not in ascending order", c.Id)
		}
		for _, id := range c.AllKeygenIds() {
			if id <= lastKeygen || id > gs.LastKeygenId {
				return fmt.Errorf(
					"churn %d: keygen %d is not in ascending order or above the last number",
					c.Id,
					id,
				)
			}
			lastKeygen = id
		}
		g.churns[c.Id] = c
	}
	return nil
}

func (g genesisIndex) checkKeygens(gs GenesisState) error {
	i := 0
	for _, c := range gs.Churns {
		for _, id := range c.AllKeygenIds() {
			if i == len(gs.Keygens) || gs.Keygens[i].Id != id {
				return fmt.Errorf("keygen %d is missing or not in ascending order", id)
			}
			k := gs.Keygens[i]
			i++
			if k.ChurnId != c.Id {
				return fmt.Errorf("keygen %d is not of churn %d", id, c.Id)
			}
			followed := slices.Contains(c.FailedIds, id)
			if err := checkKeygen(k, c, followed); err != nil {
				return fmt.Errorf("keygen %d: %w", id, err)
			}
			if err := g.checkOwned(k.Members); err != nil {
				return fmt.Errorf("keygen %d: %w", id, err)
			}
			g.keygens[id] = k
			if c.Status == ChurnStatus_CHURN_STATUS_COMPLETE && !followed {
				g.made[id] = k.Vault
			}
		}
	}
	if i != len(gs.Keygens) {
		return fmt.Errorf("keygen %d is of no churn", gs.Keygens[i].Id)
	}
	return nil
}

// checkKeygen checks a keygen of a churn; followed tells that it failed and another one follows it.
func checkKeygen(k Keygen, c Churn, followed bool) error {
	complete := c.Status == ChurnStatus_CHURN_STATUS_COMPLETE && !followed
	if k.Ended != nil && !complete {
		return errors.New("ended, and never an epoch")
	}
	if complete && k.Ended == nil {
		if len(k.Members) != 0 {
			return errors.New("members belong into the vault")
		}
	} else {
		if err := checkMembers(k.Members, k.Threshold); err != nil {
			return err
		}
		if k.Needed < k.Threshold || int(k.Needed) > len(k.Members) {
			return errors.New("needed is not between the threshold and the number of members")
		}
	}
	if err := checkPlacement(k.Placement); err != nil {
		return err
	}
	switch k.Status {
	case KeygenStatus_KEYGEN_STATUS_OPEN:
		if followed || c.Status != ChurnStatus_CHURN_STATUS_OPEN ||
			k.ClosedHeight != 0 || len(k.Vault) != 0 {
			return errors.New("open, though its churn or itself is closed")
		}
	case KeygenStatus_KEYGEN_STATUS_READY:
		if followed || c.Status == ChurnStatus_CHURN_STATUS_FAILED {
			return errors.New("ready in a failed churn, or followed by another")
		}
		if err := CheckPubKey(k.Vault); err != nil {
			return err
		}
	case KeygenStatus_KEYGEN_STATUS_FAILED:
		if complete || len(k.Vault) != 0 {
			return errors.New("failed, though its churn is complete or it has a vault")
		}
	default:
		return errors.New("no status")
	}
	if k.OpenedHeight < c.OpenedHeight || k.Deadline <= k.OpenedHeight || k.Deadline > c.Deadline {
		return errors.New("heights are out of order")
	}
	if k.Try == 0 || k.Try == 1 && k.OpenedHeight != c.OpenedHeight {
		return errors.New("no try, or a first one that was not opened with its churn")
	}
	if k.Bears == 0 || k.Threshold <= k.Bears ||
		k.Try == 1 && len(k.Members) != 0 && int(k.Bears) != len(k.Members)-int(k.Threshold) {
		return errors.New("what it bears does not fit its first try, or is a threshold")
	}
	if k.Status != KeygenStatus_KEYGEN_STATUS_OPEN &&
		(k.ClosedHeight < k.OpenedHeight || k.ClosedHeight == 0 ||
			c.ClosedHeight != 0 && k.ClosedHeight > c.ClosedHeight) {
		return errors.New("heights are out of order")
	}
	if err := checkEnded(k); err != nil {
		return err
	}
	for _, list := range [][][]byte{k.Blamed, k.Silent} {
		for _, addr := range list {
			if err := checkAddress(addr); err != nil {
				return err
			}
			if _, ok := FindMember(k.Members, addr); !ok && !complete && k.Reshare == nil {
				return errors.New("who is at fault is no member")
			}
		}
	}
	return nil
}

func checkMembers(members []Member, threshold uint32) error {
	if len(members) < MinMembers {
		return fmt.Errorf("fewer than %d members", MinMembers)
	}
	if int(threshold) != verenc.Threshold(len(members)) {
		return errors.New("threshold does not fit the number of members")
	}
	var last []byte
	asked := 0
	for i, m := range members {
		if err := CheckPubKey(m.PubKey); err != nil {
			return fmt.Errorf("member %d: %w", i, err)
		}
		if bytes.Compare(last, m.PubKey) >= 0 {
			return fmt.Errorf("member %d is not in ascending order", i)
		}
		last = m.PubKey
		if m.Asked {
			asked++
		}
	}
	if asked < int(threshold) {
		return errors.New("fewer members are asked than the threshold")
	}
	return nil
}
